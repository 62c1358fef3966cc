//! Opening a store: lock, prove the directory, read the journal, trust or rebuild the working set.
//!
//! Nothing of the truth is deleted here, ever; segments behind the end of a copy are moved aside.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::bases;
use super::bureau::BasePlan;
use super::disk::{Disk, RealDisk, private_dir};
use super::floor;
use super::format::{self, Format, Mark, Place};
use super::frame::Chain;
use super::health::{self, Health, REBUILD};
use super::journal::{Journal, Setup};
use super::migrate::{Upgraded, migrate};
use super::open_error::OpenError;
use super::phase::{Phase, PhaseFile};
use super::rebuild::{Content, Progress, rebuild};
use super::recover::Recovered;
use super::report::{Found, OpenReport, WorkingSet};
use super::seal::Seal;
use super::space::{self, SpaceConfig};
use super::truth::Truth;
use super::working_set::SledSet;
use crate::base::cipher::FieldKey;
use crate::base::{Clock, secret};

/// Where a store lives and how it is kept.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The data directory; made when it is not there.
    pub data_dir: PathBuf,
    /// Memory for the working set's cache, in bytes.
    pub cache_bytes: u64,
    /// A journal segment of this many bytes is full.
    pub segment_bytes: u64,
    /// When base files are made.
    pub bases: BasePlan,
    /// The key that fields are sealed with; a store knows its own again.
    pub field_key: FieldKey,
    /// For the time in each frame.
    pub clock: Clock,
    /// A file whose first byte says what the writer is doing ([`Phase::byte`]), for crash tests.
    pub phase_file: Option<PathBuf>,
    /// How much room is kept on the disk.
    pub space: SpaceConfig,
    /// How long the writer may take for one step.
    pub stuck_after: Duration,
}

/// An open store before its writer runs.
pub(super) struct Opened {
    pub(super) lock: File,
    pub(super) journal: Journal,
    pub(super) set: SledSet,
    pub(super) health: Arc<Health>,
    pub(super) mark: Mark,
    pub(super) phase: PhaseFile,
    pub(super) instance: [u8; 16],
    pub(super) report: OpenReport,
}

/// One opening, step by step.
pub(super) struct Opening<'o> {
    pub(super) config: &'o StoreConfig,
    pub(super) progress: &'o dyn Fn(Progress),
    pub(super) journal_dir: PathBuf,
    pub(super) base_dir: PathBuf,
    pub(super) sled_dir: PathBuf,
    pub(super) found: Found,
    pub(super) format: Option<Format>,
}

/// Opens the store of `config`.
///
/// # Errors
/// [`OpenError`].
pub(super) fn open(config: &StoreConfig, progress: &dyn Fn(Progress)) -> Result<Opened, OpenError> {
    let data_dir = &config.data_dir;
    let at = |path: &Path| OpenError::io(path);
    let phase_path = config.phase_file.as_deref();
    let phase = PhaseFile::open(phase_path).map_err(at(phase_path.unwrap_or(data_dir)))?;
    phase.enter(Phase::Open);
    format::make_data_dir(data_dir).map_err(at(data_dir))?;
    let lock = format::lock(data_dir).map_err(|error| OpenError::lock(data_dir, error))?;
    space::make_room(data_dir, config.space)?;
    let opening = Opening::look(config, progress)?;
    let (recovered, truth) = opening.read_journal()?;
    let upgraded = opening.upgrade()?;
    let left_out = opening.leave_out(&recovered).map_err(at(data_dir))?;
    let instance = recovered.instance.unwrap_or_else(secret::random);
    let journal = opening.begin(&recovered, instance)?;
    let commit = recovered.end.commit;
    Seal::remove(data_dir).map_err(at(data_dir))?;
    let mark = Mark::create(data_dir, commit).map_err(at(data_dir))?;
    opening.settle(instance).map_err(at(data_dir))?;
    let health = Arc::new(Health::new(data_dir.clone()));
    let (set, working_set) = match truth {
        None => opening.open_trusted(commit, &health)?,
        Some(truth) => {
            phase.enter(Phase::Rebuild);
            opening.open_rebuilt(Content { truth, commit }, &health)?
        }
    };
    if opening.may_be_older(working_set) {
        floor::raise(&set, config.clock.now_ms()).map_err(|why| Opening::failed(&health, why))?;
    }
    let report = OpenReport {
        left_out,
        working_set,
        upgraded,
        ..opening.report(&recovered)
    };
    Ok(Opened {
        lock,
        journal,
        set,
        health,
        mark,
        phase,
        instance,
        report,
    })
}

