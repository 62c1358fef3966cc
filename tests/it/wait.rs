//! Waiting for a condition, with a limit: no test sleeps for luck. And telling how it went.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

/// Waits until `holds`, at most 30 s.
#[track_caller]
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    within(Duration::from_secs(30), what, holds);
}

/// Waits until `holds`, at most `limit`.
#[track_caller]
pub(crate) fn within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let from = Instant::now();
    while !holds() {
        assert!(from.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Watches that it `holds` for `long`: for what must not happen.
#[track_caller]
pub(crate) fn stays(long: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let from = Instant::now();
    while from.elapsed() < long {
        assert!(holds(), "after {:?} no more: {what}", from.elapsed());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Tells the log of the run, past the capture of a test that passes.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
