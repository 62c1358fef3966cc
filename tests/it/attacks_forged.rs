//! Known attacks on the notify addresses: forged, altered, replayed, with every trick of headers.

use std::thread;

use data_encoding::BASE64;
use serde_json::{Value, json};
use zhanggui::base::rsa::PrivateKey;
use zhanggui::base::xml::Fields;
use zhanggui::base::{cipher, hash};

use crate::http::Reply;
use crate::notify::{self, Notify, V3, acknowledges, held, now, transaction};
use crate::people::Buyer;
use crate::world::World;

const TOTAL: u64 = 25_600;

fn with_attempt(version: &'static str) -> (World, Buyer, String) {
    let world = World::with(|setup| {
        setup.version = version;
        setup.may_be_refused = true;
    });
    let tea = world.merchant().sells("龙井", TOTAL, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 1);
    (world, buyer, order_no)
}

fn refund_notify(world: &World, message: &Notify) -> Reply {
    let headers: Vec<(&str, &str)> = message
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut client = world.anyone();
    let sent = client.send("POST", "/wx/refund/notify", &headers, &message.body);
    sent.unwrap()
}

/// The same with more headers in front, or behind.
fn doubled(message: &Notify, more: &[(String, String)]) -> [Notify; 2] {
    let headers = [
        [more, &message.headers[..]].concat(),
        [&message.headers[..], more].concat(),
    ];
    headers.map(|headers| Notify {
        headers,
        body: message.body.clone(),
    })
}

#[test]
fn no_trick_with_signature_headers_makes_a_forged_v3_notify_genuine() {
    let (world, buyer, order_no) = with_attempt("v3");
    buyer.pay(&order_no);
    let paid = transaction(&world, &buyer, &order_no, TOTAL);
    let genuine = V3::genuine(&world);
    let strangers = PrivateKey::generate();
    let forged = V3 {
        private_key: strangers,
        ..V3::genuine(&world)
    }
    .notify(&paid);
    // Genuine headers of another message: a body that says nothing.
    let other = genuine.notify(&json!({})).headers;
    let signature = forged
        .headers
        .iter()
        .find(|(name, _)| name == "wechatpay-signature");
    let signature = signature.unwrap().1.clone();
    let mut tricks: Vec<(String, Notify)> = vec![];
    for (at, doubled) in doubled(&forged, &other).into_iter().enumerate() {
        tricks.push((format!("doubled headers {at}"), doubled));
    }
    let upper: Vec<_> = other
        .iter()
        .map(|(n, v)| (n.to_uppercase(), v.clone()))
        .collect();
    for (at, doubled) in doubled(&forged, &upper).into_iter().enumerate() {
        tricks.push((format!("doubled headers in capitals {at}"), doubled));
    }
    let at = now();
    for (name, value) in [
        ("wechatpay-signature", format!("{signature},{signature}")),
        ("wechatpay-signature", "=".to_owned()),
        ("wechatpay-signature", BASE64.encode(&[0; 256])),
        ("wechatpay-signature", BASE64.encode(&[1])),
        ("wechatpay-signature-type", "none".to_owned()),
        (
            "wechatpay-signature-type",
            "WECHATPAY2-SM2-WITH-SM3".to_owned(),
        ),
        ("wechatpay-signature-type", "HMAC-SHA256".to_owned()),
        ("wechatpay-serial", "null".to_owned()),
        ("wechatpay-serial", "../wechat_public_key.pem".to_owned()),
        ("wechatpay-timestamp", format!("+{at}")),
        ("wechatpay-timestamp", format!("{at}.0")),
        ("wechatpay-timestamp", "99999999999999999999".to_owned()),
        ("wechatpay-timestamp", "-1".to_owned()),
        ("wechatpay-nonce", "a\tb".to_owned()),
    ] {
        tricks.push((format!("{name}: {value}"), forged.with_header(name, &value)));
    }
    let bare = Notify {
        headers: vec![],
        body: paid.to_string().into_bytes(),
    };
    tricks.push(("plain JSON".to_owned(), bare));
    let before = world.state();
    for (what, trick) in tricks {
        let reply = world.deliver(&trick);
        let refused = (400..500).contains(&reply.status) && !acknowledges(&reply);
        assert!(refused, "{what}: {} {}", reply.status, reply.text());
        assert_eq!(world.state(), before, "{what}");
    }
    let reply = world.deliver(&genuine.notify(&paid));
    assert!(acknowledges(&reply), "{}", reply.text());
    assert_eq!(buyer.see(&order_no)["status"], "paid");
}

