//! Secrets that everybody knows: examples of documents, keyboard rows, one character over and over.
//!
//! A key from WeChat's own documentation would let anyone sign payments; a field key of zeros
//! seals nothing.

use data_encoding::BASE64;

use super::fault::FaultKind;
use super::settle::Settled;

/// The secrets that must be nobody else's.
const SECRETS: &[(&str, &str)] = &[
    ("server", "metrics_token"),
    ("token", "salt"),
    ("wechat", "secret"),
    ("wechat", "message_token"),
    ("wechat", "message_aes_key"),
    ("wechat.pay", "v2_key"),
    ("wechat.pay", "v3_key"),
];

/// Words that stand where a secret should, in small letters.
const WORDS: &[&str] = &[
    "salt",
    "secret",
    "appsecret",
    "password",
    "passwd",
    "token",
    "weixin",
    "wechat",
    "zhanggui",
    "admin",
    "default",
    "example",
    "sample",
    "test",
    "changeme",
    "change-me",
    "change_me",
    "todo",
    "123456",
    "12345678",
    // Source: 微信支付 APIv2 · 签名算法, the key of its example.
    "192006250b4c09247ec02edce69f6a2d",
    // Source: 微信公众平台 · 消息加解密, the EncodingAESKey of its sample code.
    "abcdefghijklmnopqrstuvwxyz0123456789abcdefg",
];
/// Beginnings of placeholders.
const PLACEHOLDERS: &[&str] = &["your", "<", "填", "你的", "请"];
/// The fewest different bytes of a random key of 32: one in 10^30 has less.
const DISTINCT_MIN: usize = 10;
/// What a secret of this length or more must not be made of: one or two characters.
const DISTINCT_FROM: usize = 8;

/// Adds a fault for each secret that anybody could guess.
pub(super) fn check(settled: &mut Settled) {
    for &(section, name) in SECRETS {
        let text = settled.text(section, name);
        if text.is_some_and(|text| is_guessable(text.reveal())) {
            refuse(settled, section, name);
        }
    }
    let key = settled.text("store", "field_key");
    let key = key.and_then(|key| BASE64.decode(key.reveal().as_bytes()).ok());
    if key.is_some_and(|key| distinct(&key) < DISTINCT_MIN) {
        refuse(settled, "store", "field_key");
    }
}

fn refuse(settled: &mut Settled, section: &'static str, name: &'static str) {
    let words = (
        "是人人都知道的示例值或极易猜到的值",
        "换成随机的值：zhanggui init 会生成盐和 field_key，其余在微信平台重新设置",
    );
    settled.add((section, name), FaultKind::Range, words);
}

fn is_guessable(text: &str) -> bool {
    let small = text.to_lowercase();
    let small = small.trim();
    let known = WORDS.contains(&small);
    let placeholder = PLACEHOLDERS.iter().any(|start| small.starts_with(start));
    let monotone = small.len() >= DISTINCT_FROM && distinct(small.as_bytes()) <= 2;
    known || placeholder || monotone
}

fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    bytes
        .iter()
        .for_each(|&byte| seen[usize::from(byte)] = true);
    seen.iter().filter(|&&seen| seen).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_placeholders_and_monotony_are_guessable_and_random_text_is_not() {
        for text in [
            "salt",
            " ChangeMe ",
            "your-app-secret",
            "<AppSecret>",
            "192006250B4C09247EC02EDCE69F6A2D",
            "00000000",
            "abababababababababababababababab",
            "填在这里",
        ] {
            assert!(is_guessable(text), "{text}");
        }
        for text in ["", "s", "k7Qx0aZp", "5e8b0ec6c7f04d4ab6d3a0f1c1c3b0a9"] {
            assert!(!is_guessable(text), "{text}");
        }
        assert!(distinct(b"0123456789abcdefghijklmnopqrstuv") >= DISTINCT_MIN);
        assert!(distinct(&[0; 32]) < DISTINCT_MIN);
    }
}
