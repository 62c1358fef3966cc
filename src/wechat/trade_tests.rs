//! What queries and closes mean, as tables.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::base::xml::Fields;
use crate::model::{AttemptState, Protocol};
use crate::wechat::pay_error;
use crate::wechat::{v2, v3};

/// An open attempt of 59.80 yuan.
pub(crate) fn attempt(protocol: Protocol) -> Attempt {
    let now = Timestamp::from_unix(1_767_196_830);
    Attempt {
        out_trade_no: "20260101000X9G000000000000".parse().unwrap(),
        protocol,
        appid: "wx8888888888888888".parse().unwrap(),
        mchid: "1900000109".parse().unwrap(),
        openid: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o".parse().unwrap(),
        amount: Fen::new(5980),
        time_expire: now,
        request: String::new(),
        prepay: None,
        state: AttemptState::Open,
        transaction_id: None,
        paid_at: None,
        counted: false,
        created_at: now,
    }
}

const PROTOCOLS: [Protocol; 3] = [Protocol::V2Md5, Protocol::V2HmacSha256, Protocol::V3];

/// The same answer in both protocols' words.
fn told(protocol: Protocol, members: &[(&str, &str)]) -> Result<Told, WechatError> {
    if protocol != Protocol::V3 {
        return v2::trade::read_told(&members.iter().copied().collect());
    }
    let mut json = serde_json::Map::new();
    for (name, value) in members {
        match *name {
            "total_fee" => {
                let total: serde_json::Value = serde_json::from_str(value).unwrap();
                json.insert("amount".into(), serde_json::json!({"total": total}));
            }
            "time_end" => {
                let at = Timestamp::from_compact(value).unwrap().rfc3339();
                json.insert("success_time".into(), at.into());
            }
            "mch_id" => drop(json.insert("mchid".into(), (*value).into())),
            name => drop(json.insert(name.into(), (*value).into())),
        }
    }
    v3::trade::read_told(serde_json::Value::from(json).to_string().as_bytes())
}

const MONEY: [(&str, &str); 4] = [
    ("out_trade_no", "20260101000X9G000000000000"),
    ("transaction_id", "4200000001"),
    ("total_fee", "5980"),
    ("time_end", "20260101000205"),
];

fn with_state<'a>(state: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("trade_state", state)], more].concat()
}

#[test]
fn every_documented_state_means_one_thing_and_only_two_mean_money() {
    let table = [
        ("SUCCESS", TradeState::Paid, true),
        ("REFUND", TradeState::Refunded, true),
        ("NOTPAY", TradeState::NotPaid, false),
        ("CLOSED", TradeState::Closed, false),
        ("REVOKED", TradeState::Revoked, false),
        ("USERPAYING", TradeState::Paying, false),
        ("ACCEPT", TradeState::Paying, false),
        ("PAYERROR", TradeState::Failed, false),
    ];
    for protocol in PROTOCOLS {
        for (name, state, money) in table {
            let told = told(protocol, &with_state(name, &MONEY)).unwrap();
            let trade = told
                .trade(&attempt(protocol), Timestamp::from_unix(9))
                .unwrap();
            assert_eq!(trade.state, state, "{name}");
            assert_eq!(trade.payment.is_some(), money, "{name}");
            assert_eq!(trade.state.was_paid(), money, "{name}");
            if let Some(payment) = trade.payment {
                assert_eq!(attempt(protocol).check(&payment), Ok(()), "{name}");
                let paid_at = Timestamp::from_compact("20260101000205");
                assert_eq!(Some(payment.paid_at), paid_at);
            }
        }
        for name in ["", "success", "PAID", "UNKNOWN"] {
            let told = told(protocol, &with_state(name, &MONEY));
            assert!(matches!(told, Err(WechatError::Unknown(_))), "{name}");
        }
    }
}

#[test]
fn money_without_its_number_or_amount_is_unknown() {
    for protocol in PROTOCOLS {
        for missing in ["transaction_id", "total_fee"] {
            for state in ["SUCCESS", "REFUND"] {
                let rest: Vec<_> = MONEY.into_iter().filter(|m| m.0 != missing).collect();
                let told = told(protocol, &with_state(state, &rest));
                assert!(matches!(told, Err(WechatError::Unknown(_))), "{missing}");
            }
        }
    }
}

