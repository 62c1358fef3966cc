//! A backup: FORMAT, the newest base file and the journal behind it, and MANIFEST, in a directory
//! of their own.
//!
//! It is written under another name, read back, and renamed when it is known to be whole: a
//! directory that has the name that was asked for is a backup. Nothing is asked of the writer: the
//! frames that were acknowledged before stand in the files, and a frame that is being written
//! meanwhile makes the copy's torn tail.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::copying::{CopyError, Counted, Doing, Onlooker};
use super::copying::{copy, differences, is_vacant, size_of};
use super::disk::{Disk, RealDisk, private_dir};
use super::format::{self, FORMAT, Format, Mark};
use super::manifest::{self, Manifest, instance_text};
use super::open_error::OpenError;
use super::reading::{Reading, home_of};
use super::recover::Home;
use super::seal::Seal;
use crate::base::Timestamp;

/// What is to be backed up, and where to.
#[derive(Clone, Debug)]
pub struct BackupOrder {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The backup: absent, or an empty directory.
    pub dest: PathBuf,
    /// When it is made.
    pub now: Timestamp,
    /// The commit that it must reach: that of the open store.
    pub reach: u64,
}

/// Backs up the store that is stopped in `order.data_dir`.
///
/// # Errors
/// [`CopyError`]; nothing is left behind then. [`OpenError::Locked`] when a server runs.
pub fn back_up_stopped(order: &BackupOrder, watch: Onlooker<'_>) -> Result<Manifest, CopyError> {
    let data_dir = &order.data_dir;
    if !Format::is_in(data_dir) {
        return Err(CopyError::NoStore(data_dir.clone()));
    }
    let lock = format::lock(data_dir).map_err(|error| OpenError::lock(data_dir, error))?;
    let done = back_up(order, watch);
    drop(lock);
    done
}

/// Backs up the store in `order.data_dir`, whose files stay where they are meanwhile.
///
/// # Errors
/// [`CopyError`]; nothing is left behind then.
pub(super) fn back_up(order: &BackupOrder, watch: Onlooker<'_>) -> Result<Manifest, CopyError> {
    let parent = checked_target(order)?;
    let partial = partial_of(&order.dest);
    remove_partial(&partial, &order.data_dir)?;
    let done = fill(order, &partial, watch).and_then(|manifest| {
        let io = CopyError::io(&order.dest);
        fs::rename(&partial, &order.dest)
            .and_then(|()| RealDisk.sync_dir(&parent))
            .map_err(io)?;
        Ok(manifest)
    });
    if done.is_err() {
        // What it failed of is the news; what stays is found by the next backup.
        let _ = fs::remove_dir_all(&partial);
    }
    done
}

/// Where a backup is written before it has its name.
fn partial_of(dest: &Path) -> PathBuf {
    let mut name = dest.file_name().unwrap_or_default().to_owned();
    name.push(PARTIAL);
    dest.with_file_name(name)
}

/// What the name of an unfinished backup ends with.
pub(super) const PARTIAL: &str = ".partial";

/// The directory that holds the target, once the target may be made.
fn checked_target(order: &BackupOrder) -> Result<PathBuf, CopyError> {
    let dest = &order.dest;
    let at = CopyError::io(dest);
    let dest_abs = std::path::absolute(dest).map_err(at)?;
    let parent = dest_abs.parent().unwrap_or(Path::new("/")).to_owned();
    let Ok(parent) = parent.canonicalize() else {
        return Err(CopyError::NoPlace(parent));
    };
    let data_dir = &order.data_dir;
    let data_abs = data_dir.canonicalize().map_err(CopyError::io(data_dir))?;
    if parent.starts_with(&data_abs) {
        return Err(CopyError::Inside(dest.clone()));
    }
    match fs::symlink_metadata(dest) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(parent),
        Err(error) => return Err(CopyError::io(dest)(error)),
        Ok(meta) if !meta.is_dir() => return Err(CopyError::NotEmpty(dest.clone())),
        Ok(meta) => {
            let above = fs::metadata(&parent).map_err(CopyError::io(&parent))?;
            if meta.dev() != above.dev() {
                return Err(CopyError::MountPoint(dest.clone()));
            }
        }
    }
    if !is_vacant(dest).map_err(CopyError::io(dest))? {
        return Err(CopyError::NotEmpty(dest.clone()));
    }
    Ok(parent)
}

/// Removes what an earlier backup of this store, killed, left under this name.
fn remove_partial(partial: &Path, data_dir: &Path) -> Result<(), CopyError> {
    if is_vacant(partial).map_err(CopyError::io(partial))? {
        return Ok(());
    }
    if instance_of(partial).is_none() || instance_of(partial) != instance_of(data_dir) {
        return Err(CopyError::NotEmpty(partial.to_owned()));
    }
    fs::remove_dir_all(partial).map_err(CopyError::io(partial))
}

/// The store that `dir` is of; `None` when that cannot be read.
pub(super) fn instance_of(dir: &Path) -> Option<[u8; 16]> {
    Format::read(dir).ok()?.map(|format| format.instance)
}

