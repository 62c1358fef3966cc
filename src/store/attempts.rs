//! Payment attempts by out_trade_no, and which attempt a transaction paid.

use super::codec::{self, collect};
use super::records::{AttemptRecord, PaidByRecord};
use super::{KeyRange, Read, StoreError, Tx, keys};
use crate::base::{OrderNo, OutTradeNo, TransactionId};
use crate::model::{Attempt, Order};

/// The attempt of this number.
///
/// # Errors
/// [`StoreError`].
pub fn attempt(read: &impl Read, number: &OutTradeNo) -> Result<Option<Attempt>, StoreError> {
    let record = codec::get::<AttemptRecord>(read, &keys::attempt(number))?;
    Ok(record.map(|AttemptRecord::V1(attempt)| attempt))
}

/// The newest attempt to pay `order`, if any was opened.
///
/// # Errors
/// [`StoreError`].
pub fn newest(read: &impl Read, order: &Order) -> Result<Option<Attempt>, StoreError> {
    match order.attempts {
        0 => Ok(None),
        newest => attempt(read, &OutTradeNo::new(order.order_no.clone(), newest)),
    }
}

/// All attempts to pay an order, oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn all(read: &impl Read, order_no: &OrderNo) -> Result<Vec<Attempt>, StoreError> {
    let found = collect(
        read,
        &KeyRange::prefix(&keys::attempts(order_no)),
        usize::MAX,
    )?;
    let decode = |(key, value): (Vec<u8>, Vec<u8>)| {
        let AttemptRecord::V1(attempt) = codec::decode(read, &key, &value)?;
        Ok(attempt)
    };
    found.into_iter().map(decode).collect()
}

/// The attempt that this transaction paid.
///
/// # Errors
/// [`StoreError`].
pub fn by_transaction(
    read: &impl Read,
    id: &TransactionId,
) -> Result<Option<OutTradeNo>, StoreError> {
    let record = codec::get::<PaidByRecord>(read, &keys::transaction(id))?;
    Ok(record.map(|PaidByRecord::V1(number)| number))
}

/// Keeps an attempt, new or changed; once it is paid it is found by its transaction too.
///
/// # Errors
/// [`StoreError`].
pub fn put(tx: &mut Tx<'_>, attempt: &Attempt) -> Result<(), StoreError> {
    if let Some(id) = &attempt.transaction_id {
        let paid = PaidByRecord::V1(attempt.out_trade_no.clone());
        codec::put(tx, keys::transaction(id), &paid)?;
    }
    let record = AttemptRecord::V1(attempt.clone());
    codec::put(tx, keys::attempt(&attempt.out_trade_no), &record)
}
