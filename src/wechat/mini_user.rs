//! The phone number of a user, and mini-program codes: requests and answers. Pure.
//!
//! Source: 小程序 · 获取手机号, 获取不限制的小程序码.

use serde::{Deserialize, Serialize};

use crate::base::AppId;

use super::error::{Cause, WechatError};
use super::mini_error::{self, Row};

/// Path of 获取手机号.
pub const PHONE: &str = "/wxa/business/getuserphonenumber";
/// Path of 获取不限制的小程序码.
pub const WXACODE: &str = "/wxa/getwxacodeunlimit";

/// Source: 小程序 · 获取手机号 · 错误码.
const PHONE_TABLE: &[Row] = &[
    (
        40013,
        Cause::CodeInvalid,
        "手机号凭证 code 属于别的小程序：请在本小程序里重新点击获取手机号",
    ),
    (
        40029,
        Cause::CodeInvalid,
        "手机号凭证 code 无效、已过期（5 分钟）或已被使用：请重新点击获取手机号",
    ),
    (
        40163,
        Cause::CodeInvalid,
        "手机号凭证 code 已被使用过：请重新点击获取手机号",
    ),
];

/// The body of a request for the phone number behind `code`.
pub fn phone_body(code: &str) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        code: &'a str,
    }
    serde_json::to_string(&Body { code }).expect("texts become JSON")
}

#[derive(Deserialize)]
struct PhoneAnswer {
    phone_info: PhoneTold,
}

#[derive(Deserialize)]
struct PhoneTold {
    #[serde(rename = "phoneNumber")]
    phone_number: String,
    watermark: Watermark,
}

#[derive(Deserialize)]
struct Watermark {
    appid: String,
}

/// Reads the phone number: foreign ones with their country's code.
///
/// # Errors
/// [`WechatError::Refused`] by errcode, and with [`Cause::CodeInvalid`] when the watermark is
/// another mini program's.
pub fn read_phone(status: u16, body: &[u8], appid: &AppId) -> Result<String, WechatError> {
    let PhoneAnswer { phone_info } = mini_error::read(PHONE_TABLE, status, body)?;
    if phone_info.watermark.appid != appid.as_str() {
        let advice = "手机号的水印不是本小程序：请在本小程序里重新点击获取手机号";
        return Err(WechatError::refused_here(Cause::CodeInvalid, advice));
    }
    let phone = phone_info.phone_number;
    let legal = |c: char| c.is_ascii_digit() || "+- ".contains(c);
    if !(1..=32).contains(&phone.len()) || !phone.chars().all(legal) {
        let why = "应答里的手机号无法读取".to_owned();
        return Err(WechatError::Unknown(why));
    }
    Ok(phone)
}

/// A mini-program code that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeWanted {
    scene: String,
    page: Option<String>,
}

impl CodeWanted {
    /// A code that opens `page`, or the home page, with `scene`. `None` when one breaks its rule:
    /// a scene has 1 to 32 visible characters, a page neither a leading `/` nor a query.
    ///
    /// Source: 小程序 · 获取不限制的小程序码 · 请求参数.
    pub fn new(scene: &str, page: Option<&str>) -> Option<Self> {
        let in_scene = |b: u8| b.is_ascii_alphanumeric() || b"!#$&'()*+,/:;=?@-._~".contains(&b);
        let in_page = |b: u8| b.is_ascii_graphic() && !b"?#%\\\"".contains(&b);
        let page = page.filter(|page| !page.is_empty());
        let good = (1..=32).contains(&scene.len())
            && scene.bytes().all(in_scene)
            && page.is_none_or(|p| p.len() <= 128 && !p.starts_with('/') && p.bytes().all(in_page));
        good.then(|| Self {
            scene: scene.to_owned(),
            page: page.map(str::to_owned),
        })
    }

    /// The body of the request.
    pub fn body(&self) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            scene: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            page: Option<&'a str>,
            check_path: bool,
            env_version: &'static str,
        }
        let body = Body {
            scene: &self.scene,
            page: self.page.as_deref(),
            check_path: true,
            env_version: "release",
        };
        serde_json::to_string(&body).expect("texts become JSON")
    }
}

/// Source: 小程序 · 获取不限制的小程序码 · 错误码.
const CODE_TABLE: &[Row] = &[
    (40129, Cause::BadRequest, SCENE),
    (40169, Cause::BadRequest, SCENE),
    (
        41030,
        Cause::BadRequest,
        "页面 page 不存在或尚未发布：请写已发布版本里的页面",
    ),
    (
        85096,
        Cause::BadRequest,
        "scene 里不能带 scancode_time 参数：请换一个 scene",
    ),
];

const SCENE: &str = "scene 不合规则：1 到 32 个可见字符，不能含 %";