/// What a directory holds, seen without touching it.
pub(super) struct Looked {
    pub(super) truth: Truth,
    pub(super) report: OpenReport,
}

/// Reads the store of `config`, whose FORMAT is there, and writes nothing but into `scratch`.
///
/// # Errors
/// [`OpenError`].
pub(super) fn look_only(
    config: &StoreConfig,
    scratch: &Path,
    progress: &dyn Fn(Progress),
) -> Result<Looked, OpenError> {
    let opening = Opening::look(config, progress)?;
    let (recovered, truth) = opening.gather(scratch)?;
    let report = opening.report(&recovered);
    Ok(Looked { truth, report })
}

impl<'o> Opening<'o> {
    /// Finds out whose directory this is.
    fn look(config: &'o StoreConfig, progress: &'o dyn Fn(Progress)) -> Result<Self, OpenError> {
        let data_dir = &config.data_dir;
        let journal_dir = data_dir.join("journal");
        let format = Format::read(data_dir).map_err(|error| OpenError::format(data_dir, error))?;
        let found = match &format {
            None => Found::Nothing,
            Some(format) => {
                if format.key_check != format::key_check(&config.field_key) {
                    return Err(OpenError::WrongFieldKey);
                }
                match Place::of(&journal_dir) {
                    Ok(place) if place == format.place => Found::Store,
                    Ok(_) => Found::Copy,
                    Err(_) => return Err(OpenError::NoJournal(data_dir.clone())),
                }
            }
        };
        let sled_dir = data_dir.join("sled");
        if found == Found::Nothing {
            if sled_dir.exists() || has_files(&bases::dir(data_dir)) {
                return Err(OpenError::NoFormat(data_dir.clone()));
            }
            private_dir(&journal_dir).map_err(OpenError::io(&journal_dir))?;
            RealDisk
                .sync_dir(data_dir)
                .map_err(OpenError::io(data_dir))?;
        }
        Ok(Self {
            config,
            progress,
            journal_dir,
            base_dir: bases::dir(data_dir),
            sled_dir,
            found,
            format,
        })
    }

    /// The seal of the working set, when its files are those that were sealed.
    pub(super) fn fitting_seal(&self) -> Option<Seal> {
        if self.config.data_dir.join(REBUILD).exists() {
            return None;
        }
        Seal::read(&self.config.data_dir).filter(|seal| seal.fits(&self.sled_dir))
    }

    fn report(&self, recovered: &Recovered) -> OpenReport {
        OpenReport {
            found: self.found,
            commit: recovered.end.commit,
            base: recovered.base.map(|base| base.end.commit),
            segments: recovered.segments.len(),
            torn_bytes: recovered.torn_bytes,
            left_out: recovered.left_out.iter().map(PathBuf::from).collect(),
            working_set: WorkingSet::Opened,
            upgraded: None,
        }
    }

    fn upgrade(&self) -> Result<Option<Upgraded>, OpenError> {
        let now = self.config.clock.now();
        let format = self.format.as_ref();
        let done = format.map(|format| migrate(&self.config.data_dir, format, now));
        Ok(done.transpose()?.flatten())
    }

