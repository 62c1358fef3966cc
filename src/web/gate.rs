//! Whether a request is answered at all: the allowances of its address, and its work in flight.
//!
//! Who proves themselves by a token is counted by that token, elsewhere: thousands of buyers
//! share one address of a mobile carrier. Here is counted what proves nobody, and what proves to
//! be false.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::StatusCode;

use super::limits::PerAddress;
use super::router::Running;
use super::{HttpError, Outcome, Response};
use crate::base::{Household, Rate};

/// Whose allowance a request to a row uses up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toll {
    /// Its address's, before it is looked at: rows that ask nobody who they are.
    Address,
    /// Its address's, when it proved nobody (401); who is proved has an allowance of their own.
    Unproved,
    /// A generous one of its own; and a small one for what turns out to be forged, without which
    /// nothing is verified any more. WeChat forges nothing, so a flood of forgeries from elsewhere
    /// neither keeps it out nor costs more than that.
    Messenger,
}

/// Marks an answer to a message that was forged.
#[derive(Clone, Copy, Debug)]
struct Forged;

/// `response`, marked as the answer to a message that was forged: see [`Toll::Messenger`].
pub fn forged(mut response: Response) -> Response {
    response.extensions_mut().insert(Forged);
    response
}

/// Who sent a request, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub(super) household: Household,
    pub(super) at_ms: i64,
}

/// What addresses have left.
pub(super) struct Gate {
    requests: Rate<Household>,
    messages: Rate<Household>,
    forged: Rate<Household>,
    running_most: usize,
    running: Mutex<HashMap<Household, usize>>,
    told: Minutely,
}

impl Gate {
    pub(super) fn new(most: &PerAddress) -> Arc<Self> {
        Arc::new(Self {
            requests: Rate::per_minute(most.requests_per_minute),
            messages: Rate::per_minute(most.messages_per_minute),
            forged: Rate::per_minute(most.forged_per_minute),
            running_most: most.running.max(1),
            running: Mutex::default(),
            told: Minutely::default(),
        })
    }

    /// Lets a request in, or says why not.
    pub(super) fn enter(self: &Arc<Self>, toll: Toll, from: Sender) -> Result<Pass, HttpError> {
        let Sender { household, at_ms } = from;
        let paid = match toll {
            Toll::Address => self.requests.take(household, at_ms),
            Toll::Unproved => Ok(()),
            Toll::Messenger => {
                let forged = self.forged.check(household, at_ms);
                forged.and_then(|()| self.messages.take(household, at_ms))
            }
        };
        paid.map_err(|wait| self.refused(toll, from, wait))?;
        if !self.has_room(household) {
            return Err(self.refused(toll, from, Duration::ZERO));
        }
        let gate = Arc::clone(self);
        Ok(Pass { gate, toll, from })
    }

    /// Counts what `outcome` shows, or says what to answer instead.
    fn leave(&self, toll: Toll, from: Sender, outcome: Outcome) -> Outcome {
        let Sender { household, at_ms } = from;
        let status = match &outcome {
            Ok(answer) => answer.status(),
            Err(error) => error.status,
        };
        match toll {
            Toll::Address => {}
            Toll::Unproved if status == StatusCode::UNAUTHORIZED => {
                let paid = self.requests.take(household, at_ms);
                paid.map_err(|wait| self.refused(toll, from, wait))?;
            }
            Toll::Unproved => {}
            Toll::Messenger => {
                let denied = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
                let marked = |answer: &Response| answer.extensions().get::<Forged>().is_some();
                if denied || outcome.as_ref().is_ok_and(marked) {
                    // One that came beside the last allowed one is answered as it is.
                    let _ = self.forged.take(household, at_ms);
                }
            }
        }
        outcome
    }

    /// Counts one more request that is worked on, if there is room.
    fn has_room(&self, household: Household) -> bool {
        let mut running = self.running();
        let count = running.entry(household).or_default();
        // A household without room has an entry already: nothing is left behind.
        let room = *count < self.running_most;
        *count += usize::from(room);
        room
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Household, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self, toll: Toll, from: Sender, wait: Duration) -> HttpError {
        if self.told.is_due(from.at_ms) {
            let address = from.household;
            tracing::warn!(
                ?toll,
                %address,
                "一个来源地址的请求过多，已回答 429。如果它是反向代理，请写入 [server] trusted_proxies"
            );
        }
        let said = "请求过于频繁，请稍后再试";
        HttpError {
            retry_after_s: Some(wait.as_secs().saturating_add(1)),
            ..HttpError::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", said)
        }
    }
}

/// The right to be worked on; given back when dropped.
pub(super) struct Pass {
    gate: Arc<Gate>,
    toll: Toll,
    from: Sender,
}

