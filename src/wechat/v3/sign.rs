//! Signing v3 requests. Pure: time, nonce and key are handed in.

use crate::base::rsa::PrivateKey;
use crate::base::{MchId, Timestamp};

/// A request as it goes on the wire, with what its signature needs beside the key.
#[derive(Clone, Debug)]
pub struct Signing<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Path and query, percent-encoded exactly as sent.
    pub path: &'a str,
    /// The exact body; empty for `GET`.
    pub body: &'a str,
    /// Now.
    pub now: Timestamp,
    /// A fresh random text, at most 32 characters.
    pub nonce_str: &'a str,
}

impl Signing<'_> {
    /// Five lines, each ended by LF. Source: 微信支付 APIv3 · 如何生成请求签名.
    pub fn signing_string(&self) -> String {
        format!(
            "{}\n{}\n{}\n{}\n{}\n",
            self.method,
            self.path,
            self.now.unix(),
            self.nonce_str,
            self.body
        )
    }

    /// The value of the `Authorization` header. Source: 微信支付 APIv3 · 如何生成请求签名.
    pub fn authorization(&self, mchid: &MchId, serial: &str, key: &PrivateKey) -> String {
        format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{mchid}\",nonce_str=\"{}\",signature=\"{}\",\
             timestamp=\"{}\",serial_no=\"{serial}\"",
            self.nonce_str,
            key.sign(self.signing_string().as_bytes()),
            self.now.unix(),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use data_encoding::HEXLOWER;
    use serde_json::Value;

    use super::*;
    use crate::base::hash;
    use crate::wechat::v3::prepay::second_signing_string;
    use crate::wechat::vectors::{self, text};

    fn at(vector: &Value) -> Timestamp {
        Timestamp::from_unix(text(vector, "timestamp").parse().unwrap())
    }

    fn signing(vector: &Value) -> Signing<'_> {
        Signing {
            method: text(vector, "method"),
            path: text(vector, "canonical_url"),
            body: text(vector, "body"),
            now: at(vector),
            nonce_str: text(vector, "nonce_str"),
        }
    }

    #[test]
    fn every_request_vector_is_signed_bit_for_bit() {
        let (all, key) = (vectors::v3("request_sign"), vectors::merchant_key());
        assert_eq!(all.len(), 15);
        for vector in &all {
            let (signing, expected) = (signing(vector), &vector["expected"]);
            let string = signing.signing_string();
            assert_eq!(string, text(expected, "string_to_sign"), "{}", vector["id"]);
            let digest = HEXLOWER.encode(&hash::sha256(string.as_bytes()));
            assert_eq!(
                digest,
                text(expected, "string_to_sign_sha256"),
                "{}",
                vector["id"]
            );
            assert_eq!(key.sign(string.as_bytes()), text(expected, "signature"));
            let mchid = text(vector, "mchid").parse().unwrap();
            let header = signing.authorization(&mchid, text(vector, "serial_no"), &key);
            assert_eq!(header, text(expected, "authorization"), "{}", vector["id"]);
        }
    }

    #[test]
    fn every_official_signature_is_judged_as_it_says() {
        let all = vectors::v3("official_verify");
        assert_eq!(all.len(), 4);
        for vector in &all {
            let (parts, string) = (&vector["parts"], text(vector, "string_to_sign"));
            let ours = if parts.get("method").is_some() {
                signing(parts).signing_string()
            } else {
                let prepay_id = text(parts, "prepay_id").parse().unwrap();
                let ours = second_signing_string(
                    text(parts, "appid"),
                    at(parts),
                    text(parts, "nonce_str"),
                    &prepay_id,
                );
                // The APP flavour, shown for contrast, signs the bare id.
                let is_app = vector["id"] == "official-003-app-sign";
                if is_app {
                    ours.replace("prepay_id=", "")
                } else {
                    ours
                }
            };
            assert_eq!(ours, string, "{}", vector["id"]);
            let key = vectors::public_key(text(vector, "verify_key"));
            let accepted = key.verifies(string.as_bytes(), text(vector, "signature"));
            let expected = vector["expected"]["result"] == "accept";
            assert_eq!(accepted, expected, "{}", vector["id"]);
        }
    }
}
