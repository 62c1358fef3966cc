//! The v3 prepay's verdicts as tables: each part altered, each field missing, over-long, wrong.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::{Value, json};

use super::fixtures::{SERIAL_ALTERED, Wire, credentials, now, order_v2_fields, order_v3_body};
use super::fixtures::{right_headers, signed_v2, verdict_v2, verdict_v3};
use super::order_v2::UNBOUND_APPID;
use super::order_v3::Call;
use super::sign_v2::SignType;
use super::trades::Trades;
use crate::base::Timestamp;

/// `CODE field` of a body that is rightly signed.
fn verdict(body: &Value) -> String {
    verdict_at(&mut Trades::new(), body, now())
}

fn verdict_at(trades: &mut Trades, body: &Value, at: Timestamp) -> String {
    let mut wire = Wire::of(body);
    wire.timestamp = at.unix().to_string();
    let (code, field) = wire.signed().verdict(trades, at);
    format!("{code} {field}").trim_end().to_owned()
}

fn with(pointer: &str, value: Value) -> Value {
    let mut body = order_v3_body();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    parent.insert(name.to_owned(), value);
    body
}

fn without(pointer: &str) -> Value {
    let mut body = order_v3_body();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    assert!(parent.remove(name).is_some(), "{pointer} stands there");
    body
}

