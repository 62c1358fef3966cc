//! Who holds a connection: so many in all, so many of one address.
//!
//! When there is no seat left an idle connection is closed in favour of the newcomer, so that idle
//! connections, however many, keep nobody out: the one that has been idle longest of the address
//! that holds most, or of all when nobody holds more than one. One that is being answered is never
//! closed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::base::Household;

/// How often a newcomer looks again when nobody was idle.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long a request may take that began when its connection was to be closed.
const LAST_ANSWER: Duration = Duration::from_secs(30);

/// How many seats are given up at once when the system has no descriptors left.
const SPARE: usize = 8;

/// All connections of one server.
pub(super) struct Seats {
    opened: Instant,
    /// What was asked for.
    wanted: usize,
    most_per_address: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

/// The seats in the order of since when they were idle, as last seen; and by household.
///
/// A seat's place is corrected only when its turn comes: requests move nothing.
#[derive(Default)]
struct Taken {
    /// How many there are: what was asked for, or fewer.
    most: usize,
    next: u64,
    queue: BTreeMap<Place, Arc<Seat>>,
    households: HashMap<Household, BTreeMap<u64, Arc<Seat>>>,
    /// Households by how many seats they hold.
    by_size: BTreeSet<(usize, Household)>,
}

/// Microseconds after the seats were opened, and the seat's number.
type Place = (u64, u64);

/// One connection's seat. How many requests are being answered on it, and since when none is.
pub(super) struct Seat {
    seats: Arc<Seats>,
    household: Household,
    number: u64,
    /// Its place in the queue; changed under the lock only.
    queued_us: AtomicU64,
    idle_from_us: AtomicU64,
    busy: AtomicU32,
    closed: Notify,
}

/// A seat, given back when dropped.
pub(super) struct Seated(Arc<Seat>);

/// Whether an address may hold as many connections as there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// Only its share.
    Fair,
    /// All: behind a trusted proxy are many.
    Whole,
}

