//! The v2 unified order (统一下单) as WeChat judges it. Pure: text in, order or refusal out.

use super::login::Known;
use super::sign_v2::{self, SignType};
use super::talk_v2::Need::{Optional, Required};
use super::talk_v2::{Refused, Rule, Shape, check_fields};
use super::trades::{NotOpened, Protocol, Wanted};
use crate::base::xml::Fields;
use crate::base::{Fen, OpenId, PrepayId, Timestamp};

/// Field, need, longest in bytes, shape. Source: 微信支付 APIv2 · 统一下单, 请求参数.
///
/// Whether WeChat counts characters or bytes is not published: the stricter reading is taken.
const RULES: [Rule; 25] = [
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

/// Checks every field of a proved request.
pub(super) fn order(
    fields: &Fields,
    sign_type: SignType,
    knows: &dyn Fn(&OpenId) -> Known,
) -> Result<Wanted, Refused> {
    check_fields(fields, &RULES, sign_type)?;
    let openid: OpenId = fields.text("openid").parse().expect("fits its shape");
    if knows(&openid) == Known::No {
        let message = "appid和openid不匹配";
        return Err(Refused::new("INVALID_REQUEST", message, sign_type));
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
        description: fields.text("body").to_owned(),
        pays_until: Timestamp::from_compact(fields.text("time_expire")),
        fingerprint: sign_v2::fingerprint(fields),
    })
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
    Refused::new(code, message, sign_type)
}

/// What an open order is answered with.
pub(super) fn opened(prepay_id: &PrepayId) -> Fields {
    Fields::new()
        .with("trade_type", "JSAPI")
        .with("prepay_id", prepay_id.as_str())
}
