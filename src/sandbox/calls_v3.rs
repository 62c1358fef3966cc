//! The v3 query and close of an order as WeChat judges and answers them.

use serde_json::json;

use super::credentials::Credentials;
use super::gate_v3::Answer;
use super::notify::payment_object;
use super::shape_v3::CLOSE;
use super::talk_v3::{Call, Refused, bad_param, read_body, refused};
use super::trades::{NotClosed, Protocol, Trade, Trades};
use crate::base::Timestamp;

/// The query of a target must be `mchid` alone, and the caller's own.
///
/// Source: 微信支付 APIv3 · 商户订单号查询订单, query参数.
pub(super) fn check_query(credentials: &Credentials, call: &Call<'_>) -> Result<(), Refused> {
    let query = call.target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut mchid = None;
    for pair in pairs {
        match pair.split_once('=') {
            Some(("mchid", value)) if mchid.is_none() => mchid = Some(value),
            _ => return Err(bad_param(pair, "不支持的参数", "query")),
        }
    }
    match mchid {
        None => Err(bad_param("mchid", "缺少必填参数", "query")),
        Some(mchid) if mchid == credentials.mchid.as_str() => Ok(()),
        Some(_) => Err(bad_param(
            "mchid",
            "与Authorization中的商户号不一致",
            "query",
        )),
    }
}

/// A target that takes no query.
pub(super) fn check_no_query(call: &Call<'_>) -> Result<(), Refused> {
    match call.target.split_once('?') {
        None => Ok(()),
        Some((_, query)) => Err(bad_param(query, "不支持的参数", "query")),
    }
}

/// What an order is now. Source: 微信支付 APIv3 · 查询订单.
pub(super) fn query(
    credentials: &Credentials,
    trade: Option<&Trade>,
    now: Timestamp,
) -> Result<Answer, Refused> {
    let trade = trade.ok_or_else(not_exist)?;
    let state = trade.state_at(now);
    let mut body = match &trade.payment {
        Some(payment) => payment_object((trade, payment), trade.order.total),
        None => json!({"out_trade_no": trade.order.out_trade_no}),
    };
    body["appid"] = json!(credentials.appid);
    body["mchid"] = json!(credentials.mchid);
    body["trade_state"] = json!(state.name());
    body["trade_state_desc"] = json!(state.says());
    Ok(Answer::Json(body))
}

fn not_exist() -> Refused {
    refused(404, "ORDER_NOT_EXIST", "订单不存在", 268_512_771)
}

/// The body of a close names the caller's own merchant number.
pub(super) fn check_close(credentials: &Credentials, call: &Call<'_>) -> Result<(), Refused> {
    let body = read_body(call.body, CLOSE)?;
    match body["mchid"] == credentials.mchid.as_str() {
        true => Ok(()),
        false => {
            let why = "与Authorization中的商户号不一致";
            Err(bad_param("/mchid", why, "body"))
        }
    }
}

/// Closes an order; the same again is done too. Source: 微信支付 APIv3 · 关闭订单.
pub(super) fn close(
    trades: &mut Trades,
    out_trade_no: &str,
    now: Timestamp,
) -> Result<Answer, Refused> {
    match trades.close((out_trade_no, Protocol::V3), now) {
        Ok(()) | Err(NotClosed::Already) => Ok(Answer::NoContent),
        Err(NotClosed::Unknown) => Err(not_exist()),
        Err(NotClosed::Paid) => Err(refused(400, "ORDERPAID", "该订单已支付", 268_498_689)),
        Err(NotClosed::Lapsed | NotClosed::TooYoung) => {
            Err(refused(400, "ORDER_CLOSED", "该订单已关闭", 268_447_914))
        }
    }
}
