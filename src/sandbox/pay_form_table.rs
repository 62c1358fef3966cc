//! verify-pay-params: each field of the object misformed, missing or too much; orders that end.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::{Value, json};

use super::Sandbox;
use super::fixtures::{credentials, merchant, now, rows, sandbox};
use super::pay_params_table::{NONCE, TIME, object, placed, verdict};
use super::sign_v2::SignType;
use super::trades::Protocol;

/// Field, JSON value, the field that is named, why.
const MISFORMED: &str = r#"
timeStamp | 1767196830                    | timeStamp | timeStamp must be a string
timeStamp | "1767196830000"               | timeStamp | timeStamp is in milliseconds
timeStamp | "2026-01-01"                  | timeStamp | 10 digits
timeStamp | "1767196831"                  | paySign   | does not match
timeStamp | ""                            | timeStamp | is empty
nonceStr  | "4A1F01F45934432FEB118ABF0051B6D23" | nonceStr | 1 to 32
nonceStr  | "a b"                         | nonceStr  | 1 to 32
nonceStr  | "4A1F"                        | paySign   | does not match
nonceStr  | 4                             | nonceStr  | nonceStr must be a string
package   | "wx2026010100003000"          | package   | followed by the prepay_id
package   | "prepay_id="                  | package   | holds no prepay_id
package   | "prepay_id=wx20260101000030"  | package   | is unknown
package   | {"prepay_id":"wx1"}           | package   | package must be a string
signType  | "MD5"                         | signType  | signType must be RSA
signType  | "rsa"                         | signType  | signType must be RSA
signType  | null                          | signType  | signType must be a string
paySign   | true                          | paySign   | paySign must be a string
appId     | "wx1"                         | appId     | is not passed to wx.requestPayment
timestamp | "1767196830"                  | timestamp | the name is timeStamp
total_fee | "1"                           | total_fee | takes no such field
"#;

fn right_v3(sandbox: &Sandbox) -> Value {
    let package = placed(sandbox, Protocol::V3);
    let string = format!("{}\n{TIME}\n{NONCE}\n{package}\n", credentials().appid);
    object(&package, "RSA", &merchant().sign(string.as_bytes()))
}

fn assert_named(sandbox: &Sandbox, object: &Value, (field, why): (&str, &str)) {
    let got = verdict(sandbox, object);
    let named = got.starts_with(&format!("{field}: ")) && got.contains(why);
    assert!(named, "{field} {why}: {got}");
}

#[test]
fn each_field_of_the_object_altered_missing_or_misformed_is_named() {
    let sandbox = sandbox();
    let right = right_v3(&sandbox);
    for row in rows(MISFORMED) {
        let [name, value, field, why] = row[..] else {
            panic!("{row:?}");
        };
        let mut object = right.clone();
        object[name] = serde_json::from_str(value).unwrap();
        assert_named(&sandbox, &object, (field, why));
    }
    for name in ["timeStamp", "nonceStr", "package", "signType", "paySign"] {
        let mut object = right.clone();
        object.as_object_mut().unwrap().remove(name);
        assert_named(&sandbox, &object, (name, "is missing"));
    }
    assert_named(
        &sandbox,
        &json!([right.clone()]),
        ("", "must be a JSON object"),
    );
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
