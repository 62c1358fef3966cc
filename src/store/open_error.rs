//! Why a store does not open: each cause with what to do about it, for the operator.

use std::io;
use std::path::{Path, PathBuf};

use super::format::{BadFormat, LockError};
use super::recover::JournalFault;
use super::sorted::BadSorted;

/// Why a store does not open. Opening deletes nothing, so every cause can be looked into.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("数据目录 {data_dir} 正被进程 {pid} 使用：先停止它，或把命令交给正在运行的服务器")]
    Locked {
        /// The directory.
        data_dir: PathBuf,
        /// The process, as it wrote itself down.
        pid: String,
    },
    /// The disk said so.
    #[error("无法读写 {path}：{error}。{}", remedy(.error))]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The directory was filled by a newer program.
    #[error("数据目录是更新版本的程序写的（格式 {0}）：请用那个版本打开，旧版本不会改动它")]
    Newer(u32),
    /// FORMAT is not whole.
    #[error("{0}/FORMAT 已损坏：请从备份恢复（zhanggui restore），不要删除任何文件")]
    BadFormat(PathBuf),
    /// There is something in the directory, but no FORMAT.
    #[error(
        "{0} 里已有账本或工作集，却没有 FORMAT：不会在上面新建存储。\
         请找回 FORMAT 或从备份恢复（zhanggui restore）；若要新建，请用空目录"
    )]
    NoFormat(PathBuf),
    /// FORMAT is there, but no journal.
    #[error(
        "{0}/FORMAT 说明这里有过存储，但 journal/ 不见了：不会新建空的存储。\
         请找回 journal/ 或从备份恢复（zhanggui restore）"
    )]
    NoJournal(PathBuf),
    /// Phones and session keys in it were sealed with another key.
    #[error(
        "[store] field_key 与数据目录不符：手机号是用另一把密钥加密的。\
         请填回原来的 field_key（或 field_key_file）"
    )]
    WrongFieldKey,
    /// The journal cannot be trusted.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// A base file went bad while it was read.
    #[error("{0} 里的基线文件{1}：再启动一次会改用更早的；若反复如此，请检查磁盘")]
    Base(PathBuf, BadSorted),
    /// There is no store to be read.
    #[error("{0} 里没有数据（没有 FORMAT）：--read-only 只打开已有的数据目录或它的副本")]
    Nothing(PathBuf),
    /// The working set could not be built in a directory beside.
    #[error("无法在临时目录建立工作集：{0}。请检查临时目录的空间，或用 TMPDIR 换一个")]
    Scratch(String),
    /// The working set did not open, or could not be built.
    #[error("工作集（sled）打不开：{0}。账本完好；再启动一次，会从账本重建工作集")]
    WorkingSet(String),
}

/// What to do about an error of the disk.
fn remedy(error: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::PermissionDenied => {
            "没有权限：请用数据目录的属主运行，或用 chown -R 把整个目录交给运行本程序的用户"
        }
        Kind::ReadOnlyFilesystem => {
            "磁盘是只读的：请查明原因（dmesg）后重新挂载为可写；只想查看数据，用 serve --read-only"
        }
        Kind::StorageFull | Kind::QuotaExceeded => {
            "磁盘已满：请清理空间后再启动；不要删除数据目录里的文件"
        }
        Kind::NotFound | Kind::NotADirectory => "请检查 [store] data_dir 是否写对、磁盘是否已挂载",
        _ => "请检查磁盘（dmesg、smartctl）；数据没有改动，修好后再启动",
    }
}

impl OpenError {
    /// Names the place of an IO error.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        |error| Self::Io { path, error }
    }

    pub(super) fn lock(data_dir: &Path, error: LockError) -> Self {
        match error {
            LockError::Held(pid) => Self::Locked {
                data_dir: data_dir.to_owned(),
                pid,
            },
            LockError::Io(error) => Self::io(data_dir)(error),
        }
    }

    pub(super) fn format(data_dir: &Path, error: BadFormat) -> Self {
        match error {
            BadFormat::Newer(version) => Self::Newer(version),
            BadFormat::Damaged => Self::BadFormat(data_dir.to_owned()),
            BadFormat::Io(error) => Self::io(data_dir)(error),
        }
    }
}
