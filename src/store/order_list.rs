//! Lists of orders, newest first: which index serves a question, and how its pages follow.
//!
//! A page of one user's orders is one scan of the orders themselves; a page of 20 of all users'
//! is one scan of an index and 20 gets.

use std::ops::ControlFlow;

use super::answers::order_cursor;
use super::records::{OrderRecord, OrderV1, OwnerRecord};
use super::{Failure, KeyRange, Page, PageWanted, Read, StoreError};
use super::{attempts, codec, keys, orders, users};
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

    fn admits(&self, uid: Uid, status: OrderStatus) -> bool {
        self.uid.is_none_or(|wanted| uid == wanted)
            && self.status.is_none_or(|wanted| status == wanted)
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
    let asked = Asked {
        field_key,
        query,
        bounds,
        limit: wanted.limit,
    };
    Ok(match source(read, field_key, query)? {
        Source::One(order_no) => asked.one(read, &order_no)?,
        Source::Users(uids) => asked.of_users(read, &uids)?,
        Source::Index(prefix) => asked.indexed(read, &prefix)?,
    })
}

/// What one page is made of.
struct Asked<'a> {
    field_key: &'a FieldKey,
    query: &'a OrderQuery,
    bounds: Bounds,
    limit: usize,
}

impl Asked<'_> {
    fn admits(&self, order: &Order) -> bool {
        self.query.admits(order.uid, order.status)
    }

    fn one(&self, read: &impl Read, order_no: &OrderNo) -> Result<Page<Order>, StoreError> {
        let order = match self.bounds.hold(order_no) {
            true => orders::order(read, self.field_key, order_no)?,
            false => None,
        };
        Ok(Page {
            items: order.into_iter().filter(|o| self.admits(o)).collect(),
            next_cursor: None,
        })
    }

    /// The orders of these users, who lie apart.
    fn of_users(&self, read: &impl Read, uids: &[Uid]) -> Result<Page<Order>, StoreError> {
        let mut found = vec![];
        for uid in uids {
            found.append(&mut self.of_user(read, *uid)?);
        }
        if uids.len() > 1 {
            found.sort_unstable_by(|a, b| b.order_no.cmp(&a.order_no));
        }
        let cursor = |order: &OrderV1| order_cursor(&order.order_no);
        let page = Page::of(found, self.limit, cursor);
        let open = |order| orders::opened(read, self.field_key, OrderRecord::V1(order));
        let items = page.items.into_iter().map(open);
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            next_cursor: page.next_cursor,
        })
    }

    /// The newest orders of a user, one more than the page holds.
    fn of_user(&self, read: &impl Read, uid: Uid) -> Result<Vec<OrderV1>, StoreError> {
        let mut found = vec![];
        let range = self.bounds.within(&keys::orders(uid));
        codec::visit(read, range, &mut |_, OrderRecord::V1(order)| {
            if self.query.admits(order.uid, order.status) {
                found.push(order);
            }
            self.until_full(found.len())
        })?;
        Ok(found)
    }

    /// The orders that an index whose keys begin with `prefix` names.
    fn indexed(&self, read: &impl Read, prefix: &[u8]) -> Result<Page<Order>, StoreError> {
        let (mut named, mut failed) = (vec![], None);
        let range = self.bounds.within(prefix);
        codec::visit(read, range, &mut |key, OwnerRecord::V1(uid)| {
            let number = std::str::from_utf8(&key[prefix.len()..]).ok();
            let Some(order_no) = number.and_then(|text| text.parse::<OrderNo>().ok()) else {
                failed = Some(codec::damaged::<OwnerRecord>(read, key));
                return ControlFlow::Break(());
            };
            named.push((order_no, uid));
            self.until_full(named.len())
        })?;
        failed.map_or(Ok(()), Err)?;
        let page = Page::of(named, self.limit, |(order_no, _)| order_cursor(order_no));
        let mut items = Vec::with_capacity(page.items.len());
        for (order_no, uid) in &page.items {
            // The status may have changed since the index was read: then the order is left out.
            let order = orders::of_user(read, self.field_key, *uid, order_no)?;
            items.extend(order.filter(|order| self.admits(order)));
        }
        let next_cursor = page.next_cursor;
        Ok(Page { items, next_cursor })
    }

    fn until_full(&self, found: usize) -> ControlFlow<()> {
        match found > self.limit {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
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
pub(super) fn first_number(at: Timestamp) -> String {
    let first = OrderNo::new(at.unix().saturating_mul(1000), 0);
    first.as_str()[..14].to_owned()
}

/// Where the orders wanted are found.
enum Source {
    /// Only this one can be meant.
    One(OrderNo),
    /// Among the orders of these users.
    Users(Vec<Uid>),
    /// Behind this prefix of an index.
    Index(Vec<u8>),
}

fn source(
    read: &impl Read,
    field_key: &FieldKey,
    query: &OrderQuery,
) -> Result<Source, StoreError> {
    if let Some(q) = &query.q {
        return searched(read, field_key, q.trim());
    }
    Ok(match (query.uid, query.status) {
        (Some(uid), _) => Source::Users(vec![uid]),
        (None, Some(status)) => Source::Index(keys::status_orders(status)),
        (None, None) => Source::Index(vec![keys::ORDER_OWNER]),
    })
}

fn searched(read: &impl Read, field_key: &FieldKey, q: &str) -> Result<Source, StoreError> {
    if let Ok(number) = q.to_ascii_uppercase().parse::<OutTradeNo>()
        && read.get(&keys::order_owner(number.order_no()))?.is_some()
    {
        return Ok(Source::One(number.order_no().clone()));
    }
    if let Ok(id) = q.parse::<TransactionId>()
        && let Some(number) = attempts::by_transaction(read, &id)?
    {
        return Ok(Source::One(number.order_no().clone()));
    }
    Ok(Source::Users(users::of_phone(read, field_key, q)?))
}
