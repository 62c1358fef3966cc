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
use hyper::{Request, StatusCode, Uri};
use tokio::time::Instant;

use super::body::is_whole;
use super::gate::{Pass, Passed, Sender, Toll};
use super::pace::Pace;
use super::request::{Payload, Waiting};
use super::router::Astray;
use super::seats::Seat;
use super::server::Site;
use super::{HttpError, Req, RequestId, Response, Route};
use crate::base::{Household, Timestamp};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Who is at the other end of a connection; its text is made once, for the log.
pub(super) struct Peer {
    addr: IpAddr,
    text: String,
    /// Whether the connection itself is TLS.
    secure: bool,
    seat: Arc<Seat>,
}

impl Peer {
    /// A peer whose connection anyone on the way can read.
    pub(super) fn new(addr: IpAddr, seat: Arc<Seat>) -> Self {
        let addr = addr.to_canonical();
        Self {
            addr,
            text: addr.to_string(),
            secure: false,
            seat,
        }
    }

    /// The same peer on a connection that is TLS.
    pub(super) fn over_tls(self) -> Self {
        let secure = true;
        Self { secure, ..self }
    }

    /// Its address, for the log.
    pub(super) fn text(&self) -> &str {
        &self.text
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
    let (_busy, turn) = (peer.seat.busy(), pace.turn());
    let (head, incoming) = request.into_parts();
    let arrival = Arrival {
        id: site.ids.next(),
        at_ms: site.clock.now_ms(),
        client_addr: site.proxies.client_of(peer.addr, &head.headers),
        secure: peer.secure || site.proxies.say_https(peer.addr, &head.headers),
    };
    let (method, uri) = (head.method.clone(), head.uri.clone());
    let row = match is_too_long(&uri, site.limits.max_url_bytes) {
        true => Err(Astray::TooLong),
        false => site.router.find(&method, uri.path()),
    };
    let (route, metrics) = match &row {
        Ok(row) => (row.pattern(), &row.metrics),
        Err(_) => ("none", &site.astray),
    };
    let mut response = routed(site, arrival, row, (head, incoming)).await;
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, arrival.id.header());
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    let made = Instant::now();
    match is_whole(response.body()) {
        true => turn.answered(made),
        false => turn.goes_on(&mut response),
    }
    let took = made.duration_since(begun);
    metrics.answered(response.status(), took);
    // The path only: a query may hold a token.
    tracing::info!(
        target: "access",
        method = method.as_str(),
        route,
        path = uri.path(),
        status = response.status().as_u16(),
        bytes = response.body().size_hint().lower(),
        ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        elapsed_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        request_id = arrival.id.as_str(),
        client_addr = &*peer.text_of(arrival.client_addr),
        "已答"
    );
    Ok(response)
}

/// What is known of a request before it is routed.
#[derive(Clone, Copy)]
struct Arrival {
    id: RequestId,
    at_ms: i64,
    client_addr: IpAddr,
    secure: bool,
}

async fn routed<S: Send + Sync + 'static>(
    site: &Site<S>,
    arrival: Arrival,
    row: Result<&Route<S>, Astray>,
    (head, incoming): (Parts, Incoming),
) -> Response {
    let (row, pass) = match admitted(site, arrival, row) {
        Ok(admitted) => admitted,
        Err(astray) => return astray.into_response(arrival.id),
    };
    let Arrival { id, at_ms, .. } = arrival;
    let req = Req {
        at: Timestamp::from_unix(at_ms.div_euclid(1000)),
        at_ms,
        id,
        client_addr: arrival.client_addr,
        secure: arrival.secure,
        head,
        pattern: row.pattern(),
        payload: Payload::Waiting(Waiting::new(incoming, &site.limits)),
    };
    let running = row.call(Arc::clone(&site.state), req);
    finished(site, id, pass.through(running)).await
}

/// The row that answers, and the right to be answered.
fn admitted<'a, S>(
    site: &Site<S>,
    arrival: Arrival,
    row: Result<&'a Route<S>, Astray>,
) -> Result<(&'a Route<S>, Pass), Astray> {
    let toll = row.as_ref().map_or(Toll::Address, |row| row.toll());
    let from = Sender {
        household: Household::of(arrival.client_addr),
        at_ms: arrival.at_ms,
    };
    let pass = site.gate.enter(toll, from).map_err(Astray::Refused)?;
    Ok((row?, pass))
}

fn is_too_long(uri: &Uri, most: usize) -> bool {
    let target = uri.path_and_query();
    target.is_some_and(|target| target.as_str().len() > most)
}

/// Runs a handler to its end, whatever becomes of this future.
///
/// hyper drops it when the peer hangs up. So it is polled here once, which is enough for a handler
/// that waits for nothing, and goes on in a task of its own if it is not done by then.
async fn finished<S>(site: &Site<S>, id: RequestId, running: Passed) -> Response {
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
