//! How v3 is spoken: who calls is proved, headers and bodies are measured, refusals are shaped.
//!
//! Which calls there are and what they do is told elsewhere; see `order_v3` and `calls_v3`.

use std::time::Duration;

use serde_json::{Value, json};

use super::credentials::{Credentials, Keys};
use super::shape_v3::{self, Field};
use super::sign_v3::{Authorization, request_string};
use super::verdicts::{Kind, Verdict};
use crate::base::Timestamp;

/// How far a request's timestamp may be off. Source: 微信支付 APIv3 · 签名验证失败.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// What a request shows of itself. `target` and `body` are exactly as they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Call<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) authorization: Option<&'a str>,
    pub(super) accept: Option<&'a str>,
    pub(super) content_type: Option<&'a str>,
    pub(super) user_agent: Option<&'a str>,
    pub(super) wechatpay_serial: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// A refused call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refused {
    pub(super) status: u16,
    /// WeChat's code, such as `PARAM_ERROR`.
    pub(super) code: &'static str,
    pub(super) message: String,
    detail: Value,
    kind: Kind,
    /// The number behind `Request-ID`. Source: 微信支付 APIv3 · 常见问题, Request-ID 后缀.
    pub(super) suffix: u32,
}

impl Refused {
    /// The answer's body.
    pub(super) fn body(&self) -> Value {
        let (code, message) = (self.code, &self.message);
        match &self.detail {
            Value::Null => json!({"code": code, "message": message}),
            detail => json!({"code": code, "message": message, "detail": detail}),
        }
    }

    /// The same refusal, of a kind that a correct merchant meets too.
    pub(super) fn business(self) -> Self {
        Self {
            kind: Kind::Business,
            ..self
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        Verdict {
            kind: self.kind,
            ..Verdict::new(self.code, &*self.message)
        }
    }

    /// The field that is wrong, as `detail.field` names it.
    #[cfg(test)]
    pub(super) fn field(&self) -> &str {
        self.detail["field"].as_str().unwrap_or("")
    }
}

/// A refusal without detail; its kind follows from its code.
pub(super) fn refused(status: u16, code: &'static str, message: &str, suffix: u32) -> Refused {
    Refused {
        status,
        code,
        message: message.to_owned(),
        detail: Value::Null,
        kind: Kind::of(code),
        suffix,
    }
}

fn unsigned(message: &str) -> Refused {
    Refused {
        detail: json!({"location": "authorization", "issue": message}),
        ..refused(401, "SIGN_ERROR", message, 268_443_699)
    }
}

/// A field that breaks its rule.
pub(super) fn bad_param(field: &str, why: &str, location: &str) -> Refused {
    let message = format!("参数错误：{field} {why}");
    Refused {
        detail: json!({"field": field, "issue": why, "location": location}),
        ..refused(400, "PARAM_ERROR", &message, 268_435_461)
    }
}

/// Proves who asks, before anything in the body is believed.
///
/// Source: 微信支付 APIv3 · 签名生成; 签名验证失败.
pub(super) fn prove(
    (credentials, keys): (&Credentials, &Keys),
    call: &Call<'_>,
    now: Timestamp,
) -> Result<(), Refused> {
    let header = call
        .authorization
        .ok_or_else(|| unsigned("缺少Authorization请求头"))?;
    let authorization =
        Authorization::read(header).ok_or_else(|| unsigned("Authorization请求头格式错误"))?;
    if authorization.serial_no != credentials.merchant_serial {
        return Err(unsigned("商户证书序列号有误"));
    }
    let at = authorization
        .at()
        .ok_or_else(|| unsigned("Authorization时间戳格式错误"))?;
    if at.since(now) > SKEW || now.since(at) > SKEW {
        return Err(unsigned("Http请求的时间戳与微信支付服务器相差超过5分钟"));
    }
    let string = request_string((call.method, call.target), &authorization, call.body);
    if !keys.merchant.verifies(&string, authorization.signature) {
        return Err(mismatch(call, &string));
    }
    if authorization.mchid != credentials.mchid.as_str() {
        return Err(refused(400, "MCH_NOT_EXISTS", "商户号不存在", 268_443_715));
    }
    Ok(())
}

/// Shows the start of what was put together here, so that a merchant sees where theirs differs.
fn mismatch(call: &Call<'_>, string: &[u8]) -> Refused {
    let start: String = String::from_utf8_lossy(string).chars().take(160).collect();
    Refused {
        detail: json!({
            "location": "authorization",
            "issue": "sign not match",
            "field": "signature",
            "sign_information": {
                "method": call.method,
                "url": call.target,
                "truncated_sign_message": start,
                "sign_message_length": string.len(),
            },
        }),
        ..unsigned("错误的签名，验签失败")
    }
}

/// Checks the headers every call must bear; `is_ours` knows the keys `Wechatpay-Serial` may name.
///
/// Source: 微信支付 APIv3 · 接口规则, 请求头.
pub(super) fn check_headers(
    call: &Call<'_>,
    is_ours: &dyn Fn(&str) -> bool,
) -> Result<(), Refused> {
    let takes_json = |accept: &str| accept.contains("application/json") || accept.contains("*/*");
    if !call.accept.is_some_and(takes_json) {
        return Err(bad_param("Accept", "应为application/json", "header"));
    }
    if call.user_agent.is_none_or(str::is_empty) {
        return Err(bad_param("User-Agent", "缺少请求头", "header"));
    }
    let is_json = |sent: &str| sent.split(';').next() == Some("application/json");
    if !call.body.is_empty() && !call.content_type.is_some_and(is_json) {
        return Err(bad_param("Content-Type", "应为application/json", "header"));
    }
    match call.wechatpay_serial {
        Some(serial) if !is_ours(serial) => {
            let message = "Wechatpay-Serial有误：不是本商户可用的微信支付公钥ID或平台证书序列号";
            Err(refused(400, "INVALID_REQUEST", message, 268_435_461))
        }
        Some(_) | None => Ok(()),
    }
}

/// Reads a JSON object of the documented shape.
pub(super) fn read_body(body: &[u8], shape: &[Field]) -> Result<Value, Refused> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Err(bad_param("", "请求体不是JSON", "body"));
    };
    let Value::Object(fields) = &body else {
        return Err(bad_param("", "请求体不是JSON对象", "body"));
    };
    match shape_v3::check(fields, shape) {
        Ok(()) => Ok(body),
        Err(fault) => Err(Refused {
            suffix: suffix_of(&fault),
            ..bad_param(&fault.pointer, fault.why, "body")
        }),
    }
}

fn suffix_of(fault: &shape_v3::Fault) -> u32 {
    match (fault.pointer.as_str(), fault.why) {
        (_, "不支持的参数") => 270_924_358,
        ("/payer" | "/payer/openid", "缺少必填参数") => 268_501_013,
        _ => 268_435_461,
    }
}

/// WeChat is busy: the same request again is right.
pub(super) fn busy() -> Refused {
    refused(
        500,
        "SYSTEM_ERROR",
        "系统异常，请用相同参数重新调用",
        268_435_462,
    )
}
