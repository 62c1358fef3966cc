//! Shipping an order: the merchant's word becomes parcels, a report to WeChat and a date.
//!
//! Everything that follows is written in the same transaction as the parcels: a crash loses none.

use std::time::Duration;

use super::effects::Desk;
use super::orders::ToldOrder;
use super::{Shop, ShopError};
use crate::base::{OrderNo, Timestamp};
use crate::model::order::Receiver;
use crate::model::shipping_report::{ShipStep, ship_step};
use crate::model::{Delivery, Logistics, Order, OrderEvent, OrderStatus, Refusal};
use crate::model::{ShipWanted, Shipment, ShippingReport};
use crate::store::due::{self, Due, Occasion, Work};
use crate::store::orders::{self, Owner};
use crate::store::{Tx, shipments};

const DAY_S: u64 = 86_400;

/// A call of `ship`, checked.
struct Shipped {
    order_no: OrderNo,
    shipments: Vec<Shipment>,
    delivery: Delivery,
    complete_after: Duration,
    tells: bool,
}

impl Shop {
    /// Ships an order, adds further parcels to it, or corrects what was said before, once.
    ///
    /// # Errors
    /// [`Refusal::OrderNotFound`], [`Refusal::FieldInvalid`] naming the field,
    /// [`Refusal::OrderState`] when it is not paid or was corrected before; store errors.
    pub async fn ship(
        &self,
        order_no: OrderNo,
        wanted: &ShipWanted,
        now: Timestamp,
    ) -> Result<ToldOrder, ShopError> {
        let key = self.field_key();
        let number = order_no.clone();
        let read = self.store.read(move |view| {
            let order = orders::require_order(view, &key, &number, Owner::Any)?;
            Ok::<_, ShopError>(order.lines)
        });
        let shipments = wanted.checked(&read.await?, now)?;
        self.check_companies(&shipments).await?;
        let days = self.settings.auto_complete_days;
        let shipped = Shipped {
            order_no: order_no.clone(),
            shipments,
            delivery: wanted.delivery,
            complete_after: Duration::from_secs(days.saturating_mul(DAY_S)),
            tells: self.settings.messages.shipped.is_some(),
        };
        let key = self.field_key();
        let write = self
            .store
            .write(move |tx: &mut Tx<'_>| ship(Desk { tx, key: &key, now }, &shipped));
        write.await?;
        self.told_order(order_no).await
    }

    /// Refuses a courier that WeChat does not know. While the list cannot be had, any will do.
    async fn check_companies(&self, shipments: &[Shipment]) -> Result<(), ShopError> {
        let by_courier = |s: &Shipment| s.logistics == Logistics::Courier;
        if !shipments.iter().any(by_courier) {
            return Ok(());
        }
        let Ok(companies) = self.express_companies().await else {
            return Ok(());
        };
        let known = |s: &Shipment| companies.iter().any(|c| c.id == s.express_company);
        if companies.is_empty() || shipments.iter().all(known) {
            return Ok(());
        }
        let rule = "不在微信的快递公司列表里，请用 GET /admin/v1/express-companies 查编码";
        let field = "express_company";
        Err(Refusal::FieldInvalid { field, rule }.into())
    }

    /// Counts a shipped order as received when its time is over.
    pub(super) async fn due_complete(&self, due: Due) -> Result<(), ShopError> {
        let Work::Complete(order_no) = due.work.clone() else {
            return Ok(());
        };
        let (key, now) = (self.field_key(), self.clock.now());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            due::unschedule(tx, due.at, &due.work);
            receive(Desk { tx, key: &key, now }, &order_no, Receiver::Time)
        });
        write.await
    }
}

/// Counts `order_no` as received, if it is on its way.
pub(super) fn receive(
    mut desk: Desk<'_, '_>,
    order_no: &OrderNo,
    receiver: Receiver,
) -> Result<(), ShopError> {
    let Some(order) = orders::order(desk.tx, desk.key, order_no)? else {
        return Ok(());
    };
    if order.status == OrderStatus::Shipped {
        desk.decide(&order, OrderEvent::Received(receiver))?;
    }
    Ok(())
}

fn ship(mut desk: Desk<'_, '_>, shipped: &Shipped) -> Result<(), ShopError> {
    let order = orders::require_order(desk.tx, desk.key, &shipped.order_no, Owner::Any)?;
    match order.status {
        OrderStatus::Paid | OrderStatus::Shipped => {}
        OrderStatus::Pending
        | OrderStatus::Completed
        | OrderStatus::Closed
        | OrderStatus::Refunded => return Err(Refusal::OrderState.into()),
    }
    let known = shipments::of(desk.tx, &order)?;
    let before = shipments::report(desk.tx, &order.order_no)?;
    let (fresh, delivery) = (shipped.shipments.clone(), shipped.delivery);
    match ship_step(&known, before.as_ref(), fresh, delivery)? {
        ShipStep::Known => Ok(()),
        ShipStep::Keep(parcels, report) => {
            shipments::replace(desk.tx, &order.order_no, &parcels)?;
            shipments::put_report(desk.tx, &order.order_no, &report)?;
            desk.note(&order, "shipping.told", told(&parcels, &report))?;
            follow(desk, &order, shipped, before.as_ref())
        }
    }
}

/// What follows: the order is on its way, WeChat and the buyer are told, and it ends by itself.
fn follow(
    mut desk: Desk<'_, '_>,
    order: &Order,
    shipped: &Shipped,
    before: Option<&ShippingReport>,
) -> Result<(), ShopError> {
    let (order_no, now) = (order.order_no.clone(), desk.now);
    if order.status == OrderStatus::Paid {
        desk.decide(order, OrderEvent::Shipped)?;
        if shipped.tells {
            let work = Work::Message(Occasion::Shipped, order_no.clone());
            due::schedule(desk.tx, now, &work, 0);
        }
    }
    due::schedule(desk.tx, now, &Work::Report(order_no.clone()), 0);
    let was_complete = before.is_some_and(|report| report.delivery.is_complete());
    if shipped.delivery.is_complete() && !was_complete {
        let ends = now.plus(shipped.complete_after);
        due::schedule(desk.tx, ends, &Work::Complete(order_no), 0);
    }
    Ok(())
}

/// The line of the timeline: how it goes, with which numbers, and what kind of news it is.
fn told(parcels: &[Shipment], report: &ShippingReport) -> String {
    let way = match parcels.first().map(|parcel| parcel.logistics) {
        Some(Logistics::Courier) | None => "快递",
        Some(Logistics::SameCity) => "同城配送",
        Some(Logistics::Virtual) => "虚拟商品，无需物流",
        Some(Logistics::PickUp) => "用户自提",
    };
    let numbers = parcels
        .iter()
        .filter(|parcel| !parcel.tracking_no.is_empty());
    let numbers: Vec<_> = numbers
        .map(|parcel| format!("{} {}", parcel.express_company, parcel.tracking_no))
        .collect();
    let sum = match report.delivery {
        Delivery::Whole => String::new(),
        Delivery::Part => format!("；已发 {} 个包裹，还有后续", parcels.len()),
        Delivery::AllDelivered => format!("；共 {} 个包裹，已发齐", parcels.len()),
    };
    let news = match report.corrections {
        0 => "发货",
        _ => "更正发货信息",
    };
    match numbers.is_empty() {
        true => format!("{news}：{way}{sum}"),
        false => format!("{news}：{way} {}{sum}", numbers.join("、")),
    }
}

#[cfg(test)]
#[path = "fulfil_tests.rs"]
mod tests;
