//! v3's order query (查询订单) and close (关闭订单).

use serde::{Deserialize, Serialize};

use crate::base::{Fen, Timestamp, TransactionId};
use crate::model::Attempt;
use crate::wechat::error::WechatError;
use crate::wechat::mini::percent_encoded;
use crate::wechat::trade::{Taken, Told, TradeState};

#[derive(Deserialize)]
struct Order {
    appid: Option<String>,
    mchid: Option<String>,
    out_trade_no: Option<String>,
    trade_state: String,
    #[serde(default)]
    trade_state_desc: String,
    transaction_id: Option<TransactionId>,
    amount: Option<Amount>,
    success_time: Option<String>,
}

#[derive(Deserialize)]
struct Amount {
    total: Option<Fen>,
    currency: Option<String>,
}

/// Path and query of a query. Source: 微信支付 APIv3 · 商户订单号查询订单.
pub fn query_path(attempt: &Attempt) -> String {
    let number = percent_encoded(&attempt.out_trade_no.to_string());
    let mchid = percent_encoded(attempt.mchid.as_str());
    format!("/v3/pay/transactions/out-trade-no/{number}?mchid={mchid}")
}

/// The path of a close. Source: 微信支付 APIv3 · 关闭订单.
pub fn close_path(attempt: &Attempt) -> String {
    let number = percent_encoded(&attempt.out_trade_no.to_string());
    format!("/v3/pay/transactions/out-trade-no/{number}/close")
}

/// The body of a close. Source: 微信支付 APIv3 · 关闭订单.
pub fn close_body(attempt: &Attempt) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        mchid: &'a str,
    }
    let mchid = attempt.mchid.as_str();
    serde_json::to_string(&Body { mchid }).expect("a text has a JSON form")
}

/// What a verified answer to a query says.
///
/// # Errors
/// [`WechatError::Unknown`] for a state that is not documented, or money without number or amount.
///
/// Source: 微信支付 APIv3 · 商户订单号查询订单.
pub fn read_told(answer: &[u8]) -> Result<Told, WechatError> {
    let unknown = |why: &str| WechatError::Unknown(format!("查询结果无法读取：{why}"));
    let order: Order = serde_json::from_slice(answer).map_err(|_| unknown("JSON"))?;
    let state = TradeState::named(&order.trade_state).ok_or_else(|| unknown("trade_state"))?;
    let taken = if state.was_paid() {
        let amount = order.amount.ok_or_else(|| unknown("amount"))?;
        Some(Taken {
            appid: order.appid,
            mchid: order.mchid,
            transaction_id: order
                .transaction_id
                .ok_or_else(|| unknown("transaction_id"))?,
            amount: amount.total.ok_or_else(|| unknown("amount.total"))?,
            currency: amount.currency.unwrap_or_else(|| "CNY".to_owned()),
            paid_at: order
                .success_time
                .as_deref()
                .and_then(Timestamp::from_rfc3339),
        })
    } else {
        None
    };
    Ok(Told {
        out_trade_no: order.out_trade_no,
        state,
        taken,
        said: order.trade_state_desc,
    })
}

/// A verified 204 has no body, and nothing to read.
///
/// # Errors
/// Never: status and signature were judged before.
pub fn read_closed(_: &[u8]) -> Result<(), WechatError> {
    Ok(())
}
