//! `zhanggui check` against the simulator: all is well, and each thing that can be wrong is told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::program::{Said, run};
use crate::world::World;
use zhanggui::base::rsa::PrivateKey;

fn world() -> World {
    // It opens a payment for nobody, which WeChat has to refuse.
    World::with(|setup| setup.may_be_refused = true)
}

fn check(world: &World, environment: &[(&str, &str)]) -> Said {
    run(world.dir.path(), &["check"], environment)
}

/// Asserts that exactly one thing is red and that it says all of `parts`, with exit code 1.
fn red(said: &Said, parts: &[&str]) {
    assert_eq!(said.code, Some(1), "{said:?}");
    let marks = ["[缺]", "[坏]", "[错]"];
    let count = |mark: &&str| said.out.matches(*mark).count();
    assert_eq!(marks.iter().map(count).sum::<usize>(), 1, "{}", said.out);
    let at = said.out.find("[坏]").or(said.out.find("[缺]"));
    let finding = &said.out[at.unwrap()..];
    for part in parts {
        assert!(finding.contains(part), "{part} is not said: {}", said.out);
    }
    assert!(
        finding.contains("处理：") && finding.contains("Fix: "),
        "{}",
        said.out
    );
}

#[test]
fn check_finds_nothing_wrong_with_a_whole_shop_and_names_what_a_bare_config_lacks() {
    for version in ["v2", "v3"] {
        let world = World::with(|setup| {
            setup.version = version;
            setup.may_be_refused = true;
        });
        let whole = world.command(&["check"]);
        assert_eq!(whole.code, Some(0), "{whole:?}");
        for part in [
            "access_token",
            "签名",
            "已绑定",
            "通到本服务",
            "磁盘",
            "数据目录",
        ] {
            assert!(
                whole.out.contains(part),
                "{part} was not looked at: {}",
                whole.out
            );
        }
        for (section, key) in [("wechat", "secret"), ("wechat.pay", "v2_key")] {
            let secret = world.setting(section, key).unwrap();
            assert!(!whole.out.contains(&secret) && !whole.err.contains(&secret));
        }
    }
    let world = world();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml.example");
    let bare = run(world.dir.path(), &["check", "--config", example], &[]);
    assert_eq!(bare.code, Some(1), "{bare:?}");
    let said = format!("{}{}", bare.out, bare.err);
    for name in ["salt", "field_key", "appid", "secret"] {
        assert!(said.contains(name), "{name} is not named: {said}");
    }
}

#[test]
fn check_passes_before_the_server_runs() {
    let mut world = world();
    world.stop();
    // Where the server will listen is where our public address leads.
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listen.local_addr().unwrap().to_string();
    drop(listen);
    let url = format!("http://{address}");
    let environment = [
        ("ZHANGGUI_SERVER__LISTEN", address.as_str()),
        ("ZHANGGUI_SERVER__PUBLIC_URL", url.as_str()),
    ];
    let said = check(&world, &environment);
    assert_eq!(said.code, Some(0), "{said:?}");
    world.serve();
}

#[test]
fn check_tells_a_wrong_secret() {
    let wrong = "0123456789abcdef0123456789abcdef";
    let said = check(&world(), &[("ZHANGGUI_WECHAT__SECRET", wrong)]);
    red(&said, &["AppSecret", "[wechat] secret"]);
    assert!(!said.out.contains(wrong), "{}", said.out);
}

#[test]
fn check_tells_keys_that_are_not_the_merchants() {
    let v2 = World::with(|setup| {
        setup.version = "v2";
        setup.may_be_refused = true;
    });
    let key = "0123456789abcdef0123456789abcdef";
    red(
        &check(&v2, &[("ZHANGGUI_WECHAT__PAY__V2_KEY", key)]),
        &["签名"],
    );
    let v3 = World::with(|setup| {
        setup.version = "v3";
        setup.may_be_refused = true;
    });
    let serial = "0123456789ABCDEF0123456789ABCDEF01234567";
    let said = check(&v3, &[("ZHANGGUI_WECHAT__PAY__MERCHANT_SERIAL", serial)]);
    red(&said, &["SIGN_ERROR"]);
    let id = "PUB_KEY_ID_0000000000000000000000000001";
    let said = check(&v3, &[("ZHANGGUI_WECHAT__PAY__WECHAT_PUBLIC_KEY_ID", id)]);
    red(&said, &["Wechatpay-Serial"]);
    let other = v3.dir.path().join("other.pem");
    fs::write(&other, PrivateKey::generate().public().to_pem()).unwrap();
    let other = other.to_str().unwrap();
    let said = check(
        &v3,
        &[("ZHANGGUI_WECHAT__PAY__WECHAT_PUBLIC_KEY_FILE", other)],
    );
    red(&said, &["wechat_public_key_id", "不能采信"]);
}

