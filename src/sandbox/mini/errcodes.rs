//! The errcodes of the mini program's interfaces, and those that are planned for a call.

use std::collections::HashMap;

use crate::sandbox::login::{BUSY, Errcode, err};

/// Source: 小程序 · 全局返回码; 接口调用凭据 · 错误码.
pub(super) const INVALID_CREDENTIAL: Errcode = err(
    40001,
    "invalid credential, access_token is invalid or not latest",
);
pub(super) const INVALID_GRANT_TYPE: Errcode = err(40002, "invalid grant_type");
pub(super) const INVALID_APPID: Errcode = err(40013, "invalid appid");
pub(super) const INVALID_TOKEN: Errcode = err(40014, "invalid access_token");
pub(super) const INVALID_CODE: Errcode = err(40029, "invalid code");
pub(super) const INVALID_SECRET: Errcode = err(40125, "invalid appsecret");
pub(super) const MISSING_TOKEN: Errcode = err(41001, "access_token missing");
pub(super) const MISSING_APPID: Errcode = err(41002, "appid missing");
pub(super) const MISSING_SECRET: Errcode = err(41004, "appsecret missing");
pub(super) const EXPIRED_TOKEN: Errcode = err(42001, "access_token expired");
pub(super) const EMPTY_BODY: Errcode = err(44002, "empty post data");
pub(super) const DAY_QUOTA: Errcode = err(45009, "reach max api daily quota limit");
pub(super) const MINUTE_QUOTA: Errcode = err(
    45011,
    "api minute-quota reach limit, must slower, retry next minute",
);
pub(super) const NOT_JSON: Errcode = err(47001, "data format error");

/// What can be planned beside the above: errors that depend on what no simulator has.
const ONLY_PLANNED: &[Errcode] = &[
    BUSY,
    err(40164, "invalid ip, not in whitelist"),
    err(40243, "appsecret is frozen"),
    err(43107, "the ability or the template is banned"),
    err(43108, "concurrent send to one user"),
    err(44990, "too many requests"),
    err(44991, "too many requests of this appid"),
    err(45168, "message contains sensitive words"),
    err(48001, "api unauthorized"),
    err(50007, "account is frozen"),
    err(61010, "user has not visited recently"),
    err(89503, "this ip needs the administrator's confirmation"),
    err(89506, "this ip was rejected twice, try again in 24 hours"),
    err(89507, "this ip was rejected, try again in an hour"),
    err(10_060_012, "system error, try again"),
    err(10_060_019, "system error, try again"),
];

/// The error with this number that a call can be made to answer.
pub(super) fn plannable(errcode: i64) -> Option<Errcode> {
    let common = [
        INVALID_CREDENTIAL,
        INVALID_TOKEN,
        EXPIRED_TOKEN,
        INVALID_SECRET,
        DAY_QUOTA,
        MINUTE_QUOTA,
    ];
    let mut all = common.iter().chain(ONLY_PLANNED);
    all.find(|known| known.errcode == errcode).copied()
}

/// Errcodes to come: for each path the error and how often.
#[derive(Default)]
pub(super) struct Planned(HashMap<String, (Errcode, u32)>);

impl Planned {
    /// The next `times` calls of `path` answer `errcode`; 0 times takes the plan back.
    pub(super) fn plan(&mut self, path: &str, errcode: Errcode, times: u32) {
        self.0.insert(path.to_owned(), (errcode, times));
    }

    /// The error of the next call of `path`, used up by asking.
    pub(super) fn next(&mut self, path: &str) -> Option<Errcode> {
        let (errcode, left) = self.0.get_mut(path)?;
        *left = left.checked_sub(1)?;
        Some(*errcode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planned_errcode_comes_on_its_path_as_often_as_asked() {
        let mut planned = Planned::default();
        planned.plan("/cgi-bin/stable_token", plannable(40164).expect("known"), 2);
        let mut next = |path| planned.next(path).map_or(0, |errcode| errcode.errcode);
        let path = "/cgi-bin/stable_token";
        assert_eq!(
            [next("/cgi-bin/token"), next(path), next(path), next(path)],
            [0, 40164, 40164, 0]
        );
    }
}
