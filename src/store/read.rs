//! How the store is read: single keys and ranges of keys, inside a transaction or outside one.

use std::ops::{ControlFlow, RangeInclusive};

use super::StoreError;

/// First bytes of the keys that are a cache: never journaled, gone after a rebuild.
///
/// Keys that start with 0x00 belong to the store itself; all others are journaled.
pub const CACHE_KEYS: RangeInclusive<u8> = 0xF0..=0xFF;

/// Whether `key` is one of [`CACHE_KEYS`].
pub(super) fn is_cache(key: &[u8]) -> bool {
    key.first().is_some_and(|byte| CACHE_KEYS.contains(byte))
}

/// Which end of a range comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest key first.
    Ascending,
    /// Largest key first.
    Descending,
}

/// The keys `from <= key < to`, and the order in which they are visited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The smallest key of the range.
    pub from: Vec<u8>,
    /// The first key behind the range.
    pub to: Vec<u8>,
    /// The order of the visit.
    pub direction: Direction,
}

impl KeyRange {
    /// All keys that start with `prefix`, ascending. `prefix` holds a byte other than 0xFF.
    pub fn prefix(prefix: &[u8]) -> Self {
        let mut to = prefix.to_vec();
        while to.pop_if(|last| *last == u8::MAX).is_some() {}
        let last = to.last_mut().expect("a prefix holds a byte below 0xFF");
        *last = last.wrapping_add(1);
        Self {
            from: prefix.to_vec(),
            to,
            direction: Direction::Ascending,
        }
    }

    /// The same keys, largest first.
    #[must_use]
    pub fn descending(self) -> Self {
        Self {
            direction: Direction::Descending,
            ..self
        }
    }

    /// What is left to visit when `key` was the last one visited.
    pub(super) fn behind(mut self, key: Vec<u8>) -> Self {
        match self.direction {
            Direction::Ascending => self.from = [&key[..], &[0]].concat(),
            Direction::Descending => self.to = key,
        }
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.from >= self.to
    }
}

/// Called with each key and its value; `Break` ends the visit.
pub type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'v;

/// Reading by key.
pub trait Read {
    /// The value under `key`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the working set fails; the store stops after that.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Visits the keys of `range` in its order until `visit` breaks.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the working set fails; the store stops after that.
    fn scan(&self, range: &KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Reports that a record read here failed its check: the store stops, and the next start
    /// rebuilds the working set. `what` names the kind of record, never its content.
    fn corrupt(&self, what: &str) -> StoreError;
}

/// What is on disk now, without a transaction.
///
/// One key, or one step of a scan, is consistent; several are not: another commit may fall between
/// them. What must agree over several keys is asked of [`Tx`](super::Tx) or kept in one record.
pub struct View<'a> {
    base: &'a dyn Read,
}

impl<'a> View<'a> {
    pub(super) fn new(base: &'a dyn Read) -> Self {
        Self { base }
    }
}

impl Read for View<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.base.get(key)
    }

    fn scan(&self, range: &KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.base.scan(range, visit)
    }

    fn corrupt(&self, what: &str) -> StoreError {
        self.base.corrupt(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        let table: [(&[u8], &[u8]); 3] =
            [(b"o", b"p"), (b"o|\xff", b"o}"), (b"\x01\xff\xff", b"\x02")];
        for (prefix, to) in table {
            let range = KeyRange::prefix(prefix);
            assert_eq!((range.from.as_slice(), range.to.as_slice()), (prefix, to));
        }
    }
}
