//! The store as who cares for it sees it: its room, its base files, backups, and what is counted.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

use super::backup::{BackupOrder, back_up};
use super::bureau::{BaseState, Bureau, Pin};
use super::copying::{CopyError, Onlooker};
use super::footprint::Footprint;
use super::front::{Engine, Store};
use super::manifest::Manifest;
use super::metrics::StoreMetrics;
use super::open::StoreConfig;
use super::open_error::OpenError;
use super::read::Read as _;
use super::rebuild::Progress;
use super::report::OpenReport;
use super::space::Space;
use super::working_set::COMMIT_KEY;
use super::writer::Message;
use super::{StoreError, read_only};
use crate::base::blocking::blocking;

impl Store {
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
}