#[test]
fn a_right_order_is_opened_whole_or_with_only_what_is_required() {
    assert_eq!(verdict(&order_v3_body()), "OK");
    let mut least = order_v3_body();
    for name in [
        "time_expire",
        "attach",
        "goods_tag",
        "support_fapiao",
        "detail",
        "scene_info",
        "settle_info",
    ] {
        least.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(verdict(&least), "OK");
}

#[test]
fn each_part_of_a_call_altered_after_signing_is_refused() {
    let right = Wire::of(&order_v3_body());
    let body = String::from_utf8(right.body.clone()).unwrap();
    let swapped = |from: &str, to: &str| {
        assert!(body.contains(from), "{from}");
        body.replace(from, to).into_bytes()
    };
    let wire = right.clone();
    let table = [
        ("nothing", wire.clone(), "OK"),
        (
            "method",
            Wire {
                method: "PUT",
                ..wire.clone()
            },
            "SIGN_ERROR",
        ),
        (
            "target",
            Wire {
                target: format!("{}?a=1", wire.target),
                ..wire.clone()
            },
            "SIGN_ERROR",
        ),
        (
            "slash",
            Wire {
                target: format!("{}/", wire.target),
                ..wire.clone()
            },
            "SIGN_ERROR",
        ),
        (
            "nonce",
            Wire {
                nonce_str: "0".repeat(32),
                ..wire.clone()
            },
            "SIGN_ERROR",
        ),
        (
            "second",
            Wire {
                timestamp: "1767196831".into(),
                ..wire.clone()
            },
            "SIGN_ERROR",
        ),
        (
            "serial",
            Wire {
                serial_no: SERIAL_ALTERED.into(),
                ..wire.clone()
            },
            "SIGN_ERROR",
        ),
        (
            "mchid",
            Wire {
                mchid: "1000000001".into(),
                ..wire.clone()
            },
            "MCH_NOT_EXISTS",
        ),
        (
            "amount",
            Wire {
                body: swapped("5980,", "5981,"),
                ..wire.clone()
            },
            "SIGN_ERROR",
        ),
        (
            "openid",
            Wire {
                body: swapped("oUpF8", "oUpF9"),
                ..wire.clone()
            },
            "SIGN_ERROR",
        ),
        (
            "number",
            Wire {
                body: swapped("001\"", "002\""),
                ..wire.clone()
            },
            "SIGN_ERROR",
        ),
        (
            "blank",
            Wire {
                body: swapped("{\"", "{ \""),
                ..wire.clone()
            },
            "SIGN_ERROR",
        ),
        (
            "final LF",
            Wire {
                body: format!("{body}\n").into(),
                ..wire.clone()
            },
            "SIGN_ERROR",
        ),
        (
            "no body",
            Wire {
                body: vec![],
                ..wire.clone()
            },
            "SIGN_ERROR",
        ),
        (
            "no signature",
            Wire {
                signature: String::new(),
                ..wire.clone()
            },
            "SIGN_ERROR",
        ),
        (
            "not base64",
            Wire {
                signature: "%%%".into(),
                ..wire.clone()
            },
            "SIGN_ERROR",
        ),
        (
            "short",
            Wire {
                signature: right.signature[4..].into(),
                ..wire
            },
            "SIGN_ERROR",
        ),
    ];
    for (name, wire, code) in table {
        assert_eq!(wire.verdict(&mut Trades::new(), now()).0, code, "{name}");
    }
}

#[test]
fn each_byte_of_the_body_is_under_the_signature() {
    let right = Wire::of(&order_v3_body());
    for at in (0..right.body.len()).step_by(7) {
        let mut wire = right.clone();
        wire.body[at] ^= 1;
        let code = wire.verdict(&mut Trades::new(), now()).0;
        assert_eq!(code, "SIGN_ERROR", "byte {at}");
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
    let wire = Wire::of(&order_v3_body());
    let authorization = wire.authorization();
    let call = Call {
        method: wire.method,
        target: &wire.target,
        authorization: Some(&authorization),
        ..right_headers(&wire.body)
    };
    let bearer = "Bearer abc";
    let (serial, form) = (
        Some("PUB_KEY_ID_0"),
        Some("application/x-www-form-urlencoded"),
    );
    let table = [
        (call.clone(), "OK", ""),
        (
            Call {
                authorization: None,
                ..call.clone()
            },
            "SIGN_ERROR",
            "",
        ),
        (
            Call {
                authorization: Some(bearer),
                ..call.clone()
            },
            "SIGN_ERROR",
            "",
        ),
        (
            Call {
                accept: None,
                ..call.clone()
            },
            "PARAM_ERROR",
            "Accept",
        ),
        (
            Call {
                accept: Some("text/xml"),
                ..call.clone()
            },
            "PARAM_ERROR",
            "Accept",
        ),
        (
            Call {
                accept: Some("*/*"),
                ..call.clone()
            },
            "OK",
            "",
        ),
        (
            Call {
                user_agent: None,
                ..call.clone()
            },
            "PARAM_ERROR",
            "User-Agent",
        ),
        (
            Call {
                content_type: None,
                ..call.clone()
            },
            "PARAM_ERROR",
            "Content-Type",
        ),
        (
            Call {
                content_type: form,
                ..call.clone()
            },
            "PARAM_ERROR",
            "Content-Type",
        ),
        (
            Call {
                wechatpay_serial: None,
                ..call.clone()
            },
            "OK",
            "",
        ),
        (
            Call {
                wechatpay_serial: serial,
                ..call
            },
            "INVALID_REQUEST",
            "",
        ),
    ];
    for (n, (call, code, field)) in table.into_iter().enumerate() {
        let got = verdict_v3(&call, &mut Trades::new(), now());
        assert_eq!(got, (code, field.to_owned()), "row {n}");
    }
}

#[test]
fn each_required_field_missing_is_named() {
    for pointer in [
        "/appid",
        "/mchid",
        "/description",
        "/out_trade_no",
        "/notify_url",
        "/amount",
        "/amount/total",
        "/payer",
        "/payer/openid",
        "/scene_info/payer_client_ip",
        "/scene_info/store_info/id",
    ] {
        assert_eq!(verdict(&without(pointer)), format!("PARAM_ERROR {pointer}"));
        assert_eq!(
            verdict(&with(pointer, Value::Null)),
            format!("PARAM_ERROR {pointer}")
        );
    }
    let goods = json!([{"merchant_goods_id": "1", "unit_price": 1}]);
    let refused = verdict(&with("/detail/goods_detail", goods));
    assert_eq!(refused, "PARAM_ERROR /detail/goods_detail/0/quantity");
}

#[test]
fn each_text_is_right_at_its_longest_and_named_one_byte_beyond() {
    let url = |length: usize| format!("https://shop.example.com/{}", "n".repeat(length - 25));
    let table = [
        ("/description", 127),
        ("/out_trade_no", 32),
        ("/attach", 128),
        ("/notify_url", 255),
        ("/goods_tag", 32),
        ("/detail/invoice_id", 32),
        ("/scene_info/device_id", 32),
        ("/scene_info/store_info/id", 32),
        ("/scene_info/store_info/name", 256),
        ("/scene_info/store_info/area_code", 32),
        ("/scene_info/store_info/address", 512),
    ];
    for (pointer, longest) in table {
        let of = |length: usize| match pointer {
            "/notify_url" => json!(url(length)),
            _ => json!("a".repeat(length)),
        };
        assert_eq!(verdict(&with(pointer, of(longest))), "OK", "{pointer}");
        let beyond = verdict(&with(pointer, of(longest + 1)));
        assert_eq!(beyond, format!("PARAM_ERROR {pointer}"));
        let empty = verdict(&with(pointer, json!("")));
        assert_eq!(empty, format!("PARAM_ERROR {pointer}"));
    }
    for pointer in [
        "/appid",
        "/mchid",
        "/payer/openid",
        "/time_expire",
        "/amount/currency",
    ] {
        let beyond = verdict(&with(pointer, json!("9".repeat(129))));
        assert_eq!(beyond, format!("PARAM_ERROR {pointer}"));
    }
}

#[test]
fn each_rule_of_a_field_is_held_although_the_signature_is_right() {
    let good_url = "http://127.0.0.1:8080/wx/pay/notify";
    let table = [
        ("/appid", json!(UNBOUND_APPID), "APPID_MCHID_NOT_MATCH"),
        ("/mchid", json!("1000000001"), "PARAM_ERROR /mchid"),
        ("/mchid", json!(1_900_000_109), "PARAM_ERROR /mchid"),
        (
            "/description",
            json!("果".repeat(43)),
            "PARAM_ERROR /description",
        ),
        ("/description", json!("苹果🍎"), "PARAM_ERROR /description"),
        ("/out_trade_no", json!("12345"), "PARAM_ERROR /out_trade_no"),
        ("/out_trade_no", json!("a_-|*B"), "OK"),
        (
            "/out_trade_no",
            json!("order@123"),
            "PARAM_ERROR /out_trade_no",
        ),
        ("/time_expire", json!("2026-01-01T00:00:31+08:00"), "OK"),
        (
            "/time_expire",
            json!("2026-01-01 00:30:30"),
            "PARAM_ERROR /time_expire",
        ),
        (
            "/time_expire",
            json!(1_767_198_630),
            "PARAM_ERROR /time_expire",
        ),
        (
            "/notify_url",
            json!("https://shop.example.com/n?a=1"),
            "PARAM_ERROR /notify_url",
        ),
        (
            "/notify_url",
            json!("shop.example.com/n"),
            "PARAM_ERROR /notify_url",
        ),
        ("/notify_url", json!(good_url), "OK"),
        ("/amount/total", json!(0), "PARAM_ERROR /amount/total"),
        ("/amount/total", json!(-1), "PARAM_ERROR /amount/total"),
        ("/amount/total", json!(59.8), "PARAM_ERROR /amount/total"),
        ("/amount/total", json!(5980.0), "PARAM_ERROR /amount/total"),
        ("/amount/total", json!("5980"), "PARAM_ERROR /amount/total"),
        ("/amount/total", json!(1), "OK"),
        (
            "/amount/currency",
            json!("USD"),
            "PARAM_ERROR /amount/currency",
        ),
        ("/amount/extra", json!(1), "PARAM_ERROR /amount/extra"),
        ("/amount", json!(5980), "PARAM_ERROR /amount"),
        ("/payer", json!([]), "PARAM_ERROR /payer"),
        (
            "/payer/openid",
            json!("o with blank"),
            "PARAM_ERROR /payer/openid",
        ),
        (
            "/payer/openid",
            json!("oUpF8uMuAJO_M2pxb1Q9zNjWeS6p"),
            "OPENID_MISMATCH",
        ),
        ("/limit_pay", json!(["no_credit"]), "PARAM_ERROR /limit_pay"),
        ("/nonce", json!("x"), "PARAM_ERROR /nonce"),
        (
            "/support_fapiao",
            json!("true"),
            "PARAM_ERROR /support_fapiao",
        ),
        (
            "/settle_info/profit_sharing",
            json!(1),
            "PARAM_ERROR /settle_info/profit_sharing",
        ),
        (
            "/scene_info/payer_client_ip",
            json!("x"),
            "PARAM_ERROR /scene_info/payer_client_ip",
        ),
        (
            "/detail/goods_detail",
            json!({}),
            "PARAM_ERROR /detail/goods_detail",
        ),
        (
            "/detail/goods_detail",
            json!(["1"]),
            "PARAM_ERROR /detail/goods_detail/0",
        ),
        (
            "/detail/cost_price",
            json!(-1),
            "PARAM_ERROR /detail/cost_price",
        ),
    ];
    for (pointer, value, code) in table {
        let row = format!("{pointer} = {value}");
        assert_eq!(verdict(&with(pointer, value)), code, "{row}");
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

#[test]
fn a_repeat_is_the_same_order_only_when_nothing_differs() {
    let mut trades = Trades::new();
    let first = order_v3_body();
    let table = [
        (first.clone(), "OK"),
        (first.clone(), "OK"),
        (with("/amount/total", json!(1)), "INVALID_REQUEST"),
        (with("/description", json!("other")), "INVALID_REQUEST"),
        (
            with("/time_expire", json!("2026-01-01T01:30:30+08:00")),
            "INVALID_REQUEST",
        ),
        (
            with("/notify_url", json!("https://shop.example.com/x")),
            "INVALID_REQUEST",
        ),
        (without("/attach"), "INVALID_REQUEST"),
        (first.clone(), "OK"),
    ];
    for (body, code) in table {
        assert_eq!(verdict_at(&mut trades, &body, now()), code, "{body}");
    }
    let past = now().plus(Duration::from_secs(1801));
    assert_eq!(verdict_at(&mut trades, &first, past), "ORDER_CLOSED");
}

#[test]
fn a_number_is_used_once_paid_once_and_in_one_protocol_only() {
    let mut trades = Trades::new();
    let body = with("/out_trade_no", json!("20260101000X9G000000000000"));
    assert_eq!(verdict_at(&mut trades, &body, now()), "OK");
    let v2 = signed_v2(order_v2_fields(SignType::Md5), SignType::Md5).to_xml();
    assert_eq!(
        verdict_v2(&mut trades, v2.as_bytes(), now()),
        "OUT_TRADE_NO_USED"
    );
    let prepay_id = trades
        .get("20260101000X9G000000000000")
        .unwrap()
        .prepay_id
        .clone();
    trades.pay(prepay_id.as_str(), now()).unwrap();
    assert_eq!(verdict_at(&mut trades, &body, now()), "ORDERPAID");

    let mut trades = Trades::new();
    assert_eq!(verdict_v2(&mut trades, v2.as_bytes(), now()), "OK");
    assert_eq!(verdict_at(&mut trades, &body, now()), "OUT_TRADE_NO_USED");
}

#[test]
fn a_prepay_id_lives_two_hours_and_a_repeat_gives_a_new_one() {
    let body = without("/time_expire");
    let number = body["out_trade_no"].as_str().unwrap().to_owned();
    let mut trades = Trades::new();
    let later = |seconds| now().plus(Duration::from_secs(seconds));
    let mut prepay_at = |at| {
        assert_eq!(verdict_at(&mut trades, &body, at), "OK");
        let prepay_id = trades.get(&number).unwrap().prepay_id.to_string();
        let payable = trades.payable(&prepay_id, at.plus(Duration::from_secs(7199)));
        (prepay_id.clone(), payable.is_ok())
    };
    let (first, lives) = prepay_at(now());
    assert!(lives);
    assert_eq!(prepay_at(later(7199)), (first.clone(), false));
    let (second, _) = prepay_at(later(7200));
    assert_ne!(first, second);
    let old = trades.payable(&first, later(7200)).map(|_| ());
    assert_eq!(old, Err(super::trades::NotPayable::Expired));
    let week = trades.payable(&second, later(7 * 86_400 + 1)).map(|_| ());
    assert_eq!(week, Err(super::trades::NotPayable::Closed));
    assert_eq!(credentials().merchant_serial.len(), 40);
}
