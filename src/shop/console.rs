//! The console's sessions: an admin logs in by password (and code), and is known by a token.
//!
//! A token is 32 random bytes, made anew at every login and kept as its SHA-256 only. It lives
//! `[admin] session_ttl_s` from the login, used or not: nothing is written while it is used. What
//! a page must show beside the cookie on every write, the CSRF token, is derived from the token,
//! so it is bound to the session and kept nowhere.

use std::net::IpAddr;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;

use super::lockout::{Attempt, LockRule};
use super::{Shop, ShopError};
use crate::base::{Secret, Timestamp, hash, secret};
use crate::model::Refusal;
use crate::store::console::{self, ConsoleSession, SweepFrom};
use crate::store::staff::{self, Admin};
use crate::store::{StoreError, Tx};

/// The longest password that is looked at, bytes.
pub const PASSWORD_MAX_BYTES: usize = 1024;
/// The length of a token: 32 bytes in base64url.
const TOKEN_LENGTH: usize = 43;
/// What the CSRF token is the keyed digest of.
const CSRF_LABEL: &[u8] = b"zhanggui console csrf";

/// How the console is guarded.
#[derive(Clone, Copy, Debug)]
pub struct ConsoleRule {
    /// How long a session lives.
    pub ttl: Duration,
    /// When failed logins lock.
    pub lock: LockRule,
    /// Whether browsers reach the console by TLS only, whatever one request looks like.
    pub is_behind_tls: bool,
}

/// The token of a session, as the cookie brings it.
#[derive(Clone, Debug)]
pub struct ConsoleToken(Secret<String>);

impl ConsoleToken {
    /// Reads a token; `None` when the text has not its form.
    pub fn read(text: &str) -> Option<Self> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let formed = text.len() == TOKEN_LENGTH && text.bytes().all(legal);
        formed.then(|| Self(Secret::from(text)))
    }

    fn random() -> Self {
        Self(Secret::new(BASE64URL_NOPAD.encode(&secret::random::<32>())))
    }

    /// The text of the cookie.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    fn digest(&self) -> [u8; 32] {
        hash::sha256(self.reveal().as_bytes())
    }

    /// The CSRF token of this session.
    pub fn csrf(&self) -> Secret<String> {
        let digest = hash::hmac_sha256(self.reveal().as_bytes(), CSRF_LABEL);
        Secret::new(BASE64URL_NOPAD.encode(&digest))
    }

    /// Proves that a write comes from a page of the session, by the CSRF token it shows.
    ///
    /// # Errors
    /// [`ShopError::CsrfInvalid`].
    pub fn prove_write(&self, shown: Option<&str>) -> Result<(), ShopError> {
        let is_it = shown.is_some_and(|shown| self.csrf().matches(shown));
        is_it.then_some(()).ok_or(ShopError::CsrfInvalid)
    }
}

/// A login as it came.
pub struct ConsoleLogin {
    /// Who it says it is.
    pub username: String,
    /// Their password.
    pub password: Secret<String>,
    /// The code of their authenticator app.
    pub totp: Option<String>,
    /// Where it came from.
    pub from: IpAddr,
    /// A session that it brought: it ends with this login.
    pub brought: Option<ConsoleToken>,
    /// When it came.
    pub at: Timestamp,
}

/// A fresh session.
pub struct ConsoleLoggedIn {
    /// Its token.
    pub token: ConsoleToken,
    /// Whose it is, until when.
    pub session: ConsoleSession,
}

/// Why a right password was not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    /// There was no code.
    Required,
    /// The code was wrong, or used before.
    Wrong,
}

impl Shop {
    /// Logs an admin in. A name that does not exist costs the same work and gets the same answer
    /// as a wrong password.
    ///
    /// # Errors
    /// [`ShopError::LoginFailed`], [`ShopError::SecondFactor`] only after the right password,
    /// [`ShopError::RateLimited`] while locked out or when too many log in, store errors.
    pub async fn log_in_admin(&self, login: ConsoleLogin) -> Result<ConsoleLoggedIn, ShopError> {
        self.allow_login(login.from)?;
        check_length(&login)?;
        let attempt = Attempt::new(&login.username, login.from, login.at);
        self.lockout.begin(attempt)?;
        let done = self.judge_login(login).await;
        match &done {
            Ok(new) => {
                tracing::info!(admin = new.session.admin, "管理员登录了控制台");
                self.lockout.succeeded(attempt);
            }
            Err(ShopError::LoginFailed | ShopError::SecondFactor(_)) => {}
            Err(_) => self.lockout.withdraw(attempt),
        }
        done
    }

