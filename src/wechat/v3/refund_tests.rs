//! v3's refunds: bodies, answers, sealed fields.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::base::Secret;
use crate::model::{Protocol, RefundStatus};
use crate::wechat::notify::NotifyRefusal;
use crate::wechat::v3::notify::open_refund;
use crate::wechat::vectors::{self, text};

/// A refund of 10 yuan out of 59.80.
pub(crate) fn order(protocol: Protocol) -> RefundOrder {
    RefundOrder {
        protocol,
        refund_no: "R20260101X9G00".parse().unwrap(),
        out_trade_no: "20260101000X9G000000000000".parse().unwrap(),
        transaction_id: "4200000001".parse().unwrap(),
        total: Fen::new(5980),
        amount: Fen::new(1000),
        reason: "少发一件🍎".to_owned(),
        notify_url: "https://shop.example.com/wx/refund/notify".to_owned(),
    }
}

fn answer(status: &str) -> Value {
    json!({
        "refund_id": "5030000001",
        "out_refund_no": "R20260101X9G00",
        "transaction_id": "4200000001",
        "out_trade_no": "20260101000X9G000000000000",
        "channel": "ORIGINAL",
        "user_received_account": "招商银行信用卡0403",
        "success_time": "2026-01-01T00:10:00+08:00",
        "status": status,
        "amount": {"total": 5980, "refund": 1000, "payer_total": 5980, "currency": "CNY"},
    })
}

#[test]
fn the_body_holds_the_documented_fields_and_no_other() {
    let read: Value = serde_json::from_str(&body(&order(Protocol::V3))).unwrap();
    let expected = json!({
        "transaction_id": "4200000001",
        "out_refund_no": "R20260101X9G00",
        "reason": "少发一件",
        "notify_url": "https://shop.example.com/wx/refund/notify",
        "amount": {"refund": 1000, "total": 5980, "currency": "CNY"},
    });
    assert_eq!(read, expected);
    let silent = RefundOrder {
        reason: String::new(),
        ..order(Protocol::V3)
    };
    assert!(!body(&silent).contains("reason"));
}

#[test]
fn every_documented_state_is_read_and_another_is_unknown() {
    for (name, status) in [
        ("SUCCESS", RefundStatus::Success),
        ("CLOSED", RefundStatus::Closed),
        ("PROCESSING", RefundStatus::Processing),
        ("ABNORMAL", RefundStatus::Abnormal),
    ] {
        let state = read_state(answer(name).to_string().as_bytes()).unwrap();
        assert_eq!(state.status, status);
        assert_eq!(
            (state.amount, state.total),
            (Fen::new(1000), Fen::new(5980))
        );
        assert_eq!(state.received_by.as_deref(), Some("招商银行信用卡0403"));
        assert_eq!(order(Protocol::V3).matched(state.clone()), Ok(state));
    }
    for body in [answer("DONE"), answer(""), json!({}), json!([])] {
        let read = read_state(body.to_string().as_bytes());
        assert!(matches!(read, Err(WechatError::Unknown(_))), "{body}");
    }
}

#[test]
fn an_answer_about_another_refund_is_no_answer() {
    let amount = |total: u64, refund: u64| json!({"total": total, "refund": refund});
    let table = [
        ("out_refund_no", json!("R2")),
        ("transaction_id", json!("4200000002")),
        ("amount", amount(5980, 1001)),
        ("amount", amount(5981, 1000)),
    ];
    for (name, value) in table {
        let mut other = answer("SUCCESS");
        other[name] = value;
        let state = read_state(other.to_string().as_bytes()).unwrap();
        let matched = order(Protocol::V3).matched(state);
        assert!(matches!(matched, Err(WechatError::Unknown(_))), "{name}");
    }
}

#[test]
fn paths_are_percent_encoded() {
    assert_eq!(query_path("R|7@a"), "/v3/refund/domestic/refunds/R%7C7%40a");
    let path = "/v3/refund/domestic/refunds/503/apply-abnormal-refund";
    assert_eq!(abnormal_path("503"), path);
}

