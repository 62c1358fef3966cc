//! Building the working set anew from the truth: a bulk load of sorted keys beside the old one,
//! then a change of names. The old one is dropped; it is a cache.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, RealDisk};
use super::health::Health;
use super::read::is_cache;
use super::tx::Change;
use super::working_set::SledSet;

const OLD: &str = "sled";
const NEW: &str = "sled.new";
/// One batch of the load, in keys.
const BATCH_KEYS: usize = 1000;
/// The load is flushed each time this many bytes have gone in.
const FLUSH_BYTES: usize = 8 << 20;

/// How far a start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// This many journal segments are read and checked.
    Reading {
        /// Segments read.
        segments: usize,
        /// Segments there are.
        of: usize,
    },
    /// This many keys are in the new working set.
    Loading {
        /// Keys loaded.
        keys: usize,
        /// Keys there are.
        of: usize,
    },
}

/// The keys and values that the truth comes to, gathered change by change.
#[derive(Default)]
pub(super) struct Latest(BTreeMap<Vec<u8>, Vec<u8>>);

impl Latest {
    /// Takes over one change.
    pub(super) fn change(&mut self, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) if !is_cache(key) => {
                self.0.insert(key.to_vec(), value.to_vec());
            }
            Some(_) | None => {
                self.0.remove(key);
            }
        }
    }
}

/// What the new working set is to hold.
pub(super) struct Content {
    /// All keys and values.
    pub(super) latest: Latest,
    /// The last commit in them.
    pub(super) commit: u64,
}

/// Builds `sled.new/` from `content` and puts it in the place of `sled/`; returns its keys.
///
/// # Errors
/// What sled or the disk said.
pub(super) fn rebuild(
    data_dir: &Path,
    cache_bytes: u64,
    content: Content,
    progress: &dyn Fn(Progress),
) -> Result<usize, String> {
    let new = data_dir.join(NEW);
    let io = |error: io::Error| error.to_string();
    let old = data_dir.join(OLD);
    remove_dir(&new).map_err(io)?;
    let keys = content.latest.0.len();
    if keys == 0 {
        // Nothing to build: opening an empty one twice would double the start of a new store.
        remove_dir(&old).map_err(io)?;
        return Ok(0);
    }
    let set = SledSet::open(
        &new,
        cache_bytes,
        Arc::new(Health::new(data_dir.to_owned())),
    )?;
    load(&set, content, progress)?;
    set.close()?;
    remove_dir(&old).map_err(io)?;
    fs::rename(&new, &old).map_err(io)?;
    RealDisk.sync_dir(data_dir).map_err(io)?;
    Ok(keys)
}

fn load(set: &SledSet, content: Content, progress: &dyn Fn(Progress)) -> Result<(), String> {
    let of = content.latest.0.len();
    let mut sorted = content.latest.0.into_iter();
    let (mut keys, mut unflushed) = (0, 0);
    while keys < of {
        let batch: Vec<_> = sorted.by_ref().take(BATCH_KEYS).collect();
        keys += batch.len();
        unflushed += batch
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>();
        set.apply(
            batch
                .into_iter()
                .map(|(key, value)| (key, Change::Put(value))),
            None,
        )?;
        if unflushed >= FLUSH_BYTES {
            set.flush()?;
            unflushed = 0;
        }
        progress(Progress::Loading { keys, of });
    }
    set.apply(std::iter::empty(), Some(content.commit))
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
