//! Whom we believe, kept while the program runs: replaced when certificates are downloaded, read
//! by every answer and notification.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::base::Timestamp;
use crate::base::rsa::PublicKey;

use super::certificates::PlatformCertificate;
use super::verify::Keyring;

/// How long after a download, in seconds, an unknown serial does not cause another.
const ASK_EVERY_S: i64 = 60;

/// What WeChat's signatures are verified with (CONTRACT §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyWith {
    /// The configured public key alone.
    PublicKey,
    /// Downloaded platform certificates alone.
    Certificate,
    /// Either: while a merchant switches from one to the other.
    Both,
}

/// The keys with which WeChat may sign, now.
#[derive(Debug)]
pub struct Trust {
    verify_with: VerifyWith,
    ring: RwLock<Arc<Keyring>>,
    asked_at: AtomicI64,
}

impl Trust {
    /// Trust in `public_key`, with its id, as far as `verify_with` wants it.
    pub fn new(verify_with: VerifyWith, public_key: Option<(&str, PublicKey)>) -> Self {
        let ring = match (verify_with, public_key) {
            (VerifyWith::PublicKey | VerifyWith::Both, Some((id, key))) => {
                Keyring::default().with_public_key(id, key)
            }
            (VerifyWith::Certificate, _) | (_, None) => Keyring::default(),
        };
        Self::of(verify_with, ring)
    }

    /// Trust in these keys to begin with.
    pub fn of(verify_with: VerifyWith, ring: Keyring) -> Self {
        Self {
            verify_with,
            ring: RwLock::new(Arc::new(ring)),
            asked_at: AtomicI64::new(i64::MIN),
        }
    }

    /// The keys as they are now.
    pub fn ring(&self) -> Arc<Keyring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether platform certificates are wanted at all.
    pub fn wants_certificates(&self) -> bool {
        match self.verify_with {
            VerifyWith::PublicKey => false,
            VerifyWith::Certificate | VerifyWith::Both => true,
        }
    }

    /// Adds certificates to those that are still valid. Nothing found leaves everything as it is.
    pub fn adopt(&self, found: Vec<PlatformCertificate>, now: Timestamp) {
        if found.is_empty() || !self.wants_certificates() {
            return;
        }
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        *ring = Arc::new(ring.with_certificates(found, now));
    }

    /// Whether a download may be tried for the sake of an unknown serial: once a minute. Who is
    /// told yes is the only one.
    pub fn may_ask(&self, now: Timestamp) -> bool {
        let last = self.asked_at.load(Ordering::Relaxed);
        // A clock that was set back must not stop downloads for as long.
        let due = now.unix() < last || now.unix().saturating_sub(last) >= ASK_EVERY_S;
        let order = Ordering::Relaxed;
        due && self
            .asked_at
            .compare_exchange(last, now.unix(), order, order)
            .is_ok()
    }

    /// Remembers that a download was tried now.
    pub fn asked(&self, now: Timestamp) {
        self.asked_at.store(now.unix(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::base::rsa::PrivateKey;
    use crate::wechat::vectors::{PLATFORM_CERT, PLATFORM2_CERT};

    fn certificate(pem: &str) -> PlatformCertificate {
        PlatformCertificate::from_pem(pem).unwrap()
    }

    #[test]
    fn an_unknown_serial_asks_once_a_minute_whoever_sends_it() {
        let trust = Trust::new(VerifyWith::Certificate, None);
        let at = Timestamp::from_unix;
        let asked: Vec<bool> = [1000, 1000, 1059, 1060, 1061, 900, 901]
            .map(|second| trust.may_ask(at(second)))
            .into();
        assert_eq!(asked, [true, false, false, true, false, true, false]);
    }

    #[test]
    fn a_download_adds_and_an_empty_one_removes_nothing() {
        let now = Timestamp::from_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let trust = Trust::new(VerifyWith::Certificate, None);
        let known = |trust: &Trust| trust.ring().serials().len();
        trust.adopt(vec![certificate(PLATFORM_CERT)], now);
        trust.adopt(vec![], now);
        assert_eq!(known(&trust), 1);
        trust.adopt(vec![certificate(PLATFORM2_CERT)], now);
        trust.adopt(vec![certificate(PLATFORM2_CERT)], now);
        assert_eq!(known(&trust), 2);
    }

    #[test]
    fn each_mode_trusts_what_it_names_and_nothing_else() {
        let now = Timestamp::from_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let key = PrivateKey::generate().public();
        for (mode, serials) in [
            (VerifyWith::PublicKey, 1),
            (VerifyWith::Certificate, 1),
            (VerifyWith::Both, 2),
        ] {
            let trust = Trust::new(mode, Some(("PUB_KEY_ID_1", key.clone())));
            trust.adopt(vec![certificate(PLATFORM_CERT)], now);
            assert_eq!(trust.ring().serials().len(), serials, "{mode:?}");
        }
    }
}
