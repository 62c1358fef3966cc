//! The symmetric ciphers of WeChat's protocols, and the sealing of fields at rest.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext,
    PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroize;

use super::hash;

/// What does not open: wrong key, wrong length, altered text. It never says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text does not open with this key")]
pub struct CannotOpen;

/// Opens AES-256-GCM: `sealed` is the ciphertext followed by its 16-byte tag.
///
/// Source: 微信支付 APIv3 · 如何解密回调报文和平台证书.
///
/// # Errors
/// [`CannotOpen`] when the key is not 32 bytes, the nonce not 12, or the tag does not match.
pub fn gcm_open(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, CannotOpen> {
    gcm_open_with(&gcm_key(key)?, nonce, aad, sealed)
}

fn gcm_open_with(
    key: &LessSafeKey,
    nonce: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, CannotOpen> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotOpen)?;
    let mut text = sealed.to_vec();
    let plain = key
        .open_in_place(nonce, Aad::from(aad), &mut text)
        .map_err(|_| CannotOpen)?;
    let length = plain.len();
    text.truncate(length);
    Ok(text)
}

/// Seals with AES-256-GCM: the ciphertext followed by its 16-byte tag.
///
/// # Errors
/// [`CannotOpen`] when the key is not 32 bytes or the nonce not 12.
pub fn gcm_seal(key: &[u8], nonce: &[u8], aad: &[u8], text: &[u8]) -> Result<Vec<u8>, CannotOpen> {
    let key = gcm_key(key)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotOpen)?;
    let mut sealed = text.to_vec();
    key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed)
        .map_err(|_| CannotOpen)?;
    Ok(sealed)
}

fn gcm_key(key: &[u8]) -> Result<LessSafeKey, CannotOpen> {
    UnboundKey::new(&AES_256_GCM, key)
        .map(LessSafeKey::new)
        .map_err(|_| CannotOpen)
}

/// Opens AES-128-CBC with PKCS#7 padding. Source: 小程序 · 开放数据校验与解密.
///
/// # Errors
/// [`CannotOpen`] when key or iv are not 16 bytes, or the padding is not PKCS#7.
pub fn cbc128_open(key: &[u8], iv: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CannotOpen> {
    let key = UnboundCipherKey::new(&AES_128, key).map_err(|_| CannotOpen)?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| CannotOpen)?;
    let context = DecryptionContext::Iv128(FixedLength::from(sixteen(iv)?));
    let mut text = sealed.to_vec();
    Ok(key
        .decrypt(&mut text, context)
        .map_err(|_| CannotOpen)?
        .to_vec())
}

