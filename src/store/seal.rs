//! `sled.seal`: says that the working set was closed cleanly, with which files and at which end of
//! the journal. It exists only while the store is closed; without it the working set is rebuilt.
//!
//! Identity alone would not see a bit that rots on the disk: sled opens most of such files, and
//! some of them with keys missing. So the content is sealed too; 1 GiB is read in about a second.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::disk::{Disk, RealDisk, replace};
use super::frame::Link;

const NAME: &str = "sled.seal";
const HEAD: &str = "zhanggui seal 2";
/// How much of a file is read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// What a seal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    /// The end of the journal.
    pub(super) end: Link,
    /// Inode, size, mtime and ctime of each file of the working set.
    pub(super) files: String,
    /// CRC32C of what is in them.
    pub(super) content: u32,
}

impl Seal {
    /// Seals the closed working set in `sled`; its files are made durable first.
    pub(super) fn write(data_dir: &Path, sled: &Path, end: Link) -> io::Result<()> {
        for_each_file(sled, &mut |path, _| File::open(path)?.sync_all())?;
        let files = listing(sled)?;
        let content = content(sled)?;
        let (commit, end) = (end.commit, end.check);
        let text = format!("{HEAD}\n{commit} {end:08x}\n{content:08x}\n{files}");
        let check = crc32c::crc32c(text.as_bytes());
        replace(data_dir, NAME, format!("{text}{check:08x}\n").as_bytes())
    }

    /// Reads the seal; `None` when there is none, or none that can be believed.
    pub(super) fn read(data_dir: &Path) -> Option<Self> {
        let text = fs::read_to_string(data_dir.join(NAME)).ok()?;
        let (text, check) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        let text = format!("{text}\n");
        if check != format!("{:08x}", crc32c::crc32c(text.as_bytes())) {
            return None;
        }
        let (end, rest) = text
            .strip_prefix(HEAD)?
            .strip_prefix('\n')?
            .split_once('\n')?;
        let (content, files) = rest.split_once('\n')?;
        let (commit, check) = end.split_once(' ')?;
        Some(Self {
            end: Link {
                commit: commit.parse().ok()?,
                check: u32::from_str_radix(check, 16).ok()?,
            },
            files: files.to_owned(),
            content: u32::from_str_radix(content, 16).ok()?,
        })
    }

    /// Whether the files in `sled` are those that were sealed.
    pub(super) fn fits(&self, sled: &Path) -> bool {
        let same = || content(sled).is_ok_and(|content| content == self.content);
        listing(sled).is_ok_and(|files| files == self.files) && same()
    }

    /// Takes the seal away, durably, before the working set is opened.
    pub(super) fn remove(data_dir: &Path) -> io::Result<()> {
        match fs::remove_file(data_dir.join(NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => RealDisk.sync_dir(data_dir),
        }
    }
}

fn listing(sled: &Path) -> io::Result<String> {
    let mut lines = vec![];
    for_each_file(sled, &mut |path, name| {
        let meta = fs::metadata(path)?;
        if meta.is_dir() {
            return Ok(());
        }
        let mut line = format!("{} {} ", meta.ino(), meta.size());
        let times = [
            (meta.mtime(), meta.mtime_nsec()),
            (meta.ctime(), meta.ctime_nsec()),
        ];
        for (seconds, nanoseconds) in times {
            // Writing to a string does not fail.
            let _ = write!(line, "{seconds}.{nanoseconds:09} ");
        }
        lines.push(format!("{line}{name}\n"));
        Ok(())
    })?;
    lines.sort();
    Ok(lines.concat())
}

/// CRC32C of every file's content and name, in the order of their paths.
fn content(sled: &Path) -> io::Result<u32> {
    let mut paths = vec![];
    for_each_file(sled, &mut |path, name| {
        if name != "." {
            paths.push(path.to_owned());
        }
        Ok(())
    })?;
    paths.sort();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut check = 0;
    for path in paths {
        let below = path.strip_prefix(sled).unwrap_or(&path);
        check = crc32c::crc32c_append(check, below.as_os_str().as_encoded_bytes());
        let mut file = File::open(&path)?;
        loop {
            let read = file.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            check = crc32c::crc32c_append(check, &chunk[..read]);
        }
    }
    Ok(check)
}

/// Visits the directory itself and everything in it.
fn for_each_file(
    dir: &Path,
    visit: &mut dyn FnMut(&Path, &str) -> io::Result<()>,
) -> io::Result<()> {
    visit(dir, ".")?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            for_each_file(&entry.path(), visit)?;
        } else {
            visit(&entry.path(), &entry.file_name().to_string_lossy())?;
        }
    }
    Ok(())
}
