//! verify-pay-params: each field of the object misformed, missing or too much; orders that end.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::{Value, json};

use super::fixtures::{credentials, merchant, now, sandbox};
use super::pay_params_table::{NONCE, TIME, object, placed, verdict};
use super::sign_v2::SignType;
use super::trades::Protocol;

#[test]
fn each_field_of_the_object_altered_missing_or_misformed_is_named() {
    let sandbox = sandbox();
    let package = placed(&sandbox, Protocol::V3);
    let string = format!("{}\n{TIME}\n{NONCE}\n{package}\n", credentials().appid);
    let right = object(&package, "RSA", &merchant().sign(string.as_bytes()));
    let bare = package.trim_start_matches("prepay_id=");
    let long = "n".repeat(33);
    let table = [
        (
            "timeStamp",
            json!(1_767_196_830),
            "timeStamp: ",
            "timeStamp must be a string",
        ),
        (
            "timeStamp",
            json!("1767196830000"),
            "timeStamp: ",
            "timeStamp is in milliseconds",
        ),
        ("timeStamp", json!("2026-01-01"), "timeStamp: ", "10 digits"),
        (
            "timeStamp",
            json!("1767196831"),
            "paySign: ",
            "does not match",
        ),
        ("timeStamp", json!(""), "timeStamp: ", "is empty"),
        ("nonceStr", json!(long), "nonceStr: ", "1 to 32"),
        ("nonceStr", json!("a b"), "nonceStr: ", "1 to 32"),
        ("nonceStr", json!("4A1F"), "paySign: ", "does not match"),
        (
            "nonceStr",
            json!(4),
            "nonceStr: ",
            "nonceStr must be a string",
        ),
        (
            "package",
            json!(bare),
            "package: ",
            "followed by the prepay_id",
        ),
        (
            "package",
            json!("prepay_id="),
            "package: ",
            "holds no prepay_id",
        ),
        (
            "package",
            json!("prepay_id=wx2026010100003000"),
            "package: ",
            "is unknown",
        ),
        (
            "package",
            json!({"prepay_id": bare}),
            "package: ",
            "package must be a string",
        ),
        (
            "signType",
            json!("MD5"),
            "signType: ",
            "signType must be RSA",
        ),
        (
            "signType",
            json!("rsa"),
            "signType: ",
            "signType must be RSA",
        ),
        (
            "signType",
            Value::Null,
            "signType: ",
            "signType must be a string",
        ),
        (
            "paySign",
            json!(true),
            "paySign: ",
            "paySign must be a string",
        ),
        (
            "appId",
            json!("wx1"),
            "appId: ",
            "is not passed to wx.requestPayment",
        ),
        (
            "timestamp",
            json!(TIME),
            "timestamp: ",
            "the name is timeStamp",
        ),
        (
            "total_fee",
            json!("1"),
            "total_fee: ",
            "takes no such field",
        ),
    ];
    for (name, value, field, why) in table {
        let mut object = right.clone();
        object[name] = value.clone();
        let got = verdict(&sandbox, &object);
        assert!(
            got.starts_with(field) && got.contains(why),
            "{name}={value}: {got}"
        );
    }
    for name in ["timeStamp", "nonceStr", "package", "signType", "paySign"] {
        let mut object = right.clone();
        object.as_object_mut().unwrap().remove(name);
        let got = verdict(&sandbox, &object);
        assert!(
            got.starts_with(&format!("{name}: ")) && got.contains("is missing"),
            "{got}"
        );
    }
    assert!(verdict(&sandbox, &json!([right.clone()])).contains("must be a JSON object"));
    assert_eq!(verdict(&sandbox, &right), "ok");
}

#[test]
fn a_prepay_id_that_is_paid_or_expired_opens_nothing() {
    let sandbox = sandbox();
    let package = placed(&sandbox, Protocol::V3);
    let string = format!("{}\n{TIME}\n{NONCE}\n{package}\n", credentials().appid);
    let right = object(&package, "RSA", &merchant().sign(string.as_bytes()));
    let late = now().plus(Duration::from_secs(7200));
    let expired = sandbox.judge_pay_params(&right, late).unwrap_err();
    assert!(expired.why.contains("expired after 2 hours"), "{expired:?}");
    let prepay_id = package.trim_start_matches("prepay_id=");
    sandbox.book().trades.pay(prepay_id, now()).unwrap();
    let paid = sandbox.judge_pay_params(&right, now()).unwrap_err();
    assert!(paid.why.contains("paid already"), "{paid:?}");
}

#[test]
fn parameters_of_one_protocol_do_not_open_an_order_of_the_other() {
    let sandbox = sandbox();
    let package = placed(&sandbox, Protocol::V2(SignType::Md5));
    let string = format!("{}\n{TIME}\n{NONCE}\n{package}\n", credentials().appid);
    let rsa = object(&package, "RSA", &merchant().sign(string.as_bytes()));
    let got = verdict(&sandbox, &rsa);
    assert!(
        got.contains("placed with v2: signType must be MD5"),
        "{got}"
    );
}
