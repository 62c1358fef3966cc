//! The error codes that the mini program's server calls share, and how such an answer is read.
//!
//! Pure. What one call means by a code of its own stands beside that call.
//! Source: 小程序 · 全局返回码; 接口调用凭据 · 错误码.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::{Cause, Refused, WechatError};

/// One line of a table: code, cause, and what to do.
pub(super) type Row = (i64, Cause, &'static str);

const BUG: &str = "请求内容不被微信接受：这是程序缺陷，请报告";

/// The codes that any call may answer.
const COMMON: &[Row] = &[
    (-1, Cause::Busy, "微信系统繁忙：请稍后再试"),
    (
        40001,
        Cause::Config,
        "access_token 不是最新：别的程序可能在用 force_refresh 抢换，请只由掌柜获取",
    ),
    (40014, Cause::Config, "access_token 不合法：请重新获取"),
    (42001, Cause::Config, "access_token 已过期：请重新获取"),
    (40002, Cause::BadRequest, BUG),
    (40003, Cause::OpenIdMismatch, "openid 不属于本小程序"),
    (40013, Cause::Config, "appid 无效：请核对 [wechat] appid"),
    (40097, Cause::BadRequest, BUG),
    (
        40125,
        Cause::Config,
        "AppSecret 无效：请核对 [wechat] secret，它可能已被重置",
    ),
    (
        40164,
        Cause::Config,
        "本机出口 IP 不在白名单：请在小程序后台“开发设置 → IP 白名单”中加入",
    ),
    (
        40243,
        Cause::Config,
        "AppSecret 已被冻结：请在小程序后台解冻",
    ),
    (41002, Cause::Config, "缺少 appid：请填写 [wechat] appid"),
    (
        41004,
        Cause::Config,
        "缺少 AppSecret：请填写 [wechat] secret",
    ),
    (
        43002,
        Cause::BadRequest,
        "此接口需要 POST：这是程序缺陷，请报告",
    ),
    (
        44002,
        Cause::BadRequest,
        "请求内容为空：这是程序缺陷，请报告",
    ),
    (44990, Cause::RateLimited, PER_MINUTE),
    (44991, Cause::RateLimited, PER_MINUTE),
    (
        45009,
        Cause::RateLimited,
        "接口当日调用次数已用完：请次日再试，或在小程序后台申请提高额度",
    ),
    (45011, Cause::RateLimited, PER_MINUTE),
    (
        47001,
        Cause::BadRequest,
        "请求内容不是微信接受的 JSON：这是程序缺陷，请报告",
    ),
    (
        48001,
        Cause::NoPermission,
        "小程序没有此接口的权限：请在小程序后台开通",
    ),
    (
        50004,
        Cause::NoPermission,
        "小程序被禁止获取 access_token：请联系微信客服",
    ),
    (
        50007,
        Cause::NoPermission,
        "小程序帐号已冻结：请在小程序后台查看原因",
    ),
    (
        61003,
        Cause::NoPermission,
        "小程序没有授权此接口：请在小程序后台开通",
    ),
    (
        61004,
        Cause::Config,
        "本机出口 IP 没有登记：请在小程序后台“开发设置 → IP 白名单”中加入",
    ),
    (
        61011,
        Cause::NoPermission,
        "小程序帐号无效：请核对 [wechat] appid",
    ),
    (
        89503,
        Cause::Config,
        "此 IP 的调用需要管理员确认：请管理员在微信中确认",
    ),
    (
        89506,
        Cause::Config,
        "此 IP 的调用在 24 小时内被管理员拒绝两次：请联系管理员，24 小时后再试",
    ),
    (
        89507,
        Cause::Config,
        "此 IP 的调用在 1 小时内被管理员拒绝：请联系管理员，1 小时后再试",
    ),
];

const PER_MINUTE: &str = "接口每分钟调用次数超限：请放慢后重试";

/// What an `errcode` other than 0 means: by `own`, the call's table, then by the common one.
pub(super) fn refused(own: &[Row], errcode: i64, said: String) -> Refused {
    let row = own.iter().chain(COMMON).find(|row| row.0 == errcode);
    let (cause, advice) = match row {
        Some(&(_, cause, advice)) => (cause, advice),
        None => (
            Cause::BadRequest,
            "微信返回了文档之外的错误码：请按微信的说明处理",
        ),
    };
    Refused {
        cause,
        code: errcode.to_string(),
        advice,
        said,
    }
}

/// Reads the answer of a call whose success is JSON; a missing `errcode` is 0.
///
/// # Errors
/// [`WechatError::Refused`] by `errcode`; [`WechatError::Unknown`] for what is no answer of it.
pub(super) fn read<T: DeserializeOwned>(
    own: &[Row],
    status: u16,
    body: &[u8],
) -> Result<T, WechatError> {
    let unknown = |why: &str| WechatError::Unknown(why.to_owned());
    if status != 200 {
        return Err(WechatError::Unknown(format!("HTTP {status}")));
    }
    let object = serde_json::from_slice::<Map<String, Value>>(body);
    let object = object.map_err(|_| unknown("应答不是 JSON 对象"))?;
    let errcode = match object.get("errcode") {
        None => 0,
        Some(code) => code.as_i64().ok_or_else(|| unknown("errcode 不是整数"))?,
    };
    if errcode != 0 {
        let said = object.get("errmsg").and_then(Value::as_str).unwrap_or("");
        let refused = refused(own, errcode, said.to_owned());
        return Err(WechatError::Refused(refused));
    }
    serde_json::from_value(Value::Object(object)).map_err(|_| unknown("应答里缺少应有的字段"))
}

/// Whether the call failed only because its access token is not the newest or has ended.
///
/// Source: 小程序 · 接口调用凭据 · 错误码.
pub(super) fn is_stale_token(error: &WechatError) -> bool {
    match error {
        WechatError::Refused(refused) => ["40001", "40014", "42001"].contains(&&*refused.code),
        WechatError::Unknown(_) | WechatError::NotSent(_) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn cause(errcode: i64) -> (Cause, String) {
        let body = format!(r#"{{"errcode":{errcode},"errmsg":"no rid: 65a1"}}"#);
        let read: Result<serde_json::Value, _> = read(&[], 200, body.as_bytes());
        let error = read.unwrap_err();
        (error.cause().unwrap(), error.to_string())
    }

    #[test]
    fn every_common_errcode_means_its_cause_and_says_what_to_do() {
        let table = [
            (-1, Cause::Busy, "繁忙"),
            (40001, Cause::Config, "access_token"),
            (40014, Cause::Config, "access_token"),
            (42001, Cause::Config, "access_token"),
            (40003, Cause::OpenIdMismatch, "openid"),
            (40013, Cause::Config, "appid"),
            (40125, Cause::Config, "AppSecret"),
            (40164, Cause::Config, "白名单"),
            (40243, Cause::Config, "冻结"),
            (45009, Cause::RateLimited, "当日"),
            (45011, Cause::RateLimited, "每分钟"),
            (47001, Cause::BadRequest, "JSON"),
            (48001, Cause::NoPermission, "权限"),
            (50004, Cause::NoPermission, "access_token"),
            (50007, Cause::NoPermission, "冻结"),
            (61004, Cause::Config, "白名单"),
            (89503, Cause::Config, "管理员"),
            (12345, Cause::BadRequest, "12345"),
        ];
        for (errcode, want, word) in table {
            let (cause, text) = cause(errcode);
            assert_eq!(cause, want, "{errcode}");
            assert!(text.contains(word) && text.contains("rid: 65a1"), "{text}");
        }
        for row in COMMON {
            let same = COMMON.iter().filter(|other| other.0 == row.0);
            assert_eq!(same.count(), 1, "{}", row.0);
        }
    }

    #[test]
    fn a_calls_own_meaning_of_a_code_wins() {
        let own: &[Row] = &[(40013, Cause::CodeInvalid, "别的小程序的 code")];
        assert_eq!(refused(own, 40013, String::new()).cause, Cause::CodeInvalid);
        assert_eq!(refused(own, 40014, String::new()).cause, Cause::Config);
    }

    #[test]
    fn what_is_no_answer_is_unknown_and_a_missing_errcode_is_success() {
        for (status, body) in [(502, "{}"), (200, ""), (200, "[]"), (200, "<html>")] {
            let read: Result<serde_json::Value, _> = read(&[], status, body.as_bytes());
            assert!(matches!(read, Err(WechatError::Unknown(_))), "{body}");
        }
        assert!(read::<serde_json::Value>(&[], 200, b"{}").is_ok());
        let zero = read::<serde_json::Value>(&[], 200, br#"{"errcode":0,"errmsg":"ok"}"#);
        assert!(zero.is_ok());
    }

    #[test]
    fn only_the_three_codes_of_a_token_are_cured_by_a_new_one() {
        let refused = |code| WechatError::Refused(refused(&[], code, String::new()));
        for code in [40001, 40014, 42001] {
            assert!(is_stale_token(&refused(code)), "{code}");
        }
        for code in [-1, 40164, 40013, 47001] {
            assert!(!is_stale_token(&refused(code)), "{code}");
        }
        assert!(!is_stale_token(&WechatError::Unknown(String::new())));
    }
}
