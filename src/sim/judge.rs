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
        let theirs = self
            .at_wechat(Method::GET, "/sandbox/refunds", &Value::Null)
            .await;
        let theirs = theirs.body["refunds"]
            .as_array()
            .cloned()
            .unwrap_or_default();
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
            if let Err(why) = judge_trade(trade, &orders, &theirs) {
                self.broke(format!("{why}: {trade}"));
            }
        }
        for refund in &theirs {
            if let Err(why) = judge_refund(refund, &orders) {
                self.broke(format!("{why}, at WeChat: {refund}"));
            }
        }
        for order in orders.values() {
            let judged = judge_order(order, self.clock.now())
                .and_then(|()| judge_sums(order, &theirs))
                .and_then(|()| judge_told(order));
            if let Err(why) = judged {
                self.broke(format!("{why}: {order}"));
            }
        }
        self.judge_bills(&trades).await;
        self.judge_records().await;
        self.judge_stock(&orders).await;
    }

    /// Every record agrees with every other.
    async fn judge_records(self: &Arc<Self>) {
        let Some(life) = self.life() else { return };
        checked("every record agrees with its indexes and its sums");
        match life.store.read(crate::store::audit_indexes).await {
            Ok(faults) if faults.is_empty() => {}
            other => self.broke(format!("records disagree: {other:?}")),
        }
    }

    /// What is in stock and what orders hold is what there was.
    async fn judge_stock(self: &Arc<Self>, orders: &Orders) {
        let mut held: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for order in orders.values() {
            let (least, most) = holds(order);
            for line in order["lines"].as_array().into_iter().flatten() {
                let sum = held
                    .entry(line["goods_id"].as_u64().unwrap_or(0))
                    .or_default();
                let count = line["count"].as_u64().unwrap_or(0);
                *sum = (sum.0 + least * count, sum.1 + most * count);
            }
        }
        let first = self.ledger().stock.clone();
        for (id, stock) in first {
            checked("stock is conserved");
            let goods = self.look(&Ask::get(format!("/api/v1/goods/{id}"))).await;
            let left = goods.ok().and_then(|goods| goods.body["stock"].as_u64());
            let (least, most) = held.get(&id).copied().unwrap_or_default();
            let fits = left.is_some_and(|left| (left + least..=left + most).contains(&stock));
            if !fits {
                for order in orders.values().filter(|order| has(order, id)) {
                    self.note(format!("  holds {:?}: {order}", holds(order)));
                }
                self.broke(format!(
                    "goods {id}: {stock} at first, {left:?} left, {most} held"
                ));
            }
        }
    }
}

/// Whether these goods were ordered.
fn has(order: &Value, goods: u64) -> bool {
    let mut lines = order["lines"].as_array().into_iter().flatten();
    lines.any(|line| line["goods_id"] == goods)
}

/// Whether the timeline has an entry of this kind.
fn tells(order: &Value, kind: &str) -> bool {
    let mut entries = order["events"].as_array().into_iter().flatten();
    entries.any(|entry| text(entry, "kind").starts_with(kind))
}

fn refunds(order: &Value) -> impl Iterator<Item = &Value> {
    order["refunds"].as_array().into_iter().flatten()
}

/// How many times an order holds its pieces, at least and at most.
///
/// Pieces come back when a refund that was opened before shipping makes the order wholly refunded;
/// which of several did is not told, nor what came first within one second.
fn holds(order: &Value) -> (u64, u64) {
    match text(order, "status") {
        "closed" => (0, 0),
        "refunded" => {
            let shipped_at = order["shipped_at"].as_str().unwrap_or("9999");
            let good = || refunds(order).filter(|r| text(r, "status") == "success");
            let comes_back = |refund: &&Value| text(refund, "created_at") <= shipped_at;
            let stays = |refund: &&Value| text(refund, "created_at") >= shipped_at;
            let (back, gone) = (good().any(|r| comes_back(&r)), good().any(|r| stays(&r)));
            (u64::from(!back), u64::from(gone))
        }
        _ => (1, 1),
    }
}

