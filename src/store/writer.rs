//! The one writer: takes what waits, runs it as a group, makes it durable with one fdatasync,
//! applies it, answers.
//!
//! While one group waits for the disk the next gathers, so groups grow with the load by themselves.
//! Nobody waits for cache changes: they gather for some milliseconds when there is nothing else.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::StoreError;
use super::command::{Command, Rest};
use super::format::Mark;
use super::gather::{Gathered, Gathering};
use super::group::{Group, take};
use super::health::Health;
use super::journal::Journal;
use super::metrics::StoreMetrics;
use super::phase::{Phase, PhaseFile};
use super::seal::Seal;
use super::set::Set;
use super::tx::Overlay;
use super::watchdog::Steps;
use crate::base::Clock;

/// The working set is flushed this long after it was changed,
const FLUSH_AFTER: Duration = Duration::from_secs(1);
/// or when this much has been changed.
const FLUSH_BYTES: usize = 8 << 20;
/// How long cache changes gather when nothing else is to be done.
const GATHER_FOR: Duration = Duration::from_millis(5);

/// What is sent to the writer.
pub(super) enum Message {
    /// A transaction, behind the cache changes that were made before it.
    Write(Gathered, Box<dyn Command>),
    /// So many changes of cache keys that they gather no longer.
    Cache(Gathered),
    /// Changes of cache keys began to gather: this many times some were taken before them.
    Gathering(u64),
    /// The segment is to be sealed and the next begun; answered when that is durable.
    Rotate(std::sync::mpsc::Sender<()>),
    /// The end: everything durable and sealed, the cache changes made before it too.
    Close(Gathered, oneshot::Sender<Result<(), StoreError>>),
}

/// What the writer and its callers share.
pub(super) struct Shared {
    /// The working set; `None` once the store is closed.
    pub(super) set: RwLock<Option<Set>>,
    /// Whether the store is well.
    pub(super) health: Arc<Health>,
    /// Cache changes that nobody has sent yet.
    pub(super) gathering: Mutex<Gathering>,
    /// Cache batches that are in the working set.
    pub(super) cache_applied: AtomicU64,
    /// For the watchdog.
    pub(super) steps: Arc<Steps>,
    /// What is counted of it.
    pub(super) metrics: StoreMetrics,
    /// The data directory's lock; it goes free after the working set.
    lock: Mutex<Option<File>>,
}

impl Shared {
    pub(super) fn new(set: Set, health: Arc<Health>, lock: Option<File>) -> Self {
        Self {
            set: RwLock::new(Some(set)),
            health,
            gathering: Mutex::default(),
            cache_applied: AtomicU64::new(0),
            steps: Arc::default(),
            metrics: StoreMetrics::default(),
            lock: Mutex::new(lock),
        }
    }

    pub(super) fn set(&self) -> RwLockReadGuard<'_, Option<Set>> {
        self.set.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn gathering(&self) -> MutexGuard<'_, Gathering> {
        self.gathering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a writer is made of.
pub(super) struct Writer {
    /// Where closures come from.
    pub(super) inbox: Receiver<Message>,
    /// The working set and its health.
    pub(super) shared: Arc<Shared>,
    /// The journal; `None` only while a segment ends.
    pub(super) journal: Option<Journal>,
    /// How far the journal has come, for the next start.
    pub(super) mark: Mark,
    /// Where the store lives.
    pub(super) data_dir: PathBuf,
    /// For the time in each frame.
    pub(super) clock: Clock,
    /// What it is doing, for a crash test.
    pub(super) phase: PhaseFile,
}

/// What has been changed and not flushed.
#[derive(Default)]
struct Unflushed {
    bytes: usize,
    since: Option<Instant>,
}

impl Writer {
    /// Works until the store is closed, has failed, or nobody is left to send anything.
    pub(super) fn run(mut self) {
        let mut unflushed = Unflushed::default();
        let mut group = Group::default();
        loop {
            let worked = catch_unwind(AssertUnwindSafe(|| self.turn(&mut group, &mut unflushed)));
            match worked.unwrap_or_else(|_| Err("writer panicked".to_owned())) {
                Ok(true) => {}
                Ok(false) => return,
                Err(why) => {
                    self.shared.health.fail(&why);
                    return self.refuse_all(group);
                }
            }
            if let Some(closed) = group.close.take() {
                // The one who closed may have given up waiting.
                let _ = closed.send(self.close());
                return self.refuse_all(group);
            }
        }
    }

    /// Does what waits and comes back; `None` once the store has failed. A simulation decides when
    /// the writer gets to run.
    #[cfg(test)]
    pub(super) fn catch_up(mut self) -> Option<Self> {
        let mut group = Group::default();
        while let Ok(first) = self.inbox.try_recv() {
            let mut unflushed = Unflushed::default();
            if let Err(why) = self.write(first, &mut group, &mut unflushed) {
                self.shared.health.fail(&why);
                self.refuse_all(group);
                return None;
            }
        }
        Some(self)
    }

    /// Waits for something to do and does it; `false` when nobody can send any more.
    fn turn(&mut self, group: &mut Group, unflushed: &mut Unflushed) -> Result<bool, String> {
        self.enter(Phase::Idle);
        match self.wait(unflushed) {
            Ok(first) => self.write(first, group, unflushed)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        }
        let due = unflushed
            .since
            .is_some_and(|since| since.elapsed() >= FLUSH_AFTER);
        if due || unflushed.bytes >= FLUSH_BYTES {
            self.flush()?;
            *unflushed = Unflushed::default();
        }
        Ok(true)
    }

