//! What was said between us and WeChat during one use case, for the order's timeline.
//!
//! Redacted by construction: only the fields listed here are ever copied. A key, a signature, a
//! payer's openid, a card or a name is not among them. Pure but for the clock it is given.

use std::sync::Mutex;

use serde_json::Value;

use crate::base::xml::Fields;
use crate::base::{Clock, Fen, Timestamp};
use crate::web::Incoming;

use super::error::WechatError;

/// The most characters of WeChat's own words that are kept.
const SAID_MAX_CHARS: usize = 200;

/// Who listens to a call: the clock that stamps it, and what was said.
#[derive(Debug)]
pub struct Trace<'c> {
    clock: &'c Clock,
    exchanges: Mutex<Vec<Exchange>>,
}

/// One request and its answer, redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// When it was sent.
    pub at: Timestamp,
    /// How long the answer took, in milliseconds.
    pub ms: u64,
    /// `POST /v3/pay/transactions/jsapi 商户订单号 … 订单金额 59.80 元`.
    pub asked: String,
    /// `200 prepay_id …`, or `400 ORDER_CLOSED 订单已关闭（Request-ID …）`.
    pub answered: String,
}

impl<'c> Trace<'c> {
    /// Nothing said yet.
    pub fn new(clock: &'c Clock) -> Self {
        Self {
            clock,
            exchanges: Mutex::default(),
        }
    }

    /// The clock that stamps the calls.
    pub fn clock(&self) -> &'c Clock {
        self.clock
    }

    /// Everything said so far, oldest first.
    pub fn exchanges(&self) -> Vec<Exchange> {
        let exchanges = self.exchanges.lock();
        exchanges.map_or_else(|poisoned| poisoned.into_inner().clone(), |all| all.clone())
    }

    /// Adds an exchange that began at `began_ms` and ends now.
    pub(crate) fn note(&self, began_ms: i64, asked: String, answered: String) {
        let exchange = Exchange {
            at: Timestamp::from_unix(began_ms.div_euclid(1000)),
            ms: u64::try_from(self.clock.now_ms().saturating_sub(began_ms)).unwrap_or(0),
            asked,
            answered,
        };
        if let Ok(mut exchanges) = self.exchanges.lock() {
            exchanges.push(exchange);
        }
    }
}

/// The fields of a request that are shown, with their names.
const ASKED: [(&str, &str); 4] = [
    ("out_trade_no", "商户订单号"),
    ("out_refund_no", "商户退款单号"),
    ("total_fee", "订单金额"),
    ("refund_fee", "退款金额"),
];

/// What a v2 request asks, shown.
pub(super) fn asked_v2(path: &str, fields: &Fields) -> String {
    let mut asked = format!("POST {path}");
    for (name, title) in ASKED {
        match fields.get(name) {
            Some(fen) if name.ends_with("_fee") => push_fen(&mut asked, title, fen),
            Some(text) => asked.push_str(&format!(" {title} {}", masked(text))),
            None => {}
        }
    }
    asked
}

/// What a v3 request asks, shown. `path` is without its query.
pub(super) fn asked_v3(method: &str, path: &str, body: &str) -> String {
    let mut asked = format!("{method} {path}");
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    for (name, title) in &ASKED[..2] {
        if let Some(text) = body[name].as_str() {
            asked.push_str(&format!(" {title} {}", masked(text)));
        }
    }
    for (name, title) in [("total", "订单金额"), ("refund", "退款金额")] {
        if let Some(fen) = body["amount"][name].as_u64() {
            push_fen(&mut asked, title, &fen.to_string());
        }
    }
    asked
}

fn push_fen(asked: &mut String, title: &str, fen: &str) {
    if let Some(fen) = Fen::from_digits(fen) {
        asked.push_str(&format!(" {title} {fen} 元"));
    }
}

/// The members of an answer that are shown, in v2 and v3.
const ANSWERED: [&str; 11] = [
    "code",
    "err_code",
    "message",
    "err_code_des",
    "prepay_id",
    "trade_state",
    "transaction_id",
    "refund_id",
    "status",
    "refund_status_0",
    "success_time",
];

/// What was answered, shown; `judged` says whether it was believed.
pub(super) fn answered<T>(answer: &Incoming, judged: &Result<T, WechatError>) -> String {
    let mut text = answer.status.to_string();
    let said = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(json) => shown(|name| json[name].as_str().map(str::to_owned)),
        Err(_) => match Fields::parse(&answer.body, "xml") {
            Ok(fields) => {
                let mut said = shown(|name| fields.get(name).map(str::to_owned));
                if fields.text("return_code") != "SUCCESS" {
                    said.push_str(&format!(" {}", masked(fields.text("return_msg"))));
                }
                said
            }
            Err(_) => String::new(),
        },
    };
    text.push_str(&said);
    if let Some(id) = answer.header("request-id") {
        text.push_str(&format!("（Request-ID {}）", clipped(id)));
    }
    if let Err(WechatError::Unknown(why)) = judged {
        text.push_str(&format!("，不能作数：{}", masked(why)));
    }
    text
}

/// What a mini-program call asks, shown: of its body only WeChat's number of the payment.
pub(super) fn asked_mini(path: &str, body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let places = [
        &body["transaction_id"],
        &body["order_key"]["transaction_id"],
    ];
    let number = places.iter().find_map(|place| place.as_str());
    match number {
        Some(number) => format!("POST {path} 微信支付订单号 {number}"),
        None => format!("POST {path}"),
    }
}

/// What a mini-program call was answered, shown: its code, its words, where the order stands.
pub(super) fn answered_mini(answer: &Incoming) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut text = answer.status.to_string();
    let numbers = [
        ("errcode", &body["errcode"]),
        ("order_state", &body["order"]["order_state"]),
    ];
    for (name, number) in numbers {
        if let Some(number) = number.as_i64() {
            text.push_str(&format!(" {name} {number}"));
        }
    }
    if let Some(said) = body["errmsg"].as_str() {
        text.push_str(&format!(" {}", masked(said)));
    }
    text
}

fn shown(get: impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    for name in ANSWERED {
        let Some(value) = get(name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let is_words = ["code", "err_code", "message", "err_code_des"].contains(&name);
        let label = if is_words { "" } else { name };
        text.push_str(&format!(
            " {label}{}{}",
            if is_words { "" } else { " " },
            masked(&value)
        ));
    }
    text
}

/// WeChat's words without what could be an openid, a card number or a sealed value.
pub(super) fn masked(words: &str) -> String {
    let is_id = |c: char| c.is_ascii_alphanumeric() || "_-+/=".contains(c);
    let (mut text, mut word) = (String::new(), String::new());
    for c in words.chars().take(SAID_MAX_CHARS).chain([' ']) {
        if is_id(c) {
            word.push(c);
            continue;
        }
        push_word(&mut text, &word);
        word.clear();
        text.push(if c.is_control() { ' ' } else { c });
    }
    text.trim_end().to_owned()
}

fn push_word(text: &mut String, word: &str) {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let is_card = digits == word.len() && (15..=19).contains(&digits);
    let is_openid = word.starts_with('o') && word.len() >= 20;
    if is_card || is_openid || word.len() > 64 {
        text.push_str(&word[..4.min(word.len())]);
        text.push('…');
    } else {
        text.push_str(word);
    }
}

fn clipped(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_graphic)
        .take(64)
        .collect()
}
