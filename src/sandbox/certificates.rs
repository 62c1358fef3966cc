//! The platform certificates, and which key signs what: by the public key, by certificates, both.
//!
//! Source: 微信支付 APIv3 · 下载平台证书; 平台证书更换; 如何从平台证书切换成微信支付公钥.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXUPPER;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::credentials::Credentials;
use super::gate_v3::Answer;
use super::notify::sealed_resource;
use super::talk_v3::{Refused, bad_param, busy, refused};
use crate::base::Timestamp;
use crate::base::rsa::PrivateKey;
use crate::base::secret::random;
use crate::base::x509_issue::{Said, issue};

/// Five years. Source: 微信支付 APIv3 · 下载平台证书.
const LIFE: Duration = Duration::from_secs(5 * 365 * 86_400);
/// A certificate is a little older than its first use.
const MADE_BEFORE: Duration = Duration::from_secs(3600);

/// With what the simulated merchant verifies WeChat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyMode {
    /// The public key alone, as merchants since 2024 do: there are no certificates.
    #[default]
    PublicKey,
    /// Platform certificates alone.
    Certificate,
    /// Both, during a switch: answers by what the request names, notifies by a share.
    Both,
}

impl VerifyMode {
    /// The name in options and on control routes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PublicKey => "public_key",
            Self::Certificate => "certificate",
            Self::Both => "both",
        }
    }

    fn public_key_percent(self) -> u8 {
        match self {
            Self::PublicKey => 100,
            Self::Certificate => 0,
            Self::Both => 50,
        }
    }
}

impl fmt::Display for VerifyMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for VerifyMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::PublicKey, Self::Certificate, Self::Both]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| "只能是 public_key、certificate、both (one of these)".to_owned())
    }
}

/// How the list of certificates is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ListAnswer {
    /// The certificates; without any (public key alone), 404.
    #[default]
    Normal,
    NotFound,
    Empty,
    Error,
}

/// One platform certificate and its key.
pub(super) struct Platform {
    pub(super) serial: String,
    pub(super) key: PrivateKey,
    pem: String,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

impl Platform {
    /// Makes one up. Takes long: not to be done while the book is held.
    pub(super) fn new(now: Timestamp) -> Self {
        let mut serial: [u8; 20] = random();
        serial[0] = serial[0] % 0x70 + 0x10;
        let key = PrivateKey::generate();
        let said = Said {
            serial,
            name: "Tenpay.com sign",
            starts_at: now.minus(MADE_BEFORE),
            ends_at: now.plus(LIFE),
        };
        Self {
            serial: HEXUPPER.encode(&serial),
            pem: issue(&said, &key.public(), &key),
            key,
            starts_at: said.starts_at,
            ends_at: said.ends_at,
        }
    }
}

/// The body of `PUT /sandbox/certificates`; what is left out stays.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    mode: Option<VerifyMode>,
    answer: Option<ListAnswer>,
    /// How many of a hundred notifies are signed with the public key.
    public_key_percent: Option<u8>,
    /// A new certificate is listed, but signs nothing yet.
    #[serde(default)]
    pub(super) announce: bool,
    /// The newest certificate signs; a new one is made when none was announced.
    #[serde(default)]
    rotate: bool,
    /// Those before the one that signs leave the list.
    #[serde(default)]
    retire: bool,
}

impl Change {
    /// The change to another way of verifying.
    pub(super) fn to(mode: VerifyMode) -> Self {
        Self {
            mode: Some(mode),
            ..Self::default()
        }
    }
}

/// The key that signs one thing.
#[derive(Clone)]
pub(super) enum Signer {
    PublicKey,
    Platform(Arc<Platform>),
}

/// The certificates there are, the oldest first, and who signs.
#[derive(Default)]
pub(super) struct Certificates {
    pub(super) mode: VerifyMode,
    answer: ListAnswer,
    public_key_percent: Option<u8>,
    held: Vec<Arc<Platform>>,
    /// Which of `held` signs.
    signing: usize,
    /// How many notifies were signed.
    told: usize,
}

impl Certificates {
    /// Whether a change or a first use needs a certificate that is not there yet.
    pub(super) fn lacks(&self, change: &Change) -> bool {
        let in_use = change.mode.unwrap_or(self.mode) != VerifyMode::PublicKey;
        let nothing_newer = self.signing + 1 >= self.held.len();
        (in_use && self.held.is_empty()) || change.announce || (change.rotate && nothing_newer)
    }

    /// Lists one more certificate.
    pub(super) fn add(&mut self, platform: Platform) {
        self.held.push(Arc::new(platform));
    }

