//! One closure's view of the store: what is on disk, what its group changed before it, and its own
//! changes on top. Dropping the own changes is the savepoint.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use super::read::{Direction, KeyRange, Read, Visit, is_cache};
use super::tally::Tally;
use super::{StoreError, frame};

/// What becomes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It holds this value.
    Put(Vec<u8>),
    /// It is gone.
    Delete,
}

impl Change {
    fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Put(value) => Some(value),
            Self::Delete => None,
        }
    }
}

/// Changes by key, not yet in the working set.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    changes: BTreeMap<Vec<u8>, Change>,
    bytes: usize,
    journaled: bool,
    tallies: Vec<(Tally, u64)>,
}

impl Overlay {
    /// Bytes of keys and values that were handed in, replaced ones included.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing was changed.
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether anything here belongs in the journal.
    pub(super) fn is_journaled(&self) -> bool {
        self.journaled
    }

    /// The changes, by key.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &Change)> {
        self.changes
            .iter()
            .map(|(key, change)| (key.as_slice(), change))
    }

    /// Takes all changes out, leaving it empty.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Vec<u8>, Change)> + use<> {
        std::mem::take(self).changes.into_iter()
    }

    /// Takes out what is to be counted once the changes are on disk.
    pub(super) fn take_tallies(&mut self) -> Vec<(Tally, u64)> {
        std::mem::take(&mut self.tallies)
    }

    /// Adds a change that the journal never sees.
    pub(super) fn set_cache(&mut self, key: Vec<u8>, change: Change) {
        assert!(is_cache(&key), "a cache change is made to a cache key");
        self.insert(key, change);
    }

    /// Takes over the changes of a closure that succeeded.
    pub(super) fn absorb(&mut self, own: Self) {
        self.bytes += own.bytes;
        self.journaled |= own.journaled;
        self.tallies.extend(own.tallies);
        if self.changes.is_empty() {
            self.changes = own.changes;
        } else {
            self.changes.extend(own.changes);
        }
    }

    pub(super) fn set(&mut self, key: Vec<u8>, change: Change) {
        assert!(
            key.first().is_some_and(|byte| *byte != 0),
            "a key starts with its kind"
        );
        self.journaled |= !is_cache(&key) || change == Change::Delete;
        self.insert(key, change);
    }

    fn insert(&mut self, key: Vec<u8>, change: Change) {
        self.bytes += key.len() + change.value().map_or(0, <[u8]>::len);
        self.changes.insert(key, change);
    }

    fn range<'o>(&'o self, range: &KeyRange) -> impl Iterator<Item = (&'o Vec<u8>, &'o Change)> {
        let bounds = (
            Bound::Included(range.from.as_slice()),
            Bound::Excluded(range.to.as_slice()),
        );
        self.changes.range::<[u8], _>(bounds)
    }
}

/// A transaction: reads what it and its group wrote before it; all of its changes are kept, or
/// none when the closure returns an error.
pub struct Tx<'a> {
    base: &'a dyn Read,
    group: &'a Overlay,
    own: Overlay,
}

impl<'a> Tx<'a> {
    pub(super) fn new(base: &'a dyn Read, group: &'a Overlay) -> Self {
        Self {
            base,
            group,
            own: Overlay::default(),
        }
    }

    /// Sets `key` to `value`. Keys of [`CACHE_KEYS`](super::CACHE_KEYS) are not journaled.
    ///
    /// # Panics
    /// When `key` is empty or starts with 0x00: a bug of the caller.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.own.set(key, Change::Put(value));
    }

    /// Removes `key`. This is journaled for every kind of key: a revoked token stays revoked.
    ///
    /// # Panics
    /// When `key` is empty or starts with 0x00: a bug of the caller.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.own.set(key, Change::Delete);
    }

    /// Has `tally` grow by this much once the changes are on disk, and never when they are not.
    pub fn count(&mut self, tally: Tally, by: u64) {
        self.own.tallies.push((tally, by));
    }

    /// The changes made, unless they are too large for the journal.
    pub(super) fn finish(self) -> Result<Overlay, StoreError> {
        if self.own.bytes > frame::MAX_CLOSURE_BYTES {
            return Err(StoreError::TooLarge);
        }
        Ok(self.own)
    }

    /// The changes of both overlays within `range`, in its order; own ones win.
    fn pending(&self, range: &KeyRange) -> Vec<(&Vec<u8>, &Change)> {
        let mut merged: BTreeMap<_, _> = self.group.range(range).collect();
        merged.extend(self.own.range(range));
        match range.direction {
            Direction::Ascending => merged.into_iter().collect(),
            Direction::Descending => merged.into_iter().rev().collect(),
        }
    }
}

