//! v3's notifications: verify first, then parse, then open the sealed resource. Pure.
//!
//! Source: 微信支付 APIv3 · 支付成功回调通知, 如何解密回调报文和平台证书.

use data_encoding::BASE64;
use serde::Deserialize;

use crate::base::{AppId, Fen, MchId, OpenId, Timestamp, TransactionId, cipher};
use crate::wechat::notify::{NotifyRefusal, Opened};
use crate::wechat::paid::PaidNotice;
use crate::wechat::prepay::Protocol;
use crate::wechat::refund::{FromPlatform, RefundNotice};

use super::verify::SignatureHeaders;
use super::{V3Keys, refund};

/// A verified and decrypted notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened, such as `TRANSACTION.SUCCESS`.
    pub event_type: String,
    /// The opened resource, JSON.
    pub plain: Vec<u8>,
}

#[derive(Deserialize)]
struct Envelope {
    event_type: String,
    resource_type: String,
    resource: Resource,
}

#[derive(Deserialize)]
struct Resource {
    algorithm: String,
    ciphertext: String,
    nonce: String,
    // Documented as possibly empty; a missing one is an empty one.
    associated_data: Option<String>,
}

#[derive(Deserialize)]
struct Trade {
    appid: AppId,
    mchid: MchId,
    out_trade_no: String,
    trade_state: String,
    transaction_id: Option<TransactionId>,
    amount: Amount,
    payer: Option<Payer>,
    success_time: Option<String>,
}

#[derive(Deserialize)]
struct Amount {
    total: Fen,
    currency: Option<String>,
}

#[derive(Deserialize)]
struct Payer {
    openid: Option<OpenId>,
}

/// Opens a notification: a payment, or another event.
///
/// # Errors
/// [`NotifyRefusal`], by the first check that fails.
pub fn open(
    headers: &SignatureHeaders<'_>,
    body: &[u8],
    keys: &V3Keys,
    now: Timestamp,
) -> Result<Opened, NotifyRefusal> {
    let event = open_event(headers, body, keys, now)?;
    if event.event_type != "TRANSACTION.SUCCESS" {
        let event_type = event.event_type;
        return Ok(Opened::Other { event_type });
    }
    read_paid(&event.plain).map(Opened::Paid)
}

/// Opens a notification of a refund and reads what became of it.
///
/// # Errors
/// [`NotifyRefusal`], by the first check that fails.
///
/// Source: 微信支付 APIv3 · 退款结果通知.
pub fn open_refund(
    headers: &SignatureHeaders<'_>,
    body: &[u8],
    keys: &V3Keys,
    now: Timestamp,
) -> Result<RefundNotice, NotifyRefusal> {
    #[derive(Deserialize)]
    struct Owner {
        mchid: String,
    }
    let event = open_event(headers, body, keys, now)?;
    if !event.event_type.starts_with("REFUND.") {
        return Err(NotifyRefusal::NotARefund);
    }
    let unreadable = NotifyRefusal::Unreadable("resource");
    let owner: Owner = serde_json::from_slice(&event.plain).map_err(|_| unreadable)?;
    let state = refund::read_state(&event.plain).map_err(|_| unreadable)?;
    Ok(RefundNotice {
        protocol: Protocol::V3,
        mchid: owner.mchid,
        state,
        from_platform: FromPlatform::NotSaid,
    })
}

/// Verifies a notification of any kind, and only then parses and decrypts it.
///
/// # Errors
/// [`NotifyRefusal`], by the first check that fails.
pub fn open_event(
    headers: &SignatureHeaders<'_>,
    body: &[u8],
    keys: &V3Keys,
    now: Timestamp,
) -> Result<Event, NotifyRefusal> {
    headers
        .verify(body, &keys.wechat_keys.ring(), now)
        .map_err(NotifyRefusal::Signature)?;
    let envelope: Envelope =
        serde_json::from_slice(body).map_err(|_| NotifyRefusal::Unreadable("JSON"))?;
    if envelope.resource_type != "encrypt-resource" {
        return Err(NotifyRefusal::ResourceType);
    }
    let resource = envelope.resource;
    if resource.algorithm != "AEAD_AES_256_GCM" {
        return Err(NotifyRefusal::Algorithm);
    }
    let sealed = BASE64
        .decode(resource.ciphertext.as_bytes())
        .map_err(|_| NotifyRefusal::CannotOpen)?;
    let aad = resource.associated_data.unwrap_or_default();
    let key = keys.api_key.reveal().as_bytes();
    let plain = cipher::gcm_open(key, resource.nonce.as_bytes(), aad.as_bytes(), &sealed)
        .map_err(|_| NotifyRefusal::CannotOpen)?;
    Ok(Event {
        event_type: envelope.event_type,
        plain,
    })
}

