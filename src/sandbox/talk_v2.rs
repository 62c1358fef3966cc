//! How v2 is spoken: a document read, its sender proved, its fields measured, an answer signed.
//!
//! Which calls there are and what they do is told elsewhere; see `order_v2` and `calls_v2`.

use std::net::IpAddr;

use serde_json::Value;

use super::credentials::Credentials;
use super::rules;
use super::sign_v2::{self, SignType};
use super::verdicts::{Kind, Verdict};
use crate::base::secret::random_text;
use crate::base::xml::Fields;
use crate::base::{Fen, OpenId, Timestamp};

/// An appid that exists but is not bound to the merchant.
pub(super) const UNBOUND_APPID: &str = "wx0000000000000001";

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// WeChat's code, such as `SIGNERROR`.
    pub(super) code: &'static str,
    pub(super) message: String,
    kind: Kind,
    /// The algorithm of the answer; `None` before the signature was proved, for then
    /// `return_code` is FAIL and nothing is signed. Source: 微信支付 APIv2 · 协议规则.
    proved: Option<SignType>,
}

fn unproved(code: &'static str, message: impl Into<String>) -> Refused {
    Refused {
        code,
        message: message.into(),
        kind: Kind::Protocol,
        proved: None,
    }
}

/// What a value must look like, beside its length.
pub(super) enum Shape {
    Any,
    TradeNo,
    RefundNo,
    Whole,
    Fee,
    Ip,
    Time,
    Url,
    Json,
    OneOf(&'static [&'static str]),
    OpenId,
}

pub(super) enum Need {
    Required,
    Optional,
}

