//! The plain listener beside HTTPS: answers an authority that looks whether a name is ours, and
//! sends everybody else to HTTPS, at our own names only.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderValue, LOCATION, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::tls::Tls;
use super::{Response, text};

/// Where an authority looks. Source: RFC 8555 · 8.3.
const CHALLENGE: &str = "/.well-known/acme-challenge/";

/// A connection is for one short answer.
const WITHIN: Duration = Duration::from_secs(10);
const MAX_CONNECTIONS: usize = 256;
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// How long to leave the listener alone after it failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound plain listener that does not serve yet.
pub struct PlainListener {
    listener: TcpListener,
    local_addr: SocketAddr,
}

/// Our names, each with where HTTPS is reached at it: `shop.example.com`, with a port if need be.
pub type OurNames = HashMap<String, String>;

impl PlainListener {
    /// Takes the address; port 0 takes a free one.
    ///
    /// # Errors
    /// What the system says, such as an address in use.
    pub async fn bind(listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        Ok(Self {
            local_addr: listener.local_addr()?,
            listener,
        })
    }

    /// The address that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves for ever; when it is dropped, what is in flight still gets its line.
    pub async fn serve(self, tls: Tls, names: OurNames) {
        let door = Arc::new(Door { tls, names });
        let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let seat = Arc::clone(&seats).acquire_owned().await;
            let seat = seat.expect("the seats are never closed");
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let door = Arc::clone(&door);
                    tokio::spawn(async move {
                        door.carry(stream).await;
                        drop(seat);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "接受连接失败, 稍后再试");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl fmt::Debug for PlainListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainListener({})", self.local_addr)
    }
}

struct Door {
    tls: Tls,
    names: OurNames,
}

impl Door {
    async fn carry(&self, stream: TcpStream) {
        let serving = http1::Builder::new()
            .keep_alive(false)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(
                TokioIo::new(stream),
                service_fn(async |request| Ok::<_, Infallible>(self.answer(&request))),
            );
        // However it ends, there is nobody to tell.
        let _ = tokio::time::timeout(WITHIN, serving).await;
    }

    fn answer(&self, request: &Request<Incoming>) -> Response {
        let path = request.uri().path();
        let mut response = match path.strip_prefix(CHALLENGE) {
            Some(token) => self.challenge(token),
            None => self.elsewhere(request),
        };
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        tracing::info!(
            target: "access",
            method = request.method().as_str(),
            path,
            status = response.status().as_u16(),
            plain = true,
        );
        response
    }

    fn challenge(&self, token: &str) -> Response {
        match self.tls.keys().answer_to(token) {
            Some(said) => text(StatusCode::OK, "application/octet-stream", said),
            None => plainly(StatusCode::NOT_FOUND, "没有这个验证 · no such challenge\n"),
        }
    }

    /// The same address with https, if it is one of ours: nobody else's is ever named.
    fn elsewhere(&self, request: &Request<Incoming>) -> Response {
        let there = self.host_of(request).and_then(|at| {
            let target = request.uri().path_and_query();
            let target = target.map_or("/", |target| target.as_str());
            let target = target.strip_prefix('*').unwrap_or(target);
            HeaderValue::from_str(&format!("https://{at}{target}")).ok()
        });
        let Some(there) = there else {
            return plainly(StatusCode::NOT_FOUND, "没有这个网站 · no such site\n");
        };
        // Only a request without a body may become a GET.
        let status = match *request.method() {
            Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
            _ => StatusCode::PERMANENT_REDIRECT,
        };
        let mut response = plainly(status, "请用 https:// · use https://\n");
        response.headers_mut().insert(LOCATION, there);
        response
    }

    fn host_of(&self, request: &Request<Incoming>) -> Option<&str> {
        let mut named = request.headers().get_all(HOST).iter();
        let (Some(host), None) = (named.next(), named.next()) else {
            return None;
        };
        let host = host.to_str().ok()?.to_ascii_lowercase();
        let name = host.rsplit_once(':').map_or(&*host, |(name, _)| name);
        self.names.get(name).map(String::as_str)
    }
}

fn plainly(status: StatusCode, said: &'static str) -> Response {
    text(status, "text/plain; charset=utf-8", said)
}
