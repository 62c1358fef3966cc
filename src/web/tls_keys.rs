//! Which certificate a handshake shows: the shop's, or the one an authority asks to see.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::Instant;

use super::tls::ACME;
use super::tls_identity::Identity;

/// How often it is said that there is no certificate yet.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// What handshakes show.
#[derive(Debug, Default)]
pub(super) struct Keys {
    shop: RwLock<Option<Arc<CertifiedKey>>>,
    /// By the name that an authority asks about.
    challenges: RwLock<HashMap<String, Arc<CertifiedKey>>>,
    said: Mutex<Option<Instant>>,
}

impl Keys {
    pub(super) fn show(&self, identity: &Identity) {
        let mut shop = self.shop.write().unwrap_or_else(PoisonError::into_inner);
        *shop = Some(identity.key());
    }

    fn say_that_there_is_none(&self) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
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
            let all = self
                .challenges
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            return all.get(&name).cloned();
        }
        let shop = self.shop.read().unwrap_or_else(PoisonError::into_inner);
        if shop.is_none() {
            self.say_that_there_is_none();
        }
        shop.clone()
    }
}
