//! What the data directory holds, told by its names and sizes alone: nothing is read or opened.

use std::fs::{self, DirEntry};
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::base::Timestamp;

/// How large a store is on its disk, and how much room is left there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Journal segments.
    pub segments: u64,
    /// Their bytes.
    pub journal_bytes: u64,
    /// Base files.
    pub bases: u64,
    /// Bytes of the newest.
    pub base_bytes: u64,
    /// When the newest was finished; `None` while there is none.
    pub base_at: Option<Timestamp>,
    /// Bytes of the working set.
    pub working_set_bytes: u64,
    /// Bytes that we may still write on this disk.
    pub free_bytes: u64,
    /// Bytes of the whole disk.
    pub disk_bytes: u64,
}

impl Footprint {
    /// Of the store in `data_dir`. What cannot be looked at counts as nothing.
    pub fn of(data_dir: &Path) -> Self {
        let journal = sizes(&data_dir.join("journal"), "zgj");
        let bases = sizes(&data_dir.join("base"), "zgb");
        let newest = bases.iter().max_by_key(|file| file.finished_at);
        let mut found = Self {
            segments: count(&journal),
            journal_bytes: journal.iter().map(|file| file.bytes).sum(),
            bases: count(&bases),
            base_bytes: newest.map_or(0, |file| file.bytes),
            base_at: newest.map(|file| file.finished_at),
            working_set_bytes: tree_bytes(&data_dir.join("sled")),
            ..Self::default()
        };
        if let Ok(disk) = rustix::fs::statvfs(data_dir) {
            found.free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
            found.disk_bytes = disk.f_blocks.saturating_mul(disk.f_frsize);
        }
        found
    }
}

/// A file of a store.
struct Sized {
    bytes: u64,
    finished_at: Timestamp,
}

fn entries(dir: &Path) -> impl Iterator<Item = DirEntry> {
    fs::read_dir(dir).into_iter().flatten().flatten()
}

fn sizes(dir: &Path, extension: &str) -> Vec<Sized> {
    let wanted = |entry: &DirEntry| entry.path().extension().is_some_and(|e| e == extension);
    let found = entries(dir).filter(wanted).filter_map(|entry| {
        let meta = entry.metadata().ok()?;
        let since = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Sized {
            bytes: meta.len(),
            finished_at: Timestamp::default().plus(since),
        })
    });
    found.collect()
}

fn count(files: &[Sized]) -> u64 {
    u64::try_from(files.len()).unwrap_or(u64::MAX)
}

/// The bytes of all files in `dir` and one floor below: sled keeps its blobs there.
fn tree_bytes(dir: &Path) -> u64 {
    let bytes = |entry: DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => entries(&entry.path())
            .filter_map(|inner| inner.metadata().ok())
            .map(|meta| meta.len())
            .sum(),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries(dir).map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_told_by_size_and_what_is_not_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let nothing = Footprint::of(&dir.path().join("absent"));
        assert_eq!(nothing, Footprint::default());
        for (place, bytes) in [
            ("journal/a.zgj", 5),
            ("journal/b.zgj", 7),
            ("journal/next.new", 99),
            ("base/1.zgb", 30),
            ("sled/db", 11),
            ("sled/blobs/1", 13),
        ] {
            let path = dir.path().join(place);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![0; bytes]).unwrap();
        }
        let found = Footprint::of(dir.path());
        assert_eq!((found.segments, found.journal_bytes), (2, 12));
        assert_eq!((found.bases, found.base_bytes), (1, 30));
        assert!(found.base_at.is_some());
        assert_eq!(found.working_set_bytes, 24);
        assert!(found.free_bytes > 0 && found.free_bytes <= found.disk_bytes);
    }
}
