//! The v2 query and close of an order as WeChat judges and answers them.

use super::gate_v2::Asked;
use super::notify::payment_fields;
use super::talk_v2::Need::{Optional, Required};
use super::talk_v2::{Refused, Rule, Shape, check_fields};
use super::trades::{NotClosed, Protocol, Trade, Trades};
use crate::base::xml::Fields;

/// Source: 微信支付 APIv2 · 查询订单, 请求参数.
const QUERY: [Rule; 5] = [
    ("nonce_str", Required, 32, Shape::Any),
    ("transaction_id", Optional, 32, Shape::Any),
    ("out_trade_no", Optional, 32, Shape::TradeNo),
    ("sign_type", Optional, 32, Shape::Any),
    ("version", Optional, 32, Shape::OneOf(&["1.0"])),
];

/// Source: 微信支付 APIv2 · 关闭订单, 请求参数.
const CLOSE: [Rule; 3] = [
    ("nonce_str", Required, 32, Shape::Any),
    ("out_trade_no", Required, 32, Shape::TradeNo),
    ("sign_type", Optional, 32, Shape::Any),
];

/// What an order is now. Source: 微信支付 APIv2 · 查询订单.
pub(super) fn query(trades: &Trades, asked: &Asked<'_>) -> Result<Fields, Refused> {
    check_fields(asked.fields, &QUERY, asked.sign_type)?;
    let trade = named(trades, asked)?;
    let state = trade.state_at(asked.now);
    let fields = match &trade.payment {
        Some(payment) => payment_fields((trade, payment), trade.order.total),
        None => unpaid(trade),
    };
    Ok(fields
        .with("trade_state", state.name())
        .with("trade_state_desc", state.says()))
}

fn unpaid(trade: &Trade) -> Fields {
    let fields = Fields::new().with("out_trade_no", &*trade.order.out_trade_no);
    match &trade.order.attach {
        Some(attach) => fields.with("attach", &**attach),
        None => fields,
    }
}

/// The order a request names: `transaction_id` wins over `out_trade_no`.
pub(super) fn named<'t>(trades: &'t Trades, asked: &Asked<'_>) -> Result<&'t Trade, Refused> {
    let refuse = |code, message: &str| Refused::new(code, message, asked.sign_type);
    let text = |name| asked.fields.text(name);
    let trade = match (text("transaction_id"), text("out_trade_no")) {
        ("", "") => {
            let message = "缺少参数transaction_id或out_trade_no";
            return Err(refuse("LACK_PARAMS", message));
        }
        ("", number) => trades.get(number),
        (id, _) => trades.by_transaction(id),
    };
    trade.ok_or_else(|| refuse("ORDERNOTEXIST", "订单不存在"))
}

/// Closes an order. Source: 微信支付 APIv2 · 关闭订单.
pub(super) fn close(trades: &mut Trades, asked: &Asked<'_>) -> Result<Fields, Refused> {
    check_fields(asked.fields, &CLOSE, asked.sign_type)?;
    let number = asked.fields.text("out_trade_no");
    let closed = trades.close((number, Protocol::V2(asked.sign_type)), asked.now);
    let (code, message) = match closed {
        Ok(()) => return Ok(Fields::new().with("result_msg", "OK")),
        Err(NotClosed::Unknown) => ("ORDERNOTEXIST", "订单不存在"),
        Err(NotClosed::Paid) => ("ORDERPAID", "该订单已支付"),
        Err(NotClosed::Already | NotClosed::Lapsed) => ("ORDERCLOSED", "该订单已关闭"),
        Err(NotClosed::TooYoung) => ("TRADE_STATE_ERROR", "订单生成后5分钟内不能关单"),
    };
    Err(Refused::new(code, message, asked.sign_type))
}
