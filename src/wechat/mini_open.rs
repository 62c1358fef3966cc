//! What a session key opens and proves: encrypted user texts, `rawData`, login-state signatures.
//!
//! Pure. Source: 小程序 · 开放数据校验与解密, 检验登录态.

use data_encoding::{BASE64, HEXLOWER};
use serde_json::Value;

use crate::base::{AppId, Secret, Timestamp, cipher, hash, secret};

/// A text that cannot be believed: it does not open, is no JSON, or is meant for another program.
///
/// It never says which, so that nobody learns from it. The usual cause is a stale session key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("解密失败：登录态可能已更新，请重新 wx.login 后再取一次加密内容")]
pub struct NotOpened;

/// An opened text of a user.
#[derive(Clone, Debug, PartialEq)]
pub struct UserText {
    /// The JSON object, with its watermark.
    pub object: Value,
    /// When WeChat sealed it.
    pub sealed_at: Timestamp,
}

/// Opens `encryptedData` and checks that its watermark is ours.
///
/// # Errors
/// [`NotOpened`], whatever is wrong.
///
/// Source: 小程序 · 开放数据校验与解密.
pub fn open(
    appid: &AppId,
    session_key: &Secret<String>,
    iv: &str,
    encrypted: &str,
) -> Result<UserText, NotOpened> {
    let plain = decrypt(session_key, iv, encrypted).ok_or(NotOpened)?;
    let object: Value = serde_json::from_slice(&plain).map_err(|_| NotOpened)?;
    let watermark = object.get("watermark").ok_or(NotOpened)?;
    let sealed_at = watermark.get("timestamp").and_then(Value::as_i64);
    let sealed_at = sealed_at.map(Timestamp::from_unix).ok_or(NotOpened)?;
    if watermark.get("appid").and_then(Value::as_str) != Some(appid.as_str()) {
        return Err(NotOpened);
    }
    Ok(UserText { object, sealed_at })
}

fn decrypt(session_key: &Secret<String>, iv: &str, encrypted: &str) -> Option<Vec<u8>> {
    let bytes = |text: &str| BASE64.decode(text.as_bytes()).ok();
    let key = Secret::new(bytes(session_key.reveal())?);
    cipher::cbc128_open(key.reveal(), &bytes(iv)?, &bytes(encrypted)?).ok()
}

/// Whether `signature` proves that `raw_data`, the text exactly as received, is WeChat's.
///
/// Source: 小程序 · 开放数据校验与解密 · 数据签名校验.
pub fn raw_data_is_signed(raw_data: &str, session_key: &Secret<String>, signature: &str) -> bool {
    let text = Secret::new([raw_data, session_key.reveal()].concat());
    let ours = hash::sha1_hex(text.reveal().as_bytes());
    secret::same(ours.as_bytes(), signature.as_bytes())
}

/// The login-state signature of `text` (empty for 检验登录态): lower-case hexadecimal, keyed with
/// the session key's base64 text as it stands.
///
/// Source: 小程序 · 检验登录态, 用户登录态签名.
pub fn session_signature(text: &str, session_key: &Secret<String>) -> String {
    let key = session_key.reveal().as_bytes();
    HEXLOWER.encode(&hash::hmac_sha256(key, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wechat::vectors::{self, text};

    #[test]
    fn every_session_vector_opens_and_is_believed_when_the_watermark_is_ours() {
        let all = vectors::v2("session_decrypt");
        assert_eq!(all.len(), 4);
        for vector in &all {
            let appid = text(vector, "appid").parse().unwrap();
            let key = Secret::from(text(vector, "session_key"));
            let (iv, encrypted) = (text(vector, "iv"), text(vector, "encryptedData"));
            let plain = decrypt(&key, iv, encrypted).unwrap();
            assert_eq!(
                plain,
                text(vector, "plaintext").as_bytes(),
                "{}",
                vector["id"]
            );
            let opened = open(&appid, &key, iv, encrypted);
            assert_eq!(
                opened.is_ok(),
                vector["expected_accept"],
                "{}",
                vector["id"]
            );
            if let Ok(opened) = opened {
                assert_eq!(opened.object, vector["json"], "{}", vector["id"]);
                assert_eq!(
                    opened.sealed_at.unix(),
                    vector["json"]["watermark"]["timestamp"]
                );
            }
        }
    }

    #[test]
    fn every_bad_session_vector_is_refused_without_panic() {
        let all = vectors::v2("session_decrypt_negative");
        assert_eq!(all.len(), 2);
        let appid = "wx8888888888888888".parse().unwrap();
        for vector in &all {
            let key = Secret::from(text(vector, "session_key"));
            let opened = open(
                &appid,
                &key,
                text(vector, "iv"),
                text(vector, "encryptedData"),
            );
            assert_eq!(opened, Err(NotOpened), "{}", vector["id"]);
        }
    }

    #[test]
    fn every_altered_byte_and_every_odd_length_is_refused_or_not_ours() {
        let vector = &vectors::v2("session_decrypt")[1];
        let appid = text(vector, "appid").parse().unwrap();
        let key = Secret::from(text(vector, "session_key"));
        let encrypted = text(vector, "encryptedData");
        for iv in ["", "AAAA", "!", &"A".repeat(22)] {
            assert_eq!(open(&appid, &key, iv, encrypted), Err(NotOpened));
        }
        for encrypted in ["", "AAAA", "!", "%"] {
            assert_eq!(
                open(&appid, &key, text(vector, "iv"), encrypted),
                Err(NotOpened)
            );
        }
        let other = "wx8888888888888889".parse().unwrap();
        assert_eq!(
            open(&other, &key, text(vector, "iv"), encrypted),
            Err(NotOpened)
        );
    }

    #[test]
    fn every_raw_data_vector_is_signed_and_an_altered_one_is_not() {
        let all = vectors::v2("raw_data_signature");
        assert_eq!(all.len(), 2);
        for vector in &all {
            let key = Secret::from(text(vector, "session_key"));
            let (raw, signature) = (text(vector, "rawData"), text(vector, "expected"));
            assert!(raw_data_is_signed(raw, &key, signature), "{}", vector["id"]);
            assert!(!raw_data_is_signed(&format!("{raw} "), &key, signature));
            assert!(!raw_data_is_signed(raw, &Secret::from("other"), signature));
            assert!(!raw_data_is_signed(raw, &key, ""));
        }
    }

    #[test]
    fn every_login_state_vector_gives_its_signature() {
        let all = vectors::v2("session_signature");
        assert_eq!(all.len(), 2);
        for vector in &all {
            let key = Secret::from(text(vector, "session_key"));
            let signature = session_signature(text(vector, "data"), &key);
            assert_eq!(signature, text(vector, "expected"), "{}", vector["id"]);
        }
    }
}
