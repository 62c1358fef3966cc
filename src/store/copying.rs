//! Copying files of the truth, and reading them back: the common ground of backup, restore, verify.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::disk::create_private;
use super::format::BadFormat;
use super::manifest::{BadManifest, Listed, Manifest, NAME};
use super::open_error::OpenError;
use super::recover::JournalFault;
use super::segment::SegmentName;
use crate::base::hash::Sha256;

/// How much is read at a time, bytes.
const CHUNK: usize = 256 << 10;

/// What a long piece of work on files is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Copying; counted in bytes.
    Copy,
    /// Reading files back and comparing their sums; counted in bytes.
    Sums,
    /// Reading the journal; counted in segments.
    Journal,
    /// Building a working set; counted in keys.
    Load,
    /// Checking record after record; counted in keys.
    Audit,
    /// Comparing two working sets key by key; counted in keys.
    Compare,
}

/// How far a long piece of work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// What it is doing.
    pub doing: Doing,
    /// How much of that is done.
    pub done: u64,
    /// How much there is, as far as is known.
    pub of: u64,
}

/// Who looks on while files are copied, and may end it.
#[derive(Clone, Copy)]
pub struct Onlooker<'w> {
    /// Told how far it has come.
    pub progress: &'w dyn Fn(Reached),
    /// Once true, the work ends with [`CopyError::Stopped`].
    pub stop: &'w AtomicBool,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The target holds something already.
    #[error("{0} 已存在且不是空目录，不会覆盖：请换一个目录，或先自行移走里面的文件")]
    NotEmpty(PathBuf),
    /// The directory that is to hold the target is not there.
    #[error("目录 {0} 不存在：请先建好它（若是外接盘或网络盘，请确认已挂载）")]
    NoPlace(PathBuf),
    /// A backup inside the data directory would be lost with it.
    #[error("{0} 在数据目录里：备份会跟数据一起丢，请放到数据目录之外，最好是另一块盘")]
    Inside(PathBuf),
    /// The target cannot be renamed into place.
    #[error("{0} 是挂载点，备份无法一次就位：请用它下面的一个新目录")]
    MountPoint(PathBuf),
    /// The disk said so.
    #[error("无法读写 {path}：{error}。{}", remedy(error))]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// There is no store in the directory.
    #[error("{0} 里没有 FORMAT，不是数据目录，也不是它的备份：请给出备份目录本身")]
    NoStore(PathBuf),
    /// The directory cannot be opened, for the reason that would keep a start from it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// MANIFEST is not whole.
    #[error("{0}/MANIFEST 已损坏：这份备份不可信，请换一份备份")]
    BadManifest(PathBuf),
    /// A newer program wrote MANIFEST.
    #[error("备份是更新版本的程序写的（MANIFEST 格式 {0}）：请用那个版本")]
    NewerManifest(u32),
    /// Files are not as MANIFEST lists them.
    #[error("备份与 MANIFEST 不符，请换一份备份：{}", list(.0))]
    Altered(Vec<FileFault>),
    /// The journal cannot be trusted.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// The copy ends before what it must hold.
    #[error(
        "账本只读到第 {got} 笔提交，应到第 {wanted} 笔：请再备份一次；若再次如此，请先停机检查磁盘"
    )]
    Behind {
        /// The commit that it must hold.
        wanted: u64,
        /// The last commit in it.
        got: u64,
    },
    /// Whoever looked on ended it.
    #[error("已中止，没有留下备份")]
    Stopped,
}

impl CopyError {
    /// Names the place of an IO error.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        |error| Self::Io { path, error }
    }

    pub(super) fn format(dir: &Path, error: BadFormat) -> Self {
        Self::Open(OpenError::format(dir, error))
    }

    pub(super) fn manifest(dir: &Path, error: BadManifest) -> Self {
        match error {
            BadManifest::Newer(version) => Self::NewerManifest(version),
            BadManifest::Damaged => Self::BadManifest(dir.to_owned()),
            BadManifest::Io(error) => Self::io(&dir.join(NAME))(error),
        }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "磁盘已满：请腾出空间或换一块盘，再来一次"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "没有权限：请让运行本程序的用户能读写那里（systemd 单元里加 ReadWritePaths=）"
        }
        _ => "请检查磁盘，再来一次",
    }
}

fn list(faults: &[FileFault]) -> String {
    let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
    told.join("；")
}

/// A file that is not as MANIFEST lists it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// It is not there.
    #[error("缺少 {0}")]
    Missing(String),
    /// It is shorter or longer.
    #[error("{path} 应有 {wanted} 字节，实有 {got} 字节")]
    Size {
        /// The file.
        path: String,
        /// Its size when it was written.
        wanted: u64,
        /// Its size now.
        got: u64,
    },
    /// Its content is another.
    #[error("{0} 的内容变了（SHA-256 不符）")]
    Sum(String),
    /// The list does not know it.
    #[error("多出 {0}")]
    Unlisted(String),
}

