//! The merchant's people and programs: admins by name, API keys by the digest of the key.

use serde::{Deserialize, Serialize};

use super::codec::{self, Record, collect};
use super::counters::{self, Counter};
use super::records::ApiKeyRecord;
use super::sealed::{Place, Sealed};
use super::{KeyRange, Read, StoreError, Tx, keys};
use crate::base::cipher::FieldKey;
use crate::base::totp::TotpKey;
use crate::base::{Secret, Timestamp};

/// What is kept of an admin.
#[derive(Serialize, Deserialize)]
pub(super) enum AdminRecord {
    V1(AdminV1),
    V2(AdminV2),
}

impl Record for AdminRecord {
    const KIND: &'static str = "admin";
    const LONG: bool = true;
}

#[derive(Serialize, Deserialize)]
pub(super) struct AdminV1 {
    pub(super) name: String,
    pub(super) password_hash: String,
    pub(super) created_at: Timestamp,
}

/// An admin whose sessions end together, and who may have a second factor.
#[derive(Serialize, Deserialize)]
pub(super) struct AdminV2 {
    pub(super) name: String,
    pub(super) password_hash: String,
    pub(super) created_at: Timestamp,
    pub(super) generation: u64,
    pub(super) totp_key: Option<Sealed>,
    pub(super) totp_step: i64,
}

/// Who may log in to the console.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The login name.
    pub name: String,
    /// The password as Argon2 keeps it.
    pub password_hash: Secret<String>,
    /// When they were entered.
    pub created_at: Timestamp,
    /// Raised to end all their sessions at once.
    pub generation: u64,
    /// The key of their authenticator app, when they have one.
    pub totp_key: Option<TotpKey>,
    /// The step of the last code they used: a code is good once.
    pub totp_step: i64,
}

impl Admin {
    /// A new one, without a second factor.
    pub fn new(name: String, password_hash: Secret<String>, created_at: Timestamp) -> Self {
        Self {
            name,
            password_hash,
            created_at,
            generation: 0,
            totp_key: None,
            totp_step: 0,
        }
    }
}

fn totp_place(name: &str) -> Place<'_> {
    Place("admin totp", name.as_bytes())
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
/// [`StoreError`]; `Corrupt` when their second factor does not open with `field_key`.
pub fn admin(
    read: &impl Read,
    field_key: &FieldKey,
    name: &str,
) -> Result<Option<Admin>, StoreError> {
    let key = keys::admin(name);
    let admin = match codec::get::<AdminRecord>(read, &key)? {
        None => return Ok(None),
        Some(AdminRecord::V1(kept)) => {
            let password_hash = Secret::new(kept.password_hash);
            Admin::new(kept.name, password_hash, kept.created_at)
        }
        Some(AdminRecord::V2(kept)) => {
            let opened = kept
                .totp_key
                .map(|sealed| sealed.open_bytes(field_key, &totp_place(name)));
            let opened = opened.transpose();
            let bytes = opened.map_err(|_| codec::damaged::<AdminRecord>(read, &key))?;
            Admin {
                generation: kept.generation,
                totp_key: bytes.map(TotpKey::new),
                totp_step: kept.totp_step,
                ..Admin::new(kept.name, Secret::new(kept.password_hash), kept.created_at)
            }
        }
    };
    Ok(Some(admin))
}

/// The generation of the admin of this name: sessions of another are dead.
///
/// # Errors
/// [`StoreError`].
pub(super) fn generation(read: &impl Read, name: &str) -> Result<Option<u64>, StoreError> {
    let record = codec::get::<AdminRecord>(read, &keys::admin(name))?;
    Ok(record.map(|record| match record {
        AdminRecord::V1(_) => 0,
        AdminRecord::V2(admin) => admin.generation,
    }))
}

/// Keeps an admin, new or changed.
///
/// # Errors
/// [`StoreError`].
pub fn put_admin(tx: &mut Tx<'_>, field_key: &FieldKey, admin: &Admin) -> Result<(), StoreError> {
    let totp = admin.totp_key.as_ref();
    let record = AdminRecord::V2(AdminV2 {
        name: admin.name.clone(),
        password_hash: admin.password_hash.reveal().clone(),
        created_at: admin.created_at,
        generation: admin.generation,
        totp_key: totp.map(|key| Sealed::bytes(field_key, &totp_place(&admin.name), key.bytes())),
        totp_step: admin.totp_step,
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
    use crate::store::samples::{at, field_key, write};

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
        let key = TotpKey::new(b"12345678901234567890".to_vec());
        let kept = Admin {
            totp_key: Some(key),
            totp_step: 7,
            ..Admin::new("掌柜".to_owned(), "$argon2id$v=19$".into(), at(0))
        };
        let found = write(&store, move |tx| {
            put_admin(tx, &field_key(), &kept)?;
            assert!(admin(tx, &field_key(), "nobody")?.is_none());
            let other = FieldKey::new([8; 32]);
            assert!(admin(tx, &other, "掌柜").is_err());
            Ok(admin(tx, &field_key(), "掌柜")?.unwrap())
        })
        .await;
        assert!(found.password_hash.matches("$argon2id$v=19$"));
        assert!(!format!("{found:?}").contains("argon2id"));
        assert_eq!(found.totp_key.unwrap().bytes(), b"12345678901234567890");
        assert_eq!(found.totp_step, 7);
    }

    #[tokio::test]
    async fn an_admin_of_the_first_layout_still_logs_in() {
        let store = Store::memory();
        let found = write(&store, |tx| {
            let old = AdminRecord::V1(AdminV1 {
                name: "boss".to_owned(),
                password_hash: "$argon2id$".to_owned(),
                created_at: at(0),
            });
            codec::put(tx, keys::admin("boss"), &old)?;
            assert_eq!(generation(tx, "boss")?, Some(0));
            Ok(admin(tx, &field_key(), "boss")?.unwrap())
        })
        .await;
        assert_eq!((found.generation, found.totp_step), (0, 0));
        assert!(found.totp_key.is_none());
    }
}
