//! The v2 signature as WeChat computes it, written from the documents alone.
//!
//! This is the referee's own pen: it shares nothing with the player's (`wechat`).

use crate::base::hash::{hmac_sha256_hex_upper, md5_hex_upper};
use crate::base::secret::same;
use crate::base::xml::Fields;
use crate::base::{Secret, hash};

/// The algorithms of v2. Source: 微信支付 APIv2 · 签名算法.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignType {
    Md5,
    HmacSha256,
}

impl SignType {
    /// Reads `sign_type`; the empty text is the default, MD5.
    pub(super) fn from_field(text: &str) -> Option<Self> {
        match text {
            "" | "MD5" => Some(Self::Md5),
            "HMAC-SHA256" => Some(Self::HmacSha256),
            _ => None,
        }
    }

    /// The name in `sign_type` and `signType`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::HmacSha256 => "HMAC-SHA256",
        }
    }

    /// The digest of a finished string, in upper-case hexadecimal.
    pub(super) fn digest(self, string: &str, key: &Secret<String>) -> String {
        match self {
            Self::Md5 => md5_hex_upper(string.as_bytes()),
            Self::HmacSha256 => hmac_sha256_hex_upper(key.reveal().as_bytes(), string.as_bytes()),
        }
    }
}

/// Joins the non-empty fields but `sign`, by name in ASCII order, then the key.
///
/// Source: 微信支付 APIv2 · 签名算法.
pub(super) fn string_to_sign<'a>(
    fields: impl Iterator<Item = (&'a str, &'a str)>,
    key: &Secret<String>,
) -> String {
    format!("{}&key={}", joined(fields), key.reveal())
}

/// The sorted `name=value` pairs without the key.
pub(super) fn joined<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut pairs: Vec<_> = fields
        .filter(|(name, value)| *name != "sign" && !value.is_empty())
        .collect();
    pairs.sort_unstable();
    let mut text = String::with_capacity(512);
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// The signature of a message.
pub(super) fn sign(fields: &Fields, key: &Secret<String>, sign_type: SignType) -> String {
    sign_type.digest(&string_to_sign(fields.iter(), key), key)
}

/// Whether `sign` stands in the message and is right. Upper case only.
pub(super) fn verifies(fields: &Fields, key: &Secret<String>, sign_type: SignType) -> bool {
    let given = fields.text("sign");
    same(sign(fields, key, sign_type).as_bytes(), given.as_bytes())
}

/// The fingerprint by which a repeated order is told from a changed one: all but nonce and sign.
///
/// Source: 微信支付 APIv2 · 统一下单, 重入.
pub(super) fn fingerprint(fields: &Fields) -> [u8; 32] {
    let lasting = fields.iter().filter(|(name, _)| *name != "nonce_str");
    hash::sha256(joined(lasting).as_bytes())
}
