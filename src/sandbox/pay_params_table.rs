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

#[test]
fn each_wrong_v2_signing_string_is_named() {
    let appid = credentials().appid.as_str();
    let (v2, v3) = (&credentials().v2_key, &credentials().v3_key);
    for (sign_type, other) in [
        (SignType::Md5, SignType::HmacSha256),
        (SignType::HmacSha256, SignType::Md5),
    ] {
        let sandbox = sandbox();
        let package = placed(&sandbox, Protocol::V2(sign_type));
        let bare = package.trim_start_matches("prepay_id=");
        let name = sign_type.name();
        let right = string_v2(appid, &package, name, TIME);
        let no_appid = right.replace(&format!("appId={appid}&"), "");
        let no_time = right.replace(&format!("&timeStamp={TIME}"), "");
        let no_nonce = right.replace(&format!("nonceStr={NONCE}&"), "");
        let no_type = right.replace(&format!("&signType={name}"), "");
        let small_appid = format!(
            "appid={appid}&nonceStr={NONCE}&package={package}&signType={name}&timeStamp={TIME}"
        );
        let all_small = format!(
            "appid={appid}&noncestr={NONCE}&package={package}&signtype={name}&timestamp={TIME}"
        );
        let unsorted = format!(
            "appId={appid}&timeStamp={TIME}&nonceStr={NONCE}&package={package}&signType={name}"
        );
        let millis = string_v2(appid, &package, name, &format!("{TIME}000"));
        let mchid = string_v2(credentials().mchid.as_str(), &package, name, TIME);
        let encoded = string_v2(appid, &format!("prepay_id%3D{bare}"), name, TIME);
        let more = right.replace(
            "&nonceStr",
            &format!("&mch_id={}&nonceStr", credentials().mchid),
        );
        let good = digest(sign_type, &right, v2);
        let table = [
            (
                digest(sign_type, &no_appid, v2),
                "appId is missing from the signed string",
            ),
            (
                digest(sign_type, &no_time, v2),
                "timeStamp is missing from the signed string",
            ),
            (
                digest(sign_type, &no_nonce, v2),
                "nonceStr is missing from the signed string",
            ),
            (
                digest(sign_type, &no_type, v2),
                "signType is missing from the signed string",
            ),
            (
                digest(sign_type, &small_appid, v2),
                "appid in the signed string must be spelled appId",
            ),
            (digest(sign_type, &all_small, v2), "are lower case"),
            (digest(sign_type, &unsorted, v2), "not sorted by name"),
            (
                digest(sign_type, &string_v2(appid, bare, name, TIME), v2),
                "without its prepay_id=",
            ),
            (
                digest(sign_type, &millis, v2),
                "timeStamp was in milliseconds",
            ),
            (
                digest(sign_type, &mchid, v2),
                "the mchid was signed in place of appId",
            ),
            (digest(sign_type, &encoded, v2), "URL-encoded"),
            (
                digest(sign_type, &more, v2),
                "mch_id must not be in the signed string",
            ),
            (sign_type.digest(&right, v2), "&key= is missing"),
            (digest(other, &right, v2), "but signType says"),
            (digest(sign_type, &right, v3), "signed with the APIv3 key"),
            (
                digest(sign_type, &right, &credentials().secret),
                "signed with the AppSecret",
            ),
            (good.to_ascii_lowercase(), "lower-case hexadecimal"),
            (merchant().sign(right.as_bytes()), "RSA signature (v3)"),
            (good[1..].to_owned(), "hexadecimal digits"),
            (
                digest(sign_type, &right, &"x".repeat(32).as_str().into()),
                "does not match",
            ),
        ];
        for (pay_sign, why) in table {
            let got = verdict(&sandbox, &object(&package, name, &pay_sign));
            assert!(
                got.starts_with("paySign: ") && got.contains(why),
                "{why}: {got}"
            );
        }
    }
}

#[test]
fn each_wrong_v3_signing_string_is_named() {
    let sandbox = sandbox();
    let package = placed(&sandbox, Protocol::V3);
    let bare = package.trim_start_matches("prepay_id=");
    let (appid, mchid) = (&credentials().appid, &credentials().mchid);
    let right = format!("{appid}\n{TIME}\n{NONCE}\n{package}\n");
    let sign = |string: String| merchant().sign(string.as_bytes());
    let v2_string = string_v2(appid.as_str(), &package, "RSA", TIME);
    let keyed = format!("{v2_string}&key={}", credentials().v2_key.reveal());
    let table = [
        (
            sign(right.trim_end().to_owned()),
            "the last line of the signed string lacks its LF",
        ),
        (sign(right.replace('\n', "\r\n")), "CRLF"),
        (
            sign(format!("{appid}\n{TIME}\n{NONCE}\n{bare}\n")),
            "without its prepay_id= prefix",
        ),
        (
            sign(format!("{TIME}\n{NONCE}\n{package}\n")),
            "appId is missing",
        ),
        (
            sign(format!("{right}RSA\n")),
            "signType must not be in the signed string",
        ),
        (
            sign(format!("{appid}\n{TIME}000\n{NONCE}\n{package}\n")),
            "in milliseconds",
        ),
        (
            sign(format!("{mchid}\n{TIME}\n{NONCE}\n{package}\n")),
            "in place of appId",
        ),
        (
            sign(format!("{appid}\n{NONCE}\n{TIME}\n{package}\n")),
            "are swapped",
        ),
        (sign(keyed.clone()), "the v2 string was signed"),
        (
            SignType::Md5.digest(&keyed, &credentials().v2_key),
            "a v2 digest",
        ),
        (
            SignType::HmacSha256.digest(&keyed, &credentials().v2_key),
            "a v2 digest",
        ),
        (
            PrivateKey::generate().sign(right.as_bytes()),
            "does not match",
        ),
        (
            sign(right.replace("\nprepay", "\nPREPAY")),
            "does not match",
        ),
        ("***".to_owned(), "not standard base64"),
    ];
    for (pay_sign, why) in table {
        let got = verdict(&sandbox, &object(&package, "RSA", &pay_sign));
        assert!(
            got.starts_with("paySign: ") && got.contains(why),
            "{why}: {got}"
        );
    }
}
