//! How often each of many may do something, counted in memory that does not grow with how many
//! they are.
//!
//! Of each key one number is kept: the moment at which everything it did is forgotten again. A
//! shard that is full gives up whoever is forgotten soonest, so that a flood of new keys pushes out
//! its own and not those who owe most.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SHARDS: usize = 64;
/// The most keys one shard remembers: 32,768 in all, about 1 MiB of addresses.
const SHARD_KEYS: usize = 512;
/// The span an allowance is for; the whole of it may be used at once.
const SPAN_NS: u64 = 60_000_000_000;

/// So many times a minute for each key. The clock may be set back: whoever is blocked for longer
/// than a minute by that is forgiven.
#[derive(Debug)]
pub struct Rate<K> {
    shards: Box<[Mutex<HashMap<K, u64>>]>,
    hasher: RandomState,
    every_ns: u64,
}

impl<K: Copy + Eq + Hash> Rate<K> {
    /// An allowance of `times` a minute for each key; zero counts as one.
    pub fn per_minute(times: u32) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            every_ns: SPAN_NS / u64::from(times.max(1)),
        }
    }

    /// Counts one for `key` at `now_ms`.
    ///
    /// # Errors
    /// How long to wait, when the allowance is used up. Then nothing is counted.
    pub fn take(&self, key: K, now_ms: i64) -> Result<(), Duration> {
        let now = ns(now_ms);
        let mut shard = self.shard(&key);
        let free_at = self.free_at(&shard, &key, now)?;
        if shard.len() >= SHARD_KEYS && !shard.contains_key(&key) {
            make_room(&mut shard, now);
        }
        shard.insert(key, free_at);
        Ok(())
    }

    /// Whether [`Rate::take`] would count one for `key` at `now_ms`.
    ///
    /// # Errors
    /// How long to wait.
    pub fn check(&self, key: K, now_ms: i64) -> Result<(), Duration> {
        let shard = self.shard(&key);
        self.free_at(&shard, &key, ns(now_ms)).map(drop)
    }

    /// Forgets everyone who owes nothing at `now_ms`, and gives their memory back.
    pub fn forget_quiet(&self, now_ms: i64) {
        let now = ns(now_ms);
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, free_at| owes(*free_at, now));
            shard.shrink_to_fit();
        }
    }

    /// When everything `key` did is forgotten once it has done one more.
    fn free_at(&self, shard: &HashMap<K, u64>, key: &K, now: u64) -> Result<u64, Duration> {
        let known = shard.get(key).copied();
        let owed = known.filter(|&free_at| owes(free_at, now)).unwrap_or(now);
        let free_at = owed.saturating_add(self.every_ns);
        match free_at.saturating_sub(now).saturating_sub(SPAN_NS) {
            0 => Ok(free_at),
            wait => Err(Duration::from_nanos(wait)),
        }
    }

    fn shard(&self, key: &K) -> std::sync::MutexGuard<'_, HashMap<K, u64>> {
        let place = self.hasher.hash_one(key) % 64;
        let shard = &self.shards[usize::try_from(place).expect("below 64")];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a key with this moment still owes something. No moment lies further ahead than the
/// span: one that does was made before the clock was set back.
fn owes(free_at: u64, now: u64) -> bool {
    free_at > now && free_at - now <= SPAN_NS
}

/// Forgets those who owe nothing, or else the one who owes least.
fn make_room<K: Copy + Eq + Hash>(shard: &mut HashMap<K, u64>, now: u64) {
    shard.retain(|_, free_at| owes(*free_at, now));
    if shard.len() < SHARD_KEYS {
        return;
    }
    let least = shard.iter().min_by_key(|(_, free_at)| **free_at);
    if let Some(key) = least.map(|(key, _)| *key) {
        shard.remove(&key);
    }
}

fn ns(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026, in milliseconds.
    const NOW: i64 = 1_767_196_830_000;

    fn remembered<K>(rate: &Rate<K>) -> usize {
        let lengths = rate.shards.iter().map(|shard| shard.lock().unwrap().len());
        lengths.sum()
    }

    #[test]
    fn an_allowance_may_be_used_at_once_and_comes_back_bit_by_bit() {
        let rate = Rate::per_minute(3);
        for _ in 0..3 {
            assert_eq!(rate.take(7, NOW), Ok(()));
        }
        assert_eq!(rate.take(7, NOW), Err(Duration::from_secs(20)));
        assert_eq!(rate.check(7, NOW + 19_999), Err(Duration::from_millis(1)));
        assert_eq!(rate.take(8, NOW), Ok(()));
        assert_eq!(rate.check(7, NOW + 20_000), Ok(()));
        assert_eq!(rate.take(7, NOW + 20_000), Ok(()));
        assert_eq!(rate.take(7, NOW + 20_000), Err(Duration::from_secs(20)));
        for _ in 0..3 {
            assert_eq!(rate.take(7, NOW + 80_000), Ok(()));
        }
        assert!(rate.take(7, NOW + 80_000).is_err());
    }

    #[test]
    fn what_is_refused_is_not_counted_and_a_check_counts_nothing() {
        let rate = Rate::per_minute(1);
        for _ in 0..5 {
            assert_eq!(rate.check(7, NOW), Ok(()));
        }
        assert_eq!(rate.take(7, NOW), Ok(()));
        for _ in 0..5 {
            assert_eq!(rate.take(7, NOW), Err(Duration::from_secs(60)));
        }
        assert_eq!(rate.take(7, NOW + 60_000), Ok(()));
    }

    #[test]
    fn a_clock_that_is_set_back_blocks_nobody_for_longer_than_the_span() {
        let rate = Rate::per_minute(1);
        assert_eq!(rate.take(7, NOW), Ok(()));
        assert_eq!(rate.take(7, NOW - 3_600_000), Ok(()));
    }

    #[test]
    fn a_flood_of_keys_is_not_remembered_and_does_not_make_who_owes_most_forgotten() {
        let rate = Rate::per_minute(100);
        for _ in 0..100 {
            assert_eq!(rate.take(u64::MAX, NOW), Ok(()));
        }
        for key in 0..40_000 {
            assert_eq!(rate.take(key, NOW), Ok(()));
        }
        assert!((30_000..=SHARDS * SHARD_KEYS).contains(&remembered(&rate)));
        assert!(rate.take(u64::MAX, NOW).is_err(), "the flood forgave it");
    }

    #[test]
    fn who_owes_nothing_is_forgotten() {
        let rate = Rate::per_minute(60);
        assert_eq!(rate.take(1, NOW), Ok(()));
        assert_eq!(rate.take(2, NOW + 500), Ok(()));
        rate.forget_quiet(NOW + 1_000);
        assert_eq!(remembered(&rate), 1);
        rate.forget_quiet(NOW + 1_500);
        assert_eq!(remembered(&rate), 0);
    }
}
