//! What a configuration may say, and what it is told when it may not.

use std::collections::BTreeSet;

use super::*;
use crate::base::rsa::PrivateKey;
use crate::cli::log::LogFormat;
use crate::wechat::Version;

const FIELD_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const SALT: &str = "salt-Xk27";
const APP_SECRET: &str = "appsecret-93jf";
const V2_KEY: &str = "5e8b0ec6c7f04d4ab6d3a0f1c1c3b0a9";
const V3_KEY: &str = "abcdefghijklmnopqrstuvwxyz012345";

/// The least that is well: lines 1 to 7.
pub(super) fn least() -> String {
    format!(
        "[store]\nfield_key = \"{FIELD_KEY}\"\n[token]\nsalt = \"{SALT}\"\n\
         [wechat]\nappid = \"wx1\"\nsecret = \"{APP_SECRET}\"\n"
    )
}

pub(super) fn of(text: &str) -> Result<Config, Vec<Fault>> {
    parse(text, std::iter::empty())
}

fn with(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<Fault>> {
    let variables = variables
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    parse(text, variables)
}

pub(super) fn seen(faults: &[Fault]) -> Vec<(Place, &str, FaultKind)> {
    faults
        .iter()
        .map(|f| (f.place.clone(), f.key.as_str(), f.kind))
        .collect()
}

/// Every key of v3, its PEM files in `dir`.
fn v3(dir: &Path) -> String {
    let key = PrivateKey::generate();
    let (merchant, wechat) = (dir.join("m.pem"), dir.join("w.pem"));
    std::fs::write(&merchant, key.to_pem()).unwrap();
    std::fs::write(&wechat, key.public().to_pem()).unwrap();
    format!(
        "[server]\npublic_url = \"https://shop.example.com/\"\n\
         [wechat.pay]\nmchid = \"1900000109\"\n\
         v3_key = \"{V3_KEY}\"\nmerchant_serial = \"{}\"\nmerchant_key_file = {merchant:?}\n\
         wechat_public_key_id = \"PUB_KEY_ID_1\"\nwechat_public_key_file = {wechat:?}\n",
        "5a".repeat(20)
    )
}

#[test]
fn the_least_configuration_has_the_contracts_defaults() {
    let config = of(&least()).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.wechat.api_base, "https://api.weixin.qq.com");
    assert_eq!(config.pay.api_base, "https://api.mch.weixin.qq.com");
    assert_eq!(config.pay.version, Version::V3);
    assert!(config.pay.merchant.is_none() && config.admin.listen.is_none());
    assert_eq!(config.token.ttl.as_secs(), 7200);
    assert_eq!(config.order.pay_within.as_secs(), 1800);
    assert_eq!(config.order.body, "商城订单");
    assert_eq!(config.limits.web.max_body_bytes, 256 * 1024);
    assert_eq!(
        (config.log.format, &*config.log.level),
        (LogFormat::Pretty, "info")
    );
}

#[test]
fn all_faults_are_listed_at_once_in_their_order() {
    let text = "[server]\nlisten = 1\nnope = 2\n[token]\nttl_s = 0\n[wechat]\nappid = \"\"\n\
                [more]\n[log]\nlevel = \"x\"\n";
    let faults = with(text, &[("ZHANGGUI_NOPE", "1")]).unwrap_err();
    use FaultKind::{Missing, Range, Type, Unknown};
    let line = Place::Line;
    let wanted = vec![
        (line(2), "[server] listen", Type),
        (line(3), "[server] nope", Unknown),
        (line(4), "[token] salt", Missing),
        (line(5), "[token] ttl_s", Range),
        (line(6), "[wechat] secret", Missing),
        (line(7), "[wechat] appid", Missing),
        (line(8), "[more]", Unknown),
        (line(10), "[log] level", Range),
        (line(10), "[store] field_key", Missing),
        (
            Place::Variable("ZHANGGUI_NOPE".into()),
            "ZHANGGUI_NOPE",
            Unknown,
        ),
    ];
    let mut found = seen(&faults);
    found.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    assert_eq!(found, wanted);
}

#[test]
fn a_wrong_name_is_answered_with_the_likely_one() {
    let faults = of(&format!("{}[limits]\nmax_body_mb = 1\n", least())).unwrap_err();
    assert!(
        faults[0].remedy.contains("[limits] max_body_kb"),
        "{}",
        faults[0]
    );
}

