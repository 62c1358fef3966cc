//! Digests and keyed digests, in hexadecimal where the protocols print them so.

use aws_lc_rs::{digest, hmac};
use data_encoding::{HEXLOWER, HEXUPPER};
use md5::{Digest, Md5};

/// MD5 in 32 lower-case hexadecimal digits. For WeChat's protocols and our token form only.
pub fn md5_hex(text: &[u8]) -> String {
    HEXLOWER.encode(&Md5::digest(text))
}

/// MD5 in 32 upper-case hexadecimal digits. Source: 微信支付 APIv2 · 签名算法.
pub fn md5_hex_upper(text: &[u8]) -> String {
    HEXUPPER.encode(&Md5::digest(text))
}

/// SHA-1 in 40 lower-case hexadecimal digits. For WeChat's protocols only.
pub fn sha1_hex(text: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text).as_ref())
}

/// SHA-1 of a text that comes in parts. For WeChat's bills only.
#[derive(Clone)]
pub struct Sha1(digest::Context);

impl Default for Sha1 {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY))
    }
}

impl Sha1 {
    /// Takes the next part.
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The digest of all parts, in 40 lower-case hexadecimal digits.
    pub fn hex(self) -> String {
        HEXLOWER.encode(self.0.finish().as_ref())
    }
}

/// SHA-256, 32 bytes.
pub fn sha256(text: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, text).as_ref());
    bytes
}

/// SHA-256 of what comes in parts.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Sha256 {
    /// Takes the next part.
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The digest of all parts, in 64 lower-case hexadecimal digits.
    pub fn hex(self) -> String {
        HEXLOWER.encode(self.0.finish().as_ref())
    }
}

/// HMAC-SHA256, 32 bytes.
pub fn hmac_sha256(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    bytes.copy_from_slice(hmac::sign(&key, text).as_ref());
    bytes
}

/// HMAC-SHA1, 20 bytes. For one-time codes only.
pub fn hmac_sha1(key: &[u8], text: &[u8]) -> [u8; 20] {
    let mut bytes = [0; 20];
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    bytes.copy_from_slice(hmac::sign(&key, text).as_ref());
    bytes
}

/// HMAC-SHA256 in 64 upper-case hexadecimal digits. Source: 微信支付 APIv2 · 签名算法.
pub fn hmac_sha256_hex_upper(key: &[u8], text: &[u8]) -> String {
    HEXUPPER.encode(&hmac_sha256(key, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_published_ones() {
        assert_eq!(md5_hex(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(md5_hex_upper(b"abc"), "900150983CD24FB0D6963F7D28E17F72");
        assert_eq!(sha1_hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let mut in_parts = Sha1::default();
        for part in ["a", "", "bc"] {
            in_parts.update(part.as_bytes());
        }
        assert_eq!(in_parts.hex(), sha1_hex(b"abc"));
        assert_eq!(
            HEXLOWER.encode(&sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hmac_sha256_hex_upper(b"Jefe", b"what do ya want for nothing?"),
            "5BDCC146BF60754E6A042426089575C75A003F089D2739839DEC58B964EC3843"
        );
    }
}
