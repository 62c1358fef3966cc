//! One connection: HTTP/1.1 with keep-alive, ended when its peer is too slow or the server stops.
//!
//! hyper's own head deadline sets a timer for every request. Here one timer a connection looks
//! now and then whether the peer is late, and is moved only when a head arrives in pieces.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Deadlines;
use super::answer::{Peer, answer};
use super::server::Site;

/// Carries requests from `stream` to the router until either side ends it.
///
/// To a head that is too long hyper answers 431, and 400 to what is not HTTP: bare, without a
/// request id. (`pipeline_flush` would swallow them.)
pub(super) async fn carry<S, T>(site: &Site<S>, stream: T, peer: &Peer<'_>)
where
    S: Send + Sync + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send,
{
    let pace = Pace::new();
    let io = TokioIo::new(Paced {
        stream,
        pace: &pace,
    });
    let serving = http1::Builder::new()
        // Answers are small: one copy costs less than the kernel's writev.
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

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const BUSY: u8 = 2;

/// Where a connection stands. Only its own task changes it: the atomics are for `Send`.
pub(super) struct Pace {
    opened: Instant,
    phase: AtomicU8,
    /// When the last answer was made, microseconds after `opened`.
    answered_us: AtomicU64,
}

impl Pace {
    fn new() -> Self {
        Self {
            opened: Instant::now(),
            // A peer that connects has something to say.
            phase: AtomicU8::new(HEAD),
            answered_us: AtomicU64::new(0),
        }
    }

    /// A whole head has arrived.
    pub(super) fn busy(&self) {
        self.phase.store(BUSY, Ordering::Relaxed);
    }

    /// The answer was made at `now`.
    pub(super) fn answered(&self, now: Instant) {
        let us = now.duration_since(self.opened).as_micros();
        let us = u64::try_from(us).unwrap_or(u64::MAX);
        self.answered_us.store(us, Ordering::Relaxed);
        self.phase.store(IDLE, Ordering::Relaxed);
    }

    fn received(&self) {
        if self.phase.load(Ordering::Relaxed) == IDLE {
            self.phase.store(HEAD, Ordering::Relaxed);
        }
    }

    fn answered_at(&self) -> Instant {
        self.opened + Duration::from_micros(self.answered_us.load(Ordering::Relaxed))
    }
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
        let alarm_at = pace.opened + deadlines.head;
        Self {
            pace,
            deadlines,
            alarm: Box::pin(sleep_until(alarm_at)),
            alarm_at,
            head_from: Some(pace.opened),
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
        match self.pace.phase.load(Ordering::Relaxed) {
            HEAD => {
                let from = *self.head_from.get_or_insert_with(Instant::now);
                Some(from.max(self.pace.answered_at()) + self.deadlines.head)
            }
            phase => {
                self.head_from = None;
                (phase == IDLE).then(|| self.pace.answered_at() + self.deadlines.idle)
            }
        }
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

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
