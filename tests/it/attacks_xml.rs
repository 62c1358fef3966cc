//! Known attacks through XML: every place that reads it refuses what is cleverer than fields, and
//! fetches nothing.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::{Value, json};
use zhanggui::base::xml::Fields;
use zhanggui::base::{cipher, hash};

use crate::notify::{Notify, acknowledges, now};
use crate::tap::Fate;
use crate::world::World;

/// A listener that nobody should ever reach.
pub(crate) struct Spy(TcpListener);

impl Spy {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/evil", self.0.local_addr().unwrap())
    }

    #[track_caller]
    pub(crate) fn was_left_alone(&self) {
        let reached = self.0.accept().map_err(|error| error.kind());
        assert_eq!(
            reached.err(),
            Some(ErrorKind::WouldBlock),
            "somebody fetched from it"
        );
    }
}

/// Documents that a clever reader would be hurt by, each with this root.
fn documents(spy: &Spy, root: &str) -> Vec<(&'static str, String)> {
    let url = spy.url();
    let field =
        |value: &str| format!("<{root}><return_code>SUCCESS</return_code><a>{value}</a></{root}>");
    let doctype = |inner: &str| format!("<!DOCTYPE {root} [{inner}]>{}", field("&x;"));
    let laughs: String = (1..30)
        .map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10)))
        .collect();
    let long = "x".repeat(30_000);
    vec![
        (
            "a file",
            doctype("<!ENTITY x SYSTEM \"file:///etc/hostname\">"),
        ),
        (
            "an address",
            doctype(&format!("<!ENTITY x SYSTEM \"{url}\">")),
        ),
        (
            "a parameter entity",
            doctype(&format!("<!ENTITY % d SYSTEM \"{url}\"> %d;")),
        ),
        (
            "an external DTD",
            format!("<!DOCTYPE {root} SYSTEM \"{url}\">{}", field("1")),
        ),
        (
            "a public DTD",
            format!("<!DOCTYPE {root} PUBLIC \"-//x\" \"{url}\">{}", field("1")),
        ),
        ("a bare DOCTYPE", format!("<!DOCTYPE {root}>{}", field("1"))),
        (
            "billion laughs",
            doctype(&format!(
                "<!ENTITY l0 \"lol\">{laughs}<!ENTITY x \"&l29;\">"
            )),
        ),
        (
            "quadratic",
            format!(
                "<!DOCTYPE {root} [<!ENTITY x \"{long}\">]>{}",
                field(&"&x;".repeat(1000))
            ),
        ),
        ("an unknown entity", field("&x;")),
        (
            "an XInclude",
            field(&format!(
                "<xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"{url}\"/>"
            )),
        ),
        (
            "a stylesheet",
            format!("<?xml-stylesheet href=\"{url}\"?>{}", field("1")),
        ),
        (
            "deep",
            format!("{}{}", "<a>".repeat(9000), "</a>".repeat(9000)),
        ),
        (
            "many fields",
            format!("<{root}>{}</{root}>", "<a>1</a>".repeat(5000)),
        ),
        (
            "another encoding",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-7\"?>{}",
                field("+ADw-x+AD4-")
            ),
        ),
        ("cut", field("1")[..20].to_owned()),
    ]
}

fn sha1_of(parts: &[&str]) -> String {
    let mut parts = parts.to_vec();
    parts.sort_unstable();
    hash::sha1_hex(parts.concat().as_bytes())
}

/// Where a push with this body goes: its query is signed as WeChat would.
fn push_target(world: &World, sealed: Option<&str>) -> String {
    let token = world.setting("wechat", "message_token").unwrap();
    let (at, nonce) = (now().to_string(), "1320562132");
    let signature = sha1_of(&[&token, &at, nonce]);
    let query = format!("/wx/message?signature={signature}&timestamp={at}&nonce={nonce}");
    match sealed {
        None => query,
        Some(sealed) => {
            let message = sha1_of(&[&token, &at, nonce, sealed]);
            format!("{query}&encrypt_type=aes&msg_signature={message}")
        }
    }
}

/// A message sealed as WeChat seals it. Source: 微信公众平台 · 消息加解密.
fn sealed_push(world: &World, text: &str) -> String {
    let key = world.setting("wechat", "message_aes_key").unwrap();
    let key = BASE64.decode(format!("{key}=").as_bytes()).unwrap();
    let appid = world.setting("wechat", "appid").unwrap();
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    let mut plain = [
        b"0123456789abcdef",
        &length[..],
        text.as_bytes(),
        appid.as_bytes(),
    ]
    .concat();
    let pad = 32 - plain.len() % 32;
    plain.extend(std::iter::repeat_n(u8::try_from(pad).unwrap(), pad));
    BASE64.encode(&cipher::cbc256_seal_unpadded(&key, &key[..16], &plain).unwrap())
}

