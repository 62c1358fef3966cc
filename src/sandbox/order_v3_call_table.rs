//! What a v3 call is refused for before its body is believed, as tables.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::fixtures::{SERIAL_ALTERED, Wire, now, order_v3_body, right_headers, verdict_v3};
use super::talk_v3::Call;
use super::trades::Trades;

fn code(wire: &Wire) -> &'static str {
    wire.verdict(&mut Trades::new(), now()).0
}

fn swap(wire: &mut Wire, from: &str, to: &str) {
    let body = std::str::from_utf8(&wire.body).unwrap();
    assert!(body.contains(from), "{from}");
    wire.body = body.replace(from, to).into_bytes();
}

#[test]
fn each_part_of_a_call_altered_after_signing_is_refused() {
    type Alter = fn(&mut Wire);
    let table: [(&str, Alter, &str); 17] = [
        ("nothing", |_| {}, "OK"),
        ("method", |w| w.method = "PUT", "SIGN_ERROR"),
        ("target", |w| w.target += "?a=1", "SIGN_ERROR"),
        ("slash", |w| w.target += "/", "SIGN_ERROR"),
        ("nonce", |w| w.nonce_str = "0".repeat(32), "SIGN_ERROR"),
        (
            "second",
            |w| w.timestamp = "1767196831".into(),
            "SIGN_ERROR",
        ),
        (
            "serial",
            |w| w.serial_no = SERIAL_ALTERED.into(),
            "SIGN_ERROR",
        ),
        ("mchid", |w| w.mchid = "1000000001".into(), "MCH_NOT_EXISTS"),
        ("amount", |w| swap(w, "5980,", "5981,"), "SIGN_ERROR"),
        ("openid", |w| swap(w, "oUpF8", "oUpF9"), "SIGN_ERROR"),
        ("number", |w| swap(w, "001\"", "002\""), "SIGN_ERROR"),
        (
            "blank",
            |w| swap(w, "{\"amount", "{ \"amount"),
            "SIGN_ERROR",
        ),
        ("final LF", |w| w.body.push(b'\n'), "SIGN_ERROR"),
        ("no body", |w| w.body.clear(), "SIGN_ERROR"),
        ("no signature", |w| w.signature.clear(), "SIGN_ERROR"),
        ("not base64", |w| w.signature = "%%%".into(), "SIGN_ERROR"),
        ("short", |w| drop(w.signature.split_off(300)), "SIGN_ERROR"),
    ];
    for (name, alter, want) in table {
        let mut wire = Wire::of(&order_v3_body());
        alter(&mut wire);
        assert_eq!(code(&wire), want, "{name}");
    }
}

#[test]
fn each_byte_of_the_body_is_under_the_signature() {
    let right = Wire::of(&order_v3_body());
    for at in (0..right.body.len()).step_by(7) {
        let mut wire = right.clone();
        wire.body[at] ^= 1;
        assert_eq!(code(&wire), "SIGN_ERROR", "byte {at}");
    }
}

#[test]
fn a_timestamp_more_than_five_minutes_off_is_refused() {
    let table = [
        (0, "OK"),
        (300, "OK"),
        (301, "SIGN_ERROR"),
        (86_400, "SIGN_ERROR"),
    ];
    for (off, code) in table {
        let off = Duration::from_secs(off);
        let wire = Wire::of(&order_v3_body());
        for at in [now().plus(off), now().minus(off)] {
            assert_eq!(wire.verdict(&mut Trades::new(), at).0, code, "{off:?}");
        }
    }
    let mut wire = Wire::of(&order_v3_body());
    wire.timestamp = format!("{}000", wire.timestamp);
    let milliseconds = wire.signed().verdict(&mut Trades::new(), now());
    assert_eq!(milliseconds.0, "SIGN_ERROR");
}

#[test]
fn each_header_missing_or_wrong_has_its_code() {
    type Alter = fn(&mut Call<'_>);
    let table: [(Alter, &str, &str); 11] = [
        (|_| {}, "OK", ""),
        (|c| c.authorization = None, "SIGN_ERROR", ""),
        (|c| c.authorization = Some("Bearer abc"), "SIGN_ERROR", ""),
        (|c| c.accept = None, "PARAM_ERROR", "Accept"),
        (|c| c.accept = Some("text/xml"), "PARAM_ERROR", "Accept"),
        (|c| c.accept = Some("*/*"), "OK", ""),
        (|c| c.user_agent = None, "PARAM_ERROR", "User-Agent"),
        (|c| c.content_type = None, "PARAM_ERROR", "Content-Type"),
        (
            |c| c.content_type = Some("text/plain"),
            "PARAM_ERROR",
            "Content-Type",
        ),
        (|c| c.wechatpay_serial = None, "OK", ""),
        (
            |c| c.wechatpay_serial = Some("PUB_KEY_ID_0"),
            "INVALID_REQUEST",
            "",
        ),
    ];
    let wire = Wire::of(&order_v3_body());
    let authorization = wire.authorization();
    for (n, (alter, code, field)) in table.into_iter().enumerate() {
        let mut call = Call {
            method: wire.method,
            target: &wire.target,
            authorization: Some(&authorization),
            ..right_headers(&wire.body)
        };
        alter(&mut call);
        let got = verdict_v3(&call, &mut Trades::new(), now());
        assert_eq!(got, (code, field.to_owned()), "row {n}");
    }
}

#[test]
fn a_body_that_is_not_a_json_object_is_refused() {
    for body in ["", "[]", "null", "{", "appid=1", "{\"a\":1}x"] {
        let wire = Wire::of_bytes(body.into()).signed();
        let (code, _) = wire.verdict(&mut Trades::new(), now());
        assert_eq!(code, "PARAM_ERROR", "{body:?}");
    }
}
