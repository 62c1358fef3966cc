//! The v3 prepay (JSAPI/小程序下单) as WeChat judges it. Pure: a request in, order or refusal out.

use serde_json::Value;

use super::credentials::Credentials;
use super::login::Known;
use super::shape_v3::PREPAY;
use super::talk_v3::{Refused, bad_param, read_body, refused};
use super::trades::{NotOpened, Protocol, Wanted};
use crate::base::{Fen, OpenId, Timestamp, hash};

/// Checks the body of a proved prepay.
pub(super) fn order(
    credentials: &Credentials,
    body: &[u8],
    knows: &dyn Fn(&OpenId) -> Known,
) -> Result<Wanted, Refused> {
    let body = read_body(body, PREPAY)?;
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    if text("/mchid") != Some(credentials.mchid.as_str()) {
        let why = "与Authorization中的商户号不一致";
        return Err(bad_param("/mchid", why, "body"));
    }
    if text("/appid") != Some(credentials.appid.as_str()) {
        let message = "商户号与appid不匹配";
        return Err(refused(400, "APPID_MCHID_NOT_MATCH", message, 268_445_527));
    }
    let openid: OpenId = text("/payer/openid")
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| bad_param("/payer/openid", "格式错误", "body"))?;
    if knows(&openid) == Known::No {
        let message = "openid和appid不匹配";
        return Err(refused(500, "OPENID_MISMATCH", message, 268_435_461));
    }
    let total = body.pointer("/amount/total").and_then(Value::as_u64);
    Ok(Wanted {
        protocol: Protocol::V3,
        out_trade_no: text("/out_trade_no").unwrap_or_default().to_owned(),
        openid,
        total: Fen::new(total.unwrap_or_default()),
        notify_url: text("/notify_url").unwrap_or_default().to_owned(),
        attach: text("/attach").map(str::to_owned),
        description: text("/description").unwrap_or_default().to_owned(),
        pays_until: text("/time_expire").and_then(Timestamp::from_rfc3339),
        fingerprint: hash::sha256(body.to_string().as_bytes()),
    })
}

/// What the common rules of opening are called in v3. Source: 微信支付 APIv3 · JSAPI/小程序下单, 错误码.
pub(super) fn not_opened(why: NotOpened) -> Refused {
    match why {
        NotOpened::TooSoon => bad_param("/time_expire", "时间过短", "body"),
        NotOpened::Differs => {
            let message = "请求重入时，参数与首次请求时不一致";
            refused(400, "INVALID_REQUEST", message, 268_498_688)
        }
        NotOpened::Used => refused(403, "OUT_TRADE_NO_USED", "商户订单号重复", 268_498_688),
        NotOpened::Paid => refused(400, "ORDERPAID", "该订单已支付", 268_498_689),
        NotOpened::Closed => refused(400, "ORDER_CLOSED", "该订单已关闭", 268_447_914),
    }
}
