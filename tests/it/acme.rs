//! Certificates from an authority, Debian's `pebble`: got in both ways, kept, renewed, and not
//! asked for too often.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use serde_json::Value;
use toml::Value as Toml;

use crate::http::{Message, read_message};
use crate::pebble::{Pebble, free_port};
use crate::secure::{SHOP, client, connect, over_tls};
use crate::wait::{stays, until, within};
use crate::world::{Setup, World};

const YEAR_S: u64 = 365 * 86_400;
const DAY_S: i64 = 86_400;

/// Long enough for the server to have looked at its clock.
const LOOKED: Duration = Duration::from_secs(8);

/// Tells a setup to get its certificate from `pebble`.
fn asks(setup: &mut Setup, pebble: &Pebble, listen: SocketAddr) {
    let text = |text: String| Toml::String(text);
    let roots = pebble.own_root_file();
    setup.more.extend([
        ("server.listen", text(listen.to_string())),
        ("server.tls.mode", "acme".into()),
        ("server.tls.acme_domains", vec![SHOP].into()),
        ("server.tls.acme_email", "boss@example.com".into()),
        ("server.tls.acme_directory", text(pebble.directory.clone())),
        (
            "server.tls.acme_ca_file",
            text(roots.to_str().unwrap().into()),
        ),
    ]);
}