/// What every entry sends for one document: target and body.
fn entries(world: &World, document: &str) -> Vec<(String, String)> {
    let key = world.setting("wechat.pay", "v2_key").unwrap();
    let aes_key = hash::md5_hex(key.as_bytes());
    let root = document.replace("<xml", "<root").replace("</xml", "</root");
    let req_info = cipher::ecb256_seal(aes_key.as_bytes(), root.as_bytes()).unwrap();
    let refund = Fields::new()
        .with("return_code", "SUCCESS")
        .with("req_info", BASE64.encode(&req_info));
    let sealed = sealed_push(world, document);
    let envelope = Fields::new()
        .with("ToUserName", "gh_1")
        .with("Encrypt", sealed.as_str());
    vec![
        ("/wx/pay/notify".to_owned(), document.to_owned()),
        ("/wx/refund/notify".to_owned(), document.to_owned()),
        ("/wx/refund/notify".to_owned(), refund.to_xml()),
        (push_target(world, None), document.to_owned()),
        (push_target(world, Some("x")), document.to_owned()),
        (push_target(world, Some(&sealed)), envelope.to_xml()),
    ]
}

#[test]
fn no_entry_for_xml_reads_more_than_fields_or_fetches_anything() {
    let world = World::with(|setup| setup.version = "v2");
    let tea = world.merchant().sells("茶", 100, 10);
    let buyer = world.buyer();
    buyer.pay(&buyer.order(tea, 1));
    let (spy, before) = (Spy::new(), world.everything());
    for (what, document) in documents(&spy, "xml") {
        for (target, body) in entries(&world, &document) {
            let begun = Instant::now();
            let mut client = world.anyone();
            let reply = client.send("POST", &target, &[], body.as_bytes()).unwrap();
            assert!(begun.elapsed() < Duration::from_secs(5), "{what} {target}");
            let text = reply.text();
            let acknowledged = acknowledges(&reply) || text == "success";
            // No reader of ours knows UTF-7: its signs are text, and such a push is of no event.
            let inert = what == "another encoding" && target.starts_with("/wx/message");
            let harmless = !acknowledged || inert;
            assert!(harmless, "{what} {target}: {} {text}", reply.status);
            assert!(text.len() < 500, "{what} {target}: {text}");
        }
    }
    spy.was_left_alone();
    assert_eq!(world.everything(), before);
    assert_eq!(
        world
            .anyone()
            .send("GET", "/readyz", &[], b"")
            .unwrap()
            .status,
        200
    );
}

#[test]
fn an_answer_of_wechats_that_is_not_plain_fields_is_no_answer() {
    let world = World::with(|setup| {
        setup.version = "v2";
        setup.may_be_refused = true;
    });
    let tea = world.merchant().sells("茶", 100, 100);
    let buyer = world.buyer();
    let spy = Spy::new();
    for (what, document) in documents(&spy, "xml") {
        let order_no = buyer.order(tea, 1);
        world.upstream.next(Fate::Said(document), 8);
        let reply = buyer.try_pay(&order_no);
        world.upstream.calm();
        assert_eq!(reply.status, 502, "{what}: {}", reply.text());
        reply.refuses(502, "WECHAT_UNAVAILABLE");
    }
    spy.was_left_alone();
    let order_no = buyer.order(tea, 1);
    world.wechat.pays(&buyer.pay(&order_no));
    assert_eq!(buyer.see(&order_no)["status"], "paid");
}

#[test]
fn what_is_genuine_but_wrapped_in_a_doctype_is_refused() {
    let world = World::with(|setup| setup.version = "v2");
    let tea = world.merchant().sells("茶", 100, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 1);
    let genuine = crate::notify::held(&world, &buyer, &order_no);
    let text = String::from_utf8(genuine.body.clone()).unwrap();
    let spy = Spy::new();
    let url = spy.url();
    for head in [
        "<!DOCTYPE xml>".to_owned(),
        format!("<!DOCTYPE xml SYSTEM \"{url}\">"),
        format!("<!DOCTYPE xml [<!ENTITY % d SYSTEM \"{url}\"> %d;]>"),
    ] {
        let body = format!("{head}{text}").into_bytes();
        let reply = world.deliver(&Notify {
            body,
            ..genuine.clone()
        });
        assert!(!acknowledges(&reply), "{head}: {}", reply.text());
    }
    spy.was_left_alone();
    assert_eq!(buyer.see(&order_no)["paid_at"], Value::Null);
    assert!(acknowledges(&world.deliver(&genuine)));
    assert_eq!(world.merchant().order(&order_no)["status"], json!("paid"));
}
