//! The v2 signature: which fields, in which order, under which digest.

use std::str::FromStr;

use crate::base::xml::Fields;
use crate::base::{Secret, hash, secret};

/// The digest of a v2 signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignType {
    /// `MD5`: what WeChat assumes when nothing is said.
    Md5,
    /// `HMAC-SHA256`.
    HmacSha256,
}

impl SignType {
    /// WeChat's name of it, in `sign_type` and `signType`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::HmacSha256 => "HMAC-SHA256",
        }
    }
}

impl FromStr for SignType {
    type Err = UnknownSignType;

    fn from_str(text: &str) -> Result<Self, UnknownSignType> {
        match text {
            "MD5" => Ok(Self::Md5),
            "HMAC-SHA256" => Ok(Self::HmacSha256),
            _ => Err(UnknownSignType),
        }
    }
}

/// A sign type that is neither `MD5` nor `HMAC-SHA256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("签名类型只能是 MD5 或 HMAC-SHA256")]
pub struct UnknownSignType;

/// The merchant's side of v2.
#[derive(Clone, Debug)]
pub struct V2Keys {
    /// The API key (APIv2密钥), 32 bytes. Empty: nothing is signed and nothing is believed.
    pub key: Secret<String>,
    /// The digest of new payments.
    pub sign_type: SignType,
}

/// The string that is signed for a v2 message: non-empty fields by name, then the key.
///
/// `sign` itself is left out. Values stand raw, names sort as bytes.
///
/// Source: 微信支付 APIv2 · 签名算法.
pub fn signing_string(fields: &Fields, key: &Secret<String>) -> Secret<String> {
    let mut signed: Vec<(&str, &str)> = fields
        .iter()
        .filter(|(name, value)| *name != "sign" && !value.is_empty())
        .collect();
    signed.sort_unstable();
    let length: usize = signed.iter().map(|(n, v)| n.len() + v.len() + 2).sum();
    // Grown once to its full size: a string that moves leaves the key behind in freed memory.
    let mut text = String::with_capacity(length + 4 + key.reveal().len());
    for (name, value) in signed {
        text.push_str(name);
        text.push('=');
        text.push_str(value);
        text.push('&');
    }
    text.push_str("key=");
    text.push_str(key.reveal());
    Secret::new(text)
}

/// The signature of `fields`: 32 or 64 upper-case hexadecimal digits.
///
/// Source: 微信支付 APIv2 · 签名算法.
pub fn sign(fields: &Fields, key: &Secret<String>, sign_type: SignType) -> String {
    let text = signing_string(fields, key);
    match sign_type {
        SignType::Md5 => hash::md5_hex_upper(text.reveal().as_bytes()),
        SignType::HmacSha256 => {
            hash::hmac_sha256_hex_upper(key.reveal().as_bytes(), text.reveal().as_bytes())
        }
    }
}

/// Whether `sign` in `fields` is the signature of all other fields, known to us or not.
///
/// Never true without a `sign` or under an empty key, under which anyone could sign.
/// The digest is the one agreed on; the length of what was received decides nothing.
///
/// Source: 微信支付 APIv2 · 签名算法.
pub fn verifies(fields: &Fields, key: &Secret<String>, sign_type: SignType) -> bool {
    let received = fields.text("sign");
    if received.is_empty() || key.is_empty() {
        return false;
    }
    secret::same(sign(fields, key, sign_type).as_bytes(), received.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wechat::vectors::{self, text};

    #[test]
    fn every_sign_vector_gives_its_string_and_its_signature() {
        let all = vectors::v2("sign_v2");
        assert_eq!(all.len(), 31);
        for vector in &all {
            let key = Secret::from(text(vector, "key"));
            let fields = vectors::fields(&vector["params"]);
            let string = signing_string(&fields, &key);
            assert_eq!(
                string.reveal(),
                text(vector, "string_to_sign"),
                "{}",
                vector["id"]
            );
            let sign_type = text(vector, "sign_type").parse().unwrap();
            let sign = sign(&fields, &key, sign_type);
            assert_eq!(sign, text(vector, "expected"), "{}", vector["id"]);
            let signed = fields.with("sign", sign);
            assert!(verifies(&signed, &key, sign_type), "{}", vector["id"]);
        }
    }

    #[test]
    fn every_verify_vector_is_judged_as_it_says() {
        let all = vectors::v2("verify_v2");
        assert_eq!(all.len(), 3);
        for vector in &all {
            let key = Secret::from(text(vector, "key"));
            let sign_type = text(vector, "sign_type").parse().unwrap();
            let valid = verifies(&vectors::fields(&vector["params"]), &key, sign_type);
            assert_eq!(valid, vector["expected_valid"], "{}", vector["id"]);
        }
    }

    #[test]
    fn every_parse_vector_reads_verbatim_and_verifies_where_it_is_signed() {
        let all = vectors::v2("xml_parse");
        assert_eq!(all.len(), 3);
        for vector in &all {
            let fields = Fields::parse(text(vector, "xml").as_bytes(), "xml").unwrap();
            assert_eq!(
                vectors::sorted(&fields),
                vectors::sorted(&vectors::fields(&vector["expected"])),
                "{}",
                vector["id"]
            );
            if vector["expected_valid"] == true {
                let key = Secret::from(text(vector, "key"));
                let sign_type = text(vector, "sign_type").parse().unwrap();
                assert!(verifies(&fields, &key, sign_type), "{}", vector["id"]);
            }
        }
    }

    #[test]
    fn every_reject_vector_is_refused_before_it_is_read() {
        let all = vectors::v2("xml_reject");
        assert_eq!(all.len(), 6);
        for vector in &all {
            let read = Fields::parse(text(vector, "xml").as_bytes(), "xml");
            assert!(read.is_err(), "{}", vector["id"]);
        }
    }

    #[test]
    fn nothing_verifies_under_an_empty_key() {
        let fields = Fields::new().with("a", "1");
        let empty = Secret::from("");
        for sign_type in [SignType::Md5, SignType::HmacSha256] {
            let signed = fields
                .clone()
                .with("sign", sign(&fields, &empty, sign_type));
            assert!(!verifies(&signed, &empty, sign_type));
        }
    }

    #[test]
    fn one_altered_character_of_any_field_or_of_the_sign_is_refused() {
        let key = Secret::from("0123456789abcdefghijklmnopqrstuv");
        let fields = Fields::new().with("a", "x").with("b", "0").with("c", "中");
        let signed = fields
            .clone()
            .with("sign", sign(&fields, &key, SignType::Md5));
        assert!(verifies(&signed, &key, SignType::Md5));
        for (name, _) in signed.iter() {
            let altered = signed.clone().with(name, format!("{}1", signed.text(name)));
            assert!(!verifies(&altered, &key, SignType::Md5), "{name}");
        }
        let more = signed.clone().with("d", "1");
        assert!(!verifies(&more, &key, SignType::Md5));
        assert!(!verifies(&signed, &key, SignType::HmacSha256));
    }
}
