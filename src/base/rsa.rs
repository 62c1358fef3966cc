//! RSA: the signatures of APIv3 (PKCS#1 v1.5, SHA-256) and its sealed fields (OAEP, SHA-1). Keys
//! are read from PEM.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeyPair, KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use data_encoding::BASE64;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use super::cipher::CannotOpen;

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not a PEM block of the kind asked for.
    #[error("not a PEM block of this kind")]
    Pem,
    /// A PEM block, but not an RSA key of 2048 bits or more.
    #[error("not an RSA key of 2048 bits or more")]
    Rsa,
}

/// A text that is too long to be sealed for an RSA key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is too long for this key")]
pub struct TooLong;

/// An RSA private key. Never printed.
pub struct PrivateKey(KeyPair);

impl PrivateKey {
    /// Reads PKCS#8 PEM (`BEGIN PRIVATE KEY`). Source: pay-v3.md §1, `apiclient_key.pem`.
    ///
    /// # Errors
    /// [`BadKey::Pem`] or [`BadKey::Rsa`].
    pub fn from_pem(pem: &str) -> Result<Self, BadKey> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| BadKey::Pem)?;
        let key = KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| BadKey::Rsa)?;
        if key.public_modulus_len() < 256 {
            Err(BadKey::Rsa)
        } else {
            Ok(Self(key))
        }
    }

    /// A new 2048-bit key: for the simulator, which plays both WeChat and a merchant's platform.
    pub fn generate() -> Self {
        Self(KeyPair::generate(KeySize::Rsa2048).expect("key generation fails only without memory"))
    }

    /// The key as PKCS#8 PEM.
    pub fn to_pem(&self) -> String {
        let der: Pkcs8V1Der<'_> = self.0.as_der().expect("an RSA key has a PKCS#8 form");
        pem("PRIVATE KEY", der.as_ref())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let der: PublicKeyX509Der<'_> = self
            .0
            .public_key()
            .as_der()
            .expect("an RSA key has an SPKI form");
        PublicKey::from_spki(der.as_ref()).expect("the public half of a checked key")
    }

    /// The signature of `text`, standard base64. Deterministic.
    pub fn sign(&self, text: &[u8]) -> String {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                text,
                &mut signature,
            )
            .expect("a checked key signs");
        BASE64.encode(&signature)
    }
}

impl PrivateKey {
    /// Opens what was sealed for this key: standard base64 of OAEP with SHA-1 and an empty label.
    ///
    /// Source: 微信支付 APIv3 · 敏感信息加解密.
    ///
    /// # Errors
    /// [`CannotOpen`], whatever is wrong.
    pub fn open(&self, sealed: &str) -> Result<Vec<u8>, CannotOpen> {
        let sealed = BASE64.decode(sealed.as_bytes()).map_err(|_| CannotOpen)?;
        let der: Pkcs8V1Der<'_> = self.0.as_der().map_err(|_| CannotOpen)?;
        let key = PrivateDecryptingKey::from_pkcs8(der.as_ref()).map_err(|_| CannotOpen)?;
        let key = OaepPrivateDecryptingKey::new(key).map_err(|_| CannotOpen)?;
        let mut plain = vec![0; key.min_output_size()];
        let length = key
            .decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut plain, None)
            .map_err(|_| CannotOpen)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// An RSA public key.
#[derive(Clone)]
pub struct PublicKey {
    key: ParsedPublicKey,
    spki: Vec<u8>,
}

impl PublicKey {
    /// Reads SPKI PEM (`BEGIN PUBLIC KEY`). Source: pay-v3.md §1, WeChat Pay public key.
    ///
    /// # Errors
    /// [`BadKey::Pem`] or [`BadKey::Rsa`].
    pub fn from_pem(pem: &str) -> Result<Self, BadKey> {
        let der =
            SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| BadKey::Pem)?;
        Self::from_spki(der.as_ref())
    }

    pub(super) fn from_spki(spki: &[u8]) -> Result<Self, BadKey> {
        let key =
            ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki).map_err(|_| BadKey::Rsa)?;
        Ok(Self {
            key,
            spki: spki.to_vec(),
        })
    }

    /// The key as SPKI DER.
    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The key as SPKI PEM.
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki)
    }

    /// Seals `text` for the owner of this key: standard base64 of OAEP with SHA-1 and an empty
    /// label. At most 214 bytes for a key of 2048 bits.
    ///
    /// Source: 微信支付 APIv3 · 敏感信息加解密.
    ///
    /// # Errors
    /// [`TooLong`]: nothing is ever cut.
    pub fn seal(&self, text: &[u8]) -> Result<String, TooLong> {
        let key = PublicEncryptingKey::from_der(&self.spki).expect("a checked RSA key");
        let key = OaepPublicEncryptingKey::new(key).expect("a checked RSA key encrypts");
        if text.len() > key.max_plaintext_size(&OAEP_SHA1_MGF1SHA1) {
            return Err(TooLong);
        }
        let mut sealed = vec![0; key.ciphertext_size()];
        let sealed = key
            .encrypt(&OAEP_SHA1_MGF1SHA1, text, &mut sealed, None)
            .expect("a text of this length is encrypted");
        Ok(BASE64.encode(sealed))
    }

    /// Whether `signature` (standard base64, strict) is this key's signature of `text`.
    pub fn verifies(&self, text: &[u8], signature: &str) -> bool {
        let Ok(signature) = BASE64.decode(signature.as_bytes()) else {
            return false;
        };
        self.key.verify_sig(text, &signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(RSA)")
    }
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let base64 = BASE64.encode(der);
    let lines: Vec<_> = base64
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_signs_what_its_public_half_verifies_and_both_survive_pem() {
        let key = PrivateKey::from_pem(&PrivateKey::generate().to_pem()).expect("own PEM");
        let public = PublicKey::from_pem(&key.public().to_pem()).expect("own PEM");
        let signature = key.sign(b"text\n");
        assert!(public.verifies(b"text\n", &signature));
        assert!(!public.verifies(b"text", &signature));
        assert!(!public.verifies(b"text\n", "WECHATPAY/SIGNTEST/x"));
        assert_eq!(format!("{key:?}"), "[secret]");
    }

    #[test]
    fn what_is_no_key_is_named() {
        assert_eq!(PublicKey::from_pem("nothing").err(), Some(BadKey::Pem));
        let junk = pem("PUBLIC KEY", b"junk");
        assert_eq!(PublicKey::from_pem(&junk).err(), Some(BadKey::Rsa));
    }
}
