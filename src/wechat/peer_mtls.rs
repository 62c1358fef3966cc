//! v2's refund over TLS: the one call for which WeChat demands the merchant's certificate.

use super::peer::{body, config, signed_xml};
use super::v3::refund::tests::order;
use super::v3::{Trust, VerifyWith};
use super::{PayConfig, Protocol, RefundKey, Trace, Version, Wechat, WechatConfig, WechatError};
use crate::base::Clock;
use crate::web::Client;
use crate::web::demanding::Demanding;

const V2: Protocol = Protocol::V2HmacSha256;

const ACCEPTED: [(&str, &str); 7] = [
    ("result_code", "SUCCESS"),
    ("transaction_id", "4200000001"),
    ("out_trade_no", "20260101000X9G000000000000"),
    ("out_refund_no", "R20260101X9G00"),
    ("refund_id", "5030000001"),
    ("refund_fee", "1000"),
    ("total_fee", "5980"),
];

#[tokio::test]
async fn a_v2_refund_shows_the_merchants_certificate_and_a_query_does_not() {
    let peer = Demanding::answering(vec![signed_xml(&ACCEPTED); 6]);
    let whole = config(
        &peer.base,
        Version::V2,
        Trust::new(VerifyWith::PublicKey, None),
    );
    let pay = PayConfig {
        v2_client: Some(Client::demanded()),
        ..whole.pay
    };
    let client = Client::new().expect("a client");
    let wechat = Wechat::new(client, WechatConfig { pay, ..whole });
    let clock = Clock::system();
    let trace = Trace::new(&clock);
    let state = wechat.refund(&order(V2), &trace).await;
    assert_eq!(state.expect("accepted").refund_id, "5030000001");
    let heard = peer.heard();
    assert_eq!(heard.len(), 1);
    assert!(heard[0].starts_with("POST /secapi/pay/refund HTTP/1.1"));
    assert!(body(&heard[0]).contains("<refund_fee>"), "{}", heard[0]);
    let key = RefundKey {
        protocol: V2,
        refund_no: "R20260101X9G00",
    };
    let asked = wechat.query_refund(&key, &trace).await;
    assert!(matches!(asked, Err(WechatError::NotSent(_))), "{asked:?}");
    assert_eq!(peer.heard().len(), 1);
}
