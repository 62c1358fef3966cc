//! WeChat Pay's error codes, v2 and v3, by what they mean.
//!
//! The spellings differ between pages and ages only in underscores (`ORDERPAID`, `ORDER_PAID`), so
//! the table is read without them. Source: 微信支付 APIv2 · 统一下单 · 错误码; APIv3 · 业务错误码.

use super::error::{Cause, Refused, WechatError};

/// One line of the table: codes without underscores, what they mean, what to do.
type Row = (&'static [&'static str], Cause, &'static str);

const TABLE: &[Row] = &[
    (
        &["ORDERPAID"],
        Cause::OrderPaid,
        "该订单已经支付：请查询订单并按已支付处理，不要再次收款",
    ),
    (
        &["ORDERCLOSED", "ORDERREVERSED"],
        Cause::OrderClosed,
        "该商户订单号已关闭：请换一个新的商户订单号",
    ),
    (
        &["OUTTRADENOUSED"],
        Cause::ParamsChanged,
        "该商户订单号已被使用：请先查询；未支付时用原参数重发，或关闭后换新号",
    ),
    (
        &[
            "ORDERNOTEXIST",
            "RESOURCENOTEXISTS",
            "INVALIDTRANSACTIONID",
            "REFUNDNOTEXIST",
        ],
        Cause::OrderNotFound,
        "微信没有这个订单：请核对订单号与商户号",
    ),
    (
        &[
            "SYSTEMERROR",
            "BANKERROR",
            "SERVICEUNAVAILABLE",
            "BIZERRNEEDRETRY",
        ],
        Cause::Busy,
        "微信系统繁忙：请稍后用同一个单号、同样的参数重试",
    ),
    (
        &[
            "FREQUENCYLIMITED",
            "RATELIMITEXCEEDED",
            "RATELIMITED",
            "INVALIDREQTOOMUCH",
        ],
        Cause::RateLimited,
        "请求过于频繁，被微信限流：请放慢后重试",
    ),
    (
        &["APPIDNOTEXIST"],
        Cause::Config,
        "appid 不存在：请核对 [wechat] appid",
    ),
    (
        &["MCHIDNOTEXIST", "MCHNOTEXISTS"],
        Cause::Config,
        "商户号不存在：请核对 [wechat.pay] mchid",
    ),
    (
        &["APPIDMCHIDNOTMATCH"],
        Cause::Config,
        "appid 与商户号没有绑定：请在商户平台“产品中心 → APPID 授权管理”中绑定",
    ),
    (
        &["CERTERROR"],
        Cause::Config,
        "商户证书不被微信接受：请核对 v2_client_cert_file、v2_client_key_file 与商户号",
    ),
    (
        &["TRADEOVERDUE"],
        Cause::RefundTooOld,
        "该笔支付已超过一年，微信不再退款：请用其他方式退还",
    ),
    (
        &["SIGNERROR"],
        Cause::Config,
        "签名错误：请核对密钥、签名方式、证书序列号，并校准服务器时钟",
    ),
    (
        &["NOAUTH"],
        Cause::NoPermission,
        "商户没有此接口的权限：请在商户平台开通 JSAPI 支付产品",
    ),
    (
        &["OPENIDMISMATCH"],
        Cause::OpenIdMismatch,
        "openid 与 appid 不匹配：请让用户重新登录本小程序",
    ),
    (
        &["NOTENOUGH"],
        Cause::NotEnough,
        "付款人余额不足：可换一种付款方式，用同一单号再付",
    ),
    (
        &["ACCOUNTERROR", "USERACCOUNTABNORMAL"],
        Cause::PayerAccount,
        "付款人的微信支付账户异常：请付款人联系微信客服",
    ),
    (
        &["RULELIMIT", "TRADEERROR", "TRADESTATEERROR"],
        Cause::RuleLimit,
        "被微信的业务规则或风控拦下：请按微信的说明处理",
    ),
    (
        &["INVALIDREQUEST", "PARAMERROR", "LACKPARAMS"],
        Cause::BadRequest,
        "请求参数不被微信接受：请按微信指出的字段检查配置",
    ),
    (
        &[
            "XMLFORMATERROR",
            "REQUIREPOSTMETHOD",
            "POSTDATAEMPTY",
            "NOTUTF8",
        ],
        Cause::BadRequest,
        "请求格式不被微信接受：这是程序缺陷，请报告",
    ),
];

/// What is said of a code that is not in the table.
const UNLISTED: &str = "微信拒绝了请求：请按微信的说明处理";

/// What `code` means, or `None` for one that is not documented.
pub fn meaning(code: &str) -> Option<(Cause, &'static str)> {
    let plain = code.replace('_', "");
    TABLE
        .iter()
        .find(|(codes, ..)| codes.contains(&plain.as_str()))
        .map(|&(_, cause, advice)| (cause, advice))
}

