//! Refunds over the wire: what is sent, what is believed, what is asked again.

use super::peer::{KEY, Peer, body, header, http, signed_json, signed_xml, wechat};
use super::trade::tests::attempt;
use super::v2::sign::verifies;
use super::v3::Keyring;
use super::v3::refund::tests::order;
use super::{AbnormalRefund, AbnormalTo, Cause, Protocol, RefundKey, RefundState};
use super::{SignType, Trace, Version, Wechat, WechatError};
use crate::base::rsa::PrivateKey;
use crate::base::xml::Fields;
use crate::base::{Clock, Secret};
use crate::model::RefundStatus;

const ACCEPTED: [(&str, &str); 7] = [
    ("result_code", "SUCCESS"),
    ("transaction_id", "4200000001"),
    ("out_trade_no", "20260101000X9G000000000000"),
    ("out_refund_no", "R20260101X9G00"),
    ("refund_id", "5030000001"),
    ("refund_fee", "1000"),
    ("total_fee", "5980"),
];

const V2: Protocol = Protocol::V2HmacSha256;

/// WeChat as a v2 merchant reaches the simulator: without TLS, so without a certificate.
fn v2(base: &str) -> Wechat {
    wechat(base, Version::V2, Keyring::default())
}

fn v3(base: &str, key: &PrivateKey) -> Wechat {
    let ring = Keyring::default().with_public_key("PUB_KEY_ID_1", key.public());
    wechat(base, Version::V3, ring)
}

fn json(status: &str) -> String {
    format!(
        r#"{{"refund_id":"5030000001","out_refund_no":"R20260101X9G00","status":"{status}",
        "transaction_id":"4200000001","out_trade_no":"20260101000X9G000000000000",
        "amount":{{"total":5980,"refund":1000}}}}"#
    )
}

fn status(state: Result<RefundState, WechatError>) -> RefundStatus {
    state.expect("a refund").status
}

#[tokio::test]
async fn a_v2_refund_is_repeated_with_the_same_fields_and_is_accepted_not_refunded() {
    let busy = [("result_code", "FAIL"), ("err_code", "BIZERR_NEED_RETRY")];
    let peer = Peer::answering(vec![signed_xml(&busy), signed_xml(&ACCEPTED)]);
    let (wechat, clock) = (v2(&peer.base), Clock::system());
    let trace = Trace::new(&clock);
    let state = wechat.refund(&order(V2), &trace).await;
    assert_eq!(status(state), RefundStatus::Processing);
    let mut sent = vec![];
    for heard in peer.heard() {
        assert!(heard.starts_with("POST /secapi/pay/refund HTTP/1.1"));
        let mut fields = Fields::parse(body(&heard).as_bytes(), "xml").expect("XML");
        assert!(verifies(&fields, &Secret::from(KEY), SignType::HmacSha256));
        fields.remove("nonce_str");
        fields.remove("sign");
        sent.push(fields);
    }
    assert_eq!(sent[0], sent[1]);
    assert_eq!(sent[0].text("refund_fee"), "1000");
    assert_eq!(sent[0].text("total_fee"), "5980");
    assert_eq!(sent[0].text("refund_desc"), "少发一件");
    let asked = &trace.exchanges()[0].asked;
    assert!(asked.contains("商户退款单号 R20260101X9G00"), "{asked}");
    assert!(asked.contains("退款金额 10.00 元"), "{asked}");
}

#[tokio::test]
async fn a_v2_refund_without_a_certificate_is_not_sent() {
    let (wechat, clock) = (
        wechat("https://127.0.0.1:1", Version::V2, Keyring::default()),
        Clock::system(),
    );
    let refused = wechat.refund(&order(V2), &Trace::new(&clock)).await;
    assert_eq!(refused.expect_err("refused").cause(), Some(Cause::Config));
}

#[tokio::test]
async fn an_acceptance_of_another_refund_leaves_the_outcome_unknown() {
    let key = PrivateKey::generate();
    let other = json("PROCESSING").replace("1000", "1001");
    let peer = Peer::answering(vec![signed_json(200, &key, &other)]);
    let clock = Clock::system();
    let state = v3(&peer.base, &key)
        .refund(&order(Protocol::V3), &Trace::new(&clock))
        .await;
    assert!(matches!(state, Err(WechatError::Unknown(_))), "{state:?}");
}

