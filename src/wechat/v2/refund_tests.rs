//! v2's refunds: fields, answers, the opened notice.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::base::Secret;
use crate::model::Protocol;
use crate::wechat::notify::NotifyRefusal;
use crate::wechat::v2::V2Keys;
use crate::wechat::v2::notify::open_refund;
use crate::wechat::v3::refund::tests::order;
use crate::wechat::vectors::{self, text};

fn page(status: &str) -> Fields {
    Fields::new()
        .with("transaction_id", "4200000001")
        .with("out_trade_no", "20260101000X9G000000000000")
        .with("total_fee", "5980")
        .with("refund_count", "1")
        .with("out_refund_no_0", "R20260101X9G00")
        .with("refund_id_0", "5030000001")
        .with("refund_fee_0", "1000")
        .with("refund_status_0", status)
        .with("refund_recv_accout_0", "支付用户零钱")
        .with("refund_success_time_0", "2026-01-01 00:10:00")
}

#[test]
fn every_documented_state_is_read_and_another_is_unknown() {
    for (name, status) in [
        ("SUCCESS", RefundStatus::Success),
        ("PROCESSING", RefundStatus::Processing),
        ("REFUNDCLOSE", RefundStatus::Closed),
        ("FAIL", RefundStatus::Closed),
        ("CHANGE", RefundStatus::Abnormal),
    ] {
        let page = read_page(&page(name)).unwrap();
        assert_eq!((page.total, page.refunds.len()), (1, 1));
        let state = page.refunds[0].clone();
        assert_eq!(state.status, status, "{name}");
        assert_eq!(state.received_by.as_deref(), Some("支付用户零钱"));
        let at = Timestamp::from_rfc3339("2026-01-01T00:10:00+08:00");
        assert_eq!(state.success_at, at);
        assert_eq!(order(Protocol::V2Md5).matched(state.clone()), Ok(state));
    }
    for name in ["", "DONE", "success"] {
        assert!(read_page(&page(name)).is_err(), "{name}");
    }
}

#[test]
fn a_page_without_a_field_that_counts_is_unknown() {
    for name in [
        "transaction_id",
        "out_trade_no",
        "total_fee",
        "refund_id_0",
        "refund_fee_0",
        "refund_status_0",
    ] {
        let mut cut = page("SUCCESS");
        cut.remove(name);
        assert!(
            matches!(read_page(&cut), Err(WechatError::Unknown(_))),
            "{name}"
        );
    }
    let mut none = page("SUCCESS");
    none.remove("out_refund_no_0");
    assert_eq!(read_page(&none).unwrap().refunds, []);
}

#[test]
fn a_refund_without_a_reason_sends_none() {
    let (appid, mchid) = ("wx1".parse().unwrap(), "1900000109".parse().unwrap());
    let payee = Payee {
        appid: &appid,
        mchid: &mchid,
    };
    let silent = RefundOrder {
        reason: String::new(),
        ..order(Protocol::V2Md5)
    };
    assert_eq!(
        fields(payee, &silent, SignType::Md5).get("refund_desc"),
        None
    );
    let one = query_fields(payee, About::Refund("R1"), SignType::Md5);
    assert_eq!((one.text("out_refund_no"), one.get("offset")), ("R1", None));
}

fn notice(req_info: &str, key: &str) -> Result<(RefundState, FromPlatform), NotifyRefusal> {
    let body = Fields::new()
        .with("return_code", "SUCCESS")
        .with("mch_id", "1900000109")
        .with("req_info", req_info)
        .to_xml();
    let keys = V2Keys {
        key: Secret::from(key),
        sign_type: SignType::Md5,
    };
    let notice = open_refund(body.as_bytes(), &keys)?;
    assert_eq!(
        (notice.mchid.as_str(), notice.protocol),
        ("1900000109", Protocol::V2Md5)
    );
    Ok((notice.state, notice.from_platform))
}

#[test]
fn every_refund_vector_is_read_as_the_refund_it_tells_of() {
    for vector in vectors::v2("refund_req_info") {
        let told = notice(text(&vector, "req_info"), text(&vector, "api_key"));
        let (state, from_platform) = told.unwrap();
        let fields = vectors::fields(&vector["fields"]);
        assert_eq!(state.refund_no, fields.text("out_refund_no"));
        assert_eq!(state.refund_id, fields.text("refund_id"));
        assert_eq!(state.amount.get().to_string(), fields.text("refund_fee"));
        assert_eq!(state.total.get().to_string(), fields.text("total_fee"));
        assert_eq!(
            Some(state.status),
            status_named(fields.text("refund_status"))
        );
        let by_hand = fields.text("refund_request_source") == "VENDOR_PLATFORM";
        assert_eq!(
            from_platform == FromPlatform::Yes,
            by_hand,
            "{}",
            vector["id"]
        );
        let ended = fields.text("refund_status") == "SUCCESS";
        assert_eq!(state.success_at.is_some(), ended, "{}", vector["id"]);
    }
}

#[test]
fn a_notice_that_is_no_refund_or_does_not_open_is_refused() {
    let key = "0123456789abcdefghijklmnopqrstuv";
    assert_eq!(notice("AAAA", key), Err(NotifyRefusal::CannotOpen));
    let keys = |key| V2Keys {
        key: Secret::from(key),
        sign_type: SignType::Md5,
    };
    let payment = Fields::new().with("return_code", "SUCCESS").to_xml();
    let refused = open_refund(payment.as_bytes(), &keys(key));
    assert_eq!(refused, Err(NotifyRefusal::NotARefund));
    let refused = open_refund(b"<xml", &keys(key));
    assert_eq!(refused, Err(NotifyRefusal::Unreadable("XML")));
}

#[test]
fn who_started_a_refund_is_told_by_its_source_alone() {
    for (source, from_platform) in [
        ("API", FromPlatform::No),
        ("VENDOR_PLATFORM", FromPlatform::Yes),
        ("", FromPlatform::NotSaid),
    ] {
        let plain = Fields::new()
            .with("transaction_id", "4200000001")
            .with("out_trade_no", "20260101000X9G000000000000")
            .with("out_refund_no", "R1")
            .with("refund_id", "503")
            .with("total_fee", "5980")
            .with("refund_fee", "1000")
            .with("refund_status", "CHANGE")
            .with("refund_request_source", source);
        let (state, told) = read_notice(&plain).unwrap();
        assert_eq!(
            (state.status, told),
            (RefundStatus::Abnormal, from_platform)
        );
    }
}
