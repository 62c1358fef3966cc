//! The working set: sled, which serves reads fast and is believed in nothing.
//!
//! Every call may panic on damaged files, so every call is caught; after a panic or an error the
//! store ends, and the next start builds the working set anew from the journal. `flush` of sled
//! 0.34.7 does not survive a power cut, so our own handle of its file is synced behind it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::StoreError;
use super::disk::private_dir;
use super::health::Health;
use super::read::{Direction, KeyRange, Read, Visit};
use super::tx::Change;

/// Where the working set keeps the number of its last commit.
pub(super) const COMMIT_KEY: &[u8] = b"\0commit";
/// How long sled may take to let go of its file.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// An open sled database.
pub(super) struct SledSet {
    db: sled::Db,
    /// Open as long as `db`: Linux reports a failed write-back once for each open handle.
    file: File,
    dir: PathBuf,
    health: Arc<Health>,
}

impl SledSet {
    /// Opens the working set in `dir`, or makes an empty one.
    ///
    /// # Errors
    /// What sled said. No other database may be opened in this program after that.
    pub(super) fn open(dir: &Path, cache_bytes: u64, health: Arc<Health>) -> Result<Self, String> {
        private_dir(dir).map_err(|error| error.to_string())?;
        remove_half_snapshots(dir).map_err(|error| error.to_string())?;
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None);
        // In a thread of its own: sled recurses deeply on damaged files.
        let opening = std::thread::Builder::new()
            .name("store-open".to_owned())
            .stack_size(16 << 20)
            .spawn(move || caught(|| config.open()))
            .map_err(|error| error.to_string())?;
        let db = opening.join().map_err(|_| "sled panicked".to_owned())??;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(dir.join("db"));
        Ok(Self {
            db,
            file: file.map_err(|error| error.to_string())?,
            dir: dir.to_owned(),
            health,
        })
    }

    /// The number of the last commit; 0 when there is none.
    ///
    /// # Errors
    /// What sled said.
    pub(super) fn commit(&self) -> Result<u64, String> {
        let value = caught(|| self.db.get(COMMIT_KEY))?;
        Ok(value
            .and_then(|value| Some(u64::from_be_bytes(value.as_ref().try_into().ok()?)))
            .unwrap_or(0))
    }

    /// Carries out `changes`, and `commit` after them when they are one.
    ///
    /// One by one, not as sled's batch: a batch costs two writes and fourteen woken threads, and
    /// shuts readers out while it lasts. What it would buy is not needed here: after anything but
    /// a clean stop the working set is built anew, and the changes are in the journal already, so
    /// whatever a reader sees of them is durable.
    ///
    /// # Errors
    /// What sled said.
    pub(super) fn apply(
        &self,
        changes: impl Iterator<Item = (Vec<u8>, Change)>,
        commit: Option<u64>,
    ) -> Result<(), String> {
        caught(|| {
            for (key, change) in changes {
                match change {
                    Change::Put(value) => self.db.insert(key, value)?,
                    Change::Delete => self.db.remove(key)?,
                };
            }
            if let Some(commit) = commit {
                self.db.insert(COMMIT_KEY, &commit.to_be_bytes())?;
            }
            Ok(())
        })
    }

    /// Makes the working set durable.
    ///
    /// # Errors
    /// What sled or the disk said.
    pub(super) fn flush(&self) -> Result<(), String> {
        caught(|| self.db.flush())?;
        self.file.sync_data().map_err(|error| error.to_string())
    }

    /// Flushes, closes, and waits until sled has let go of its file.
    ///
    /// # Errors
    /// What sled or the disk said.
    pub(super) fn close(self) -> Result<(), String> {
        self.flush()?;
        let Self { db, file, dir, .. } = self;
        caught(|| {
            drop(db);
            Ok(())
        })?;
        drop(file);
        let file = File::open(dir.join("db")).map_err(|error| error.to_string())?;
        let limit = Instant::now() + CLOSE_LIMIT;
        while file.try_lock().is_err() {
            if Instant::now() > limit {
                return Err("sled does not let go of its file".to_owned());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn guarded<T>(&self, call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
        caught(call).map_err(|why| {
            self.health.fail(&format!("working set: {why}"));
            StoreError::Corrupt(why)
        })
    }
}

impl Read for SledSet {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.guarded(|| self.db.get(key))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, range: &KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        let mut keys = self.db.range(range.from.as_slice()..range.to.as_slice());
        loop {
            // Only sled's step is caught: a panic of `visit` is the caller's own.
            let next = self.guarded(|| {
                let next = match range.direction {
                    Direction::Ascending => keys.next(),
                    Direction::Descending => keys.next_back(),
                };
                next.transpose()
            })?;
            let Some((key, value)) = next else {
                return Ok(());
            };
            if visit(&key, &value).is_break() {
                return Ok(());
            }
        }
    }

    fn corrupt(&self, what: &str) -> StoreError {
        self.health.fail(&format!("record check: {what}"));
        StoreError::Corrupt(what.to_owned())
    }
}

/// Calls sled and takes a panic for an error.
fn caught<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("sled panicked".to_owned()),
    }
}

/// A kill inside `open` leaves a half-written snapshot that sled would take for its newest.
fn remove_half_snapshots(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
