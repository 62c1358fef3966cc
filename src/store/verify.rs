//! Verifying a copy, a backup or a stopped store: everything is read, and a working set is built
//! beside it from the truth and checked record by record. Nothing is written into the directory.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::audit::{Audit, Sums, audit};
use super::copying::{CopyError, Doing, Onlooker, Reached, differences, size_of, truth_files};
use super::format::Mark;
use super::health::Health;
use super::keywise::compare;
use super::manifest::{Manifest, instance_text};
use super::open_error::OpenError;
use super::read::View;
use super::reading::{Reading, home_of, reached};
use super::rebuild::{Content, Latest, rebuild};
use super::recover::Home;
use super::seal::Seal;
use super::working_set::SledSet;
use crate::base::Timestamp;

/// The cache of the working set that is built beside, bytes.
const CACHE_BYTES: u64 = 64 << 20;

/// What is verified, and where there is room for building.
#[derive(Clone, Debug)]
pub struct VerifyOrder {
    /// The directory.
    pub dir: PathBuf,
    /// An empty directory that is ours, for the working set built beside.
    pub scratch: PathBuf,
}

/// What a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirKind {
    /// A store where it lives.
    Store,
    /// A copy of a store.
    Copy,
    /// A backup.
    Backup,
}

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// The file it is in, where it is one file.
    pub file: Option<String>,
    /// The key it is under, where it is one key.
    pub key: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: &'static str,
}

/// What verifying a directory came to.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What it is.
    pub kind: DirKind,
    /// The store it is of, 32 hexadecimal digits.
    pub instance: String,
    /// The last commit.
    pub commit: u64,
    /// When that was written.
    pub commit_at: Timestamp,
    /// The size of journal and base files, bytes.
    pub bytes: u64,
    /// What MANIFEST says, where there is one.
    pub manifest: Option<Manifest>,
    /// Segments of a copy behind its end: a start leaves them out.
    pub left_out: Vec<String>,
    /// Keys by what they keep.
    pub counts: BTreeMap<&'static str, u64>,
    /// What the records add up to.
    pub sums: Sums,
    /// Whether a working set beside was compared with what was built.
    pub compared: bool,
    /// What is wrong; empty when all is well.
    pub wrong: Vec<Wrong>,
}

/// Another backup is the remedy for a bad one.
const TAKE_ANOTHER: &str = "这份副本不可信：请换一份备份，并检查存放它的磁盘";
/// For what the journal itself says.
const REPORT: &str = "账本里就是如此：请保留这个目录，把这份报告发给开发者；可先改用更早的备份";
/// For a working set that is not what the journal says.
const COMPACT: &str = "账本完好，只是工作集不对：运行 zhanggui compact 从账本重建";
/// For a store whose files are bad.
const RESTORE: &str = "请从备份恢复（zhanggui restore），不要删除任何文件";

/// Verifies `order.dir`.
///
/// # Errors
/// [`CopyError`]: what kept it from being verified at all.
pub fn verify(order: &VerifyOrder, progress: &dyn Fn(Reached)) -> Result<Verified, CopyError> {
    let watch = Onlooker {
        progress,
        stop: &AtomicBool::new(false),
    };
    let dir = order.dir.as_path();
    let lock = shared_lock(dir)?;
    let mut verified = looked_at(dir)?;
    check_manifest(dir, &mut verified, watch)?;
    let home = match verified.kind {
        DirKind::Store | DirKind::Backup => Home::Ours,
        DirKind::Copy => Home::Copy,
    };
    let mut latest = Latest::default();
    let read = Reading::read(dir, home, watch, &mut |key, value| {
        latest.change(key, value);
    });
    let truth = match read {
        Ok(truth) => truth,
        Err(CopyError::Journal(fault)) => {
            verified.fault(
                fault.file().map(|name| format!("journal/{name}")),
                fault.to_string(),
            );
            return Ok(verified);
        }
        Err(other) => return Err(other),
    };
    verified.found(dir, &truth);
    let content = Content {
        latest,
        commit: truth.end().commit,
    };
    prove_records(order, content, &mut verified, watch)?;
    drop(lock);
    Ok(verified)
}

