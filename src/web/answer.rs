//! From a request to its answer: id, client, row, handler, headers, log line.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt;
use hyper::body::{Body, Incoming};
use hyper::header::{HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use tokio::time::Instant;

use super::body::is_whole;
use super::connection::Pace;
use super::request::{Payload, Waiting};
use super::router::Running;
use super::server::Site;
use super::{HttpError, Req, RequestId, Response};
use crate::base::Timestamp;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The longest path and query, bytes: beyond it the answer is 414.
const MAX_TARGET_BYTES: usize = 8 * 1024;

/// Who is at the other end of a connection; its text is made once, for the log.
pub(super) struct Peer {
    addr: IpAddr,
    text: String,
    /// Whether the connection itself is TLS.
    secure: bool,
}

impl Peer {
    /// A peer whose connection anyone on the way can read.
    pub(super) fn new(addr: IpAddr) -> Self {
        let addr = addr.to_canonical();
        let text = addr.to_string();
        let secure = false;
        Self { addr, text, secure }
    }

    fn text_of(&self, client_addr: IpAddr) -> Cow<'_, str> {
        if client_addr == self.addr {
            Cow::Borrowed(&self.text)
        } else {
            Cow::Owned(client_addr.to_string())
        }
    }
}

/// Answers one request of `peer`, and logs it.
pub(super) async fn answer<S: Send + Sync + 'static>(
    site: &Site<S>,
    peer: &Peer,
    pace: &Pace,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let begun = Instant::now();
    pace.busy();
    let (head, incoming) = request.into_parts();
    let arrival = Arrival {
        id: site.ids.next(),
        client_addr: site.proxies.client_of(peer.addr, &head.headers),
        secure: peer.secure || site.proxies.say_https(peer.addr, &head.headers),
    };
    let (method, uri) = (head.method.clone(), head.uri.clone());
    let mut response = routed(site, arrival, head, incoming).await;
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, arrival.id.header());
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    let made = Instant::now();
    if is_whole(response.body()) {
        pace.answered(made);
    }
    // The path only: a query may hold a token.
    tracing::info!(
        target: "access",
        method = method.as_str(),
        path = uri.path(),
        status = response.status().as_u16(),
        bytes = response.body().size_hint().lower(),
        elapsed_us = u64::try_from(made.duration_since(begun).as_micros()).unwrap_or(u64::MAX),
        request_id = arrival.id.as_str(),
        client_addr = &*peer.text_of(arrival.client_addr),
    );
    Ok(response)
}

/// What is known of a request before it is routed.
#[derive(Clone, Copy)]
struct Arrival {
    id: RequestId,
    client_addr: IpAddr,
    secure: bool,
}

async fn routed<S: Send + Sync + 'static>(
    site: &Site<S>,
    arrival: Arrival,
    head: Parts,
    incoming: Incoming,
) -> Response {
    let id = arrival.id;
    let target = head.uri.path_and_query();
    if target.is_some_and(|target| target.as_str().len() > MAX_TARGET_BYTES) {
        let error = HttpError::new(StatusCode::URI_TOO_LONG, "URI_TOO_LONG", "地址过长");
        return error.into_response(id);
    }
    let row = match site.router.find(&head.method, head.uri.path()) {
        Ok(row) => row,
        Err(astray) => return astray.into_response(id),
    };
    let at_ms = site.clock.now_ms();
    let req = Req {
        at: Timestamp::from_unix(at_ms.div_euclid(1000)),
        at_ms,
        id,
        client_addr: arrival.client_addr,
        secure: arrival.secure,
        head,
        pattern: row.pattern(),
        payload: Payload::Waiting(Waiting {
            incoming,
            limit_bytes: site.limits.max_body_bytes,
            within: site.limits.deadlines.body,
        }),
    };
    finished(site, id, row.call(Arc::clone(&site.state), req)).await
}

/// Runs a handler to its end, whatever becomes of this future.
///
/// hyper drops it when the peer hangs up. So it is polled here once, which is enough for a handler
/// that waits for nothing, and goes on in a task of its own if it is not done by then.
async fn finished<S>(site: &Site<S>, id: RequestId, running: Running) -> Response {
    let mut running = AssertUnwindSafe(running).catch_unwind();
    let first = poll_fn(|cx| Poll::Ready(running.poll_unpin(cx))).await;
    let ended = match first {
        Poll::Ready(ended) => Some(ended),
        Poll::Pending => site.tasks.spawn(running).await.ok(),
    };
    match ended {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(error))) => error.into_response(id),
        Some(Err(_)) | None => {
            tracing::error!(request_id = id.as_str(), "处理请求时程序出错, 已回答 500");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            HttpError::new(status, "INTERNAL", "服务内部出错").into_response(id)
        }
    }
}
