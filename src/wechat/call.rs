//! One call of WeChat Pay as a value: what is asked, and how the answer is read.
//!
//! A new call is a new value. Signing, judging and repeating are the same for all of a protocol.
//! Every call here may be repeated as it stands: its own number makes it one (微信支付 · 幂等).

use crate::base::Timestamp;
use crate::base::xml::Fields;
use crate::web::{Incoming, Method, Outgoing};

use super::config::WechatConfig;
use super::error::WechatError;
use super::trace;
use super::v2::{self, SignType};
use super::v3::answer::Answer;
use super::v3::sign::Signing;
use super::v3::{self, SignatureHeaders};

/// One call; `T` is what its answer gives.
#[derive(Clone, Debug)]
pub enum Call<T> {
    /// A call of API v2.
    V2 {
        /// The path, such as `/pay/unifiedorder`.
        path: &'static str,
        /// The fields, less `nonce_str` and `sign`.
        fields: Fields,
        /// The digest of call and answer.
        sign_type: SignType,
        /// Reads the fields of a believed answer.
        read: fn(&Fields) -> Result<T, WechatError>,
    },
    /// A call of API v3.
    V3 {
        /// The method.
        method: Method,
        /// Path and query, percent-encoded as they are sent and signed.
        path: String,
        /// The exact body; empty for none.
        body: String,
        /// The serial of the key that something in the body is sealed for.
        sealed_for: Option<String>,
        /// Reads the body of a believed answer.
        read: fn(&[u8]) -> Result<T, WechatError>,
    },
}

/// What makes each try of a call another message: time and nonce.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// Now.
    pub now: Timestamp,
    /// A fresh random text of 32 letters and digits.
    pub nonce_str: String,
}

impl<T> Call<T> {
    /// The path without its query, which may be logged.
    pub fn path(&self) -> &str {
        match self {
            Self::V2 { path, .. } => path,
            Self::V3 { path, .. } => path.split_once('?').map_or(path, |(path, _)| path),
        }
    }

    /// Whether the merchant must show its certificate.
    ///
    /// Source: 微信支付 APIv2 · 协议规则 (双向证书).
    pub fn needs_certificate(&self) -> bool {
        match self {
            Self::V2 { path, .. } => path.starts_with("/secapi/"),
            Self::V3 { .. } => false,
        }
    }

    /// Whether the answer names the key it is signed with.
    pub fn is_verified_by_serial(&self) -> bool {
        match self {
            Self::V2 { .. } => false,
            Self::V3 { .. } => true,
        }
    }

    /// What is asked, redacted, for the order's timeline.
    pub fn asked(&self) -> String {
        match self {
            Self::V2 { path, fields, .. } => trace::asked_v2(path, fields),
            Self::V3 { method, body, .. } => trace::asked_v3(method.as_str(), self.path(), body),
        }
    }

    /// The signed request to `base`, the scheme and host.
    ///
    /// # Errors
    /// [`WechatError::Refused`] while keys or merchant number are not configured.
    pub fn outgoing(
        &self,
        config: &WechatConfig,
        base: &str,
        stamp: Stamp,
    ) -> Result<Outgoing, WechatError> {
        let base = base.trim_end_matches('/');
        match self {
            Self::V2 {
                path,
                fields,
                sign_type,
                ..
            } => {
                let key = &config.pay.v2()?.key;
                let (fields, nonce_str) = (fields.clone(), stamp.nonce_str);
                let body = v2::order::signed_body(fields, nonce_str, key, *sign_type);
                Ok(Outgoing {
                    method: Method::POST,
                    url: format!("{base}{path}"),
                    headers: vec![("content-type", "text/xml; charset=utf-8".to_owned())],
                    body: body.into_bytes(),
                })
            }
            Self::V3 {
                method,
                path,
                body,
                sealed_for,
                ..
            } => {
                let signing = Signing {
                    method: method.as_str(),
                    path,
                    body,
                    now: stamp.now,
                    nonce_str: &stamp.nonce_str,
                };
                Ok(Outgoing {
                    method: method.clone(),
                    url: format!("{base}{path}"),
                    headers: v3_headers(&signing, config, sealed_for.as_deref())?,
                    body: body.clone().into_bytes(),
                })
            }
        }
    }

    /// Judges the answer and reads it.
    ///
    /// # Errors
    /// [`WechatError`], as the protocol's answers are judged.
    pub fn read(
        &self,
        config: &WechatConfig,
        answer: &Incoming,
        now: Timestamp,
    ) -> Result<T, WechatError> {
        match self {
            Self::V2 {
                sign_type, read, ..
            } => {
                if answer.status != 200 {
                    return Err(WechatError::Unknown(format!("HTTP {}", answer.status)));
                }
                let key = &config.pay.v2()?.key;
                read(&v2::answer::read(
                    &answer.body,
                    config.payee()?,
                    key,
                    *sign_type,
                )?)
            }
            Self::V3 { read, .. } => {
                let judged = Answer {
                    status: answer.status,
                    headers: SignatureHeaders::read(|name| answer.header(name)),
                    request_id: answer.header("request-id"),
                    body: &answer.body,
                };
                judged.judge(&config.pay.v3()?.wechat_keys.ring(), now)?;
                read(&answer.body)
            }
        }
    }
}

/// Source: 微信支付 APIv3 · 基本规则, 如何从平台证书切换成微信支付公钥 (`Wechatpay-Serial`).
fn v3_headers(
    signing: &Signing<'_>,
    config: &WechatConfig,
    sealed_for: Option<&str>,
) -> Result<Vec<(&'static str, String)>, WechatError> {
    let (keys, payee): (&v3::V3Keys, _) = (config.pay.v3()?, config.payee()?);
    let authorization =
        signing.authorization(payee.mchid, &keys.merchant_serial, &keys.merchant_key);
    let mut headers = vec![
        ("authorization", authorization),
        ("accept", "application/json".to_owned()),
    ];
    if !signing.body.is_empty() {
        headers.push(("content-type", "application/json".to_owned()));
    }
    let ring = keys.wechat_keys.ring();
    if let Some(serial) = sealed_for.or(ring.preferred_serial(signing.now)) {
        headers.push(("wechatpay-serial", serial.to_owned()));
    }
    Ok(headers)
}