fn fill(order: &BackupOrder, partial: &Path, watch: Onlooker<'_>) -> Result<Manifest, CopyError> {
    let data_dir = order.data_dir.as_path();
    private_dir(partial).map_err(CopyError::io(partial))?;
    // A plain copy of what follows would be taken for a store without FORMAT; so it comes first
    // here, to tell whose leftover this is.
    let mut tiny = Counted::new(watch, Doing::Copy, 0);
    let mut files = vec![copy((data_dir, partial), FORMAT, &mut tiny)?];
    let reach = order.reach.max(proven_end(data_dir));
    let truth = Reading::newest_files(data_dir).map_err(CopyError::io(data_dir))?;
    let of = size_of(data_dir, &truth).map_err(CopyError::io(data_dir))?;
    let mut counted = Counted::new(watch, Doing::Copy, of);
    for folder in ["journal", "base"] {
        let dir = partial.join(folder);
        private_dir(&dir).map_err(CopyError::io(&dir))?;
    }
    for path in &truth {
        files.push(copy((data_dir, partial), path, &mut counted)?);
    }
    for dir in ["journal", "base", ""] {
        let dir = partial.join(dir);
        RealDisk.sync_dir(&dir).map_err(CopyError::io(&dir))?;
    }
    let manifest = described(order, partial, files, watch)?;
    if manifest.commit < reach {
        let (wanted, got) = (reach, manifest.commit);
        return Err(CopyError::Behind { wanted, got });
    }
    manifest.write(partial).map_err(CopyError::io(partial))?;
    match differences(partial, &manifest, watch)? {
        faults if faults.is_empty() => Ok(manifest),
        faults => Err(CopyError::Altered(faults)),
    }
}

/// How far the journal had come at least, as seal and mark say.
fn proven_end(data_dir: &Path) -> u64 {
    let format = Format::read(data_dir).ok().flatten();
    if format.is_none_or(|format| home_of(data_dir, &format) == Home::Copy) {
        // What seal and mark say of the original does not bind a copy.
        return 0;
    }
    let seal = Seal::read(data_dir).map_or(0, |seal| seal.end.commit);
    seal.max(Mark::read(data_dir).unwrap_or(0))
}

/// MANIFEST of the files in `partial`, which were read back to their end.
fn described(
    order: &BackupOrder,
    partial: &Path,
    mut files: Vec<manifest::Listed>,
    watch: Onlooker<'_>,
) -> Result<Manifest, CopyError> {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let truth = Reading::read(partial, Home::Ours, watch, &mut |_, _| ())?;
    Ok(Manifest {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        instance: instance_text(truth.format.instance),
        at: order.now,
        commit: truth.end().commit,
        commit_at: truth.at(),
        files,
        check: truth.end().check,
    })
}

/// A finished backup, as a list of them shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The directory's name.
    pub name: String,
    /// What it says it holds.
    pub manifest: Manifest,
}

/// The finished backups of the store in `data_dir` that lie in `dir`, oldest first. Directories
/// that are no backups of this store are not looked at.
///
/// # Errors
/// [`CopyError::Io`], [`CopyError::NoPlace`].
pub fn kept(dir: &Path, data_dir: &Path) -> Result<Vec<Kept>, CopyError> {
    let instance = instance_of(data_dir).map(instance_text);
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(CopyError::NoPlace(dir.to_owned()));
        }
        entries => entries.map_err(CopyError::io(dir))?,
    };
    let mut found = vec![];
    for entry in entries {
        let entry = entry.map_err(CopyError::io(dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(PARTIAL) {
            continue;
        }
        if let Ok(Some(manifest)) = Manifest::read(&entry.path())
            && Some(&manifest.instance) == instance.as_ref()
        {
            found.push(Kept { name, manifest });
        }
    }
    found.sort_by(|a, b| (a.manifest.at, &a.name).cmp(&(b.manifest.at, &b.name)));
    Ok(found)
}

/// Removes unfinished backups of the store in `data_dir` from `dir`: what a kill left there.
///
/// # Errors
/// [`CopyError::Io`].
pub fn sweep_partials(dir: &Path, data_dir: &Path) -> Result<(), CopyError> {
    for entry in fs::read_dir(dir).map_err(CopyError::io(dir))? {
        let path = entry.map_err(CopyError::io(dir))?.path();
        let is_partial = path.to_string_lossy().ends_with(PARTIAL);
        let of = instance_of(&path).filter(|_| is_partial);
        if of.is_some() && of == instance_of(data_dir) {
            fs::remove_dir_all(&path).map_err(CopyError::io(&path))?;
        }
    }
    Ok(())
}

/// Removes the backup `name` from `dir`. MANIFEST goes first: what a kill leaves is no backup.
///
/// # Errors
/// [`CopyError::Io`].
pub fn remove_kept(dir: &Path, name: &str) -> Result<(), CopyError> {
    let path = dir.join(name);
    let aside = partial_of(&path);
    fs::rename(&path, &aside).map_err(CopyError::io(&path))?;
    fs::remove_dir_all(&aside).map_err(CopyError::io(&aside))
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