/// Reads what was paid.
fn read_paid(plain: &[u8]) -> Result<PaidNotice, NotifyRefusal> {
    let trade: Trade =
        serde_json::from_slice(plain).map_err(|_| NotifyRefusal::Unreadable("resource"))?;
    if trade.trade_state != "SUCCESS" {
        return Err(NotifyRefusal::NotPaid);
    }
    Ok(PaidNotice {
        protocol: Protocol::V3,
        appid: trade.appid,
        mchid: trade.mchid,
        out_trade_no: trade.out_trade_no,
        transaction_id: trade
            .transaction_id
            .ok_or(NotifyRefusal::Unreadable("transaction_id"))?,
        amount: trade.amount.total,
        currency: trade.amount.currency.unwrap_or_else(|| "CNY".to_owned()),
        openid: trade.payer.and_then(|payer| payer.openid),
        paid_at: trade
            .success_time
            .as_deref()
            .and_then(Timestamp::from_rfc3339),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::Value;

    use super::*;
    use crate::model::attempt::Mismatch;
    use crate::model::{Attempt, AttemptState};
    use crate::wechat::vectors::{self, text};

    fn class(refusal: NotifyRefusal) -> &'static str {
        match refusal {
            NotifyRefusal::Signature(fault) => vectors::class(fault),
            NotifyRefusal::ResourceType => "resource_type",
            NotifyRefusal::Algorithm => "algorithm",
            NotifyRefusal::CannotOpen => "decrypt",
            other => panic!("{other}"),
        }
    }

    fn inputs(vector: &Value) -> (SignatureHeaders<'_>, &[u8], V3Keys, Timestamp) {
        (
            vectors::signature_headers(&vector["headers"]),
            text(vector, "body").as_bytes(),
            vectors::v3_keys(vector),
            Timestamp::from_unix(vector["now_unix"].as_i64().unwrap()),
        )
    }

    #[test]
    fn every_notify_vector_opens_to_its_text_or_is_refused_for_its_reason() {
        let all = vectors::v3("notify");
        assert_eq!(all.len(), 42);
        for vector in &all {
            let (headers, body, keys, now) = inputs(vector);
            let expected = &vector["expected"];
            let opened = open_event(&headers, body, &keys, now);
            if expected["result"] == "reject" {
                let refusal = opened.unwrap_err();
                assert_eq!(class(refusal), text(expected, "reason"), "{}", vector["id"]);
                assert!(
                    open(&headers, body, &keys, now).is_err(),
                    "{}",
                    vector["id"]
                );
                let probe = text(vector, "id").contains("-probe");
                assert_eq!(refusal.is_probe(), probe, "{}", vector["id"]);
                continue;
            }
            let event = opened.unwrap();
            assert_eq!(event.event_type, text(expected, "event_type"));
            let plain = std::str::from_utf8(&event.plain).unwrap();
            assert_eq!(plain, text(expected, "plaintext"), "{}", vector["id"]);
        }
    }

    /// The local order of a vector against its notice: `None` when it may be applied.
    fn difference(vector: &Value) -> Option<&'static str> {
        let (headers, body, keys, now) = inputs(vector);
        let notice = match open(&headers, body, &keys, now) {
            Ok(Opened::Paid(notice)) => notice,
            Err(NotifyRefusal::NotPaid) => return Some("trade_state"),
            other => panic!("{other:?}"),
        };
        let order = &vector["local_order"];
        let expected = Attempt {
            out_trade_no: text(order, "out_trade_no").parse().unwrap(),
            protocol: Protocol::V3,
            appid: text(order, "appid").parse().unwrap(),
            mchid: text(order, "mchid").parse().unwrap(),
            openid: "o1".parse().unwrap(),
            amount: Fen::new(order["total"].as_u64().unwrap()),
            time_expire: now,
            request: String::new(),
            prepay: None,
            state: AttemptState::Open,
            transaction_id: None,
            paid_at: None,
            counted: false,
            created_at: now,
        };
        expected
            .check(&notice.payment(now))
            .err()
            .map(|mismatch| match mismatch {
                Mismatch::Protocol => "protocol",
                Mismatch::AppId => "appid",
                Mismatch::MchId => "mchid",
                Mismatch::OutTradeNo => "out_trade_no",
                Mismatch::Amount => "amount.total",
                Mismatch::Currency => "amount.currency",
                Mismatch::Transaction => "transaction_id",
            })
    }

    #[test]
    fn every_business_vector_is_applied_or_not_as_it_says() {
        let all = vectors::v3("notify");
        let with_order = all.iter().filter(|v| v.get("local_order").is_some());
        let mut count = 0;
        for vector in with_order {
            count += 1;
            let business = &vector["expected"]["business"];
            assert_eq!(
                difference(vector),
                business["why"].as_str(),
                "{}",
                vector["id"]
            );
            assert_eq!(business["apply"], business["why"].is_null());
        }
        assert_eq!(count, 7);
    }

    #[test]
    fn a_notice_is_read_whole_and_another_event_is_no_payment() {
        let all = vectors::v3("notify");
        let find = |id: &str| all.iter().find(|v| v["id"] == id).unwrap();
        let (headers, body, keys, now) = inputs(find("notify-001-pay"));
        let Ok(Opened::Paid(notice)) = open(&headers, body, &keys, now) else {
            panic!("not paid");
        };
        assert_eq!(notice.amount, Fen::new(5980));
        assert_eq!(
            notice.transaction_id.as_str(),
            "4200002345202601011234567890"
        );
        assert_eq!(
            notice.paid_at,
            Timestamp::from_rfc3339("2026-01-01T00:02:05+08:00")
        );
        assert_eq!(
            notice.openid.unwrap().as_str(),
            "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
        );
        let (headers, body, keys, now) = inputs(find("notify-007-refund-success"));
        let opened = open(&headers, body, &keys, now);
        assert!(
            matches!(opened, Ok(Opened::Other { event_type }) if event_type == "REFUND.SUCCESS")
        );
    }

    #[test]
    fn amounts_that_are_not_whole_fen_are_refused() {
        let trade = |total: &str| {
            format!(
                r#"{{"appid":"wx1","mchid":"1","out_trade_no":"T","trade_state":"SUCCESS",
                "transaction_id":"4","amount":{{"total":{total}}}}}"#
            )
        };
        assert!(read_paid(trade("1").as_bytes()).is_ok());
        for total in ["-1", "1.0", "\"1\"", "null", "1e3", "99999999999999999999"] {
            let read = read_paid(trade(total).as_bytes());
            assert_eq!(read, Err(NotifyRefusal::Unreadable("resource")), "{total}");
        }
    }
}
