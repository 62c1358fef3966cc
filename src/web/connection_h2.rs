//! One connection of HTTP/2: streams within limits, ended when its peer is idle, late or abusive.
//!
//! Requests are answered as over HTTP/1.1: the same table, ids, deadlines, limits and log.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, sleep_until};
use tokio_util::task::TaskTracker;

use super::Deadlines;
use super::answer::{Peer, answer};
use super::pace::Pace;
use super::server::Site;

/// Streams open at once on one connection. Source: RFC 9113 · 6.5.2 (no fewer than 100).
const MAX_STREAMS: u32 = 100;

/// What a peer may send of bodies before it is read: small, for there are thousands of peers.
const STREAM_WINDOW_BYTES: u32 = 32 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 64 * 1024;

/// What waits to be sent on one stream.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Streams that a peer opened and reset before we looked at them.
///
/// Source: CVE-2023-44487 (rapid reset).
const MAX_RESET_UNSEEN: usize = 20;

/// Streams that we had to reset because the peer broke the protocol on them.
///
/// Source: CVE-2025-8671 (the server made to reset).
const MAX_RESET_BY_US: usize = 64;

/// Requests given up before they were answered. Each still runs to its end, so they are not free.
const MAX_GIVEN_UP: u32 = 100;

/// A peer is asked whether it is still there this often, and has this long to say so.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(20);

/// How long a peer that has nothing in flight may take to close after it was told that we stop.
const FAREWELL: Duration = Duration::from_secs(3);

/// Carries requests from `stream` to the router until either side ends it.
pub(super) async fn carry_streams<S, T>(site: &Arc<Site<S>>, stream: T, peer: Peer)
where
    S: Send + Sync + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pace = Arc::new(Pace::new());
    let service = {
        let (site, pace) = (Arc::clone(site), Arc::clone(&pace));
        let peer = Arc::new(peer);
        service_fn(move |request| {
            let (site, pace, peer) = (Arc::clone(&site), Arc::clone(&pace), Arc::clone(&peer));
            async move { answer(&site, &peer, &pace, request).await }
        })
    };
    let mut builder = builder(InTasks(site.tasks.clone()));
    let head_bytes = u32::try_from(site.limits.max_head_bytes).unwrap_or(u32::MAX);
    builder.max_header_list_size(head_bytes);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        biased;
        () = ended(serving.as_mut(), &pace) => return,
        () = site.stop.cancelled() => {}
        () = late(&pace, &site.limits.deadlines) => {}
    }
    serving.as_mut().graceful_shutdown();
    tokio::select! {
        () = ended(serving.as_mut(), &pace) => {}
        () = quiet(&pace) => {}
    }
}

fn builder(tasks: InTasks) -> http2::Builder<InTasks> {
    let mut builder = http2::Builder::new(tasks);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(MAX_RESET_UNSEEN)
        .max_local_error_reset_streams(MAX_RESET_BY_US)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN);
    builder
}

/// Waits for the connection's end: the peer's, or ours when it gives up too many requests.
async fn ended(mut serving: Pin<&mut impl Future>, pace: &Pace) {
    poll_fn(|cx| {
        // How it ended is the peer's affair: every answer has its own log line.
        if serving.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if pace.given_up() > MAX_GIVEN_UP {
            tracing::warn!("HTTP/2 连接反复发起又取消请求，已断开");
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

/// Waits until the peer has asked nothing for too long.
async fn late(pace: &Pace, deadlines: &Deadlines) {
    let mut until = pace.opened() + deadlines.head;
    loop {
        sleep_until(until).await;
        match pace.due(deadlines) {
            Some(due) if due <= until => return,
            Some(due) => until = due,
            None => until += deadlines.idle,
        }
    }
}

/// Waits until nothing has been in flight for a while.
async fn quiet(pace: &Pace) {
    loop {
        sleep(FAREWELL).await;
        if !pace.is_busy() && pace.answered_at().elapsed() >= FAREWELL {
            return;
        }
    }
}

/// Runs each stream as a task that the server waits for when it stops.
#[derive(Clone)]
struct InTasks(TaskTracker);

impl<F> hyper::rt::Executor<F> for InTasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}
