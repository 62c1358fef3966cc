//! Orders, their indexes and their timelines. What may happen to an order is `model`'s to say.
//!
//! A new order of n lines writes 4 keys and n of stock: the order, its place among its user's
//! orders, its place among the orders of its status, and its expiry among the due work.

use std::ops::ControlFlow;

use super::codec::{self, collect, damaged};
use super::due::{self, Work};
use super::keys;
use super::records::{EntryRecord, OrderRecord, OrderV1, UserOrderRecord};
use super::{Failure, KeyRange, Read, StoreError, Tx};
use crate::base::cipher::FieldKey;
use crate::base::{OrderNo, Uid};
use crate::model::{Entry, Order, OrderStatus, Refusal};

pub use super::order_list::{OrderQuery, list};

/// Whose order is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This user's; another user's is not found.
    Of(Uid),
    /// Anyone's: the merchant asks.
    Any,
}

/// The order of this number.
///
/// # Errors
/// [`StoreError`].
pub fn order(
    read: &impl Read,
    field_key: &FieldKey,
    order_no: &OrderNo,
) -> Result<Option<Order>, StoreError> {
    let key = keys::order(order_no);
    let Some(record) = codec::get::<OrderRecord>(read, &key)? else {
        return Ok(None);
    };
    let order = record.open(field_key);
    order
        .map(Some)
        .map_err(|_| damaged::<OrderRecord>(read, &key))
}

/// The order of this number, which must be there and be the owner's.
///
/// # Errors
/// [`Refusal::OrderNotFound`], also for another user's; or [`StoreError`].
pub fn require_order(
    read: &impl Read,
    field_key: &FieldKey,
    order_no: &OrderNo,
    owner: Owner,
) -> Result<Order, Failure> {
    let order = order(read, field_key, order_no)?.filter(|order| match owner {
        Owner::Of(uid) => order.uid == uid,
        Owner::Any => true,
    });
    order.ok_or(Failure::Refused(Refusal::OrderNotFound))
}

/// Keeps a new order with its indexes and its expiry. Stock is taken by `goods::take_stock`.
///
/// # Errors
/// [`StoreError`].
pub fn insert(tx: &mut Tx<'_>, field_key: &FieldKey, order: &Order) -> Result<(), StoreError> {
    for (key, value) in Indexed::from(order).keys() {
        tx.put(key, value);
    }
    let record = OrderRecord::seal(order, field_key);
    codec::put(tx, keys::order(&order.order_no), &record)
}

/// Keeps `after` in place of `before`, which was read in this transaction, and moves its indexes.
///
/// The expiry stands as long as the order is pending and no close is wanted.
///
/// # Errors
/// [`StoreError`].
///
/// # Panics
/// When the two are not the same order of the same user: a bug of the caller.
pub fn update(
    tx: &mut Tx<'_>,
    field_key: &FieldKey,
    before: &Order,
    after: &Order,
) -> Result<(), StoreError> {
    assert!(
        before.order_no == after.order_no && before.uid == after.uid,
        "an order keeps its number and its user"
    );
    let (old, new) = (Indexed::from(before).keys(), Indexed::from(after).keys());
    for (key, _) in &old {
        if !new.iter().any(|(kept, _)| kept == key) {
            tx.delete(key.clone());
        }
    }
    for entry in new {
        if !old.contains(&entry) {
            tx.put(entry.0, entry.1);
        }
    }
    let record = OrderRecord::seal(after, field_key);
    codec::put(tx, keys::order(&after.order_no), &record)
}

/// What of an order decides its indexes.
pub(super) struct Indexed<'o> {
    order_no: &'o OrderNo,
    uid: Uid,
    status: OrderStatus,
    expiry: Option<crate::base::Timestamp>,
}

impl<'o> From<&'o Order> for Indexed<'o> {
    fn from(order: &'o Order) -> Self {
        let waits = order.status == OrderStatus::Pending && order.closing_since.is_none();
        Self {
            order_no: &order.order_no,
            uid: order.uid,
            status: order.status,
            expiry: waits.then_some(order.expires_at),
        }
    }
}

impl<'o> From<&'o OrderV1> for Indexed<'o> {
    fn from(order: &'o OrderV1) -> Self {
        let waits = order.status == OrderStatus::Pending && order.closing_since.is_none();
        Self {
            order_no: &order.order_no,
            uid: order.uid,
            status: order.status,
            expiry: waits.then_some(order.expires_at),
        }
    }
}

impl Indexed<'_> {
    /// The index keys of the order and what they hold.
    pub(super) fn keys(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let of_user = keys::user_order(self.uid, self.order_no);
        let status = codec::value(&of_user, &UserOrderRecord::V1(self.status));
        let of_status = keys::status_order(self.status, self.order_no);
        let mut all = vec![(of_user, status), (of_status, vec![])];
        if let Some(at) = self.expiry {
            let expire = Work::Expire(self.order_no.clone());
            all.push((due::key(at, &expire), vec![]));
        }
        all
    }
}

/// Writes `entry` at the end of an order's timeline.
///
/// # Errors
/// [`StoreError`].
pub fn note(tx: &mut Tx<'_>, order_no: &OrderNo, entry: Entry) -> Result<(), StoreError> {
    let mut last = 0;
    let range = KeyRange::prefix(&keys::entries(order_no)).descending();
    tx.scan(&range, &mut |key, _| {
        last = keys::entry_number(key).unwrap_or(0);
        ControlFlow::Break(())
    })?;
    let key = keys::entry(order_no, last.saturating_add(1));
    codec::put(tx, key, &EntryRecord::V1(entry))
}

/// What happened to `order`, oldest first. Its creation is told by the order itself.
///
/// # Errors
/// [`StoreError`].
pub fn timeline(read: &impl Read, order: &Order) -> Result<Vec<Entry>, StoreError> {
    let mut entries = vec![Entry::new(order.created_at, "order.created", "买家下单")];
    let range = KeyRange::prefix(&keys::entries(&order.order_no));
    for (key, value) in collect(read, &range, usize::MAX)? {
        let EntryRecord::V1(entry) = codec::decode(read, &key, &value)?;
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
#[path = "orders_tests.rs"]
mod tests;
