//! One connection: HTTP/1.1 with keep-alive, ended when its peer is too slow or the server stops.
//!
//! hyper's own head deadline sets a timer for every request. Here one timer a connection looks
//! now and then whether the peer is late, and is moved only when a head arrives in pieces.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Deadlines;
use super::answer::{Peer, answer};
use super::bare::Shaped;
use super::pace::Pace;
use super::server::Site;

/// Carries requests from `stream` to the router until either side ends it.
pub(super) async fn carry<S, T>(site: &Site<S>, stream: T, peer: &Peer)
where
    S: Send + Sync + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let pace = Pace::new();
    let paced = Paced {
        stream,
        pace: &pace,
    };
    let io = TokioIo::new(Shaped::new(paced, &site.ids, peer));
    let serving = http1::Builder::new()
        // Answers are small: one copy costs less than the kernel's writev. `pipeline_flush` would
        // swallow what hyper answers by itself.
        .writev(false)
        .max_buf_size(site.limits.max_head_bytes)
        .max_header_size(site.limits.max_head_bytes)
        .serve_connection(io, service_fn(|request| answer(site, peer, &pace, request)));
    let (mut serving, mut stop) = (pin!(serving), pin!(site.stop.cancelled()));
    let watch = Watch::new(&pace, &site.limits.deadlines);
    let (mut watch, mut stopping) = (pin!(watch), false);
    poll_fn(|cx| {
        // How it ended is the peer's affair: every answer has its own log line.
        if serving.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !stopping && stop.as_mut().poll(cx).is_ready() {
            stopping = true;
            serving.as_mut().graceful_shutdown();
            if serving.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        watch.as_mut().poll_late(cx)
    })
    .await;
}

/// The timer of one connection.
struct Watch<'a> {
    pace: &'a Pace,
    deadlines: &'a Deadlines,
    alarm: Pin<Box<Sleep>>,
    alarm_at: Instant,
    /// When an unfinished head was first seen.
    head_from: Option<Instant>,
}

impl<'a> Watch<'a> {
    fn new(pace: &'a Pace, deadlines: &'a Deadlines) -> Self {
        let alarm_at = pace.opened() + deadlines.head;
        Self {
            pace,
            deadlines,
            alarm: Box::pin(sleep_until(alarm_at)),
            alarm_at,
            head_from: Some(pace.opened()),
        }
    }

    /// Ready when the peer is late.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.due();
        if due.is_some_and(|due| due < self.alarm_at) {
            self.set(due);
        }
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let now = Instant::now();
            if due.is_some_and(|due| due <= now) {
                return Poll::Ready(());
            }
            self.set(Some(due.unwrap_or(now + self.deadlines.idle)));
        }
    }

    /// When the connection is to be closed; never while a request is being answered.
    fn due(&mut self) -> Option<Instant> {
        if self.pace.is_in_head() {
            let from = *self.head_from.get_or_insert_with(Instant::now);
            return Some(from.max(self.pace.answered_at()) + self.deadlines.head);
        }
        self.head_from = None;
        (!self.pace.is_busy()).then(|| self.pace.answered_at() + self.deadlines.idle)
    }

    fn set(&mut self, at: Option<Instant>) {
        if let Some(at) = at {
            self.alarm.as_mut().reset(at);
            self.alarm_at = at;
        }
    }
}

/// A stream that tells its pace when something arrives.
struct Paced<'a, T> {
    stream: T,
    pace: &'a Pace,
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<'_, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        if into.filled().len() > before {
            self.pace.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<'_, T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
