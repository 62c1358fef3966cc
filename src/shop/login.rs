//! Logging in: a `wx.login` code becomes a user and a token of ours.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Shop, ShopError};
use crate::base::{Secret, Timestamp, Uid, hash, secret};
use crate::model::{Refusal, User};
use crate::store::tokens::{NewSession, Scope, Session, TokenHash};
use crate::store::users::{self, Seen};
use crate::wechat;

/// A `wx.login` code as the client sent it: 1 to 128 visible ASCII characters.
pub struct Code(String);

impl Code {
    /// Reads a code.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] for a text that WeChat never hands out.
    pub fn read(text: &str) -> Result<Self, ShopError> {
        let legal = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        let rule = "1 到 128 个可见 ASCII 字符（wx.login 返回的 code）";
        let refusal = Refusal::FieldInvalid {
            field: "code",
            rule,
        };
        if legal {
            Ok(Self(text.to_owned()))
        } else {
            Err(refusal.into())
        }
    }
}

/// When a login arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// In whole seconds.
    pub at: Timestamp,
    /// In milliseconds since 1970: a token is made of it too.
    pub at_ms: i64,
}

/// A fresh login.
pub struct LoggedIn {
    /// The token, 32 lower-case hexadecimal digits. We keep only its hash.
    pub token: Secret<String>,
    /// How long it lives.
    pub expires_in: Duration,
    /// Whose it is.
    pub uid: Uid,
    /// Whether this user was never seen before.
    pub new_user: bool,
}

/// The hash under which a token is kept, or `None` when the text is not a token's form.
pub fn token_hash(token: &str) -> Option<TokenHash> {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if token.len() != 32 || !token.bytes().all(hex) {
        return None;
    }
    Some(TokenHash::of(token))
}

impl Code {
    /// The code as the client sent it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Shop {
    /// Counts a login attempt from `from`.
    ///
    /// # Errors
    /// [`ShopError::RateLimited`].
    pub fn allow_login(&self, from: IpAddr) -> Result<(), ShopError> {
        self.limits.login(from, self.clock.now_ms())
    }

    /// Logs a user in with their code; a new user is on disk before the token is handed out.
    ///
    /// # Errors
    /// [`ShopError::Wechat`] by WeChat's errcode; [`Refusal::UserBlocked`]; store errors.
    pub async fn log_in(&self, code: &Code, arrival: Arrival) -> Result<LoggedIn, ShopError> {
        let login = self.wechat.login(&code.0).await?;
        let (user, new_user) = self.user_of(&login, arrival.at).await?;
        if user.blocked {
            return Err(Refusal::UserBlocked.into());
        }
        let token = self.new_token(arrival.at_ms);
        let key = token_hash(token.reveal()).expect("an MD5 in lower-case hexadecimal");
        let (uid, expires_in) = (user.uid, self.settings.token_ttl);
        let session = NewSession {
            user,
            session_key: login.session_key,
            scope: Scope::User,
            issued_at: arrival.at,
            expires_at: arrival.at.plus(expires_in),
        };
        self.tokens.issue(key, session).await?;
        Ok(LoggedIn {
            token,
            expires_in,
            uid,
            new_user,
        })
    }

    async fn user_of(
        &self,
        login: &wechat::Session,
        now: Timestamp,
    ) -> Result<(User, bool), ShopError> {
        let seen = users::Login {
            appid: self.settings.appid.clone(),
            openid: login.openid.clone(),
            unionid: login.unionid.clone(),
        };
        let (key, asked) = (self.field_key(), seen.clone());
        let known = self.store.read(move |view| {
            users::by_openid(view, &key, &asked.appid, &asked.openid).map_err(ShopError::from)
        });
        if let Some(user) = known.await?.filter(|user| !users::is_news(user, &seen)) {
            return Ok((user, false));
        }
        let key = self.field_key();
        let write = self.store.write(move |tx| {
            let (user, first) = users::upsert(tx, &key, &seen, now)?;
            Ok::<_, ShopError>((user, first == Seen::Created))
        });
        write.await
    }

    /// MD5 of 32 random characters, the time with its milliseconds, and the configured salt.
    fn new_token(&self, at_ms: i64) -> Secret<String> {
        let random = secret::random_text(32);
        let (seconds, ms) = (at_ms.div_euclid(1000), at_ms.rem_euclid(1000));
        let salt = self.settings.token_salt.reveal();
        let text = Secret::new(format!("{random}{seconds}.{ms:03}{salt}"));
        Secret::new(hash::md5_hex(text.reveal().as_bytes()))
    }

    /// The live session of a token, counted against its rate.
    ///
    /// # Errors
    /// [`ShopError::TokenInvalid`], [`ShopError::RateLimited`], store errors.
    pub async fn session(
        &self,
        token: TokenHash,
        now: Timestamp,
    ) -> Result<Arc<Session>, ShopError> {
        let session = self
            .tokens
            .lookup(token, now)
            .await?
            .ok_or(ShopError::TokenInvalid)?;
        self.limits.request(token, self.clock.now_ms())?;
        Ok(session)
    }

    /// Ends a token. It is dead everywhere, and on disk, before this returns.
    ///
    /// # Errors
    /// Store errors.
    pub async fn log_out(&self, token: TokenHash, session: &Session) -> Result<(), ShopError> {
        Ok(self.tokens.revoke(token, session).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_thirty_two_lower_case_hexadecimal_digits_are_a_token() {
        assert!(token_hash("0123456789abcdef0123456789abcdef").is_some());
        for text in [
            "",
            "0123456789ABCDEF0123456789abcdef",
            "0123456789abcdef0123456789abcde",
        ] {
            assert_eq!(token_hash(text), None, "{text:?}");
        }
        assert_eq!(token_hash(&"é".repeat(16)), None);
    }

    #[test]
    fn a_code_is_visible_ascii() {
        assert!(Code::read("0a1B-_").is_ok());
        for text in ["", " ", "a b", "码", &"a".repeat(129)] {
            assert!(Code::read(text).is_err(), "{text:?}");
        }
    }
}
