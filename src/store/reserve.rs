//! A file that holds room on the disk against the day it is full: it is given up then, so that the
//! next start finds room to rebuild the working set and to take payments.
//!
//! It is no part of the store: it may be deleted, and a copy needs none.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

use super::space;

/// Its name in the data directory.
pub(super) const NAME: &str = "reserve";
/// A disk with less free than this is as good as full.
const AS_GOOD_AS_FULL: u64 = 1 << 20;

/// The bytes that the reserve of `data_dir` holds.
pub(super) fn held(data_dir: &Path) -> u64 {
    fs::metadata(data_dir.join(NAME)).map_or(0, |meta| meta.blocks() * 512)
}

/// Makes the reserve, of `bytes` that are really taken from the disk; a larger one shrinks.
///
/// # Errors
/// What the disk said; then none is held.
pub(super) fn make(data_dir: &Path, bytes: u64) -> io::Result<()> {
    let file = open(data_dir)?;
    if file.metadata()?.len() > bytes {
        file.set_len(bytes)?;
    }
    if bytes == 0 {
        return Ok(());
    }
    let taken = fallocate(&file, FallocateFlags::empty(), 0, bytes);
    taken.map_err(io::Error::from).inspect_err(|_| {
        // Half a reserve would be taken for a whole one.
        let _ = file.set_len(0);
    })
}

/// Gives the reserve up and tells how many bytes that gave back.
///
/// # Errors
/// What the disk said.
pub(super) fn release(data_dir: &Path) -> io::Result<u64> {
    let bytes = held(data_dir);
    if bytes > 0 {
        let file = open(data_dir)?;
        file.set_len(0)?;
        // Some file systems give room back only with the next transaction of their own.
        file.sync_all()?;
    }
    Ok(bytes)
}

/// Gives the reserve up when `why`, the reason of a failure, or the disk itself says that it is
/// full.
pub(super) fn release_when_full(data_dir: &Path, why: &str) {
    let full = rustix::io::Errno::NOSPC.raw_os_error();
    let said = why.contains(&format!("(os error {full})"));
    let is = || space::look(data_dir).is_ok_and(|room| room.free_bytes < AS_GOOD_AS_FULL);
    if !said && !is() {
        return;
    }
    match release(data_dir) {
        Ok(0) => tracing::error!("磁盘已满，没有可释放的预留空间：请清理磁盘后再启动"),
        Ok(bytes) => tracing::error!(
            bytes,
            "磁盘已满：已释放预留空间，下次启动可以继续收款；请尽快清理磁盘"
        ),
        Err(error) => tracing::error!(%error, "磁盘已满，预留空间也无法释放"),
    }
}

fn open(data_dir: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(data_dir.join(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_takes_room_until_it_is_released_and_can_be_made_again() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(release(dir.path()).unwrap(), 0);
        for _ in 0..2 {
            make(dir.path(), 3 << 20).unwrap();
            assert!(held(dir.path()) >= 3 << 20);
            assert!(release(dir.path()).unwrap() >= 3 << 20);
            assert_eq!(held(dir.path()), 0);
        }
        make(dir.path(), 2 << 20).unwrap();
        make(dir.path(), 1 << 20).unwrap();
        assert!(held(dir.path()) < 2 << 20, "a smaller one is smaller");
        assert!(make(dir.path(), 1 << 60).is_err());
        assert_eq!(held(dir.path()), 0, "no half reserve is left behind");
    }

    #[test]
    fn only_a_full_disk_releases_it() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), 1 << 20).unwrap();
        release_when_full(dir.path(), "journal: Input/output error (os error 5)");
        assert!(held(dir.path()) > 0);
        release_when_full(dir.path(), "journal: No space left on device (os error 28)");
        assert_eq!(held(dir.path()), 0);
    }
}
