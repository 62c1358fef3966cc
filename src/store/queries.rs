//! When WeChat is asked next about an attempt: one due query an attempt, moved, never doubled.
//!
//! Due work lies by its second, so a record beside the attempt tells which second that is.

use super::codec;
use super::counters;
use super::due::{self, Due, Work};
use super::records::NumberRecord;
use super::{Read, StoreError, Tx, keys};
use crate::base::{OutTradeNo, Timestamp};

/// When WeChat is asked next about this attempt.
///
/// # Errors
/// [`StoreError`].
pub fn next(read: &impl Read, number: &OutTradeNo) -> Result<Option<Timestamp>, StoreError> {
    let at = counters::number(read, &keys::next_query(number))?;
    Ok(at
        .and_then(|at| i64::try_from(at).ok())
        .map(Timestamp::from_unix))
}

/// Enters a query of this attempt, due at `at` and tried `step` times before, in place of the one
/// that was entered, if any.
///
/// # Errors
/// [`StoreError`].
pub fn plan(
    tx: &mut Tx<'_>,
    number: &OutTradeNo,
    at: Timestamp,
    step: u16,
) -> Result<(), StoreError> {
    let work = Work::Query(number.clone());
    if let Some(before) = next(tx, number)? {
        due::unschedule(tx, before, &work);
    }
    due::schedule(tx, at, &work, step);
    let at = u64::try_from(at.unix()).unwrap_or(0);
    codec::put(tx, keys::next_query(number), &NumberRecord::V1(at))
}

/// Takes out the query `due`: this attempt is not asked about any more, unless it was planned anew.
///
/// # Errors
/// [`StoreError`].
pub fn drop(tx: &mut Tx<'_>, number: &OutTradeNo, due: &Due) -> Result<(), StoreError> {
    due::unschedule(tx, due.at, &due.work);
    if next(tx, number)? == Some(due.at) {
        tx.delete(keys::next_query(number));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::due::WorkKind;
    use crate::store::samples::{at, order_no, write};

    async fn planned(store: &Store) -> Vec<(Timestamp, u16)> {
        let read = store.read(|view| due::due_now(view, &[WorkKind::Query], at(9999), 9));
        let found = read.await.unwrap();
        found.into_iter().map(|due| (due.at, due.step)).collect()
    }

    #[tokio::test]
    async fn an_attempt_has_one_query_however_often_it_is_planned() {
        let store = Store::memory();
        let number = OutTradeNo::new(order_no(0, 1), 1);
        for (second, step) in [(600, 4), (20, 0)] {
            let number = number.clone();
            write(&store, move |tx| Ok(plan(tx, &number, at(second), step)?)).await;
        }
        assert_eq!(planned(&store).await, [(at(20), 0)]);
        let due = Due {
            at: at(20),
            work: Work::Query(number.clone()),
            step: 0,
        };
        let (n, d) = (number.clone(), due.clone());
        write(&store, move |tx| Ok(plan(tx, &n, at(60), 1)?)).await;
        let n = number.clone();
        write(&store, move |tx| Ok(drop(tx, &n, &d)?)).await;
        assert_eq!(planned(&store).await, [(at(60), 1)]);
        let due = Due { at: at(60), ..due };
        write(&store, move |tx| Ok(drop(tx, &number, &due)?)).await;
        assert_eq!(planned(&store).await, []);
    }
}
