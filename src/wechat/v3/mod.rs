//! WeChat Pay API v3: JSON, signed with RSA, notifications sealed with AES-GCM.
//!
//! Source: 微信支付 APIv3 · 基本规则.

pub mod answer;
pub mod certificates;
pub mod notify;
pub mod prepay;
pub mod refund;
pub mod sign;
pub mod trade;
pub mod trust;
pub mod verify;

pub use certificates::PlatformCertificate;
pub use trust::{Trust, VerifyWith};
pub use verify::{Keyring, SignatureFault, SignatureHeaders};

use crate::base::Secret;
use crate::base::rsa::PrivateKey;

/// Path of JSAPI/小程序下单.
pub const PREPAY: &str = "/v3/pay/transactions/jsapi";

/// The merchant's side of v3, and the keys of WeChat's side.
#[derive(Debug)]
pub struct V3Keys {
    /// The APIv3 key (APIv3密钥), 32 bytes: opens notifications. Empty: nothing is believed.
    pub api_key: Secret<String>,
    /// The serial of the merchant's API certificate.
    pub merchant_serial: String,
    /// The private key of that certificate: signs requests and the second signing.
    pub merchant_key: PrivateKey,
    /// The keys with which WeChat may sign.
    pub wechat_keys: Trust,
}
