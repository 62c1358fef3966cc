//! Message push (消息推送): who sent it, and what the secure mode hides. Pure.
//!
//! Not what the events mean. Source: 小程序 · 消息推送.

use std::time::Duration;

use data_encoding::{BASE64, BASE64_NOPAD};

use crate::base::{AppId, Secret, Timestamp, cipher, hash, secret};

/// Bytes of the secure mode's random head.
const RANDOM: usize = 16;
/// The secure mode pads to this many bytes, twice the cipher's block.
const BLOCK: usize = 32;

/// How far a push's time may lie from ours, either way.
const FRESH: Duration = Duration::from_secs(300);

/// Why a push is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPush {
    /// The token or key of this mode is not configured.
    #[error("消息推送的 Token 或 EncodingAESKey 没有配置")]
    NotConfigured,
    /// `EncodingAESKey` is not 43 characters of base64.
    #[error("EncodingAESKey 应为 43 个字符")]
    BadKey,
    /// The signature is missing or wrong.
    #[error("消息推送的签名不对")]
    BadSignature,
    /// It was made too long ago, or bears no time.
    #[error("消息推送的时间与本机相差太多")]
    Stale,
    /// It does not open, or is meant for another program.
    #[error("消息推送无法解密，或不属于本小程序")]
    CannotOpen,
}

/// The query values that come with a push.
#[derive(Clone, Copy, Debug)]
pub struct PushQuery<'a> {
    /// `timestamp`.
    pub timestamp: &'a str,
    /// `nonce`.
    pub nonce: &'a str,
    /// `signature` of a plain push and of the URL check, `msg_signature` of a secure one.
    pub signature: &'a str,
}

/// The hexadecimal SHA-1 of the parts, sorted as texts and joined.
///
/// Source: 小程序 · 消息推送 · 验证消息的确来自微信服务器.
fn signature_of(parts: &mut [&str]) -> String {
    parts.sort_unstable();
    hash::sha1_hex(parts.concat().as_bytes())
}

/// Verifies the URL check and a plain push, whose signature does not cover the body.
///
/// # Errors
/// [`BadPush::NotConfigured`] or [`BadPush::BadSignature`].
pub fn verify_plain(token: &Secret<String>, query: PushQuery<'_>) -> Result<(), BadPush> {
    verify(token, query, None)
}

fn verify(
    token: &Secret<String>,
    query: PushQuery<'_>,
    sealed: Option<&str>,
) -> Result<(), BadPush> {
    if token.is_empty() {
        return Err(BadPush::NotConfigured);
    }
    let mut parts = vec![token.reveal().as_str(), query.timestamp, query.nonce];
    parts.extend(sealed);
    if secret::same(
        signature_of(&mut parts).as_bytes(),
        query.signature.as_bytes(),
    ) {
        Ok(())
    } else {
        Err(BadPush::BadSignature)
    }
}

/// Whether a push that names `timestamp` was made within five minutes of `now`. What was heard
/// once can be sent again by anyone: this bounds for how long.
pub fn is_fresh(timestamp: &str, now: Timestamp) -> bool {
    let digits = !timestamp.is_empty() && timestamp.bytes().all(|b| b.is_ascii_digit());
    let made = timestamp.parse::<i64>().ok().filter(|_| digits);
    made.map(Timestamp::from_unix)
        .is_some_and(|made| now.since(made).max(made.since(now)) <= FRESH)
}

/// What the secure mode needs.
#[derive(Clone, Debug)]
pub struct PushKeys {
    token: Secret<String>,
    aes_key: Secret<Vec<u8>>,
    appid: AppId,
}

impl PushKeys {
    /// The keys of the console's settings page.
    ///
    /// # Errors
    /// [`BadPush::NotConfigured`] when one is empty, [`BadPush::BadKey`].
    pub fn new(
        token: Secret<String>,
        encoding_aes_key: &Secret<String>,
        appid: AppId,
    ) -> Result<Self, BadPush> {
        if token.is_empty() || encoding_aes_key.is_empty() {
            return Err(BadPush::NotConfigured);
        }
        let aes_key = Secret::new(decoded_key(encoding_aes_key).ok_or(BadPush::BadKey)?);
        Ok(Self {
            token,
            aes_key,
            appid,
        })
    }