impl Seats {
    pub(super) fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        let taken = Taken {
            most: most.max(1),
            ..Taken::default()
        };
        Arc::new(Self {
            opened: Instant::now(),
            wanted: most.max(1),
            most_per_address: most_per_address.max(1),
            taken: Mutex::new(taken),
            freed: Notify::new(),
        })
    }

    /// A seat for a newcomer, as soon as there is one; `None` when its address has its share and
    /// all of that is busy.
    pub(super) async fn take(self: &Arc<Self>, from: Household, share: Share) -> Option<Seated> {
        loop {
            match self.try_take(from, share) {
                Took::Seat(seat) => return Some(Seated(seat)),
                Took::SeatOf(seat) => {
                    // Its descriptor should be gone before the next connection needs one.
                    self.freed().await;
                    return Some(Seated(seat));
                }
                Took::Nothing => return None,
                Took::Later => self.freed().await,
            }
        }
    }

    /// Closes some idle connections and goes on with fewer seats, at least half of what was asked
    /// for: the system has no descriptors left, and others than connections need some.
    pub(super) fn shrink(&self) -> usize {
        let mut taken = self.lock();
        let open = taken.queue.len();
        let fewer = open.saturating_sub(SPARE).max(self.wanted / 2);
        taken.most = taken.most.min(fewer.max(1));
        let (now_us, over) = (self.now_us(), open.saturating_sub(taken.most));
        let closed = (0..over.max(1)).map_while(|_| {
            let seat = taken.dispensable(now_us)?;
            taken.close(&seat).then_some(())
        });
        closed.count()
    }

    /// Waits until a seat is given back, but not for long.
    pub(super) async fn freed(&self) {
        // Nobody tells when a connection turns idle: that would cost every request.
        let _ = tokio::time::timeout(LOOK_AGAIN, self.freed.notified()).await;
    }

    fn try_take(self: &Arc<Self>, from: Household, share: Share) -> Took {
        let mut taken = self.lock();
        let closed = if share == Share::Fair && taken.count(from) >= self.most_per_address {
            match taken.longest_idle_of(from) {
                Some(seat) => seat,
                None => return Took::Nothing,
            }
        } else if taken.queue.len() >= taken.most {
            match taken.dispensable(self.now_us()) {
                Some(seat) => seat,
                None => return Took::Later,
            }
        } else {
            return Took::Seat(taken.seat(self, from));
        };
        taken.close(&closed);
        Took::SeatOf(taken.seat(self, from))
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Took {
    /// One that was free.
    Seat(Arc<Seat>),
    /// One whose connection is being closed.
    SeatOf(Arc<Seat>),
    Nothing,
    Later,
}

impl Taken {
    fn seat(&mut self, seats: &Arc<Seats>, household: Household) -> Arc<Seat> {
        let (now_us, number) = (seats.now_us(), self.next);
        self.next += 1;
        let seat = Arc::new(Seat {
            seats: Arc::clone(seats),
            household,
            number,
            queued_us: AtomicU64::new(now_us),
            idle_from_us: AtomicU64::new(now_us),
            busy: AtomicU32::new(0),
            closed: Notify::new(),
        });
        self.queue.insert((now_us, number), Arc::clone(&seat));
        let own = self.households.entry(household).or_default();
        self.by_size.remove(&(own.len(), household));
        own.insert(number, Arc::clone(&seat));
        self.by_size.insert((own.len(), household));
        seat
    }

    /// The seat that is to be given to another, if any is idle.
    fn dispensable(&mut self, now_us: u64) -> Option<Arc<Seat>> {
        let greediest = self.by_size.last().filter(|(count, _)| *count > 1);
        let of_it = greediest.and_then(|(_, household)| self.longest_idle_of(*household));
        of_it.or_else(|| self.longest_idle(now_us))
    }

    fn count(&self, household: Household) -> usize {
        self.households.get(&household).map_or(0, BTreeMap::len)
    }

    fn longest_idle_of(&self, household: Household) -> Option<Arc<Seat>> {
        let own = self.households.get(&household)?.values();
        let idle = own.filter_map(|seat| Some((seat.idle_from()?, seat)));
        let longest = idle.min_by_key(|(idle_from, _)| *idle_from);
        longest.map(|(_, seat)| Arc::clone(seat))
    }

    /// The seat that has been idle longest. Whoever was used since it was last seen goes back to
    /// where it belongs, and is looked at again only once a round.
    fn longest_idle(&mut self, now_us: u64) -> Option<Arc<Seat>> {
        while let Some(first) = self.queue.first_entry() {
            let (queued_us, number) = *first.key();
            match first.get().idle_from() {
                Some(idle_from) if idle_from <= queued_us => return Some(first.remove()),
                // All that follow were seen busy in this round.
                None if queued_us > now_us => return None,
                idle_from => {
                    let seat = first.remove();
                    let place = idle_from.unwrap_or(now_us + 1);
                    seat.queued_us.store(place, Ordering::Relaxed);
                    self.queue.insert((place, number), seat);
                }
            }
        }
        None
    }

    /// Takes a seat away and tells its connection, unless that was done before.
    fn close(&mut self, seat: &Arc<Seat>) -> bool {
        seat.closed.notify_one();
        self.remove(seat)
    }

    fn remove(&mut self, seat: &Seat) -> bool {
        let place = (seat.queued_us.load(Ordering::Relaxed), seat.number);
        self.queue.remove(&place);
        let Some(own) = self.households.get_mut(&seat.household) else {
            return false;
        };
        let before = own.len();
        if own.remove(&seat.number).is_none() {
            return false;
        }
        self.by_size.remove(&(before, seat.household));
        if own.is_empty() {
            self.households.remove(&seat.household);
        } else {
            self.by_size.insert((own.len(), seat.household));
        }
        true
    }
}

impl Seat {
    /// A request has arrived on it, and is being answered until this is dropped.
    pub(super) fn busy(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }

    /// Since when nothing is being answered on it.
    fn idle_from(&self) -> Option<u64> {
        let idle = self.busy.load(Ordering::Acquire) == 0;
        idle.then(|| self.idle_from_us.load(Ordering::Relaxed))
    }
}

/// One request that is being answered.
pub(super) struct Busy<'a>(&'a Seat);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let now_us = self.0.seats.now_us();
        self.0.idle_from_us.store(now_us, Ordering::Relaxed);
        self.0.busy.fetch_sub(1, Ordering::Release);
    }
}

impl Seated {
    /// The seat, for whoever answers on it.
    pub(super) fn seat(&self) -> Arc<Seat> {
        Arc::clone(&self.0)
    }

    /// Waits until the seat was given to another, and what had just begun on it is answered.
    pub(super) async fn closed(&self) {
        self.0.closed.notified().await;
        let answered = async {
            while self.0.idle_from().is_none() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        // Whoever asks on and on is not let stay by that.
        let _ = tokio::time::timeout(LAST_ANSWER, answered).await;
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.0.seats.lock().remove(&self.0);
        self.0.seats.freed.notify_one();
    }
}

#[cfg(test)]
#[path = "seats_tests.rs"]
mod tests;
