//! Two working sets, key by key: one that was built from the truth, one that should be the same.

use super::StoreError;
use super::codec::{Found, collect};
use super::counters::{self, Counter};
use super::read::{CACHE_KEYS, Direction, KeyRange, Read};

/// How many keys are held of each at a time.
const CHUNK: usize = 512;
/// More differences than this say no more.
const MOST: usize = 100;
/// How many keys lie between two words about how far it has come.
const TOLD_EVERY: u64 = 4096;

/// All keys that are journaled.
pub(super) fn journaled() -> KeyRange {
    KeyRange {
        from: vec![1],
        to: vec![*CACHE_KEYS.start()],
        direction: Direction::Ascending,
    }
}

/// Keys in their order, some at a time.
pub(super) struct Keys<'r, R> {
    read: &'r R,
    range: KeyRange,
    found: std::vec::IntoIter<Found>,
}

impl<'r, R: Read> Keys<'r, R> {
    pub(super) fn new(read: &'r R) -> Self {
        Self::within(read, journaled())
    }

    /// The keys of `range`, which ascends.
    pub(super) fn within(read: &'r R, range: KeyRange) -> Self {
        let found = vec![].into_iter();
        Self { read, range, found }
    }

    fn peek(&mut self) -> Result<Option<&Found>, StoreError> {
        if self.found.as_slice().is_empty() {
            let found = collect(self.read, &self.range, CHUNK)?;
            if let Some((last, _)) = found.last() {
                self.range = self.range.clone().behind(last.clone());
            }
            self.found = found.into_iter();
        }
        Ok(self.found.as_slice().first())
    }

    /// The next key and its value.
    pub(super) fn next(&mut self) -> Result<Option<Found>, StoreError> {
        self.peek()?;
        Ok(self.found.next())
    }
}

/// The keys of `truth` and `other` that differ, with what is different, at most a hundred.
///
/// Caches are not compared, and neither are the counters that a start raises.
///
/// # Errors
/// [`StoreError`]: one of the two cannot be read.
pub(super) fn compare(
    truth: &impl Read,
    other: &impl Read,
    told: &dyn Fn(u64),
) -> Result<Vec<(String, &'static str)>, StoreError> {
    let (mut left, mut right) = (Keys::new(truth), Keys::new(other));
    let (mut differing, mut done) = (vec![], 0_u64);
    while differing.len() < MOST {
        let (key, what) = match (left.peek()?, right.peek()?) {
            (None, None) => break,
            (Some((a, one)), Some((b, two))) if a == b => {
                let what = (one != two).then_some("工作集里的内容与账本不同");
                right.next()?;
                (left.next()?, what)
            }
            (Some((a, _)), b) if b.is_none_or(|(b, _)| a < b) => {
                (left.next()?, Some("账本里有，工作集里没有"))
            }
            (_, _) => (right.next()?, Some("工作集里有，账本里没有")),
        };
        if let (Some((key, _)), Some(what)) = (key, what)
            && !is_raised(&key)
        {
            differing.push((key.escape_ascii().to_string(), what));
        }
        done += 1;
        if done.is_multiple_of(TOLD_EVERY) {
            told(done);
        }
    }
    Ok(differing)
}

/// Whether a start may raise what is under `key` without telling the journal.
fn is_raised(key: &[u8]) -> bool {
    [Counter::Uid, Counter::Goods]
        .map(counters::key)
        .iter()
        .any(|raised| raised == key)
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemorySet;
    use super::super::tx::Change;
    use super::*;

    fn set(keys: &[(u8, u8)]) -> MemorySet {
        let set = MemorySet::default();
        let put = |(key, value): &(u8, u8)| (vec![b'o', *key], Change::Put(vec![*value]));
        set.apply(keys.iter().map(put));
        set
    }

    #[test]
    fn every_key_that_is_missing_surplus_or_other_is_named_and_no_other() {
        let truth = set(&[(b'1', 1), (b'2', 2), (b'3', 3), (b'5', 5)]);
        let other = set(&[(b'2', 2), (b'3', 9), (b'4', 4), (b'5', 5), (b'6', 6)]);
        let found = compare(&truth, &other, &|_| ()).unwrap();
        let keys: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["o1", "o3", "o4", "o6"]);
        assert_eq!(compare(&truth, &truth, &|_| ()).unwrap(), []);
    }

    #[test]
    fn caches_and_raised_counters_are_not_compared_and_other_counters_are() {
        let (truth, other) = (MemorySet::default(), MemorySet::default());
        let raised = [Counter::Uid, Counter::Goods, Counter::ApiKey].map(counters::key);
        let keys = raised
            .into_iter()
            .chain([vec![0xF0, 1], b"\0commit".to_vec()]);
        other.apply(keys.map(|key| (key, Change::Put(vec![1]))));
        let found = compare(&truth, &other, &|_| ()).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn more_keys_than_are_held_at_a_time_are_compared_to_the_last() {
        let many = |last: u8| {
            let set = MemorySet::default();
            let keys =
                (0..1500_u16).map(|n| (vec![b'o', n.to_be_bytes()[0], n.to_be_bytes()[1]], 1));
            set.apply(keys.map(|(key, v)| (key, Change::Put(vec![v]))));
            set.apply(std::iter::once((b"z".to_vec(), Change::Put(vec![last]))));
            set
        };
        assert_eq!(compare(&many(1), &many(1), &|_| ()).unwrap(), []);
        assert_eq!(compare(&many(1), &many(2), &|_| ()).unwrap().len(), 1);
    }
}