#[test]
fn check_opens_the_certificates_with_the_api_key_and_tells_a_wrong_one() {
    let world = World::with(|setup| {
        setup.may_be_refused = true;
        setup.more = vec![("wechat.pay.verify_with", "certificate".into())];
    });
    let mode = json!({ "mode": "certificate" });
    let path = "/sandbox/certificates";
    world.wechat.call("PUT", path, &mode).expect(200);
    let said = check(&world, &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("解开了 1 张平台证书"), "{}", said.out);
    let key = "0123456789abcdef0123456789abcdef";
    let said = check(&world, &[("ZHANGGUI_WECHAT__PAY__V3_KEY", key)]);
    red(&said, &["平台证书", "v3_key"]);
    let none = json!({ "answer": "not_found" });
    world.wechat.call("PUT", path, &none).expect(200);
    red(&check(&world, &[]), &["没有平台证书", "public_key"]);
}

#[test]
fn check_tells_keys_that_do_not_fit_each_other() {
    let world = world();
    let golden = |name: &str| format!("{}/tests/golden/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let cert = golden("localhost.pem");
    let key = world.dir.path().join("client_key.pem");
    fs::copy(golden("localhost_key.pem"), &key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let (own, foreign) = (
        key.to_str().unwrap(),
        world.setting("wechat.pay", "merchant_key_file").unwrap(),
    );
    let pair = |key: &str| {
        let environment = [
            ("ZHANGGUI_WECHAT__PAY__V2_CLIENT_CERT_FILE", cert.as_str()),
            ("ZHANGGUI_WECHAT__PAY__V2_CLIENT_KEY_FILE", key),
        ];
        check(&world, &environment)
    };
    assert_eq!(pair(own).code, Some(0));
    red(&pair(&foreign), &["v2_client_key_file", "不是一对"]);
    let certificate = ("ZHANGGUI_WECHAT__PAY__V2_CLIENT_CERT_FILE", cert.as_str());
    let both = [
        certificate,
        ("ZHANGGUI_WECHAT__PAY__V2_CLIENT_KEY_FILE", own),
        ("ZHANGGUI_WECHAT__PAY__MERCHANT_KEY_FILE", own),
    ];
    red(&check(&world, &both), &["merchant_serial", "656B6424"]);
    let id = ("ZHANGGUI_WECHAT__PAY__WECHAT_PUBLIC_KEY_ID", "5157F09E");
    red(&check(&world, &[id]), &["PUB_KEY_ID_"]);
}

#[test]
fn check_tells_an_address_that_does_not_answer_or_leads_elsewhere() {
    let world = world();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let said = check(&world, &[("ZHANGGUI_WECHAT__PAY__API_BASE", &closed)]);
    red(&said, &["[wechat.pay] api_base", "connect"]);
    let nowhere = "https://no.invalid";
    let said = check(&world, &[("ZHANGGUI_WECHAT__API_BASE", nowhere)]);
    red(&said, &["[wechat] api_base", "DNS"]);
    let simulator = world.setting("wechat", "api_base").unwrap();
    let said = check(&world, &[("ZHANGGUI_SERVER__PUBLIC_URL", &simulator)]);
    red(&said, &["public_url", "404"]);
    let tls = simulator.replace("http://", "https://");
    let said = check(&world, &[("ZHANGGUI_WECHAT__API_BASE", &tls)]);
    red(&said, &["TLS"]);
}

#[test]
fn check_tells_what_others_can_read() {
    let world = world();
    let chmod = |name: &str, mode| {
        let path = world.dir.path().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod("config.toml", 0o644);
    red(&world.command(&["check"]), &["config.toml", "chmod 600"]);
    chmod("config.toml", 0o600);
    let directory = world.setting("store", "data_dir").unwrap();
    chmod(&directory, 0o755);
    red(&world.command(&["check"]), &["数据目录", "chmod 700"]);
    chmod(&directory, 0o700);
}
