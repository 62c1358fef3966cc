//! Bringing an older data directory up to the format of this program, one step after another.
//!
//! The old state is kept aside first, whole and durable, where the program that wrote it can open
//! it again. Each step may be repeated, and FORMAT names the next format only when it is done, so
//! a kill at any point is made good by the next start. Nothing is deleted.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, RealDisk, private_dir};
use super::format::{Format, VERSION};
use super::open_error::OpenError;
use crate::base::Timestamp;

/// What becomes of a format: the work that leads to the next.
struct Step {
    /// From this format to the next.
    from: u32,
    /// Does it; done twice it changes nothing.
    run: fn(&Path) -> io::Result<()>,
}

/// One step for each format but the newest.
const STEPS: [Step; 1] = [
    // Base files lie in a directory of their own; the journal is as it was.
    Step {
        from: 1,
        run: |data_dir| private_dir(&data_dir.join("base")),
    },
];

/// What was done to an older directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// The format it had.
    pub from: u32,
    /// The format it has.
    pub to: u32,
    /// Where the old state is kept.
    pub kept: PathBuf,
}

/// Brings `data_dir`, which has `format`, up to this program's; `None` when it is there already.
///
/// # Errors
/// What the disk said; the next start goes on from there.
pub(super) fn migrate(
    data_dir: &Path,
    format: &Format,
    now: Timestamp,
) -> Result<Option<Upgraded>, OpenError> {
    if format.version == VERSION {
        return Ok(None);
    }
    let (from, to) = (format.version, VERSION);
    tracing::warn!(from, to, "数据目录是旧版本的格式：先保留旧状态，再升级");
    let kept = climb(data_dir, format, now, &STEPS).map_err(OpenError::io(data_dir))?;
    Ok(Some(Upgraded { from, to, kept }))
}

fn climb(data_dir: &Path, format: &Format, now: Timestamp, steps: &[Step]) -> io::Result<PathBuf> {
    let kept = keep_aside(data_dir, format.version, now)?;
    let mut format = format.clone();
    let from = format.version;
    for step in steps.iter().filter(|step| step.from >= from) {
        (step.run)(data_dir)?;
        RealDisk.sync_dir(data_dir)?;
        format.version = step.from + 1;
        format.write(data_dir)?;
    }
    Ok(kept)
}

/// Keeps what the directory holds in `before-upgrade-<format>-<time>/`, without its working set,
/// which every start can build. Finished journal segments are linked: nobody writes them again.
fn keep_aside(data_dir: &Path, version: u32, now: Timestamp) -> io::Result<PathBuf> {
    let prefix = format!("before-upgrade-{version}-");
    let (mut finished, mut begun) = (vec![], vec![]);
    for name in names(data_dir)? {
        match name.to_string_lossy() {
            name if !name.starts_with(&prefix) => {}
            name if name.ends_with(PART) => begun.push(data_dir.join(&*name)),
            name => finished.push(data_dir.join(&*name)),
        }
    }
    if let Some(kept) = finished.into_iter().find(|kept| holds(kept, data_dir)) {
        return Ok(kept);
    }
    let name = format!("{prefix}{}", now.compact());
    let part = begun.pop();
    let part = part.unwrap_or_else(|| data_dir.join(format!("{name}{PART}")));
    private_dir(&part)?;
    fill(data_dir, &part)?;
    let kept = data_dir.join(name);
    fs::rename(&part, &kept)?;
    RealDisk.sync_dir(data_dir)?;
    Ok(kept)
}

/// What is not kept whole yet has this ending.
const PART: &str = ".part";
const FILES: [&str; 2] = ["FORMAT", "journal.mark"];
const DIRS: [&str; 2] = ["journal", "base"];

fn fill(data_dir: &Path, part: &Path) -> io::Result<()> {
    for name in DIRS {
        let (from, to) = (data_dir.join(name), part.join(name));
        let mut files = if_there(names(&from))?;
        files.sort();
        private_dir(&to)?;
        // The last segment may have been cut short: it is small, and a copy is beyond doubt.
        let last = files.pop();
        for file in &files {
            link(&from.join(file), &to.join(file))?;
        }
        if let Some(file) = last {
            copy(&from.join(&file), &to.join(&file))?;
        }
        RealDisk.sync_dir(&to)?;
    }
    for name in FILES {
        if data_dir.join(name).exists() {
            copy(&data_dir.join(name), &part.join(name))?;
        }
    }
    RealDisk.sync_dir(part)
}

