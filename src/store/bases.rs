//! The base files of a store: which there are, and how one is made from the last one and the
//! journal behind it. Never from sled, which can lose keys silently.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::Disk;
use super::sorted::{BadSorted, Head, SortedReader, SortedWriter};
use super::truth::Truth;

/// The directory of base files in the data directory.
pub(super) const DIR: &str = "base";
const NEW: &str = "next.new";

/// A base file in its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    /// Its name.
    pub(super) name: String,
    /// What it says of itself.
    pub(super) head: Head,
    /// Its length in bytes.
    pub(super) bytes: u64,
}

/// What is in the directory of base files.
#[derive(Debug, Default)]
pub(super) struct Bases {
    /// Those whose header and trailer are good, newest first.
    pub(super) good: Vec<Base>,
    /// Those that are not whole, and why, by name.
    pub(super) bad: Vec<(String, BadSorted)>,
}

/// The name of the base at `commit`.
pub(super) fn name(commit: u64) -> String {
    format!("{commit:016}.zgb")
}

/// The commit in the name of a base; `None` for what is not one.
pub(super) fn commit_of(file: &str) -> Option<u64> {
    let commit = file.strip_suffix(".zgb")?.parse().ok()?;
    (name(commit) == file).then_some(commit)
}

impl Bases {
    /// Looks at every base file in `dir`; none when there is no such directory.
    ///
    /// # Errors
    /// What the disk said.
    pub(super) fn look(disk: &dyn Disk, dir: &Path) -> io::Result<Self> {
        let mut names = match disk.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
            names => names?,
        };
        names.retain(|name| commit_of(name).is_some());
        names.sort_unstable_by(|a, b| b.cmp(a));
        let mut found = Self::default();
        for name in names {
            match Self::one(disk, dir, &name) {
                Ok(base) => found.good.push(base),
                Err(why) => found.bad.push((name, why)),
            }
        }
        Ok(found)
    }

    fn one(disk: &dyn Disk, dir: &Path, name: &str) -> Result<Base, BadSorted> {
        let path = dir.join(name);
        let (head, _) = SortedReader::open(disk, &path)?;
        if commit_of(name) != Some(head.end.commit) {
            return Err(BadSorted::Damaged(0));
        }
        Ok(Base {
            name: name.to_owned(),
            head,
            bytes: disk.open(&path)?.length()?,
        })
    }
}

/// Opens a base that [`Bases::look`] found good.
///
/// # Errors
/// [`BadSorted`].
pub(super) fn reader(disk: &dyn Disk, dir: &Path, base: &Base) -> Result<SortedReader, BadSorted> {
    let (head, reader) = SortedReader::open(disk, &dir.join(&base.name))?;
    match head == base.head {
        true => Ok(reader),
        false => Err(BadSorted::Damaged(0)),
    }
}

/// Reads all of a base: whether every block is as it was written.
///
/// # Errors
/// [`BadSorted`].
pub(super) fn prove(disk: &dyn Disk, dir: &Path, base: &Base) -> Result<(), BadSorted> {
    let mut reader = reader(disk, dir, base)?;
    while reader.next()?.is_some() {}
    Ok(())
}

/// Removes what an interrupted start or base left behind in `dir`: nothing of the truth.
///
/// # Errors
/// What the disk said.
pub(super) fn tidy(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let names = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names?,
    };
    for name in names {
        if name == NEW || name.ends_with(".run") {
            disk.remove(&dir.join(name))?;
        }
    }
    Ok(())
}

/// A base that is being written.
pub(super) struct Making<'m> {
    /// Where.
    pub(super) disk: &'m Arc<dyn Disk>,
    /// The directory of base files.
    pub(super) dir: &'m Path,
    /// Told after each block that went to the disk; an error ends the making.
    pub(super) pace: &'m dyn Fn() -> Result<(), BadSorted>,
}

impl Making<'_> {
    /// Writes `truth` as the base of `head`, durably under its name only when it is whole.
    ///
    /// # Errors
    /// [`BadSorted`]: the last base or the disk.
    pub(super) fn write(&self, head: &Head, mut truth: Truth) -> Result<Base, BadSorted> {
        let new = self.dir.join(NEW);
        let mut writer = SortedWriter::create(&**self.disk, &new, head)?;
        while let Some((key, value)) = truth.next()? {
            if writer.push(&key, Some(&value))? {
                (self.pace)()?;
            }
        }
        let bytes = writer.finish()?;
        let name = name(head.end.commit);
        self.disk.rename(&new, &self.dir.join(&name))?;
        self.disk.sync_dir(self.dir)?;
        let head = *head;
        Ok(Base { name, head, bytes })
    }
}

/// The path of the directory of base files.
pub(super) fn dir(data_dir: &Path) -> PathBuf {
    data_dir.join(DIR)
}
