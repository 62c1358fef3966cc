//! What makes a directory a store, and this one ours: LOCK, FORMAT and the mark of how far the
//! journal had come.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use data_encoding::HEXLOWER;

use super::disk::{create_private, replace};
use crate::base::cipher::FieldKey;

/// The layout of the directory that this program writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;

/// The file that makes a directory a store.
pub(super) const FORMAT: &str = "FORMAT";
const MARK: &str = "journal.mark";

/// Takes the lock of `data_dir`; it is free again when the file is dropped.
///
/// # Errors
/// The process that holds it, as it wrote itself down; or what the disk said.
pub(super) fn lock(data_dir: &Path) -> Result<File, LockError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.mode(0o600).open(data_dir.join("LOCK"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid)?;
            return Err(LockError::Held(pid.trim().to_owned()));
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

/// Why the lock was not taken.
#[derive(Debug)]
pub(super) enum LockError {
    /// This process has it.
    Held(String),
    /// The disk said so.
    Io(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Which directory `journal/` is: a copy of it is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    inode: u64,
    /// Nanoseconds since 1970; 0 where the file system does not know.
    born_ns: u128,
}

impl Place {
    /// No directory at all: for what is to be taken for a copy.
    pub(super) const NOWHERE: Self = Self {
        inode: 0,
        born_ns: 0,
    };

    /// The directory `journal`. The device number is left out: it changes when a machine restarts.
    pub(super) fn of(journal: &Path) -> io::Result<Self> {
        let meta = fs::metadata(journal)?;
        let born = meta
            .created()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Ok(Self {
            inode: meta.ino(),
            born_ns: born.map_or(0, |since| since.as_nanos()),
        })
    }
}

/// What FORMAT says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// The store.
    pub(super) instance: [u8; 16],
    /// Where it lives.
    pub(super) place: Place,
    /// Tells one field key from another, without telling it.
    pub(super) key_check: [u8; 16],
}

/// Why FORMAT cannot be read.
#[derive(Debug)]
pub(super) enum BadFormat {
    /// A newer program wrote it, in this layout.
    Newer(u32),
    /// It is not whole.
    Damaged,
    /// The disk said so.
    Io(io::Error),
}

impl Format {
    /// Whether there is a FORMAT, of whatever content.
    pub(super) fn is_in(data_dir: &Path) -> bool {
        data_dir.join(FORMAT).exists()
    }

    /// Reads FORMAT; `None` when there is none.
    pub(super) fn read(data_dir: &Path) -> Result<Option<Self>, BadFormat> {
        let text = match fs::read(data_dir.join(FORMAT)) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| BadFormat::Damaged)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(BadFormat::Io(error)),
        };
        let version = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("zhanggui "));
        match version.and_then(|version| version.parse().ok()) {
            Some(VERSION) => Self::parse(&text).map(Some).ok_or(BadFormat::Damaged),
            Some(version) => Err(BadFormat::Newer(version)),
            None => Err(BadFormat::Damaged),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (content, check) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        if check != checked(&format!("{content}\n")) {
            return None;
        }
        let mut lines = content.lines().skip(1);
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let format = Self {
            instance: sixteen(field("instance")?)?,
            place: {
                let (inode, born_ns) = field("journal")?.split_once(' ')?;
                Place {
                    inode: inode.parse().ok()?,
                    born_ns: born_ns.parse().ok()?,
                }
            },
            key_check: sixteen(field("field_key")?)?,
        };
        Some(format)
    }

    /// Writes FORMAT, durably.
    pub(super) fn write(&self, data_dir: &Path) -> io::Result<()> {
        let content = format!(
            "zhanggui {VERSION}\ninstance {}\njournal {} {}\nfield_key {}\n",
            HEXLOWER.encode(&self.instance),
            self.place.inode,
            self.place.born_ns,
            HEXLOWER.encode(&self.key_check),
        );
        let check = checked(&content);
        replace(data_dir, FORMAT, format!("{content}{check}\n").as_bytes())
    }
}

/// The value by which FORMAT knows `key` again.
pub(super) fn key_check(key: &FieldKey) -> [u8; 16] {
    key.index(b"zhanggui store FORMAT")
}

fn checked(content: &str) -> String {
    format!("check {:08x}", crc32c::crc32c(content.as_bytes()))
}

fn sixteen(hex: &str) -> Option<[u8; 16]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

/// How far the journal had come, noted now and then outside of it: a journal that ends earlier has
/// lost something, where sled itself, after a kill, is not asked.
#[derive(Debug)]
pub(super) struct Mark(File);

impl Mark {
    /// The commit noted; `None` when there is none, or none that can be believed.
    pub(super) fn read(data_dir: &Path) -> Option<u64> {
        let bytes = fs::read(data_dir.join(MARK)).ok()?;
        let (commit, check) = bytes.split_at_checked(8)?;
        let good = crc32c::crc32c(commit).to_le_bytes() == check;
        Some(u64::from_le_bytes(commit.try_into().ok()?)).filter(|_| good)
    }

    /// Notes `commit`, in place of any mark that was there.
    pub(super) fn create(data_dir: &Path, commit: u64) -> io::Result<Self> {
        let mark = Self(create_private(&data_dir.join(MARK))?);
        mark.note(commit)?;
        Ok(mark)
    }

    /// A mark that keeps nothing.
    #[cfg(test)]
    pub(super) fn nowhere() -> Self {
        let nowhere = fs::OpenOptions::new().write(true).open("/dev/null");
        Self(nowhere.expect("every system has it"))
    }

    /// Notes `commit`. Not synced: an older mark after a power cut proves less, never wrongly.
    pub(super) fn note(&self, commit: u64) -> io::Result<()> {
        let commit = commit.to_le_bytes();
        let check = crc32c::crc32c(&commit).to_le_bytes();
        self.0.write_all_at(&[&commit[..], &check].concat(), 0)
    }
}
