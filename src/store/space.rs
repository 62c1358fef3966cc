//! The room on the disk of the data directory: watched, and told before it is gone.
//!
//! Below a limit new orders are refused; what is paid already goes on, for which the last bytes
//! and the reserve are kept.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::reserve;
use super::{OpenError, StoreError};

/// How much room is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpaceConfig {
    /// A file of so many bytes is given up when the disk is full; 0: none.
    pub reserve_bytes: u64,
    /// Below so many free bytes new orders are refused; on a small disk the limit is a twentieth
    /// of it instead. 0: never.
    pub min_free_bytes: u64,
}

/// The room on a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// What this program may still write, in bytes.
    pub free_bytes: u64,
    /// The whole disk, in bytes.
    pub total_bytes: u64,
    /// What the reserve holds beside that, in bytes.
    pub reserve_bytes: u64,
    /// Below so many free bytes new orders are refused.
    pub limit_bytes: u64,
}

impl Space {
    /// Whether there is too little for new orders.
    pub fn is_low(&self) -> bool {
        self.free_bytes < self.limit_bytes
    }
}

/// What was seen last, shared between the one who looks and those who ask.
#[derive(Debug)]
pub(super) struct Room {
    data_dir: PathBuf,
    config: SpaceConfig,
    free: AtomicU64,
    total: AtomicU64,
    held: AtomicU64,
    low: AtomicBool,
}

impl Room {
    /// The room of `data_dir`, as it is now.
    pub(super) fn new(data_dir: &Path, config: SpaceConfig) -> Self {
        let room = Self {
            data_dir: data_dir.to_owned(),
            config,
            free: AtomicU64::new(u64::MAX),
            total: AtomicU64::new(u64::MAX),
            held: AtomicU64::new(0),
            low: AtomicBool::new(false),
        };
        room.look();
        room
    }

    /// What was seen last.
    pub(super) fn space(&self) -> Space {
        let total_bytes = self.total.load(Ordering::Relaxed);
        Space {
            free_bytes: self.free.load(Ordering::Relaxed),
            total_bytes,
            reserve_bytes: self.held.load(Ordering::Relaxed),
            limit_bytes: limit(self.config, total_bytes),
        }
    }

    /// Whether there is room for more than what must be kept in any case.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.low.load(Ordering::Relaxed) {
            true => Err(StoreError::Full),
            false => Ok(()),
        }
    }

    /// Looks anew, says when the limit is crossed, and makes the reserve again when it can.
    fn look(&self) {
        let seen = match look(&self.data_dir) {
            Ok(seen) => seen,
            Err(error) => return tracing::warn!(%error, "无法查看磁盘剩余空间"),
        };
        self.free.store(seen.free_bytes, Ordering::Relaxed);
        self.total.store(seen.total_bytes, Ordering::Relaxed);
        self.hold(seen);
        self.held
            .store(reserve::held(&self.data_dir), Ordering::Relaxed);
        let space = self.space();
        let (free_mb, limit_mb) = (space.free_bytes >> 20, space.limit_bytes >> 20);
        match (
            self.low.swap(space.is_low(), Ordering::Relaxed),
            space.is_low(),
        ) {
            (false, true) => tracing::error!(
                free_mb,
                limit_mb,
                "磁盘剩余空间不足：暂停接受新订单，收款、退款、发货照常；请尽快清理磁盘"
            ),
            (true, false) => tracing::warn!(free_mb, "磁盘空间已恢复：重新接受新订单"),
            (true, true) | (false, false) => {}
        }
    }

    /// Makes the reserve when it is not as large as it should be, and there is plenty of room.
    fn hold(&self, seen: Space) {
        let (wanted, held) = (self.config.reserve_bytes, reserve::held(&self.data_dir));
        let plenty = wanted + 2 * limit(self.config, seen.total_bytes);
        let changes = if held < wanted {
            seen.free_bytes > plenty
        } else {
            wanted == 0 && held > 0
        };
        if !changes {
            return;
        }
        match reserve::make(&self.data_dir, wanted) {
            Ok(()) => tracing::info!(bytes = wanted, "预留空间已备好"),
            Err(error) => tracing::warn!(%error, "无法备好预留空间，稍后再试"),
        }
    }
}

