//! Looks at everything the shop holds: what was promised must be there, and every order must have
//! come to where it is along an allowed way.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::ask::Ask;
use super::ledger::Promise;
use super::world::{World, checked};

/// All orders by number, as the merchant sees them.
pub(super) type Orders = BTreeMap<String, Value>;

/// Where an order can come to, from each status. Source: CONTRACT §1.
const WAYS: &[(&str, &[&str])] = &[
    (
        "pending",
        &["paid", "shipped", "completed", "closed", "refunded"],
    ),
    ("paid", &["shipped", "completed", "refunded"]),
    ("shipped", &["completed", "refunded"]),
    ("completed", &["refunded"]),
    ("closed", &["paid", "shipped", "completed", "refunded"]),
    ("refunded", &[]),
];

/// Whether an order that was at `from` can be at `to` later.
fn leads(from: &str, to: &str) -> bool {
    let way = WAYS.iter().find(|(status, _)| *status == from);
    from == to || way.is_some_and(|(_, reach)| reach.contains(&to))
}

pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

impl World {
    /// Looks at all orders and holds them against what was promised and seen.
    pub(super) async fn survey(self: &Arc<Self>) -> Option<Orders> {
        let orders = match self.all_orders().await {
            Ok(orders) => orders,
            Err(why) => {
                self.note(format!("no survey: {why}"));
                return None;
            }
        };
        self.follow(&orders);
        let promises = self.ledger().promises.clone();
        for promise in &promises {
            checked("what was acknowledged is there");
            if let Err(why) = self.keeps(promise, &orders).await {
                self.broke(format!("{promise:?} is not kept: {why}"));
            }
        }
        Some(orders)
    }

    async fn all_orders(self: &Arc<Self>) -> Result<Orders, String> {
        let key = self.ledger().api_key.clone();
        let mut orders = Orders::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/admin/v1/orders?limit=100{cursor}");
            let answer = self.look(&Ask::get(path).by(&key)).await?;
            if answer.status == 401 {
                self.broke("the merchant's key is not kept");
            }
            if !answer.is_good() {
                return Err(answer.word());
            }
            for order in answer.body["orders"].as_array().into_iter().flatten() {
                orders.insert(text(order, "order_no").to_owned(), order.clone());
            }
            match answer.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(orders),
            }
        }
    }

    /// Orders nobody was told of are known from now on; none may have gone a forbidden way.
    fn follow(&self, orders: &Orders) {
        for (order_no, order) in orders {
            let now = text(order, "status").to_owned();
            let before = self.ledger().seen.insert(order_no.clone(), now.clone());
            let from = before.unwrap_or_else(|| "pending".to_owned());
            checked("statuses change along allowed ways");
            if !leads(&from, &now) {
                self.broke(format!("{order_no} went from {from} to {now}"));
            }
        }
    }

    async fn keeps(self: &Arc<Self>, promise: &Promise, orders: &Orders) -> Result<(), String> {
        let order = |order_no: &String| orders.get(order_no).ok_or("no such order".to_owned());
        match promise {
            Promise::User { .. } => Ok(()),
            Promise::Placed {
                order_no,
                total_fen,
            } => {
                let goods_fen = order(order_no)?["goods_fen"].as_u64();
                right(goods_fen == Some(*total_fen), "another amount")
            }
            Promise::Reached { order_no, status } => {
                let now = text(order(order_no)?, "status");
                right(leads(status, now), now)
            }
            Promise::Opened { order_no } => {
                let attempts = order(order_no)?["payments"].as_array().map_or(0, Vec::len);
                right(attempts > 0, "no attempt")
            }
            Promise::Refunding {
                order_no,
                refund_no,
                amount_fen,
            } => {
                let mut refunds = order(order_no)?["refunds"].as_array().into_iter().flatten();
                let found = refunds.find(|refund| text(refund, "refund_no") == refund_no);
                let amount = found.map(|refund| refund["amount_fen"].clone());
                right(amount == Some((*amount_fen).into()), "no such refund")
            }
            Promise::Counted { out_trade_no } => {
                let paid = payment(orders, out_trade_no).is_some_and(|p| !p["paid_at"].is_null());
                right(paid, "the payment is not known")
            }
        }
    }
}

fn right(right: bool, what: &str) -> Result<(), String> {
    right.then_some(()).ok_or_else(|| what.to_owned())
}

/// The payment of this number, among those of its order.
pub(super) fn payment<'o>(orders: &'o Orders, out_trade_no: &str) -> Option<&'o Value> {
    let order_no = out_trade_no.split('_').next()?;
    let payments = orders.get(order_no)?["payments"].as_array()?;
    payments
        .iter()
        .find(|payment| text(payment, "out_trade_no") == out_trade_no)
}
