//! Opening, the reading part: which base is used, what the journal says behind it, and whether all
//! is there that was.

use std::sync::Arc;

use super::bases::{self, Base, Bases};
use super::disk::{RealDisk, private_dir};
use super::format::Mark;
use super::frame::Chain;
use super::open::{Found, Opening};
use super::open_error::OpenError;
use super::recover::{Home, JournalFault, OnChange, Recovered, Source, recover};
use super::seal::Seal;
use super::sorted::{BadSorted, Head};
use super::truth::{Runs, Truth};

impl Opening<'_> {
    /// Reads base and journal, and gathers their keys unless the working set can be trusted.
    pub(super) fn read_journal(&self) -> Result<(Recovered, Option<Truth>), OpenError> {
        bases::tidy(&RealDisk, &self.base_dir).map_err(OpenError::io(&self.base_dir))?;
        let found = Bases::look(&RealDisk, &self.base_dir);
        let found = found.map_err(OpenError::io(&self.base_dir))?;
        if let Some(seal) = self.fitting_seal() {
            let newest = found.good.first().map(|base| base.head);
            if let Ok(recovered) = self.recover(newest, &mut |_, _| ())
                && seal.end == recovered.end
            {
                return Ok((recovered, None));
            }
        }
        private_dir(&self.base_dir).map_err(OpenError::io(&self.base_dir))?;
        let base = self.newest_whole(&found);
        let mut runs = Runs::new(Arc::new(RealDisk), &self.base_dir, "open");
        let head = base.map(|base| base.head);
        let mut recovered = self.recover(head, &mut |key, value| runs.change(key, value))?;
        let reader = base.map(|base| bases::reader(&RealDisk, &self.base_dir, base));
        let truth = reader.transpose().and_then(|reader| runs.over(reader));
        let truth = truth.map_err(|why| OpenError::Base(self.base_dir.clone(), why))?;
        if self.found == Found::Copy {
            let half = found.bad.into_iter().map(|(name, _)| name);
            recovered.left_out_bases = half.collect();
        }
        Ok((recovered, Some(truth)))
    }

    /// The newest base that is good to its last byte. Of the others the operator is told, unless
    /// this is a copy, where a half-copied one is no wonder.
    fn newest_whole<'b>(&self, found: &'b Bases) -> Option<&'b Base> {
        for (name, why) in &found.bad {
            self.complain_of(name, why);
        }
        found.good.iter().find(|base| {
            let proven = bases::prove(&RealDisk, &self.base_dir, base);
            proven
                .inspect_err(|why| self.complain_of(&base.name, why))
                .is_ok()
        })
    }

    fn complain_of(&self, name: &str, why: &BadSorted) {
        if self.found != Found::Copy {
            tracing::error!(file = name, %why, "基线文件坏了：改用更早的基线和它之后的账本");
        }
    }

    fn recover(
        &self,
        base: Option<Head>,
        on_change: &mut OnChange<'_>,
    ) -> Result<Recovered, OpenError> {
        let data_dir = &self.config.data_dir;
        let source = Source {
            disk: &RealDisk,
            dir: &self.journal_dir,
            chain: Chain::Checked,
            home: match self.found {
                Found::Nothing | Found::Store => Home::Ours,
                Found::Copy => Home::Copy,
            },
            instance: self.format.as_ref().map(|format| format.instance),
            base,
            before_serial: None,
            progress: self.progress,
        };
        let recovered = recover(&source, on_change)?;
        let empty = recovered.segments.is_empty();
        match self.found {
            // A store whose making was cut short has segments, but nothing in them.
            Found::Nothing if recovered.end.commit > 0 => {
                return Err(OpenError::NoFormat(data_dir.clone()));
            }
            Found::Store if empty => return Err(OpenError::NoJournal(data_dir.clone())),
            Found::Copy if empty && base.is_none() => {
                return Err(OpenError::NoJournal(data_dir.clone()));
            }
            Found::Store => self.reaches_what_was_there(&recovered)?,
            Found::Nothing | Found::Copy => {}
        }
        Ok(recovered)
    }

    /// A journal that ends before what the seal or the mark names has lost something.
    fn reaches_what_was_there(&self, recovered: &Recovered) -> Result<(), JournalFault> {
        let data_dir = &self.config.data_dir;
        let seal = Seal::read(data_dir).map(|seal| ("sled.seal", seal.end.commit));
        let mark = Mark::read(data_dir).map(|commit| ("journal.mark", commit));
        for (file, commit) in [seal, mark].into_iter().flatten() {
            if commit > recovered.end.commit {
                return Err(recovered.missing(file.to_owned(), commit));
            }
        }
        Ok(())
    }
}
