//! The store as the floors above see it: closures in, answers out.

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

use super::StoreError;
use super::backup::{BackupOrder, back_up};
use super::base_maker::BaseMaker;
use super::bureau::{BaseState, Bureau, Pin};
use super::command::{Closure, Ran, Reply};
use super::copying::{CopyError, Onlooker};
use super::disk::RealDisk;
use super::footprint::Footprint;
use super::frame::Chain;
use super::manifest::Manifest;
use super::memory::MemoryEngine;
use super::metrics::StoreMetrics;
use super::open::{Opened, StoreConfig, open};
use super::open_error::OpenError;
use super::read::{Read as _, View, is_cache};
use super::read_only::{self, Reading};
use super::rebuild::Progress;
use super::report::{OpenReport, WorkingSet};
use super::reserve;
use super::set::Set;
use super::space::{self, Room, Space};
use super::tx::{Change, Tx};
use super::watchdog::Watchdog;
use super::working_set::COMMIT_KEY;
use super::writer::{Message, Shared, Writer};
use crate::base::blocking::blocking;

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
    ReadOnly(Arc<Reading>),
}

#[derive(Default)]
struct InMemory {
    engine: MemoryEngine,
    cache_batches: AtomicU64,
}

struct OnDisk {
    shared: Arc<Shared>,
    writer: Sender<Message>,
    bases: Bases,
    /// `None` where a simulation has no disk.
    room: Option<Arc<Room>>,
    /// Wakes the writer where a simulation runs it.
    #[cfg(test)]
    bell: Option<Arc<tokio::sync::Notify>>,
}

/// The maker of base files, which ends with the store.
#[derive(Default)]
struct Bases {
    bureau: Arc<Bureau>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Bases {
    /// Ends the maker and waits until it has let go of its files: a block's time.
    fn end(&self) {
        self.bureau.stop();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic of its own was told when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Bases {
    fn drop(&mut self) {
        self.bureau.stop();
    }
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

    /// Opens the store in `config.data_dir` to be read, and leaves it as it is; its working set is
    /// built in `scratch`. It blocks.
    ///
    /// # Errors
    /// [`OpenError`], by cause, with the remedy.
    pub fn open_read_only(
        config: &StoreConfig,
        scratch: &Path,
        progress: &dyn Fn(Progress),
    ) -> Result<(Self, OpenReport), OpenError> {
        let (reading, report) = read_only::open(config, scratch, progress)?;
        Ok((Self(Engine::ReadOnly(Arc::new(reading))), report))
    }

    /// Whether it was opened to be read.
    pub fn is_read_only(&self) -> bool {
        matches!(self.0, Engine::ReadOnly(_))
    }

    /// The room on the disk of the data directory, as it was some seconds ago; `None` when the
    /// store writes to no disk.
    pub fn space(&self) -> Option<Space> {
        match &self.0 {
            Engine::Memory(_) | Engine::ReadOnly(_) => None,
            Engine::Disk(on_disk) => on_disk.room.as_ref().map(|room| room.space()),
        }
    }

    /// Whether there is room for what is new; what is begun goes on without.
    ///
    /// # Errors
    /// [`StoreError::Full`], or [`StoreError::ReadOnly`].
    pub fn has_room(&self) -> Result<(), StoreError> {
        match &self.0 {
            Engine::Memory(_) => Ok(()),
            Engine::ReadOnly(_) => Err(StoreError::ReadOnly),
            Engine::Disk(on_disk) => on_disk.room.as_ref().map_or(Ok(()), |room| room.check()),
        }
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

    /// How the base files stand; nothing for a store in memory.
    pub fn base_state(&self) -> BaseState {
        match &self.0 {
            Engine::Memory(_) | Engine::ReadOnly(_) => BaseState::default(),
            Engine::Disk(on_disk) => on_disk.bases.bureau.state(),
        }
    }

    /// Keeps all base files and segments where they are, as long as the pin lives.
    pub fn pin_files(&self) -> Pin {
        match &self.0 {
            Engine::Memory(_) | Engine::ReadOnly(_) => Arc::new(Bureau::default()).pin(),
            Engine::Disk(on_disk) => on_disk.bases.bureau.pin(),
        }
    }

    /// Seals the segment that is being written and begins the next: all that was acknowledged
    /// before is in files that change no more. It blocks for some syncs of the disk.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store is closed or has failed.
    pub fn rotate(&self) -> Result<(), StoreError> {
        let Engine::Disk(on_disk) = &self.0 else {
            return Ok(());
        };
        let (asked, done) = channel();
        on_disk.shared.health.check()?;
        let sent = on_disk.writer.send(Message::Rotate(asked));
        sent.map_err(|_| StoreError::Unavailable)?;
        done.recv().map_err(|_| StoreError::Unavailable)
    }

    /// What is counted of this store.
    pub fn metrics(&self) -> &StoreMetrics {
        match &self.0 {
            Engine::Memory(memory) => &memory.engine.metrics,
            Engine::ReadOnly(reading) => &reading.metrics,
            Engine::Disk(on_disk) => &on_disk.shared.metrics,
        }
    }

    /// How large the store is on its disk; `None` for one in memory. It looks at every file.
    pub async fn footprint(&self) -> Option<Footprint> {
        let Engine::Disk(on_disk) = &self.0 else {
            return None;
        };
        let data_dir = on_disk.shared.health.data_dir().to_owned();
        Some(blocking(move || Footprint::of(&data_dir)).await)
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
        let _stay = self.pin_files();
        back_up(order, watch)
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
    let maker = BaseMaker {
        disk: Arc::new(RealDisk),
        data_dir: config.data_dir.clone(),
        instance: opened.instance,
        chain: Chain::Checked,
        clock: config.clock.clone(),
        plan: config.bases,
        bureau: Arc::default(),
        phase: writer.phase.another()?,
    };
    let bureau = Arc::clone(&maker.bureau);
    let thread = Mutex::new(Some(maker.start(outbox.clone())?));
    let writing = std::thread::Builder::new().name("store-writer".to_owned());
    writing.spawn(move || writer.run())?;
    let watchdog = Watchdog::new(&shared.steps, opened.health, config.stuck_after);
    let watching = std::thread::Builder::new().name("store-watchdog".to_owned());
    watching.spawn(move || watchdog.run())?;
    let room = Arc::new(Room::new(&config.data_dir, config.space));
    space::start_watching(&room)?;
    Ok(OnDisk {
        shared,
        writer: outbox,
        bases: Bases { bureau, thread },
        room: Some(room),
        #[cfg(test)]
        bell: None,
    })
}