impl FileFault {
    /// The file it is about.
    pub fn path(&self) -> &str {
        match self {
            Self::Missing(path) | Self::Sum(path) | Self::Unlisted(path) => path,
            Self::Size { path, .. } => path,
        }
    }
}

/// Bytes counted while they go by.
pub(super) struct Counted<'w> {
    watch: Onlooker<'w>,
    doing: Doing,
    done: u64,
    of: u64,
}

impl<'w> Counted<'w> {
    pub(super) fn new(watch: Onlooker<'w>, doing: Doing, of: u64) -> Self {
        let done = 0;
        Self {
            watch,
            doing,
            done,
            of,
        }
    }

    fn add(&mut self, bytes: usize) -> Result<(), CopyError> {
        self.done += bytes as u64;
        (self.watch.progress)(Reached {
            doing: self.doing,
            done: self.done,
            of: self.of.max(self.done),
        });
        match self.watch.stop.load(Ordering::Relaxed) {
            true => Err(CopyError::Stopped),
            false => Ok(()),
        }
    }
}

/// Copies `from/path` to `to/path`, durably but for its name, and tells what was copied.
pub(super) fn copy(
    (from, to): (&Path, &Path),
    path: &str,
    counted: &mut Counted<'_>,
) -> Result<Listed, CopyError> {
    let (source, target) = (from.join(path), to.join(path));
    let mut input = File::open(&source).map_err(CopyError::io(&source))?;
    let mut output = create_private(&target).map_err(CopyError::io(&target))?;
    let (mut sum, mut bytes) = (Sha256::default(), 0);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = input.read(&mut chunk).map_err(CopyError::io(&source))?;
        if read == 0 {
            break;
        }
        let part = &chunk[..read];
        sum.update(part);
        output.write_all(part).map_err(CopyError::io(&target))?;
        bytes += read as u64;
        counted.add(read)?;
    }
    output.sync_all().map_err(CopyError::io(&target))?;
    forget_cached(&output);
    Ok(Listed {
        path: path.to_owned(),
        bytes,
        sum: sum.hex(),
    })
}

/// Asks the system to drop the file's pages, so that reading it back reads the disk.
fn forget_cached(file: &File) {
    // Where that is not possible the check is weaker, not wrong.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

/// What of `manifest` does not hold in `dir`.
pub(super) fn differences(
    dir: &Path,
    manifest: &Manifest,
    watch: Onlooker<'_>,
) -> Result<Vec<FileFault>, CopyError> {
    let mut counted = Counted::new(watch, Doing::Sums, manifest.bytes());
    let mut faults = vec![];
    for file in &manifest.files {
        faults.extend(difference(dir, file, &mut counted)?);
    }
    for path in truth_files(dir).map_err(CopyError::io(dir))? {
        if manifest.files.iter().all(|file| file.path != path) {
            faults.push(FileFault::Unlisted(path));
        }
    }
    Ok(faults)
}

fn difference(
    dir: &Path,
    file: &Listed,
    counted: &mut Counted<'_>,
) -> Result<Option<FileFault>, CopyError> {
    let path = dir.join(&file.path);
    let mut input = match File::open(&path) {
        Ok(input) => input,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(FileFault::Missing(file.path.clone())));
        }
        Err(error) => return Err(CopyError::io(&path)(error)),
    };
    let got = input.metadata().map_err(CopyError::io(&path))?.len();
    if got != file.bytes {
        return Ok(Some(FileFault::Size {
            path: file.path.clone(),
            wanted: file.bytes,
            got,
        }));
    }
    let (mut sum, mut chunk) = (Sha256::default(), vec![0; CHUNK]);
    loop {
        let read = input.read(&mut chunk).map_err(CopyError::io(&path))?;
        if read == 0 {
            break;
        }
        sum.update(&chunk[..read]);
        counted.add(read)?;
    }
    Ok((sum.hex() != file.sum).then(|| FileFault::Sum(file.path.clone())))
}

/// The journal segments and base files in `dir`, by name; what else lies there is no truth.
pub(super) fn truth_files(dir: &Path) -> io::Result<Vec<String>> {
    let mut found = vec![];
    for (folder, is_ours) in [
        ("base", is_base as fn(&str) -> bool),
        ("journal", is_segment),
    ] {
        let entries = match fs::read_dir(dir.join(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if is_ours(&name) {
                found.push(format!("{folder}/{name}"));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_segment(name: &str) -> bool {
    SegmentName::parse(name).is_some()
}

fn is_base(name: &str) -> bool {
    name.ends_with(".zgb")
}

/// The size of these files of `dir` together, bytes.
pub(super) fn size_of(dir: &Path, files: &[String]) -> io::Result<u64> {
    let size = |path: &String| fs::metadata(dir.join(path)).map(|meta| meta.len());
    files.iter().map(size).sum()
}

/// Whether `dir` holds nothing; `true` also when it is not there.
pub(super) fn is_vacant(dir: &Path) -> io::Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}
