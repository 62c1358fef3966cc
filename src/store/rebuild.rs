//! Building the working set anew from the truth: a bulk load of sorted keys beside the old one,
//! then a change of names. The old one is dropped; it is a cache.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, RealDisk};
use super::health::Health;
use super::truth::Truth;
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
        /// More than this will not come.
        of: usize,
    },
}

/// What the new working set is to hold.
pub(super) struct Content {
    /// All keys and values.
    pub(super) truth: Truth,
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
    // The old one is not trusted, and a full disk may need its place.
    remove_dir(&old).map_err(io)?;
    if content.truth.keys_at_most() == 0 {
        // Nothing to build: opening an empty one twice would double the start of a new store.
        return Ok(0);
    }
    let set = SledSet::open(
        &new,
        cache_bytes,
        Arc::new(Health::new(data_dir.to_owned())),
    )?;
    let keys = load(&set, content, progress)?;
    set.close()?;
    fs::rename(&new, &old).map_err(io)?;
    RealDisk.sync_dir(data_dir).map_err(io)?;
    Ok(keys)
}

fn load(set: &SledSet, content: Content, progress: &dyn Fn(Progress)) -> Result<usize, String> {
    let Content { mut truth, commit } = content;
    let of = usize::try_from(truth.keys_at_most()).unwrap_or(usize::MAX);
    let (mut keys, mut unflushed) = (0, 0);
    let mut batch = Vec::with_capacity(BATCH_KEYS);
    loop {
        let next = truth.next().map_err(|bad| bad.to_string())?;
        let ended = next.is_none();
        if let Some((key, value)) = next {
            unflushed += key.len() + value.len();
            batch.push((key, Change::Put(value)));
        }
        if batch.len() == BATCH_KEYS || ended {
            keys += batch.len();
            set.apply(batch.drain(..), None)?;
            progress(Progress::Loading { keys, of });
        }
        if unflushed >= FLUSH_BYTES {
            set.flush()?;
            unflushed = 0;
        }
        if ended {
            set.apply(std::iter::empty(), Some(commit))?;
            return Ok(keys);
        }
    }
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
