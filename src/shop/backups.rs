//! Backups: on the merchant's word, and by the hour. One at a time; serving goes on meanwhile.
//!
//! What there is is what lies in the directory: a restart needs no memory of it. Only failures,
//! which leave nothing behind, are remembered here, until the next restart.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::backup_schedule::{free_name, prune};
use super::{Shop, ShopError};
use crate::base::Timestamp;
use crate::store::{self, BackupOrder, CopyError, Doing, Kept, Manifest, Onlooker, Reached};

/// How many outcomes are remembered.
const REMEMBERED: usize = 20;

/// `[backup]`, and what is backed up.
#[derive(Clone, Debug)]
pub struct BackupSettings {
    /// Where scheduled backups go; `None`: there are none.
    pub dir: Option<PathBuf>,
    /// What lies between two of them.
    pub every: Duration,
    /// How many are kept.
    pub keep: usize,
    /// The data directory.
    pub data_dir: PathBuf,
}

/// Where a backup goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupTarget {
    /// Into the configured directory, under a name by the time.
    Scheduled,
    /// To this path.
    Path(PathBuf),
}

/// How a backup stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupStatus {
    /// It is being written.
    Running,
    /// It is whole.
    Done,
    /// There is none.
    Failed,
}

/// A backup, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupRow {
    /// Its name.
    pub id: String,
    /// How it stands.
    pub status: BackupStatus,
    /// Its size, so far.
    pub bytes: u64,
    /// The last commit in it, once it is whole.
    pub commit: Option<u64>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// Why there is none.
    pub error: Option<String>,
}

/// What watches over backups: for the metrics and the alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupState {
    /// Whether backups are scheduled.
    pub scheduled: bool,
    /// When the newest whole one was begun.
    pub last_success_at: Option<Timestamp>,
    /// The newest failure since this start, when no success followed it.
    pub last_failure: Option<(Timestamp, String)>,
    /// How many failed since this start.
    pub failures: u64,
}

/// How far a backup has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupProgress {
    /// It runs.
    Running(Reached),
    /// It is whole.
    Done(Manifest),
    /// There is none, and why.
    Failed(String),
}

/// What is remembered of backups between calls.
#[derive(Default)]
pub(super) struct Backups {
    memory: Mutex<Memory>,
    stop: AtomicBool,
}

#[derive(Default)]
struct Memory {
    running: Option<(BackupRow, Reached)>,
    ended: VecDeque<(BackupRow, Option<Manifest>)>,
    last_success_at: Option<Timestamp>,
    last_failure: Option<(Timestamp, String)>,
    failures: u64,
}

impl Backups {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the one that runs: the server stops.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Takes the one place there is.
    fn begin(&self, id: &str, now: Timestamp) -> Result<(), ShopError> {
        let mut memory = self.memory();
        if memory.running.is_some() {
            return Err(ShopError::BackupRunning);
        }
        let row = BackupRow {
            id: id.to_owned(),
            status: BackupStatus::Running,
            bytes: 0,
            commit: None,
            created_at: now,
            error: None,
        };
        let doing = Doing::Copy;
        let reached = Reached {
            doing,
            done: 0,
            of: 0,
        };
        memory.running = Some((row, reached));
        Ok(())
    }

    fn reached(&self, reached: Reached) {
        if let Some((row, last)) = &mut self.memory().running {
            if reached.doing == Doing::Copy {
                row.bytes = reached.done;
            }
            *last = reached;
        }
    }

    /// Notes how the one that ran has ended.
    fn end(&self, done: &Result<Manifest, CopyError>) {
        let mut memory = self.memory();
        let Some((row, _)) = memory.running.take() else {
            return;
        };
        let ended = match done {
            Ok(manifest) => {
                memory.last_success_at = Some(row.created_at);
                memory.last_failure = None;
                BackupRow {
                    status: BackupStatus::Done,
                    bytes: manifest.bytes(),
                    commit: Some(manifest.commit),
                    ..row
                }
            }
            Err(error) => {
                let why = error.to_string();
                memory.failures = memory.failures.saturating_add(1);
                memory.last_failure = Some((row.created_at, why.clone()));
                BackupRow {
                    status: BackupStatus::Failed,
                    error: Some(why),
                    ..row
                }
            }
        };
        if memory.ended.len() == REMEMBERED {
            memory.ended.pop_front();
        }
        memory.ended.push_back((ended, done.as_ref().ok().cloned()));
    }
}

