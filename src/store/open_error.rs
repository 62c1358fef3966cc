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
    #[error("无法读写 {path}：{error}")]
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
    /// The working set did not open, or could not be built.
    #[error("工作集（sled）打不开：{0}。账本完好；再启动一次，会从账本重建工作集")]
    WorkingSet(String),
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
