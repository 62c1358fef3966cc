//! Subscribe messages: the slots of a template, what may stand in each, the request and its
//! answer. Pure.
//!
//! Source: 小程序 · 订阅消息 · 发送订阅消息.

use std::str::FromStr;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::base::OpenId;

use super::error::{Refused, WechatError};
use super::mini_error;

/// Path of 发送订阅消息.
pub const SEND: &str = "/cgi-bin/message/subscribe/send";

/// One place of a template, such as `thing1`: a kind and a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    key: String,
    kind: Kind,
}

/// What may stand in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Thing,
    Number,
    Letter,
    Symbol,
    CharacterString,
    Time,
    Amount,
    PhoneNumber,
    CarNumber,
    Name,
    Phrase,
    Enum,
}

/// Source: 小程序 · 发送订阅消息 · 订阅消息参数值内容限制说明.
const KINDS: &[(&str, Kind)] = &[
    ("thing", Kind::Thing),
    ("number", Kind::Number),
    ("letter", Kind::Letter),
    ("symbol", Kind::Symbol),
    ("character_string", Kind::CharacterString),
    ("time", Kind::Time),
    ("date", Kind::Time),
    ("amount", Kind::Amount),
    ("phone_number", Kind::PhoneNumber),
    ("car_number", Kind::CarNumber),
    ("name", Kind::Name),
    ("phrase", Kind::Phrase),
    ("enum", Kind::Enum),
];

/// A name that no template has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("不是模板里的字段名（如 thing1、amount2）")]
pub struct NoSlot;

impl FromStr for Slot {
    type Err = NoSlot;

    fn from_str(key: &str) -> Result<Self, NoSlot> {
        let prefix = key.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = key.len() - prefix.len();
        let kind = KINDS.iter().find(|(name, _)| *name == prefix);
        let &(_, kind) = kind.filter(|_| (1..=3).contains(&number)).ok_or(NoSlot)?;
        let key = key.to_owned();
        Ok(Self { key, kind })
    }
}

impl Slot {
    /// `text` as this slot takes it: cut to its length, without what it forbids. `None` when
    /// nothing is left, which WeChat would refuse.
    pub fn fitted(&self, text: &str) -> Option<String> {
        let spaced = text.chars().map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            other => other,
        });
        let shown = |c: &char| !c.is_control() && u32::from(*c) <= 0xFFFF;
        let text: String = spaced.filter(shown).collect();
        let fitted = self.kind.fitted(text.trim());
        (!fitted.is_empty()).then_some(fitted)
    }
}

impl Kind {
    fn fitted(self, text: &str) -> String {
        match self {
            Self::Thing => cut(text, 20),
            Self::Number => kept(text, 32, |c| c.is_ascii_digit() || c == '.'),
            Self::Letter => kept(text, 32, |c| c.is_ascii_alphabetic()),
            Self::Symbol => kept(text, 5, |c| !c.is_alphanumeric() && !c.is_whitespace()),
            Self::CharacterString => kept(text, 32, |c| c.is_ascii_graphic()),
            Self::Time | Self::Enum => text.to_owned(),
            Self::Amount => amount(text),
            Self::PhoneNumber => kept(text, 17, |c| c.is_ascii_graphic()),
            Self::CarNumber => cut(text, 8),
            Self::Name if text.is_ascii() => kept(text, 20, |c| c.is_ascii_alphabetic()),
            Self::Name => kept(text, 10, |c| c.is_alphabetic() && !c.is_ascii()),
            Self::Phrase => kept(text, 5, |c| c.is_alphabetic() && !c.is_ascii()),
        }
    }
}

/// The first `most` characters that are `allowed`.
fn kept(text: &str, most: usize, allowed: impl Fn(char) -> bool) -> String {
    text.chars().filter(|c| allowed(*c)).take(most).collect()
}

/// `text` of at most `most` characters; what is cut off shows as `…`.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let head = text.chars().take(most.saturating_sub(1));
    head.chain(std::iter::once('…')).collect()
}

