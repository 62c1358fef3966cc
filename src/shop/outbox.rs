//! What webhooks will tell, written in the transaction of its cause. Without an endpoint that wants
//! to hear of it nothing is written.
//!
//! A body holds what a backend acts on: numbers, status and amounts, never a name or a phone. Order
//! and refund can be asked for, by those numbers.

use serde_json::{Value, json};

use super::ShopError;
use super::alerts::News;
use super::happening::Happening;
use crate::base::Timestamp;
use crate::model::{Order, Refund};
use crate::store::webhooks::{self, Entry};
use crate::store::{StoreError, Tx};

/// Lays down that `what` happened to `order`.
pub(super) fn tell(
    tx: &mut Tx<'_>,
    order: &Order,
    what: Happening<'_>,
    now: Timestamp,
) -> Result<(), ShopError> {
    let about = || match what {
        Happening::RefundSucceeded(refund) => refund_told(refund),
        Happening::Created
        | Happening::Paid
        | Happening::Closed
        | Happening::Shipped
        | Happening::Completed => order_told(order),
    };
    let lane = order.order_no.as_str();
    Ok(lay_down(tx, (what.event(), lane), &about, now)?)
}

/// Lays down news of an alert.
pub(super) fn tell_alert(tx: &mut Tx<'_>, news: &News, now: Timestamp) -> Result<(), ShopError> {
    let (state, standing) = news.parts();
    let (kind, about) = standing
        .name
        .split_once(':')
        .unwrap_or((&standing.name, ""));
    let event = match news {
        News::Raised(_) | News::Lasting(_) => format!("alert.{kind}"),
        News::Cleared(_) => "alert.cleared".to_owned(),
    };
    let told = || {
        json!({
            "alert": kind,
            "about": about,
            "state": state,
            "since_at": standing.since.rfc3339(),
            "message": standing.said,
        })
    };
    let lane = format!("alert {}", standing.name);
    Ok(lay_down(tx, (&event, &lane), &told, now)?)
}

fn lay_down(
    tx: &mut Tx<'_>,
    (event, lane): (&str, &str),
    told: &dyn Fn() -> Value,
    now: Timestamp,
) -> Result<(), StoreError> {
    for endpoint in webhooks::endpoints(tx)? {
        if !endpoint.wants(event) {
            continue;
        }
        let body = json!({ "type": event, "timestamp": now.rfc3339(), "data": told() });
        let entry = Entry {
            event: event.to_owned(),
            lane: lane.to_owned(),
            body: body.to_string(),
            at: now,
            tries: 0,
            next_at: now,
        };
        webhooks::push(tx, endpoint.id, &entry)?;
    }
    Ok(())
}

fn order_told(order: &Order) -> Value {
    let at = |moment: Option<Timestamp>| moment.map(Timestamp::rfc3339);
    json!({
        "order_no": order.order_no.as_str(),
        "uid": order.uid.get(),
        "status": order.status.as_str(),
        "total_fen": order.total.get(),
        "refunded_fen": order.refunded.get(),
        "transaction_id": order.transaction_id.as_ref().map(ToString::to_string),
        "created_at": order.created_at.rfc3339(),
        "paid_at": at(order.paid_at),
        "shipped_at": at(order.shipped_at),
        "completed_at": at(order.completed_at),
        "closed_at": at(order.closed_at),
    })
}

fn refund_told(refund: &Refund) -> Value {
    json!({
        "refund_no": refund.refund_no.as_str(),
        "order_no": refund.order_no.as_str(),
        "out_trade_no": refund.out_trade_no.to_string(),
        "amount_fen": refund.amount.get(),
        "kind": refund.kind.as_str(),
        "success_at": refund.success_at.map(Timestamp::rfc3339),
    })
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
