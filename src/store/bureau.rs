//! What the maker of base files and the store share: the plan, the state, pins, and the end.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::Timestamp;

/// When base files are made, and how long old ones are kept.
#[derive(Clone, Copy, Debug)]
pub struct BasePlan {
    /// One is due this long after the last,
    pub every: Duration,
    /// or when this much journal, in bytes, and as much as the last base, has gathered.
    pub journal_bytes: u64,
    /// A base may be relied on alone only when it is this old: slow copies take so long.
    pub keep: Duration,
}

impl Default for BasePlan {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(24 * 3600),
            journal_bytes: 256 << 20,
            keep: Duration::from_secs(24 * 3600),
        }
    }
}

/// How base files stand, for who watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseState {
    /// The commit of the newest base; 0 when there is none.
    pub commit: u64,
    /// When it was made.
    pub at: Option<Timestamp>,
    /// Its length in bytes.
    pub bytes: u64,
    /// The journal's length in bytes, all segments.
    pub journal_bytes: u64,
    /// How many segments there are.
    pub segments: usize,
    /// How often one should be made; nothing where none is made.
    pub every: Duration,
    /// The last failure, when nothing has gone well since.
    pub failure: Option<String>,
}

/// What the maker and the store share.
#[derive(Default)]
pub(super) struct Bureau {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    state: BaseState,
    /// While there are any nothing is taken away.
    pins: usize,
    stopped: bool,
}

/// While it lives no base and no segment is taken away.
pub struct Pin(Arc<Bureau>);

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.inner().pins -= 1;
    }
}

impl Bureau {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How base files stand.
    pub(super) fn state(&self) -> BaseState {
        self.inner().state.clone()
    }

    /// Keeps every file where it is.
    pub(super) fn pin(self: &Arc<Self>) -> Pin {
        self.inner().pins += 1;
        Pin(Arc::clone(self))
    }

    /// Ends the maker, soon.
    pub(super) fn stop(&self) {
        self.inner().stopped = true;
        self.changed.notify_all();
    }

    /// Notes how they stand now.
    pub(super) fn note(&self, state: BaseState) {
        self.inner().state = state;
    }

    /// Notes that the last try failed.
    pub(super) fn fail(&self, why: String) {
        self.inner().state.failure = Some(why);
    }

    /// Does `work` unless something pins the files, and lets nobody pin them meanwhile.
    pub(super) fn unless_pinned<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let inner = self.inner();
        (inner.pins == 0).then(work)
    }

    /// Whether the maker is to end.
    pub(super) fn is_stopped(&self) -> bool {
        self.inner().stopped
    }

    /// Waits for `span`; true when it is time to end.
    pub(super) fn wait(&self, span: Duration) -> bool {
        let inner = self.inner();
        let waited = self
            .changed
            .wait_timeout_while(inner, span, |inner| !inner.stopped);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin")
    }
}
