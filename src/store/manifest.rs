//! MANIFEST: what a backup holds, file by file, so that a backup can prove itself whole.
//!
//! Text, one fact a line; the sums are what `sha256sum` prints. A check ends it.

use std::fs;
use std::io;
use std::path::Path;

use data_encoding::HEXLOWER;

use super::disk::replace;
use super::frame::Link;
use crate::base::Timestamp;

/// The file's name in a backup.
pub(super) const NAME: &str = "MANIFEST";
/// The layout that this program writes, and the newest that it reads.
const VERSION: u32 = 1;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The version of the program that wrote it.
    pub program: String,
    /// The store it is of, 32 hexadecimal digits.
    pub instance: String,
    /// When it was made.
    pub at: Timestamp,
    /// The last commit in it.
    pub commit: u64,
    /// When that commit was written.
    pub commit_at: Timestamp,
    /// Its files but MANIFEST.
    pub files: Vec<Listed>,
    /// The check of the last commit's frame.
    pub(super) check: u32,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where it lies in the backup.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, 64 hexadecimal digits.
    pub sum: String,
}

/// Why a MANIFEST cannot be read.
#[derive(Debug)]
pub(super) enum BadManifest {
    /// A newer program wrote it, in this layout.
    Newer(u32),
    /// It is not whole.
    Damaged,
    /// The disk said so.
    Io(io::Error),
}

impl Manifest {
    /// The size of all its files, bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The end of the journal in it.
    pub(super) fn end(&self) -> Link {
        Link {
            commit: self.commit,
            check: self.check,
        }
    }

    /// Reads the MANIFEST of `dir`; `None` when there is none.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, BadManifest> {
        let text = match fs::read(dir.join(NAME)) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| BadManifest::Damaged)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(BadManifest::Io(error)),
        };
        let (content, check) = text
            .strip_suffix('\n')
            .and_then(|text| text.rsplit_once('\n'))
            .ok_or(BadManifest::Damaged)?;
        if check != checked(&format!("{content}\n")) {
            return Err(BadManifest::Damaged);
        }
        let mut lines = content.lines();
        let version = lines
            .next()
            .and_then(|line| line.strip_prefix("zhanggui backup "));
        match version.and_then(|version| version.parse().ok()) {
            Some(VERSION) => parse(lines).map(Some).ok_or(BadManifest::Damaged),
            Some(version) => Err(BadManifest::Newer(version)),
            None => Err(BadManifest::Damaged),
        }
    }

    /// Writes it into `dir`, durably.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        let mut content = format!(
            "zhanggui backup {VERSION}\nprogram {}\ninstance {}\nat {}\ncommit {} {:08x} {}\n",
            self.program,
            self.instance,
            self.at.rfc3339(),
            self.commit,
            self.check,
            self.commit_at.rfc3339(),
        );
        for file in &self.files {
            content += &format!("file {} {} {}\n", file.sum, file.bytes, file.path);
        }
        let check = checked(&content);
        replace(dir, NAME, format!("{content}{check}\n").as_bytes())
    }
}

/// An instance as MANIFEST writes it.
pub(super) fn instance_text(instance: [u8; 16]) -> String {
    HEXLOWER.encode(&instance)
}

fn checked(content: &str) -> String {
    format!("check {:08x}", crc32c::crc32c(content.as_bytes()))
}

fn parse<'l>(mut lines: impl Iterator<Item = &'l str>) -> Option<Manifest> {
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let program = field("program")?.to_owned();
    let instance = field("instance")?.to_owned();
    let at = Timestamp::from_rfc3339(field("at")?)?;
    let mut commit = field("commit")?.split(' ');
    let mut part = || commit.next();
    Some(Manifest {
        program,
        instance,
        at,
        commit: part()?.parse().ok()?,
        check: u32::from_str_radix(part()?, 16).ok()?,
        commit_at: Timestamp::from_rfc3339(part()?)?,
        files: lines.map(listed).collect::<Option<_>>()?,
    })
}

fn listed(line: &str) -> Option<Listed> {
    let mut parts = line.strip_prefix("file ")?.splitn(3, ' ');
    let sum = parts.next()?.to_owned();
    let bytes = parts.next()?.parse().ok()?;
    let path = parts.next()?.to_owned();
    let steps = || path.split('/');
    let stays = steps().all(|step| !matches!(step, "" | "." | "..")) && steps().count() <= 2;
    stays.then_some(Listed { path, bytes, sum })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            program: "0.1.0".to_owned(),
            instance: instance_text([7; 16]),
            at: Timestamp::from_unix(1_767_196_800),
            commit: 12,
            commit_at: Timestamp::from_unix(1_767_196_799),
            check: 0x0abc_def0,
            files: vec![Listed {
                path: "journal/0000000000000001-00000001.zgj".to_owned(),
                bytes: 99,
                sum: "ab".repeat(32),
            }],
        }
    }

    #[test]
    fn a_manifest_comes_back_and_one_altered_by_a_byte_does_not() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Manifest::read(dir.path()).unwrap().is_none());
        manifest().write(dir.path()).unwrap();
        let path = dir.path().join(NAME);
        let good = fs::read(&path).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), Some(manifest()));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, bad).unwrap();
            assert!(Manifest::read(dir.path()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_file_outside_of_the_backup_is_no_file_of_it() {
        for path in [
            "/etc/passwd",
            "../x",
            "journal/../../x",
            "a/b/c",
            "",
            "a//b",
        ] {
            assert_eq!(listed(&format!("file 00 1 {path}")), None, "{path}");
        }
    }

    #[test]
    fn a_newer_layout_is_told_from_a_damaged_one() {
        let dir = tempfile::tempdir().unwrap();
        let content = "zhanggui backup 2\nwhatever\n";
        let text = format!("{content}{}\n", checked(content));
        fs::write(dir.path().join(NAME), text).unwrap();
        let read = Manifest::read(dir.path());
        assert!(matches!(read, Err(BadManifest::Newer(2))), "{read:?}");
    }
}
