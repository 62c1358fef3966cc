//! A certificate chain with its private key, read from PEM and proved to be a pair.

use std::fmt;
use std::sync::Arc;

use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::base::x509::Described;
use crate::base::{Secret, Timestamp};

/// What a listener shows of itself.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    described: Described,
}

/// Why a chain and a key make no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// The first text holds no certificate.
    #[error("里面没有证书（-----BEGIN CERTIFICATE-----）")]
    NoCertificate,
    /// A block of it is no certificate.
    #[error("里面的证书读不出来：{0}")]
    BadCertificate(String),
    /// The second text holds no key.
    #[error("里面没有私钥（-----BEGIN PRIVATE KEY-----），或私钥有密码")]
    NoKey,
    /// It holds a key of a kind that TLS does not use.
    #[error("里面的私钥不能用：{0}")]
    BadKey(String),
    /// The key is not the certificate's.
    #[error("私钥与证书不是一对")]
    NoPair,
}

impl BadIdentity {
    /// Whether the certificate is at fault, and not the key.
    pub fn is_of_certificate(&self) -> bool {
        match self {
            Self::NoCertificate | Self::BadCertificate(_) => true,
            Self::NoKey | Self::BadKey(_) | Self::NoPair => false,
        }
    }
}

impl Identity {
    /// Reads a chain, the shop's own certificate first, and its key.
    ///
    /// # Errors
    /// [`BadIdentity`]. Dates and names are not judged here.
    pub fn from_pem(chain: &str, key: &Secret<String>) -> Result<Self, BadIdentity> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
        let chain = chain.map_err(|why| BadIdentity::BadCertificate(why.to_string()))?;
        let own = chain.first().ok_or(BadIdentity::NoCertificate)?;
        let described = Described::from_der(own);
        let described = described.map_err(|why| BadIdentity::BadCertificate(why.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes());
        let key = key.map_err(|_| BadIdentity::NoKey)?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|why| match why {
            rustls::Error::InconsistentKeys(_) => BadIdentity::NoPair,
            rustls::Error::InvalidCertificate(why) => {
                BadIdentity::BadCertificate(format!("{why:?}"))
            }
            why => BadIdentity::BadKey(why.to_string()),
        })?;
        Ok(Self {
            key: Arc::new(key),
            described,
        })
    }

    /// From when it is valid.
    pub fn starts_at(&self) -> Timestamp {
        self.described.starts_at
    }

    /// Until when it is valid.
    pub fn ends_at(&self) -> Timestamp {
        self.described.ends_at
    }

    /// The host names it is for, as written in it.
    pub fn names(&self) -> &[String] {
        &self.described.names
    }

    /// Whether a browser at `host` (a name or an address) would take it.
    pub fn covers(&self, host: &str) -> bool {
        let Ok(host) = ServerName::try_from(host) else {
            return false;
        };
        let own = ParsedCertificate::try_from(&self.key.cert[0]);
        own.is_ok_and(|own| rustls::client::verify_server_name(&own, &host).is_ok())
    }

    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends_at = self.described.ends_at;
        write!(f, "Identity({:?} until {ends_at})", self.described.names)
    }
}
