//! Which certificate a handshake shows: the shop's, or the one an authority asks to see.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::Instant;

use super::tls::ACME;
use super::tls_identity::Identity;
use crate::base::Timestamp;

/// How often it is said that there is no certificate yet.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// How a listener stands with its certificate: for metrics and alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The host names of the certificate that is shown; none when there is none.
    pub names: Vec<String>,
    /// Until when it is valid.
    pub ends_at: Option<Timestamp>,
    /// Why the last attempt to get a newer one failed; `None` when it went well.
    pub last_error: Option<String>,
    /// When the next attempt is made, after one that failed.
    pub next_try_at: Option<Timestamp>,
}

/// What handshakes show.
#[derive(Debug, Default)]
pub(super) struct Keys {
    shop: RwLock<Option<Arc<CertifiedKey>>>,
    /// By the name that an authority asks about.
    challenges: RwLock<HashMap<String, Arc<CertifiedKey>>>,
    /// By the token that an authority asks for.
    answers: RwLock<HashMap<String, String>>,
    standing: RwLock<Standing>,
    said: Mutex<Option<Instant>>,
}

impl Keys {
    pub(super) fn show(&self, identity: &Identity) {
        *locked(self.shop.write()) = Some(identity.key());
        *locked(self.standing.write()) = Standing {
            names: identity.names().to_vec(),
            ends_at: Some(identity.ends_at()),
            last_error: None,
            next_try_at: None,
        };
    }

    pub(super) fn standing(&self) -> Standing {
        locked(self.standing.read()).clone()
    }

    /// Notes that there is no newer certificate, why, and when there may be one.
    pub(super) fn failed(&self, why: &str, next_try_at: Option<Timestamp>) {
        let mut standing = locked(self.standing.write());
        standing.last_error = Some(why.to_owned());
        standing.next_try_at = next_try_at;
    }

    /// Shows `key` to an authority that asks about `name` (TLS-ALPN-01).
    pub(super) fn challenge(&self, name: &str, key: Arc<CertifiedKey>) {
        locked(self.challenges.write()).insert(name.to_owned(), key);
    }

    /// Answers `said` to an authority that asks for `token` (HTTP-01).
    pub(super) fn answer(&self, token: &str, said: &str) {
        locked(self.answers.write()).insert(token.to_owned(), said.to_owned());
    }

    /// What an authority that asks for `token` is answered.
    pub(super) fn answer_to(&self, token: &str) -> Option<String> {
        locked(self.answers.read()).get(token).cloned()
    }

    /// Shows and answers no authority anything any more.
    pub(super) fn end_challenges(&self) {
        locked(self.challenges.write()).clear();
        locked(self.answers.write()).clear();
    }

    fn say_that_there_is_none(&self) {
        let mut said = locked(self.said.lock());
        if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
            *said = Some(Instant::now());
            tracing::error!("还没有 TLS 证书，HTTPS 连接只能失败；正在向证书机构申请");
        }
    }
}

impl ResolvesServerCert for Keys {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut spoken = hello.alpn().into_iter().flatten();
        // Source: RFC 8737 · 3: the authority offers this protocol and no other.
        if spoken.next() == Some(ACME) && spoken.next().is_none() {
            let name = hello.server_name()?.to_ascii_lowercase();
            return locked(self.challenges.read()).get(&name).cloned();
        }
        let shop = locked(self.shop.read());
        if shop.is_none() {
            self.say_that_there_is_none();
        }
        shop.clone()
    }
}

/// What a lock guards; each of ours is whole also after a panic.
fn locked<T>(lock: Result<T, PoisonError<T>>) -> T {
    lock.unwrap_or_else(PoisonError::into_inner)
}