#[tokio::test]
async fn a_v3_refund_goes_again_after_202_and_stays_unknown_after_429() {
    let key = PrivateKey::generate();
    let limited = http(429, "", r#"{"code":"FREQUENCY_LIMITED","message":"m"}"#);
    let answers = vec![
        http(202, "", ""),
        signed_json(200, &key, &json("PROCESSING")),
        limited,
    ];
    let (peer, clock) = (Peer::answering(answers), Clock::system());
    let (wechat, trace) = (v3(&peer.base, &key), Trace::new(&clock));
    let state = wechat.refund(&order(Protocol::V3), &trace).await;
    assert_eq!(status(state), RefundStatus::Processing);
    let state = wechat.refund(&order(Protocol::V3), &trace).await;
    assert!(matches!(state, Err(WechatError::Unknown(_))), "{state:?}");
    let heard = peer.heard();
    assert_eq!(body(&heard[0]), body(&heard[1]));
    assert_eq!(heard.len(), 3);
}

#[tokio::test]
async fn a_refund_wechat_does_not_know_is_none_in_both_protocols() {
    let key = PrivateKey::generate();
    let absent = http(404, "", r#"{"code":"RESOURCE_NOT_EXISTS","message":"m"}"#);
    let proxy = http(404, "", "<html>");
    let unknown = [("result_code", "FAIL"), ("err_code", "REFUNDNOTEXIST")];
    let success = signed_json(200, &key, &json("SUCCESS"));
    let answers = vec![absent, success, proxy, signed_xml(&unknown)];
    let (peer, clock) = (Peer::answering(answers), Clock::system());
    let (third, second) = (v3(&peer.base, &key), v2(&peer.base));
    let trace = Trace::new(&clock);
    let asked = |protocol| RefundKey {
        protocol,
        refund_no: "R20260101X9G00",
    };
    assert_eq!(
        third.query_refund(&asked(Protocol::V3), &trace).await,
        Ok(None)
    );
    let found = third.query_refund(&asked(Protocol::V3), &trace).await;
    assert_eq!(
        found.map(|s| s.map(|s| s.status)),
        Ok(Some(RefundStatus::Success))
    );
    assert!(
        third
            .query_refund(&asked(Protocol::V3), &trace)
            .await
            .is_err()
    );
    assert_eq!(second.query_refund(&asked(V2), &trace).await, Ok(None));
}

/// A page of `count` of 12 refunds of one order.
fn page(from: u32, count: u32) -> String {
    let mut fields = vec![
        ("result_code".to_owned(), "SUCCESS".to_owned()),
        ("transaction_id".to_owned(), "4200000001".to_owned()),
        (
            "out_trade_no".to_owned(),
            "20260101000X9G000000000000".to_owned(),
        ),
        ("total_fee".to_owned(), "5980".to_owned()),
        ("total_refund_count".to_owned(), "12".to_owned()),
        ("refund_count".to_owned(), count.to_string()),
    ];
    for n in 0..count {
        let number = from + n;
        fields.extend([
            (format!("out_refund_no_{n}"), format!("R{number}")),
            (format!("refund_id_{n}"), format!("503{number}")),
            (format!("refund_fee_{n}"), "10".to_owned()),
            (format!("refund_status_{n}"), "SUCCESS".to_owned()),
        ]);
    }
    let fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    signed_xml(&fields)
}

#[tokio::test]
async fn all_refunds_of_an_order_are_paged_through() {
    let peer = Peer::answering(vec![page(0, 10), page(10, 2)]);
    let clock = Clock::system();
    let refunds = v2(&peer.base)
        .refunds_of(&attempt(V2), &Trace::new(&clock))
        .await;
    let numbers: Vec<_> = refunds
        .expect("refunds")
        .into_iter()
        .map(|r| r.refund_no)
        .collect();
    let wanted: Vec<_> = (0..12).map(|n| format!("R{n}")).collect();
    assert_eq!(numbers, wanted);
    let heard = peer.heard();
    let offset = |heard: &str| {
        let fields = Fields::parse(body(heard).as_bytes(), "xml").expect("XML");
        fields.text("offset").to_owned()
    };
    assert_eq!(
        (offset(&heard[0]), offset(&heard[1])),
        (String::new(), "10".to_owned())
    );
}

#[tokio::test]
async fn an_abnormal_refund_is_sealed_for_the_key_it_names_and_v2_has_none() {
    let key = PrivateKey::generate();
    let peer = Peer::answering(vec![signed_json(200, &key, &json("PROCESSING"))]);
    let (wechat, clock) = (v3(&peer.base, &key), Clock::system());
    let trace = Trace::new(&clock);
    let wanted = |protocol| AbnormalRefund {
        protocol,
        refund_no: "R20260101X9G00".to_owned(),
        refund_id: "5030000001".to_owned(),
        to: AbnormalTo::UserCard {
            bank_type: "ICBC_DEBIT".to_owned(),
            bank_account: Secret::from("6222021234567890123"),
            real_name: Secret::from("张三"),
        },
    };
    let refused = wechat
        .take_up_abnormal(&wanted(V2), &trace)
        .await
        .expect_err("v2");
    assert_eq!(refused.cause(), Some(Cause::NotPossible));
    let state = wechat.take_up_abnormal(&wanted(Protocol::V3), &trace).await;
    assert_eq!(status(state), RefundStatus::Processing);
    let heard = peer.heard().remove(0);
    assert_eq!(header(&heard, "wechatpay-serial"), Some("PUB_KEY_ID_1"));
    let sent: serde_json::Value = serde_json::from_str(body(&heard)).expect("JSON");
    let sealed = sent["bank_account"].as_str().expect("sealed");
    assert_eq!(key.open(sealed), Ok(b"6222021234567890123".to_vec()));
    let said = format!("{:?}", trace.exchanges());
    for secret in ["6222021234567890123", "张三", sealed] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test]
async fn a_query_answered_with_another_refund_leaves_it_unknown() {
    let key = PrivateKey::generate();
    let other = json("SUCCESS").replace("R20260101X9G00", "R2");
    let peer = Peer::answering(vec![signed_json(200, &key, &other)]);
    let clock = Clock::system();
    let asked = RefundKey {
        protocol: Protocol::V3,
        refund_no: "R20260101X9G00",
    };
    let state = v3(&peer.base, &key)
        .query_refund(&asked, &Trace::new(&clock))
        .await;
    assert!(matches!(state, Err(WechatError::Unknown(_))), "{state:?}");
}

#[tokio::test]
async fn an_abnormal_refund_taken_up_under_another_number_or_id_stays_unknown() {
    let key = PrivateKey::generate();
    let whole = json("SUCCESS");
    let other_id = whole.replace("5030000001", "5030000002");
    let other_number = whole.replace("R20260101X9G00", "R2");
    let answers = [other_id, other_number].map(|body| signed_json(200, &key, &body));
    let peer = Peer::answering(answers.into());
    let (wechat, clock) = (v3(&peer.base, &key), Clock::system());
    let wanted = AbnormalRefund {
        protocol: Protocol::V3,
        refund_no: "R20260101X9G00".to_owned(),
        refund_id: "5030000001".to_owned(),
        to: AbnormalTo::MerchantCard,
    };
    for _ in 0..2 {
        let state = wechat.take_up_abnormal(&wanted, &Trace::new(&clock)).await;
        assert!(matches!(state, Err(WechatError::Unknown(_))), "{state:?}");
    }
}

#[tokio::test]
async fn a_list_with_the_refund_of_another_order_is_unknown() {
    let foreign = ACCEPTED.map(|(name, value)| match name {
        "out_refund_no" => ("out_refund_no_0", value),
        "refund_id" => ("refund_id_0", value),
        "refund_fee" => ("refund_fee_0", value),
        "out_trade_no" => (name, "20260101000X9G000000000001"),
        _ => (name, value),
    });
    let foreign = [&foreign[..], &[("refund_status_0", "SUCCESS")]].concat();
    let peer = Peer::answering(vec![signed_xml(&foreign)]);
    let clock = Clock::system();
    let refunds = v2(&peer.base)
        .refunds_of(&attempt(V2), &Trace::new(&clock))
        .await;
    assert!(
        matches!(refunds, Err(WechatError::Unknown(_))),
        "{refunds:?}"
    );
}
