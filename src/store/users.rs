//! Users, found by uid, by openid and by phone. Phones and addresses are kept sealed.

use super::answers::number_cursor;
use super::codec::{self, collect, damaged};
use super::counters::{self, Counter};
use super::records::{UidRecord, UserRecord, phone_digest};
use super::{Failure, KeyRange, Page, PageWanted, Read, StoreError, Tx, keys};
use crate::base::cipher::FieldKey;
use crate::base::{AppId, OpenId, Timestamp, Uid};
use crate::model::User;

/// Who logged in, as WeChat told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The mini program.
    pub appid: AppId,
    /// The user in it.
    pub openid: OpenId,
    /// The user across the merchant's Open Platform account, when there is one.
    pub unionid: Option<String>,
}

/// Whether a login was the first of its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The user was entered by this login.
    Created,
    /// The user was known.
    Known,
}

/// The user of this uid.
///
/// # Errors
/// [`StoreError`].
pub fn user(read: &impl Read, field_key: &FieldKey, uid: Uid) -> Result<Option<User>, StoreError> {
    let key = keys::user(uid);
    match codec::get::<UserRecord>(read, &key)? {
        Some(record) => opened(read, field_key, (&key, record)).map(Some),
        None => Ok(None),
    }
}

/// The user of this openid, by one get of the index and one of the user.
///
/// # Errors
/// [`StoreError`].
pub fn by_openid(
    read: &impl Read,
    field_key: &FieldKey,
    appid: &AppId,
    openid: &OpenId,
) -> Result<Option<User>, StoreError> {
    match codec::get::<UidRecord>(read, &keys::openid(appid, openid))? {
        Some(UidRecord::V1(uid)) => user(read, field_key, uid),
        None => Ok(None),
    }
}

/// The user of this login, entered now when unseen before.
///
/// A known user with nothing new is not written: a caller may ask [`by_openid`] first and come
/// here only when it must.
///
/// # Errors
/// [`StoreError`].
pub fn upsert(
    tx: &mut Tx<'_>,
    field_key: &FieldKey,
    login: &Login,
    now: Timestamp,
) -> Result<(User, Seen), StoreError> {
    let known = by_openid(tx, field_key, &login.appid, &login.openid)?;
    if let Some(user) = known {
        if !is_news(&user, login) {
            return Ok((user, Seen::Known));
        }
        let unionid = login.unionid.clone();
        let told = User {
            unionid,
            ..user.clone()
        };
        update(tx, field_key, &user, &told)?;
        return Ok((told, Seen::Known));
    }
    let uid = Uid::new(counters::next(tx, Counter::Uid)?);
    let user = User {
        unionid: login.unionid.clone(),
        ..User::new(uid, login.appid.clone(), login.openid.clone(), now)
    };
    let key = keys::openid(&user.appid, &user.openid);
    codec::put(tx, key, &UidRecord::V1(uid))?;
    codec::put(tx, keys::user(uid), &UserRecord::seal(&user, field_key))?;
    Ok((user, Seen::Created))
}

/// Whether `login` tells something about a known user that is not kept yet.
pub fn is_news(user: &User, login: &Login) -> bool {
    login.unionid.is_some() && login.unionid != user.unionid
}

/// Keeps `after` in place of `before`, which was read in this transaction, and moves the phone's
/// index.
///
/// # Errors
/// [`StoreError`].
///
/// # Panics
/// When uid, appid or openid differ: a bug of the caller.
pub fn update(
    tx: &mut Tx<'_>,
    field_key: &FieldKey,
    before: &User,
    after: &User,
) -> Result<(), StoreError> {
    assert!(
        before.uid == after.uid && before.appid == after.appid && before.openid == after.openid,
        "a user keeps uid and openid"
    );
    if before.phone != after.phone {
        if let Some(digest) = phone_digest(field_key, &before.phone) {
            tx.delete(keys::phone(&digest, before.uid));
        }
        if let Some(digest) = phone_digest(field_key, &after.phone) {
            tx.put(keys::phone(&digest, after.uid), vec![]);
        }
    }
    codec::put(
        tx,
        keys::user(after.uid),
        &UserRecord::seal(after, field_key),
    )
}

/// The users who gave this phone.
///
/// # Errors
/// [`StoreError`].
pub fn of_phone(
    read: &impl Read,
    field_key: &FieldKey,
    phone: &str,
) -> Result<Vec<Uid>, StoreError> {
    let Some(digest) = phone_digest(field_key, phone) else {
        return Ok(vec![]);
    };
    let found = collect(read, &KeyRange::prefix(&keys::phones(&digest)), usize::MAX)?;
    let uids = found.iter().filter_map(|(key, _)| keys::last_number(key));
    Ok(uids.map(Uid::new).collect())
}

/// One page of all users, newest first.
///
/// # Errors
/// [`crate::model::Refusal::FieldInvalid`] naming `cursor`; or [`StoreError`].
pub fn list(
    read: &impl Read,
    field_key: &FieldKey,
    wanted: &PageWanted,
) -> Result<Page<User>, Failure> {
    let mut range = KeyRange::prefix(&[keys::USER]).descending();
    if let Some(last) = wanted.number()? {
        range.to = keys::user(Uid::new(last));
    }
    let mut users = vec![];
    for (key, value) in collect(read, &range, wanted.limit.saturating_add(1))? {
        let record = codec::decode::<UserRecord>(read, &key, &value)?;
        users.push(opened(read, field_key, (&key, record))?);
    }
    let cursor = |user: &User| number_cursor(user.uid.get());
    Ok(Page::of(users, wanted.limit, cursor))
}

fn opened(
    read: &impl Read,
    field_key: &FieldKey,
    (key, record): (&[u8], UserRecord),
) -> Result<User, StoreError> {
    let user = record.open(field_key);
    user.map_err(|_| damaged::<UserRecord>(read, key))
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
