//! verify-pay-params as a table: each usual mistake is found, named, and nothing right is refused.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::Sandbox;
use super::fixtures::{OPENID, credentials, merchant, now, sandbox};
use super::sign_v2::SignType;
use super::trades::{Protocol, Wanted};
use crate::base::rsa::PrivateKey;
use crate::base::{Fen, Secret};

pub(super) const NONCE: &str = "4A1F01F45934432FEB118ABF0051B6D2";
pub(super) const TIME: &str = "1767196830";

pub(super) fn placed(sandbox: &Sandbox, protocol: Protocol) -> String {
    let order = Wanted {
        protocol,
        out_trade_no: "20260101000X9G000000000000".to_owned(),
        openid: OPENID.parse().unwrap(),
        total: Fen::new(5980),
        notify_url: "http://127.0.0.1:1/n".to_owned(),
        attach: None,
        description: String::new(),
        pays_until: None,
        fingerprint: [0; 32],
    };
    let prepay_id = sandbox.book().trades.open(order, now()).unwrap();
    format!("prepay_id={prepay_id}")
}

pub(super) fn object(package: &str, sign_type: &str, pay_sign: &str) -> Value {
    json!({
        "timeStamp": TIME,
        "nonceStr": NONCE,
        "package": package,
        "signType": sign_type,
        "paySign": pay_sign,
    })
}

/// `ok`, or `field: why`.
pub(super) fn verdict(sandbox: &Sandbox, object: &Value) -> String {
    match sandbox.judge_pay_params(object, now()) {
        Ok(_) => "ok".to_owned(),
        Err(wrong) => format!("{}: {}", wrong.field, wrong.why),
    }
}

fn digest(sign_type: SignType, string: &str, key: &Secret<String>) -> String {
    sign_type.digest(&format!("{string}&key={}", key.reveal()), key)
}

/// The v2 string with some of its parts replaced, written out by hand.
fn string_v2(appid: &str, package: &str, sign_type: &str, time: &str) -> String {
    format!(
        "appId={appid}&nonceStr={NONCE}&package={package}&signType={sign_type}&timeStamp={time}"
    )
}

#[test]
fn right_parameters_open_the_cashier_in_every_protocol() {
    for sign_type in [SignType::Md5, SignType::HmacSha256] {
        let sandbox = sandbox();
        let package = placed(&sandbox, Protocol::V2(sign_type));
        let string = string_v2(
            credentials().appid.as_str(),
            &package,
            sign_type.name(),
            TIME,
        );
        let sign = digest(sign_type, &string, &credentials().v2_key);
        let right = object(&package, sign_type.name(), &sign);
        assert_eq!(verdict(&sandbox, &right), "ok");
    }
    let sandbox = sandbox();
    let package = placed(&sandbox, Protocol::V3);
    let string = format!("{}\n{TIME}\n{NONCE}\n{package}\n", credentials().appid);
    let right = object(&package, "RSA", &merchant().sign(string.as_bytes()));
    assert_eq!(verdict(&sandbox, &right), "ok");
}

/// Fills the names of a template with what a right paySign is made of.
fn filled(template: &str, package: &str, sign_type: &str) -> String {
    let bare = package.trim_start_matches("prepay_id=");
    template
        .replace("{appid}", credentials().appid.as_str())
        .replace("{mchid}", credentials().mchid.as_str())
        .replace("{nonce}", NONCE)
        .replace("{package}", package)
        .replace("{bare}", bare)
        .replace("{type}", sign_type)
        .replace("{time}", TIME)
}

fn assert_named(sandbox: &Sandbox, object: &Value, why: &str) {
    let got = verdict(sandbox, object);
    let named = got.starts_with("paySign: ") && got.contains(why);
    assert!(named, "{why}: {got}");
}

/// What was signed in place of the right v2 string, and how it is named.
const WRONG_V2: [(&str, &str); 13] = [
    (
        "nonceStr={nonce}&package={package}&signType={type}&timeStamp={time}",
        "appId is missing from the signed string",
    ),
    (
        "appId={appid}&nonceStr={nonce}&package={package}&signType={type}",
        "timeStamp is missing from the signed string",
    ),
    (
        "appId={appid}&package={package}&signType={type}&timeStamp={time}",
        "nonceStr is missing from the signed string",
    ),
    (
        "appId={appid}&nonceStr={nonce}&signType={type}&timeStamp={time}",
        "package is missing from the signed string",
    ),
    (
        "appId={appid}&nonceStr={nonce}&package={package}&timeStamp={time}",
        "signType is missing from the signed string",
    ),
    (
        "appid={appid}&nonceStr={nonce}&package={package}&signType={type}&timeStamp={time}",
        "appid in the signed string must be spelled appId",
    ),
    (
        "appid={appid}&noncestr={nonce}&package={package}&signtype={type}&timestamp={time}",
        "are lower case",
    ),
    (
        "appId={appid}&timeStamp={time}&nonceStr={nonce}&package={package}&signType={type}",
        "not sorted by name",
    ),
    (
        "appId={appid}&nonceStr={nonce}&package={bare}&signType={type}&timeStamp={time}",
        "without its prepay_id= prefix",
    ),
    (
        "appId={appid}&nonceStr={nonce}&package=prepay_id%3D{bare}&signType={type}\
         &timeStamp={time}",
        "URL-encoded",
    ),
    (
        "appId={appid}&nonceStr={nonce}&package={package}&signType={type}&timeStamp={time}000",
        "timeStamp was in milliseconds",
    ),
    (
        "appId={mchid}&nonceStr={nonce}&package={package}&signType={type}&timeStamp={time}",
        "the mchid was signed in place of appId",
    ),
    (
        "appId={appid}&mch_id={mchid}&nonceStr={nonce}&package={package}&signType={type}\
         &timeStamp={time}",
        "mch_id must not be in the signed string",
    ),
];

