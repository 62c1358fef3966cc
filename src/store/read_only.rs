//! A store that is only looked at: its directory is not touched, and its working set is built in
//! another one.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::format::{self, Format};
use super::health::Health;
use super::metrics::StoreMetrics;
use super::open::{self, StoreConfig};
use super::open_error::OpenError;
use super::rebuild::{Content, Progress, rebuild};
use super::report::{OpenReport, WorkingSet};
use super::working_set::SledSet;

/// A store open for reading.
pub(super) struct Reading {
    pub(super) set: SledSet,
    pub(super) health: Arc<Health>,
    /// Nothing happens that would move them.
    pub(super) metrics: StoreMetrics,
    /// Keeps writers away.
    _lock: Option<File>,
}

/// Reads the store of `config` and builds its working set in `scratch`, an empty directory that
/// the caller removes. It holds what a start on the directory would come up with.
///
/// # Errors
/// [`OpenError`]; a directory without a store is not made one.
pub(super) fn open(
    config: &StoreConfig,
    scratch: &Path,
    progress: &dyn Fn(Progress),
) -> Result<(Reading, OpenReport), OpenError> {
    let data_dir = &config.data_dir;
    let lock = format::share(data_dir).map_err(|error| OpenError::lock(data_dir, error))?;
    if !Format::is_in(data_dir) {
        return Err(OpenError::Nothing(data_dir.clone()));
    }
    let looked = open::look_only(config, scratch, progress)?;
    let commit = looked.report.commit;
    let health = Arc::new(Health::new(scratch.to_owned()));
    let content = Content {
        truth: looked.truth,
        commit,
    };
    let keys = rebuild(scratch, config.cache_bytes, content, progress);
    let keys = keys.map_err(OpenError::Scratch)?;
    let set = SledSet::open(
        &scratch.join("sled"),
        config.cache_bytes,
        Arc::clone(&health),
    );
    let reading = Reading {
        set: set.map_err(OpenError::Scratch)?,
        health,
        metrics: StoreMetrics::default(),
        _lock: lock,
    };
    let report = OpenReport {
        working_set: WorkingSet::Rebuilt { keys },
        ..looked.report
    };
    Ok((reading, report))
}