/// Opens AES-256-CBC and leaves the padding to the caller. Source: 小程序 · 消息推送.
///
/// # Errors
/// [`CannotOpen`] when the key is not 32 bytes, the iv not 16, or the text not whole blocks.
pub fn cbc256_open_unpadded(key: &[u8], iv: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CannotOpen> {
    let key = UnboundCipherKey::new(&AES_256, key).map_err(|_| CannotOpen)?;
    let key = DecryptingKey::cbc(key).map_err(|_| CannotOpen)?;
    let context = DecryptionContext::Iv128(FixedLength::from(sixteen(iv)?));
    let mut text = sealed.to_vec();
    Ok(key
        .decrypt(&mut text, context)
        .map_err(|_| CannotOpen)?
        .to_vec())
}

/// Seals whole blocks with AES-256-CBC, the caller having padded them.
///
/// # Errors
/// [`CannotOpen`] when the key is not 32 bytes, the iv not 16, or the text not whole blocks.
pub fn cbc256_seal_unpadded(key: &[u8], iv: &[u8], text: &[u8]) -> Result<Vec<u8>, CannotOpen> {
    let key = UnboundCipherKey::new(&AES_256, key).map_err(|_| CannotOpen)?;
    let key = EncryptingKey::cbc(key).map_err(|_| CannotOpen)?;
    let context = EncryptionContext::Iv128(FixedLength::from(sixteen(iv)?));
    let mut sealed = text.to_vec();
    key.less_safe_encrypt(&mut sealed, context)
        .map_err(|_| CannotOpen)?;
    Ok(sealed)
}

/// Opens AES-256-ECB with PKCS#7 padding. Source: 微信支付 APIv2 · 退款结果通知 (`req_info`).
///
/// # Errors
/// [`CannotOpen`] when the key is not 32 bytes or the padding is not PKCS#7.
pub fn ecb256_open(key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CannotOpen> {
    let key = UnboundCipherKey::new(&AES_256, key).map_err(|_| CannotOpen)?;
    let key = PaddedBlockDecryptingKey::ecb_pkcs7(key).map_err(|_| CannotOpen)?;
    let mut text = sealed.to_vec();
    Ok(key
        .decrypt(&mut text, DecryptionContext::None)
        .map_err(|_| CannotOpen)?
        .to_vec())
}

/// Seals with AES-256-ECB and PKCS#7 padding: the simulator's side of [`ecb256_open`].
///
/// # Errors
/// [`CannotOpen`] when the key is not 32 bytes.
pub fn ecb256_seal(key: &[u8], text: &[u8]) -> Result<Vec<u8>, CannotOpen> {
    let key = UnboundCipherKey::new(&AES_256, key).map_err(|_| CannotOpen)?;
    let key = PaddedBlockEncryptingKey::ecb_pkcs7(key).map_err(|_| CannotOpen)?;
    let mut sealed = text.to_vec();
    key.encrypt(&mut sealed).map_err(|_| CannotOpen)?;
    Ok(sealed)
}

fn sixteen(iv: &[u8]) -> Result<[u8; 16], CannotOpen> {
    iv.try_into().map_err(|_| CannotOpen)
}

/// The key that seals phones, addresses and session keys at rest (`[store] field_key`, 32 bytes).
#[derive(Clone)]
pub struct FieldKey {
    keys: Arc<FieldKeys>,
    id: [u8; 4],
}

/// Set up once: that takes longer than sealing a field. They are wiped when they are freed.
struct FieldKeys {
    seal: LessSafeKey,
    nonce: hmac::Key,
    index: hmac::Key,
}

impl fmt::Debug for FieldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// The layout of a sealed field: this byte, 4 bytes of key id, 12 of nonce, ciphertext and tag.
const SEALED_V1: u8 = 1;
/// What comes before the ciphertext.
const SEALED_HEAD: usize = 17;

impl FieldKey {
    /// The key made of these 32 bytes.
    pub fn new(mut bytes: [u8; 32]) -> Self {
        let [a, b, c, d, ..] = hash::hmac_sha256(&bytes, b"zhanggui field key id");
        let keyed = |name: &[u8]| {
            let mut key = hash::hmac_sha256(&bytes, name);
            let ready = hmac::Key::new(hmac::HMAC_SHA256, &key);
            key.zeroize();
            ready
        };
        let keys = Arc::new(FieldKeys {
            seal: gcm_key(&bytes).expect("AES-256 takes 32 bytes"),
            nonce: keyed(b"zhanggui field key nonce"),
            index: keyed(b"zhanggui field key index"),
        });
        bytes.zeroize();
        Self {
            keys,
            id: [a, b, c, d],
        }
    }

    /// Four bytes that name this key without telling it; sealed fields carry them.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Seals `text`. `place` binds the result to the record it is kept in.
    ///
    /// The nonce is a keyed digest of place and text, so that a transaction which is run again
    /// writes the same bytes: it tells only that the same place holds the same text.
    pub fn seal(&self, place: &[u8], text: &[u8]) -> Vec<u8> {
        let length = u64::try_from(place.len()).unwrap_or(u64::MAX).to_be_bytes();
        let mut digest = hmac::Context::with_key(&self.keys.nonce);
        for part in [&length[..], place, text] {
            digest.update(part);
        }
        let tag = digest.sign();
        let nonce = &tag.as_ref()[..12];
        let mut sealed = Vec::with_capacity(SEALED_HEAD + text.len() + AES_256_GCM.tag_len());
        sealed.push(SEALED_V1);
        for part in [&self.id[..], nonce, text] {
            sealed.extend_from_slice(part);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).expect("12 bytes");
        let body = &mut sealed[SEALED_HEAD..];
        let tag = self
            .keys
            .seal
            .seal_in_place_separate_tag(nonce, Aad::from(place), body)
            .expect("a field is shorter than AES-GCM's limit");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens what [`FieldKey::seal`] made for the same `place`.
    ///
    /// # Errors
    /// [`CannotOpen`] when it was sealed by another key, for another place, or was altered.
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CannotOpen> {
        let (head, body) = sealed.split_at_checked(SEALED_HEAD).ok_or(CannotOpen)?;
        if head[0] != SEALED_V1 || head[1..5] != self.id {
            return Err(CannotOpen);
        }
        gcm_open_with(&self.keys.seal, &head[5..], place, body)
    }

    /// A keyed digest of `text`, by which it can be searched without being kept.
    pub fn index(&self, text: &[u8]) -> [u8; 16] {
        let tag = hmac::sign(&self.keys.index, text);
        let mut short = [0; 16];
        short.copy_from_slice(&tag.as_ref()[..16]);
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_field_opens_only_with_its_key_and_in_its_place() {
        let key = FieldKey::new([7; 32]);
        let sealed = key.seal(b"user 1", b"13800000000");
        assert_eq!(
            key.open(b"user 1", &sealed).as_deref(),
            Ok(&b"13800000000"[..])
        );
        assert_eq!(key.open(b"user 2", &sealed), Err(CannotOpen));
        assert_eq!(
            FieldKey::new([8; 32]).open(b"user 1", &sealed),
            Err(CannotOpen)
        );
        assert_eq!(key.seal(b"user 1", b"13800000000"), sealed);
        assert_ne!(key.seal(b"user ", b"113800000000")[5..17], sealed[5..17]);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(key.open(b"user 1", &altered), Err(CannotOpen), "byte {at}");
        }
    }

    #[test]
    fn keys_and_ivs_of_wrong_length_are_refused_without_panic() {
        assert_eq!(gcm_open(&[0; 31], &[0; 12], b"", &[0; 32]), Err(CannotOpen));
        assert_eq!(gcm_open(&[0; 32], &[0; 11], b"", &[0; 32]), Err(CannotOpen));
        assert_eq!(gcm_open(&[0; 32], &[0; 12], b"", &[0; 3]), Err(CannotOpen));
        assert_eq!(cbc128_open(&[0; 15], &[0; 16], &[0; 16]), Err(CannotOpen));
        assert_eq!(cbc128_open(&[0; 16], &[0; 15], &[0; 16]), Err(CannotOpen));
        assert_eq!(cbc128_open(&[0; 16], &[0; 16], &[0; 15]), Err(CannotOpen));
        assert_eq!(cbc128_open(&[0; 16], &[0; 16], &[]), Err(CannotOpen));
        assert_eq!(ecb256_open(&[0; 32], &[0; 17]), Err(CannotOpen));
        assert_eq!(
            cbc256_open_unpadded(&[0; 32], &[0; 16], &[0; 17]),
            Err(CannotOpen)
        );
    }

    #[test]
    fn unpadded_blocks_come_back() {
        let sealed = cbc256_seal_unpadded(&[1; 32], &[2; 16], &[3; 64]).expect("whole blocks");
        assert_eq!(
            cbc256_open_unpadded(&[1; 32], &[2; 16], &sealed),
            Ok(vec![3; 64])
        );
    }
}
