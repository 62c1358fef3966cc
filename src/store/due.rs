//! Work that becomes due: keys ordered by kind and second, written with their cause.
//!
//! The kind comes first, so that a kind which nobody carries out yet never stands in another's way.
//! Idempotency keys need no entry here: they lie by the day and are forgotten by it.

use super::codec::collect;
use super::{Read, StoreError, Tx, keys};
use crate::base::{OrderNo, OutTradeNo, Timestamp};

/// One piece of work: what, and on whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// The order's time to pay is over. Kept by [`super::orders`], never scheduled by hand.
    Expire(OrderNo),
    /// A close that WeChat has not confirmed is tried again.
    Close(OrderNo),
    /// WeChat is asked whether the attempt was paid.
    Query(OutTradeNo),
}

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkKind {
    /// See [`Work::Expire`].
    Expire,
    /// See [`Work::Close`].
    Close,
    /// See [`Work::Query`].
    Query,
}

impl WorkKind {
    /// The byte of the kind in keys; never changed.
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Expire => b'e',
            Self::Close => b'c',
            Self::Query => b'q',
        }
    }

    fn work(self, subject: &str) -> Option<Work> {
        match self {
            Self::Expire => subject.parse().ok().map(Work::Expire),
            Self::Close => subject.parse().ok().map(Work::Close),
            Self::Query => subject.parse().ok().map(Work::Query),
        }
    }
}

/// The key under which `work` waits until `at`.
pub(super) fn key(at: Timestamp, work: &Work) -> Vec<u8> {
    match work {
        Work::Expire(order_no) => keys::due(WorkKind::Expire.byte(), at, order_no.as_str()),
        Work::Close(order_no) => keys::due(WorkKind::Close.byte(), at, order_no.as_str()),
        Work::Query(number) => keys::due(WorkKind::Query.byte(), at, &number.to_string()),
    }
}

/// Enters `work`, due at `at`.
pub fn schedule(tx: &mut Tx<'_>, at: Timestamp, work: &Work) {
    tx.put(key(at, work), vec![]);
}

/// Takes out `work` that was entered for `at`.
pub fn unschedule(tx: &mut Tx<'_>, at: Timestamp, work: &Work) {
    tx.delete(key(at, work));
}

/// The work of these kinds that is due at `now`, at most `limit` of each kind, oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn due_now(
    read: &impl Read,
    kinds: &[WorkKind],
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(Timestamp, Work)>, StoreError> {
    let mut due = vec![];
    for kind in kinds {
        for (key, _) in collect(read, &keys::due_until(kind.byte(), now), limit)? {
            let parts = keys::due_parts(&key);
            let work = parts.and_then(|(at, subject)| Some((at, kind.work(subject)?)));
            due.push(work.ok_or_else(|| damaged(read, &key))?);
        }
    }
    Ok(due)
}

fn damaged(read: &impl Read, key: &[u8]) -> StoreError {
    read.corrupt(&format!("due work {}", key.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::samples::{at, order_no, write};

    #[tokio::test]
    async fn work_is_due_at_its_second_oldest_first_and_kinds_do_not_hide_each_other() {
        let store = Store::memory();
        let query = Work::Query(OutTradeNo::new(order_no(0, 1), 2));
        let close = Work::Close(order_no(0, 2));
        let later = Work::Close(order_no(0, 1));
        let (q, c, l) = (query.clone(), close.clone(), later.clone());
        write(&store, move |tx| {
            schedule(tx, at(300), &l);
            schedule(tx, at(9), &q);
            schedule(tx, at(10), &c);
            Ok(())
        })
        .await;
        let kinds = [WorkKind::Expire, WorkKind::Close, WorkKind::Query];
        let due =
            |now: i64, limit: usize| store.read(move |view| due_now(view, &kinds, at(now), limit));
        assert_eq!(due(8, 9).await, Ok(vec![]));
        assert_eq!(due(9, 9).await, Ok(vec![(at(9), query.clone())]));
        let first = vec![(at(10), close.clone()), (at(9), query)];
        assert_eq!(due(300, 1).await, Ok(first));
        assert_eq!(due(300, 9).await.map(|all| all.len()), Ok(3));
        write(&store, move |tx| {
            unschedule(tx, at(10), &close);
            Ok(())
        })
        .await;
        let closes = store
            .read(|view| due_now(view, &[WorkKind::Close], at(999), 9))
            .await;
        assert_eq!(closes, Ok(vec![(at(300), later)]));
    }
}