/// One currency sign and at most ten digits. A number that is longer is left out, not cut: half
/// an amount is a wrong amount.
fn amount(text: &str) -> String {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let legal = |c: char| c.is_ascii_digit() || "¥￥.元".contains(c);
    match (1..=10).contains(&digits) && text.chars().all(legal) {
        true => text.to_owned(),
        false => String::new(),
    }
}

/// The version of the mini program that a message opens.
///
/// Source: 小程序 · 发送订阅消息 (`miniprogram_state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// 正式版
    #[default]
    Formal,
    /// 体验版
    Trial,
    /// 开发版
    Developer,
}

impl Release {
    /// WeChat's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Formal => "formal",
            Self::Trial => "trial",
            Self::Developer => "developer",
        }
    }
}

/// A message to one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// To whom.
    pub openid: OpenId,
    /// The template's id.
    pub template_id: String,
    /// Where it leads; empty: nowhere.
    pub page: String,
    /// Which version of the mini program.
    pub release: Release,
    /// What stands in each slot, as [`Slot::fitted`] gave it.
    pub values: Vec<(Slot, String)>,
}

impl Message {
    /// The body of the request.
    pub fn body(&self) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            touser: &'a str,
            template_id: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            page: &'a str,
            #[serde(rename = "data")]
            values: Map<String, Value>,
            miniprogram_state: &'static str,
            lang: &'static str,
        }
        let values = self.values.iter();
        let body = Body {
            touser: self.openid.as_str(),
            template_id: &self.template_id,
            page: &self.page,
            values: values
                .map(|(slot, text)| (slot.key.clone(), json!({ "value": text })))
                .collect(),
            miniprogram_state: self.release.as_str(),
            lang: "zh_CN",
        };
        serde_json::to_string(&body).expect("texts become JSON")
    }
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// WeChat took it.
    Taken,
    /// The user has not asked for it, or has had what they asked for: nothing to mend.
    NotWanted,
    /// It will never go out like this: the operator must look.
    Never(Refused),
    /// Another message to this user is on its way, or WeChat is busy: the same again, later.
    NotYet(Refused),
}

/// Source: 小程序 · 发送订阅消息 · 错误码.
const NEVER: &[(&str, &str)] = &[
    (
        "47003",
        "订阅消息的某个值不合模板规则：请核对 [wechat.messages] 的字段对应",
    ),
    ("40003", "openid 不属于本小程序：这条订阅消息不再发送"),
    (
        "40037",
        "订阅消息模板不存在：请核对 [wechat.messages] 的模板 ID",
    ),
    (
        "41030",
        "订阅消息的跳转页面不存在：请核对 [wechat.messages] 的页面",
    ),
    (
        "43107",
        "订阅消息能力或此模板已被封禁：请在小程序后台查看原因",
    ),
    ("45168", "订阅消息含有敏感词：请修改商品名称或模板字段"),
];