    /// Waits for a message, and longer while only cache changes gather.
    fn wait(&self, unflushed: &Unflushed) -> Result<Message, RecvTimeoutError> {
        let first = match unflushed.since {
            None => self.inbox.recv()?,
            Some(since) => {
                let left = FLUSH_AFTER.saturating_sub(since.elapsed());
                self.inbox.recv_timeout(left)?
            }
        };
        let Message::Gathering(_) = first else {
            return Ok(first);
        };
        match self.inbox.recv_timeout(GATHER_FOR) {
            // It brings along what has gathered.
            Ok(next) => Ok(next),
            Err(RecvTimeoutError::Timeout) => Ok(first),
            Err(RecvTimeoutError::Disconnected) => Err(RecvTimeoutError::Disconnected),
        }
    }

    fn write(
        &mut self,
        first: Message,
        group: &mut Group,
        unflushed: &mut Unflushed,
    ) -> Result<(), String> {
        self.enter(Phase::Group);
        let bytes = self.commit(first, group)?;
        if bytes > 0 {
            unflushed.bytes += bytes;
            unflushed.since.get_or_insert_with(Instant::now);
        }
        let applied = std::mem::take(&mut group.cache_batches);
        self.shared
            .cache_applied
            .fetch_add(applied, Ordering::Release);
        Rest::answer_all(std::mem::take(&mut group.commands));
        for asked in std::mem::take(&mut group.rotate) {
            self.rotate()?;
            // The one who asked may be gone.
            let _ = asked.send(());
        }
        Ok(())
    }

    /// Runs a group and makes it durable and visible; returns the bytes changed.
    fn commit(&mut self, first: Message, group: &mut Group) -> Result<usize, String> {
        let shared = Arc::clone(&self.shared);
        let set = shared.set();
        let set = set.as_ref().ok_or("the working set is closed")?;
        let mut next = Some(first);
        while let Some(message) = next.take() {
            take(message, &shared, set, group);
            if group.takes_more() {
                next = self.inbox.try_recv().ok();
            }
        }
        if shared.health.check().is_err() {
            return Err("a read failed".to_owned());
        }
        let mut commit = None;
        if group.changes.is_journaled() {
            commit = Some(self.record(&group.changes)?);
            shared.metrics.group.held(group.commands.len());
        }
        let (bytes, tallies) = (group.changes.bytes(), group.changes.take_tallies());
        if !group.changes.is_empty() {
            self.enter(Phase::Apply);
            set.apply(group.changes.drain(), commit)?;
        }
        shared.metrics.count(&tallies);
        Ok(bytes)
    }

    /// Writes the group's frame and waits for the disk; returns its commit.
    fn record(&mut self, changes: &Overlay) -> Result<u64, String> {
        let now_ms = self.clock.now_ms();
        let failed = |error: std::io::Error| format!("journal: {error}");
        if self.journal.as_ref().is_some_and(Journal::is_full) {
            self.rotate()?;
            self.enter(Phase::Group);
        }
        let mut journal = self.journal.take().ok_or("the journal is closed")?;
        journal.write(now_ms, changes).map_err(failed)?;
        self.enter(Phase::Fdatasync);
        let began = Instant::now();
        journal.sync().map_err(failed)?;
        self.shared.metrics.fdatasync.took(began.elapsed());
        let commit = journal.end().commit;
        self.journal = Some(journal);
        Ok(commit)
    }

    /// Seals the segment and begins the next.
    fn rotate(&mut self) -> Result<(), String> {
        self.enter(Phase::Rotation);
        let journal = self.journal.take().ok_or("the journal is closed")?;
        let next = journal.rotate(self.clock.now_ms());
        self.journal = Some(next.map_err(|error| format!("journal: {error}"))?);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), String> {
        self.enter(Phase::Apply);
        let set = self.shared.set();
        set.as_ref().ok_or("the working set is closed")?.flush()?;
        let commit = self
            .journal
            .as_ref()
            .map_or(0, |journal| journal.end().commit);
        self.mark
            .note(commit)
            .map_err(|error| format!("mark: {error}"))
    }

    /// Seals journal and working set.
    fn close(&mut self) -> Result<(), StoreError> {
        self.enter(Phase::Rotation);
        let closed = catch_unwind(AssertUnwindSafe(|| self.seal()));
        let closed = closed.unwrap_or_else(|_| Err("closing panicked".to_owned()));
        closed.map_err(|why| {
            self.shared.health.fail(&why);
            StoreError::Unavailable
        })
    }

    fn seal(&mut self) -> Result<(), String> {
        let failed = |error: std::io::Error| error.to_string();
        self.flush()?;
        let mut journal = self.journal.take().ok_or("the journal is closed")?;
        journal.seal(self.clock.now_ms()).map_err(failed)?;
        let open = self
            .shared
            .set
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        open.ok_or("the working set is closed")?.close()?;
        if let Some(why) = self.shared.health.failure() {
            return Err(why);
        }
        let sled_dir = self.data_dir.join("sled");
        Seal::write(&self.data_dir, &sled_dir, journal.end()).map_err(failed)?;
        let mut lock = self
            .shared
            .lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        drop(lock.take());
        Ok(())
    }

    /// Tells a broken group that its outcome is unknown, and all who wait that nothing was done.
    fn refuse_all(self, group: Group) {
        for command in group.commands {
            command.fail(StoreError::Unknown);
        }
        if let Some(closed) = group.close {
            let _ = closed.send(Err(StoreError::Unavailable));
        }
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                Message::Write(_, command) => command.fail(StoreError::Unavailable),
                Message::Cache(_) | Message::Gathering(_) | Message::Rotate(_) => {}
                Message::Close(_, closed) => {
                    let _ = closed.send(Err(StoreError::Unavailable));
                }
            }
        }
    }

    /// Notes a step for the watchdog and the phase for a crash test.
    fn enter(&self, phase: Phase) {
        self.shared.steps.enter(phase);
        self.phase.enter(phase);
    }
}
