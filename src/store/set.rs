//! The working set of an open store: sled; under a simulation, memory.

use super::StoreError;
#[cfg(test)]
use super::memory::MemorySet;
use super::read::{KeyRange, Read, Visit};
use super::tx::Change;
use super::working_set::SledSet;

/// What reads are served from.
pub(super) enum Set {
    /// sled, behind a journal on the machine's disk.
    Sled(SledSet),
    /// Memory, behind a journal on a simulated disk.
    #[cfg(test)]
    Memory(MemorySet),
}

impl Set {
    /// Carries out `changes`, and `commit` after them when they are one.
    ///
    /// # Errors
    /// What sled said.
    pub(super) fn apply(
        &self,
        changes: impl Iterator<Item = (Vec<u8>, Change)>,
        commit: Option<u64>,
    ) -> Result<(), String> {
        match self {
            Self::Sled(set) => set.apply(changes, commit),
            #[cfg(test)]
            Self::Memory(set) => {
                set.apply(changes);
                Ok(())
            }
        }
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// What sled or the disk said.
    pub(super) fn flush(&self) -> Result<(), String> {
        match self {
            Self::Sled(set) => set.flush(),
            #[cfg(test)]
            Self::Memory(_) => Ok(()),
        }
    }

    /// Flushes and closes it.
    ///
    /// # Errors
    /// What sled or the disk said.
    pub(super) fn close(self) -> Result<(), String> {
        match self {
            Self::Sled(set) => set.close(),
            #[cfg(test)]
            Self::Memory(_) => Ok(()),
        }
    }

    fn inner(&self) -> &dyn Read {
        match self {
            Self::Sled(set) => set,
            #[cfg(test)]
            Self::Memory(set) => set,
        }
    }
}

impl Read for Set {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner().get(key)
    }

    fn scan(&self, range: &KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.inner().scan(range, visit)
    }

    fn corrupt(&self, what: &str) -> StoreError {
        self.inner().corrupt(what)
    }
}
