//! Whether every record has its index entries and every index entry its record.

use super::codec::{self, collect};
use super::due::WorkKind;
use super::orders::Indexed;
use super::records::{AttemptRecord, OrderRecord, OwnerRecord, PaidByRecord};
use super::records::{UidRecord, UserRecord};
use super::{KeyRange, Read, StoreError, View, attempts, goods, keys, refunds};
use crate::base::OrderNo;

/// How many keys are held in memory at a time.
const CHUNK: usize = 512;

/// What is wrong with the indexes, one sentence each; empty when all is well.
///
/// Every record is read and checked on the way. No field key is needed: what is sealed stays so.
/// The store must not change meanwhile.
///
/// # Errors
/// [`StoreError`], `Corrupt` for the first record that fails its check.
pub fn audit_indexes(view: &View<'_>) -> Result<Vec<String>, StoreError> {
    let mut faults = vec![];
    orders(view, &mut faults)?;
    order_indexes(view, &mut faults)?;
    users(view, &mut faults)?;
    user_indexes(view, &mut faults)?;
    payments(view, &mut faults)?;
    goods::audit(view, &mut faults)?;
    refunds::audit(view, &mut faults)?;
    Ok(faults)
}

type Each<'e> = dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError> + 'e;

/// Calls `visit` with all keys of an ascending range, not while the scan of them runs.
pub(super) fn each(
    read: &impl Read,
    range: &KeyRange,
    visit: &mut Each<'_>,
) -> Result<(), StoreError> {
    let mut range = range.clone();
    loop {
        let found = collect(read, &range, CHUNK)?;
        for (key, value) in &found {
            visit(key, value)?;
        }
        match found.into_iter().next_back() {
            Some((last, _)) => range = range.behind(last),
            None => return Ok(()),
        }
    }
}

fn orders(read: &impl Read, faults: &mut Vec<String>) -> Result<(), StoreError> {
    each(
        read,
        &KeyRange::prefix(&[keys::ORDER]),
        &mut |key, value| {
            let OrderRecord::V1(order) = codec::decode(read, key, value)?;
            if keys::order(order.uid, &order.order_no) != key {
                faults.push(format!("{} holds another order", key.escape_ascii()));
            }
            for (index, kept) in Indexed::from(&order).keys() {
                if read.get(&index)? != Some(kept) {
                    let (key, index) = (key.escape_ascii(), index.escape_ascii());
                    faults.push(format!("{key} is not indexed by {index}"));
                }
            }
            Ok(())
        },
    )
}

/// The indexes of orders name orders that they are an index of.
fn order_indexes(read: &impl Read, faults: &mut Vec<String>) -> Result<(), StoreError> {
    let expiries = keys::due_work(WorkKind::Expire.byte());
    let indexes = [
        (vec![keys::ORDER_OWNER], 1),
        (vec![keys::STATUS_ORDER], 2),
        (expiries, 10),
    ];
    for (prefix, number_at) in indexes {
        each(read, &KeyRange::prefix(&prefix), &mut |index, _| {
            if !indexes_an_order(read, index, number_at)? {
                faults.push(format!("{} indexes no such order", index.escape_ascii()));
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn indexes_an_order(read: &impl Read, index: &[u8], number_at: usize) -> Result<bool, StoreError> {
    let number = index
        .get(number_at..)
        .and_then(|n| std::str::from_utf8(n).ok());
    let Some(order_no) = number.and_then(|n| n.parse::<OrderNo>().ok()) else {
        return Ok(false);
    };
    let Some(OwnerRecord::V1(uid)) = codec::get(read, &keys::order_owner(&order_no))? else {
        return Ok(false);
    };
    let Some(OrderRecord::V1(order)) = codec::get(read, &keys::order(uid, &order_no))? else {
        return Ok(false);
    };
    let keys = Indexed::from(&order).keys();
    Ok(keys.iter().any(|(key, _)| key == index))
}

fn users(read: &impl Read, faults: &mut Vec<String>) -> Result<(), StoreError> {
    each(read, &KeyRange::prefix(&[keys::USER]), &mut |key, value| {
        let UserRecord::V1(user) = codec::decode(read, key, value)?;
        let openid = keys::openid(&user.appid, &user.openid);
        let named = codec::get::<UidRecord>(read, &openid)?;
        let named = named.map(|UidRecord::V1(uid)| uid);
        let phone = user
            .phone_digest
            .map(|digest| keys::phone(&digest, user.uid));
        let found = match phone {
            Some(phone) => read.get(&phone)?.is_some(),
            None => true,
        };
        if named != Some(user.uid) || !found || keys::user(user.uid) != key {
            faults.push(format!("{} is not indexed right", key.escape_ascii()));
        }
        Ok(())
    })
}

fn user_indexes(read: &impl Read, faults: &mut Vec<String>) -> Result<(), StoreError> {
    each(
        read,
        &KeyRange::prefix(&[keys::OPENID]),
        &mut |index, value| {
            let UidRecord::V1(uid) = codec::decode(read, index, value)?;
            let user = codec::get::<UserRecord>(read, &keys::user(uid))?;
            let openid = user.map(|UserRecord::V1(user)| keys::openid(&user.appid, &user.openid));
            if openid.as_deref() != Some(index) {
                faults.push(format!("{} indexes no such user", index.escape_ascii()));
            }
            Ok(())
        },
    )?;
    each(read, &KeyRange::prefix(&[keys::PHONE]), &mut |index, _| {
        let uid = crate::base::Uid::new(keys::last_number(index).unwrap_or(0));
        let user = codec::get::<UserRecord>(read, &keys::user(uid))?;
        let digest = user.and_then(|UserRecord::V1(user)| user.phone_digest);
        if digest.map(|digest| keys::phone(&digest, uid)).as_deref() != Some(index) {
            faults.push(format!("{} indexes no such phone", index.escape_ascii()));
        }
        Ok(())
    })
}

fn payments(read: &impl Read, faults: &mut Vec<String>) -> Result<(), StoreError> {
    each(
        read,
        &KeyRange::prefix(&[keys::ATTEMPT]),
        &mut |key, value| {
            let AttemptRecord::V1(attempt) = codec::decode(read, key, value)?;
            if let Some(id) = &attempt.transaction_id
                && attempts::by_transaction(read, id)?.as_ref() != Some(&attempt.out_trade_no)
            {
                faults.push(format!(
                    "{} is not found by its transaction",
                    key.escape_ascii()
                ));
            }
            Ok(())
        },
    )?;
    each(
        read,
        &KeyRange::prefix(&[keys::TRANSACTION]),
        &mut |index, value| {
            let PaidByRecord::V1(number) = codec::decode(read, index, value)?;
            let id = attempts::attempt(read, &number)?.and_then(|attempt| attempt.transaction_id);
            if id.map(|id| keys::transaction(&id)).as_deref() != Some(index) {
                faults.push(format!("{} indexes no such payment", index.escape_ascii()));
            }
            Ok(())
        },
    )
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