impl Pass {
    /// `running`, which holds this pass as long as it runs, whoever still waits for it.
    pub(super) fn through(self, running: Running) -> Passed {
        let pass = self;
        Passed { running, pass }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut running = self.gate.running();
        if let Some(count) = running.get_mut(&self.from.household) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.from.household);
            }
        }
    }
}

/// A handler's future with its pass.
pub(super) struct Passed {
    running: Running,
    pass: Pass,
}

impl Future for Passed {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = ready!(self.running.as_mut().poll(cx));
        let Pass { gate, toll, from } = &self.pass;
        Poll::Ready(gate.leave(*toll, *from, outcome))
    }
}

/// Says yes once a minute: for a log that an attacker could fill.
#[derive(Debug, Default)]
pub(super) struct Minutely(AtomicI64);

impl Minutely {
    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        let due = !(0..60_000).contains(&now_ms.saturating_sub(last));
        let (mine, seen) = (Ordering::Relaxed, Ordering::Relaxed);
        due && self.0.compare_exchange(last, now_ms, mine, seen).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::web::empty;

    const NOW: i64 = 1_767_196_830_000;

    fn from(address: &str) -> Sender {
        Sender {
            household: Household::of(address.parse().unwrap()),
            at_ms: NOW,
        }
    }

    fn gate() -> Arc<Gate> {
        Gate::new(&PerAddress {
            connections: 1,
            running: 2,
            requests_per_minute: 3,
            messages_per_minute: 5,
            forged_per_minute: 2,
        })
    }

    /// Whether the answer to a request of `from` is the handler's.
    fn answered(gate: &Arc<Gate>, toll: Toll, from: Sender, answer: fn() -> Response) -> bool {
        let Ok(pass) = gate.enter(toll, from) else {
            return false;
        };
        let running = Box::pin(async move { Ok(answer()) });
        let outcome = pass
            .through(running)
            .now_or_never()
            .expect("it waits for nothing");
        outcome.is_ok()
    }

    fn ok() -> Response {
        empty(StatusCode::OK)
    }

    fn unproved() -> Response {
        empty(StatusCode::UNAUTHORIZED)
    }

    fn denied() -> Response {
        empty(StatusCode::FORBIDDEN)
    }

    #[test]
    fn what_proves_nobody_is_counted_by_its_address() {
        let gate = gate();
        let (one, other) = (from("192.0.2.7"), from("192.0.2.8"));
        assert!(answered(&gate, Toll::Address, one, ok));
        assert!(answered(&gate, Toll::Unproved, one, unproved));
        assert!(answered(&gate, Toll::Address, one, ok));
        let error = gate.enter(Toll::Address, one).err().unwrap();
        assert_eq!(error.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(error.retry_after_s, Some(21));
        assert!(!answered(&gate, Toll::Unproved, one, unproved));
        assert!(answered(&gate, Toll::Address, other, ok));
        for _ in 0..9 {
            assert!(answered(&gate, Toll::Unproved, one, ok), "it was proved");
        }
    }

    #[test]
    fn forged_messages_close_the_door_to_their_own_address_only() {
        let gate = gate();
        let (one, other) = (from("192.0.2.7"), from("192.0.2.8"));
        let marked = || forged(ok());
        assert!(answered(&gate, Toll::Messenger, one, marked));
        assert!(answered(&gate, Toll::Messenger, one, denied));
        assert!(!answered(&gate, Toll::Messenger, one, marked));
        assert!((0..5).all(|_| answered(&gate, Toll::Messenger, other, ok)));
        assert!(!answered(&gate, Toll::Messenger, other, ok));
        assert!(answered(&gate, Toll::Address, other, ok));
    }

    #[test]
    fn only_so_many_requests_of_one_address_are_worked_on_and_none_is_remembered() {
        let gate = gate();
        let (one, other) = (from("192.0.2.7"), from("192.0.2.8"));
        let first = gate.enter(Toll::Unproved, one).unwrap();
        let second = gate.enter(Toll::Unproved, one).unwrap();
        let error = gate.enter(Toll::Unproved, one).err().unwrap();
        assert_eq!(error.retry_after_s, Some(1));
        assert!(gate.enter(Toll::Unproved, other).is_ok());
        drop(first);
        assert!(gate.enter(Toll::Unproved, one).is_ok());
        drop(second);
        assert!(gate.running().is_empty());
    }

    #[test]
    fn a_flood_is_told_once_a_minute() {
        let told = Minutely::default();
        assert!(told.is_due(NOW));
        assert!(!told.is_due(NOW + 59_999));
        assert!(told.is_due(NOW + 60_000));
        assert!(told.is_due(NOW), "the clock was set back");
    }
}
