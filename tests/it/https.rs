//! HTTPS from a merchant's certificate: who is served, in which protocols, and who is not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;

use crate::http::read_message;
use crate::secure::{Authority, connect, over_http_2, over_tls};
use crate::wait::until;
use crate::world::{Front, Setup, World};

/// A shop whose certificate is of an authority of its own.
pub(crate) struct Shop {
    pub(crate) world: World,
    pub(crate) authority: Authority,
    /// Where `cert.pem` and `key.pem` lie.
    pub(crate) dir: TempDir,
}

/// Tells a setup to serve the pair in `dir`.
pub(crate) fn files(setup: &mut Setup, dir: &Path) {
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    setup.more.extend([
        ("server.tls.mode", "files".into()),
        ("server.tls.cert_file", path("cert.pem").into()),
        ("server.tls.key_file", path("key.pem").into()),
    ]);
}

/// Starts a shop that is reached through `front`.
pub(crate) fn shop(front: fn(&Authority) -> Front, choose: fn(&mut Setup)) -> Shop {
    let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    authority
        .issues(&[crate::secure::SHOP, "127.0.0.1"], 2020..2090)
        .write(dir.path());
    let world = World::with(|setup| {
        files(setup, dir.path());
        setup.front = Some(front(&authority));
        choose(setup);
    });
    Shop {
        world,
        authority,
        dir,
    }
}

pub(crate) fn http_1(authority: &Authority) -> Front {
    let client = authority.client(&[&TLS12, &TLS13], &["http/1.1"]);
    Box::new(move |address| over_tls(&client, address))
}

pub(crate) fn http_2(authority: &Authority) -> Front {
    let client = authority.client(&[&TLS13], &["h2", "http/1.1"]);
    Box::new(move |address| over_http_2(&client, address))
}

fn buys_and_pays(world: &World) {
    let tea = world.merchant().sells("明前龙井 50g", 12_800, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 2);
    let fields = buyer.pay(&order_no);
    world.wechat.pays(&fields);
    assert_eq!(buyer.see(&order_no)["status"], "paid");
    assert_eq!(world.merchant().paid_events(&order_no), 1);
    buyer.try_pay(&order_no).refuses(409, "ORDER_PAID");
    assert_eq!(world.notifies.passed("/wx/pay/notify").len(), 1);
}

#[test]
fn a_purchase_goes_from_login_to_paid_over_tls() {
    let mut shop = shop(http_1, |_| {});
    let out = std::fs::read_to_string(shop.world.dir.path().join("server1.out")).unwrap();
    assert!(out.contains("listening on https://127.0.0.1:"), "{out}");
    buys_and_pays(&shop.world);
    shop.world.restart();
}

#[test]
fn a_purchase_goes_from_login_to_paid_over_http_2() {
    let shop = shop(http_2, |_| {});
    buys_and_pays(&shop.world);
    let mut nobody = shop.world.anyone();
    let nobody = nobody.send("GET", "/api/v1/user", &[], b"").unwrap();
    nobody.refuses(401, "TOKEN_INVALID");
    let id = nobody.json()["request_id"].as_str().unwrap().to_owned();
    until("the log names it", || shop.world.log().contains(&id));
}

/// The status and protocol of one request.
fn asks(shop: &mut Shop, client: &Arc<ClientConfig>) -> (String, Option<Vec<u8>>) {
    let address = shop.world.server().address("listening on");
    let mut secured = connect(address, client).unwrap();
    secured
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: shop.example.com\r\n\r\n")
        .unwrap();
    let answer = read_message(&mut std::io::BufReader::new(&mut secured)).unwrap();
    let spoken = secured.conn.alpn_protocol().map(<[u8]>::to_vec);
    (answer.second().to_owned(), spoken)
}

#[test]
fn tls_1_2_and_1_3_are_served_and_http_1_1_needs_no_alpn() {
    let mut shop = shop(http_1, |_| {});
    for version in [&TLS12, &TLS13] {
        let client = shop.authority.client(&[version], &["http/1.1"]);
        let (status, spoken) = asks(&mut shop, &client);
        assert_eq!(status, "200", "{version:?}");
        assert_eq!(spoken.as_deref(), Some(&b"http/1.1"[..]));
        let client = shop.authority.client(&[version], &[]);
        assert_eq!(asks(&mut shop, &client), ("200".to_owned(), None));
    }
}

/// A ClientHello without `supported_versions`, as before TLS 1.3; `minor` is 2 for TLS 1.1.
///
/// Source: RFC 5246 · 7.4.1.2, RFC 8422 · 5.1.
fn hello_of(minor: u8) -> Vec<u8> {
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let points = [0, 11, 0, 2, 1, 0];
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    let secret = [0, 23, 0, 0];
    let extensions = [&groups[..], &points, &signatures, &secret].concat();
    let mut hello = vec![3, minor];
    hello.extend([7; 32]);
    hello.push(0);
    hello.extend([0, 2, 0xc0, 0x2b, 1, 0]);
    hello.extend([0, u8::try_from(extensions.len()).unwrap()]);
    hello.extend(extensions);
    let length = u8::try_from(hello.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length], &hello[..]].concat()
}

#[test]
fn tls_1_1_is_told_that_its_version_is_not_served() {
    let mut shop = shop(http_1, |_| {});
    let address = shop.world.server().address("listening on");
    let answered = |minor| {
        let mut peer = TcpStream::connect(address).unwrap();
        peer.write_all(&hello_of(minor)).unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = vec![];
        let _ = peer.read_to_end(&mut answer);
        answer
    };
    // A handshake goes on: with TLS 1.2 the same hello is good.
    assert_eq!(answered(3)[..1], [22]);
    // A fatal alert, protocol_version. Source: RFC 8446 · 6.
    let refused = answered(2);
    assert_eq!((refused[0], &refused[5..7]), (21, &[2, 70][..]));
}

#[test]
fn plain_http_on_the_tls_port_is_told_what_to_mend() {
    let mut shop = shop(http_1, |_| {});
    let address = shop.world.server().address("listening on");
    let mut plain = TcpStream::connect(address).unwrap();
    plain
        .write_all(b"POST /api/v1/token HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        .unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("https://"), "{answer}");
    let mut anyone = shop.world.anyone();
    let answer = anyone.send("GET", "/healthz", &[], b"").unwrap();
    answer.expect(200);
}

#[test]
fn handshakes_that_stall_are_ended_and_keep_nobody_out() {
    let mut shop = shop(http_1, |_| {});
    let address = shop.world.server().address("listening on");
    let begun = Instant::now();
    let stalled: Vec<TcpStream> = (0..200)
        .map(|turn| {
            let mut stream = TcpStream::connect(address).unwrap();
            let hello = hello_of(3);
            // Nothing at all, or half a hello.
            stream.write_all(&hello[..turn % 20]).unwrap();
            stream
        })
        .collect();
    let seller = shop.world.merchant();
    let goods = seller.sells("茶", 100, 10);
    let order_no = shop.world.buyer().order(goods, 1);
    assert!(!order_no.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(10), "buyers waited");
    for mut stream in stalled {
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        // An end or a reset; a timeout would be neither.
        if let Err(why) = stream.read_to_end(&mut vec![]) {
            assert_eq!(why.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }
    let after = begun.elapsed();
    assert!(after >= Duration::from_secs(9), "cut after {after:?}");
    assert!(after < Duration::from_secs(20), "cut after {after:?}");
}