/// Field, need, longest in bytes, shape.
pub(super) type Rule = (&'static str, Need, usize, Shape);

/// Reads a document: method, encoding, form. Source: 微信支付 APIv2 · 统一下单, 错误码.
pub(super) fn read(method: &str, body: &[u8]) -> Result<Fields, Refused> {
    if method != "POST" {
        return Err(unproved("REQUIRE_POST_METHOD", "请使用post方法"));
    }
    if body.is_empty() {
        return Err(unproved("POST_DATA_EMPTY", "post数据为空"));
    }
    if std::str::from_utf8(body).is_err() {
        return Err(unproved("NOT_UTF8", "编码格式错误，请使用UTF-8编码"));
    }
    let bad_xml = |why| unproved("XML_FORMAT_ERROR", format!("XML格式错误 ({why})"));
    Fields::parse(body, "xml").map_err(bad_xml)
}

/// Proves who asks: a known merchant and a right signature under its key.
pub(super) fn prove(credentials: &Credentials, fields: &Fields) -> Result<SignType, Refused> {
    for name in ["appid", "mch_id", "nonce_str", "sign"] {
        if fields.text(name).is_empty() {
            return Err(unproved("LACK_PARAMS", format!("缺少参数{name}")));
        }
    }
    if fields.text("mch_id") != credentials.mchid.as_str() {
        return Err(unproved("MCHID_NOT_EXIST", "商户号mch_id不存在"));
    }
    let sign_type = SignType::from_field(fields.text("sign_type"))
        .ok_or_else(|| unproved("SIGNERROR", "签名错误：sign_type应为MD5或HMAC-SHA256"))?;
    match sign_v2::verifies(fields, &credentials.v2_key, sign_type) {
        true => Ok(sign_type),
        false => Err(unproved("SIGNERROR", "签名错误")),
    }
}

/// Checks that the appid exists and is bound to the proved merchant.
pub(super) fn check_appid(
    credentials: &Credentials,
    fields: &Fields,
    sign_type: SignType,
) -> Result<(), Refused> {
    let (code, message) = match fields.text("appid") {
        appid if appid == credentials.appid.as_str() => return Ok(()),
        UNBOUND_APPID => ("APPID_MCHID_NOT_MATCH", "商户号mch_id与appid不匹配"),
        _ => ("APPID_NOT_EXIST", "appid不存在"),
    };
    Err(Refused::new(code, message, sign_type))
}

/// Checks every field of a proved request.
pub(super) fn check_fields(
    fields: &Fields,
    rules: &[Rule],
    sign_type: SignType,
) -> Result<(), Refused> {
    for (name, need, longest, shape) in rules {
        let value = fields.text(name);
        if value.is_empty() {
            match need {
                Need::Required => {
                    let message = format!("缺少参数{name}");
                    return Err(Refused::new("LACK_PARAMS", message, sign_type));
                }
                Need::Optional => continue,
            }
        }
        let right = value.len() <= *longest && fits(value, shape);
        if !right {
            let message = format!("invalid {name}：参数{name}的长度或格式有误");
            return Err(Refused::new("INVALID_REQUEST", message, sign_type));
        }
    }
    Ok(())
}

fn fits(value: &str, shape: &Shape) -> bool {
    match shape {
        Shape::Any => true,
        Shape::TradeNo => rules::is_out_trade_no(value),
        Shape::RefundNo => rules::is_out_refund_no(value),
        Shape::Whole => value.bytes().all(|b| b.is_ascii_digit()),
        Shape::Fee => Fen::from_digits(value).is_some_and(|fen| fen > Fen::ZERO),
        Shape::Ip => value.parse::<IpAddr>().is_ok(),
        Shape::Time => Timestamp::from_compact(value).is_some(),
        Shape::Url => rules::is_notify_url(value),
        Shape::Json => serde_json::from_str::<Value>(value).is_ok_and(|json| json.is_object()),
        Shape::OneOf(allowed) => allowed.contains(&value),
        Shape::OpenId => value.parse::<OpenId>().is_ok(),
    }
}

/// WeChat is busy: the same request again is right. Signed like any answer to a proved request.
pub(super) fn busy(sign_type: SignType) -> Refused {
    Refused::new("SYSTEMERROR", "系统错误，请用相同参数重新调用", sign_type)
}

impl Refused {
    /// Refuses a proved request; the kind follows from the code.
    pub(super) fn new(code: &'static str, message: impl Into<String>, sign_type: SignType) -> Self {
        Self {
            kind: Kind::of(code),
            proved: Some(sign_type),
            ..unproved(code, message)
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

    /// The document that answers `asked`.
    pub(super) fn answer(&self, credentials: &Credentials, asked: &Fields) -> Fields {
        let Some(sign_type) = self.proved else {
            return Fields::new()
                .with("return_code", "FAIL")
                .with("return_msg", &*self.message);
        };
        let fields = common(asked)
            .with("result_code", "FAIL")
            .with("err_code", self.code)
            .with("err_code_des", &*self.message);
        signed(fields, credentials, sign_type)
    }
}

/// The document that answers `asked` when its work is done: the common part, `result`, a sign.
pub(super) fn done(
    credentials: &Credentials,
    asked: &Fields,
    result: &Fields,
    sign_type: SignType,
) -> Fields {
    let start = common(asked).with("result_code", "SUCCESS");
    let fields = result
        .iter()
        .fold(start, |fields, (name, value)| fields.with(name, value));
    signed(fields, credentials, sign_type)
}

/// Source: 微信支付 APIv2 · 统一下单, 返回结果.
fn common(asked: &Fields) -> Fields {
    let mut fields = Fields::new()
        .with("return_code", "SUCCESS")
        .with("return_msg", "OK");
    for name in ["appid", "mch_id", "device_info"] {
        if let Some(value) = asked.get(name) {
            fields.set(name, value);
        }
    }
    fields.with("nonce_str", random_text(16))
}

fn signed(fields: Fields, credentials: &Credentials, sign_type: SignType) -> Fields {
    let sign = sign_v2::sign(&fields, &credentials.v2_key, sign_type);
    fields.with("sign", sign)
}