#[test]
fn the_environment_wins_and_reaches_every_key() {
    let config = with(
        &least(),
        &[
            ("ZHANGGUI_SERVER__LISTEN", "127.0.0.1:0"),
            ("ZHANGGUI_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
            ("ZHANGGUI_ORDER__PAY_WITHIN_S", "60"),
            ("ZHANGGUI_WECHAT__PAY__V2_SIGN_TYPE", "MD5"),
            ("ZHANGGUI_WECHAT__APPID", "wx2"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:0");
    assert_eq!(config.server.trusted_proxies, ["10.0.0.0/8", "::1"]);
    assert_eq!(config.order.pay_within.as_secs(), 60);
    assert_eq!(config.wechat.appid.as_str(), "wx2");
    let variables: BTreeSet<_> = KEYS.iter().map(Key::variable).collect();
    assert_eq!(variables.len(), KEYS.len());
    assert!(variables.contains("ZHANGGUI_WECHAT__PAY__V2_KEY"));
}

#[test]
fn a_wrong_variable_is_named() {
    for (name, value, kind) in [
        ("ZHANGGUI_ORDER__PAY_WITHIN_S", "soon", FaultKind::Type),
        ("ZHANGGUI_ORDER__PAY_WITHIN_S", "", FaultKind::Type),
        ("ZHANGGUI_ORDER__PAY_WITHIN_S", "+5", FaultKind::Type),
        ("ZHANGGUI_LOG__LEVEL", "loud", FaultKind::Range),
        ("ZHANGGUI_LOG__LEVEL_FILE", "x", FaultKind::Unknown),
        ("ZHANGGUI_LOG_LEVEL", "info", FaultKind::Unknown),
        (
            "ZHANGGUI_TOKEN__SALT_FILE",
            "/nonexistent/salt",
            FaultKind::File,
        ),
        ("ZHANGGUI_TOKEN__SALT", "", FaultKind::Missing),
    ] {
        let faults = with(&least(), &[(name, value)]).unwrap_err();
        assert_eq!(faults.len(), 1, "{name}: {faults:#?}");
        assert_eq!(
            (&faults[0].place, faults[0].kind),
            (&Place::Variable(name.into()), kind)
        );
    }
}

#[test]
fn a_secrets_file_loses_one_newline_only() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("salt");
    let path = file.to_str().unwrap();
    for (held, salt) in [("abc\n", "abc"), ("abc", "abc"), (" abc", " abc")] {
        std::fs::write(&file, held).unwrap();
        let config = with(&least(), &[("ZHANGGUI_TOKEN__SALT_FILE", path)]).unwrap();
        assert_eq!(config.token.salt.reveal(), salt);
        let text = least().replace(
            &format!("salt = \"{SALT}\""),
            &format!("salt_file = {path:?}"),
        );
        assert_eq!(of(&text).unwrap().token.salt.reveal(), salt);
    }
    std::fs::write(&file, "abc\n\n").unwrap();
    let faults = with(&least(), &[("ZHANGGUI_TOKEN__SALT_FILE", path)]).unwrap_err();
    assert_eq!(faults[0].kind, FaultKind::Range);
}

#[test]
fn a_merchant_number_asks_for_all_keys_of_its_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let whole = v3(dir.path());
    let config = of(&format!("{}{whole}", least())).unwrap();
    assert_eq!(config.server.public_url, "https://shop.example.com");
    let merchant = config.pay.merchant.unwrap();
    assert!(merchant.v2.is_none());
    assert_eq!(merchant.v3.unwrap().merchant_serial, "5A".repeat(20));
    for (title, name) in [
        ("[wechat.pay] mchid", "mchid"),
        ("[server] public_url", "public_url"),
        ("[wechat.pay] v3_key", "v3_key"),
        ("[wechat.pay] merchant_serial", "merchant_serial"),
        ("[wechat.pay] merchant_key_file", "merchant_key_file"),
        ("[wechat.pay] wechat_public_key_id", "wechat_public_key_id"),
        (
            "[wechat.pay] wechat_public_key_file",
            "wechat_public_key_file",
        ),
    ] {
        let start = format!("{name} =");
        let lines = whole.lines().filter(|line| !line.starts_with(&start));
        let text = format!("{}{}\n", least(), lines.collect::<Vec<_>>().join("\n"));
        let faults = of(&text).unwrap_err();
        let keys: Vec<_> = faults.iter().map(|f| (f.key.as_str(), f.kind)).collect();
        assert_eq!(keys, [(title, FaultKind::Missing)], "{name}");
    }
}

#[test]
fn neither_debug_nor_a_message_shows_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let secrets =
        "[server]\nmetrics_token = \"metrics-77\"\n[wechat]\nmessage_token = \"push-77\"\n";
    let text = format!("{}{}v2_key = \"{V2_KEY}\"\n", least(), v3(dir.path()));
    let text = text
        .replace("[server]\n", "[server]\nmetrics_token = \"metrics-77\"\n")
        .replace("[wechat]\n", "[wechat]\nmessage_token = \"push-77\"\n");
    let pem = std::fs::read_to_string(dir.path().join("m.pem")).unwrap();
    let pem_line = pem.lines().nth(1).unwrap();
    let shown = format!("{:?}", of(&text).unwrap());
    let broken = text.replace("\"\n", "\n") + secrets;
    let told = of(&broken)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect::<String>();
    let wrong = [
        FIELD_KEY,
        SALT,
        APP_SECRET,
        V2_KEY,
        V3_KEY,
        "metrics-77",
        "push-77",
        pem_line,
    ];
    for secret in wrong {
        assert!(!shown.contains(secret), "{secret} in {shown}");
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}

#[test]
fn the_example_names_exactly_the_keys_and_their_defaults() {
    let example = include_str!("../../../config.toml.example");
    let table: toml::Table = example.parse().unwrap();
    let mut named = BTreeSet::new();
    collect("", &table, &mut named);
    let keys = KEYS
        .iter()
        .map(|key| (key.section.to_owned(), key.name.to_owned()));
    assert_eq!(named, keys.collect());
    let filled = example
        .replace("field_key = \"\"", &format!("field_key = \"{FIELD_KEY}\""))
        .replace("salt = \"\"", "salt = \"s\"")
        .replace("appid = \"\"", "appid = \"wx1\"")
        .replace("\nsecret = \"\"", "\nsecret = \"s\"");
    let example = format!("{:?}", of(&filled).unwrap());
    let defaults = format!("{:?}", of(&least()).unwrap());
    let shop = "public_url: \"https://shop.example.com\"";
    assert_eq!(example.replace(shop, "public_url: \"\""), defaults);
}

fn collect(section: &str, table: &toml::Table, named: &mut BTreeSet<(String, String)>) {
    for (name, value) in table {
        match value {
            toml::Value::Table(inner) if section.is_empty() => collect(name, inner, named),
            toml::Value::Table(inner) => collect(&format!("{section}.{name}"), inner, named),
            _ => _ = named.insert((section.to_owned(), name.clone())),
        }
    }
}

#[test]
fn without_a_public_key_platform_certificates_verify_and_both_wants_both() {
    let dir = tempfile::tempdir().unwrap();
    let whole = v3(dir.path());
    let bare: Vec<_> = whole
        .lines()
        .filter(|line| !line.starts_with("wechat_public_key"))
        .collect();
    let bare = bare.join("\n") + "\n";
    let wants = |pay: &str, mode: &str| {
        let config = of(&format!("{}{pay}verify_with = \"{mode}\"\n", least())).ok()?;
        let trust = config.pay.merchant?.v3?.wechat_keys;
        Some((trust.wants_certificates(), trust.ring().serials().len()))
    };
    for (mode, with_key, without) in [
        ("auto", Some((false, 1)), Some((true, 0))),
        ("public_key", Some((false, 1)), None),
        ("certificate", Some((true, 0)), Some((true, 0))),
        ("both", Some((true, 1)), None),
    ] {
        assert_eq!(wants(&whole, mode), with_key, "{mode}");
        assert_eq!(wants(&bare, mode), without, "{mode}");
    }
}

#[test]
fn the_second_host_is_wechats_own_behind_its_main_one_only() {
    let second = |lines: &str| of(&format!("{}[wechat.pay]\n{lines}", least())).unwrap();
    let second = |lines: &str| second(lines).pay.api_base_2;
    let own = "https://api2.mch.weixin.qq.com";
    assert_eq!(second("").as_deref(), Some(own));
    assert_eq!(second("api_base = \"http://127.0.0.1:1\"\n"), None);
    let other = "api_base_2 = \"https://api2.wechatpay.cn/\"\n";
    assert_eq!(second(other).as_deref(), Some("https://api2.wechatpay.cn"));
}

#[test]
fn a_v2_certificate_needs_its_key_and_the_other_way_round() {
    let golden = |name: &str| format!("{}/tests/golden/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let cert = format!("v2_client_cert_file = {:?}\n", golden("localhost.pem"));
    let key = format!("v2_client_key_file = {:?}\n", golden("localhost_key.pem"));
    let pay = "[server]\npublic_url = \"https://shop.example.com\"\n[wechat.pay]\n\
               version = \"v2\"\nmchid = \"1900000109\"\n";
    let of = |lines: &str| of(&format!("{}{pay}v2_key = \"{V2_KEY}\"\n{lines}", least()));
    let merchant = of(&format!("{cert}{key}")).unwrap().pay.merchant.unwrap();
    assert!(merchant.v2_identity.is_some());
    assert!(of("").unwrap().pay.merchant.unwrap().v2_identity.is_none());
    for (half, missing) in [(&cert, "v2_client_key_file"), (&key, "v2_client_cert_file")] {
        let faults = of(half).unwrap_err();
        assert_eq!(faults[0].key, format!("[wechat.pay] {missing}"));
        assert_eq!(faults[0].kind, FaultKind::Missing);
    }
}
