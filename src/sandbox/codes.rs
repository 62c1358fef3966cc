//! The names that faults are asked for by: WeChat's error codes, and short names of its calls.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Code and the status v3 sends it with. Source: 微信支付 APIv2, APIv3 · 错误码.
const CODES: [(&str, u16); 49] = [
    ("SYSTEM_ERROR", 500),
    ("SYSTEMERROR", 500),
    ("PARAM_ERROR", 400),
    ("INVALID_REQUEST", 400),
    ("APPID_MCHID_NOT_MATCH", 400),
    ("APPID_NOT_EXIST", 400),
    ("MCHID_NOT_EXIST", 400),
    ("MCH_NOT_EXISTS", 400),
    ("LACK_PARAMS", 400),
    ("XML_FORMAT_ERROR", 400),
    ("CERT_ERROR", 400),
    ("ERROR", 400),
    ("ORDER_CLOSED", 400),
    ("ORDERCLOSED", 400),
    ("ORDERPAID", 400),
    ("ORDER_PAID", 400),
    ("TRADE_OVERDUE", 400),
    ("TRADE_STATE_ERROR", 400),
    ("NO_STATEMENT_EXIST", 400),
    ("STATEMENT_CREATING", 400),
    ("SIGN_ERROR", 401),
    ("SIGNERROR", 401),
    ("NO_AUTH", 403),
    ("NOAUTH", 403),
    ("OUT_TRADE_NO_USED", 403),
    ("RULE_LIMIT", 403),
    ("RULELIMIT", 403),
    ("TRADE_ERROR", 403),
    ("ACCOUNT_ERROR", 403),
    ("ACCOUNTERROR", 403),
    ("NOT_ENOUGH", 403),
    ("NOTENOUGH", 403),
    ("USER_ACCOUNT_ABNORMAL", 403),
    ("REQUEST_BLOCKED", 403),
    ("ORDER_NOT_EXIST", 404),
    ("ORDERNOTEXIST", 404),
    ("RESOURCE_NOT_EXISTS", 404),
    ("REFUNDNOTEXIST", 404),
    ("FREQUENCY_LIMITED", 429),
    ("RATELIMIT_EXCEEDED", 429),
    ("RATE_LIMITED", 429),
    ("INVALID_REQ_TOO_MUCH", 429),
    ("INVALID_TRANSACTIONID", 500),
    ("OPENID_MISMATCH", 500),
    ("BANK_ERROR", 500),
    ("BANKERROR", 500),
    ("BIZERR_NEED_RETRY", 500),
    ("SERVICE_UNAVAILABLE", 503),
    ("USERPAYING", 202),
];

/// One of WeChat's codes, chosen for a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlannedCode(&'static (&'static str, u16));

impl PlannedCode {
    pub(super) fn code(self) -> &'static str {
        self.0.0
    }

    pub(super) fn status(self) -> u16 {
        self.0.1
    }
}

impl Default for PlannedCode {
    fn default() -> Self {
        Self(&CODES[0])
    }
}

impl Serialize for PlannedCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for PlannedCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = CODES.iter().find(|(code, _)| *code == name);
        known
            .map(Self)
            .ok_or_else(|| D::Error::custom("不是微信支付的错误码 (not a code of WeChat Pay)"))
    }
}

/// The short name of a call, the same in both protocols; else the last part of its path.
pub(super) fn call_name(pattern: &str) -> &str {
    match pattern {
        "/sns/jscode2session" => "login",
        "/pay/unifiedorder" | "/v3/pay/transactions/jsapi" => "prepay",
        "/pay/orderquery"
        | "/v3/pay/transactions/id/{transaction_id}"
        | "/v3/pay/transactions/out-trade-no/{out_trade_no}" => "query",
        "/pay/closeorder" => "close",
        "/secapi/pay/refund" | "/v3/refund/domestic/refunds" => "refund",
        "/pay/refundquery" | "/v3/refund/domestic/refunds/{out_refund_no}" => "refund_query",
        "/pay/downloadbill" | "/v3/bill/tradebill" => "bill",
        "/v3/billdownload/file" => "bill_file",
        _ => match pattern.rsplit('/').next().unwrap_or(pattern) {
            "apply-abnormal-refund" => "abnormal_refund",
            last => last,
        },
    }
}