    /// Verifies and opens a secure push; `sealed` is its `Encrypt`.
    ///
    /// # Errors
    /// [`BadPush::BadSignature`] before anything is decrypted, then [`BadPush::CannotOpen`].
    ///
    /// Source: 小程序 · 消息推送 · 安全模式.
    pub fn open(&self, query: PushQuery<'_>, sealed: &str) -> Result<Vec<u8>, BadPush> {
        verify(&self.token, query, Some(sealed))?;
        self.decrypt(sealed).ok_or(BadPush::CannotOpen)
    }

    /// 16 random bytes, 4 bytes of length, the message, the appid, and padding.
    fn decrypt(&self, sealed: &str) -> Option<Vec<u8>> {
        let sealed = BASE64.decode(sealed.as_bytes()).ok()?;
        let key = self.aes_key.reveal();
        let padded = cipher::cbc256_open_unpadded(key, &key[..16], &sealed).ok()?;
        let text = without_padding(&padded)?;
        let (_, text) = text.split_at_checked(RANDOM)?;
        let (length, text) = text.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (message, appid) = text.split_at_checked(length)?;
        (appid == self.appid.as_str().as_bytes()).then(|| message.to_vec())
    }
}

/// The 43rd character may carry bits that belong to no byte, which a strict decoder refuses.
fn decoded_key(text: &Secret<String>) -> Option<Vec<u8>> {
    if text.reveal().len() != 43 {
        return None;
    }
    let mut lenient = BASE64_NOPAD.specification();
    lenient.check_trailing_bits = false;
    let lenient = lenient
        .encoding()
        .expect("base64 without its check of trailing bits");
    lenient.decode(text.reveal().as_bytes()).ok()
}

