//! The store as the floors above see it: closures in, answers out.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Instant;

use tokio::sync::oneshot;

use super::StoreError;
use super::command::{Closure, Ran, Reply};
use super::memory::MemoryEngine;
use super::open::{StoreConfig, open};
use super::open_error::OpenError;
use super::read::{View, is_cache};
use super::read_only::Reading;
use super::rebuild::Progress;
use super::report::{OpenReport, WorkingSet};
use super::reserve;
use super::space::Room;
use super::starting::{Bases, start};
use super::tx::{Change, Tx};
use super::writer::{Message, Shared};

/// One change of a cache key: its new value, or `None` when it is gone.
pub type CacheChange = (Vec<u8>, Option<Vec<u8>>);

/// The place of a cache batch in the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheTicket(u64);

/// The store. Clones share it.
///
/// Dropping the last clone without [`Store::close`] is like a crash: nothing acknowledged is lost,
/// and the next start rebuilds the working set.
#[derive(Clone)]
pub struct Store(pub(super) Engine);

#[derive(Clone)]
pub(super) enum Engine {
    Memory(Arc<InMemory>),
    Disk(Arc<OnDisk>),
    ReadOnly(Arc<Reading>),
}

#[derive(Default)]
pub(super) struct InMemory {
    pub(super) engine: MemoryEngine,
    pub(super) cache_batches: AtomicU64,
}

pub(super) struct OnDisk {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: Sender<Message>,
    pub(super) bases: Bases,
    /// `None` where a simulation has no disk.
    pub(super) room: Option<Arc<Room>>,
    /// Wakes the writer where a simulation runs it.
    #[cfg(test)]
    pub(super) bell: Option<Arc<tokio::sync::Notify>>,
}

impl OnDisk {
    #[cfg(test)]
    fn ring(&self) {
        if let Some(bell) = &self.bell {
            bell.notify_one();
        }
    }

    /// The writer waits for messages by itself.
    #[cfg(not(test))]
    const fn ring(&self) {
        let _ = self;
    }
}

impl Store {
    /// Opens the store in `config.data_dir`, telling `progress` how far it has come. It blocks;
    /// a large store that was not closed takes seconds.
    ///
    /// # Errors
    /// [`OpenError`], by cause, with the remedy.
    pub fn open(
        config: &StoreConfig,
        progress: &dyn Fn(Progress),
    ) -> Result<(Self, OpenReport), OpenError> {
        let began = Instant::now();
        let opened = open(config, progress);
        let opened = opened.inspect_err(|error| {
            reserve::release_when_full(&config.data_dir, &error.to_string());
        })?;
        let report = opened.report.clone();
        let on_disk = start(config, opened).map_err(OpenError::io(&config.data_dir))?;
        if matches!(report.working_set, WorkingSet::Rebuilt { .. }) {
            on_disk.shared.metrics.rebuilt(began.elapsed());
        }
        Ok((Self(Engine::Disk(Arc::new(on_disk))), report))
    }

    /// A store that lives in memory only, for simulation and tests.
    pub fn memory() -> Self {
        Self(Engine::Memory(Arc::default()))
    }

    /// A store whose writer a simulation runs, and wakes by `bell`.
    #[cfg(test)]
    pub(super) fn simulated(
        shared: Arc<Shared>,
        writer: Sender<Message>,
        bell: Arc<tokio::sync::Notify>,
    ) -> Self {
        let bell = Some(bell);
        Self(Engine::Disk(Arc::new(OnDisk {
            shared,
            writer,
            bases: Bases::default(),
            room: None,
            bell,
        })))
    }

    /// Runs `f` as one transaction; `Ok` means that its changes are on disk.
    ///
    /// `f` touches nothing but its [`Tx`] (no clock, no randomness, no IO): an `Err` drops its
    /// changes, and an engine may run it again. A panic of `f` drops them too and goes on here.
    ///
    /// # Errors
    /// What `f` returned; or [`StoreError`]: `Unknown` when the write may have happened,
    /// `Unavailable` and `TooLarge` when it did not.
    pub async fn write<T, E, F>(&self, mut f: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let on_disk = match &self.0 {
            Engine::Memory(memory) => return memory.engine.write(&mut f),
            Engine::ReadOnly(_) => return Err(StoreError::ReadOnly.into()),
            Engine::Disk(on_disk) => on_disk,
        };
        let (closure, answer) = Closure::new(f);
        on_disk.shared.health.check()?;
        let command = Box::new(closure);
        on_disk.shared.metrics.queue.inc();
        on_disk.shared.gathering().write(command, &on_disk.writer)?;
        on_disk.ring();
        let Ok(Reply { ran, rest }) = answer.await else {
            return Err(StoreError::Unknown.into());
        };
        drop(rest);
        match ran {
            Ran::Returned(result) => result,
            Ran::Panicked(panic) => resume_unwind(panic),
        }
    }

