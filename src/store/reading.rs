//! The truth of a directory, base files and journal, read without changing anything in it.

use std::io;
use std::path::Path;

use super::copying::{CopyError, Doing, Onlooker, Reached, truth_files};
use super::disk::RealDisk;
use super::format::{Format, Place};
use super::frame::{Chain, Link};
use super::open_error::OpenError;
use super::rebuild::Progress;
use super::recover::{Home, OnChange, Recovered, Source, recover};
use crate::base::Timestamp;

/// What was read.
pub(super) struct Reading {
    /// FORMAT.
    pub(super) format: Format,
    /// The journal.
    pub(super) recovered: Recovered,
}

impl Reading {
    /// Reads the truth in `dir`; `on_change` sees every change in the order of the commits.
    pub(super) fn read(
        dir: &Path,
        home: Home,
        watch: Onlooker<'_>,
        on_change: &mut OnChange<'_>,
    ) -> Result<Self, CopyError> {
        let format = Format::read(dir).map_err(|error| CopyError::format(dir, error))?;
        let format = format.ok_or_else(|| CopyError::NoStore(dir.to_owned()))?;
        Self::read_with(dir, (&format, home), watch, on_change)
    }

    /// The same where FORMAT is known already.
    pub(super) fn read_with(
        dir: &Path,
        (format, home): (&Format, Home),
        watch: Onlooker<'_>,
        on_change: &mut OnChange<'_>,
    ) -> Result<Self, CopyError> {
        let journal = dir.join("journal");
        let source = Source {
            disk: &RealDisk,
            dir: &journal,
            chain: Chain::Checked,
            home,
            instance: Some(format.instance),
            progress: &|progress| (watch.progress)(reached(progress)),
        };
        let recovered = recover(&source, on_change)?;
        if recovered.segments.is_empty() {
            return Err(OpenError::NoJournal(dir.to_owned()).into());
        }
        Ok(Self {
            format: format.clone(),
            recovered,
        })
    }

    /// The last commit.
    pub(super) fn end(&self) -> Link {
        self.recovered.end
    }

    /// When the last commit was written.
    pub(super) fn at(&self) -> Timestamp {
        let time_ms = self.recovered.last.as_ref().map_or(0, |last| last.time_ms);
        Timestamp::from_unix(time_ms.div_euclid(1000))
    }

    /// The files of `dir` that its newest state is made of.
    pub(super) fn newest_files(dir: &Path) -> io::Result<Vec<String>> {
        truth_files(dir)
    }
}

/// Whose directory `dir` is.
pub(super) fn home_of(dir: &Path, format: &Format) -> Home {
    match Place::of(&dir.join("journal")) {
        Ok(place) if place == format.place => Home::Ours,
        Ok(_) | Err(_) => Home::Copy,
    }
}

/// A start's progress as that of a long piece of work.
pub fn reached(progress: Progress) -> Reached {
    let (doing, done, of) = match progress {
        Progress::Reading { segments, of } => (Doing::Journal, segments, of),
        Progress::Loading { keys, of } => (Doing::Load, keys, of),
    };
    Reached {
        doing,
        done: done as u64,
        of: of as u64,
    }
}
