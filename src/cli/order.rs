//! `order show`: one order and everything that happened to it, for people or as JSON.

use std::path::Path;

use serde_json::Value;

use super::config;
use super::exit::Failure;
use super::staff::{self, Request};
use super::{serve, term};

/// How an order is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// As the merchant's route answers it.
    Json,
}

/// Shows the order of this number, from the running server or the stopped store.
///
/// # Errors
/// [`Failure`]: the configuration, the store, or that there is no such order.
pub fn show(path: &Path, order_no: String, form: Form) -> Result<(), Failure> {
    let config = config::load(path, serve::environment())?;
    let order = staff::ask(config, Request::OrderShow { order_no })?;
    match form {
        Form::Json => term::say(&order),
        Form::Text => lines(&order).iter().for_each(term::say),
    }
    Ok(())
}

/// The order as text, line by line.
fn lines(order: &Value) -> Vec<String> {
    let mut lines = vec![
        format!(
            "订单 {}　{}",
            text(order, "order_no"),
            text(order, "status")
        ),
        format!(
            "应付 {} 元（商品 {}，运费 {}，优惠 {}），已退 {} 元",
            yuan(order, "total_fen"),
            yuan(order, "goods_fen"),
            yuan(order, "freight_fen"),
            yuan(order, "discount_fen"),
            yuan(order, "refunded_fen"),
        ),
    ];
    let moments = [
        ("created_at", "下单"),
        ("expires_at", "支付截止"),
        ("closing_since", "等待微信确认关闭，自"),
        ("paid_at", "支付"),
        ("shipped_at", "发货"),
        ("completed_at", "完成"),
        ("closed_at", "关闭"),
    ];
    for (name, title) in moments {
        if let Some(at) = order[name].as_str() {
            lines.push(format!("{title} {}", moment(at)));
        }
    }
    lines.push("支付单：".to_owned());
    lines.extend(each(order, "payments").map(payment));
    lines.push("经过：".to_owned());
    lines.extend(each(order, "events").map(event));
    lines
}

fn each<'o>(order: &'o Value, name: &str) -> impl Iterator<Item = &'o Value> {
    order[name].as_array().into_iter().flatten()
}

fn payment(payment: &Value) -> String {
    let (number, amount) = (text(payment, "out_trade_no"), yuan(payment, "amount_fen"));
    let paid = match payment["paid_at"].as_str() {
        None => "未收到付款".to_owned(),
        Some(at) => {
            let counts = match payment["counted"].as_bool() {
                Some(true) => "已入账",
                Some(false) | None => "多付，须退回",
            };
            let transaction = text(payment, "transaction_id");
            format!("{} 付款，微信交易 {transaction}，{counts}", moment(at))
        }
    };
    format!("  {number}  {amount} 元  {paid}")
}

fn event(event: &Value) -> String {
    let (at, kind, said) = (text(event, "at"), text(event, "kind"), text(event, "text"));
    format!("  {}  {kind}  {said}", moment(at))
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// `2026-01-01 14:05:10`: Beijing time, whose offset every reader knows.
fn moment(rfc3339: &str) -> String {
    let seconds = rfc3339.get(..19).unwrap_or(rfc3339);
    seconds.replacen('T', " ", 1)
}

fn yuan(value: &Value, name: &str) -> String {
    let fen = value[name].as_u64().unwrap_or_default();
    crate::base::Fen::new(fen).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_order_is_told_with_its_payments_and_everything_that_happened() {
        let order = json!({
            "order_no": "20260101ABCDEF", "status": "pending", "total_fen": 394,
            "goods_fen": 394, "freight_fen": 0, "discount_fen": 0, "refunded_fen": 0,
            "created_at": "2026-01-01T14:00:10+08:00", "paid_at": null,
            "closing_since": "2026-01-01T14:01:00+08:00",
            "payments": [
                {"out_trade_no": "20260101ABCDEF", "amount_fen": 394, "paid_at": null},
                {"out_trade_no": "20260101ABCDEF_2", "amount_fen": 494, "counted": false,
                 "transaction_id": "4200", "paid_at": "2026-01-01T14:02:00+08:00"},
            ],
            "events": [{"at": "2026-01-01T14:05:10+08:00", "kind": "order.closed", "text": "关闭"}],
        });
        let want = [
            "订单 20260101ABCDEF　pending",
            "应付 3.94 元（商品 3.94，运费 0.00，优惠 0.00），已退 0.00 元",
            "下单 2026-01-01 14:00:10",
            "等待微信确认关闭，自 2026-01-01 14:01:00",
            "支付单：",
            "  20260101ABCDEF  3.94 元  未收到付款",
            "  20260101ABCDEF_2  4.94 元  2026-01-01 14:02:00 付款，微信交易 4200，多付，须退回",
            "经过：",
            "  2026-01-01 14:05:10  order.closed  关闭",
        ];
        assert_eq!(lines(&order), want);
    }
}