#[test]
fn a_genuine_message_says_nothing_about_another_amount_order_or_merchant() {
    let (world, buyer, order_no) = with_attempt("v3");
    let cheap = buyer.order(world.merchant().sells("糖", 1, 10), 1);
    buyer.pay(&order_no);
    buyer.pay(&cheap);
    let paid = transaction(&world, &buyer, &order_no, TOTAL);
    let before = world.state();
    for (path, value) in [
        ("/amount/total", json!(1)),
        ("/amount/total", json!(TOTAL - 1)),
        ("/amount/total", json!(TOTAL + 1)),
        ("/amount/total", json!(0)),
        ("/amount/total", json!(TOTAL.to_string())),
        ("/amount/currency", json!("HKD")),
        ("/appid", json!("wx0000000000000000")),
        ("/mchid", json!("1230000109")),
        ("/out_trade_no", json!(format!("{order_no}_2"))),
        ("/out_trade_no", json!(cheap)),
        ("/trade_state", json!("REFUND")),
        ("/trade_state", json!("NOTPAY")),
    ] {
        let mut changed = paid.clone();
        *changed.pointer_mut(path).unwrap() = value.clone();
        let reply = world.deliver(&V3::genuine(&world).notify(&changed));
        assert!(!acknowledges(&reply), "{path} {value}: {}", reply.text());
        assert_eq!(world.state(), before, "{path} {value}");
    }
}

#[test]
fn a_protocol_whose_key_is_empty_believes_nobody() {
    let world = World::with(|setup| setup.more.push(("wechat.pay.v2_key", "".into())));
    let tea = world.merchant().sells("龙井", TOTAL, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 1);
    buyer.pay(&order_no);
    let before = world.state();
    let fields = [
        ("return_code", "SUCCESS"),
        ("result_code", "SUCCESS"),
        ("appid", &world.setting("wechat", "appid").unwrap()),
        ("mch_id", &world.setting("wechat.pay", "mchid").unwrap()),
        ("nonce_str", "5d2b6c2a8db53831f7eda20af46e531c"),
        ("openid", &buyer.openid),
        ("trade_type", "JSAPI"),
        ("bank_type", "OTHERS"),
        ("total_fee", &TOTAL.to_string()),
        ("cash_fee", &TOTAL.to_string()),
        ("fee_type", "CNY"),
        ("transaction_id", "4200000000202601010000000001"),
        ("out_trade_no", &order_no),
        ("time_end", "20260101120000"),
    ];
    let fields = Fields::from_iter(fields);
    for sign_type in ["MD5", "HMAC-SHA256"] {
        for key in ["", "null", "0"] {
            let declared = fields.clone().with("sign_type", sign_type);
            for fields in [&fields, &declared] {
                let reply = world.deliver(&notify::v2(fields, key, sign_type));
                assert!(!acknowledges(&reply), "{key} {sign_type}: {}", reply.text());
            }
        }
    }
    assert_eq!(world.state(), before);
}

#[test]
fn a_replayed_notify_changes_nothing_whatever_happened_meanwhile() {
    for version in ["v2", "v3"] {
        let (mut world, buyer, order_no) = with_attempt(version);
        let genuine = held(&world, &buyer, &order_no);
        assert!(acknowledges(&world.deliver(&genuine)));
        let refund = json!({ "amount_fen": TOTAL, "reason": "不想要了" });
        let target = format!("/admin/v1/orders/{order_no}/refunds");
        let made = world
            .merchant()
            .caller
            .call("POST", &target, &refund)
            .expect(201);
        let finish = format!(
            "/sandbox/refunds/{}/finish",
            made["refund_no"].as_str().unwrap()
        );
        let ended = json!({ "status": "SUCCESS" });
        world.wechat.call("POST", &finish, &ended).expect(200);
        assert_eq!(buyer.see(&order_no)["status"], "refunded", "{version}");
        let before = world.state();
        world.kill();
        world.serve();
        let replies: Vec<Reply> = thread::scope(|scope| {
            let senders: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| world.deliver(&genuine)))
                .collect();
            senders
                .into_iter()
                .map(|sender| sender.join().unwrap())
                .collect()
        });
        assert!(replies.iter().all(acknowledges), "{version}: {replies:?}");
        assert_eq!(world.state(), before, "{version}");
        assert_eq!(world.merchant().paid_events(&order_no), 1, "{version}");
        let order = world.merchant().order(&order_no);
        let told = order["events"].as_array().unwrap().iter();
        let booked = told.filter(|event| event["kind"] == "notify.paid").count();
        assert_eq!(booked, 1, "{version}: the money was booked again");
    }
}

