//! Numbers that are given out once and never again.

use super::codec;
use super::records::NumberRecord;
use super::{Read, StoreError, Tx, keys};

/// What is numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counter {
    Uid,
    Goods,
    ApiKey,
    Unmatched,
    Webhook,
    Outbox,
}

/// The next number, from 1. It is used up even when what it was for is deleted later.
pub(super) fn next(tx: &mut Tx<'_>, counter: Counter) -> Result<u64, StoreError> {
    let key = key(counter);
    let next = number(tx, &key)?.unwrap_or(0).saturating_add(1);
    codec::put(tx, key, &NumberRecord::V1(next))?;
    Ok(next)
}

/// Where the last number of a counter is kept.
pub(super) fn key(counter: Counter) -> Vec<u8> {
    keys::counter(match counter {
        Counter::Uid => 1,
        Counter::Goods => 2,
        Counter::ApiKey => 3,
        Counter::Unmatched => 4,
        Counter::Webhook => 5,
        Counter::Outbox => 6,
    })
}

/// The bare number under `key`.
pub(super) fn number(read: &impl Read, key: &[u8]) -> Result<Option<u64>, StoreError> {
    let record = codec::get::<NumberRecord>(read, key)?;
    Ok(record.map(|NumberRecord::V1(number)| number))
}
