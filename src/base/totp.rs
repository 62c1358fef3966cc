//! One-time codes of an authenticator app: six digits, a new one every 30 seconds.
//!
//! Source: RFC 6238 (TOTP), RFC 4226 (HOTP), with SHA-1, which every app can do.

use data_encoding::BASE32_NOPAD;

use super::{Secret, Timestamp, hash, secret};

/// How long a code is good, seconds.
const STEP_S: i64 = 30;
/// How many steps a phone's clock may be off, either way.
const SKEW: i64 = 1;
/// The length of a key, bytes: that of SHA-1's digest. Source: RFC 4226 · 4 (R6).
const KEY_BYTES: usize = 20;

/// What the app and we share.
#[derive(Clone, Debug)]
pub struct TotpKey(Secret<Vec<u8>>);

impl TotpKey {
    /// A fresh key.
    pub fn random() -> Self {
        Self::new(secret::random::<KEY_BYTES>().to_vec())
    }

    /// The key of these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Secret::new(bytes))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.reveal()
    }

    /// The key as an app reads it, `account` as the app shows it.
    ///
    /// Source: Google Authenticator · Key URI Format.
    pub fn uri(&self, issuer: &str, account: &str) -> Secret<String> {
        let key = BASE32_NOPAD.encode(self.bytes());
        let (issuer, account) = (percent_encoded(issuer), percent_encoded(account));
        Secret::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={key}&issuer={issuer}\
             &algorithm=SHA1&digits=6&period={STEP_S}"
        ))
    }

    /// The step that `code` is of, among those around `now` that are after `last`: a code is good
    /// once. Every candidate is compared, so the time tells nothing.
    pub fn step_of(&self, code: &str, now: Timestamp, last: i64) -> Option<i64> {
        let current = now.unix().div_euclid(STEP_S);
        let mut found = None;
        for step in current - SKEW..=current + SKEW {
            let is_it = self.code(step).matches(code);
            if is_it && step > last {
                found = Some(step);
            }
        }
        found
    }

    /// The code of a step. Source: RFC 4226 · 5.3.
    fn code(&self, step: i64) -> Secret<String> {
        let digest = hash::hmac_sha1(self.bytes(), &step.to_be_bytes());
        let from = usize::from(digest[19] & 0xf);
        let four = [
            digest[from] & 0x7f,
            digest[from + 1],
            digest[from + 2],
            digest[from + 3],
        ];
        Secret::new(format!("{:06}", u32::from_be_bytes(four) % 1_000_000))
    }
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> TotpKey {
        TotpKey::new(b"12345678901234567890".to_vec())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    #[test]
    fn codes_are_the_published_ones() {
        // Source: RFC 6238 · Appendix B, the last six of its eight digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            let step = key().step_of(code, at(seconds), 0);
            assert_eq!(step, Some(seconds / STEP_S), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_good_one_step_early_or_late_and_only_once() {
        let step = 59 / STEP_S;
        for (seconds, good) in [(0, true), (30, true), (60, true), (89, true), (90, false)] {
            let found = key().step_of("287082", at(seconds), 0);
            assert_eq!(found, good.then_some(step), "{seconds}");
        }
        assert_eq!(key().step_of("287082", at(59), step), None);
        assert_eq!(key().step_of("287082", at(59), step - 1), Some(step));
        for wrong in ["287083", "", "28708", "0287082", "２８７０８２"] {
            assert_eq!(key().step_of(wrong, at(59), 0), None, "{wrong}");
        }
    }

    #[test]
    fn an_app_can_read_the_key() {
        let uri = key().uri("zhanggui", "掌 柜&");
        assert_eq!(
            uri.reveal(),
            "otpauth://totp/zhanggui:%E6%8E%8C%20%E6%9F%9C%26\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=zhanggui\
             &algorithm=SHA1&digits=6&period=30"
        );
        assert!(!format!("{:?}", key()).contains("49"));
    }
}