fn trusting(root: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(&client(root, &[&TLS12, &TLS13], &["http/1.1"]));
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// The certificate that the shop at `address` shows, if a browser would take it.
fn shown(address: SocketAddr, client: &Arc<ClientConfig>) -> Option<Vec<u8>> {
    let secured = connect(address, client).ok()?;
    Some(secured.conn.peer_certificates()?[0].to_vec())
}

fn kept(world: &World) -> PathBuf {
    let acme = world.dir.path().join("data/acme");
    let mut found = vec![];
    for authority in fs::read_dir(acme).unwrap() {
        let entries = fs::read_dir(authority.unwrap().path()).unwrap();
        found.extend(entries.map(|entry| entry.unwrap().path()));
    }
    found.into_iter().find(|path| path.is_dir()).unwrap()
}

fn attempts(world: &World) -> Value {
    let text = fs::read(kept(world).join("attempts.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_certificate_is_got_on_the_tls_port_kept_and_shown_after_a_restart_without_the_authority() {
    let mut pebble = Pebble::start(5 * YEAR_S);
    let (root, tls) = (pebble.root(), pebble.tls);
    let trusted = trusting(&root);
    let front = trusted.clone();
    let mut world = World::with(|setup| {
        asks(setup, &pebble, tls);
        setup.front = Some(Box::new(move |address| over_tls(&front, address)));
    });
    until("a certificate is shown", || shown(tls, &trusted).is_some());
    let first = shown(tls, &trusted).unwrap();
    let goods = world.merchant().sells("茶", 100, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(goods, 1);
    world.wechat.pays(&buyer.pay(&order_no));
    assert_eq!(buyer.see(&order_no)["status"], "paid");

    let (kept, acme) = (kept(&world), world.dir.path().join("data/acme"));
    assert_eq!((mode(&acme), mode(&kept)), (0o700, 0o700));
    assert_eq!(mode(&kept.join("certificate.pem")), 0o600);
    assert_eq!(mode(&kept.parent().unwrap().join("account.json")), 0o600);
    assert_eq!(attempts(&world)["way"], "tls-alpn01");
    assert_eq!(pebble.orders(), 1);

    pebble.stop();
    world.restart();
    assert_eq!(shown(tls, &trusted), Some(first));
    assert!(buyer.see(&order_no)["status"] == "paid");
    assert!(!world.log().contains("没有拿到证书"));
}

/// What the plain listener answers.
fn plainly(at: SocketAddr, request: &str) -> Message {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    read_message(&mut std::io::BufReader::new(stream)).unwrap()
}

#[test]
fn a_certificate_is_got_over_plain_http_which_sends_all_others_to_https() {
    let pebble = Pebble::start(5 * YEAR_S);
    let trusted = trusting(&pebble.root());
    // Not where the authority looks for TLS-ALPN-01.
    let (listen, http) = (free_port(), pebble.http);
    let front = trusted.clone();
    let world = World::with(|setup| {
        asks(setup, &pebble, listen);
        let at = http.to_string();
        setup.more.push(("server.tls.http_listen", at.into()));
        setup.front = Some(Box::new(move |address| over_tls(&front, address)));
    });
    until("a certificate is shown", || {
        shown(listen, &trusted).is_some()
    });
    until("it is remembered how", || {
        attempts(&world)["way"] == "http01"
    });
    let out = fs::read_to_string(world.dir.path().join("server1.out")).unwrap();
    assert!(
        out.contains(&format!("redirecting from http://{http}")),
        "{out}"
    );

    let at = format!("https://{SHOP}:{}", listen.port());
    for (request, status, there) in [
        (
            format!("GET /a?b=1 HTTP/1.1\r\nhost: {SHOP}\r\n\r\n"),
            "301",
            "/a?b=1",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: {SHOP}:80\r\n\r\n"),
            "301",
            "/",
        ),
        (
            format!("GET //evil.com/ HTTP/1.1\r\nhost: {SHOP}\r\n\r\n"),
            "301",
            "//evil.com/",
        ),
        (
            format!("GET http://evil.com/x HTTP/1.1\r\nhost: {SHOP}\r\n\r\n"),
            "301",
            "/x",
        ),
        (
            format!("POST /a HTTP/1.1\r\nhost: {SHOP}\r\ncontent-length: 0\r\n\r\n"),
            "308",
            "/a",
        ),
    ] {
        let answer = plainly(http, &request);
        assert_eq!(answer.second(), status, "{request}");
        let location = answer.header("location").unwrap();
        assert_eq!(location, format!("{at}{there}"), "{request}");
    }
    for request in [
        "GET / HTTP/1.1\r\nhost: evil.com\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nhost: evil.com\r\nhost: {SHOP}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: {SHOP}.evil.com\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: {SHOP}@evil.com\r\n\r\n"),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        format!("GET /.well-known/acme-challenge/x HTTP/1.1\r\nhost: {SHOP}\r\n\r\n"),
    ] {
        let answer = plainly(http, &request);
        assert!(
            matches!(answer.second(), "404" | "400"),
            "{request}: {answer:?}"
        );
        assert_eq!(answer.header("location"), None, "{request}");
    }
}

#[test]
fn a_certificate_is_renewed_at_two_thirds_of_its_life_while_buyers_are_served() {
    let pebble = Pebble::start(24);
    let (trusted, tls) = (trusting(&pebble.root()), pebble.tls);
    let front = trusted.clone();
    let world = World::with(|setup| {
        asks(setup, &pebble, tls);
        setup.front = Some(Box::new(move |address| over_tls(&front, address)));
    });
    until("a certificate is shown", || shown(tls, &trusted).is_some());
    let first = shown(tls, &trusted);
    let buyer = world.buyer();
    let goods = world.merchant().sells("茶", 100, 10);
    within(Duration::from_secs(40), "another one is shown", || {
        let now = shown(tls, &trusted);
        assert!(now.is_some(), "there is always one that is valid");
        assert!(buyer.try_order(goods, 1).status < 500);
        now != first
    });
    assert!(!world.log().contains("没有拿到证书"), "{}", world.log());
}

#[test]
fn a_clock_that_is_far_ahead_does_not_ask_again_and_again() {
    let pebble = Pebble::start(90 * 86_400);
    let (trusted, tls) = (trusting(&pebble.root()), pebble.tls);
    let world = World::with(|setup| {
        asks(setup, &pebble, tls);
        setup.one_clock = true;
    });
    until("a certificate is shown", || shown(tls, &trusted).is_some());
    let first = shown(tls, &trusted);
    world.wechat.advance(50 * DAY_S);
    // Not yet two thirds: the next look at the clock asks for nothing.
    stays(LOOKED, "one order", || pebble.orders() == 1);
    world.wechat.advance(11 * DAY_S);
    until("another one is shown", || shown(tls, &trusted) != first);
    // The new one looks two thirds old at once.
    stays(LOOKED, "two orders", || pebble.orders() == 2);
}

#[test]
fn what_the_authority_could_not_see_is_told_and_not_asked_again_too_soon() {
    let pebble = Pebble::start(5 * YEAR_S);
    let listen = free_port();
    let mut world = World::with(|setup| {
        // It looks elsewhere.
        asks(setup, &pebble, listen);
        setup.one_clock = true;
    });
    until("the failure is told", || {
        world.log().contains("没有拿到证书")
    });
    let log = world.log();
    assert!(log.contains("处理："), "{log}");
    assert!(log.contains("TlsAlpn01"), "{log}");
    assert_eq!(pebble.orders(), 1);
    let said = attempts(&world);
    assert_eq!(said["failures"], 1, "{said}");
    // A restart and a quarter of an hour are no reasons to ask again.
    world.restart();
    world.wechat.advance(15 * 60);
    stays(LOOKED, "one order", || pebble.orders() == 1);
    world.wechat.advance(10 * 60);
    until("it is asked again", || pebble.orders() == 2);
    until("the second failure is kept", || {
        attempts(&world)["failures"] == 2
    });
    world.stop();
    let said = world.command(&["check"]).out;
    assert!(said.contains("上次申请证书没有成功"), "{said}");
    world.serve();
}

#[test]
fn without_the_authority_the_server_runs_says_why_https_fails_and_goes_on_when_it_is_there() {
    let mut pebble = Pebble::stopped(5 * YEAR_S);
    let tls = pebble.tls;
    let world = World::with(|setup| {
        asks(setup, &pebble, tls);
        setup.one_clock = true;
    });
    until("the failure is told", || {
        world.log().contains("没有拿到证书")
    });
    let anybody = trusting(&crate::secure::Authority::new().root);
    assert_eq!(shown(tls, &anybody), None);
    until("the log says why", || {
        world.log().contains("还没有 TLS 证书")
    });
    let listed = world.command(&["key", "create", "another"]);
    assert_eq!(listed.code, Some(0), "the shop works: {listed:?}");
    pebble.run();
    let trusted = trusting(&pebble.root());
    world.wechat.advance(120);
    until("a certificate is shown", || shown(tls, &trusted).is_some());
}