#[test]
fn each_wrong_v2_signing_string_is_named() {
    for sign_type in [SignType::Md5, SignType::HmacSha256] {
        let sandbox = sandbox();
        let package = placed(&sandbox, Protocol::V2(sign_type));
        for (template, why) in WRONG_V2 {
            let string = filled(template, &package, sign_type.name());
            let sign = digest(sign_type, &string, &credentials().v2_key);
            assert_named(&sandbox, &object(&package, sign_type.name(), &sign), why);
        }
    }
}

#[test]
fn each_wrong_key_algorithm_or_form_of_a_v2_pay_sign_is_named() {
    let (v2, v3) = (&credentials().v2_key, &credentials().v3_key);
    for (by, other) in [
        (SignType::Md5, SignType::HmacSha256),
        (SignType::HmacSha256, SignType::Md5),
    ] {
        let sandbox = sandbox();
        let package = placed(&sandbox, Protocol::V2(by));
        let string = string_v2(credentials().appid.as_str(), &package, by.name(), TIME);
        let good = digest(by, &string, v2);
        let table = [
            (by.digest(&string, v2), "&key= is missing"),
            (digest(other, &string, v2), "but signType says"),
            (digest(by, &string, v3), "signed with the APIv3 key"),
            (
                digest(by, &string, &credentials().secret),
                "signed with the AppSecret",
            ),
            (good.to_ascii_lowercase(), "lower-case hexadecimal"),
            (merchant().sign(string.as_bytes()), "RSA signature (v3)"),
            (good[1..].to_owned(), "hexadecimal digits"),
            (
                digest(by, &string, &"x".repeat(32).as_str().into()),
                "does not match",
            ),
        ];
        for (sign, why) in table {
            assert_named(&sandbox, &object(&package, by.name(), &sign), why);
        }
    }
}

/// What was signed in place of the right v3 string, and how it is named.
const WRONG_V3: [(&str, &str); 10] = [
    ("{appid}\n{time}\n{nonce}\n{package}", "lacks its LF"),
    ("{appid}\r\n{time}\r\n{nonce}\r\n{package}\r\n", "CRLF"),
    (
        "{appid}\n{time}\n{nonce}\n{bare}\n",
        "without its prepay_id= prefix",
    ),
    ("{time}\n{nonce}\n{package}\n", "appId is missing"),
    (
        "{appid}\n{time}\n{nonce}\n{package}\nRSA\n",
        "signType must not be in the signed string",
    ),
    (
        "{appid}\n{time}000\n{nonce}\n{package}\n",
        "in milliseconds",
    ),
    ("{mchid}\n{time}\n{nonce}\n{package}\n", "in place of appId"),
    ("{appid}\n{nonce}\n{time}\n{package}\n", "are swapped"),
    (
        "{appid}\n{time}\n{nonce}\nprepay_id=wx0\n",
        "does not match",
    ),
    ("", "does not match"),
];

#[test]
fn each_wrong_v3_signing_string_is_named() {
    let sandbox = sandbox();
    let package = placed(&sandbox, Protocol::V3);
    for (template, why) in WRONG_V3 {
        let sign = merchant().sign(filled(template, &package, "RSA").as_bytes());
        assert_named(&sandbox, &object(&package, "RSA", &sign), why);
    }
}

#[test]
fn each_wrong_key_or_form_of_a_v3_pay_sign_is_named() {
    let sandbox = sandbox();
    let package = placed(&sandbox, Protocol::V3);
    let (appid, key) = (credentials().appid.as_str(), &credentials().v2_key);
    let right = format!("{appid}\n{TIME}\n{NONCE}\n{package}\n");
    let string_v2 = string_v2(appid, &package, "RSA", TIME);
    let keyed = format!("{string_v2}&key={}", key.reveal());
    let table = [
        (
            merchant().sign(keyed.as_bytes()),
            "the v2 string was signed",
        ),
        (SignType::Md5.digest(&keyed, key), "a v2 digest"),
        (SignType::HmacSha256.digest(&keyed, key), "a v2 digest"),
        (
            PrivateKey::generate().sign(right.as_bytes()),
            "does not match",
        ),
        ("***".to_owned(), "not standard base64"),
    ];
    for (sign, why) in table {
        assert_named(&sandbox, &object(&package, "RSA", &sign), why);
    }
}
