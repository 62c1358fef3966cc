//! The truth of a directory, base files and journal, read without changing anything in it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::bases::{self, Base, Bases};
use super::copying::{CopyError, Doing, FileFault, Onlooker, Reached};
use super::disk::RealDisk;
use super::format::{Format, Place};
use super::frame::{Chain, Link};
use super::open_error::OpenError;
use super::rebuild::Progress;
use super::recover::{Home, OnChange, Recovered, Source, recover, segment_names};
use super::truth::{Runs, Truth};
use crate::base::Timestamp;

/// What was read.
pub(super) struct Reading {
    /// FORMAT.
    pub(super) format: Format,
    /// The journal, from a base on where there is one.
    pub(super) recovered: Recovered,
}

impl Reading {
    /// Reads and proves what the newest state of `dir` is made of.
    pub(super) fn read(dir: &Path, home: Home, watch: Onlooker<'_>) -> Result<Self, CopyError> {
        Self::read_with(dir, (&format_of(dir)?, home), watch)
    }

    /// The same where FORMAT is known already.
    pub(super) fn read_with(
        dir: &Path,
        from: (&Format, Home),
        watch: Onlooker<'_>,
    ) -> Result<Self, CopyError> {
        let base = newest_whole(dir)?;
        Self::journal((dir, base.as_ref()), from, watch, &mut |_, _| ())
    }

    /// The same, with all keys it comes to, sorted; what does not fit into memory is put into
    /// `scratch`.
    pub(super) fn gather(
        dir: &Path,
        home: Home,
        scratch: &Path,
        watch: Onlooker<'_>,
    ) -> Result<(Self, Truth), CopyError> {
        let (format, base) = (format_of(dir)?, newest_whole(dir)?);
        let mut runs = Runs::new(Arc::new(RealDisk), scratch, "verify");
        let reading = Self::journal((dir, base.as_ref()), (&format, home), watch, &mut |k, v| {
            runs.change(k, v);
        })?;
        let place = bases::dir(dir);
        let reader = base.map(|base| bases::reader(&RealDisk, &place, &base));
        let truth = reader.transpose().and_then(|reader| runs.over(reader));
        let truth = truth.map_err(|why| CopyError::Open(OpenError::Base(place, why)))?;
        Ok((reading, truth))
    }

    fn journal(
        (dir, base): (&Path, Option<&Base>),
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
            base: base.map(|base| base.head),
            before_serial: None,
            progress: &|progress| (watch.progress)(reached(progress)),
        };
        let recovered = recover(&source, on_change)?;
        if recovered.segments.is_empty() && (base.is_none() || home == Home::Ours) {
            return Err(OpenError::NoJournal(dir.to_owned()).into());
        }
        let format = format.clone();
        Ok(Self { format, recovered })
    }

    /// The last commit.
    pub(super) fn end(&self) -> Link {
        self.recovered.end
    }

    /// When the last commit was written.
    pub(super) fn at(&self) -> Timestamp {
        let last = self.recovered.last.as_ref().map(|last| last.time_ms);
        let time_ms = last.or(self.recovered.base.map(|base| base.time_ms));
        Timestamp::from_unix(time_ms.unwrap_or(0).div_euclid(1000))
    }

    /// The files of `dir` that its newest state is made of: the newest base that is whole, and the
    /// segments from the one it ends in.
    pub(super) fn newest_files(dir: &Path) -> Result<Vec<String>, CopyError> {
        let base = newest_whole(dir)?;
        let floor = base.as_ref().map_or(0, |base| base.head.end.commit);
        let journal = dir.join("journal");
        let names = segment_names(&RealDisk, &journal).map_err(CopyError::io(&journal))?;
        let first = names
            .iter()
            .rposition(|name| name.first <= floor)
            .unwrap_or(0);
        let segments = names[first..].iter().map(|name| format!("journal/{name}"));
        let base = base.map(|base| format!("{}/{}", bases::DIR, base.name));
        Ok(base.into_iter().chain(segments).collect())
    }
}

fn format_of(dir: &Path) -> Result<Format, CopyError> {
    let format = Format::read(dir).map_err(|error| CopyError::format(dir, error))?;
    format.ok_or_else(|| CopyError::NoStore(dir.to_owned()))
}

/// The newest base of `dir` that is good to its last byte.
fn newest_whole(dir: &Path) -> Result<Option<Base>, CopyError> {
    let place = bases::dir(dir);
    let found = Bases::look(&RealDisk, &place).map_err(CopyError::io(&place))?;
    let mut good = found.good.into_iter();
    Ok(good.find(|base| bases::prove(&RealDisk, &place, base).is_ok()))
}

/// The base files of `dir` that are not whole.
pub(super) fn bad_bases(dir: &Path) -> io::Result<Vec<FileFault>> {
    let place = bases::dir(dir);
    let found = Bases::look(&RealDisk, &place)?;
    let mut bad: Vec<_> = found.bad.into_iter().map(|(name, _)| name).collect();
    let whole = |base: &Base| bases::prove(&RealDisk, &place, base).is_ok();
    bad.extend(
        found
            .good
            .into_iter()
            .filter(|base| !whole(base))
            .map(|base| base.name),
    );
    let fault = |name: String| FileFault::Sum(format!("{}/{name}", bases::DIR));
    Ok(bad.into_iter().map(fault).collect())
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