    async fn judge_login(&self, login: ConsoleLogin) -> Result<ConsoleLoggedIn, ShopError> {
        let ConsoleLogin { username, from, .. } = login;
        let (key, name) = (self.field_key(), username.clone());
        let read = self
            .store
            .read(move |view| -> Result<_, StoreError> { staff::admin(view, &key, &name) });
        let known = read.await?;
        let kept = known.as_ref().map(|admin| admin.password_hash.clone());
        let fits = self.passwords.judge(login.password, kept).await?;
        let Some(admin) = known.filter(|_| fits) else {
            // Not the name: people type passwords there.
            tracing::warn!(%from, "控制台登录失败：用户名或密码不对");
            return Err(ShopError::LoginFailed);
        };
        let step = prove_code(&admin, login.totp.as_deref(), login.at).inspect_err(|_| {
            tracing::warn!(%from, admin = admin.name, "控制台登录失败：密码对，动态码不对或没有");
        })?;
        let token = ConsoleToken::random();
        let session = ConsoleSession {
            admin: admin.name.clone(),
            generation: admin.generation,
            created_at: login.at,
            expires_at: login.at.plus(self.settings.console.ttl),
        };
        let entry = Entry {
            digest: token.digest(),
            ended: login.brought.map(|token| token.digest()),
            session: session.clone(),
            step,
        };
        self.enter(admin, entry).await?;
        Ok(ConsoleLoggedIn { token, session })
    }

    /// Keeps a session, unless the admin changed since the password was judged.
    async fn enter(&self, judged: Admin, entry: Entry) -> Result<(), ShopError> {
        let key = self.field_key();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let admin = staff::admin(tx, &key, &judged.name)?;
            let same = |admin: &Admin| admin.generation == judged.generation;
            let admin = admin.filter(same).ok_or(ShopError::LoginFailed)?;
            if let Some(step) = entry.step {
                if step <= admin.totp_step {
                    return Err(ShopError::SecondFactor(SecondFactor::Wrong));
                }
                let used = Admin {
                    totp_step: step,
                    ..admin
                };
                staff::put_admin(tx, &key, &used)?;
            }
            if let Some(ended) = &entry.ended {
                console::end(tx, ended)?;
            }
            Ok(console::put(tx, &entry.digest, &entry.session)?)
        });
        write.await
    }

    /// The live session of a token.
    ///
    /// # Errors
    /// [`ShopError::Unauthenticated`]; store errors.
    pub async fn console(
        &self,
        token: &ConsoleToken,
        now: Timestamp,
    ) -> Result<ConsoleSession, ShopError> {
        let digest = token.digest();
        let read = self
            .store
            .read(move |view| -> Result<_, StoreError> { console::live(view, &digest, now) });
        read.await?.ok_or(ShopError::Unauthenticated)
    }

    /// Ends a session: it is dead, and on disk, before this returns.
    ///
    /// # Errors
    /// Store errors.
    pub async fn log_out_admin(&self, token: &ConsoleToken) -> Result<(), ShopError> {
        let digest = token.digest();
        let write = self
            .store
            .write(move |tx: &mut Tx<'_>| Ok::<_, ShopError>(console::end(tx, &digest)?));
        write.await
    }

    /// Removes dead sessions among the next few; where to go on, or the default when all were
    /// seen.
    ///
    /// # Errors
    /// Store errors.
    pub(super) async fn sweep_console(
        &self,
        from: SweepFrom,
        now: Timestamp,
    ) -> Result<SweepFrom, ShopError> {
        let read = self
            .store
            .read(move |view| -> Result<_, StoreError> { console::dead(view, &from, now) });
        let (dead, next) = read.await?;
        if !dead.is_empty() {
            let write = self
                .store
                .write(move |tx: &mut Tx<'_>| -> Result<(), StoreError> {
                    dead.iter().try_for_each(|digest| console::end(tx, digest))
                });
            write.await?;
        }
        Ok(next)
    }
}

/// What a login writes.
struct Entry {
    digest: [u8; 32],
    ended: Option<[u8; 32]>,
    session: ConsoleSession,
    step: Option<i64>,
}

/// The step of a good code; `None` for an admin without an app.
fn prove_code(admin: &Admin, code: Option<&str>, now: Timestamp) -> Result<Option<i64>, ShopError> {
    let Some(key) = &admin.totp_key else {
        return Ok(None);
    };
    let code = code.ok_or(ShopError::SecondFactor(SecondFactor::Required))?;
    let step = key.step_of(code, now, admin.totp_step);
    let wrong = ShopError::SecondFactor(SecondFactor::Wrong);
    step.map(Some).ok_or(wrong)
}

fn check_length(login: &ConsoleLogin) -> Result<(), Refusal> {
    let username = (1..=64).contains(&login.username.chars().count());
    let password = (1..=PASSWORD_MAX_BYTES).contains(&login.password.reveal().len());
    match (username, password) {
        (true, true) => Ok(()),
        (false, _) => Err(Refusal::FieldInvalid {
            field: "username",
            rule: "1 到 64 个字符",
        }),
        (true, false) => Err(Refusal::FieldInvalid {
            field: "password",
            rule: "1 到 1024 字节",
        }),
    }
}

#[cfg(test)]
#[path = "console_tests.rs"]
mod tests;
