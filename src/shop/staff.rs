//! The merchant's people and programs: admins by password, backends by API key.

use super::console::PASSWORD_MAX_BYTES;
use super::{Shop, ShopError};
use crate::base::totp::TotpKey;
use crate::base::{Secret, Timestamp, hash, secret};
use crate::model::Refusal;
use crate::model::goods::check_text;
use crate::store::Tx;
use crate::store::staff::{self, Admin};

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
        check_password(&name, &password)?;
        let hashed = self.passwords.hash(password).await?;
        let key = self.field_key();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            if staff::admin(tx, &key, &name)?.is_some() {
                let refusal = Refusal::FieldInvalid {
                    field: "name",
                    rule: "这个名字已有人使用",
                };
                return Err(ShopError::from(refusal));
            }
            let admin = Admin::new(name.clone(), hashed.clone(), now);
            Ok(staff::put_admin(tx, &key, &admin)?)
        });
        write.await
    }

    /// Gives an admin a new password. It ends their sessions, and their name waits no longer.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] for a name that nobody has or a password too short; store errors.
    pub async fn change_password(
        &self,
        name: &str,
        password: Secret<String>,
    ) -> Result<(), ShopError> {
        check_password(name, &password)?;
        let password_hash = self.passwords.hash(password).await?;
        let change = move |admin: Admin| Admin {
            password_hash: password_hash.clone(),
            ..admin
        };
        self.change_admin(name, change).await?;
        self.lockout.forgive(name);
        Ok(())
    }

    /// Gives an admin a new second factor: what their app reads, shown once. It ends their
    /// sessions.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] for a name that nobody has; store errors.
    pub async fn enrol_totp(&self, name: &str) -> Result<Secret<String>, ShopError> {
        let key = TotpKey::random();
        let uri = key.uri("zhanggui", name);
        let change = move |admin: Admin| Admin {
            totp_key: Some(key.clone()),
            totp_step: 0,
            ..admin
        };
        self.change_admin(name, change).await?;
        Ok(uri)
    }

    /// Takes an admin's second factor away. It ends their sessions.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] for a name that nobody has; store errors.
    pub async fn drop_totp(&self, name: &str) -> Result<(), ShopError> {
        let change = |admin: Admin| Admin {
            totp_key: None,
            ..admin
        };
        self.change_admin(name, change).await
    }

    /// Changes how an admin proves themselves; whoever is logged in must do so again.
    async fn change_admin(
        &self,
        name: &str,
        change: impl Fn(Admin) -> Admin + Send + 'static,
    ) -> Result<(), ShopError> {
        let (key, name) = (self.field_key(), name.to_owned());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let nobody = Refusal::FieldInvalid {
                field: "name",
                rule: "没有这个管理员",
            };
            let admin = staff::admin(tx, &key, &name)?.ok_or(nobody)?;
            let generation = admin.generation + 1;
            let changed = Admin {
                generation,
                ..change(admin)
            };
            Ok::<_, ShopError>(staff::put_admin(tx, &key, &changed)?)
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

fn check_password(name: &str, password: &Secret<String>) -> Result<(), Refusal> {
    let field = "password";
    let (chars, bytes) = (password.reveal().chars().count(), password.reveal().len());
    if chars < PASSWORD_MIN {
        let rule = "至少 10 个字符";
        return Err(Refusal::FieldInvalid { field, rule });
    }
    if bytes > PASSWORD_MAX_BYTES {
        let rule = "最多 1024 字节";
        return Err(Refusal::FieldInvalid { field, rule });
    }
    if is_guessable(name, password.reveal()) {
        let rule = "不能是常见密码、用户名的重复或顺着键盘的一串";
        return Err(Refusal::FieldInvalid { field, rule });
    }
    Ok(())
}

/// Whether a password is among the first that anyone tries: few different characters, the name, a
/// common word with digits behind it, or neighbours in the alphabet or on the keyboard.
fn is_guessable(name: &str, password: &str) -> bool {
    let (name, password) = (name.to_lowercase(), password.to_lowercase());
    let mut distinct: Vec<char> = password.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let core = password.trim_matches(|c: char| !c.is_alphabetic());
    let rest = password.replace(&name, "");
    let is_row = |row: &&str| row.contains(&password) || row.contains(core) && core.len() > 3;
    distinct.len() < 5
        || COMMON.contains(&core)
        || rest.chars().count() < 4
        || ROWS.iter().any(is_row)
}

const COMMON: &[&str] = &[
    "password",
    "passw0rd",
    "admin",
    "administrator",
    "root",
    "zhanggui",
    "letmein",
    "welcome",
    "iloveyou",
    "woaini",
    "changeme",
    "secret",
    "test",
    "wechat",
    "weixin",
    "abc",
    "a",
    "qwe",
];
const ROWS: &[&str] = &[
    "01234567890123456789",
    "98765432109876543210",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "1q2w3e4r5t6y7u8i9o0p",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anyone_tries_first_is_no_password() {
        for password in [
            "1234567890",
            "0987654321",
            "aaaaaaaaaaaa",
            "password123!",
            "PASSWORD2026",
            "qwertyuiop",
            "1qaz2wsx3edc",
            "admin12345",
            "zhangsanzhangsan",
            "ZhangSan123",
            "short",
        ] {
            let judged = check_password("zhangsan", &Secret::from(password));
            assert!(judged.is_err(), "{password}");
        }
        for password in [
            "correct horse battery",
            "龙井茶两斤半给老张送去",
            "xK4-92m;Qe0r",
        ] {
            let judged = check_password("zhangsan", &Secret::from(password));
            assert_eq!(judged, Ok(()), "{password}");
        }
    }
}