impl Shop {
    /// Makes a backup and waits for its end.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn back_up(self: &Arc<Self>, target: BackupTarget) -> Result<Manifest, String> {
        let (dest, now) = self
            .begin_backup(target)
            .await
            .map_err(|error| error.to_string())?;
        self.carry_out_backup(dest, now)
            .await
            .map_err(|error| error.to_string())
    }

    /// Begins a backup, which goes on by itself; its name.
    ///
    /// # Errors
    /// [`ShopError::BackupRunning`]; [`ShopError::BackupNotConfigured`]; store errors.
    pub async fn start_backup(self: &Arc<Self>, target: BackupTarget) -> Result<String, ShopError> {
        let (dest, now) = self.begin_backup(target).await?;
        let id = name_of(&dest);
        let shop = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = shop.carry_out_backup(dest.clone(), now).await {
                tracing::error!(alarm = true, dest = %dest.display(), %error, "备份没有做成");
            }
        });
        Ok(id)
    }

    async fn begin_backup(&self, target: BackupTarget) -> Result<(PathBuf, Timestamp), ShopError> {
        let now = self.clock.now();
        let dest = match target {
            BackupTarget::Path(dest) => dest,
            BackupTarget::Scheduled => {
                let dir = self.settings.backup.dir.clone();
                free_name(&dir.ok_or(ShopError::BackupNotConfigured)?, now)
            }
        };
        self.backups.begin(&name_of(&dest), now)?;
        Ok((dest, now))
    }

    async fn carry_out_backup(
        self: &Arc<Self>,
        dest: PathBuf,
        now: Timestamp,
    ) -> Result<Manifest, CopyError> {
        let reach = self.store.commit().await.unwrap_or(0);
        let shop = Arc::clone(self);
        let written = crate::base::blocking::blocking(move || {
            let order = BackupOrder {
                data_dir: shop.settings.backup.data_dir.clone(),
                dest,
                now,
                reach,
            };
            let done = shop.write_backup(&order);
            shop.backups.end(&done);
            done
        });
        written.await
    }

    fn write_backup(&self, order: &BackupOrder) -> Result<Manifest, CopyError> {
        let settings = &self.settings.backup;
        let dir = settings.dir.as_deref();
        let scheduled = dir.filter(|dir| order.dest.parent() == Some(*dir));
        if let Some(dir) = scheduled.filter(|dir| dir.exists()) {
            store::sweep_partials(dir, &settings.data_dir)?;
        }
        let watch = Onlooker {
            progress: &|reached| self.backups.reached(reached),
            stop: &self.backups.stop,
        };
        let manifest = self.store.back_up(order, watch)?;
        tracing::info!(
            dest = %order.dest.display(),
            commit = manifest.commit,
            bytes = manifest.bytes(),
            "备份已写好并核对"
        );
        if let Some(dir) = scheduled
            && let Err(error) = prune(settings, dir)
        {
            tracing::error!(%error, "旧备份没有清理成，下次再清");
        }
        Ok(manifest)
    }

    /// How far the backup of this name has come; `None` when nothing is known of it.
    pub fn backup_progress(&self, id: &str) -> Option<BackupProgress> {
        let memory = self.backups.memory();
        if let Some((row, reached)) = &memory.running
            && row.id == id
        {
            return Some(BackupProgress::Running(*reached));
        }
        let (row, manifest) = memory.ended.iter().rev().find(|(row, _)| row.id == id)?;
        Some(match manifest {
            Some(manifest) => BackupProgress::Done(manifest.clone()),
            None => BackupProgress::Failed(row.error.clone().unwrap_or_default()),
        })
    }

    /// All backups that are known of, newest first: those in the configured directory, the one
    /// that runs, and those that ended since this start.
    pub async fn backups(&self) -> Vec<BackupRow> {
        let settings = &self.settings.backup;
        let there = match settings.dir.clone() {
            // A directory that cannot be read has told so in the log when a backup was due.
            Some(dir) => kept(dir, settings.data_dir.clone())
                .await
                .unwrap_or_default(),
            None => vec![],
        };
        let mut rows: Vec<BackupRow> = there.into_iter().map(row).collect();
        let memory = self.backups.memory();
        let ended = memory.ended.iter().map(|(row, _)| row);
        let gone = |row: &&BackupRow| {
            // One that was whole and is not there any more was removed.
            row.status == BackupStatus::Failed && rows.iter().all(|known| known.id != row.id)
        };
        let mut more: Vec<BackupRow> = ended.filter(gone).cloned().collect();
        more.extend(memory.running.iter().map(|(row, _)| row.clone()));
        rows.extend(more);
        rows.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        rows
    }

    /// What watches over backups.
    pub async fn backup_state(&self) -> BackupState {
        let settings = &self.settings.backup;
        let there = match settings.dir.clone() {
            Some(dir) => kept(dir, settings.data_dir.clone())
                .await
                .unwrap_or_default(),
            None => vec![],
        };
        let newest = there.last().map(|kept| kept.manifest.at);
        let memory = self.backups.memory();
        BackupState {
            scheduled: settings.dir.is_some(),
            last_success_at: newest.max(memory.last_success_at),
            last_failure: memory.last_failure.clone(),
            failures: memory.failures,
        }
    }
}

/// The whole backups in `dir`, oldest first.
pub(super) async fn kept(dir: PathBuf, data_dir: PathBuf) -> Result<Vec<Kept>, CopyError> {
    crate::base::blocking::blocking(move || store::kept(&dir, &data_dir)).await
}

fn row(kept: Kept) -> BackupRow {
    BackupRow {
        status: BackupStatus::Done,
        bytes: kept.manifest.bytes(),
        commit: Some(kept.manifest.commit),
        created_at: kept.manifest.at,
        error: None,
        id: kept.name,
    }
}

/// The name of a backup by its path.
pub(super) fn name_of(dest: &Path) -> String {
    let name = dest.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
