//! Secrets that cannot be printed by accident, and the one place that asks for randomness.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A value that must never be shown: no `Display`, `Debug` prints `[secret]`, wiped when dropped.
#[derive(Clone, Default)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Hides `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. The name is meant to be searched for.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl Secret<String> {
    /// Whether nothing was configured here.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `other` is the same text, in time that does not depend on where they differ.
    pub fn matches(&self, other: &str) -> bool {
        same(self.0.as_bytes(), other.as_bytes())
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl From<&str> for Secret<String> {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Whether two byte strings are equal, in constant time for equal lengths.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// `N` unpredictable bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[cfg(test)]
    if super::trial::fill(&mut bytes) {
        return bytes;
    }
    rand::fill(&mut bytes[..]);
    bytes
}

/// An unpredictable number, for an order number's random part.
pub fn random_u64() -> u64 {
    u64::from_le_bytes(random())
}

const ALPHANUMERIC: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `length` unpredictable characters of `[0-9A-Za-z]`, each equally likely.
pub fn random_text(length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let bytes: [u8; 32] = random();
        // 248 is the largest multiple of 62 in a byte: above it the choice would be uneven.
        let fair = bytes.iter().filter(|&&b| b < 248);
        let room = length - text.len();
        text.extend(
            fair.take(room)
                .map(|b| char::from(ALPHANUMERIC[usize::from(b % 62)])),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::from("192006250b4c09247ec02edce69f6a2d");
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert!(secret.matches("192006250b4c09247ec02edce69f6a2d"));
        assert!(!secret.matches("192006250b4c09247ec02edce69f6a2e"));
    }

    #[test]
    fn random_text_has_its_length_and_alphabet_and_does_not_repeat() {
        let (a, b) = (random_text(32), random_text(32));
        assert_eq!(a.len(), 32);
        assert!(a.bytes().all(|c| c.is_ascii_alphanumeric()));
        assert_ne!(a, b);
    }
}