/// Every fen that WeChat took is counted here, or goes back.
fn judge_trade(trade: &Value, orders: &Orders, theirs: &[Value]) -> Result<(), String> {
    let out_trade_no = text(trade, "out_trade_no");
    let payment = payment(orders, out_trade_no).ok_or("WeChat has a trade unknown here")?;
    let took = matches!(text(trade, "trade_state"), "SUCCESS" | "REFUND");
    checked("money is at WeChat exactly when it is here");
    if took == payment["paid_at"].is_null() {
        return Err(format!("paid there: {took}, here: {payment}"));
    }
    if took && payment["transaction_id"] != trade["transaction_id"] {
        return Err(format!("another transaction here: {payment}"));
    }
    let order = &orders[out_trade_no.split('_').next().unwrap_or_default()];
    let keeps = payment["counted"] == true && text(order, "status") != "closed";
    if took && !keeps {
        checked("money that buys nothing goes back");
        let back = refunds(order).filter(|refund| {
            text(refund, "out_trade_no") == out_trade_no && text(refund, "status") != "closed"
        });
        let back: u64 = back
            .filter_map(|refund| refund["amount_fen"].as_u64())
            .sum();
        let whole = Some(back) == trade["total_fen"].as_u64();
        // What WeChat closes a person must see to, and is told.
        let closed_there = theirs.iter().any(|refund| {
            text(refund, "out_trade_no") == out_trade_no && text(refund, "status") == "CLOSED"
        });
        let person_told = closed_there && tells(order, "refund.still_owed");
        if !whole && !person_told {
            return Err(format!(
                "{back} goes back, and nobody is told of the rest: {order}"
            ));
        }
    }
    Ok(())
}

/// A refund is here what it is at WeChat.
fn judge_refund(refund: &Value, orders: &Orders) -> Result<(), String> {
    let out_trade_no = text(refund, "out_trade_no");
    let order_no = out_trade_no.split('_').next().unwrap_or_default();
    let number = text(refund, "out_refund_no");
    let order = orders.get(order_no).ok_or("a refund of no order")?;
    let here = refunds(order).find(|here| text(here, "refund_no") == number);
    let there = text(refund, "status").to_lowercase();
    checked("refunds are here what they are at WeChat");
    let here = match here {
        None if there == "closed" => return Ok(()),
        None => return Err("a refund at WeChat is unknown here".to_owned()),
        Some(here) => here,
    };
    let same = text(here, "status") == there && here["amount_fen"] == refund["amount_fen"];
    same.then_some(()).ok_or_else(|| format!("here: {here}"))
}

/// What is refunded is at most what was paid, and counted rightly.
fn judge_sums(order: &Value, theirs: &[Value]) -> Result<(), String> {
    checked("no more goes back than came");
    let number = |value: &Value, name: &str| value[name].as_u64().unwrap_or(0);
    let mut counts = 0;
    for payment in order["payments"].as_array().into_iter().flatten() {
        let of = |refund: &&Value| refund["out_trade_no"] == payment["out_trade_no"];
        let gone = refunds(order)
            .filter(of)
            .filter(|r| text(r, "status") != "closed");
        let gone: u64 = gone.map(|refund| number(refund, "amount_fen")).sum();
        if gone > number(payment, "amount_fen") {
            return Err(format!("{gone} go back of {payment}"));
        }
        let good = refunds(order)
            .filter(of)
            .filter(|r| text(r, "status") == "success");
        let good = good.filter(|_| payment["counted"] == true);
        counts += good.map(|refund| number(refund, "amount_fen")).sum::<u64>();
    }
    if counts != number(order, "refunded_fen") {
        return Err(format!("{counts} went back, not what refunded_fen says"));
    }
    for refund in refunds(order).filter(|refund| text(refund, "status") == "success") {
        let there = theirs
            .iter()
            .find(|r| r["out_refund_no"] == refund["refund_no"]);
        if there.is_none_or(|there| text(there, "status") != "SUCCESS") {
            return Err(format!("WeChat never paid back {refund}"));
        }
    }
    let open = refunds(order).find(|refund| text(refund, "status") == "processing");
    open.map_or(Ok(()), |open| Err(format!("a refund is forgotten: {open}")))
}

/// Nothing that was due is still to be done.
fn judge_order(order: &Value, now: Timestamp) -> Result<(), String> {
    checked("no due work is forgotten");
    let expires_at = Timestamp::from_rfc3339(text(order, "expires_at")).unwrap_or_default();
    let late = now.unix() > expires_at.unix() + SLACK_S;
    match text(order, "status") {
        "pending" if late => Err("still pending".to_owned()),
        "shipped" => Err("never completed by itself".to_owned()),
        _ => Ok(()),
    }
}

/// Whatever happened to the order is told in its timeline.
fn judge_told(order: &Value) -> Result<(), String> {
    for (field, kind) in TOLD.iter().filter(|(field, _)| !order[*field].is_null()) {
        checked("every decision is told");
        if !tells(order, kind) {
            return Err(format!("{field} is set and no {kind} is told"));
        }
    }
    Ok(())
}
