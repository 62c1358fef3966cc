//! A store under a simulation: the writer and the journal are the program's own, the disk is
//! simulated, and the working set is memory, built from the journal at every start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use tokio::sync::Notify;

use super::Store;
use super::format::Mark;
use super::frame::Chain;
use super::health::Health;
use super::journal::{Journal, Setup};
use super::memory::MemorySet;
use super::phase::PhaseFile;
use super::recover::{Home, Source, recover};
use super::set::Set;
use super::sim_disk::SimDisk;
use super::tx::Change;
use super::writer::{Shared, Writer};
use crate::base::{Clock, secret};

/// Small, so that a history goes through many segments.
const SEGMENT_BYTES: u64 = 16 << 10;
const JOURNAL: &str = "/journal";

/// A machine with a disk, on which one store lives, dies and starts again.
#[derive(Clone)]
pub(crate) struct Machine {
    disk: SimDisk,
}

/// Why a store did not start.
#[derive(Debug)]
pub(crate) enum StartFault {
    /// Its journal is not what it should be: a broken promise.
    Refused(String),
    /// The power went again.
    Off,
}

/// The writer of one life of the store. Dropping it is the end of the program.
pub(crate) struct SimulatedWriter {
    writer: Writer,
    bell: Arc<Notify>,
}

impl Machine {
    /// An empty machine; what its disk forgets follows from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        Self { disk }
    }

    /// The store as its journal tells it, after a start.
    ///
    /// # Errors
    /// [`StartFault`].
    pub(crate) fn start(&self, clock: &Clock) -> Result<(Store, SimulatedWriter), StartFault> {
        let source = Source {
            disk: &self.disk,
            dir: Path::new(JOURNAL),
            chain: Chain::Checked,
            home: Home::Ours,
            instance: None,
            base: None,
            before_serial: None,
            progress: &|_| (),
        };
        let mut keys = BTreeMap::new();
        let recovered = recover(&source, &mut |key, value| {
            let change = value.map_or(Change::Delete, |value| Change::Put(value.to_vec()));
            keys.insert(key.to_vec(), change);
        });
        let recovered = recovered.map_err(|fault| StartFault::Refused(fault.to_string()))?;
        let setup = Setup {
            disk: Arc::new(self.disk.clone()),
            dir: PathBuf::from(JOURNAL),
            chain: Chain::Checked,
            instance: recovered.instance.unwrap_or_else(secret::random),
            segment_bytes: SEGMENT_BYTES,
        };
        let journal = Journal::begin(setup, &recovered.start());
        let journal = journal.map_err(|_| StartFault::Off)?;
        let set = MemorySet::default();
        set.apply(keys.into_iter());
        Ok(assemble(set, journal, clock))
    }

    /// The power goes and comes back: any part of what was not synced is gone.
    pub(crate) fn cut_power(&self) {
        self.disk.cut_power();
    }

    /// The program ended and starts again: the page cache keeps all that was written.
    pub(crate) fn restart_program(&self) {
        self.disk.restart_program();
    }

    /// After this many more operations on the disk the power is off.
    pub(crate) fn cut_after(&self, operations: u64) {
        self.disk.cut_after(operations);
    }

    /// The next fdatasync fails, and the cache keeps what it should have written.
    pub(crate) fn fail_next_sync(&self) {
        self.disk.fail_next_sync();
    }
}

fn assemble(set: MemorySet, journal: Journal, clock: &Clock) -> (Store, SimulatedWriter) {
    // What a failing store leaves behind for its next start is not part of a simulation.
    let nowhere = PathBuf::from("/dev/null");
    let health = Arc::new(Health::new(nowhere.clone()));
    let shared = Arc::new(Shared::new(Set::Memory(set), health, None));
    let (outbox, inbox) = channel();
    let writer = Writer {
        inbox,
        shared: Arc::clone(&shared),
        journal: Some(journal),
        mark: Mark::nowhere(),
        data_dir: nowhere,
        clock: clock.clone(),
        phase: PhaseFile::open(None).expect("no file is asked for"),
    };
    let bell = Arc::new(Notify::new());
    let store = Store::simulated(shared, outbox, Arc::clone(&bell));
    (store, SimulatedWriter { writer, bell })
}

impl SimulatedWriter {
    /// Writes what is sent, `pause` after it was; ends when the store fails.
    pub(crate) async fn run(mut self, mut pause: impl FnMut() -> Duration) {
        loop {
            self.bell.notified().await;
            tokio::time::sleep(pause()).await;
            match self.writer.catch_up() {
                Some(writer) => self.writer = writer,
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::test_home::{count, fill};

    fn on(machine: &Machine) -> (Store, tokio::task::JoinHandle<()>) {
        let (store, writer) = machine.start(&Clock::system()).unwrap();
        let running = tokio::spawn(writer.run(|| Duration::from_millis(2)));
        (store, running)
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_acknowledged_is_there_after_power_cuts_and_restarts() {
        let machine = Machine::new(1);
        for life in 0..8 {
            let (store, writer) = on(&machine);
            assert_eq!(count(&store).await, life * 10);
            fill(&store, life * 10 + 1, life * 10 + 10).await;
            writer.abort();
            match life % 2 {
                0 => machine.cut_power(),
                _ => machine.restart_program(),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_disk_ends_the_store_and_its_writer() {
        let machine = Machine::new(2);
        let (store, writer) = on(&machine);
        machine.fail_next_sync();
        let write = store.write(|tx| {
            tx.put(b"k".to_vec(), vec![1]);
            Ok::<_, crate::store::StoreError>(())
        });
        assert_eq!(write.await, Err(crate::store::StoreError::Unknown));
        writer.await.unwrap();
        assert!(store.failed().await.contains("journal"));
    }
}
