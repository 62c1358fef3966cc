//! The merchant's people and programs: admins by password, backends by API key.

use argon2::Argon2;
use argon2::password_hash::PasswordHasher;

use super::{Shop, ShopError};
use crate::base::{Secret, Timestamp, hash, secret};
use crate::model::Refusal;
use crate::model::goods::check_text;
use crate::store::{Tx, staff};

/// The fewest characters of an admin's password.
pub const PASSWORD_MIN: usize = 10;

/// An API key as it is shown once.
pub struct NewKey {
    /// Its number.
    pub id: u64,
    /// The key, `zk_` and 40 characters; we keep only its hash.
    pub key: Secret<String>,
}

impl Shop {
    /// Creates an admin. The password is kept as an Argon2id hash.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] for a name that is taken or a password too short; store errors.
    pub async fn create_admin(
        &self,
        name: String,
        password: Secret<String>,
        now: Timestamp,
    ) -> Result<(), ShopError> {
        check_name(&name)?;
        if password.reveal().chars().count() < PASSWORD_MIN {
            let rule = "至少 10 个字符";
            return Err(Refusal::FieldInvalid {
                field: "password",
                rule,
            }
            .into());
        }
        let hashed = tokio::task::spawn_blocking(move || hash_password(&password));
        let hashed = hashed.await.expect("hashing does not panic");
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            if staff::admin(tx, &name)?.is_some() {
                let refusal = Refusal::FieldInvalid {
                    field: "name",
                    rule: "这个名字已有人使用",
                };
                return Err(ShopError::from(refusal));
            }
            let admin = staff::Admin {
                name: name.clone(),
                password_hash: hashed.clone(),
                created_at: now,
            };
            Ok(staff::put_admin(tx, &admin)?)
        });
        write.await
    }

    /// Creates an API key for the merchant's own backend.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] for a bad name; store errors.
    pub async fn create_key(&self, name: String, now: Timestamp) -> Result<NewKey, ShopError> {
        check_name(&name)?;
        let key = Secret::new(format!("zk_{}", secret::random_text(40)));
        let hashed = hash::sha256(key.reveal().as_bytes());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let added = staff::insert_api_key(tx, &name, &hashed, now)?;
            Ok::<_, ShopError>(added.id)
        });
        Ok(NewKey {
            id: write.await?,
            key,
        })
    }

    /// The number of a live API key.
    ///
    /// # Errors
    /// [`ShopError::Unauthenticated`]; store errors.
    pub async fn prove_key(&self, key: &str) -> Result<u64, ShopError> {
        if !key.starts_with("zk_") || key.len() > 64 {
            return Err(ShopError::Unauthenticated);
        }
        let hashed = hash::sha256(key.as_bytes());
        let read = self
            .store
            .read(move |view| staff::api_key(view, &hashed).map_err(ShopError::from));
        read.await?
            .map(|key| key.id)
            .ok_or(ShopError::Unauthenticated)
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let rule = "1 到 64 个字符";
    check_text("name", name, 64, rule)?;
    let blank = name.trim().is_empty();
    if blank {
        Err(Refusal::FieldInvalid {
            field: "name",
            rule,
        })
    } else {
        Ok(())
    }
}

fn hash_password(password: &Secret<String>) -> Secret<String> {
    let salt: [u8; 16] = secret::random();
    let hashed = Argon2::default().hash_password_with_salt(password.reveal().as_bytes(), &salt);
    Secret::new(
        hashed
            .expect("default parameters and a 16-byte salt")
            .to_string(),
    )
}