#[test]
fn a_replay_of_v3_after_five_minutes_is_stale() {
    let world = World::with(|setup| {
        setup.one_clock = true;
        setup.may_be_refused = true;
    });
    let tea = world.merchant().sells("龙井", TOTAL, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 1);
    let genuine = held(&world, &buyer, &order_no);
    world.wechat.advance(310);
    let stale = || world.deliver(&genuine).status == 401;
    crate::wait::until("the server's clock follows", stale);
    assert_eq!(world.merchant().paid_events(&order_no), 0);
}

/// A v2 refund notify whose sealed part is `inner`, under `key`.
fn sealed(world: &World, inner: &str, key: &str) -> Notify {
    let aes_key = hash::md5_hex(key.as_bytes());
    let req_info = cipher::ecb256_seal(aes_key.as_bytes(), inner.as_bytes()).unwrap();
    let outer = Fields::new()
        .with("return_code", "SUCCESS")
        .with("appid", world.setting("wechat", "appid").unwrap())
        .with("mch_id", world.setting("wechat.pay", "mchid").unwrap())
        .with("nonce_str", "5d2b6c2a8db53831f7eda20af46e531c")
        .with("req_info", BASE64.encode(&req_info));
    Notify {
        headers: vec![("content-type".to_owned(), "text/xml".to_owned())],
        body: outer.to_xml().into_bytes(),
    }
}

#[test]
fn a_forged_refund_notify_gives_no_money_back() {
    let (world, buyer, order_no) = with_attempt("v2");
    world.wechat.pays(&buyer.pay(&order_no));
    let refund = json!({ "amount_fen": TOTAL, "reason": "不想要了" });
    let target = format!("/admin/v1/orders/{order_no}/refunds");
    let made = world
        .merchant()
        .caller
        .call("POST", &target, &refund)
        .expect(201);
    let number = made["refund_no"].as_str().unwrap();
    let there = world
        .wechat
        .call("GET", "/sandbox/refunds", &Value::Null)
        .expect(200);
    let refund_id = there["refunds"][0]["refund_id"]
        .as_str()
        .unwrap_or("5000000000")
        .to_owned();
    let inner = Fields::new()
        .with(
            "transaction_id",
            buyer.see(&order_no)["transaction_id"].as_str().unwrap(),
        )
        .with("out_trade_no", order_no.as_str())
        .with("refund_id", refund_id)
        .with("out_refund_no", number)
        .with("total_fee", TOTAL.to_string())
        .with("refund_fee", TOTAL.to_string())
        .with("settlement_refund_fee", TOTAL.to_string())
        .with("refund_status", "SUCCESS")
        .with("success_time", "2026-01-01 12:00:00")
        .with("refund_recv_accout", "支付用户零钱")
        .with("refund_account", "REFUND_SOURCE_RECHARGE_FUNDS")
        .with("refund_request_source", "API")
        .to_xml_as("root");
    let key = world.setting("wechat.pay", "v2_key").unwrap();
    let before = world.state();
    let strangers = V3 {
        private_key: PrivateKey::generate(),
        ..V3::genuine(&world)
    };
    let v3 = json!({ "out_refund_no": number, "refund_status": "SUCCESS" });
    for (what, forged) in [
        (
            "another key",
            sealed(&world, &inner, "0123456789abcdef0123456789abcdef"),
        ),
        ("an empty key", sealed(&world, &inner, "")),
        (
            "a key in other letters",
            sealed(&world, &inner, &key.to_uppercase()),
        ),
        (
            "not sealed",
            Notify {
                headers: vec![],
                body: inner.clone().into_bytes(),
            },
        ),
        ("a stranger's v3", strangers.notify(&v3)),
    ] {
        let reply = refund_notify(&world, &forged);
        assert!(!acknowledges(&reply), "{what}: {}", reply.text());
        assert_eq!(world.state(), before, "{what}");
    }
    // Sealed with the right key it is no proof either: WeChat, asked, says it is still processing.
    refund_notify(&world, &sealed(&world, &inner, &key));
    let order = world.merchant().order(&order_no);
    assert_eq!(
        (&order["status"], &order["refunded_fen"]),
        (&json!("paid"), &json!(0))
    );
}
