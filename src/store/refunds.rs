//! Refunds by number and by order, and the buyer's newest wish about an order.
//!
//! What may happen to a refund is `model`'s to say; when it is looked at again is `due`'s.

use super::codec::{self, collect};
use super::due::{self, Work};
use super::records::{RefundIndexRecord, RefundRecord, RefundRequestRecord};
use super::{Failure, KeyRange, Read, StoreError, Tx, keys};
use crate::base::{OrderNo, RefundNo, Timestamp};
use crate::model::{Refund, RefundRequest, Refusal};

/// The refund of this number.
///
/// # Errors
/// [`StoreError`].
pub fn refund(read: &impl Read, refund_no: &RefundNo) -> Result<Option<Refund>, StoreError> {
    let record = codec::get::<RefundRecord>(read, &keys::refund(refund_no))?;
    Ok(record.map(|RefundRecord::V1(refund)| refund))
}

/// The refund of this number, which must be there and be the order's.
///
/// # Errors
/// [`Refusal::RefundNotFound`]; or [`StoreError`].
pub fn require_refund(
    read: &impl Read,
    order_no: &OrderNo,
    refund_no: &RefundNo,
) -> Result<Refund, Failure> {
    let found = refund(read, refund_no)?.filter(|refund| refund.order_no == *order_no);
    found.ok_or(Failure::Refused(Refusal::RefundNotFound))
}

/// All refunds of an order, in the order in which they were written down.
///
/// # Errors
/// [`StoreError`].
pub fn of_order(read: &impl Read, order_no: &OrderNo) -> Result<Vec<Refund>, StoreError> {
    let range = KeyRange::prefix(&keys::order_refunds(order_no));
    let mut refunds = vec![];
    for (index, value) in collect(read, &range, usize::MAX)? {
        let RefundIndexRecord::V1(refund_no) = codec::decode(read, &index, &value)?;
        refunds.extend(refund(read, &refund_no)?);
    }
    refunds.sort_by(|a, b| (a.created_at, &a.refund_no).cmp(&(b.created_at, &b.refund_no)));
    Ok(refunds)
}

/// Keeps `refund`, new or read in this transaction, to be looked at at `at` and not before; it was
/// looked at `step` times.
///
/// # Errors
/// [`StoreError`].
pub fn plan(
    tx: &mut Tx<'_>,
    refund: Refund,
    at: Timestamp,
    step: u16,
) -> Result<Refund, StoreError> {
    let planned = unplanned(tx, refund);
    due::schedule(tx, at, &Work::Refund(planned.refund_no.clone()), step);
    let next_at = Some(at);
    let planned = Refund { next_at, ..planned };
    put(tx, &planned)?;
    Ok(planned)
}

/// Keeps `refund`, new or read in this transaction, that is looked at no more.
///
/// # Errors
/// [`StoreError`].
pub fn end(tx: &mut Tx<'_>, refund: Refund) -> Result<Refund, StoreError> {
    let ended = unplanned(tx, refund);
    put(tx, &ended)?;
    Ok(ended)
}

fn unplanned(tx: &mut Tx<'_>, refund: Refund) -> Refund {
    if let Some(before) = refund.next_at {
        due::unschedule(tx, before, &Work::Refund(refund.refund_no.clone()));
    }
    let next_at = None;
    Refund { next_at, ..refund }
}

/// Keeps a refund, new or changed, and its index.
///
/// # Errors
/// [`StoreError`].
pub(super) fn put(tx: &mut Tx<'_>, refund: &Refund) -> Result<(), StoreError> {
    let index = keys::order_refund(&refund.order_no, &refund.refund_no);
    if tx.get(&index)?.is_none() {
        let record = RefundIndexRecord::V1(refund.refund_no.clone());
        codec::put(tx, index, &record)?;
    }
    let record = RefundRecord::V1(refund.clone());
    codec::put(tx, keys::refund(&refund.refund_no), &record)
}

/// The newest wish about an order.
///
/// # Errors
/// [`StoreError`].
pub fn request(read: &impl Read, order_no: &OrderNo) -> Result<Option<RefundRequest>, StoreError> {
    let record = codec::get::<RefundRequestRecord>(read, &keys::refund_request(order_no))?;
    Ok(record.map(|RefundRequestRecord::V1(request)| request))
}

/// Keeps the newest wish about an order, in place of the one before.
///
/// # Errors
/// [`StoreError`].
pub fn put_request(
    tx: &mut Tx<'_>,
    order_no: &OrderNo,
    request: &RefundRequest,
) -> Result<(), StoreError> {
    let record = RefundRequestRecord::V1(request.clone());
    codec::put(tx, keys::refund_request(order_no), &record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RefundStatus;
    use crate::store::Store;
    use crate::store::samples::{at, order, refund as sample, write};

    async fn kept(refunds: Vec<Refund>) -> Store {
        let store = Store::memory();
        write(&store, move |tx| {
            refunds.iter().try_for_each(|refund| put(tx, refund))?;
            Ok(())
        })
        .await;
        store
    }

    async fn listed(store: &Store, order_no: &OrderNo) -> Vec<Refund> {
        let order_no = order_no.clone();
        store
            .read(move |view| of_order(view, &order_no))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn refunds_are_found_by_number_and_by_their_order_oldest_first() {
        let (mine, other) = (order(1, 0, 1), order(1, 0, 2));
        let first = sample(&mine, 9);
        let second = Refund {
            created_at: at(500),
            ..sample(&mine, 1)
        };
        let foreign = sample(&other, 5);
        let store = kept(vec![second.clone(), foreign.clone(), first.clone()]).await;
        assert_eq!(
            listed(&store, &mine.order_no).await,
            [first.clone(), second.clone()]
        );
        assert_eq!(listed(&store, &other.order_no).await, [foreign]);
        assert_eq!(listed(&store, &order(1, 0, 3).order_no).await, []);
        let changed = Refund {
            status: RefundStatus::Success,
            ..first
        };
        let again = changed.clone();
        write(&store, move |tx| Ok(put(tx, &again)?)).await;
        assert_eq!(
            listed(&store, &mine.order_no).await,
            [changed.clone(), second]
        );
        let (order_no, foreign_no) = (mine.order_no, other.order_no);
        let read = store.read(move |view| -> Result<(), Failure> {
            assert_eq!(
                require_refund(view, &order_no, &changed.refund_no)?,
                changed
            );
            let missed = require_refund(view, &foreign_no, &changed.refund_no);
            assert_eq!(missed, Err(Failure::Refused(Refusal::RefundNotFound)));
            Ok(())
        });
        read.await.unwrap();
    }

    #[tokio::test]
    async fn only_the_newest_wish_of_an_order_is_kept() {
        let store = Store::memory();
        let mine = order(1, 0, 1).order_no;
        for text in ["一", "二"] {
            let (order_no, request) = (mine.clone(), crate::store::samples::request(text));
            write(&store, move |tx| Ok(put_request(tx, &order_no, &request)?)).await;
        }
        let found = store.read(move |view| request(view, &mine)).await;
        assert_eq!(found.unwrap().unwrap().reason, "二");
    }
}
