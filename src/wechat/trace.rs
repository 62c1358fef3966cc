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
    let is_openid = word
        .split(['/', '+', '='])
        .any(|part| part.starts_with('o') && part.len() >= 20);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_an_openid_a_card_or_a_sealed_value_is_cut_and_numbers_of_orders_stay() {
        let sealed = "Zm9v".repeat(40);
        let table = [
            ("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o 无效", "oUpF… 无效"),
            ("openid=oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "open…"),
            ("（oUpF8uMuAJO_M2pxb1Q9zNjWeS6o）", "（oUpF…）"),
            ("payer/openid=oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "paye…"),
            ("卡 6222021234567890123 已注销", "卡 6222… 已注销"),
            (
                "订单 4200002345202601011234567890",
                "订单 4200002345202601011234567890",
            ),
            (
                "订单 20260101000X9G000000000000_2",
                "订单 20260101000X9G000000000000_2",
            ),
            (&sealed, "Zm9v…"),
            ("系统繁忙\n请重试", "系统繁忙 请重试"),
        ];
        for (words, shown) in table {
            assert_eq!(masked(words), shown, "{words}");
        }
        assert!(masked(&"很长".repeat(500)).chars().count() <= SAID_MAX_CHARS);
    }

    #[test]
    fn a_request_shows_its_numbers_and_amounts_and_nothing_else() {
        let fields = Fields::new()
            .with("openid", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")
            .with("out_trade_no", "20260101000X9G")
            .with("total_fee", "5980")
            .with("sign", "9A0A8659F005D6984697E2CA0A9CF3B7")
            .with("spbill_create_ip", "203.0.113.7");
        let asked = asked_v2("/pay/unifiedorder", &fields);
        let wanted = "POST /pay/unifiedorder 商户订单号 20260101000X9G 订单金额 59.80 元";
        assert_eq!(asked, wanted);
        let body = r#"{"out_refund_no":"R1","real_name":"张三","bank_account":"6222021234567890123",
            "amount":{"refund":1000,"total":5980},"payer":{"openid":"oUpF8u"}}"#;
        let asked = asked_v3("POST", "/v3/refund/domestic/refunds", body);
        let wanted = "POST /v3/refund/domestic/refunds 商户退款单号 R1 订单金额 59.80 元 \
                      退款金额 10.00 元";
        assert_eq!(asked, wanted);
    }
}