/// What `code` in an answer stands for; an undocumented one means `otherwise`.
///
/// "System error" is no refusal: the call may have been carried out all the same.
pub(crate) fn error(code: &str, said: &str, otherwise: Cause) -> WechatError {
    let (cause, advice) = meaning(code).unwrap_or((otherwise, UNLISTED));
    if cause == Cause::Busy {
        return WechatError::Unknown(format!("{advice}（微信返回 {code}：{said}）"));
    }
    WechatError::Refused(Refused {
        cause,
        code: code.to_owned(),
        advice,
        said: said.to_owned(),
    })
}

/// A repeat with other parameters than the first time, whatever code it came with.
pub(crate) fn params_changed(code: &str, said: &str) -> WechatError {
    WechatError::Refused(Refused {
        cause: Cause::ParamsChanged,
        code: code.to_owned(),
        advice: "同一商户订单号的参数前后不一致：请先查询；未支付时用原参数重发，或关闭后换新号",
        said: said.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_mean_the_same_and_no_code_stands_twice() {
        assert_eq!(meaning("ORDER_PAID"), meaning("ORDERPAID"));
        assert_eq!(meaning("SYSTEM_ERROR"), meaning("SYSTEMERROR"));
        assert_eq!(meaning("NO_SUCH_CODE"), None);
        let all: Vec<_> = TABLE.iter().flat_map(|row| row.0).collect();
        for (at, code) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(code), "{code}");
            assert!(!code.contains('_'), "{code} would never be found");
        }
    }

    #[test]
    fn every_documented_code_has_its_meaning() {
        let table = [
            ("INVALID_REQUEST", Cause::BadRequest),
            ("NOAUTH", Cause::NoPermission),
            ("NO_AUTH", Cause::NoPermission),
            ("NOTENOUGH", Cause::NotEnough),
            ("ORDERPAID", Cause::OrderPaid),
            ("ORDERCLOSED", Cause::OrderClosed),
            ("ORDER_CLOSED", Cause::OrderClosed),
            ("SYSTEMERROR", Cause::Busy),
            ("APPID_NOT_EXIST", Cause::Config),
            ("MCHID_NOT_EXIST", Cause::Config),
            ("MCH_NOT_EXISTS", Cause::Config),
            ("APPID_MCHID_NOT_MATCH", Cause::Config),
            ("LACK_PARAMS", Cause::BadRequest),
            ("PARAM_ERROR", Cause::BadRequest),
            ("OUT_TRADE_NO_USED", Cause::ParamsChanged),
            ("SIGNERROR", Cause::Config),
            ("SIGN_ERROR", Cause::Config),
            ("XML_FORMAT_ERROR", Cause::BadRequest),
            ("REQUIRE_POST_METHOD", Cause::BadRequest),
            ("POST_DATA_EMPTY", Cause::BadRequest),
            ("NOT_UTF8", Cause::BadRequest),
            ("ORDERNOTEXIST", Cause::OrderNotFound),
            ("ORDER_NOT_EXIST", Cause::OrderNotFound),
            ("RESOURCE_NOT_EXISTS", Cause::OrderNotFound),
            ("REFUNDNOTEXIST", Cause::OrderNotFound),
            ("INVALID_TRANSACTIONID", Cause::OrderNotFound),
            ("ORDER_PAID", Cause::OrderPaid),
            ("NOT_ENOUGH", Cause::NotEnough),
            ("USER_ACCOUNT_ABNORMAL", Cause::PayerAccount),
            ("RULELIMIT", Cause::RuleLimit),
            ("TRADE_STATE_ERROR", Cause::RuleLimit),
            ("ACCOUNTERROR", Cause::PayerAccount),
            ("RATE_LIMITED", Cause::RateLimited),
            ("BANK_ERROR", Cause::Busy),
            ("BANKERROR", Cause::Busy),
            ("SYSTEM_ERROR", Cause::Busy),
            ("OPENID_MISMATCH", Cause::OpenIdMismatch),
            ("RULE_LIMIT", Cause::RuleLimit),
            ("TRADE_ERROR", Cause::RuleLimit),
            ("ACCOUNT_ERROR", Cause::PayerAccount),
            ("FREQUENCY_LIMITED", Cause::RateLimited),
            ("RATELIMIT_EXCEEDED", Cause::RateLimited),
            ("SERVICE_UNAVAILABLE", Cause::Busy),
        ];
        for (code, cause) in table {
            assert_eq!(meaning(code).map(|m| m.0), Some(cause), "{code}");
        }
    }
}
