//! `jscode2session` as WeChat judges it: wx.login codes, good once, for five minutes.

use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};

use super::credentials::Credentials;
use super::shelf::Shelf;
use crate::base::secret::{random, random_text};
use crate::base::{AppId, OpenId, Timestamp, hash};

/// Source: 小程序 · wx.login.
const CODE_LIFE: Duration = Duration::from_secs(5 * 60);
/// How many codes are remembered, used ones included.
const CODES_KEPT: usize = 50_000;
/// How many openids of a test's own choice are remembered.
const NAMED_KEPT: usize = 100_000;

/// A failed call of a mini-program interface; it is sent as HTTP 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Errcode {
    pub(super) errcode: i64,
    pub(super) errmsg: &'static str,
}

pub(super) const fn err(errcode: i64, errmsg: &'static str) -> Errcode {
    Errcode { errcode, errmsg }
}

pub(super) const BUSY: Errcode = err(-1, "system error");
const INVALID_GRANT_TYPE: Errcode = err(40002, "invalid grant_type");
const INVALID_APPID: Errcode = err(40013, "invalid appid");
const INVALID_CODE: Errcode = err(40029, "invalid code");
const INVALID_SECRET: Errcode = err(40125, "invalid appsecret");
const CODE_USED: Errcode = err(40163, "code been used");
const BLOCKED: Errcode = err(40226, "code blocked");
const MISSING_APPID: Errcode = err(41002, "appid missing");
const MISSING_SECRET: Errcode = err(41004, "appsecret missing");
const MISSING_CODE: Errcode = err(41008, "missing code");
const TOO_OFTEN: Errcode = err(
    45011,
    "api minute-quota reach limit, must slower, retry next minute",
);

/// The errcodes with which a code can be made to fail on purpose.
pub(super) fn planned(errcode: i64) -> Option<Errcode> {
    [BUSY, BLOCKED, TOO_OFTEN]
        .into_iter()
        .find(|known| known.errcode == errcode)
}

/// The query of one call, each field as it came.
#[derive(Clone, Debug, Default)]
pub(super) struct LoginQuery {
    pub(super) appid: Option<String>,
    pub(super) secret: Option<String>,
    pub(super) js_code: Option<String>,
    pub(super) grant_type: Option<String>,
}

impl LoginQuery {
    /// Checks all but the code, which is returned.
    ///
    /// Source: 小程序 · 小程序登录 (code2Session), 错误码.
    pub(super) fn check(&self, credentials: &Credentials) -> Result<&str, Errcode> {
        let appid = present(self.appid.as_deref()).ok_or(MISSING_APPID)?;
        let secret = present(self.secret.as_deref()).ok_or(MISSING_SECRET)?;
        let code = present(self.js_code.as_deref()).ok_or(MISSING_CODE)?;
        if self.grant_type.as_deref() != Some("authorization_code") {
            return Err(INVALID_GRANT_TYPE);
        }
        if appid != credentials.appid.as_str() {
            return Err(INVALID_APPID);
        }
        if !credentials.secret.matches(secret) {
            return Err(INVALID_SECRET);
        }
        Ok(code)
    }
}

fn present(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

struct LoginCode {
    openid: OpenId,
    made_at: Timestamp,
    used: Used,
    fails_with: Option<Errcode>,
}

#[derive(PartialEq, Eq)]
enum Used {
    Not,
    Once,
}

/// Whether an openid belongs to this mini program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Yes,
    No,
}

/// What a good code is worth.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) openid: OpenId,
    /// 16 random bytes in base64, fresh at each login.
    pub(super) session_key: String,
}

/// The codes given out, and the buyers they were given to.
pub(super) struct Logins {
    codes: Shelf<LoginCode>,
    /// Openids that a test chose itself.
    named: Shelf<()>,
    /// How the openids of this mini program begin, so that they are known after a restart too.
    tag: String,
}

impl Logins {
    pub(super) fn new(appid: &AppId) -> Self {
        let tag = hash::sha256(appid.as_str().as_bytes());
        Self {
            codes: Shelf::new(CODES_KEPT),
            named: Shelf::new(NAMED_KEPT),
            tag: format!("o{}", &HEXLOWER.encode(&tag)[..6]),
        }
    }

    /// A new buyer of this mini program.
    pub(super) fn new_openid(&self) -> OpenId {
        let text = format!("{}{}", self.tag, random_text(21));
        text.parse().expect("28 letters and digits")
    }

    /// A fresh wx.login code for `openid`.
    pub(super) fn new_code(
        &mut self,
        openid: OpenId,
        fails_with: Option<Errcode>,
        now: Timestamp,
    ) -> String {
        let code = random_text(32);
        if !openid.as_str().starts_with(&self.tag) {
            self.named.put(openid.to_string(), ());
        }
        let login = LoginCode {
            openid,
            made_at: now,
            used: Used::Not,
            fails_with,
        };
        self.codes.put(code.clone(), login);
        code
    }

    /// Whether a buyer of this mini program has this openid.
    pub(super) fn knows(&self, openid: &OpenId) -> Known {
        let ours = openid.as_str().starts_with(&self.tag);
        if ours || self.named.get(openid.as_str()).is_some() {
            Known::Yes
        } else {
            Known::No
        }
    }

    /// Exchanges a code, which is spent by it.
    pub(super) fn redeem(&mut self, code: &str, now: Timestamp) -> Result<Session, Errcode> {
        let login = self.codes.get_mut(code).ok_or(INVALID_CODE)?;
        if now.since(login.made_at) >= CODE_LIFE {
            return Err(INVALID_CODE);
        }
        if login.used == Used::Once {
            return Err(CODE_USED);
        }
        if let Some(errcode) = login.fails_with {
            return Err(errcode);
        }
        login.used = Used::Once;
        Ok(Session {
            openid: login.openid.clone(),
            session_key: BASE64.encode(&random::<16>()),
        })
    }
}