/// The lock of a directory that nobody serves, taken without writing; `None` where there is none.
///
/// # Errors
/// [`OpenError::Locked`] names the server.
pub(super) fn shared_lock(dir: &Path) -> Result<Option<File>, CopyError> {
    let path = dir.join("LOCK");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CopyError::io(&path)(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(&path).unwrap_or_default();
            Err(OpenError::Locked {
                data_dir: dir.to_owned(),
                pid: pid.trim().to_owned(),
            }
            .into())
        }
        // A file system without locks has no server of ours either.
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// What `dir` says of itself.
fn looked_at(dir: &Path) -> Result<Verified, CopyError> {
    let format = super::format::Format::read(dir);
    let format = format.map_err(|error| CopyError::format(dir, error))?;
    let format = format.ok_or_else(|| CopyError::NoStore(dir.to_owned()))?;
    let files = truth_files(dir).map_err(CopyError::io(dir))?;
    // A backup that was put to use is a store, whatever MANIFEST still lies there.
    let (kind, manifest) = match home_of(dir, &format) {
        Home::Ours => (DirKind::Store, None),
        Home::Copy => {
            let read = Manifest::read(dir).map_err(|error| CopyError::manifest(dir, error))?;
            let kind = if read.is_some() {
                DirKind::Backup
            } else {
                DirKind::Copy
            };
            (kind, read)
        }
    };
    Ok(Verified {
        kind,
        instance: instance_text(format.instance),
        commit: 0,
        commit_at: Timestamp::default(),
        bytes: size_of(dir, &files).map_err(CopyError::io(dir))?,
        manifest,
        left_out: vec![],
        counts: BTreeMap::new(),
        sums: Sums::default(),
        compared: false,
        wrong: vec![],
    })
}

fn check_manifest(
    dir: &Path,
    verified: &mut Verified,
    watch: Onlooker<'_>,
) -> Result<(), CopyError> {
    let Some(manifest) = &verified.manifest else {
        return Ok(());
    };
    if manifest.instance != verified.instance {
        let what = "MANIFEST 与 FORMAT 不是同一个存储的".to_owned();
        verified.fault(Some("MANIFEST".to_owned()), what);
    }
    if let Some(manifest) = &verified.manifest {
        for fault in differences(dir, manifest, watch)? {
            verified.fault(Some(fault.path().to_owned()), fault.to_string());
        }
    }
    Ok(())
}

impl Verified {
    /// Something is wrong with a file.
    fn fault(&mut self, file: Option<String>, what: String) {
        let remedy = match self.kind {
            DirKind::Store => RESTORE,
            DirKind::Copy | DirKind::Backup => TAKE_ANOTHER,
        };
        self.wrong.push(Wrong {
            file,
            key: None,
            what,
            remedy,
        });
    }

    /// Takes over what the journal came to, and compares it with what is said of it elsewhere.
    fn found(&mut self, dir: &Path, truth: &Reading) {
        let end = truth.end();
        self.commit = end.commit;
        self.commit_at = truth.at();
        self.left_out = truth.recovered.left_out.clone();
        let seal = Seal::read(dir).map(|seal| ("sled.seal", seal.end.commit));
        let mark = Mark::read(dir).map(|commit| ("journal.mark", commit));
        let manifest = self.manifest.as_ref().map(|it| ("MANIFEST", it.commit));
        let proofs = match self.kind {
            DirKind::Store => [seal, mark],
            DirKind::Backup => [manifest, None],
            DirKind::Copy => [None, None],
        };
        for (file, commit) in proofs.into_iter().flatten() {
            if commit > end.commit {
                let got = end.commit;
                let what = format!("{file} 说有第 {commit} 笔提交，账本只到第 {got} 笔");
                self.fault(Some(file.to_owned()), what);
            }
        }
    }

    fn record_faults(&mut self, audit: Audit) {
        self.counts = audit.counts;
        self.sums = audit.sums;
        self.wrong
            .extend(audit.faults.into_iter().map(|fault| Wrong {
                file: None,
                key: Some(fault.key),
                what: fault.what,
                remedy: REPORT,
            }));
    }
}

/// Builds a working set from the truth, checks each of its records, and compares it with the one
/// in the directory when that was closed cleanly.
fn prove_records(
    order: &VerifyOrder,
    content: Content,
    verified: &mut Verified,
    watch: Onlooker<'_>,
) -> Result<(), CopyError> {
    let failed = |why: String| CopyError::Open(OpenError::WorkingSet(why));
    let scratch = order.scratch.as_path();
    let progress = |progress| (watch.progress)(reached(progress));
    let keys = rebuild(scratch, CACHE_BYTES, content, &progress).map_err(failed)?;
    let built = open_set(scratch).map_err(failed)?;
    let of = keys as u64;
    let told = |done| {
        let doing = Doing::Audit;
        (watch.progress)(Reached { doing, done, of });
    };
    let audited = audit(&View::new(&built), &told);
    verified.record_faults(audited);
    if verified.kind == DirKind::Store && is_sealed(&order.dir, verified.commit) {
        let own = scratch.join("own");
        copy_sled(&order.dir, &own).map_err(CopyError::io(&own))?;
        let sealed = open_set(&own).map_err(failed)?;
        let told = |done| {
            let doing = Doing::Compare;
            (watch.progress)(Reached { doing, done, of });
        };
        let differing = compare(&built, &sealed, &told).map_err(|e| failed(e.to_string()))?;
        verified.compared = true;
        verified
            .wrong
            .extend(differing.into_iter().map(|(key, what)| Wrong {
                file: Some("sled/".to_owned()),
                key: Some(key),
                what: what.to_owned(),
                remedy: COMPACT,
            }));
        sealed.close().map_err(failed)?;
    }
    built.close().map_err(failed)
}

fn open_set(dir: &Path) -> Result<SledSet, String> {
    let health = Arc::new(Health::new(dir.to_owned()));
    SledSet::open(&dir.join("sled"), CACHE_BYTES, health)
}

/// Whether a start would open the working set in `dir` as it is.
fn is_sealed(dir: &Path, commit: u64) -> bool {
    let seal = Seal::read(dir).filter(|seal| seal.fits(&dir.join("sled")));
    let marked = dir.join(super::health::REBUILD).exists();
    seal.is_some_and(|seal| seal.end.commit == commit) && !marked
}

/// Copies `dir/sled` to `to/sled`: opening it where it lies would write there.
fn copy_sled(dir: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (dir.join("sled"), to.join("sled"));
    super::disk::private_dir(&to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            super::disk::private_dir(&target)?;
            for inner in fs::read_dir(entry.path())? {
                let inner = inner?;
                fs::copy(inner.path(), target.join(inner.file_name()))?;
            }
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
