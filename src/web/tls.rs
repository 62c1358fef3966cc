//! TLS on a listener: who we are, what we speak, and what a peer gets who does not.
//!
//! TLS 1.2 and 1.3 only. A certificate can be replaced while connections are open: each handshake
//! shows the one that is there when it begins.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls_identity::Identity;
use super::tls_keys::{Keys, Standing};
use crate::base::Timestamp;

const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";
/// Source: RFC 8737 · 6.2.
pub(super) const ACME: &[u8] = b"acme-tls/1";

/// The first byte of a handshake. Source: RFC 8446 · 5.1.
const HANDSHAKE: u8 = 22;

/// What one who speaks plain HTTP to us is told.
const NOT_PLAIN: &str = "这个端口只接受 HTTPS：请把网址开头的 http:// 改成 https://\n\
                         This port speaks HTTPS only: use https:// instead of http://\n";

/// How much of a plain request is read so that its sender gets to see the answer.
const PLAIN_BYTES: u64 = 64 * 1024;

/// What a listener needs for TLS. Clones share one certificate.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    keys: Arc<Keys>,
}

/// What both sides have agreed to speak.
pub(super) enum Spoken {
    Http1(TlsStream<TcpStream>),
    Http2(TlsStream<TcpStream>),
    /// Nothing more: an authority has seen what it asked to see.
    Shown(TlsStream<TcpStream>),
}

impl Tls {
    /// Shows `identity`.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn showing(identity: &Identity) -> io::Result<Self> {
        let tls = Self::new(&[HTTP_2, HTTP_1])?;
        tls.show(identity);
        Ok(tls)
    }

    /// Has no certificate yet, and can show an authority what it asks to see.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn waiting() -> io::Result<Self> {
        Self::new(&[HTTP_2, HTTP_1, ACME])
    }

    fn new(protocols: &[&[u8]]) -> io::Result<Self> {
        let keys = Arc::new(Keys::default());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let resolver = Arc::clone(&keys);
        let mut config = config.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        // Resumption costs us no memory: peers keep their tickets themselves.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let tickets = rustls::crypto::aws_lc_rs::Ticketer::new();
        config.ticketer = tickets.map_err(io::Error::other)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            keys,
        })
    }

    /// Shows `identity` from the next handshake on; open connections stay.
    pub fn show(&self, identity: &Identity) {
        self.keys.show(identity);
    }

    /// Which certificate is shown, and whether a newer one could be had.
    pub fn standing(&self) -> Standing {
        self.keys.standing()
    }

    /// Notes that a newer certificate could not be had, why, and when that is tried again.
    pub fn failed(&self, why: &str, next_try_at: Option<Timestamp>) {
        self.keys.failed(why, next_try_at);
    }

    /// Where challenges of an authority are put.
    pub(super) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Waits for the peer's first byte and agrees with it on keys and a protocol.
    pub(super) async fn agree(&self, mut stream: TcpStream) -> io::Result<Spoken> {
        let mut first = [0];
        // Nothing is set aside for a peer that says nothing.
        stream.peek(&mut first).await?;
        if first[0] != HANDSHAKE {
            return Err(turned_away(&mut stream, first[0]).await);
        }
        let stream = self.acceptor.accept(stream).await?;
        Ok(match stream.get_ref().1.alpn_protocol() {
            Some(HTTP_2) => Spoken::Http2(stream),
            Some(ACME) => Spoken::Shown(stream),
            _ => Spoken::Http1(stream),
        })
    }
}

/// Tells a peer that speaks plain HTTP what to mend; one that speaks nothing known, nothing.
async fn turned_away(stream: &mut TcpStream, first: u8) -> io::Error {
    if first.is_ascii_uppercase() {
        let length = NOT_PLAIN.len();
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
             content-length: {length}\r\nx-content-type-options: nosniff\r\n\
             connection: close\r\n\r\n{NOT_PLAIN}"
        );
        // It may be gone already.
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
        let _ = tokio::io::copy(&mut stream.take(PLAIN_BYTES), &mut tokio::io::sink()).await;
    }
    io::Error::new(io::ErrorKind::InvalidData, "not TLS")
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
