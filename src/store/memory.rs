//! The engine that keeps everything in memory: for simulation and for tests of what lies above.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use super::StoreError;
use super::metrics::StoreMetrics;
use super::read::{Direction, KeyRange, Read, Visit};
use super::tx::{Change, Overlay, Tx};

/// Keys and values in memory.
#[derive(Debug, Default)]
pub(super) struct MemorySet(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>);

impl MemorySet {
    /// Carries out `changes`; readers see all of them or none.
    pub(super) fn apply(&self, changes: impl Iterator<Item = (Vec<u8>, Change)>) {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (key, change) in changes {
            match change {
                Change::Put(value) => map.insert(key, value),
                Change::Delete => map.remove(&key),
            };
        }
    }

    fn map(&self) -> RwLockReadGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for MemorySet {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.map().get(key).cloned())
    }

    fn scan(&self, range: &KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        let bounds = (
            Bound::Included(range.from.as_slice()),
            Bound::Excluded(range.to.as_slice()),
        );
        let map = self.map();
        let mut keys = map.range::<[u8], _>(bounds);
        let mut next = || match range.direction {
            Direction::Ascending => keys.next(),
            Direction::Descending => keys.next_back(),
        };
        while let Some((key, value)) = next() {
            if let ControlFlow::Break(()) = visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn corrupt(&self, what: &str) -> StoreError {
        StoreError::Corrupt(what.to_owned())
    }
}

/// A store of its own in memory: closures run at once, on the caller's thread, one after another,
/// so that a seeded simulation replays identically.
#[derive(Debug, Default)]
pub(super) struct MemoryEngine {
    pub(super) set: MemorySet,
    pub(super) metrics: StoreMetrics,
    writing: Mutex<()>,
}

impl MemoryEngine {
    /// Runs one closure as a transaction of its own.
    pub(super) fn write<T, E>(&self, f: &mut dyn FnMut(&mut Tx<'_>) -> Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let group = Overlay::default();
        let mut tx = Tx::new(&self.set, &group);
        let answer = f(&mut tx)?;
        let mut changes = tx.finish()?;
        self.metrics.count(&changes.take_tallies());
        self.set.apply(changes.drain());
        Ok(answer)
    }
}
