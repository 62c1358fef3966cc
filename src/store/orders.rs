//! Orders, their indexes and their timelines. What may happen to an order is `model`'s to say.
//!
//! An order lies among its user's orders, so that a list of them is one scan; an index by its
//! number and one by its status tell the user.
//!
//! A new order of n lines writes 4 keys and n of stock: the order, its two indexes, and its expiry
//! among the due work. A paid one writes 4: the order, its status left and entered, its expiry.

use std::ops::ControlFlow;

use super::codec::{self, damaged};
use super::due::{self, Work};
use super::keys;
use super::records::{EntryRecord, OrderRecord, OrderV1, OwnerRecord};
use super::{Failure, KeyRange, Read, StoreError, Tx};
use crate::base::cipher::FieldKey;
use crate::base::{OrderNo, Timestamp, Uid};
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

/// The order of this number, whoever's it is: two gets.
///
/// # Errors
/// [`StoreError`].
pub fn order(
    read: &impl Read,
    field_key: &FieldKey,
    order_no: &OrderNo,
) -> Result<Option<Order>, StoreError> {
    match codec::get(read, &keys::order_owner(order_no))? {
        Some(OwnerRecord::V1(uid)) => of_user(read, field_key, uid, order_no),
        None => Ok(None),
    }
}

/// The order of this number if it is the user's: one get.
pub(super) fn of_user(
    read: &impl Read,
    field_key: &FieldKey,
    uid: Uid,
    order_no: &OrderNo,
) -> Result<Option<Order>, StoreError> {
    let record = codec::get::<OrderRecord>(read, &keys::order(uid, order_no))?;
    let order = record.map(|record| opened(read, field_key, record));
    order.transpose()
}

/// The order that `record` keeps, its address opened.
pub(super) fn opened(
    read: &impl Read,
    field_key: &FieldKey,
    record: OrderRecord,
) -> Result<Order, StoreError> {
    let OrderRecord::V1(order) = &record;
    let key = keys::order(order.uid, &order.order_no);
    let order = record.open(field_key);
    order.map_err(|_| damaged::<OrderRecord>(read, &key))
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
    let order = match owner {
        Owner::Of(uid) => of_user(read, field_key, uid, order_no)?,
        Owner::Any => order(read, field_key, order_no)?,
    };
    order.ok_or(Failure::Refused(Refusal::OrderNotFound))
}

/// The orders whose close is wished and not confirmed.
///
/// # Errors
/// [`StoreError`].
pub fn closing(read: &impl Read, field_key: &FieldKey) -> Result<Vec<OrderNo>, StoreError> {
    let pending = KeyRange::prefix(&keys::status_orders(OrderStatus::Pending));
    let mut found = vec![];
    for (key, value) in codec::collect(read, &pending, usize::MAX)? {
        let OwnerRecord::V1(uid) = codec::decode(read, &key, &value)?;
        let number = key.get(2..).and_then(|n| std::str::from_utf8(n).ok());
        let Some(order_no) = number.and_then(|n| n.parse().ok()) else {
            return Err(damaged::<OwnerRecord>(read, &key));
        };
        let order = of_user(read, field_key, uid, &order_no)?;
        if order.is_some_and(|order| order.closing_since.is_some()) {
            found.push(order_no);
        }
    }
    Ok(found)
}

/// Keeps a new order with its indexes and its expiry. Stock is taken by `goods::take_stock`.
pub fn insert(tx: &mut Tx<'_>, field_key: &FieldKey, order: &Order) {
    for (key, value) in Indexed::from(order).keys() {
        tx.put(key, value);
    }
    let record = OrderRecord::seal(order, field_key);
    codec::put_new(tx, keys::order(order.uid, &order.order_no), &record);
}

/// Keeps `after` in place of `before`, which was read in this transaction, and moves its indexes.
///
/// Only indexes that change are written. The expiry stands as long as the order is pending and no
/// close is wanted.
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
    let (old, new) = (Indexed::from(before), Indexed::from(after));
    if old.status != new.status {
        tx.delete(old.status_key());
        let (key, value) = new.owned(new.status_key());
        tx.put(key, value);
    }
    if old.expiry != new.expiry {
        old.expiry_key().into_iter().for_each(|key| tx.delete(key));
        let expiry = new.expiry_key().into_iter();
        expiry.for_each(|key| tx.put(key, vec![]));
    }
    let record = OrderRecord::seal(after, field_key);
    codec::put(tx, keys::order(after.uid, &after.order_no), &record)
}

/// What of an order decides its indexes.
pub(super) struct Indexed<'o> {
    order_no: &'o OrderNo,
    uid: Uid,
    status: OrderStatus,
    expiry: Option<Timestamp>,
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
        let owner = self.owned(keys::order_owner(self.order_no));
        let mut all = vec![owner, self.owned(self.status_key())];
        all.extend(self.expiry_key().map(|key| (key, vec![])));
        all
    }

    /// An index key that names the user.
    fn owned(&self, key: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
        let value = codec::value(&key, &OwnerRecord::V1(self.uid));
        (key, value)
    }

    fn status_key(&self) -> Vec<u8> {
        keys::status_order(self.status, self.order_no)
    }

    fn expiry_key(&self) -> Option<Vec<u8>> {
        let at = self.expiry?;
        Some(due::key(at, &Work::Expire(self.order_no.clone())))
    }
}

/// Writes `entry` into an order's timeline, behind what happened in the same second.
///
/// # Errors
/// [`StoreError`].
pub fn note(tx: &mut Tx<'_>, order_no: &OrderNo, entry: Entry) -> Result<(), StoreError> {
    let mut number = 0;
    let mut key = keys::entry(order_no, entry.at, number);
    while tx.get(&key)?.is_some() {
        number += 1;
        key = keys::entry(order_no, entry.at, number);
    }
    codec::put(tx, key, &EntryRecord::V1(entry))
}

/// What happened to `order`, oldest first. Its creation is told by the order itself.
///
/// # Errors
/// [`StoreError`].
pub fn timeline(read: &impl Read, order: &Order) -> Result<Vec<Entry>, StoreError> {
    let mut entries = vec![Entry::new(order.created_at, "order.created", "买家下单")];
    let range = KeyRange::prefix(&keys::entries(&order.order_no));
    codec::visit(read, range, &mut |_, EntryRecord::V1(entry)| {
        entries.push(entry);
        ControlFlow::Continue(())
    })?;
    Ok(entries)
}

#[cfg(test)]
#[path = "orders_tests.rs"]
mod tests;
