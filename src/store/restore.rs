//! Restoring: a backup, or a plain copy of a data directory, becomes the data directory.
//!
//! FORMAT is written last: until then the directory does not open. It names no place, so the next
//! start takes what it finds for the copy that it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::copying::{CopyError, Counted, Doing, Onlooker};
use super::copying::{copy, differences, is_vacant, size_of};
use super::disk::{Disk, RealDisk, create_private, private_dir};
use super::format::{self, Format, Place};
use super::manifest::Manifest;
use super::open_error::OpenError;
use super::reading::Reading;
use super::recover::Home;
use super::verify::shared_lock;
use crate::base::Timestamp;
use crate::base::cipher::FieldKey;

/// In the target while it is filled: what is there is a restore that did not end.
const UNFINISHED: &str = "restore.unfinished";

/// What is to be restored.
#[derive(Clone, Debug)]
pub struct RestoreOrder {
    /// A backup, or a plain copy of a data directory.
    pub source: PathBuf,
    /// The data directory: absent, or empty.
    pub data_dir: PathBuf,
    /// The key that phones are sealed with.
    pub field_key: FieldKey,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The last commit.
    pub commit: u64,
    /// When it was written.
    pub commit_at: Timestamp,
    /// The bytes copied.
    pub bytes: u64,
    /// What MANIFEST said; `None` for a plain copy.
    pub manifest: Option<Manifest>,
    /// Segments of a plain copy that lie behind a gap: they were not taken over.
    pub left_out: Vec<String>,
}

/// Restores `order.source` into `order.data_dir`; nothing is written into the source.
///
/// # Errors
/// [`CopyError`], naming what is wrong with source or target.
pub fn restore(
    order: &RestoreOrder,
    progress: &dyn Fn(super::Reached),
) -> Result<Restored, CopyError> {
    let watch = Onlooker {
        progress,
        stop: &AtomicBool::new(false),
    };
    let source = order.source.as_path();
    let lock = shared_lock(source)?;
    let manifest = proven_manifest(source, watch)?;
    let home = match manifest {
        Some(_) => Home::Ours,
        None => Home::Copy,
    };
    let truth = Reading::read(source, home, watch, &mut |_, _| ())?;
    if truth.format.key_check != format::key_check(&order.field_key) {
        return Err(OpenError::WrongFieldKey.into());
    }
    if let Some(manifest) = manifest.as_ref().filter(|it| it.end() != truth.end()) {
        let (wanted, got) = (manifest.commit, truth.end().commit);
        return Err(CopyError::Behind { wanted, got });
    }
    begin(&order.data_dir)?;
    let bytes = take_over(order, &truth, watch)?;
    finish(&order.data_dir, &truth)?;
    drop(lock);
    Ok(Restored {
        commit: truth.end().commit,
        commit_at: truth.at(),
        bytes,
        manifest,
        left_out: truth.recovered.left_out,
    })
}

/// The MANIFEST of `dir`, every file of which is as it says.
fn proven_manifest(dir: &Path, watch: Onlooker<'_>) -> Result<Option<Manifest>, CopyError> {
    let read = Manifest::read(dir).map_err(|error| CopyError::manifest(dir, error))?;
    let Some(manifest) = read else {
        return Ok(None);
    };
    match differences(dir, &manifest, watch)? {
        faults if faults.is_empty() => Ok(Some(manifest)),
        faults => Err(CopyError::Altered(faults)),
    }
}

/// Makes the target, or empties one that an earlier restore did not finish.
fn begin(data_dir: &Path) -> Result<(), CopyError> {
    let at = || CopyError::io(data_dir);
    let marker = data_dir.join(UNFINISHED);
    if marker.exists() && !Format::is_in(data_dir) {
        clear(data_dir)?;
    }
    if !is_vacant(data_dir).map_err(at())? {
        return Err(CopyError::NotEmpty(data_dir.to_owned()));
    }
    private_dir(data_dir).map_err(at())?;
    create_private(&marker).map_err(CopyError::io(&marker))?;
    for folder in ["journal", "base"] {
        let dir = data_dir.join(folder);
        private_dir(&dir).map_err(CopyError::io(&dir))?;
    }
    RealDisk.sync_dir(data_dir).map_err(at())
}

/// Removes what an earlier restore did, the marker last; a start that was refused left a LOCK.
fn clear(data_dir: &Path) -> Result<(), CopyError> {
    for folder in ["journal", "base"] {
        let dir = data_dir.join(folder);
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(CopyError::io(&dir))?;
        }
    }
    for name in ["LOCK", UNFINISHED] {
        let file = data_dir.join(name);
        if file.exists() {
            fs::remove_file(&file).map_err(CopyError::io(&file))?;
        }
    }
    Ok(())
}

fn take_over(order: &RestoreOrder, truth: &Reading, watch: Onlooker<'_>) -> Result<u64, CopyError> {
    let (source, data_dir) = (order.source.as_path(), order.data_dir.as_path());
    let mut files = Reading::newest_files(source).map_err(CopyError::io(source))?;
    let left_out = &truth.recovered.left_out;
    files.retain(|path| {
        left_out
            .iter()
            .all(|name| *path != format!("journal/{name}"))
    });
    let of = size_of(source, &files).map_err(CopyError::io(source))?;
    let mut counted = Counted::new(watch, Doing::Copy, of);
    let mut bytes = 0;
    for path in &files {
        bytes += copy((source, data_dir), path, &mut counted)?.bytes;
    }
    let read = Reading::read_with(data_dir, (&truth.format, Home::Copy), watch, &mut |_, _| ())?;
    if read.end() != truth.end() {
        let (wanted, got) = (truth.end().commit, read.end().commit);
        return Err(CopyError::Behind { wanted, got });
    }
    Ok(bytes)
}

/// Lets the directory be opened.
fn finish(data_dir: &Path, truth: &Reading) -> Result<(), CopyError> {
    for dir in ["journal", "base", ""] {
        let dir = data_dir.join(dir);
        RealDisk.sync_dir(&dir).map_err(CopyError::io(&dir))?;
    }
    let format = Format {
        place: Place::NOWHERE,
        ..truth.format.clone()
    };
    format.write(data_dir).map_err(CopyError::io(data_dir))?;
    let marker = data_dir.join(UNFINISHED);
    fs::remove_file(&marker)
        .and_then(|()| RealDisk.sync_dir(data_dir))
        .map_err(CopyError::io(&marker))
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
