//! Whether the store is well, and what is left behind for the next start when it is not.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::watch;

use super::StoreError;
use super::disk::{Disk, RealDisk, create_private};
use super::reserve;

/// The mark that the working set is to be rebuilt at the next start.
pub(super) const REBUILD: &str = "REBUILD";

/// The health of one store. It fails once and stays so.
#[derive(Debug)]
pub(super) struct Health {
    data_dir: PathBuf,
    failure: watch::Sender<Option<String>>,
}

impl Health {
    pub(super) fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            failure: watch::Sender::new(None),
        }
    }

    /// Where the store lives.
    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Ends the store: marks the working set for a rebuild and wakes who waits for a failure.
    pub(super) fn fail(&self, why: &str) {
        let first = self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert_with(|| why.to_owned());
            first
        });
        if !first {
            return;
        }
        tracing::error!(why, "存储失败：进程将退出，下次启动从账本重建工作集");
        reserve::release_when_full(&self.data_dir, why);
        let marked = create_private(&self.data_dir.join(REBUILD))
            .and_then(|_| RealDisk.sync_dir(&self.data_dir));
        if let Err(error) = marked {
            // The seal is gone while the store is open, so the next start rebuilds all the same.
            tracing::error!(%error, "无法写入 REBUILD 标记");
        }
    }

    /// Why the store failed, if it did.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Whether the store may be used.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match *self.failure.borrow() {
            Some(_) => Err(StoreError::Unavailable),
            None => Ok(()),
        }
    }

    /// Waits for the failure.
    pub(super) async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        loop {
            if let Some(why) = failure.borrow_and_update().clone() {
                return why;
            }
            if failure.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

/// Takes the mark away: the working set has been rebuilt.
///
/// # Errors
/// What the disk said.
pub(super) fn unmark(data_dir: &Path) -> Result<(), String> {
    let removed = match fs::remove_file(data_dir.join(REBUILD)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => RealDisk.sync_dir(data_dir),
    };
    removed.map_err(|error| error.to_string())
}
