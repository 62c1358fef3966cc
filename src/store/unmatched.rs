//! Genuine notifies that matched nothing of ours: never acknowledged, never forgotten.

use serde::{Deserialize, Serialize};

use super::answers::number_cursor;
use super::codec;
use super::counters::{self, Counter};
use super::orders::collect;
use super::records::{NumberRecord, UnmatchedRecord};
use super::{Failure, KeyRange, Page, PageWanted, Read, StoreError, Tx, keys};
use crate::base::{Fen, Timestamp, TransactionId, hash};

/// A notify whose signature holds, for a number or an amount that is not ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    /// The number it names.
    pub out_trade_no: String,
    /// WeChat's number of the payment.
    pub transaction_id: TransactionId,
    /// The amount it names.
    pub amount: Fen,
    /// What does not match, one sentence in Chinese.
    pub reason: String,
    /// When it first came.
    pub first_at: Timestamp,
    /// When it came last.
    pub last_at: Timestamp,
    /// How often it came.
    pub times: u32,
}

/// Keeps a notify; WeChat's repetition of it only raises `times` and `last_at`.
///
/// # Errors
/// [`StoreError`].
pub fn put(tx: &mut Tx<'_>, notify: &Unmatched) -> Result<(), StoreError> {
    let seen = keys::unmatched_seen(&digest(notify));
    if let Some(number) = counters::number(tx, &seen)?
        && let Some(UnmatchedRecord::V1(first)) = codec::get(tx, &keys::unmatched(number))?
    {
        let again = Unmatched {
            first_at: first.first_at,
            times: first.times.saturating_add(1),
            ..notify.clone()
        };
        return codec::put(tx, keys::unmatched(number), &UnmatchedRecord::V1(again));
    }
    let number = counters::next(tx, Counter::Unmatched)?;
    codec::put(tx, seen, &NumberRecord::V1(number))?;
    let record = UnmatchedRecord::V1(notify.clone());
    codec::put(tx, keys::unmatched(number), &record)
}

/// One page of the unmatched notifies, newest first.
///
/// # Errors
/// [`crate::model::Refusal::FieldInvalid`] naming `cursor`; or [`StoreError`].
pub fn list(read: &impl Read, wanted: &PageWanted) -> Result<Page<Unmatched>, Failure> {
    let mut range = KeyRange::prefix(&[keys::UNMATCHED]).descending();
    if let Some(last) = wanted.number()? {
        range.to = keys::unmatched(last);
    }
    let mut found = vec![];
    for (key, value) in collect(read, &range, wanted.limit.saturating_add(1))? {
        let UnmatchedRecord::V1(notify) = codec::decode(read, &key, &value)?;
        found.push((keys::last_number(&key).unwrap_or(0), notify));
    }
    let cursor = |(number, _): &(u64, Unmatched)| number_cursor(*number);
    let page = Page::of(found, wanted.limit, cursor);
    Ok(Page {
        items: page.items.into_iter().map(|(_, notify)| notify).collect(),
        next_cursor: page.next_cursor,
    })
}

fn digest(notify: &Unmatched) -> [u8; 32] {
    let id = notify.transaction_id.as_str();
    hash::sha256(format!("{id}\n{}", notify.out_trade_no).as_bytes())
}
