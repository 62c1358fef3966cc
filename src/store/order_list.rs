//! Lists of orders, newest first: which index serves a question, and how its pages follow.
//!
//! A page of 20 is one scan of an index and 20 gets.

use std::ops::ControlFlow;

use super::answers::order_cursor;
use super::codec;
use super::records::UserOrderRecord;
use super::{Failure, KeyRange, Page, PageWanted, Read, StoreError};
use super::{attempts, keys, orders, users};
use crate::base::cipher::FieldKey;
use crate::base::{OrderNo, OutTradeNo, Timestamp, TransactionId, Uid};
use crate::model::{Order, OrderStatus};

/// Which orders are wanted; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderQuery {
    /// Of this user.
    pub uid: Option<Uid>,
    /// In this status.
    pub status: Option<OrderStatus>,
    /// Placed at this moment or later.
    pub from: Option<Timestamp>,
    /// Placed before this moment.
    pub to: Option<Timestamp>,
    /// An order_no, out_trade_no, transaction_id, or the phone of a user.
    pub q: Option<String>,
}

impl OrderQuery {
    /// The orders of one user, perhaps of one status only.
    pub fn of_user(uid: Uid, status: Option<OrderStatus>) -> Self {
        Self {
            uid: Some(uid),
            status,
            ..Self::default()
        }
    }

    fn admits(&self, order: &Order) -> bool {
        self.uid.is_none_or(|uid| order.uid == uid)
            && self.status.is_none_or(|status| order.status == status)
    }
}

/// One page of the orders that `query` wants, newest first.
///
/// # Errors
/// [`crate::model::Refusal::FieldInvalid`] naming `cursor`; or [`StoreError`].
pub fn list(
    read: &impl Read,
    field_key: &FieldKey,
    query: &OrderQuery,
    wanted: &PageWanted,
) -> Result<Page<Order>, Failure> {
    let bounds = Bounds::of(query, wanted.order_no()?);
    let more = wanted.limit.saturating_add(1);
    let mut found = match source(read, field_key, query)? {
        Source::One(order_no) => vec![order_no],
        Source::Indexes(indexes) => merged(read, &indexes, &bounds, (query.status, more))?,
    };
    found.retain(|order_no| bounds.hold(order_no));
    found.truncate(more);
    let page = Page::of(found, wanted.limit, order_cursor);
    let mut items = Vec::with_capacity(page.items.len());
    for order_no in &page.items {
        // The status may have changed since the index was read: then the order is left out.
        let order = orders::order(read, field_key, order_no)?;
        items.extend(order.filter(|order| query.admits(order)));
    }
    let next_cursor = page.next_cursor;
    Ok(Page { items, next_cursor })
}

/// The smallest and the first too large end of the keys wanted, behind an index's prefix.
struct Bounds {
    from: String,
    to: Option<String>,
}

impl Bounds {
    fn of(query: &OrderQuery, cursor: Option<OrderNo>) -> Self {
        let to = query.to.map(first_number);
        let cursor = cursor.map(|order_no| order_no.to_string());
        Self {
            from: query.from.map(first_number).unwrap_or_default(),
            to: match (to, cursor) {
                (Some(to), Some(cursor)) => Some(to.min(cursor)),
                (to, cursor) => to.or(cursor),
            },
        }
    }

    fn hold(&self, order_no: &OrderNo) -> bool {
        let number = order_no.as_str();
        number >= self.from.as_str() && self.to.as_deref().is_none_or(|to| number < to)
    }

    fn within(&self, prefix: &[u8]) -> KeyRange {
        let all = KeyRange::prefix(prefix);
        let end = self.to.as_ref().map(|to| [prefix, to.as_bytes()].concat());
        let range = KeyRange {
            from: [prefix, self.from.as_bytes()].concat(),
            to: end.unwrap_or(all.to),
            direction: all.direction,
        };
        range.descending()
    }
}

/// What every order_no of `at` or later starts with, or is above: day and millisecond.
fn first_number(at: Timestamp) -> String {
    let first = OrderNo::new(at.unix().saturating_mul(1000), 0);
    first.as_str()[..14].to_owned()
}

/// Where the numbers of the orders wanted are found.
enum Source {
    /// Only this one can be meant.
    One(OrderNo),
    /// Behind these prefixes, whose keys end in an order_no.
    Indexes(Vec<Vec<u8>>),
}

fn source(
    read: &impl Read,
    field_key: &FieldKey,
    query: &OrderQuery,
) -> Result<Source, StoreError> {
    if let Some(q) = &query.q {
        return searched(read, field_key, q.trim());
    }
    Ok(Source::Indexes(vec![match (query.uid, query.status) {
        (Some(uid), _) => keys::user_orders(uid),
        (None, Some(status)) => keys::status_orders(status),
        (None, None) => vec![keys::ORDER],
    }]))
}

fn searched(read: &impl Read, field_key: &FieldKey, q: &str) -> Result<Source, StoreError> {
    if let Ok(number) = q.to_ascii_uppercase().parse::<OutTradeNo>()
        && read.get(&keys::order(number.order_no()))?.is_some()
    {
        return Ok(Source::One(number.order_no().clone()));
    }
    if let Ok(id) = q.parse::<TransactionId>()
        && let Some(number) = attempts::by_transaction(read, &id)?
    {
        return Ok(Source::One(number.order_no().clone()));
    }
    let uids = users::of_phone(read, field_key, q)?;
    let indexes = uids.into_iter().map(keys::user_orders);
    Ok(Source::Indexes(indexes.collect()))
}

/// The newest numbers behind all of `indexes`, as many as are wanted, each once.
fn merged(
    read: &impl Read,
    indexes: &[Vec<u8>],
    bounds: &Bounds,
    wanted: (Option<OrderStatus>, usize),
) -> Result<Vec<OrderNo>, StoreError> {
    let mut found = vec![];
    for prefix in indexes {
        found.append(&mut numbers(read, prefix, bounds, wanted)?);
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// The newest numbers behind one prefix; only a user's index knows the status of each.
fn numbers(
    read: &impl Read,
    prefix: &[u8],
    bounds: &Bounds,
    (status, limit): (Option<OrderStatus>, usize),
) -> Result<Vec<OrderNo>, StoreError> {
    let (mut found, mut failed) = (vec![], None);
    let status = status.filter(|_| prefix.first() == Some(&keys::USER_ORDER));
    read.scan(&bounds.within(prefix), &mut |key, value| {
        match entry(read, (key, value), prefix.len(), status) {
            Ok(order_no) => found.extend(order_no),
            Err(why) => failed = Some(why),
        }
        match failed.is_none() && found.len() < limit {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    failed.map_or(Ok(found), Err)
}

/// The order_no at the end of an index key, unless the order is in another status.
fn entry(
    read: &impl Read,
    (key, value): (&[u8], &[u8]),
    prefix_bytes: usize,
    status: Option<OrderStatus>,
) -> Result<Option<OrderNo>, StoreError> {
    if let Some(status) = status {
        let UserOrderRecord::V1(now) = codec::decode(read, key, value)?;
        if now != status {
            return Ok(None);
        }
    }
    let number = std::str::from_utf8(&key[prefix_bytes..]).ok();
    let number = number.and_then(|text| text.parse().ok());
    let damaged = || codec::damaged::<UserOrderRecord>(read, key);
    number.ok_or_else(damaged).map(Some)
}
