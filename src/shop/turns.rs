//! One order at a time: whoever talks to WeChat about an order waits for its turn.
//!
//! The store alone makes what is written agree; this keeps two calls about one order from passing
//! each other on the wire, so that nothing is opened while it is being closed. Forgotten with the
//! process: what a crash leaves undone is due work.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Gate, OwnedMutexGuard};

use crate::base::OrderNo;

/// How often the truth about one order is asked for at most (CONTRACT §1).
const ASK_EVERY_MS: i64 = 2_000;
/// How often the same thing is written into one order's timeline at most.
const NOTE_EVERY_MS: i64 = 60_000;
/// How many orders are remembered before the quiet ones are forgotten.
const SWEEP_ABOVE: usize = 1024;

/// The turn of one order, given back when dropped.
pub(super) type Turn = OwnedMutexGuard<()>;

/// Whose turn it is, by order.
#[derive(Debug, Default)]
pub(super) struct Turns {
    orders: Mutex<HashMap<OrderNo, Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    gate: Arc<Gate<()>>,
    asked_ms: Option<i64>,
    noted: Vec<(&'static str, i64)>,
    hushed: bool,
}

impl Seen {
    fn is_quiet(&self, now_ms: i64) -> bool {
        let over = |at: i64, every: i64| !is_recent(Some(at), every, now_ms);
        Arc::strong_count(&self.gate) == 1
            && self.asked_ms.is_none_or(|at| over(at, ASK_EVERY_MS))
            && self.noted.iter().all(|(_, at)| over(*at, NOTE_EVERY_MS))
    }
}

/// Whether `at` lies less than `every` before `now`. A clock that was set back counts as long ago.
fn is_recent(at: Option<i64>, every_ms: i64, now_ms: i64) -> bool {
    at.is_some_and(|at| (0..every_ms).contains(&now_ms.saturating_sub(at)))
}

impl Turns {
    /// Waits for the order's turn, at most `within`.
    pub(super) async fn wait(&self, order_no: &OrderNo, within: Duration) -> Option<Turn> {
        let gate = self.seen(order_no, |seen| Arc::clone(&seen.gate));
        tokio::time::timeout(within, gate.lock_owned()).await.ok()
    }

    /// The order's turn, if nobody has it.
    pub(super) fn now(&self, order_no: &OrderNo) -> Option<Turn> {
        let gate = self.seen(order_no, |seen| Arc::clone(&seen.gate));
        gate.try_lock_owned().ok()
    }

    /// Whether the truth about the order may be asked for at `now_ms`; if so, that counts as asked.
    pub(super) fn may_ask(&self, order_no: &OrderNo, now_ms: i64) -> bool {
        self.seen(order_no, |seen| {
            if is_recent(seen.asked_ms, ASK_EVERY_MS, now_ms) {
                return false;
            }
            seen.asked_ms = Some(now_ms);
            true
        })
    }

    /// Whether `kind`, which strangers can cause, may be written into the order's timeline again.
    pub(super) fn may_note(&self, order_no: &OrderNo, kind: &'static str, now_ms: i64) -> bool {
        self.seen(order_no, |seen| {
            let last = seen.noted.iter().find(|(noted, _)| *noted == kind);
            if is_recent(last.map(|(_, at)| *at), NOTE_EVERY_MS, now_ms) {
                return false;
            }
            seen.noted.retain(|(noted, _)| *noted != kind);
            seen.noted.push((kind, now_ms));
            true
        })
    }

    /// Keeps what is said about the order out of its timeline, as long as nothing follows from it.
    /// Only who holds its turn may ask for this, and ends it with [`Turns::speak`].
    pub(super) fn hush(&self, order_no: &OrderNo) {
        self.seen(order_no, |seen| seen.hushed = true);
    }

    /// Ends [`Turns::hush`].
    pub(super) fn speak(&self, order_no: &OrderNo) {
        self.seen(order_no, |seen| seen.hushed = false);
    }

    /// Whether the order is hushed.
    pub(super) fn is_hushed(&self, order_no: &OrderNo) -> bool {
        self.seen(order_no, |seen| seen.hushed)
    }

    /// Forgets orders that nobody talks about.
    pub(super) fn forget_quiet(&self, now_ms: i64) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.len() > SWEEP_ABOVE {
            orders.retain(|_, seen| !seen.is_quiet(now_ms));
        }
    }

    fn seen<T>(&self, order_no: &OrderNo, with: impl FnOnce(&mut Seen) -> T) -> T {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        with(orders.entry(order_no.clone()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order_no(n: u64) -> OrderNo {
        OrderNo::new(1_767_196_830_000, n)
    }

    #[tokio::test]
    async fn one_order_has_one_turn_and_another_order_its_own() {
        let turns = Turns::default();
        let held = turns.now(&order_no(1));
        assert!(held.is_some());
        assert!(turns.now(&order_no(1)).is_none());
        let soon = Duration::from_millis(1);
        assert!(turns.wait(&order_no(1), soon).await.is_none());
        assert!(turns.now(&order_no(2)).is_some());
        drop(held);
        assert!(turns.wait(&order_no(1), soon).await.is_some());
    }

    #[test]
    fn the_truth_is_asked_for_once_in_two_seconds_and_also_after_a_clock_was_set_back() {
        let turns = Turns::default();
        let asked = [10_000, 11_999, 12_000, 3_000].map(|at| turns.may_ask(&order_no(1), at));
        assert_eq!(asked, [true, false, true, true]);
        assert!(turns.may_ask(&order_no(2), 10_001));
    }

    #[test]
    fn the_same_note_is_written_once_a_minute() {
        let turns = Turns::default();
        let noted = [0, 59_999, 60_000].map(|at| turns.may_note(&order_no(1), "a", at));
        assert_eq!(noted, [true, false, true]);
        assert!(turns.may_note(&order_no(1), "b", 60_001));
    }

    #[test]
    fn a_turn_that_is_held_is_never_forgotten() {
        let turns = Turns::default();
        let held = turns.now(&order_no(0));
        for n in 1..2000 {
            turns.may_ask(&order_no(n), 0);
        }
        turns.forget_quiet(999_999);
        assert_eq!(turns.orders.lock().unwrap().len(), 1);
        assert!(turns.now(&order_no(0)).is_none());
        drop(held);
    }
}
