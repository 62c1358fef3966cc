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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wechat::pay_error;

    fn refused(code: &str, said: &str, protocol: Protocol) -> WechatError {
        of_refund(pay_error::error(code, said, Cause::BadRequest), protocol)
    }

    #[test]
    fn every_documented_refund_code_has_its_own_meaning() {
        let table = [
            ("TRADE_OVERDUE", Some(Cause::RefundTooOld)),
            ("ERROR", Some(Cause::RuleLimit)),
            ("USER_ACCOUNT_ABNORMAL", Some(Cause::PayerAccount)),
            ("INVALID_REQ_TOO_MUCH", Some(Cause::RateLimited)),
            ("NOTENOUGH", Some(Cause::MerchantBalance)),
            ("NOT_ENOUGH", Some(Cause::MerchantBalance)),
            ("FREQUENCY_LIMITED", Some(Cause::RateLimited)),
            ("ORDERNOTEXIST", Some(Cause::OrderNotFound)),
            ("INVALID_TRANSACTIONID", Some(Cause::OrderNotFound)),
            ("RESOURCE_NOT_EXISTS", Some(Cause::OrderNotFound)),
            ("PARAM_ERROR", Some(Cause::BadRequest)),
            ("APPID_NOT_EXIST", Some(Cause::Config)),
            ("MCHID_NOT_EXIST", Some(Cause::Config)),
            ("MCH_NOT_EXISTS", Some(Cause::Config)),
            ("REQUIRE_POST_METHOD", Some(Cause::BadRequest)),
            ("SIGNERROR", Some(Cause::Config)),
            ("XML_FORMAT_ERROR", Some(Cause::BadRequest)),
            ("CERT_ERROR", Some(Cause::Config)),
            ("NO_AUTH", Some(Cause::NoPermission)),
            ("SYSTEMERROR", None),
            ("SYSTEM_ERROR", None),
            ("BIZERR_NEED_RETRY", None),
        ];
        for (code, cause) in table {
            assert_eq!(refused(code, "m", Protocol::V2Md5).cause(), cause, "{code}");
        }
    }

    #[test]
    fn a_limited_v3_refund_is_unknown_and_a_limited_v2_refund_was_not_taken() {
        for code in ["FREQUENCY_LIMITED", "RATELIMIT_EXCEEDED", "RATE_LIMITED"] {
            let third = refused(code, "m", Protocol::V3);
            assert!(matches!(third, WechatError::Unknown(_)), "{code}");
            let second = refused(code, "m", Protocol::V2HmacSha256);
            assert_eq!(second.cause(), Some(Cause::RateLimited), "{code}");
        }
    }

    #[test]
    fn an_invalid_request_is_told_apart_for_its_message_and_stays_a_refusal() {
        let table = [
            ("订单已超过一年，不支持退款", Cause::RefundTooOld),
            ("部分退款次数超过50次", Cause::TooManyParts),
            ("退款金额大于可退金额", Cause::RefundExceeds),
            ("订单已全额退款", Cause::RefundExceeds),
            ("请求不合法", Cause::RuleLimit),
            ("", Cause::RuleLimit),
        ];
        for (said, cause) in table {
            for protocol in [Protocol::V2Md5, Protocol::V3] {
                let refusal = refused("INVALID_REQUEST", said, protocol);
                assert_eq!(refusal.cause(), Some(cause), "{said}");
                assert!(refusal.to_string().contains("INVALID_REQUEST"));
            }
        }
    }
}
