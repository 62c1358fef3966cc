//! Scheduled backups: when one is due, what it is called, which are too many.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Shop;
use super::backups::{BackupSettings, BackupTarget, kept};
use crate::base::Timestamp;
use crate::store::{self, CopyError};

/// How often is looked whether a backup is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long a failed one is left alone.
const RETRY: Duration = Duration::from_secs(600);
/// How far the clock may have been ahead when a backup was made.
const AHEAD: Duration = Duration::from_secs(3600);

/// Makes backups by the hour for as long as it is let; ends at once when none are scheduled.
pub(super) async fn keep(shop: Arc<Shop>) {
    let settings = shop.settings.backup.clone();
    let Some(dir) = settings.dir.clone() else {
        return;
    };
    loop {
        let mut pause = LOOK_EVERY;
        if is_due(&settings, dir.clone(), shop.clock.now()).await
            && let Err(why) = shop.back_up(BackupTarget::Scheduled).await
        {
            let dir = dir.display();
            tracing::error!(alarm = true, %dir, why, "定时备份没有做成，十分钟后再试");
            pause = RETRY;
        }
        shop.clock.sleep(pause).await;
    }
}

/// Whether a backup is due at `now`, by what lies in `dir`.
async fn is_due(settings: &BackupSettings, dir: PathBuf, now: Timestamp) -> bool {
    // A directory that cannot be read lets the backup fail, which is told and counted.
    let Ok(kept) = kept(dir, settings.data_dir.clone()).await else {
        return true;
    };
    let believed = kept.iter().map(|kept| kept.manifest.at);
    // One of tomorrow was made by a clock that was wrong: it holds nothing up.
    let last = believed.filter(|at| *at <= now.plus(AHEAD)).max();
    last.is_none_or(|last| now.since(last) >= settings.every)
}

/// What the names of scheduled backups begin with.
const PREFIX: &str = "zhanggui-";

/// `zhanggui-YYYYMMDD-HHMMSS` of `now`, or of the next second that is free.
pub(super) fn free_name(dir: &Path, now: Timestamp) -> PathBuf {
    let mut at = now;
    loop {
        let (day, time) = at.compact().split_at_checked(8).map_or_else(
            || (at.compact(), String::new()),
            |(day, time)| (day.to_owned(), time.to_owned()),
        );
        let path = dir.join(format!("{PREFIX}{day}-{time}"));
        if !path.exists() {
            return path;
        }
        at = at.plus(Duration::from_secs(1));
    }
}

/// Whether a scheduled backup has this name: others are not ours to remove.
fn is_scheduled(name: &str) -> bool {
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let parts = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(day, time)| digits(day, 8) && digits(time, 6))
}

/// Removes the oldest scheduled backups beyond those that are kept.
pub(super) fn prune(settings: &BackupSettings, dir: &Path) -> Result<(), CopyError> {
    let mut kept = store::kept(dir, &settings.data_dir)?;
    kept.retain(|kept| is_scheduled(&kept.name));
    let surplus = kept.len().saturating_sub(settings.keep);
    for old in kept.drain(..surplus) {
        store::remove_kept(dir, &old.name)?;
        tracing::info!(name = old.name, "旧备份已按 [backup] keep 删除");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::backups::name_of;
    use super::*;

    #[test]
    fn only_names_that_a_schedule_gives_are_removed_by_it() {
        let now = Timestamp::from_unix(1_767_196_800);
        let dir = tempfile::tempdir().unwrap();
        let name = |path: PathBuf| name_of(&path);
        assert_eq!(name(free_name(dir.path(), now)), "zhanggui-20260101-000000");
        std::fs::create_dir(dir.path().join("zhanggui-20260101-000000")).unwrap();
        let next = name(free_name(dir.path(), now));
        assert_eq!(next, "zhanggui-20260101-000001");
        assert!(is_scheduled(&next));
        for other in [
            "zhanggui-",
            "zhanggui-2026-1",
            "before-upgrade",
            "zhanggui-20260101-00000x",
        ] {
            assert!(!is_scheduled(other), "{other}");
        }
    }
}