    pub(super) fn apply(&mut self, change: &Change) {
        self.mode = change.mode.unwrap_or(self.mode);
        self.answer = change.answer.unwrap_or(self.answer);
        self.public_key_percent = change.public_key_percent.or(self.public_key_percent);
        if change.rotate {
            self.signing = self.held.len().saturating_sub(1);
        }
        if change.retire {
            self.held.drain(..self.signing);
            self.signing = 0;
        }
    }

    fn current(&self) -> Signer {
        match self.held.get(self.signing) {
            Some(platform) => Signer::Platform(Arc::clone(platform)),
            None => Signer::PublicKey,
        }
    }

    fn named(&self, serial: &str) -> Option<Signer> {
        let found = self.held.iter().find(|held| held.serial == serial)?;
        Some(Signer::Platform(Arc::clone(found)))
    }

    /// The key that `Wechatpay-Serial` names; `None` when this merchant has no such key.
    ///
    /// Before the switch has begun a request that names the public key is no fault.
    pub(super) fn key_named(&self, serial: &str, public_key_id: &str) -> Option<Signer> {
        match self.mode {
            _ if serial == public_key_id => Some(Signer::PublicKey),
            VerifyMode::PublicKey => None,
            VerifyMode::Certificate | VerifyMode::Both => self.named(serial),
        }
    }

    /// Who signs the answer to a request that names `serial`.
    ///
    /// Source: 微信支付 APIv3 · 如何从平台证书切换成微信支付公钥.
    pub(super) fn answers(&self, serial: Option<&str>, public_key_id: &str) -> Signer {
        match (self.mode, serial) {
            (VerifyMode::PublicKey, _) => Signer::PublicKey,
            (VerifyMode::Both, Some(serial)) if serial == public_key_id => Signer::PublicKey,
            (VerifyMode::Certificate | VerifyMode::Both, serial) => serial
                .and_then(|serial| self.named(serial))
                .unwrap_or_else(|| self.current()),
        }
    }

    /// Who signs the next notify.
    pub(super) fn tells(&mut self) -> Signer {
        let percent = self
            .public_key_percent
            .unwrap_or(self.mode.public_key_percent());
        // 37 and 100 have no common factor: the share is even within any hundred.
        let place = self.told.wrapping_mul(37) % 100;
        self.told = self.told.wrapping_add(1);
        match place < usize::from(percent) {
            true => Signer::PublicKey,
            false => self.current(),
        }
    }

    /// The list. Source: 微信支付 APIv3 · 下载平台证书.
    pub(super) fn list(&self, credentials: &Credentials) -> Result<Answer, Refused> {
        match (self.answer, self.mode) {
            (ListAnswer::Error, _) => Err(busy()),
            (ListAnswer::Empty, _) => Ok(Answer::Json(json!({"data": []}))),
            (ListAnswer::NotFound, _) | (ListAnswer::Normal, VerifyMode::PublicKey) => {
                let message = "无可用的平台证书，请在商户平台申请使用微信支付公钥";
                Err(refused(404, "RESOURCE_NOT_EXISTS", message, 268_435_461))
            }
            (ListAnswer::Normal, VerifyMode::Certificate | VerifyMode::Both) => {
                let listed = self.held.iter().map(|held| listed(held, credentials));
                Ok(Answer::Json(json!({"data": listed.collect::<Vec<_>>()})))
            }
        }
    }

    /// What `PUT /sandbox/certificates` answers.
    pub(super) fn view(&self) -> Value {
        let serials: Vec<_> = self.held.iter().map(|held| &held.serial).collect();
        json!({
            "mode": self.mode,
            "answer": self.answer,
            "public_key_percent": self
                .public_key_percent
                .unwrap_or(self.mode.public_key_percent()),
            "listed": serials,
            "signing": self.held.get(self.signing).map(|held| &held.serial),
        })
    }
}

fn listed(platform: &Platform, credentials: &Credentials) -> Value {
    json!({
        "serial_no": platform.serial,
        "effective_time": platform.starts_at.rfc3339(),
        "expire_time": platform.ends_at.rfc3339(),
        "encrypt_certificate":
            sealed_resource(credentials, "certificate", platform.pem.as_bytes()),
    })
}

/// The only query the list takes. Source: 微信支付 APIv3 · 下载平台证书, algorithm_type.
pub(super) fn check_query(target: &str) -> Result<(), Refused> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    match query {
        "" | "algorithm_type=RSA" | "algorithm_type=ALL" => Ok(()),
        other => Err(bad_param(other, "不支持的参数", "query")),
    }
}
