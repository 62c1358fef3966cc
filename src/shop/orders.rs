//! Looking at orders, changing them, receiving.

use super::beside::Beside;
use super::effects::Desk;
use super::{Shop, ShopError};
use crate::base::{OrderNo, Timestamp, Uid};
use crate::model::order::Receiver;
use crate::model::{Attempt, Entry, Order, OrderChange, OrderEvent, OrderStatus};
use crate::model::{Settlement, ShippingReport};
use crate::store::orders::{self, OrderQuery, Owner};
use crate::store::shipments::{self, Reported};
use crate::store::{Page, PageWanted, StoreError, Tx, View, attempts};

/// An order with everything that is told about it.
#[derive(Clone, Debug)]
pub struct ToldOrder {
    /// The order.
    pub order: Order,
    /// Its payment attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// Its timeline, oldest first.
    pub timeline: Vec<Entry>,
    /// What is told beside it.
    pub beside: Beside,
    /// The report of its parcels to WeChat.
    pub report: Option<ShippingReport>,
    /// When its money is, or was, settled.
    pub settlement: Option<Settlement>,
}

fn told(view: &View<'_>, order: Order) -> Result<ToldOrder, ShopError> {
    let attempts = attempts::all(view, &order.order_no)?;
    let timeline = orders::timeline(view, &order)?;
    let beside = Beside::of(view, &order)?;
    let Reported { report, settlement } = shipments::reported(view, &order)?;
    Ok(ToldOrder {
        order,
        attempts,
        timeline,
        beside,
        report,
        settlement,
    })
}

impl Shop {
    /// A buyer's order.
    ///
    /// # Errors
    /// [`crate::model::Refusal::OrderNotFound`], also for another's order; store errors.
    pub async fn order(&self, uid: Uid, order_no: OrderNo) -> Result<Order, ShopError> {
        let key = self.field_key();
        let read = self.store.read(move |view| {
            Ok(orders::require_order(
                view,
                &key,
                &order_no,
                Owner::Of(uid),
            )?)
        });
        read.await
    }

    /// A page of a buyer's orders, newest first.
    ///
    /// # Errors
    /// [`crate::model::Refusal::FieldInvalid`] naming `cursor`; store errors.
    pub async fn list_orders(
        &self,
        uid: Uid,
        status: Option<OrderStatus>,
        page: PageWanted,
    ) -> Result<Page<(Order, Beside)>, ShopError> {
        let (key, query) = (self.field_key(), OrderQuery::of_user(uid, status));
        let read = self.store.read(move |view| {
            let found = orders::list(view, &key, &query, &page)?;
            let with = |order: Order| Beside::of(view, &order).map(|after| (order, after));
            let items = found.items.into_iter().map(with);
            Ok(Page {
                items: items.collect::<Result<_, StoreError>>()?,
                next_cursor: found.next_cursor,
            })
        });
        read.await
    }

    /// The buyer confirms receipt.
    ///
    /// # Errors
    /// `OrderNotFound` or `OrderState` of [`Refusal`](crate::model::Refusal); store errors.
    pub async fn receive(
        &self,
        uid: Uid,
        order_no: OrderNo,
        now: Timestamp,
    ) -> Result<Order, ShopError> {
        self.buyer_decides(uid, order_no, OrderEvent::Received(Receiver::Buyer), now)
            .await
    }

    async fn buyer_decides(
        &self,
        uid: Uid,
        order_no: OrderNo,
        event: OrderEvent,
        now: Timestamp,
    ) -> Result<Order, ShopError> {
        let key = self.field_key();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let order = orders::require_order(tx, &key, &order_no, Owner::Of(uid))?;
            Desk { tx, key: &key, now }.decide(&order, event.clone())
        });
        write.await
    }

    /// The merchant changes amounts, address or note. A new price needs a new attempt: the one that
    /// is open is asked about and closed by due work, and `pay` waits for that.
    ///
    /// # Errors
    /// [`crate::model::Refusal`] by name, then nothing changed; store errors.
    pub async fn amend(
        &self,
        order_no: OrderNo,
        change: OrderChange,
        now: Timestamp,
    ) -> Result<ToldOrder, ShopError> {
        let (key, number) = (self.field_key(), order_no.clone());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let order = orders::require_order(tx, &key, &number, Owner::Any)?;
            let after = order.clone().amended(change.clone())?;
            Desk { tx, key: &key, now }.amend(&order, &after)
        });
        write.await?;
        self.told_order(order_no).await
    }

    /// Any order with its attempts and its timeline, for the merchant.
    ///
    /// # Errors
    /// [`crate::model::Refusal::OrderNotFound`]; store errors.
    pub async fn told_order(&self, order_no: OrderNo) -> Result<ToldOrder, ShopError> {
        let key = self.field_key();
        let read = self.store.read(move |view| {
            let order = orders::require_order(view, &key, &order_no, Owner::Any)?;
            told(view, order)
        });
        read.await
    }

    /// A page of all orders that `query` wants, newest first, for the merchant.
    ///
    /// # Errors
    /// [`crate::model::Refusal::FieldInvalid`] naming `cursor`; store errors.
    pub async fn search_orders(
        &self,
        query: OrderQuery,
        page: PageWanted,
    ) -> Result<Page<ToldOrder>, ShopError> {
        let key = self.field_key();
        let read = self.store.read(move |view| {
            let found = orders::list(view, &key, &query, &page)?;
            let items = found.items.into_iter().map(|order| told(view, order));
            let items = items.collect::<Result<_, ShopError>>()?;
            Ok(Page {
                items,
                next_cursor: found.next_cursor,
            })
        });
        read.await
    }
}
