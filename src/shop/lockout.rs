//! Who guesses passwords waits, ever longer.
//!
//! Three counters of failed logins, each of which locks when it is full, for `lock_s` first and
//! twice as long after each further failure, up to `DOUBLINGS` times:
//!
//! | counter | full after | whom it locks |
//! |---|---|---|
//! | name and address | `login_failures_before_lock` | this name from this address |
//! | address | 4 times that | all names from this address |
//! | name | 20 times that, never doubled | this name from addresses it never logged in from |
//!
//! So one address cannot lock a merchant out anywhere else; many together can only keep a name
//! from strange addresses, never from where its owner logged in before; and a new password set on
//! the machine (`zhanggui admin password`) opens everything again. Names that do not exist are
//! counted like those that do, so that a lock tells nothing. Counters live in memory, are bounded,
//! and are forgotten an hour after their lock has ended.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use super::ShopError;
use crate::base::Household;
use crate::base::{Timestamp, hash};

/// How often a lock's length doubles at most: 64 times `lock_s`.
const DOUBLINGS: u32 = 6;
/// An address may fail with this many times more names.
const ADDRESS_FACTOR: u32 = 4;
/// A name may fail from this many times more addresses.
const NAME_FACTOR: u32 = 20;
/// When failures are forgotten after the lock that they led to.
const FORGET: Duration = Duration::from_secs(3600);
/// How long an address is known for a name after a login.
const KNOWN: Duration = Duration::from_secs(30 * 86_400);
/// The most entries of one counter; the one that is quiet the longest gives way.
const ENTRIES_MAX: usize = 10_000;

/// The digest of a name: what is counted must not keep what people typed by mistake.
type Name = [u8; 16];
type Place = (Name, Household);

/// How many failures lock, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct LockRule {
    /// `[limits] login_failures_before_lock`.
    pub failures: u32,
    /// `[limits] lock_s`.
    pub lock: Duration,
}

/// Who logs in as whom.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    name: Name,
    from: Household,
    at: Timestamp,
}

impl Attempt {
    /// A login as `name` from `from`; a whole network of IPv6 is one address.
    pub fn new(name: &str, from: IpAddr, at: Timestamp) -> Self {
        Self {
            name: digest(name),
            from: Household::of(from),
            at,
        }
    }

    fn place(self) -> Place {
        (self.name, self.from)
    }
}

fn digest(name: &str) -> Name {
    let mut first = [0; 16];
    first.copy_from_slice(&hash::sha256(name.as_bytes())[..16]);
    first
}

/// The counters of this process.
#[derive(Debug)]
pub struct Lockout {
    rule: LockRule,
    counters: Mutex<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    places: Counter<Place>,
    addresses: Counter<Household>,
    names: Counter<Name>,
    /// When a name last logged in from an address.
    known: HashMap<Place, Timestamp>,
}

impl Counters {
    /// Whether the name never logged in from there, or long ago.
    fn is_stranger(&self, attempt: Attempt) -> bool {
        let known = self.known.get(&attempt.place());
        known.is_none_or(|at| attempt.at >= at.plus(KNOWN))
    }

    fn take_back_wide(&mut self, attempt: Attempt) {
        self.addresses.take_back(&attempt.from);
        if self.is_stranger(attempt) {
            self.names.take_back(&attempt.name);
        }
    }
}

impl Lockout {
    /// Counters that follow `rule`.
    pub fn new(rule: LockRule) -> Self {
        Self {
            rule,
            counters: Mutex::default(),
        }
    }

    /// Counts an attempt as failed, before anything of it is looked at: many at once are as many.
    ///
    /// # Errors
    /// [`ShopError::RateLimited`] when one of its counters is locked; then nothing is counted.
    pub fn begin(&self, attempt: Attempt) -> Result<(), ShopError> {
        let mut counters = self.counters();
        let now = attempt.at;
        let stranger = counters.is_stranger(attempt);
        let until = [
            counters.places.locked_until(&attempt.place()),
            counters.addresses.locked_until(&attempt.from),
            counters
                .names
                .locked_until(&attempt.name)
                .filter(|_| stranger),
        ];
        if let Some(until) = until
            .into_iter()
            .flatten()
            .max()
            .filter(|until| now < *until)
        {
            let retry_after_s = until.since(now).as_secs();
            return Err(ShopError::RateLimited { retry_after_s });
        }
        let (doubled, times) = (self.rule, |factor| {
            self.rule.failures.saturating_mul(factor)
        });
        let address = LockRule {
            failures: times(ADDRESS_FACTOR),
            ..doubled
        };
        let name = LockRule {
            failures: times(NAME_FACTOR),
            ..doubled
        };
        counters.places.fail(attempt.place(), doubled, now);
        counters.addresses.fail(attempt.from, address, now);
        if stranger {
            counters.names.fail_flat(attempt.name, name, now);
        }
        Ok(())
    }