/// A picture as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// `image/png` or `image/jpeg`.
    pub content_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Reads the picture of a code: success is the file itself, a failure is JSON.
///
/// # Errors
/// [`WechatError`], by errcode.
pub fn read_picture(status: u16, body: &[u8]) -> Result<Picture, WechatError> {
    let content_type = match body {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xFF, 0xD8, 0xFF, ..] => "image/jpeg",
        _ => {
            let _: serde::de::IgnoredAny = mini_error::read(CODE_TABLE, status, body)?;
            let why = "应答既不是图片也不是错误".to_owned();
            return Err(WechatError::Unknown(why));
        }
    };
    Ok(Picture {
        content_type,
        bytes: body.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn phone(number: &str, appid: &str) -> Result<String, WechatError> {
        let body = format!(
            r#"{{"errcode":0,"errmsg":"ok","phone_info":{{"phoneNumber":"{number}",
            "purePhoneNumber":"1","countryCode":"86",
            "watermark":{{"timestamp":1637744274,"appid":"{appid}"}}}}}}"#
        );
        read_phone(200, body.as_bytes(), &"wx1".parse().unwrap())
    }

    #[test]
    fn a_phone_is_believed_only_under_our_watermark() {
        assert_eq!(phone("13800138000", "wx1").unwrap(), "13800138000");
        assert_eq!(phone("+1 5551234567", "wx1").unwrap(), "+1 5551234567");
        let other = phone("13800138000", "wx2").unwrap_err();
        assert_eq!(other.cause(), Some(Cause::CodeInvalid));
        for number in ["", "abc", &"1".repeat(33)] {
            let read = phone(number, "wx1");
            assert!(matches!(read, Err(WechatError::Unknown(_))), "{number}");
        }
    }

    #[test]
    fn every_errcode_of_a_phone_code_means_its_cause() {
        let table = [
            (40013, Cause::CodeInvalid, "别的小程序"),
            (40029, Cause::CodeInvalid, "过期"),
            (40163, Cause::CodeInvalid, "使用过"),
            (45011, Cause::RateLimited, "每分钟"),
            (-1, Cause::Busy, "繁忙"),
            (40001, Cause::Config, "access_token"),
        ];
        for (errcode, cause, word) in table {
            let body = format!(r#"{{"errcode":{errcode},"errmsg":"m"}}"#);
            let error = read_phone(200, body.as_bytes(), &"wx1".parse().unwrap()).unwrap_err();
            assert_eq!(error.cause(), Some(cause), "{errcode}");
            assert!(error.to_string().contains(word), "{error}");
        }
        assert_eq!(phone_body("a\"b"), r#"{"code":"a\"b"}"#);
    }

    #[test]
    fn a_scene_and_a_page_keep_their_rules() {
        for scene in [
            "a",
            "goods=1&from=2",
            "!#$&'()*+,/:;=?@-._~",
            &"x".repeat(32),
        ] {
            assert!(CodeWanted::new(scene, None).is_some(), "{scene}");
        }
        for scene in ["", "a%20", "茶", "a b", &"x".repeat(33)] {
            assert!(CodeWanted::new(scene, None).is_none(), "{scene}");
        }
        for (page, good) in [
            ("pages/index", true),
            ("", true),
            ("/pages/index", false),
            ("pages/index?a=1", false),
        ] {
            assert_eq!(CodeWanted::new("a", Some(page)).is_some(), good, "{page}");
        }
        let body = CodeWanted::new("a", Some("p/i")).unwrap().body();
        let want = r#"{"scene":"a","page":"p/i","check_path":true,"env_version":"release"}"#;
        assert_eq!(body, want);
    }

    #[test]
    fn a_code_is_a_picture_or_an_error() {
        let png = [0x89, b'P', b'N', b'G', 13, 10];
        assert_eq!(read_picture(200, &png).unwrap().content_type, "image/png");
        let jpeg = read_picture(200, &[0xFF, 0xD8, 0xFF, 0xE0]).unwrap();
        assert_eq!(jpeg.content_type, "image/jpeg");
        let table = [
            (41030, Cause::BadRequest, "page"),
            (40169, Cause::BadRequest, "scene"),
            (40129, Cause::BadRequest, "scene"),
            (85096, Cause::BadRequest, "scene"),
            (45009, Cause::RateLimited, "当日"),
        ];
        for (errcode, cause, word) in table {
            let body = format!(r#"{{"errcode":{errcode},"errmsg":"m"}}"#);
            let error = read_picture(200, body.as_bytes()).unwrap_err();
            assert_eq!(error.cause(), Some(cause), "{errcode}");
            assert!(error.to_string().contains(word), "{error}");
        }
        for body in [&b""[..], b"GIF89a", b"{}"] {
            let read = read_picture(200, body);
            assert!(matches!(read, Err(WechatError::Unknown(_))), "{body:?}");
        }
    }
}
