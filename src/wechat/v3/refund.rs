//! v3's refunds: asking for one (退款申请), asking about one, taking up an abnormal one. Pure.

use serde::{Deserialize, Serialize};

use crate::base::rsa::PublicKey;
use crate::base::{Fen, Timestamp};
use crate::wechat::error::{Cause, WechatError};
use crate::wechat::mini::percent_encoded;
use crate::wechat::refund::{AbnormalRefund, AbnormalTo, RefundOrder, RefundState, status_named};

/// Path of 退款申请.
pub const REFUNDS: &str = "/v3/refund/domestic/refunds";
/// The most bytes of a reason. Source: 微信支付 APIv3 · 退款申请 (`reason`, 80 characters).
const REASON_MAX_BYTES: usize = 80;

#[derive(Serialize)]
struct Body<'a> {
    transaction_id: &'a str,
    out_refund_no: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    notify_url: &'a str,
    amount: Asked,
}

#[derive(Serialize)]
struct Asked {
    refund: Fen,
    total: Fen,
    currency: &'static str,
}

#[derive(Deserialize)]
struct Refund {
    refund_id: String,
    out_refund_no: String,
    transaction_id: String,
    out_trade_no: String,
    // The answer's name of it, and the notification's.
    #[serde(alias = "refund_status")]
    status: String,
    amount: Amount,
    success_time: Option<String>,
    user_received_account: Option<String>,
}

#[derive(Deserialize)]
struct Amount {
    total: Fen,
    refund: Fen,
}

/// The exact body of a refund: the same for each repeat.
///
/// Source: 微信支付 APIv3 · 退款申请.
pub fn body(order: &RefundOrder) -> String {
    let reason = crate::wechat::prepay::cut(&order.reason, REASON_MAX_BYTES);
    let body = Body {
        transaction_id: order.transaction_id.as_str(),
        out_refund_no: order.refund_no.as_str(),
        reason: &reason,
        notify_url: &order.notify_url,
        amount: Asked {
            refund: order.amount,
            total: order.total,
            currency: "CNY",
        },
    };
    serde_json::to_string(&body).expect("texts and numbers have a JSON form")
}

/// The path of a refund's query. Source: 微信支付 APIv3 · 查询单笔退款.
pub fn query_path(refund_no: &str) -> String {
    format!("{REFUNDS}/{}", percent_encoded(refund_no))
}

/// The path of taking up an abnormal refund, by WeChat's number.
///
/// Source: 微信支付 APIv3 · 发起异常退款.
pub fn abnormal_path(refund_id: &str) -> String {
    format!(
        "{REFUNDS}/{}/apply-abnormal-refund",
        percent_encoded(refund_id)
    )
}

/// The body of taking up an abnormal refund; card and name are sealed under `key`.
///
/// # Errors
/// [`Cause::BadRequest`] when card or name are too long to be sealed.
///
/// Source: 微信支付 APIv3 · 发起异常退款, 敏感信息加解密.
pub fn abnormal_body(wanted: &AbnormalRefund, key: &PublicKey) -> Result<String, WechatError> {
    #[derive(Serialize)]
    struct Body<'a> {
        out_refund_no: &'a str,
        r#type: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        bank_type: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        bank_account: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        real_name: Option<String>,
    }
    let advice = "收款卡号或户名过长，无法加密";
    let seal = |text: &str| {
        key.seal(text.as_bytes())
            .map_err(|_| WechatError::refused_here(Cause::BadRequest, advice))
    };
    let out_refund_no = &wanted.refund_no;
    let body = match &wanted.to {
        AbnormalTo::MerchantCard => Body {
            out_refund_no,
            r#type: "MERCHANT_BANK_CARD",
            bank_type: None,
            bank_account: None,
            real_name: None,
        },
        AbnormalTo::UserCard {
            bank_type,
            bank_account,
            real_name,
        } => Body {
            out_refund_no,
            r#type: "USER_BANK_CARD",
            bank_type: Some(bank_type),
            bank_account: Some(seal(bank_account.reveal())?),
            real_name: Some(seal(real_name.reveal())?),
        },
    };
    Ok(serde_json::to_string(&body).expect("texts have a JSON form"))
}

/// What a verified answer, or an opened notification, says of a refund.
///
/// # Errors
/// [`WechatError::Unknown`] when a field is missing or its state is not documented.
///
/// Source: 微信支付 APIv3 · 退款申请, 查询单笔退款, 退款结果通知.
pub fn read_state(answer: &[u8]) -> Result<RefundState, WechatError> {
    let unknown = |why: &str| WechatError::Unknown(format!("退款结果无法读取：{why}"));
    let refund: Refund = serde_json::from_slice(answer).map_err(|_| unknown("JSON"))?;
    let status = status_named(&refund.status).ok_or_else(|| unknown("status"))?;
    let success_time = refund.success_time.as_deref();
    Ok(RefundState {
        refund_no: refund.out_refund_no,
        refund_id: refund.refund_id,
        out_trade_no: refund.out_trade_no,
        transaction_id: refund.transaction_id,
        total: refund.amount.total,
        amount: refund.amount.refund,
        status,
        success_at: success_time.and_then(Timestamp::from_rfc3339),
        received_by: refund.user_received_account.filter(|text| !text.is_empty()),
    })
}

#[cfg(test)]
#[path = "refund_tests.rs"]
pub(crate) mod tests;
