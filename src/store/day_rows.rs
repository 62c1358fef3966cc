//! The differences of a day: kept, found, settled, and dropped when they are none any more.
//!
//! Whoever changes rows changes the counts of their day with them.

use std::ops::ControlFlow;

use super::codec::{self, collect};
use super::reconciliations::{Change, DayRow, Reconciliation, RowKind, Settled, Settling};
use super::reconciliations::{class_byte, key_of, of_day, put};
use super::records::DayRowRecord;
use super::unmatched::Unmatched;
use super::{KeyRange, Read, StoreError, Tx, attempts, keys};
use crate::base::Day;
use crate::model::reconcile::Class;

/// The first `limit` differences of a class, by their number.
///
/// # Errors
/// [`StoreError`].
pub fn rows(
    read: &impl Read,
    day: Day,
    class: Class,
    limit: usize,
) -> Result<Vec<DayRow>, StoreError> {
    let mut found = vec![];
    let range = KeyRange::prefix(&keys::day_rows_of(day, class_byte(class)));
    codec::visit(read, range, &mut |_, DayRowRecord::V1(row)| {
        if found.len() < limit {
            found.push(row);
        }
        match found.len() < limit {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    Ok(found)
}

/// All differences of a day that are about this payment.
///
/// # Errors
/// [`StoreError`].
pub fn rows_of(read: &impl Read, day: Day, out_trade_no: &str) -> Result<Vec<DayRow>, StoreError> {
    let mut found = vec![];
    for class in Class::ALL {
        let prefix = keys::day_rows_about(day, class_byte(class), out_trade_no);
        let rows = KeyRange::prefix(&prefix);
        codec::visit(read, rows, &mut |_, DayRowRecord::V1(row)| {
            found.push(row);
            ControlFlow::Continue(())
        })?;
    }
    Ok(found)
}

/// Keeps differences of a day, and its counts. One that was settled before stays settled.
///
/// # Errors
/// [`StoreError`].
pub fn put_rows(
    tx: &mut Tx<'_>,
    day: &mut Reconciliation,
    rows: &[DayRow],
) -> Result<(), StoreError> {
    for row in rows {
        let key = key_of(day.day, row);
        let before = codec::get::<DayRowRecord>(tx, &key)?.map(|DayRowRecord::V1(row)| row);
        let settled = row.settled.clone();
        let kept = before.as_ref().and_then(|before| before.settled.clone());
        let row = DayRow {
            settled: settled.or(kept),
            ..row.clone()
        };
        if let Some(before) = &before {
            day.count(before, Change::Out);
        }
        if row.class != Class::MissingLocal {
            drop_notify(tx, day, &row)?;
        }
        day.count(&row, Change::In);
        codec::put(tx, key, &DayRowRecord::V1(row))?;
    }
    put(tx, day)
}

/// Takes out an open notify about the same payment: what the bill says of it says more.
fn drop_notify(tx: &mut Tx<'_>, day: &mut Reconciliation, row: &DayRow) -> Result<(), StoreError> {
    let class = class_byte(Class::MissingLocal);
    let key = keys::day_row(day.day, class, &row.out_trade_no, "");
    if let Some(DayRowRecord::V1(known)) = codec::get(tx, &key)?
        && known.kind == RowKind::Notify
        && known.settled.is_none()
    {
        day.count(&known, Change::Out);
        codec::delete::<DayRowRecord>(tx, key)?;
    }
    Ok(())
}

/// Writes down that a genuine notify matched nothing, among the differences of the day it came.
///
/// # Errors
/// [`StoreError`].
pub(super) fn enter(tx: &mut Tx<'_>, notify: &Unmatched) -> Result<(), StoreError> {
    let day = Day::of(notify.first_at);
    let known = of_day(tx, day)?;
    let mut known = known.unwrap_or_else(|| Reconciliation::new(day, notify.first_at));
    // The number may be anything: only one that can be ours is looked for.
    let attempt = match notify.out_trade_no.parse() {
        Ok(number) => attempts::attempt(tx, &number)?,
        Err(_) => None,
    };
    let row = DayRow {
        class: Class::MissingLocal,
        kind: RowKind::Notify,
        out_trade_no: keys::short(&notify.out_trade_no),
        transaction_id: notify.transaction_id.to_string(),
        refund_no: String::new(),
        local: attempt.as_ref().map(|attempt| attempt.amount),
        ours: attempt.map(|attempt| attempt.out_trade_no.order_no().clone()),
        wechat: Some(notify.amount),
        at: Some(notify.first_at),
        reason: notify.reason.clone(),
        settled: None,
        run: known.run,
    };
    put_rows(tx, &mut known, &[row])
}

/// Removes the next rows, at most `limit` behind `after`, that this run of the day did not find
/// again and nobody settled; where the next call goes on, `None` at the end.
///
/// A notify that matched nothing stays; once its money is known here it counts as healed.
///
/// # Errors
/// [`StoreError`].
pub fn drop_stale(
    tx: &mut Tx<'_>,
    day: &mut Reconciliation,
    after: Option<Vec<u8>>,
    limit: usize,
) -> Result<Option<Vec<u8>>, StoreError> {
    let all = KeyRange::prefix(&keys::day_rows(day.day));
    let range = match after {
        Some(last) => all.behind(last),
        None => all,
    };
    let found = collect(tx, &range, limit)?;
    let next = found.last().filter(|_| found.len() == limit);
    let next = next.map(|(key, _)| key.clone());
    for (key, value) in found {
        let DayRowRecord::V1(row) = codec::decode(tx, &key, &value)?;
        if row.settled.is_some() || row.run >= day.run {
            continue;
        }
        match row.kind {
            RowKind::Payment | RowKind::Refund => {
                day.count(&row, Change::Out);
                codec::delete::<DayRowRecord>(tx, key)?;
            }
            RowKind::Notify => heal_notify(tx, day, row)?,
        }
    }
    put(tx, day)?;
    Ok(next)
}

fn heal_notify(tx: &mut Tx<'_>, day: &mut Reconciliation, row: DayRow) -> Result<(), StoreError> {
    let id = row.transaction_id.parse().ok();
    let known = match id {
        Some(id) => attempts::by_transaction(tx, &id)?.is_some(),
        None => false,
    };
    if !known {
        return Ok(());
    }
    let settled = Settled {
        how: Settling::Healed,
        by: String::new(),
        at: day.at,
    };
    let healed = DayRow {
        settled: Some(settled),
        ..row
    };
    put_rows(tx, day, &[healed])
}
