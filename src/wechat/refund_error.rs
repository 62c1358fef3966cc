//! What WeChat's codes mean when a refund was asked for: some mean another thing than they do for
//! a payment.

use super::error::{Cause, Refused, WechatError};
use super::prepay::Protocol;

/// `error`, in the meaning it has for a refund.
///
/// INVALID_REQUEST is many things under one code; WeChat's words are read only to choose a clearer
/// advice among refusals, never to decide whether it is one.
///
/// Source: 微信支付 APIv2 · 申请退款 · 错误码; APIv3 · 退款申请 · 业务错误码, HTTP状态码 (429).
pub(super) fn of_refund(error: WechatError, protocol: Protocol) -> WechatError {
    let WechatError::Refused(refused) = error else {
        return error;
    };
    if protocol == Protocol::V3 && refused.cause == Cause::RateLimited {
        // Whether v3 took a refund that it answered with 429 is not known: repeat, or query.
        return WechatError::Unknown(format!("退款请求被限流：{refused}"));
    }
    let plain = refused.code.replace('_', "");
    let meaning = match plain.as_str() {
        "NOTENOUGH" => Some((
            Cause::MerchantBalance,
            "商户可退余额不足：请充值或等待结算，再用同一退款单号重试",
        )),
        "USERACCOUNTABNORMAL" => Some((
            Cause::PayerAccount,
            "付款人账户异常或已注销，微信无法原路退款：请用其他方式退还",
        )),
        "INVALIDREQTOOMUCH" => Some((
            Cause::RateLimited,
            "同一订单的退款过于频繁：请至少间隔一分钟，再用同一退款单号重试",
        )),
        "ORDERNOTEXIST" | "RESOURCENOTEXISTS" | "INVALIDTRANSACTIONID" => Some((
            Cause::OrderNotFound,
            "微信查不到这笔已支付的订单：刚支付的请稍后用同一退款单号重试",
        )),
        "ERROR" => Some((Cause::RuleLimit, "微信拒绝了这笔退款：请按微信的说明处理")),
        "INVALIDREQUEST" => of_words(&refused.said),
        _ => None,
    };
    match meaning {
        Some((cause, advice)) => WechatError::Refused(Refused {
            cause,
            advice,
            ..refused
        }),
        None => WechatError::Refused(refused),
    }
}

fn of_words(said: &str) -> Option<(Cause, &'static str)> {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["一年", "超过退款期限", "过期", "期限"]) {
        let advice = "该笔支付已超过一年，微信不再退款：请用其他方式退还";
        return Some((Cause::RefundTooOld, advice));
    }
    if has(&["50", "退款次数", "次数超"]) {
        let advice = "该笔支付的部分退款已达 50 次上限：请用其他方式退还余额";
        return Some((Cause::TooManyParts, advice));
    }
    if has(&["金额", "全额退款", "已退"]) {
        let advice = "退款金额超过可退余额，或订单已全额退款：请核对该订单的退款";
        return Some((Cause::RefundExceeds, advice));
    }
    Some((
        Cause::RuleLimit,
        "微信的业务规则不允许这笔退款：请按微信的说明处理",
    ))
}
