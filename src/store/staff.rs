//! The merchant's people and programs: admins by name, API keys by the digest of the key.

use serde::{Deserialize, Serialize};

use super::codec::{self, collect};
use super::counters::{self, Counter};
use super::records::{AdminRecord, AdminV1, ApiKeyRecord};
use super::{KeyRange, Read, StoreError, Tx, keys};
use crate::base::{Secret, Timestamp};

/// Who may log in to the console.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The login name.
    pub name: String,
    /// The password as Argon2 keeps it.
    pub password_hash: Secret<String>,
    /// When they were entered.
    pub created_at: Timestamp,
}

/// A key that a program of the merchant shows; the key itself is kept nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Numbered from 1, never again.
    pub id: u64,
    /// What the merchant calls it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// The admin of this name.
///
/// # Errors
/// [`StoreError`].
pub fn admin(read: &impl Read, name: &str) -> Result<Option<Admin>, StoreError> {
    let record = codec::get::<AdminRecord>(read, &keys::admin(name))?;
    Ok(record.map(|AdminRecord::V1(admin)| Admin {
        name: admin.name,
        password_hash: Secret::new(admin.password_hash),
        created_at: admin.created_at,
    }))
}

/// Keeps an admin, new or changed.
///
/// # Errors
/// [`StoreError`].
pub fn put_admin(tx: &mut Tx<'_>, admin: &Admin) -> Result<(), StoreError> {
    let record = AdminRecord::V1(AdminV1 {
        name: admin.name.clone(),
        password_hash: admin.password_hash.reveal().clone(),
        created_at: admin.created_at,
    });
    codec::put(tx, keys::admin(&admin.name), &record)
}

/// The key whose SHA-256 is `digest`, unless it was revoked: one get.
///
/// # Errors
/// [`StoreError`].
pub fn api_key(read: &impl Read, digest: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
    let record = codec::get::<ApiKeyRecord>(read, &keys::api_key(digest))?;
    let key = record.map(|ApiKeyRecord::V1(key)| key);
    Ok(key.filter(|key| key.revoked_at.is_none()))
}

/// Enters a new key called `name`, of which only the SHA-256 is given.
///
/// # Errors
/// [`StoreError`].
pub fn insert_api_key(
    tx: &mut Tx<'_>,
    name: &str,
    digest: &[u8; 32],
    now: Timestamp,
) -> Result<ApiKey, StoreError> {
    let key = ApiKey {
        id: counters::next(tx, Counter::ApiKey)?,
        name: name.to_owned(),
        created_at: now,
        revoked_at: None,
    };
    codec::put(tx, keys::api_key(digest), &ApiKeyRecord::V1(key.clone()))?;
    Ok(key)
}

/// Revokes the key of this id; the key as it is now, or `None` when there is none.
///
/// # Errors
/// [`StoreError`].
pub fn revoke_api_key(
    tx: &mut Tx<'_>,
    id: u64,
    now: Timestamp,
) -> Result<Option<ApiKey>, StoreError> {
    for (key, value) in collect(tx, &KeyRange::prefix(&[keys::API_KEY]), usize::MAX)? {
        let ApiKeyRecord::V1(found) = codec::decode(tx, &key, &value)?;
        if found.id != id {
            continue;
        }
        let revoked = ApiKey {
            revoked_at: found.revoked_at.or(Some(now)),
            ..found
        };
        codec::put(tx, key, &ApiKeyRecord::V1(revoked.clone()))?;
        return Ok(Some(revoked));
    }
    Ok(None)
}

/// All keys, revoked ones too, newest first. A shop has few.
///
/// # Errors
/// [`StoreError`].
pub fn api_keys(read: &impl Read) -> Result<Vec<ApiKey>, StoreError> {
    let mut all = vec![];
    for (key, value) in collect(read, &KeyRange::prefix(&[keys::API_KEY]), usize::MAX)? {
        let ApiKeyRecord::V1(found) = codec::decode(read, &key, &value)?;
        all.push(found);
    }
    all.sort_unstable_by_key(|key| std::cmp::Reverse(key.id));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::samples::{at, write};

    #[tokio::test]
    async fn a_revoked_key_opens_nothing_and_its_id_is_not_given_again() {
        let store = Store::memory();
        let ids = write(&store, |tx| {
            let one = insert_api_key(tx, "one", &[1; 32], at(0))?;
            let revoked = revoke_api_key(tx, one.id, at(5))?.unwrap();
            assert_eq!(revoked.revoked_at, Some(at(5)));
            let again = revoke_api_key(tx, one.id, at(9))?.unwrap();
            assert_eq!(again.revoked_at, Some(at(5)));
            assert_eq!(revoke_api_key(tx, 99, at(5))?, None);
            let two = insert_api_key(tx, "two", &[2; 32], at(6))?;
            assert_eq!(api_key(tx, &[1; 32])?, None);
            assert_eq!(api_key(tx, &[2; 32])?, Some(two));
            assert_eq!(api_key(tx, &[3; 32])?, None);
            Ok(api_keys(tx)?.iter().map(|key| key.id).collect::<Vec<_>>())
        })
        .await;
        assert_eq!(ids, [2, 1]);
    }

    #[tokio::test]
    async fn an_admin_comes_back_by_name_and_is_not_printed_with_the_hash() {
        let store = Store::memory();
        let found = write(&store, |tx| {
            let password_hash = Secret::from("$argon2id$v=19$");
            let (name, created_at) = ("掌柜".to_owned(), at(0));
            put_admin(
                tx,
                &Admin {
                    name,
                    password_hash,
                    created_at,
                },
            )?;
            assert!(admin(tx, "nobody")?.is_none());
            Ok(admin(tx, "掌柜")?.unwrap())
        })
        .await;
        assert!(found.password_hash.matches("$argon2id$v=19$"));
        assert!(!format!("{found:?}").contains("argon2id"));
    }
}
