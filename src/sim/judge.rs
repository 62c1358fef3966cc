//! What must be so when everything has settled: money, stock, due work, timelines.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::ask::Ask;
use super::survey::{Orders, payment, text};
use super::world::{World, checked};
use crate::base::Timestamp;
use crate::web::Method;

/// Longer than WeChat and we take for anything that is due, seconds.
const SLACK_S: i64 = 3600;
/// What a timeline tells, by the field of the order that shows it happened.
const TOLD: &[(&str, &str)] = &[
    ("paid_at", "order.paid"),
    ("shipped_at", "order.shipped"),
    ("completed_at", "order.completed"),
    ("closed_at", "order.closed"),
];

impl World {
    /// Holds everything against everything.
    pub(super) async fn judge(self: &Arc<Self>) {
        let Some(orders) = self.survey().await else {
            return self.broke("a settled shop does not tell its orders");
        };
        let trades = self
            .at_wechat(Method::GET, "/sandbox/trades", &Value::Null)
            .await;
        let trades = trades.body["trades"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for trade in trades
            .iter()
            .filter(|trade| text(trade, "trade_state") != "NOTPAY")
        {
            if let Err(why) = judge_trade(trade, &orders) {
                self.broke(format!("{why}: {trade}"));
            }
        }
        for order in orders.values() {
            let judged = judge_order(order, self.clock.now()).and_then(|()| judge_told(order));
            if let Err(why) = judged {
                self.broke(format!("{why}: {order}"));
            }
        }
        self.judge_stock(&orders).await;
    }

    /// What is in stock and what orders hold is what there was.
    async fn judge_stock(self: &Arc<Self>, orders: &Orders) {
        let mut held: BTreeMap<u64, u64> = BTreeMap::new();
        for order in orders
            .values()
            .filter(|order| text(order, "status") != "closed")
        {
            for line in order["lines"].as_array().into_iter().flatten() {
                let id = line["goods_id"].as_u64().unwrap_or(0);
                *held.entry(id).or_default() += line["count"].as_u64().unwrap_or(0);
            }
        }
        let first = self.ledger().stock.clone();
        for (id, stock) in first {
            checked("stock is conserved");
            let goods = self.look(&Ask::get(format!("/api/v1/goods/{id}"))).await;
            let left = goods.ok().and_then(|goods| goods.body["stock"].as_u64());
            let held = held.get(&id).copied().unwrap_or(0);
            if left.map(|left| left + held) != Some(stock) {
                self.broke(format!(
                    "goods {id}: {stock} at first, {left:?} left, {held} held"
                ));
            }
        }
    }
}

/// Every fen that WeChat took is counted here, or goes back.
fn judge_trade(trade: &Value, orders: &Orders) -> Result<(), String> {
    let out_trade_no = text(trade, "out_trade_no");
    let payment = payment(orders, out_trade_no).ok_or("WeChat has a trade unknown here")?;
    let took = text(trade, "trade_state") == "SUCCESS";
    checked("money is at WeChat exactly when it is here");
    if took == payment["paid_at"].is_null() {
        return Err(format!("paid there: {took}, here: {payment}"));
    }
    if took && payment["transaction_id"] != trade["transaction_id"] {
        return Err(format!("another transaction here: {payment}"));
    }
    Ok(())
}

/// Nothing that was due is still to be done.
fn judge_order(order: &Value, now: Timestamp) -> Result<(), String> {
    checked("no due work is forgotten");
    let expires_at = Timestamp::from_rfc3339(text(order, "expires_at")).unwrap_or_default();
    let late = now.unix() > expires_at.unix() + SLACK_S;
    if text(order, "status") == "pending" && late {
        return Err("still pending".to_owned());
    }
    Ok(())
}

/// Whatever happened to the order is told in its timeline.
fn judge_told(order: &Value) -> Result<(), String> {
    let told: Vec<&str> = order["events"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| text(entry, "kind"))
        .collect();
    for (field, kind) in TOLD.iter().filter(|(field, _)| !order[*field].is_null()) {
        checked("every decision is told");
        if !told.iter().any(|told| told.starts_with(kind)) {
            return Err(format!("{field} is set and no {kind} is told"));
        }
    }
    Ok(())
}