/// Reads the answer to a message.
///
/// # Errors
/// [`WechatError`] for what has nothing to do with this message: tokens, quotas, silence.
pub fn read_sent(status: u16, body: &[u8]) -> Result<Sent, WechatError> {
    let refused = match mini_error::read::<serde::de::IgnoredAny>(&[], status, body) {
        Ok(_) => return Ok(Sent::Taken),
        Err(WechatError::Refused(refused)) => refused,
        Err(error) => return Err(error),
    };
    if refused.code == "43101" {
        return Ok(Sent::NotWanted);
    }
    if refused.code == "43108" {
        let advice = "正在给同一用户发送另一条订阅消息：稍后自动重试";
        return Ok(Sent::NotYet(Refused { advice, ..refused }));
    }
    match NEVER.iter().find(|(code, _)| *code == refused.code) {
        Some(&(_, advice)) => Ok(Sent::Never(Refused { advice, ..refused })),
        None => Err(WechatError::Refused(refused)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn slot(key: &str) -> Slot {
        key.parse().unwrap()
    }

    #[test]
    fn a_slot_is_a_known_prefix_and_a_number() {
        for key in [
            "thing1",
            "character_string12",
            "phone_number3",
            "date4",
            "enum999",
        ] {
            assert!(key.parse::<Slot>().is_ok(), "{key}");
        }
        for key in [
            "",
            "1",
            "thing",
            "thing1234",
            "things1",
            "Thing1",
            "thing-1",
            "thing1 ",
        ] {
            assert_eq!(key.parse::<Slot>(), Err(NoSlot), "{key}");
        }
    }

    #[test]
    fn every_value_is_cut_to_what_its_slot_takes() {
        let twenty = "一二三四五六七八九十一二三四五六七八九十";
        let table = [
            ("thing1", twenty, Some(twenty)),
            (
                "thing1",
                "一二三四五六七八九十一二三四五六七八九十一",
                Some("一二三四五六七八九十一二三四五六七八九…"),
            ),
            ("thing1", "茶\n叶\u{7}🍎", Some("茶 叶")),
            ("thing1", " \u{7}", None),
            ("number1", "约 12.5 个", Some("12.5")),
            ("letter1", "SF-12", Some("SF")),
            ("symbol1", "!!!!!!", Some("!!!!!")),
            ("character_string1", "2026 茶 A-1", Some("2026A-1")),
            ("character_string1", &"7".repeat(33), Some(&"7".repeat(32))),
            ("time1", "2026-01-01 15:01", Some("2026-01-01 15:01")),
            ("amount1", "¥88.00", Some("¥88.00")),
            ("amount1", "¥12345678901", None),
            ("amount1", "八十八元", None),
            ("phone_number1", "+86 177****1234", Some("+86177****1234")),
            ("car_number1", "粤A12345", Some("粤A12345")),
            ("name1", "王小明先生", Some("王小明先生")),
            ("name1", "Ann Lee", Some("AnnLee")),
            ("phrase1", "已支付成功了", Some("已支付成功")),
            ("phrase1", "paid", None),
        ];
        for (key, text, want) in table {
            assert_eq!(slot(key).fitted(text).as_deref(), want, "{key} {text:?}");
        }
    }

    #[test]
    fn the_request_names_state_and_language() {
        let message = Message {
            openid: "o1".parse().unwrap(),
            template_id: "T".to_owned(),
            page: "pages/order?no=1".to_owned(),
            release: Release::Trial,
            values: vec![(slot("thing1"), "茶".to_owned())],
        };
        let body: Value = serde_json::from_str(&message.body()).unwrap();
        let want = json!({
            "touser": "o1", "template_id": "T", "page": "pages/order?no=1",
            "data": {"thing1": {"value": "茶"}}, "miniprogram_state": "trial", "lang": "zh_CN",
        });
        assert_eq!(body, want);
        let nowhere = Message {
            page: String::new(),
            ..message
        };
        assert!(!nowhere.body().contains("page"));
    }

    #[test]
    fn every_errcode_is_dropped_repeated_or_shown() {
        let read = |code: i64| {
            read_sent(
                200,
                format!(r#"{{"errcode":{code},"errmsg":"m"}}"#).as_bytes(),
            )
        };
        assert_eq!(read(0), Ok(Sent::Taken));
        assert_eq!(read(43101), Ok(Sent::NotWanted));
        assert!(matches!(read(43108), Ok(Sent::NotYet(_))));
        for code in [47003, 40003, 40037, 41030, 43107, 45168] {
            assert!(matches!(read(code), Ok(Sent::Never(_))), "{code}");
        }
        for code in [-1, 40001, 40014, 45009, 40164, 12345] {
            assert!(matches!(read(code), Err(WechatError::Refused(_))), "{code}");
        }
        assert!(matches!(read_sent(502, b""), Err(WechatError::Unknown(_))));
    }
}
