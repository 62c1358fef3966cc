//! The v2 unified order (统一下单) as WeChat judges it. Pure: text in, order or refusal out.

use std::net::IpAddr;

use serde_json::Value;

use super::credentials::Credentials;
use super::login::Known;
use super::rules;
use super::sign_v2::{self, SignType};
use super::trades::{NotOpened, Protocol, Wanted};
use crate::base::secret::random_text;
use crate::base::xml::Fields;
use crate::base::{Fen, OpenId, PrepayId, Timestamp};

/// An appid that exists but is not bound to the merchant.
pub(super) const UNBOUND_APPID: &str = "wx0000000000000001";

/// A refused order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// WeChat's code, such as `SIGNERROR`.
    pub(super) code: &'static str,
    pub(super) message: String,
    /// The algorithm of the answer; `None` before the signature was proved, for then
    /// `return_code` is FAIL and nothing is signed. Source: 微信支付 APIv2 · 协议规则.
    proved: Option<SignType>,
}

fn unproved(code: &'static str, message: impl Into<String>) -> Refused {
    Refused {
        code,
        message: message.into(),
        proved: None,
    }
}

/// What a value must look like, beside its length.
enum Shape {
    Any,
    TradeNo,
    Fee,
    Ip,
    Time,
    Url,
    Json,
    OneOf(&'static [&'static str]),
    OpenId,
}

enum Need {
    Required,
    Optional,
}
use Need::{Optional, Required};

/// Field, need, longest in bytes, shape. Source: 微信支付 APIv2 · 统一下单, 请求参数.
///
/// Whether WeChat counts characters or bytes is not published: the stricter reading is taken.
const RULES: [(&str, Need, usize, Shape); 25] = [
    ("nonce_str", Required, 32, Shape::Any),
    ("body", Required, 127, Shape::Any),
    ("out_trade_no", Required, 32, Shape::TradeNo),
    ("total_fee", Required, 19, Shape::Fee),
    ("spbill_create_ip", Required, 64, Shape::Ip),
    ("notify_url", Required, 256, Shape::Url),
    ("trade_type", Required, 16, Shape::OneOf(&["JSAPI"])),
    ("openid", Required, 128, Shape::OpenId),
    ("sign_type", Optional, 32, Shape::Any),
    ("device_info", Optional, 32, Shape::Any),
    ("detail", Optional, 6000, Shape::Json),
    ("attach", Optional, 127, Shape::Any),
    ("fee_type", Optional, 16, Shape::OneOf(&["CNY"])),
    ("time_start", Optional, 14, Shape::Time),
    ("time_expire", Optional, 14, Shape::Time),
    ("goods_tag", Optional, 32, Shape::Any),
    ("product_id", Optional, 32, Shape::Any),
    ("limit_pay", Optional, 32, Shape::OneOf(&["no_credit"])),
    ("receipt", Optional, 8, Shape::OneOf(&["Y"])),
    ("profit_sharing", Optional, 1, Shape::OneOf(&["Y", "N"])),
    ("scene_info", Optional, 256, Shape::Json),
    ("version", Optional, 32, Shape::OneOf(&["1.0"])),
    ("user_creid", Optional, 32, Shape::Any),
    ("user_truename", Optional, 64, Shape::Any),
    ("user_type", Optional, 32, Shape::Any),
];

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
    Err(Refused {
        code,
        message: message.to_owned(),
        proved: Some(sign_type),
    })
}

/// Checks every field of a proved request.
pub(super) fn order(
    fields: &Fields,
    sign_type: SignType,
    knows: &dyn Fn(&OpenId) -> Known,
) -> Result<Wanted, Refused> {
    let refused = |code, message| Refused {
        code,
        message,
        proved: Some(sign_type),
    };
    for (name, need, longest, shape) in &RULES {
        let value = fields.text(name);
        if value.is_empty() {
            match need {
                Required => return Err(refused("LACK_PARAMS", format!("缺少参数{name}"))),
                Optional => continue,
            }
        }
        let right = value.len() <= *longest && fits(value, shape);
        if !right {
            let message = format!("invalid {name}：参数{name}的长度或格式有误");
            return Err(refused("INVALID_REQUEST", message));
        }
    }
    let openid: OpenId = fields.text("openid").parse().expect("fits its shape");
    if knows(&openid) == Known::No {
        return Err(refused("INVALID_REQUEST", "appid和openid不匹配".to_owned()));
    }
    Ok(Wanted {
        protocol: Protocol::V2(sign_type),
        out_trade_no: fields.text("out_trade_no").to_owned(),
        openid,
        total: Fen::from_digits(fields.text("total_fee")).expect("fits its shape"),
        notify_url: fields.text("notify_url").to_owned(),
        attach: fields
            .get("attach")
            .filter(|a| !a.is_empty())
            .map(str::to_owned),
        pays_until: Timestamp::from_compact(fields.text("time_expire")),
        fingerprint: sign_v2::fingerprint(fields),
    })
}

fn fits(value: &str, shape: &Shape) -> bool {
    match shape {
        Shape::Any => true,
        Shape::TradeNo => rules::is_out_trade_no(value),
        Shape::Fee => Fen::from_digits(value).is_some_and(|fen| fen > Fen::ZERO),
        Shape::Ip => value.parse::<IpAddr>().is_ok(),
        Shape::Time => Timestamp::from_compact(value).is_some(),
        Shape::Url => rules::is_notify_url(value),
        Shape::Json => serde_json::from_str::<Value>(value).is_ok_and(|json| json.is_object()),
        Shape::OneOf(allowed) => allowed.contains(&value),
        Shape::OpenId => value.parse::<OpenId>().is_ok(),
    }
}

/// What the common rules of opening are called in v2. Source: 微信支付 APIv2 · 统一下单, 错误码.
pub(super) fn not_opened(why: NotOpened, sign_type: SignType) -> Refused {
    let (code, message) = match why {
        NotOpened::TooSoon => (
            "INVALID_REQUEST",
            "time_expire时间过短，刷卡至少1分钟，其他5分钟",
        ),
        NotOpened::Differs => ("INVALID_REQUEST", "201 商户订单号重复"),
        NotOpened::Used => ("OUT_TRADE_NO_USED", "商户订单号重复"),
        NotOpened::Paid => ("ORDERPAID", "该订单已支付"),
        NotOpened::Closed => ("ORDERCLOSED", "该订单已关闭"),
    };
    Refused {
        code,
        message: message.to_owned(),
        proved: Some(sign_type),
    }
}

/// WeChat is busy: the same request again is right. Signed like any answer to a proved request.
pub(super) fn busy(sign_type: SignType) -> Refused {
    Refused {
        code: "SYSTEMERROR",
        message: "系统错误，请用相同参数重新调用".to_owned(),
        proved: Some(sign_type),
    }
}

impl Refused {
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

/// The document that answers `asked` when its order is open.
pub(super) fn opened(
    credentials: &Credentials,
    asked: &Fields,
    prepay_id: &PrepayId,
    sign_type: SignType,
) -> Fields {
    let fields = common(asked)
        .with("result_code", "SUCCESS")
        .with("trade_type", "JSAPI")
        .with("prepay_id", prepay_id.as_str());
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
