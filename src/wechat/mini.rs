//! The mini program's login: `code2Session`'s request, its answer and every error code. Pure.
//!
//! Source: 小程序 · 小程序登录 (code2Session).

use serde::Deserialize;

use crate::base::{AppId, OpenId, Secret};

use super::error::{Cause, WechatError};
use super::mini_error::{Row, refused};

/// Path of 小程序登录.
pub const CODE2SESSION: &str = "/sns/jscode2session";

/// The most bytes of a login code that are worth sending.
const CODE_MAX_BYTES: usize = 128;

/// A user's session at WeChat. The key never leaves the server.
#[derive(Clone, Debug)]
pub struct Session {
    /// The user within this mini program.
    pub openid: OpenId,
    /// 16 bytes as base64: opens this user's encrypted texts. Replaced at each login.
    pub session_key: Secret<String>,
    /// The user across a company's programs, when it has an Open Platform account.
    pub unionid: Option<String>,
}

/// The login URL up to the code. It holds the secret, so it is never shown.
pub fn login_url(base: &str, appid: &AppId, secret: &Secret<String>) -> Secret<String> {
    let secret = percent_encoded(secret.reveal());
    let url = format!(
        "{}{CODE2SESSION}?grant_type=authorization_code&appid={appid}&secret={secret}&js_code=",
        base.trim_end_matches('/'),
    );
    Secret::new(url)
}

/// Whether a login code can be one at all; what cannot is not sent to WeChat.
///
/// # Errors
/// [`WechatError::Refused`] with [`Cause::CodeInvalid`].
pub fn check_code(code: &str) -> Result<(), WechatError> {
    let visible = code.bytes().all(|b| b.is_ascii_graphic());
    if (1..=CODE_MAX_BYTES).contains(&code.len()) && visible {
        return Ok(());
    }
    let advice = "登录凭证 code 为空或格式不对：请在小程序端重新调用 wx.login";
    Err(WechatError::refused_here(Cause::CodeInvalid, advice))
}