    /// Takes an attempt back that was not judged, for instance because the store was away.
    pub fn withdraw(&self, attempt: Attempt) {
        let mut counters = self.counters();
        counters.places.take_back(&attempt.place());
        counters.take_back_wide(attempt);
    }

    /// The attempt was right: its place starts anew and is known from now on.
    pub fn succeeded(&self, attempt: Attempt) {
        let mut counters = self.counters();
        counters.places.0.remove(&attempt.place());
        counters.take_back_wide(attempt);
        if counters.known.len() >= ENTRIES_MAX {
            let oldest = counters.known.iter().min_by_key(|(_, at)| **at);
            let oldest = oldest.map(|(place, _)| *place);
            oldest.map(|place| counters.known.remove(&place));
        }
        counters.known.insert(attempt.place(), attempt.at);
    }

    /// Opens everything for `name`: whoever owns the machine said so.
    pub fn forgive(&self, name: &str) {
        let name = digest(name);
        let mut counters = self.counters();
        counters.names.0.remove(&name);
        counters.places.0.retain(|(counted, _), _| *counted != name);
    }

    /// Forgets what was quiet long enough, so that memory stays bounded.
    pub fn forget_quiet(&self, now: Timestamp) {
        let mut counters = self.counters();
        counters.places.forget(now);
        counters.addresses.forget(now);
        counters.names.forget(now);
        counters.known.retain(|_, at| now < at.plus(KNOWN));
    }

    fn counters(&self) -> std::sync::MutexGuard<'_, Counters> {
        self.counters
            .lock()
            .expect("nothing panics while it counts")
    }
}

/// Failures by whom they are counted for.
#[derive(Debug)]
struct Counter<K>(HashMap<K, Failures>);

impl<K> Default for Counter<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Timestamp,
    locked_until: Option<Timestamp>,
}

impl Failures {
    fn quiet_from(&self) -> Timestamp {
        self.locked_until
            .unwrap_or(self.last)
            .max(self.last)
            .plus(FORGET)
    }
}

impl<K: Copy + Eq + Hash> Counter<K> {
    fn locked_until(&self, who: &K) -> Option<Timestamp> {
        self.0.get(who)?.locked_until
    }

    /// One more failure; each beyond the last that is free locks twice as long.
    fn fail(&mut self, who: K, rule: LockRule, now: Timestamp) {
        let count = self.count(who, now);
        let over = count.checked_sub(rule.failures);
        let span = over.map(|over| rule.lock.saturating_mul(1 << over.min(DOUBLINGS)));
        self.lock(who, span.map(|span| now.plus(span)));
    }

    /// The same, but every lock is as long as the first.
    fn fail_flat(&mut self, who: K, rule: LockRule, now: Timestamp) {
        let full = self.count(who, now) >= rule.failures;
        self.lock(who, full.then(|| now.plus(rule.lock)));
    }

    fn count(&mut self, who: K, now: Timestamp) -> u32 {
        self.make_room(&who, now);
        let fresh = Failures {
            count: 0,
            last: now,
            locked_until: None,
        };
        let failures = self.0.entry(who).or_insert(fresh);
        if now >= failures.quiet_from() {
            *failures = fresh;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        failures.count
    }

    fn lock(&mut self, who: K, until: Option<Timestamp>) {
        if let Some(failures) = self.0.get_mut(&who) {
            failures.locked_until = until;
        }
    }

    fn take_back(&mut self, who: &K) {
        let Some(failures) = self.0.get_mut(who) else {
            return;
        };
        failures.count = failures.count.saturating_sub(1);
        failures.locked_until = None;
        if failures.count == 0 {
            self.0.remove(who);
        }
    }

    fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, failures| now < failures.quiet_from());
    }

    fn make_room(&mut self, who: &K, now: Timestamp) {
        if self.0.len() < ENTRIES_MAX || self.0.contains_key(who) {
            return;
        }
        self.forget(now);
        if self.0.len() >= ENTRIES_MAX {
            let quietest = self
                .0
                .iter()
                .min_by_key(|(_, failures)| failures.quiet_from());
            let quietest = quietest.map(|(who, _)| *who);
            quietest.map(|who| self.0.remove(&who));
        }
    }
}

#[cfg(test)]
#[path = "lockout_tests.rs"]
mod tests;
