//! Certificates that change while the server runs, and certificates that cannot be shown.

use std::fs;
use std::io::{BufReader, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustls::ClientConfig;
use rustls::version::TLS13;

use crate::http::read_message;
use crate::https::{Shop, files, http_1, shop};
use crate::program::send_signal;
use crate::secure::{Authority, Pair, SHOP, Secured, connect};
use crate::wait::until;
use crate::world::World;

/// A client that resumes nothing: each handshake shows it a certificate.
fn forgetful(shop: &Shop) -> Arc<ClientConfig> {
    let mut client = ClientConfig::clone(&shop.authority.client(&[&TLS13], &["http/1.1"]));
    client.resumption = rustls::client::Resumption::disabled();
    Arc::new(client)
}

/// The certificate that a new handshake is shown.
fn shown(shop: &mut Shop, client: &Arc<ClientConfig>) -> Vec<u8> {
    let address = shop.world.server().address("listening on");
    let secured = connect(address, client).unwrap();
    secured.conn.peer_certificates().unwrap()[0].to_vec()
}

fn is_well(on: &mut Secured) -> bool {
    let ask = b"GET /healthz HTTP/1.1\r\nhost: shop.example.com\r\n\r\n";
    let asked = on.write_all(ask);
    asked.is_ok() && read_message(&mut BufReader::new(on)).is_ok_and(|a| a.second() == "200")
}

#[test]
fn a_changed_certificate_is_shown_without_a_connection_lost() {
    let mut shop = shop(http_1, |_| {});
    let (client, address) = (
        forgetful(&shop),
        shop.world.server().address("listening on"),
    );
    let (stop, lost, asked) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let old = shown(&mut shop, &client);
    let mut kept = connect(address, &client).unwrap();
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let well = connect(address, &client).is_ok_and(|mut on| is_well(&mut on));
                    lost.fetch_add(usize::from(!well), Ordering::Relaxed);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // First by the files' change alone, then by the signal.
        shop.authority
            .issues(&[SHOP], 2020..2091)
            .write(shop.dir.path());
        until("the new certificate is shown", || {
            shown(&mut shop, &client) != old
        });
        let second = shown(&mut shop, &client);
        shop.authority
            .issues(&[SHOP], 2020..2092)
            .write(shop.dir.path());
        send_signal(shop.world.server().pid(), "HUP");
        until("the third certificate is shown", || {
            shown(&mut shop, &client) != second
        });
        stop.store(true, Ordering::Relaxed);
    });
    assert!(is_well(&mut kept), "an open connection was dropped");
    assert_eq!(lost.into_inner(), 0);
    assert!(asked.into_inner() > 20);
}

#[test]
fn a_link_that_is_swapped_is_a_change() {
    let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    for (name, until) in [("one", 2090), ("two", 2091)] {
        fs::create_dir(dir.path().join(name)).unwrap();
        authority
            .issues(&[SHOP], 2020..until)
            .write(&dir.path().join(name));
    }
    symlink("one", dir.path().join("live")).unwrap();
    let world = World::with(|setup| {
        files(setup, &dir.path().join("live"));
        setup.front = Some(http_1(&authority));
    });
    let mut shop = Shop {
        world,
        authority,
        dir,
    };
    let client = forgetful(&shop);
    let old = shown(&mut shop, &client);
    symlink("two", shop.dir.path().join("next")).unwrap();
    fs::rename(shop.dir.path().join("next"), shop.dir.path().join("live")).unwrap();
    until("the other certificate is shown", || {
        shown(&mut shop, &client) != old
    });
}

#[test]
fn a_new_pair_that_is_none_is_told_of_and_the_old_one_stays() {
    let mut shop = shop(http_1, |_| {});
    let client = forgetful(&shop);
    let old = shown(&mut shop, &client);
    let chain = shop.authority.issues(&[SHOP], 2020..2091).chain;
    let key = shop.authority.issues(&[SHOP], 2020..2091).key;
    Pair { chain, key }.write(shop.dir.path());
    until("the log tells of it", || {
        shop.world.log().contains("新证书不能用，仍用原来的证书")
    });
    assert!(shop.world.log().contains("私钥与证书不是一对"));
    assert_eq!(shown(&mut shop, &client), old);
    shop.authority
        .issues(&[SHOP], 2020..2091)
        .write(shop.dir.path());
    until("a good pair is shown", || shown(&mut shop, &client) != old);
}

/// What `serve` says of the pair in `dir` before it ends with 2.
fn refusal(world: &World, dir: &Path) -> String {
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let env = [
        ("ZHANGGUI_SERVER__TLS__MODE", "files"),
        ("ZHANGGUI_SERVER__TLS__CERT_FILE", &cert),
        ("ZHANGGUI_SERVER__TLS__KEY_FILE", &key),
    ];
    let args = ["serve", "--config", "config.toml"];
    let said = crate::program::run(world.dir.path(), &args, &env);
    assert_eq!(said.code, Some(2), "{said:?}");
    said.err
}

#[test]
fn a_pair_that_cannot_be_shown_is_refused_with_cause_and_remedy() {
    let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    let mut world = World::start();
    world.stop();
    let at = |name: &str| dir.path().join(name);
    let good = || authority.issues(&[SHOP], 2020..2090);
    let says = |part: &str| {
        let said = refusal(&world, dir.path());
        assert!(
            said.contains(part) && said.contains("处理："),
            "{part}: {said}"
        );
    };
    says("cert.pem：文件不存在");
    good().write(dir.path());
    fs::write(at("cert.pem"), "nothing").unwrap();
    says("里面没有证书");
    good().write(dir.path());
    fs::write(at("key.pem"), "nothing").unwrap();
    says("里面没有私钥");
    let (chain, key) = (good().chain, good().key);
    Pair { chain, key }.write(dir.path());
    says("私钥与证书不是一对");
    let (chain, key) = (good().chain.replacen("MII", "MIIX", 1), good().key);
    Pair { chain, key }.write(dir.path());
    says("里面的证书读不出来");
    world.serve();
}

#[test]
fn dates_and_names_that_browsers_refuse_are_told_at_the_start_and_by_check() {
    for (names, years, part) in [
        (&["shop.example.com", "127.0.0.1"][..], 2019..2020, "到期"),
        (&["shop.example.com", "127.0.0.1"], 2089..2090, "才生效"),
        (&["other.example.com"], 2020..2090, "不含 public_url 的域名"),
    ] {
        let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
        authority
            .issues(&["shop.example.com", "127.0.0.1"], 2020..2090)
            .write(dir.path());
        let mut world = World::with(|setup| {
            files(setup, dir.path());
            setup.front = Some(http_1(&authority));
        });
        authority.issues(names, years).write(dir.path());
        world.stop();
        world.serve();
        let log = world.log();
        assert!(log.contains(part), "{part}: {log}");
        world.stop();
        let said = world.command(&["check"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.out.contains(part), "{part}: {said:?}");
        world.serve();
    }
}