/// `text` with all but unreserved characters percent-encoded (RFC 3986 §2.3).
pub fn percent_encoded(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                encoded.push('%');
                encoded.push(char::from(HEX[usize::from(byte >> 4)]));
                encoded.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    encoded
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Answer {
    errcode: i64,
    errmsg: String,
    openid: String,
    session_key: String,
    unionid: Option<String>,
}

/// Reads the answer to a login.
///
/// # Errors
/// [`WechatError::Refused`] by `errcode`; [`WechatError::Unknown`] when the answer is no login
/// answer, after which the code may or may not be used up.
pub fn read_session(status: u16, body: &[u8]) -> Result<Session, WechatError> {
    let unknown = |why: String| WechatError::Unknown(why);
    if status != 200 {
        return Err(unknown(format!("登录接口返回 HTTP {status}")));
    }
    let answer: Answer =
        serde_json::from_slice(body).map_err(|_| unknown("登录应答无法读取".to_owned()))?;
    if answer.errcode != 0 {
        return Err(WechatError::Refused(refused(
            TABLE,
            answer.errcode,
            answer.errmsg,
        )));
    }
    let missing = |_| unknown("登录应答里没有 openid".to_owned());
    let openid = answer.openid.parse().map_err(missing)?;
    if answer.session_key.is_empty() {
        return Err(unknown("登录应答里没有 session_key".to_owned()));
    }
    Ok(Session {
        openid,
        session_key: Secret::new(answer.session_key),
        unionid: answer.unionid.filter(|id| !id.is_empty()),
    })
}

/// What an error of this call means where it differs from the common table.
///
/// Source: 小程序 · 小程序登录 · 错误码.
const TABLE: &[Row] = &[
    (
        40029,
        Cause::CodeInvalid,
        "登录凭证 code 无效或已过期（5 分钟）：请在小程序端重新调用 wx.login",
    ),
    (
        40163,
        Cause::CodeInvalid,
        "登录凭证 code 已被使用过：请在小程序端重新调用 wx.login",
    ),
    (
        40226,
        Cause::UserBlocked,
        "该用户被微信风控拦截，不能登录：请勿重试，由用户联系微信客服",
    ),
    (
        45011,
        Cause::RateLimited,
        "登录过于频繁（每个用户每分钟 100 次）：请稍后再试",
    ),
    (
        -1,
        Cause::Busy,
        "微信系统繁忙：请稍后重新调用 wx.login 再试",
    ),
    (
        40001,
        Cause::Config,
        "AppSecret 错误，或 access_token 不是最新：请核对 [wechat] secret",
    ),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_session_is_read_and_its_key_is_not_printed() {
        let body = br#"{"openid":"o1","session_key":"tiihtNczf5v6AKRyjwEUhQ==","unionid":"u"}"#;
        let session = read_session(200, body).unwrap();
        assert_eq!(session.openid.as_str(), "o1");
        assert_eq!(session.session_key.reveal(), "tiihtNczf5v6AKRyjwEUhQ==");
        assert_eq!(session.unionid.as_deref(), Some("u"));
        assert!(!format!("{session:?}").contains("tiiht"));
        let body = br#"{"openid":"o1","session_key":"k","errcode":0,"errmsg":"ok","more":[]}"#;
        assert_eq!(read_session(200, body).unwrap().unionid, None);
    }

    #[test]
    fn every_documented_errcode_means_its_cause_and_says_what_to_do() {
        let table = [
            (40029, Cause::CodeInvalid, "过期"),
            (40163, Cause::CodeInvalid, "已被使用"),
            (40226, Cause::UserBlocked, "风控"),
            (45011, Cause::RateLimited, "频繁"),
            (-1, Cause::Busy, "繁忙"),
            (40013, Cause::Config, "appid"),
            (40125, Cause::Config, "AppSecret"),
            (41002, Cause::Config, "appid"),
            (41004, Cause::Config, "AppSecret"),
            (45009, Cause::RateLimited, "当日"),
            (44991, Cause::RateLimited, "每分钟"),
            (44990, Cause::RateLimited, "每分钟"),
            (40001, Cause::Config, "AppSecret"),
            (40014, Cause::Config, "access_token"),
            (42001, Cause::Config, "access_token"),
            (40164, Cause::Config, "白名单"),
            (89503, Cause::Config, "管理员"),
            (89506, Cause::Config, "管理员"),
            (89507, Cause::Config, "管理员"),
            (47001, Cause::BadRequest, "JSON"),
            (43002, Cause::BadRequest, "POST"),
            (44002, Cause::BadRequest, "为空"),
            (12345, Cause::BadRequest, "12345"),
        ];
        for (errcode, cause, word) in table {
            let body = format!(r#"{{"errcode":{errcode},"errmsg":"no, rid: 65a1"}}"#);
            let error = read_session(200, body.as_bytes()).unwrap_err();
            assert_eq!(error.cause(), Some(cause), "{errcode}");
            let text = error.to_string();
            assert!(text.contains(word) && text.contains("rid: 65a1"), "{text}");
        }
        for row in TABLE {
            assert_eq!(
                TABLE.iter().filter(|other| other.0 == row.0).count(),
                1,
                "{}",
                row.0
            );
        }
    }

    #[test]
    fn what_is_no_login_answer_leaves_the_outcome_unknown() {
        let bodies = [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"openid":"o1"}"#,
            r#"{"openid":"","session_key":"k"}"#,
            r#"{"openid":"o 1","session_key":"k"}"#,
            r#"{"errcode":"0"}"#,
        ];
        for body in bodies {
            let read = read_session(200, body.as_bytes());
            assert!(matches!(read, Err(WechatError::Unknown(_))), "{body}");
        }
        let body = br#"{"openid":"o1","session_key":"k"}"#;
        assert!(matches!(
            read_session(502, body),
            Err(WechatError::Unknown(_))
        ));
    }

    #[test]
    fn the_login_url_is_encoded_and_secret() {
        let appid = "wx8888888888888888".parse().unwrap();
        let url = login_url("https://api.weixin.qq.com/", &appid, &Secret::from("a&b"));
        let want = "https://api.weixin.qq.com/sns/jscode2session?grant_type=authorization_code\
                    &appid=wx8888888888888888&secret=a%26b&js_code=";
        assert_eq!(url.reveal(), want);
        assert_eq!(format!("{url:?}"), "[secret]");
        assert_eq!(percent_encoded("0a-._~ /中"), "0a-._~%20%2F%E4%B8%AD");
    }

    #[test]
    fn what_cannot_be_a_code_is_refused_here() {
        assert_eq!(check_code("0a1B2c"), Ok(()));
        for code in ["", " ", "a b", "中", &"a".repeat(129)] {
            let refused = check_code(code).unwrap_err();
            assert_eq!(refused.cause(), Some(Cause::CodeInvalid), "{code}");
        }
    }
}
