//! Calls to others over HTTP/1.1: one pool of connections, deadlines, size limits.
//!
//! No proxy, no redirect, no cookie, no retry of a request that may have been heard. TLS trusts
//! the roots inside the binary, names are resolved without the host's C library.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::base::Secret;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(60);
const USER_AGENT: &str = concat!("zhanggui/", env!("CARGO_PKG_VERSION"));

/// Sends requests. Clones share one pool of connections.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) inner: reqwest::Client,
    #[cfg(test)]
    pub(super) wire: Option<super::local::Wire>,
}

/// A request to be sent.
#[derive(Clone)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// The whole URL, `https://…` or `http://…`. Its query may hold secrets: it is never shown.
    pub url: String,
    /// Headers beside `host`, `content-length` and a default `user-agent`.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

/// An answer, whole in memory.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
    pub(super) headers: HeaderMap,
}

/// Why there is no answer. No text in it holds a URL's query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It certainly never reached the peer: the name, the connection or TLS failed.
    #[error("连不上对方: {0}")]
    NotSent(String),
    /// No whole answer came in time; the peer may have heard it.
    #[error("对方没有在期限内回答")]
    Timeout,
    /// The connection broke, or spoke no HTTP; the peer may have heard it.
    #[error("与对方的连接中断: {0}")]
    Broken(String),
    /// The answer is larger than allowed; the peer has heard it.
    #[error("对方的回答过大")]
    TooLarge,
}

impl Incoming {
    /// The first header of this name, in any case, if it is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Client {
    /// A client with no connection yet.
    ///
    /// # Errors
    /// [`ClientError::NotSent`] when TLS cannot be set up.
    pub fn new() -> Result<Self, ClientError> {
        Self::over(trusting(public_roots())?.with_no_client_auth())
    }

    /// A client that trusts these roots (PEM) and no other.
    ///
    /// # Errors
    /// [`ClientError::NotSent`] when there is no certificate among them that can be a root.
    pub fn with_roots(roots: &str) -> Result<Self, ClientError> {
        let bad = || ClientError::NotSent("里面没有可用的根证书".to_owned());
        let mut store = rustls::RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
            store.add(root.map_err(|_| bad())?).map_err(|_| bad())?;
        }
        if store.is_empty() {
            return Err(bad());
        }
        Self::over(trusting(store)?.with_no_client_auth())
    }

    /// A client that shows this certificate (chain and private key, PEM) to peers that ask for it.
    ///
    /// # Errors
    /// [`ClientError::NotSent`] when certificate and key cannot be read or do not fit together.
    pub fn with_identity(chain: &str, key: &Secret<String>) -> Result<Self, ClientError> {
        Self::identified(trusting(public_roots())?, chain, key)
    }

    fn identified(tls: TlsBuilder, chain: &str, key: &Secret<String>) -> Result<Self, ClientError> {
        let bad = |why: &str| ClientError::NotSent(why.to_owned());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| bad("证书文件无法读取"))?;
        let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes());
        let key = key.map_err(|_| bad("私钥文件无法读取"))?;
        let tls = tls.with_client_auth_cert(chain, key);
        Self::over(tls.map_err(|_| bad("证书与私钥不是一对"))?)
    }

    fn over(tls: rustls::ClientConfig) -> Result<Self, ClientError> {
        Self::built(Self::builder(tls))
    }

    /// A client that finds names by `resolver`, which may refuse to.
    pub(super) fn resolving(
        resolver: impl reqwest::dns::Resolve + 'static,
    ) -> Result<Self, ClientError> {
        let tls = trusting(public_roots())?.with_no_client_auth();
        Self::built(Self::builder(tls).dns_resolver(Arc::new(resolver)))
    }

    fn builder(tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .user_agent(USER_AGENT)
            .pool_idle_timeout(IDLE)
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true)
    }

    fn built(builder: reqwest::ClientBuilder) -> Result<Self, ClientError> {
        let inner = builder.build();
        let inner = inner.map_err(|e| ClientError::NotSent(cause(e)))?;
        Ok(Self {
            inner,
            #[cfg(test)]
            wire: None,
        })
    }

    /// A client that trusts [`super::demanding`]'s peer and shows the certificate it demands.
    #[cfg(test)]
    pub(crate) fn demanded() -> Self {
        use super::demanding::{CERT, KEY, roots};
        let tls = trusting(roots()).expect("TLS can be set up");
        Self::identified(tls, CERT, &Secret::from(KEY)).expect("a pair")
    }

    /// A client whose requests travel as calls of `wire`, within this program.
    #[cfg(test)]
    pub(crate) fn in_process(wire: super::local::Wire) -> Self {
        let mut client = Self::new().expect("TLS can be set up");
        client.wire = Some(wire);
        client
    }

    pub(super) fn inner(&self) -> &reqwest::Client {
        &self.inner
    }

    /// Sends `request` and reads the whole answer within `deadline`, of at most `limit_bytes`.
    ///
    /// # Errors
    /// See [`ClientError`]: only `NotSent` is sure that the peer heard nothing.
    pub async fn send(
        &self,
        request: Outgoing,
        deadline: Duration,
        limit_bytes: usize,
    ) -> Result<Incoming, ClientError> {
        let exchange = self.exchange(request, limit_bytes);
        let ended = tokio::time::timeout(deadline, exchange).await;
        ended.unwrap_or(Err(ClientError::Timeout))
    }

    async fn exchange(
        &self,
        request: Outgoing,
        limit_bytes: usize,
    ) -> Result<Incoming, ClientError> {
        #[cfg(test)]
        if let Some(wire) = &self.wire {
            let answer = wire.carry(request).await?;
            let fits = answer.body.len() <= limit_bytes;
            return fits.then_some(answer).ok_or(ClientError::TooLarge);
        }
        let mut call = self.inner.request(request.method, request.url);
        for (name, value) in request.headers {
            call = call.header(name, value);
        }
        if !request.body.is_empty() {
            call = call.body(request.body);
        }
        let mut answer = call.send().await.map_err(not_answered)?;
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(not_answered)? {
            if body.len() + part.len() > limit_bytes {
                return Err(ClientError::TooLarge);
            }
            body.extend_from_slice(&part);
        }
        Ok(Incoming {
            status: answer.status().as_u16(),
            headers: std::mem::take(answer.headers_mut()),
            body: body.into(),
        })
    }
}

/// TLS that still has to be told whether to show a certificate.
type TlsBuilder = rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert>;

fn public_roots() -> rustls::RootCertStore {
    rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())
}

fn trusting(roots: rustls::RootCertStore) -> Result<TlsBuilder, ClientError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| ClientError::NotSent(e.to_string()))?;
    Ok(config.with_root_certificates(roots))
}

pub(super) fn not_answered(error: reqwest::Error) -> ClientError {
    if error.is_connect() || error.is_builder() {
        return ClientError::NotSent(cause(error));
    }
    if error.is_timeout() {
        return ClientError::Timeout;
    }
    ClientError::Broken(cause(error))
}

/// What lies deepest, without the URL.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut deepest: &dyn Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