#[test]
fn an_answer_about_another_number_is_no_answer() {
    for protocol in PROTOCOLS {
        for state in ["SUCCESS", "NOTPAY", "CLOSED", "REFUND"] {
            let other = [("out_trade_no", "20260101000X9G000000000000_2")];
            let told = told(
                protocol,
                &with_state(state, &[&MONEY[1..], &other].concat()),
            );
            let trade = told
                .unwrap()
                .trade(&attempt(protocol), Timestamp::from_unix(9));
            assert!(matches!(trade, Err(WechatError::Unknown(_))), "{state}");
        }
        let nameless = |state| {
            let told = told(protocol, &with_state(state, &MONEY[1..])).unwrap();
            told.trade(&attempt(protocol), Timestamp::from_unix(9))
                .is_ok()
        };
        assert!(nameless("NOTPAY"));
        assert!(!nameless("CLOSED"));
        assert!(!nameless("SUCCESS"));
    }
}

#[test]
fn another_amount_merchant_or_appid_is_seen_by_the_attempt() {
    for protocol in PROTOCOLS {
        for (name, value) in [
            ("total_fee", "1"),
            ("mch_id", "1900000110"),
            ("appid", "wx1"),
        ] {
            let mut members: Fields = with_state("SUCCESS", &MONEY).into_iter().collect();
            members.set(name, value);
            let members: Vec<_> = members.iter().collect();
            let trade = told(protocol, &members).unwrap();
            let trade = trade
                .trade(&attempt(protocol), Timestamp::from_unix(9))
                .unwrap();
            assert!(
                attempt(protocol).check(&trade.payment.unwrap()).is_err(),
                "{name}"
            );
        }
    }
}

fn refused(code: &str) -> WechatError {
    pay_error::error(code, "m", Cause::BadRequest)
}

#[test]
fn a_refused_query_means_absent_only_by_its_code() {
    for code in ["ORDERNOTEXIST", "ORDER_NOT_EXIST", "RESOURCE_NOT_EXISTS"] {
        let trade = of_refused_query(refused(code)).unwrap();
        assert_eq!(trade.state, TradeState::Absent, "{code}");
        assert_eq!(trade.payment, None);
    }
    for code in [
        "",
        "NOT_FOUND",
        "SIGN_ERROR",
        "MCH_NOT_EXISTS",
        "INVALID_TRANSACTIONID",
    ] {
        assert!(of_refused_query(refused(code)).is_err(), "{code}");
    }
    let bare = pay_error::error("", "<html>", Cause::OrderNotFound);
    assert!(of_refused_query(bare).is_err());
    assert!(of_refused_query(WechatError::Unknown(String::new())).is_err());
}

#[test]
fn a_refused_close_is_closed_paid_absent_not_yet_or_an_error_by_its_code() {
    enum Want {
        Closed,
        Paid,
        Absent,
        NotYet,
        Error,
    }
    let table = [
        ("ORDERCLOSED", Want::Closed),
        ("ORDER_CLOSED", Want::Closed),
        ("ORDERPAID", Want::Paid),
        ("ORDER_PAID", Want::Paid),
        ("ORDERNOTEXIST", Want::Absent),
        ("ORDER_NOT_EXIST", Want::Absent),
        ("TRADE_STATE_ERROR", Want::NotYet),
        ("TRADE_ERROR", Want::NotYet),
        ("RULE_LIMIT", Want::NotYet),
        ("INVALID_REQUEST", Want::NotYet),
        ("FREQUENCY_LIMITED", Want::NotYet),
        ("SYSTEMERROR", Want::Error),
        ("SIGNERROR", Want::Error),
        ("PARAM_ERROR", Want::Error),
        ("MCH_NOT_EXISTS", Want::Error),
        ("APPID_MCHID_NOT_MATCH", Want::Error),
        ("REQUIRE_POST_METHOD", Want::Error),
        ("XML_FORMAT_ERROR", Want::Error),
    ];
    for (code, want) in table {
        let answer = of_refused_close(refused(code));
        let held = match want {
            Want::Closed => answer == Ok(CloseAnswer::Closed),
            Want::Paid => answer == Ok(CloseAnswer::Paid),
            Want::Absent => answer == Ok(CloseAnswer::Absent),
            Want::NotYet => matches!(answer, Ok(CloseAnswer::NotYet { .. })),
            Want::Error => answer.is_err(),
        };
        assert!(held, "{code} {answer:?}");
    }
}