/// Looks at the room until the store is gone.
pub(super) fn watch(room: &Weak<Room>) {
    const LOOK_EVERY: Duration = Duration::from_secs(2);
    while let Some(watched) = room.upgrade() {
        watched.look();
        drop(watched);
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Starts [`watch`].
pub(super) fn start_watching(room: &Arc<Room>) -> io::Result<()> {
    let weak = Arc::downgrade(room);
    let watching = std::thread::Builder::new().name("store-space".to_owned());
    watching.spawn(move || watch(&weak)).map(drop)
}

/// The room on the disk of `dir` now.
///
/// # Errors
/// What the system said.
pub(super) fn look(dir: &Path) -> io::Result<Space> {
    let disk = rustix::fs::statvfs(dir)?;
    Ok(Space {
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
        ..Space::default()
    })
}

/// Makes room for a start on a full disk: the reserve is given up when there is less free than
/// half of what it should hold.
pub(super) fn make_room(data_dir: &Path, config: SpaceConfig) -> Result<(), OpenError> {
    let space = look(data_dir).map_err(OpenError::io(data_dir))?;
    if space.free_bytes < config.reserve_bytes / 2 {
        let released = reserve::release(data_dir).map_err(OpenError::io(data_dir))?;
        if released > 0 {
            let (bytes, free) = (released, space.free_bytes);
            tracing::error!(
                bytes,
                free,
                "磁盘几乎已满：启动时先释放预留空间；请尽快清理磁盘"
            );
        }
    }
    Ok(())
}

/// Drops the old working set when the disk has no room for a new one beside it.
pub(super) fn make_room_for_rebuild(data_dir: &Path) -> io::Result<()> {
    let old = data_dir.join("sled");
    let needed = size(&old)?.saturating_mul(2);
    if look(data_dir)?.free_bytes < needed && old.exists() {
        tracing::warn!("磁盘空间不够新旧两份工作集：先移除旧的，再从账本重建");
        std::fs::remove_dir_all(&old)?;
    }
    Ok(())
}

fn size(dir: &Path) -> io::Result<u64> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut bytes = 0;
    for entry in entries {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// The limit on a disk of `total_bytes`.
fn limit(config: SpaceConfig, total_bytes: u64) -> u64 {
    config.min_free_bytes.min(total_bytes / 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_small_disk_has_a_small_limit() {
        let config = SpaceConfig {
            reserve_bytes: 0,
            min_free_bytes: GIB,
        };
        assert_eq!(limit(config, 100 * GIB), GIB);
        assert_eq!(limit(config, 10 * GIB), GIB / 2);
        assert_eq!(limit(SpaceConfig::default(), 100 * GIB), 0);
    }

    #[test]
    fn the_room_is_seen_and_the_reserve_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let config = SpaceConfig {
            reserve_bytes: 1 << 20,
            min_free_bytes: 1,
        };
        let room = Room::new(dir.path(), config);
        let space = room.space();
        assert!(
            space.free_bytes > 0 && space.free_bytes <= space.total_bytes,
            "{space:?}"
        );
        assert!(space.reserve_bytes >= 1 << 20, "{space:?}");
        assert_eq!(room.check(), Ok(()));
        let none = Room::new(dir.path(), SpaceConfig::default());
        assert_eq!(none.space().reserve_bytes, 0, "it is not wanted any more");
    }

    #[test]
    fn too_little_room_refuses_what_is_new() {
        let space = Space {
            free_bytes: 9,
            limit_bytes: 10,
            ..Space::default()
        };
        assert!(space.is_low());
        assert!(
            !Space {
                free_bytes: 10,
                ..space
            }
            .is_low()
        );
    }
}
