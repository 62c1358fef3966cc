//! The store as the floors above see it: closures in, answers out.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

use tokio::sync::oneshot;

use super::StoreError;
use super::backup::{BackupOrder, back_up};
use super::command::{Closure, Ran, Reply};
use super::copying::{CopyError, Onlooker};
use super::manifest::Manifest;
use super::memory::MemoryEngine;
use super::open::{OpenReport, Opened, StoreConfig, open};
use super::open_error::OpenError;
use super::read::{Read as _, View, is_cache};
use super::rebuild::Progress;
use super::set::Set;
use super::tx::{Change, Tx};
use super::watchdog::Watchdog;
use super::working_set::COMMIT_KEY;
use super::writer::{Message, Shared, Writer};

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
pub struct Store(Engine);

#[derive(Clone)]
enum Engine {
    Memory(Arc<InMemory>),
    Disk(Arc<OnDisk>),
}

#[derive(Default)]
struct InMemory {
    engine: MemoryEngine,
    cache_batches: AtomicU64,
}

struct OnDisk {
    shared: Arc<Shared>,
    writer: Sender<Message>,
    /// Wakes the writer where a simulation runs it.
    #[cfg(test)]
    bell: Option<Arc<tokio::sync::Notify>>,
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
        let opened = open(config, progress)?;
        let report = opened.report.clone();
        let on_disk = start(config, opened).map_err(OpenError::io(&config.data_dir))?;
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
            Engine::Disk(on_disk) => on_disk,
        };
        let (closure, answer) = Closure::new(f);
        on_disk.shared.health.check()?;
        let command = Box::new(closure);
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
            Engine::Disk(on_disk) => on_disk.shared.health.failed().await,
        }
    }

    /// The newest commit that [`Store::read`] sees: whatever was acknowledged is in it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn commit(&self) -> Result<u64, StoreError> {
        self.read(|view| {
            let value = view.get(COMMIT_KEY)?;
            let number = value.and_then(|value| Some(u64::from_be_bytes(value.try_into().ok()?)));
            Ok(number.unwrap_or(0))
        })
        .await
    }

    /// Backs up this store, which goes on serving; it blocks as long as copying takes.
    /// `order.reach` is a [`Store::commit`] of before.
    ///
    /// # Errors
    /// [`CopyError`]; nothing is left behind then.
    pub fn back_up(&self, order: &BackupOrder, watch: Onlooker<'_>) -> Result<Manifest, CopyError> {
        back_up(order, watch)
    }

    /// Answers what was sent before, makes all of it durable and ends the writer.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store had failed or was closed before, or fails now.
    pub async fn close(&self) -> Result<(), StoreError> {
        let on_disk = match &self.0 {
            Engine::Memory(_) => return Ok(()),
            Engine::Disk(on_disk) => on_disk,
        };
        let (closed, answer) = oneshot::channel();
        on_disk.shared.health.check()?;
        on_disk.shared.gathering().close(closed, &on_disk.writer)?;
        answer.await.unwrap_or(Err(StoreError::Unavailable))
    }
}

/// Starts the writer and its watchdog.
fn start(config: &StoreConfig, opened: Opened) -> std::io::Result<OnDisk> {
    let shared = Arc::new(Shared::new(
        Set::Sled(opened.set),
        Arc::clone(&opened.health),
        Some(opened.lock),
    ));
    let (outbox, inbox) = channel();
    let writer = Writer {
        inbox,
        shared: Arc::clone(&shared),
        journal: Some(opened.journal),
        mark: opened.mark,
        data_dir: config.data_dir.clone(),
        clock: config.clock.clone(),
        phase: opened.phase,
    };
    let writing = std::thread::Builder::new().name("store-writer".to_owned());
    writing.spawn(move || writer.run())?;
    let watchdog = Watchdog::new(&shared.steps, opened.health);
    let watching = std::thread::Builder::new().name("store-watchdog".to_owned());
    watching.spawn(move || watchdog.run())?;
    Ok(OnDisk {
        shared,
        writer: outbox,
        #[cfg(test)]
        bell: None,
    })
}