fn without_padding(padded: &[u8]) -> Option<&[u8]> {
    let last = *padded.last()?;
    let count = usize::from(last);
    if !(1..=BLOCK).contains(&count) || !padded.len().is_multiple_of(BLOCK) {
        return None;
    }
    let (text, padding) = padded.split_at_checked(padded.len().checked_sub(count)?)?;
    padding.iter().all(|&b| b == last).then_some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::Value;

    use super::*;
    use crate::wechat::vectors::{self, text};

    fn query<'a>(vector: &'a Value, signature: &str) -> PushQuery<'a> {
        PushQuery {
            timestamp: text(vector, "timestamp"),
            nonce: text(vector, "nonce"),
            signature: text(vector, signature),
        }
    }

    fn push_keys(vector: &Value) -> PushKeys {
        let token = Secret::from(text(vector, "token"));
        let key = Secret::from(text(vector, "encoding_aes_key"));
        PushKeys::new(token, &key, text(vector, "appid").parse().unwrap()).unwrap()
    }

    #[test]
    fn every_push_signature_vector_verifies() {
        let all = vectors::v2("push_signature");
        assert_eq!(all.len(), 4);
        for vector in &all {
            let token = Secret::from(text(vector, "token"));
            let genuine = query(vector, "expected");
            assert_eq!(verify_plain(&token, genuine), Ok(()), "{}", vector["id"]);
            let altered = PushQuery {
                nonce: "1",
                ..genuine
            };
            assert_eq!(verify_plain(&token, altered), Err(BadPush::BadSignature));
            let refused = verify_plain(&Secret::from(""), genuine);
            assert_eq!(refused, Err(BadPush::NotConfigured));
        }
    }

    #[test]
    fn every_secure_push_opens_to_its_message_unless_it_is_anothers() {
        let all = vectors::v2("push_encrypted");
        assert_eq!(all.len(), 5);
        for vector in &all {
            let sealed = text(vector, "Encrypt");
            let opened = push_keys(vector).open(query(vector, "msg_signature"), sealed);
            if vector["expected_accept"] == false {
                assert_eq!(opened, Err(BadPush::CannotOpen), "{}", vector["id"]);
                // Its own appid opens it: the appid is all that was wrong.
                let appid = text(vector, "embedded_appid").parse().unwrap();
                let theirs = PushKeys {
                    appid,
                    ..push_keys(vector)
                };
                assert!(theirs.open(query(vector, "msg_signature"), sealed).is_ok());
                continue;
            }
            let message = opened.unwrap();
            assert_eq!(
                message,
                text(vector, "message").as_bytes(),
                "{}",
                vector["id"]
            );
            assert_eq!(message.len(), vector["msg_len"], "{}", vector["id"]);
        }
    }

    #[test]
    fn a_wrong_signature_is_refused_before_decryption() {
        let all = vectors::v2("push_encrypted_negative");
        assert_eq!(all.len(), 1);
        let vector = &all[0];
        let keys = push_keys(vector);
        for sealed in [text(vector, "Encrypt"), "not base64", ""] {
            let opened = keys.open(query(vector, "msg_signature"), sealed);
            assert_eq!(opened, Err(BadPush::BadSignature));
        }
    }

    #[test]
    fn what_is_signed_but_malformed_does_not_open() {
        let vector = &vectors::v2("push_encrypted")[0];
        let keys = push_keys(vector);
        let seal = |plain: &[u8]| {
            let key = keys.aes_key.reveal();
            let sealed = cipher::cbc256_seal_unpadded(key, &key[..16], plain).unwrap();
            BASE64.encode(&sealed)
        };
        let block = |last: u8, length: u8| {
            let mut plain = vec![last; 64];
            plain[16..20].copy_from_slice(&[0, 0, 0, length]);
            seal(&plain)
        };
        let table = [
            block(0, 1),
            block(33, 1),
            block(32, 255),
            block(32, 12),
            seal(&[16; 16]),
            uneven(&keys, &seal),
        ];
        for sealed in table {
            let mut parts = vec![keys.token.reveal().as_str(), "1", "2", sealed.as_str()];
            let signature = signature_of(&mut parts);
            let query = PushQuery {
                timestamp: "1",
                nonce: "2",
                signature: &signature,
            };
            assert_eq!(keys.open(query, &sealed), Err(BadPush::CannotOpen));
        }
    }

    /// A message that is whole but for the first byte of its padding.
    fn uneven(keys: &PushKeys, seal: &dyn Fn(&[u8]) -> String) -> String {
        let mut plain = [
            &[7; 16][..],
            &[0, 0, 0, 1],
            b"m",
            keys.appid.as_str().as_bytes(),
        ]
        .concat();
        let padding = BLOCK - plain.len() % BLOCK;
        let count = u8::try_from(padding).unwrap();
        plain.extend(std::iter::repeat_n(count, padding));
        assert!(keys.decrypt(&seal(&plain)).is_some());
        let first = plain.len() - padding;
        plain[first] ^= 1;
        seal(&plain)
    }

    #[test]
    fn a_push_is_fresh_for_five_minutes_either_way() {
        let now = Timestamp::from_unix(1_000_000);
        for (timestamp, fresh) in [
            ("1000000", true),
            ("999700", true),
            ("1000300", true),
            ("999699", false),
            ("1000301", false),
            ("", false),
            ("-5", false),
            ("+1000000", false),
            ("99999999999999999999", false),
        ] {
            assert_eq!(is_fresh(timestamp, now), fresh, "{timestamp}");
        }
    }

    #[test]
    fn a_key_that_is_empty_or_no_key_is_named() {
        let build = |token: &str, key: &str| {
            let appid = "wx1".parse().unwrap();
            PushKeys::new(Secret::from(token), &Secret::from(key), appid).map(|_| ())
        };
        assert_eq!(build("", &"A".repeat(43)), Err(BadPush::NotConfigured));
        assert_eq!(build("t", ""), Err(BadPush::NotConfigured));
        assert_eq!(build("t", &"A".repeat(42)), Err(BadPush::BadKey));
        assert_eq!(build("t", &"!".repeat(43)), Err(BadPush::BadKey));
    }
}