    /// Runs `f` over what is on disk now.
    ///
    /// It runs at once, on the caller's thread: a get takes about 5 µs and a list of 20 about 10 to
    /// 20 µs when hot; handing it to a blocking thread and back would cost 14 µs more. A read can
    /// wait for a group that is being applied, for some milliseconds, as it would on any thread.
    ///
    /// # Errors
    /// What `f` returned; or [`StoreError::Unavailable`] when the store is closed or has failed.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.0 {
            Engine::Memory(memory) => f(&View::new(&memory.engine.set)),
            Engine::ReadOnly(reading) => {
                reading.health.check()?;
                f(&View::new(&reading.set))
            }
            Engine::Disk(on_disk) => {
                on_disk.shared.health.check()?;
                match on_disk.shared.set().as_ref() {
                    Some(set) => f(&View::new(set)),
                    None => Err(StoreError::Unavailable.into()),
                }
            }
        }
    }

    /// Changes cache keys ([`CACHE_KEYS`](super::CACHE_KEYS)) some time soon, in order with all
    /// other writes. It waits for nothing, is not journaled, and may be lost.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store is closed or has failed.
    ///
    /// # Panics
    /// When a key is not a cache key: a bug of the caller.
    pub fn cache_write(&self, batch: Vec<CacheChange>) -> Result<CacheTicket, StoreError> {
        assert!(
            batch.iter().all(|(key, _)| is_cache(key)),
            "what is not a cache goes through the journal"
        );
        match &self.0 {
            Engine::ReadOnly(_) => Err(StoreError::ReadOnly),
            Engine::Disk(on_disk) => {
                on_disk.shared.health.check()?;
                let mut gathering = on_disk.shared.gathering();
                let added = gathering.add(batch, &on_disk.writer).map(CacheTicket);
                on_disk.ring();
                added
            }
            Engine::Memory(memory) => {
                let change =
                    |(key, value): CacheChange| (key, value.map_or(Change::Delete, Change::Put));
                memory.engine.set.apply(batch.into_iter().map(change));
                let before = memory.cache_batches.fetch_add(1, Ordering::Relaxed);
                Ok(CacheTicket(before + 1))
            }
        }
    }

    /// The newest cache batch that [`Store::read`] sees, and with it all before it.
    pub fn cache_applied(&self) -> CacheTicket {
        let applied = match &self.0 {
            Engine::Memory(memory) => &memory.cache_batches,
            Engine::ReadOnly(_) => return CacheTicket(0),
            Engine::Disk(on_disk) => &on_disk.shared.cache_applied,
        };
        CacheTicket(applied.load(Ordering::Acquire))
    }

    /// Whether the store can write.
    ///
    /// # Errors
    /// The reason, for the operator, why it cannot.
    pub fn health(&self) -> Result<(), String> {
        match &self.0 {
            Engine::Memory(_) => Ok(()),
            Engine::ReadOnly(reading) => reading.health.failure().map_or(Ok(()), Err),
            Engine::Disk(on_disk) => match on_disk.shared.health.failure() {
                Some(why) => Err(why),
                None if on_disk.shared.set().is_none() => Err("存储已关闭".to_owned()),
                None => Ok(()),
            },
        }
    }

    /// Waits until the store fails for good and tells why; the program must then end, with a
    /// failure. It never returns from a store that is well.
    pub async fn failed(&self) -> String {
        match &self.0 {
            Engine::Memory(_) => std::future::pending().await,
            Engine::ReadOnly(reading) => reading.health.failed().await,
            Engine::Disk(on_disk) => on_disk.shared.health.failed().await,
        }
    }

    /// Answers what was sent before, makes all of it durable and ends the writer.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store had failed or was closed before, or fails now.
    pub async fn close(&self) -> Result<(), StoreError> {
        let on_disk = match &self.0 {
            Engine::Memory(_) | Engine::ReadOnly(_) => return Ok(()),
            Engine::Disk(on_disk) => on_disk,
        };
        on_disk.bases.end();
        let (closed, answer) = oneshot::channel();
        on_disk.shared.health.check()?;
        on_disk.shared.gathering().close(closed, &on_disk.writer)?;
        answer.await.unwrap_or(Err(StoreError::Unavailable))
    }
}
