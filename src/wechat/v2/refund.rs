//! v2's refunds: asking for one (申请退款), asking about them (查询退款), the opened notice.

use crate::base::xml::Fields;
use crate::base::{Fen, Timestamp};
use crate::model::RefundStatus;
use crate::wechat::error::WechatError;
use crate::wechat::prepay::{Payee, cut};
use crate::wechat::refund::{FromPlatform, RefundOrder, RefundState, status_named};

use super::SignType;

/// Path of 申请退款; the one call here that shows the merchant's certificate.
pub const REFUND: &str = "/secapi/pay/refund";
/// Path of 查询退款.
pub const REFUND_QUERY: &str = "/pay/refundquery";
/// The most refunds of one order. Source: 微信支付 APIv2 · 申请退款.
pub const PARTS_MAX: u32 = 50;
/// The most bytes of a reason. Source: 微信支付 APIv2 · 申请退款 (`refund_desc`).
const REASON_MAX_BYTES: usize = 80;

/// A page of an order's refunds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many refunds the order has.
    pub total: u32,
    /// Those on this page.
    pub refunds: Vec<RefundState>,
}

/// Which refunds a query is about.
#[derive(Clone, Copy, Debug)]
pub enum About<'a> {
    /// The one of this number.
    Refund(&'a str),
    /// Those of an order, from the `offset`-th (from 0) on.
    Order {
        /// The payment's number.
        out_trade_no: &'a str,
        /// How many to leave out.
        offset: u32,
    },
}

/// The fields of a refund, less `nonce_str` and `sign`: the same for each repeat.
///
/// Source: 微信支付 APIv2 · 申请退款.
pub fn fields(payee: Payee<'_>, order: &RefundOrder, sign_type: SignType) -> Fields {
    let mut fields = Fields::from_iter([
        ("appid", payee.appid.to_string()),
        ("mch_id", payee.mchid.to_string()),
        ("sign_type", sign_type.as_str().to_owned()),
        ("transaction_id", order.transaction_id.to_string()),
        ("out_refund_no", order.refund_no.to_string()),
        ("total_fee", order.total.get().to_string()),
        ("refund_fee", order.amount.get().to_string()),
        ("refund_fee_type", "CNY".to_owned()),
        ("notify_url", order.notify_url.clone()),
    ]);
    let reason = cut(&order.reason, REASON_MAX_BYTES);
    if !reason.is_empty() {
        fields.set("refund_desc", reason);
    }
    fields
}

/// The fields of a query, less `nonce_str` and `sign`. Source: 微信支付 APIv2 · 查询退款.
pub fn query_fields(payee: Payee<'_>, about: About<'_>, sign_type: SignType) -> Fields {
    let fields = Fields::new()
        .with("appid", payee.appid.as_str())
        .with("mch_id", payee.mchid.as_str())
        .with("sign_type", sign_type.as_str());
    match about {
        About::Refund(refund_no) => fields.with("out_refund_no", refund_no),
        About::Order {
            out_trade_no,
            offset,
        } => {
            let fields = fields.with("out_trade_no", out_trade_no);
            match offset {
                0 => fields,
                offset => fields.with("offset", offset.to_string()),
            }
        }
    }
}

/// What a believed answer to a refund says: it is accepted, which is not refunded.
///
/// # Errors
/// [`WechatError::Unknown`] when a field is missing.
pub fn read_accepted(answer: &Fields) -> Result<RefundState, WechatError> {
    one(answer, "", RefundStatus::Processing)
}

/// What a believed answer to a query says.
///
/// # Errors
/// [`WechatError::Unknown`] when a field is missing or a state is not documented.
///
/// Source: 微信支付 APIv2 · 查询退款.
pub fn read_page(answer: &Fields) -> Result<Page, WechatError> {
    let mut refunds = Vec::new();
    for n in 0..PARTS_MAX {
        let suffix = format!("_{n}");
        if answer.get(&format!("out_refund_no{suffix}")).is_none() {
            break;
        }
        let name = answer.text(&format!("refund_status{suffix}"));
        let status = status_named(name).ok_or_else(|| unknown("refund_status"))?;
        refunds.push(one(answer, &suffix, status)?);
    }
    let counted = |name: &str| answer.text(name).parse().ok();
    let total = counted("total_refund_count").or_else(|| counted("refund_count"));
    let found = u32::try_from(refunds.len()).unwrap_or(PARTS_MAX);
    Ok(Page {
        total: total.unwrap_or(found),
        refunds,
    })
}

/// What an opened `req_info` says.
///
/// # Errors
/// [`WechatError::Unknown`] when a field is missing or its state is not documented.
///
/// Source: 微信支付 APIv2 · 退款结果通知.
pub fn read_notice(plain: &Fields) -> Result<(RefundState, FromPlatform), WechatError> {
    let status =
        status_named(plain.text("refund_status")).ok_or_else(|| unknown("refund_status"))?;
    let from_platform = match plain.text("refund_request_source") {
        "API" => FromPlatform::No,
        "VENDOR_PLATFORM" => FromPlatform::Yes,
        _ => FromPlatform::NotSaid,
    };
    let state = one(plain, "", status)?;
    let success_at = from_spaced(plain.text("success_time"));
    Ok((
        RefundState {
            success_at,
            ..state
        },
        from_platform,
    ))
}

/// Reads one refund whose own fields end in `suffix`.
fn one(answer: &Fields, suffix: &str, status: RefundStatus) -> Result<RefundState, WechatError> {
    let own = |name: &str| answer.text(&format!("{name}{suffix}")).to_owned();
    let must = |name: &'static str, text: String| match text.is_empty() {
        true => Err(unknown(name)),
        false => Ok(text),
    };
    let fen = |name: &'static str, text: &str| Fen::from_digits(text).ok_or_else(|| unknown(name));
    // The misspelling is WeChat's.
    let received_by = own("refund_recv_accout");
    Ok(RefundState {
        refund_no: must("out_refund_no", own("out_refund_no"))?,
        refund_id: must("refund_id", own("refund_id"))?,
        out_trade_no: must("out_trade_no", answer.text("out_trade_no").to_owned())?,
        transaction_id: must("transaction_id", answer.text("transaction_id").to_owned())?,
        total: fen("total_fee", answer.text("total_fee"))?,
        amount: fen("refund_fee", &own("refund_fee"))?,
        status,
        success_at: from_spaced(&own("refund_success_time")),
        received_by: Some(received_by).filter(|text| !text.is_empty()),
    })
}

/// Reads `yyyy-MM-dd HH:mm:ss`, Beijing time.
fn from_spaced(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once(' ')?;
    Timestamp::from_rfc3339(&format!("{date}T{time}+08:00"))
}

fn unknown(name: &str) -> WechatError {
    WechatError::Unknown(format!("退款结果无法读取：{name}"))
}

#[cfg(test)]
#[path = "refund_tests.rs"]
mod tests;
