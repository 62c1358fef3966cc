//! Repeats, lapses and payments of orders, as tables over both protocols.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::json;

use super::fixtures::{now, order_v2_fields, order_v3_body, signed_v2, verdict_v2};
use super::fixtures::{v3_with as with, v3_without as without, verdict_v3_at as verdict_at};
use super::sign_v2::SignType;
use super::trades::{NotPayable, TradeState, Trades};

/// How long the orders of the fixtures can be paid.
const HALF_HOUR: Duration = Duration::from_secs(1800);

#[test]
fn a_v2_repeat_is_the_same_order_only_when_nothing_but_nonce_and_sign_differs() {
    let mut trades = Trades::new();
    let first = order_v2_fields(SignType::Md5);
    let again = |name: &str, value: &str| first.clone().with(name, value);
    let table = [
        (first.clone(), "OK"),
        (first.clone(), "OK"),
        (again("nonce_str", "other"), "OK"),
        (again("total_fee", "1"), "INVALID_REQUEST"),
        (again("body", "other"), "INVALID_REQUEST"),
        (again("attach", "other"), "INVALID_REQUEST"),
        (again("time_expire", "20260101013030"), "INVALID_REQUEST"),
        (
            again("notify_url", "https://shop.example.com/other"),
            "INVALID_REQUEST",
        ),
        (first.clone(), "OK"),
    ];
    for (fields, code) in table {
        let document = signed_v2(fields, SignType::Md5).to_xml();
        assert_eq!(
            verdict_v2(&mut trades, document.as_bytes(), now()),
            code,
            "{document}"
        );
    }
    let past = now().plus(Duration::from_secs(1801));
    let document = signed_v2(first, SignType::Md5).to_xml();
    assert_eq!(
        verdict_v2(&mut trades, document.as_bytes(), past),
        "ORDERCLOSED"
    );
}

#[test]
fn a_paid_v2_order_is_not_opened_again() {
    let mut trades = Trades::new();
    let document = signed_v2(order_v2_fields(SignType::Md5), SignType::Md5).to_xml();
    assert_eq!(verdict_v2(&mut trades, document.as_bytes(), now()), "OK");
    let number = order_v2_fields(SignType::Md5)
        .text("out_trade_no")
        .to_owned();
    let prepay_id = trades.get(&number).unwrap().prepay_id.to_string();
    trades.pay(&prepay_id, now()).unwrap();
    assert_eq!(
        verdict_v2(&mut trades, document.as_bytes(), now()),
        "ORDERPAID"
    );
}

#[test]
fn a_v3_repeat_is_the_same_order_only_when_nothing_differs() {
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
    assert_eq!(old, Err(NotPayable::Expired));
    let week = trades.payable(&second, later(7 * 86_400 + 1)).map(|_| ());
    assert_eq!(week, Err(NotPayable::Closed));
}

#[test]
fn an_order_past_its_time_expire_stays_unpaid_and_cannot_be_paid() {
    let mut trades = Trades::new();
    assert_eq!(verdict_at(&mut trades, &order_v3_body(), now()), "OK");
    let number = order_v3_body()["out_trade_no"].as_str().unwrap().to_owned();
    let trade = trades.get(&number).unwrap();
    let (prepay_id, until) = (trade.prepay_id.to_string(), now().plus(HALF_HOUR));
    let past = until.plus(Duration::from_secs(1));
    assert_eq!(trade.state_at(past), TradeState::NotPay);
    assert!(trades.payable(&prepay_id, until).is_ok());
    let refused = trades.pay(&prepay_id, past).map(|_| ());
    assert_eq!(refused, Err(NotPayable::Closed));
}
