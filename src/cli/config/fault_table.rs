//! Every way a value can be wrong, as a table: lines, where the fault is, which key, which class.

use super::FaultKind::{self, Conflict, File, Missing, NotYet, Range, Syntax, Type, Unknown};
use super::Place;
use super::tests::{least, of, seen};

/// Lines, the line of the fault, its key, its class. The lines stand behind the least
/// configuration: the first of them is line 8.
const TABLE: &[(&str, usize, &str, FaultKind)] = &[
    (
        "[server]\nlisten = \"localhost\"",
        9,
        "[server] listen",
        Range,
    ),
    ("[server]\nlisten = 8080", 9, "[server] listen", Type),
    (
        "[server]\nlissten = \"127.0.0.1:1\"",
        9,
        "[server] lissten",
        Unknown,
    ),
    (
        "[server]\npublic_url = \"http://shop.example.com\"",
        9,
        "[server] public_url",
        Range,
    ),
    (
        "[server]\ntrusted_proxies = \"10.0.0.0/8\"",
        9,
        "[server] trusted_proxies",
        Type,
    ),
    (
        "[server]\ntrusted_proxies = [\"10.0.0.0/33\"]",
        9,
        "[server] trusted_proxies",
        Range,
    ),
    (
        "[server]\ntrusted_proxies = [1]",
        9,
        "[server] trusted_proxies",
        Type,
    ),
    ("[server.tls]\nmode = \"on\"", 9, "[server.tls] mode", Range),
    (
        "[server.tls]\nmode = \"acme\"",
        9,
        "[server.tls] mode",
        NotYet,
    ),
    ("[backup]\ndir = \"data/b\"", 9, "[backup] dir", Conflict),
    (
        "[order]\n\npay_within_s = 0",
        10,
        "[order] pay_within_s",
        Range,
    ),
    (
        "[order]\npay_within_s = 604801",
        9,
        "[order] pay_within_s",
        Range,
    ),
    (
        "[order]\npay_within_s = -1",
        9,
        "[order] pay_within_s",
        Range,
    ),
    (
        "[order]\npay_within_s = 1800.0",
        9,
        "[order] pay_within_s",
        Type,
    ),
    (
        "[order]\npay_within_s = \"1800\"",
        9,
        "[order] pay_within_s",
        Type,
    ),
    (
        "[order]\npay_within_s = 99999999999999999999",
        9,
        "[order] pay_within_s",
        Range,
    ),
    ("[order]\nbody = \"\"", 9, "[order] body", Range),
    ("[shop]\nname = \"x\"", 8, "[shop]", Unknown),
    ("[limits.more]\nx = 1", 8, "[limits.more]", Unknown),
    ("[[log]]\nlevel = \"info\"", 8, "[log]", Type),
    ("[log]\nlevel = true", 9, "[log] level", Type),
    ("[log]\nlevel = \"loud\"", 9, "[log] level", Range),
    ("[log]\nlevel = info", 9, "语法", Syntax),
    ("[log\nlevel = \"info\"", 8, "语法", Syntax),
    ("[log]\nlevel_file = \"x\"", 9, "[log] level_file", Unknown),
    ("[log]\nLEVEL = \"info\"", 9, "[log] LEVEL", Unknown),
    (
        "[server]\nmetrics_token = 5",
        9,
        "[server] metrics_token",
        Type,
    ),
    (
        "[server]\nmetrics_token = \"a\"\nmetrics_token_file = \"b\"",
        9,
        "[server] metrics_token",
        Conflict,
    ),
    (
        "[server]\nmetrics_token_file = \"/nonexistent/t\"",
        9,
        "[server] metrics_token_file",
        File,
    ),
    (
        "[wechat.pay]\nv2_key = \"short\"",
        9,
        "[wechat.pay] v2_key",
        Range,
    ),
    (
        "[wechat.pay]\nv3_key = \"short\"",
        9,
        "[wechat.pay] v3_key",
        Range,
    ),
    (
        "[wechat.pay]\nmerchant_serial = \"xyz\"",
        9,
        "[wechat.pay] merchant_serial",
        Range,
    ),
    (
        "[wechat.pay]\nversion = \"v4\"",
        9,
        "[wechat.pay] version",
        Range,
    ),
    (
        "[wechat.pay]\nverify_with = \"both\"",
        8,
        "[wechat.pay] wechat_public_key_id",
        Missing,
    ),
    (
        "[wechat.pay]\nverify_with = \"public_key\"",
        8,
        "[wechat.pay] wechat_public_key_file",
        Missing,
    ),
    (
        "[wechat.pay]\nverify_with = \"sm2\"",
        9,
        "[wechat.pay] verify_with",
        Range,
    ),
    (
        "[wechat.pay]\nwechat_public_key_id = \"PUB_KEY_ID_1\"",
        8,
        "[wechat.pay] wechat_public_key_file",
        Missing,
    ),
    (
        "[wechat.pay]\napi_base_2 = \"http://api2.mch.weixin.qq.com\"",
        9,
        "[wechat.pay] api_base_2",
        Range,
    ),
    (
        "[wechat.pay]\napi_base = \"http://api.mch.weixin.qq.com\"",
        9,
        "[wechat.pay] api_base",
        Range,
    ),
    (
        "[wechat.pay]\nmerchant_key_file = \"/nonexistent/k\"",
        9,
        "[wechat.pay] merchant_key_file",
        File,
    ),
    (
        "[wechat.pay]\nmerchant_key_file = \"Cargo.toml\"",
        9,
        "[wechat.pay] merchant_key_file",
        File,
    ),
    (
        "[wechat.pay]\nmchid = \"1900000109\"\nversion = \"v2\"",
        8,
        "[wechat.pay] v2_key",
        Missing,
    ),
    (
        "[wechat.pay]\nmchid = \"19 00\"",
        9,
        "[wechat.pay] mchid",
        Range,
    ),
];

#[test]
fn each_fault_is_named_with_its_line_its_key_and_its_class() {
    for (lines, line, key, kind) in TABLE {
        let faults = of(&format!("{}{lines}\n", least())).err();
        let faults = faults.unwrap_or_else(|| panic!("{lines:?} is taken"));
        let wanted = (Place::Line(*line), *key, *kind);
        assert!(seen(&faults).contains(&wanted), "{lines:?}: {faults:#?}");
        for fault in faults {
            assert!(
                !fault.cause.is_empty() && !fault.remedy.is_empty(),
                "{fault}"
            );
        }
    }
}