#[test]
fn card_and_name_are_sealed_for_the_key_and_never_sent_plain() {
    let wanted = |to| AbnormalRefund {
        protocol: Protocol::V3,
        refund_no: "R1".to_owned(),
        refund_id: "503".to_owned(),
        to,
    };
    let key = vectors::private_key("pub_key");
    let card = AbnormalTo::UserCard {
        bank_type: "ICBC_DEBIT".to_owned(),
        bank_account: Secret::from("6222021234567890123"),
        real_name: Secret::from("张三"),
    };
    let shown = format!("{card:?}");
    let body = abnormal_body(&wanted(card), &key.public()).unwrap();
    for plain in ["6222021234567890123", "张三"] {
        assert!(!body.contains(plain) && !shown.contains(plain));
    }
    let read: Value = serde_json::from_str(&body).unwrap();
    let opened = |name: &str| String::from_utf8(key.open(text(&read, name)).unwrap()).unwrap();
    assert_eq!(opened("bank_account"), "6222021234567890123");
    assert_eq!(opened("real_name"), "张三");
    assert_eq!(read["type"], "USER_BANK_CARD");
    let body = abnormal_body(&wanted(AbnormalTo::MerchantCard), &key.public()).unwrap();
    let read: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        read,
        json!({"out_refund_no": "R1", "type": "MERCHANT_BANK_CARD"})
    );
}

#[test]
fn every_sealed_vector_opens_to_its_text() {
    let all = vectors::v3("oaep_decrypt");
    assert_eq!(all.len(), 15);
    for vector in &all {
        let key = vectors::private_key(text(vector, "decrypt_key"));
        let plain = key.open(text(vector, "ciphertext")).unwrap();
        let wanted = text(&vector["expected"], "plaintext");
        assert_eq!(plain, wanted.as_bytes(), "{}", vector["id"]);
        let again = key.public().seal(wanted.as_bytes()).unwrap();
        assert_eq!(key.open(&again).unwrap(), wanted.as_bytes());
    }
}

#[test]
fn every_badly_sealed_vector_is_refused() {
    let all = vectors::v3("oaep_decrypt_negative");
    assert_eq!(all.len(), 4);
    for vector in &all {
        let key = vectors::private_key(text(vector, "decrypt_key"));
        assert!(
            key.open(text(vector, "ciphertext")).is_err(),
            "{}",
            vector["id"]
        );
    }
    assert!(vectors::merchant_key().open("").is_err());
    assert!(vectors::merchant_key().open("%%").is_err());
}

#[test]
fn a_text_too_long_to_be_sealed_is_refused_and_never_cut() {
    let all = vectors::v3("oaep_encrypt_limit");
    assert_eq!(all.len(), 1);
    let key = vectors::public_key(text(&all[0], "encrypt_key"));
    let longest = usize::try_from(all[0]["longest_ok_bytes"].as_u64().unwrap()).unwrap();
    assert!(key.seal(&vec![b'a'; longest]).is_ok());
    assert!(key.seal(&vec![b'a'; longest + 1]).is_err());
}

#[test]
fn every_refund_notice_vector_is_read_and_every_other_is_refused() {
    let all = vectors::v3("notify");
    let mut read = 0;
    for vector in &all {
        let keys = vectors::v3_keys(vector);
        let headers = vectors::signature_headers(&vector["headers"]);
        let now = Timestamp::from_unix(vector["now_unix"].as_i64().unwrap());
        let opened = open_refund(&headers, text(vector, "body").as_bytes(), &keys, now);
        let expected = &vector["expected"];
        let event = expected["event_type"].as_str().unwrap_or_default();
        if expected["result"] == "reject" {
            let refusal = opened.unwrap_err();
            let probe = text(vector, "id").contains("-probe");
            assert_eq!(refusal.is_probe(), probe, "{}", vector["id"]);
            continue;
        }
        if !event.starts_with("REFUND.") {
            assert_eq!(opened, Err(NotifyRefusal::NotARefund), "{}", vector["id"]);
            continue;
        }
        let notice = opened.unwrap();
        read += 1;
        let plain: Value = serde_json::from_str(text(expected, "plaintext")).unwrap();
        assert_eq!(notice.mchid, text(&plain, "mchid"));
        assert_eq!(notice.state.refund_no, text(&plain, "out_refund_no"));
        assert_eq!(
            notice.state.amount.get(),
            plain["amount"]["refund"].as_u64().unwrap()
        );
        let status = status_named(text(&plain, "refund_status"));
        assert_eq!(Some(notice.state.status), status, "{}", vector["id"]);
    }
    assert!(read >= 3, "{read}");
}
