//! How far a connection is: what its peer owes us, and since when.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use hyper::header::{CONNECTION, HeaderValue};
use tokio::time::Instant;

use super::{Deadlines, Response};

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Where a connection stands. HTTP/1.1 answers one request at a time, HTTP/2 many.
pub(super) struct Pace {
    opened: Instant,
    /// Whether part of a head has arrived, and not all of it.
    in_head: AtomicBool,
    /// How many requests are being answered.
    turns: AtomicU32,
    /// How many requests the peer gave up before they were answered.
    given_up: AtomicU32,
    /// When the last answer was made, microseconds after `opened`.
    answered_us: AtomicU64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            // A peer that connects has something to say.
            in_head: AtomicBool::new(true),
            turns: AtomicU32::new(0),
            given_up: AtomicU32::new(0),
            answered_us: AtomicU64::new(0),
        }
    }

    /// A whole head has arrived; it is being answered until the turn is dropped.
    pub(super) fn turn(&self) -> Turn<'_> {
        self.in_head.store(false, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
        Turn {
            pace: self,
            is_answered: false,
        }
    }

    /// Something has arrived: between two requests it begins a head.
    pub(super) fn received(&self) {
        if !self.is_busy() {
            self.in_head.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a request is being answered.
    pub(super) fn is_busy(&self) -> bool {
        self.turns.load(Ordering::Relaxed) > 0
    }

    /// Whether a head has begun and is not whole.
    pub(super) fn is_in_head(&self) -> bool {
        !self.is_busy() && self.in_head.load(Ordering::Relaxed)
    }

    /// How many requests the peer gave up before they were answered.
    pub(super) fn given_up(&self) -> u32 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// When the connection began.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// When the last answer was made; the beginning when there was none.
    pub(super) fn answered_at(&self) -> Instant {
        self.opened + Duration::from_micros(self.answered_us.load(Ordering::Relaxed))
    }

    /// When a connection of many streams is to be closed; never while a request is answered.
    ///
    /// Bytes that make no request do not count: a peer cannot stay by sending pings.
    pub(super) fn due(&self, deadlines: &Deadlines) -> Option<Instant> {
        if self.is_busy() {
            return None;
        }
        let allowed = if self.in_head.load(Ordering::Relaxed) {
            deadlines.head
        } else {
            deadlines.idle
        };
        Some(self.answered_at() + allowed)
    }
}

/// One request being answered.
pub(super) struct Turn<'a> {
    pace: &'a Pace,
    is_answered: bool,
}

impl Turn<'_> {
    /// The answer was made at `now`.
    pub(super) fn answered(mut self, now: Instant) {
        let us = now.duration_since(self.pace.opened).as_micros();
        let us = u64::try_from(us).unwrap_or(u64::MAX);
        self.pace.answered_us.fetch_max(us, Ordering::Relaxed);
        self.is_answered = true;
    }

    /// The answer is still being made while it is sent: the connection is not late as long as its
    /// body's own deadlines hold, and takes no request after it.
    pub(super) fn goes_on(self, response: &mut Response) {
        response.headers_mut().insert(CONNECTION, CLOSE);
        std::mem::forget(self);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.pace.given_up.fetch_add(1, Ordering::Relaxed);
        }
        self.pace.turns.fetch_sub(1, Ordering::Relaxed);
    }
}