    /// Moves segments behind the end of a copy to `left-out/<time>/`, durably.
    fn leave_out(&self, recovered: &Recovered) -> std::io::Result<Vec<PathBuf>> {
        if recovered.left_out.is_empty() && recovered.left_out_bases.is_empty() {
            return Ok(vec![]);
        }
        let data_dir = &self.config.data_dir;
        let aside = data_dir.join("left-out");
        let dir = aside.join(self.config.clock.now_ms().to_string());
        private_dir(&dir)?;
        let mut moved = vec![];
        let segments = recovered
            .left_out
            .iter()
            .map(|name| (&self.journal_dir, name));
        let bases = recovered.left_out_bases.iter();
        for (from, name) in segments.chain(bases.map(|name| (&self.base_dir, name))) {
            let to = dir.join(name);
            fs::rename(from.join(name), &to)?;
            moved.push(to);
        }
        let dirs = [&dir, &aside, data_dir, &self.journal_dir, &self.base_dir];
        for dir in dirs {
            RealDisk.sync_dir(dir)?;
        }
        tracing::warn!(
            commit = recovered.end.commit,
            files = ?moved,
            "这是一份不完整的副本：账本只到这一笔提交，之后的账本文件已移到 left-out/"
        );
        Ok(moved)
    }

    fn begin(&self, recovered: &Recovered, instance: [u8; 16]) -> Result<Journal, OpenError> {
        let setup = Setup {
            disk: Arc::new(RealDisk),
            dir: self.journal_dir.clone(),
            chain: Chain::Checked,
            instance,
            segment_bytes: self.config.segment_bytes,
        };
        Journal::begin(setup, &recovered.start()).map_err(OpenError::io(&self.journal_dir))
    }

    fn open_trusted(
        &self,
        commit: u64,
        health: &Arc<Health>,
    ) -> Result<(SledSet, WorkingSet), OpenError> {
        let set = self.open_set(health)?;
        match set.commit() {
            Ok(at) if at == commit => Ok((set, WorkingSet::Opened)),
            Ok(at) => Err(Self::failed(
                health,
                format!("commit {at}, sealed at {commit}"),
            )),
            Err(why) => Err(Self::failed(health, why)),
        }
    }

    fn open_rebuilt(
        &self,
        content: Content,
        health: &Arc<Health>,
    ) -> Result<(SledSet, WorkingSet), OpenError> {
        let config = self.config;
        let commit = content.commit;
        space::make_room_for_rebuild(&config.data_dir).map_err(OpenError::io(&config.data_dir))?;
        let keys = rebuild(&config.data_dir, config.cache_bytes, content, self.progress)
            .map_err(|why| Self::failed(health, why))?;
        let set = self.open_set(health)?;
        set.apply(std::iter::empty(), Some(commit))
            .map_err(|why| Self::failed(health, why))?;
        health::unmark(&config.data_dir).map_err(|why| Self::failed(health, why))?;
        Ok((set, WorkingSet::Rebuilt { keys }))
    }

    /// Whether what was opened may lack what was served from here before.
    fn may_be_older(&self, working_set: WorkingSet) -> bool {
        match (self.found, working_set) {
            (Found::Nothing, _) | (Found::Store, WorkingSet::Opened) => false,
            (Found::Copy, _) | (Found::Store, WorkingSet::Rebuilt { .. }) => true,
        }
    }

    fn open_set(&self, health: &Arc<Health>) -> Result<SledSet, OpenError> {
        SledSet::open(&self.sled_dir, self.config.cache_bytes, Arc::clone(health))
            .map_err(|why| Self::failed(health, why))
    }

    fn failed(health: &Health, why: String) -> OpenError {
        health.fail(&why);
        OpenError::WorkingSet(why)
    }

    /// From here on this directory is the store's home: what is missing in it is missed.
    fn settle(&self, instance: [u8; 16]) -> std::io::Result<()> {
        if self.found == Found::Store {
            return Ok(());
        }
        let format = Format {
            version: format::VERSION,
            instance,
            place: Place::of(&self.journal_dir)?,
            key_check: format::key_check(&self.config.field_key),
        };
        format.write(&self.config.data_dir)
    }
}

fn has_files(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}
