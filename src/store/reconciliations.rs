//! What comparing a day's bill came to: one record a day, one a difference, never all in one value.
//!
//! The counts of a day are kept with every change of its rows, in the same transaction. What is a
//! difference is `model`'s to say.

use serde::{Deserialize, Serialize};

use super::answers::number_cursor;
use super::codec::{self, collect};
use super::records::ReconciliationRecord;
use super::{Failure, KeyRange, Page, PageWanted, Read, StoreError, Tx, keys};

pub use super::day_rows::{drop_stale, put_rows, rows, rows_of};
use crate::base::{Day, Fen, OrderNo, Timestamp};
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
    /// How many rows of the bill, of trades that are not ours, are counted here and not listed.
    pub unlisted: u64,
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
    pub ours: Option<OrderNo>,
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

/// What comparing a day's bill came to, when every difference was listed.
#[derive(Serialize, Deserialize)]
pub(super) struct ReconciliationV1 {
    pub(super) day: Day,
    pub(super) status: DayStatus,
    pub(super) reason: String,
    pub(super) at: Timestamp,
    pub(super) run: u32,
    pub(super) bill_rows: u64,
    pub(super) matched: u64,
    pub(super) rows: [u64; 3],
    pub(super) settled: u64,
}

impl ReconciliationRecord {
    /// The day as it is known.
    pub(super) fn open(self) -> Reconciliation {
        match self {
            Self::V2(known) => known,
            Self::V1(known) => Reconciliation {
                day: known.day,
                status: known.status,
                reason: known.reason,
                at: known.at,
                run: known.run,
                bill_rows: known.bill_rows,
                matched: known.matched,
                rows: known.rows,
                settled: known.settled,
                unlisted: 0,
            },
        }
    }
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
            unlisted: 0,
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

    pub(super) fn count(&mut self, row: &DayRow, change: Change) {
        let class = &mut self.rows[class_at(row.class)];
        change.apply(class);
        if row.settled.is_some() {
            change.apply(&mut self.settled);
        }
    }
}

/// Whether a row comes into the counts or leaves them.
#[derive(Clone, Copy)]
pub(super) enum Change {
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

pub(super) fn key_of(day: Day, row: &DayRow) -> Vec<u8> {
    keys::day_row(
        day,
        class_byte(row.class),
        &row.out_trade_no,
        &row.refund_no,
    )
}

/// The byte of a class in keys; never changed.
pub(super) const fn class_byte(class: Class) -> u8 {
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
    Ok(record.map(ReconciliationRecord::open))
}

/// Keeps what is known of a day. Its counts of rows are kept by [`super::day_rows::put_rows`], not
/// by the caller.
///
/// # Errors
/// [`StoreError`].
pub fn put(tx: &mut Tx<'_>, reconciliation: &Reconciliation) -> Result<(), StoreError> {
    let record = ReconciliationRecord::V2(reconciliation.clone());
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
        found.push(codec::decode::<ReconciliationRecord>(read, &key, &value)?.open());
    }
    let cursor = |found: &Reconciliation| number_cursor(u64::from(found.day.number()));
    Ok(Page::of(found, wanted.limit, cursor))
}

#[cfg(test)]
#[path = "reconciliations_tests.rs"]
mod tests;
