//! Access tokens: the stable one, the legacy ones, how long each lives, how often one may ask.
//!
//! Source: 小程序 · 获取稳定版接口调用凭据; 获取接口调用凭据.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Deserialize;

use super::errcodes::{
    DAY_QUOTA, EXPIRED_TOKEN, INVALID_APPID, INVALID_CREDENTIAL, INVALID_GRANT_TYPE,
    INVALID_SECRET, INVALID_TOKEN, MINUTE_QUOTA, MISSING_APPID, MISSING_SECRET, MISSING_TOKEN,
};
use crate::base::Timestamp;
use crate::base::secret::random_text;
use crate::sandbox::credentials::Credentials;
use crate::sandbox::login::Errcode;

const LIFE: Duration = Duration::from_secs(7200);
/// The platform renews a stable token so long before it ends; a replaced legacy one lives as long.
const OVERLAP: Duration = Duration::from_secs(300);
/// Between two forced refreshes.
const FORCE_GAP: Duration = Duration::from_secs(30);
const FORCED_A_DAY: u32 = 20;
/// How the platform's tokens begin; what does not is malformed (40014), not outdated (40001).
const PREFIX: &str = "86_";
/// Tokens that ended are remembered for their errcode, so many of them.
const KEPT: usize = 1000;

/// The body of `stable_token`, or the query of `token`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct TokenAsked {
    pub(super) grant_type: Option<String>,
    pub(super) appid: Option<String>,
    pub(super) secret: Option<String>,
    #[serde(default)]
    pub(super) force_refresh: bool,
}

impl TokenAsked {
    /// Checks who asks. `wrong_secret` differs between the two interfaces.
    fn check(&self, whose: &Credentials, wrong_secret: Errcode) -> Result<(), Errcode> {
        let present = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if self.grant_type.as_deref() != Some("client_credential") {
            return Err(INVALID_GRANT_TYPE);
        }
        let appid = present(&self.appid).ok_or(MISSING_APPID)?;
        let secret = present(&self.secret).ok_or(MISSING_SECRET)?;
        if appid != whose.appid.as_str() {
            return Err(INVALID_APPID);
        }
        if !whose.secret.matches(&secret) {
            return Err(wrong_secret);
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Token {
    text: String,
    ends_at: Timestamp,
    /// A newer one took its place at once.
    replaced: bool,
}

/// A token and the seconds it has left.
pub(super) struct Granted {
    pub(super) access_token: String,
    pub(super) expires_in: u64,
}

/// All tokens of the mini program.
#[derive(Default)]
pub(super) struct AccessTokens {
    all: VecDeque<Token>,
    stable: Option<String>,
    legacy: Option<String>,
    forced_at: Option<Timestamp>,
    stable_calls: Calls,
    forced_calls: Calls,
    legacy_calls: Calls,
}

impl AccessTokens {
    /// `stable_token`: the same token while it has more than five minutes; forced, a new one.
    pub(super) fn stable(
        &mut self,
        whose: &Credentials,
        asked: &TokenAsked,
        now: Timestamp,
    ) -> Result<Granted, Errcode> {
        asked.check(whose, INVALID_SECRET)?;
        self.stable_calls.count(now, (10_000, 500_000))?;
        if asked.force_refresh {
            return self.forced(now);
        }
        let current = self.stable.as_deref().and_then(|text| self.find(text));
        match current {
            Some(token) if token.ends_at > now.plus(OVERLAP) => Ok(granted(token, now)),
            Some(_) | None => Ok(self.new_stable(now)),
        }
    }

    fn forced(&mut self, now: Timestamp) -> Result<Granted, Errcode> {
        if self.forced_at.is_some_and(|at| now < at.plus(FORCE_GAP)) {
            return Err(MINUTE_QUOTA);
        }
        self.forced_calls.count(now, (FORCED_A_DAY, FORCED_A_DAY))?;
        self.forced_at = Some(now);
        if let Some(old) = self.stable.take() {
            self.change(&old, |token| token.replaced = true);
        }
        Ok(self.new_stable(now))
    }

    fn new_stable(&mut self, now: Timestamp) -> Granted {
        let token = self.make(now);
        self.stable = Some(token.text.clone());
        granted(&token, now)
    }

    /// `token`: a new one each time; the one before lives five minutes more.
    pub(super) fn legacy(
        &mut self,
        whose: &Credentials,
        asked: &TokenAsked,
        now: Timestamp,
    ) -> Result<Granted, Errcode> {
        asked.check(whose, INVALID_CREDENTIAL)?;
        self.legacy_calls.count(now, (2000, 2000))?;
        if let Some(old) = self.legacy.take() {
            let soon = now.plus(OVERLAP);
            self.change(&old, |token| token.ends_at = token.ends_at.min(soon));
        }
        let token = self.make(now);
        self.legacy = Some(token.text.clone());
        Ok(granted(&token, now))
    }

    /// Whether a call with this `access_token` may go on.
    pub(super) fn check(&self, access_token: Option<&str>, now: Timestamp) -> Result<(), Errcode> {
        let text = access_token.filter(|text| !text.is_empty());
        let text = text.ok_or(MISSING_TOKEN)?;
        if !text.starts_with(PREFIX) {
            return Err(INVALID_TOKEN);
        }
        match self.find(text) {
            None => Err(INVALID_CREDENTIAL),
            Some(token) if token.replaced => Err(INVALID_CREDENTIAL),
            Some(token) if token.ends_at <= now => Err(EXPIRED_TOKEN),
            Some(_) => Ok(()),
        }
    }

    fn make(&mut self, now: Timestamp) -> Token {
        let token = Token {
            text: format!("{PREFIX}{}", random_text(160)),
            ends_at: now.plus(LIFE),
            replaced: false,
        };
        self.all.push_front(token.clone());
        self.all.truncate(KEPT);
        token
    }

    fn find(&self, text: &str) -> Option<&Token> {
        self.all.iter().find(|token| token.text == text)
    }

    fn change(&mut self, text: &str, how: impl FnMut(&mut Token)) {
        let token = self.all.iter_mut().find(|token| token.text == text);
        token.into_iter().for_each(how);
    }
}

fn granted(token: &Token, now: Timestamp) -> Granted {
    Granted {
        access_token: token.text.clone(),
        expires_in: token.ends_at.since(now).as_secs(),
    }
}

/// How often an interface was called this minute and this Beijing day.
#[derive(Default)]
struct Calls {
    minute: (i64, u32),
    day: (i64, u32),
}

impl Calls {
    fn count(&mut self, now: Timestamp, (a_minute, a_day): (u32, u32)) -> Result<(), Errcode> {
        let beijing = now.unix() + 8 * 3600;
        if !counted(&mut self.day, beijing / 86_400, a_day) {
            return Err(DAY_QUOTA);
        }
        if !counted(&mut self.minute, beijing / 60, a_minute) {
            return Err(MINUTE_QUOTA);
        }
        Ok(())
    }
}

/// Counts one more in `period`; false when that is past `most`.
fn counted((current, count): &mut (i64, u32), period: i64, most: u32) -> bool {
    if *current != period {
        (*current, *count) = (period, 0);
    }
    *count = count.saturating_add(1);
    *count <= most
}
