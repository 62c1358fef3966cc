//! What comparing a day's bill came to: one record a day, one a difference, never all in one value.
//!
//! The counts of a day are kept with every change of its rows, in the same transaction. What is a
//! difference is `model`'s to say.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::answers::number_cursor;
use super::codec::{self, collect};
use super::records::{DayRowRecord, ReconciliationRecord};
use super::unmatched::Unmatched;
use super::{Failure, KeyRange, Page, PageWanted, Read, StoreError, Tx, attempts, keys};
use crate::base::{Day, Fen, Timestamp};
use crate::model::reconcile::Class;

/// How far the comparison of a day has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DayStatus {
    /// The bill was compared, whole.
    Done,
    /// The bill is not there yet, or was not asked for yet.
    Waiting,
    /// The bill could not be had or not be used; it is tried again.
    Failed,
}

/// What comparing the bill of a day came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// The Beijing day.
    pub day: Day,
    /// How far it has come.
    pub status: DayStatus,
    /// Why it is not done, in Chinese; empty when it is.
    pub reason: String,
    /// When it was last tried.
    pub at: Timestamp,
    /// How often it was run; a row that a later run did not find again is gone.
    pub run: u32,
    /// How many rows the bill had.
    pub bill_rows: u64,
    /// How many of them are the same here.
    pub matched: u64,
    /// How many rows of each class there are, settled ones too, in the order of [`Class::ALL`].
    pub rows: [u64; 3],
    /// How many of all rows are settled.
    pub settled: u64,
}

/// What a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RowKind {
    /// A payment.
    Payment,
    /// A refund.
    Refund,
    /// A genuine notify that matched nothing of ours.
    Notify,
}

/// How a difference was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Settling {
    /// By itself: WeChat was asked, and what it said was applied.
    Healed,
    /// The merchant had WeChat asked, and what it said was applied.
    Adopted,
    /// The merchant gave the money back.
    Refunded,
    /// The merchant has seen it.
    Seen,
}

/// That a difference is settled: how, by whom, when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// How.
    pub how: Settling,
    /// Who: an API key's number, or the shop itself.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRow {
    /// How the two sides differ.
    pub class: Class,
    /// What it is about.
    pub kind: RowKind,
    /// The number of the payment, as the bill or the notify writes it.
    pub out_trade_no: String,
    /// WeChat's number of the payment.
    pub transaction_id: String,
    /// The number of the refund; empty when it is about a payment.
    pub refund_no: String,
    /// Whether the payment is of an order of ours.
    pub ours: Option<crate::base::OrderNo>,
    /// The amount here.
    pub local: Option<Fen>,
    /// The amount there.
    pub wechat: Option<Fen>,
    /// When it was paid or refunded, as far as it is told.
    pub at: Option<Timestamp>,
    /// What differs, one sentence in Chinese.
    pub reason: String,
    /// Whether and how it was settled.
    pub settled: Option<Settled>,
    /// The run that found it last.
    pub run: u32,
}

impl Reconciliation {
    /// A day that nothing is known of.
    pub fn new(day: Day, now: Timestamp) -> Self {
        Self {
            day,
            status: DayStatus::Waiting,
            reason: "尚未对账".to_owned(),
            at: now,
            run: 0,
            bill_rows: 0,
            matched: 0,
            rows: [0; 3],
            settled: 0,
        }
    }

    /// How many differences wait for someone.
    pub fn open_rows(&self) -> u64 {
        let all = self
            .rows
            .iter()
            .fold(0_u64, |sum, n| sum.saturating_add(*n));
        all.saturating_sub(self.settled)
    }

    fn count(&mut self, row: &DayRow, change: Change) {
        let class = &mut self.rows[class_at(row.class)];
        change.apply(class);
        if row.settled.is_some() {
            change.apply(&mut self.settled);
        }
    }
}

#[derive(Clone, Copy)]
enum Change {
    In,
    Out,
}

impl Change {
    fn apply(self, count: &mut u64) {
        *count = match self {
            Self::In => count.saturating_add(1),
            Self::Out => count.saturating_sub(1),
        };
    }
}

const fn class_at(class: Class) -> usize {
    match class {
        Class::MissingLocal => 0,
        Class::MissingWechat => 1,
        Class::AmountDiffers => 2,
    }
}

fn key_of(day: Day, row: &DayRow) -> Vec<u8> {
    keys::day_row(
        day,
        class_byte(row.class),
        &row.out_trade_no,
        &row.refund_no,
    )
}

/// The byte of a class in keys; never changed.
const fn class_byte(class: Class) -> u8 {
    match class {
        Class::MissingLocal => b'l',
        Class::MissingWechat => b'w',
        Class::AmountDiffers => b'a',
    }
}

/// What is known of `day`.
///
/// # Errors
/// [`StoreError`].
pub fn of_day(read: &impl Read, day: Day) -> Result<Option<Reconciliation>, StoreError> {
    let record = codec::get::<ReconciliationRecord>(read, &keys::reconciliation(day))?;
    Ok(record.map(|ReconciliationRecord::V1(found)| found))
}

/// Keeps what is known of a day. Its counts of rows are kept by [`put_row`], not by the caller.
///
/// # Errors
/// [`StoreError`].
pub fn put(tx: &mut Tx<'_>, reconciliation: &Reconciliation) -> Result<(), StoreError> {
    let record = ReconciliationRecord::V1(reconciliation.clone());
    codec::put(tx, keys::reconciliation(reconciliation.day), &record)
}

/// One page of the days, newest first.
///
/// # Errors
/// [`crate::model::Refusal::FieldInvalid`] naming `cursor`; or [`StoreError`].
pub fn list(read: &impl Read, wanted: &PageWanted) -> Result<Page<Reconciliation>, Failure> {
    let mut range = KeyRange::prefix(&[keys::RECONCILIATION]).descending();
    if let Some(last) = wanted.number()? {
        let day = Day::from_number(u32::try_from(last).unwrap_or(u32::MAX));
        range.to = keys::reconciliation(day);
    }
    let mut found = vec![];
    for (key, value) in collect(read, &range, wanted.limit.saturating_add(1))? {
        let ReconciliationRecord::V1(day) = codec::decode(read, &key, &value)?;
        found.push(day);
    }
    let cursor = |found: &Reconciliation| number_cursor(u64::from(found.day.number()));
    Ok(Page::of(found, wanted.limit, cursor))
}

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

#[cfg(test)]
#[path = "reconciliations_tests.rs"]
mod tests;
