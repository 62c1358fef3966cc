//! Builds refund notifies, right ones and the wrong ones a fault asks for. Sends nothing.

use data_encoding::BASE64;
use serde_json::json;

use super::credentials::Credentials;
use super::notify::{FOREIGN_APPID, Telling, Whose, misled, sealed_envelope};
use super::refunds::{Refund, Source, Status};
use super::refunds_v2::{spaced, status_name};
use super::sign_v3::wechatpay_headers;
use super::trades::Protocol;
use crate::base::secret::random_text;
use crate::base::xml::Fields;
use crate::base::{Fen, Timestamp, cipher, hash};
use crate::web::{Method, Outgoing};

/// Another merchant's number.
const FOREIGN_MCHID: &str = "1900000001";

/// The notify of a refund's end, in the protocol it was asked in; `None` without a URL for it.
pub(super) fn build(
    whose: &Whose<'_>,
    refund: &Refund,
    telling: Telling,
    now: Timestamp,
) -> Option<Outgoing> {
    let url = refund.wanted.notify_url.clone()?;
    let credentials = whose.credentials;
    let (headers, body) = match refund.wanted.protocol {
        Protocol::V2(_) => {
            let headers = vec![("Content-Type", "text/xml".to_owned())];
            (headers, v2_body(credentials, refund, telling))
        }
        Protocol::V3 => {
            let body = v3_body(credentials, refund, telling);
            let mut headers = wechatpay_headers(whose.key, whose.serial, now, &body);
            misled(&mut headers, telling);
            headers.push(("Content-Type", "application/json".to_owned()));
            (headers, body)
        }
    };
    Some(Outgoing {
        method: Method::POST,
        url,
        headers,
        body,
    })
}

fn told_amount(refund: &Refund, telling: Telling) -> Fen {
    let amount = refund.wanted.amount;
    match telling {
        Telling::WrongAmount => amount.checked_add(Fen::new(1)).unwrap_or(Fen::new(1)),
        Telling::Truth | Telling::BadSign | Telling::WrongAppid | Telling::Probe => amount,
    }
}

/// Unsigned; what is told stands in `req_info`. Source: 微信支付 APIv2 · 退款结果通知.
fn v2_body(credentials: &Credentials, refund: &Refund, telling: Telling) -> Vec<u8> {
    let key = match telling {
        Telling::BadSign | Telling::Probe => random_text(32),
        Telling::Truth | Telling::WrongAmount | Telling::WrongAppid => {
            credentials.v2_key.reveal().clone()
        }
    };
    let appid = match telling {
        Telling::WrongAppid => FOREIGN_APPID,
        Telling::Truth | Telling::WrongAmount | Telling::BadSign | Telling::Probe => {
            credentials.appid.as_str()
        }
    };
    let plain = v2_plain(refund, told_amount(refund, telling)).to_xml_as("root");
    let key = hash::md5_hex(key.as_bytes());
    let sealed = cipher::ecb256_seal(key.as_bytes(), plain.as_bytes()).expect("a 32-byte key");
    Fields::new()
        .with("return_code", "SUCCESS")
        .with("appid", appid)
        .with("mch_id", credentials.mchid.as_str())
        .with("nonce_str", random_text(32))
        .with("req_info", BASE64.encode(&sealed))
        .to_xml()
        .into_bytes()
}

/// Source: 微信支付 APIv2 · 退款结果通知, req_info.
fn v2_plain(refund: &Refund, amount: Fen) -> Fields {
    let source = match refund.wanted.source {
        Source::Api => "API",
        Source::Platform => "VENDOR_PLATFORM",
    };
    let (total, amount) = (
        refund.wanted.total.get().to_string(),
        amount.get().to_string(),
    );
    let fields = Fields::new()
        .with("transaction_id", refund.transaction_id.as_str())
        .with("out_trade_no", &*refund.out_trade_no)
        .with("refund_id", &*refund.refund_id)
        .with("out_refund_no", &*refund.wanted.out_refund_no)
        .with("total_fee", &*total)
        .with("settlement_total_fee", &*total)
        .with("refund_fee", &*amount)
        .with("settlement_refund_fee", &*amount)
        .with("refund_status", status_name(refund.status))
        .with("refund_recv_accout", refund.received_by)
        .with("refund_account", "REFUND_SOURCE_UNSETTLED_FUNDS")
        .with("refund_request_source", source);
    match refund.success_at {
        Some(at) => fields.with("success_time", spaced(&at.rfc3339())),
        None => fields,
    }
}

/// Source: 微信支付 APIv3 · 退款结果通知.
fn v3_body(credentials: &Credentials, refund: &Refund, telling: Telling) -> Vec<u8> {
    let mchid = match telling {
        Telling::WrongAppid => FOREIGN_MCHID,
        Telling::Truth | Telling::WrongAmount | Telling::BadSign | Telling::Probe => {
            credentials.mchid.as_str()
        }
    };
    let amount = told_amount(refund, telling);
    let mut plain = json!({
        "mchid": mchid,
        "out_trade_no": refund.out_trade_no,
        "transaction_id": refund.transaction_id,
        "out_refund_no": refund.wanted.out_refund_no,
        "refund_id": refund.refund_id,
        "refund_status": refund.status,
        "user_received_account": refund.received_by,
        "amount": {
            "total": refund.wanted.total,
            "refund": amount,
            "payer_total": refund.wanted.total,
            "payer_refund": amount,
        },
    });
    if let Some(at) = refund.success_at {
        plain["success_time"] = json!(at.rfc3339());
    }
    let (event, summary) = match refund.status {
        Status::Success | Status::Processing => ("REFUND.SUCCESS", "退款成功"),
        Status::Abnormal => ("REFUND.ABNORMAL", "退款异常"),
        Status::Closed => ("REFUND.CLOSED", "退款关闭"),
    };
    let head = json!({
        "id": refund.notice.id,
        "create_time": refund.success_at.unwrap_or(refund.created_at).rfc3339(),
        "event_type": event,
        "summary": summary,
    });
    sealed_envelope(credentials, head, ("refund", &plain))
}
