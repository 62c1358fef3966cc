//! From an opened store to one that works: the threads of the writer, the watchdog and the rest.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::base_maker::BaseMaker;
use super::bureau::Bureau;
use super::disk::RealDisk;
use super::frame::Chain;
use super::front::OnDisk;
use super::open::{Opened, StoreConfig};
use super::set::Set;
use super::space::{self, Room};
use super::watchdog::Watchdog;
use super::writer::{Shared, Writer};

/// The maker of base files, which ends with the store.
#[derive(Default)]
pub(super) struct Bases {
    pub(super) bureau: Arc<Bureau>,
    pub(super) thread: Mutex<Option<JoinHandle<()>>>,
}

impl Bases {
    /// Ends the maker and waits until it has let go of its files: a block's time.
    pub(super) fn end(&self) {
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

/// Starts the writer and its watchdog.
pub(super) fn start(config: &StoreConfig, opened: Opened) -> std::io::Result<OnDisk> {
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
