//! Genuine notifies that matched nothing of ours: never acknowledged, never forgotten.

use serde::{Deserialize, Serialize};

use super::answers::number_cursor;
use super::codec::{self, collect};
use super::counters::{self, Counter};
use super::records::{NumberRecord, UnmatchedRecord};
use super::{Failure, KeyRange, Page, PageWanted, Read, StoreError, Tx, day_rows, keys};
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

/// Keeps a notify, and lists it among the differences of its day; WeChat's repetition of it only
/// raises `times` and `last_at`.
///
/// # Errors
/// [`StoreError`].
pub fn put(tx: &mut Tx<'_>, notify: &Unmatched) -> Result<(), StoreError> {
    let seen = seen_key(notify);
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
    codec::put(tx, keys::unmatched(number), &record)?;
    day_rows::enter(tx, notify)
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

/// Where the number of a notify that came before is kept.
pub(super) fn seen_key(notify: &Unmatched) -> Vec<u8> {
    keys::unmatched_seen(&digest(notify))
}

fn digest(notify: &Unmatched) -> [u8; 32] {
    let id = notify.transaction_id.as_str();
    hash::sha256(format!("{id}\n{}", notify.out_trade_no).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::samples::{at, unmatched, write};

    #[tokio::test]
    async fn a_notify_repeated_by_wechat_is_one_entry_that_counts() {
        let store = Store::memory();
        let other = Unmatched {
            transaction_id: "4200000000202601010000000002".parse().unwrap(),
            ..unmatched()
        };
        for notify in [unmatched(), other.clone(), unmatched(), unmatched()] {
            let notify = Unmatched {
                last_at: at(50),
                ..notify
            };
            write(&store, move |tx| Ok(put(tx, &notify)?)).await;
        }
        let page = |cursor| {
            let wanted = PageWanted { cursor, limit: 1 };
            store.read(move |view| list(view, &wanted))
        };
        let one = page(None).await.unwrap();
        assert_eq!(one.items[0].transaction_id, other.transaction_id);
        let two = page(one.next_cursor).await.unwrap();
        assert_eq!((two.items[0].times, two.items[0].first_at), (3, at(5)));
        assert_eq!((two.items[0].last_at, two.next_cursor), (at(50), None));
    }
}