impl Read for Tx<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let change = self
            .own
            .changes
            .get(key)
            .or_else(|| self.group.changes.get(key));
        match change {
            Some(change) => Ok(change.value().map(<[u8]>::to_vec)),
            None => self.base.get(key),
        }
    }

    fn scan(&self, range: &KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        let pending = self.pending(range);
        if pending.is_empty() {
            return self.base.scan(range, visit);
        }
        let mut merge = Merge {
            pending: pending.into_iter().peekable(),
            direction: range.direction,
            broken: false,
        };
        self.base
            .scan(range, &mut |key, value| merge.step(key, value, visit))?;
        merge.rest(visit);
        Ok(())
    }

    fn corrupt(&self, what: &str) -> StoreError {
        self.base.corrupt(what)
    }
}

/// Lays pending changes over the keys of the working set as these come by.
struct Merge<'o, I: Iterator<Item = (&'o Vec<u8>, &'o Change)>> {
    pending: std::iter::Peekable<I>,
    direction: Direction,
    broken: bool,
}

impl<'o, I: Iterator<Item = (&'o Vec<u8>, &'o Change)>> Merge<'o, I> {
    fn step(&mut self, key: &[u8], value: &[u8], visit: &mut Visit<'_>) -> ControlFlow<()> {
        let flow = self.until(key, value, visit);
        self.broken = flow.is_break();
        flow
    }

    fn until(&mut self, key: &[u8], value: &[u8], visit: &mut Visit<'_>) -> ControlFlow<()> {
        while let Some((pending, _)) = self.pending.peek() {
            let order = match self.direction {
                Direction::Ascending => pending.as_slice().cmp(key),
                Direction::Descending => key.cmp(pending.as_slice()),
            };
            if order == Ordering::Greater {
                break;
            }
            self.emit(visit)?;
            if order == Ordering::Equal {
                return ControlFlow::Continue(());
            }
        }
        visit(key, value)
    }

    fn emit(&mut self, visit: &mut Visit<'_>) -> ControlFlow<()> {
        match self.pending.next() {
            Some((key, Change::Put(value))) => visit(key, value),
            Some((_, Change::Delete)) | None => ControlFlow::Continue(()),
        }
    }

    fn rest(&mut self, visit: &mut Visit<'_>) {
        while !self.broken && self.pending.peek().is_some() {
            self.broken = self.emit(visit).is_break();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn key(text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }

    fn seen(tx: &Tx<'_>, range: &KeyRange, limit: usize) -> Vec<String> {
        let mut seen = vec![];
        let visited = tx.scan(range, &mut |key, value| {
            let text = [key, b"=", value].concat();
            seen.push(String::from_utf8(text).expect("ASCII"));
            match seen.len() < limit {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        visited.expect("memory does not fail");
        seen
    }

    #[tokio::test]
    async fn a_scan_sees_own_changes_laid_over_what_was_there_in_both_directions() {
        let store = Store::memory();
        let filled = store.write(|tx| -> Result<(), StoreError> {
            for name in ["a1", "a3", "a5", "b1"] {
                tx.put(key(name), key("old"));
            }
            Ok(())
        });
        filled.await.expect("filled");
        let checked = store.write(|tx| -> Result<(), StoreError> {
            tx.put(key("a0"), key("new"));
            tx.put(key("a3"), key("new"));
            tx.delete(key("a5"));
            tx.put(key("a6"), key("new"));
            let all = KeyRange::prefix(b"a");
            let up = ["a0=new", "a1=old", "a3=new", "a6=new"];
            assert_eq!(seen(tx, &all, 9), up);
            let down: Vec<_> = up.into_iter().rev().collect();
            assert_eq!(seen(tx, &all.clone().descending(), 9), down);
            for limit in 1..4 {
                assert_eq!(seen(tx, &all, limit), up[..limit]);
                assert_eq!(seen(tx, &all.clone().descending(), limit), down[..limit]);
            }
            assert_eq!(tx.get(b"a5"), Ok(None));
            assert_eq!(tx.get(b"a1"), Ok(Some(key("old"))));
            Ok(())
        });
        checked.await.expect("checked");
    }

    #[tokio::test]
    async fn a_closure_that_fails_changes_nothing() {
        let store = Store::memory();
        let refused = store.write(|tx| -> Result<(), StoreError> {
            tx.put(key("a"), key("1"));
            Err(StoreError::Corrupt("for the test".to_owned()))
        });
        assert!(refused.await.is_err());
        assert_eq!(store.read(|view| view.get(b"a")).await, Ok(None));
    }
}
