//! Compacting: the next start is asked to build the working set anew. sled's file never shrinks.

use std::fs;
use std::io;
use std::path::Path;

use super::copying::CopyError;
use super::disk::{Disk, RealDisk, create_private};
use super::format::{self, Format};
use super::health::REBUILD;
use super::open_error::OpenError;

/// Has the next start of the store in `data_dir` rebuild its working set; its size now, bytes.
///
/// # Errors
/// [`OpenError::Locked`] when a server runs; [`CopyError::NoStore`]; [`CopyError::Io`].
pub fn ask_rebuild(data_dir: &Path) -> Result<u64, CopyError> {
    if !Format::is_in(data_dir) {
        return Err(CopyError::NoStore(data_dir.to_owned()));
    }
    let lock = format::lock(data_dir).map_err(|error| OpenError::lock(data_dir, error))?;
    let bytes = working_set_bytes(data_dir).map_err(CopyError::io(data_dir))?;
    let mark = data_dir.join(REBUILD);
    create_private(&mark)
        .and_then(|_| RealDisk.sync_dir(data_dir))
        .map_err(CopyError::io(&mark))?;
    drop(lock);
    Ok(bytes)
}

/// The size of the working set in `data_dir`, bytes.
///
/// # Errors
/// What the disk said.
pub fn working_set_bytes(data_dir: &Path) -> io::Result<u64> {
    size_below(&data_dir.join("sled"))
}

fn size_below(dir: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut sum = 0;
    for entry in entries {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += if meta.is_dir() {
            size_below(&entry.path())?
        } else {
            meta.len()
        };
    }
    Ok(sum)
}
