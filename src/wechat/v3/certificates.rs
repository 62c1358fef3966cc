//! Platform certificates (平台证书): the downloaded list, opened and checked entry by entry. Pure.
//!
//! Source: 微信支付 APIv3 · 下载平台证书, 如何解密回调报文和平台证书.

use std::fmt;

use data_encoding::BASE64;
use serde::Deserialize;

use crate::base::rsa::PublicKey;
use crate::base::x509::{BadCertificate, Certificate};
use crate::base::{Secret, Timestamp, cipher};
use crate::wechat::error::{Cause, Refused, WechatError};

use super::answer::Answer;
use super::verify::Keyring;

/// Path of 下载平台证书.
pub const CERTIFICATES: &str = "/v3/certificates";

/// A platform certificate with what is used of it.
#[derive(Clone)]
pub struct PlatformCertificate {
    /// Its serial, upper-case hexadecimal without leading zeros.
    pub serial: String,
    /// The certificate as it came, to be kept over a restart.
    pub pem: String,
    /// From when it is valid.
    pub starts_at: Timestamp,
    /// Until when it is valid.
    pub ends_at: Timestamp,
    /// Its key.
    pub key: PublicKey,
}

impl fmt::Debug for PlatformCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} – {})", self.serial, self.starts_at, self.ends_at)
    }
}

/// Why an entry of the list is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// The cipher is not `AEAD_AES_256_GCM`.
    #[error("不支持的加密算法")]
    Algorithm,
    /// It does not open under the APIv3 key.
    #[error("无法用 APIv3 密钥解开")]
    CannotOpen,
    /// It opens to something else than a certificate with an RSA key.
    #[error("不是可用的证书：{0}")]
    Certificate(BadCertificate),
    /// The certificate has another serial than the list says.
    #[error("证书序列号与列表不符")]
    Serial,
}

/// An entry of the list, judged.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The serial that the list gives it.
    pub serial_no: String,
    /// The certificate, or why it is refused.
    pub certificate: Result<PlatformCertificate, BadEntry>,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Listed>,
}

// The list's own dates are not read: the certificate has them.
#[derive(Deserialize)]
struct Listed {
    serial_no: String,
    encrypt_certificate: Sealed,
}

#[derive(Deserialize)]
struct Sealed {
    algorithm: String,
    nonce: String,
    associated_data: Option<String>,
    ciphertext: String,
}

impl PlatformCertificate {
    /// Reads a certificate kept before.
    ///
    /// # Errors
    /// [`BadCertificate`].
    pub fn from_pem(pem: &str) -> Result<Self, BadCertificate> {
        let read = Certificate::from_pem(pem)?;
        Ok(Self {
            serial: read.serial,
            pem: pem.to_owned(),
            starts_at: read.starts_at,
            ends_at: read.ends_at,
            key: read.key,
        })
    }
}

impl PlatformCertificate {
    /// Whether it is valid now.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.starts_at <= now && now < self.ends_at
    }
}

/// Opens every entry of the list; `None` when it is no list.
pub fn read_list(body: &[u8], api_key: &Secret<String>) -> Option<Vec<Entry>> {
    let list: List = serde_json::from_slice(body).ok()?;
    let entries = list.data.into_iter().map(|listed| Entry {
        certificate: open(&listed, api_key),
        serial_no: listed.serial_no,
    });
    Some(entries.collect())
}

fn open(listed: &Listed, api_key: &Secret<String>) -> Result<PlatformCertificate, BadEntry> {
    let sealed = &listed.encrypt_certificate;
    if sealed.algorithm != "AEAD_AES_256_GCM" {
        return Err(BadEntry::Algorithm);
    }
    let text = BASE64.decode(sealed.ciphertext.as_bytes());
    let text = text.map_err(|_| BadEntry::CannotOpen)?;
    let (key, nonce) = (api_key.reveal().as_bytes(), sealed.nonce.as_bytes());
    let aad = sealed.associated_data.as_deref().unwrap_or_default();
    let pem = cipher::gcm_open(key, nonce, aad.as_bytes(), &text);
    let pem = String::from_utf8(pem.map_err(|_| BadEntry::CannotOpen)?);
    let pem = pem.map_err(|_| BadEntry::Certificate(BadCertificate::Pem))?;
    let certificate = PlatformCertificate::from_pem(&pem).map_err(BadEntry::Certificate)?;
    let listed = listed.serial_no.trim_start_matches('0');
    if certificate.serial.eq_ignore_ascii_case(listed) {
        Ok(certificate)
    } else {
        Err(BadEntry::Serial)
    }
}

/// The certificates of a downloaded list that are valid, once the answer itself is believed: it
/// may be signed by a certificate that came inside it, since only WeChat can seal under our key.
///
/// # Errors
/// [`WechatError`]; [`Cause::Config`] when the merchant has no certificates at all, or when none
/// opens under our key.
pub fn believed(
    answer: &Answer<'_>,
    api_key: &Secret<String>,
    ring: &Keyring,
    now: Timestamp,
) -> Result<Vec<PlatformCertificate>, WechatError> {
    if answer.status != 200 {
        let outcome = answer.judge(ring, now).map(|()| Vec::new());
        return outcome.map_err(without_certificates);
    }
    let entries = read_list(answer.body, api_key)
        .ok_or_else(|| WechatError::Unknown("平台证书列表无法读取".to_owned()))?;
    let (listed, mut found) = (entries.len(), Vec::new());
    for entry in entries {
        match entry.certificate {
            Ok(certificate) => found.push(certificate),
            Err(why) => {
                tracing::warn!(serial = %entry.serial_no, %why, "一张平台证书不可用，已略过");
            }
        }
    }
    if found.is_empty() && listed > 0 {
        let advice = "平台证书无法用 APIv3 密钥解开：请核对 [wechat.pay] v3_key";
        return Err(WechatError::refused_here(Cause::Config, advice));
    }
    let ring = ring.with_certificates(found.iter().cloned(), now);
    answer.judge(&ring, now)?;
    found.retain(|certificate| certificate.ends_at > now);
    Ok(found)
}

/// Merchants opened since autumn 2024 have no platform certificate; WeChat says so with a 404.
///
/// Source: 微信支付 APIv3 · 微信支付公钥产品简介.
fn without_certificates(error: WechatError) -> WechatError {
    match error {
        WechatError::Refused(refused) if refused.is_absence() => WechatError::Refused(Refused {
            cause: Cause::Config,
            advice: "本商户没有平台证书：请在商户平台申请微信支付公钥，填写 wechat_public_key_id 与 \
                     wechat_public_key_file，并把 verify_with 改为 public_key",
            ..refused
        }),
        WechatError::Refused(_) | WechatError::Unknown(_) | WechatError::NotSent(_) => error,
    }
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