/// Whether `kept` is the state that `data_dir` is in now.
fn holds(kept: &Path, data_dir: &Path) -> bool {
    let same_format = fs::read(kept.join(FILES[0])).ok() == fs::read(data_dir.join(FILES[0])).ok();
    let journal = |dir: &Path| {
        let mut files = names(&dir.join(DIRS[0])).unwrap_or_default();
        files.sort();
        files
    };
    same_format && journal(kept) == journal(data_dir)
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Not every file system knows links.
        Err(_) => copy(from, to),
    }
}

/// Copies a file whole and durably, or not at all.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let half = to.with_extension("half");
    fs::copy(from, &half)?;
    File::open(&half)?.sync_all()?;
    fs::rename(&half, to)
}

fn names(dir: &Path) -> io::Result<Vec<OsString>> {
    let entries = fs::read_dir(dir)?;
    entries.map(|entry| Ok(entry?.file_name())).collect()
}

fn if_there<T: Default>(found: io::Result<T>) -> io::Result<T> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::format::Place;

    fn directory() -> (tempfile::TempDir, Format) {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal");
        fs::create_dir(&journal).unwrap();
        for name in ["1.zgj", "2.zgj"] {
            fs::write(journal.join(name), name).unwrap();
        }
        fs::write(dir.path().join("journal.mark"), "mark").unwrap();
        fs::create_dir(dir.path().join("sled")).unwrap();
        let format = Format {
            version: 1,
            instance: [1; 16],
            place: Place::of(&journal).unwrap(),
            key_check: [2; 16],
        };
        format.write(dir.path()).unwrap();
        (dir, format)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    fn kept_in(dir: &Path) -> Vec<OsString> {
        let mut kept = names(dir).unwrap();
        kept.retain(|name| name.to_string_lossy().starts_with("before-upgrade-"));
        kept
    }

    #[test]
    fn an_older_directory_is_kept_aside_and_brought_up() {
        let (dir, format) = directory();
        let dir = dir.path();
        let old = fs::read(dir.join("FORMAT")).unwrap();
        let upgraded = migrate(dir, &format, at(0)).unwrap().unwrap();
        assert_eq!((upgraded.from, upgraded.to), (1, VERSION));
        let kept = &upgraded.kept;
        assert_eq!(kept, &dir.join("before-upgrade-1-19700101080000"));
        assert_eq!(fs::read(kept.join("FORMAT")).unwrap(), old);
        for name in ["journal/1.zgj", "journal/2.zgj", "journal.mark"] {
            assert_eq!(
                fs::read(kept.join(name)).unwrap(),
                fs::read(dir.join(name)).unwrap()
            );
        }
        assert!(!kept.join("sled").exists());
        let now = Format::read(dir).unwrap().unwrap();
        assert_eq!(now.version, VERSION);
        assert_eq!(migrate(dir, &now, at(1)).unwrap(), None);
        assert_eq!(kept_in(dir).len(), 1);
    }

    #[test]
    fn an_upgrade_that_broke_off_goes_on_where_it_was() {
        const FAILING: [Step; 2] = [
            Step {
                from: 1,
                run: |dir| private_dir(&dir.join("first")),
            },
            Step {
                from: 2,
                run: |dir| fs::metadata(dir.join("allowed")).map(drop),
            },
        ];
        let (dir, format) = directory();
        let dir = dir.path();
        // Half of what is to be kept is there from a start that was killed.
        let part = dir.join("before-upgrade-1-19700101080000.part");
        fs::create_dir_all(part.join("journal")).unwrap();
        fs::hard_link(dir.join("journal/1.zgj"), part.join("journal/1.zgj")).unwrap();
        fs::write(part.join("journal/2.half"), "ha").unwrap();
        climb(dir, &format, at(5), &FAILING).unwrap_err();
        assert!(dir.join("first").exists());
        assert_eq!(kept_in(dir), ["before-upgrade-1-19700101080005"]);
        let text = fs::read_to_string(dir.join("FORMAT")).unwrap();
        assert!(text.starts_with("zhanggui 2\n"), "{text}");
        fs::write(dir.join("allowed"), "").unwrap();
        let halfway = Format {
            version: 2,
            ..format
        };
        climb(dir, &halfway, at(9), &FAILING).unwrap();
        let text = fs::read_to_string(dir.join("FORMAT")).unwrap();
        assert!(text.starts_with("zhanggui 3\n"), "{text}");
    }

    #[test]
    fn what_is_kept_already_is_not_kept_twice() {
        let (dir, format) = directory();
        let first = keep_aside(dir.path(), 1, at(1)).unwrap();
        assert_eq!(keep_aside(dir.path(), 1, at(2)).unwrap(), first);
        fs::write(dir.path().join("journal/3.zgj"), "3").unwrap();
        assert_ne!(keep_aside(dir.path(), 1, at(3)).unwrap(), first);
        assert_eq!(format.version, 1);
    }
}
