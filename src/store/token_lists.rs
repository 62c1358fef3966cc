//! The lists of users' tokens held in memory: those that sled may not show yet, and those of the
//! latest logins. What a list says of a new token, a revoked one and a sweep is here too.

use std::collections::{HashMap, VecDeque};

use super::CacheTicket;
use super::records::UserTokensV1;
use super::tokens::{TOKENS_MAX, TokenHash};
use crate::base::{Timestamp, Uid};

/// How many lists are held besides those that sled may not show yet; about 16 MB.
const HELD_MAX: usize = 16 << 10;

/// See the module. A list that is held is right, whatever sled shows.
#[derive(Default)]
pub(super) struct Lists {
    held: HashMap<Uid, Held>,
    /// The latest turn of each list is in here, oldest first.
    turns: VecDeque<(u64, Uid)>,
    turn: u64,
    /// Counts lists let go, so that a slow reader of sled learns that its list may be stale.
    forgotten: u64,
}

struct Held {
    turn: u64,
    /// The batch that shows it in sled; `None` when it came from there.
    ticket: Option<CacheTicket>,
    list: UserTokensV1,
}

impl Lists {
    /// To be asked before a list is read in sled, and brought to [`Lists::hold`] with it.
    pub(super) fn seen(&self) -> u64 {
        self.forgotten
    }

    /// Holds what sled said, unless it is held already or may have changed since `seen`.
    pub(super) fn hold(&mut self, uid: Uid, list: UserTokensV1, seen: u64) {
        if seen == self.forgotten && !self.held.contains_key(&uid) {
            self.keep(uid, None, list);
        }
    }

    pub(super) fn holds(&self, uid: Uid) -> bool {
        self.held.contains_key(&uid)
    }

    /// Takes a list out, to be changed and brought back with [`Lists::keep`].
    pub(super) fn take(&mut self, uid: Uid) -> Option<UserTokensV1> {
        self.held.remove(&uid).map(|held| held.list)
    }

    pub(super) fn keep(&mut self, uid: Uid, ticket: Option<CacheTicket>, list: UserTokensV1) {
        self.turn += 1;
        let turn = self.turn;
        self.held.insert(uid, Held { turn, ticket, list });
        self.turns.push_back((turn, uid));
    }

    /// Lets go of the lists that were used longest ago, none that sled may not show yet.
    pub(super) fn settle(&mut self, applied: CacheTicket) {
        while self.turns.len() > HELD_MAX
            && let Some((turn, uid)) = self.turns.front().copied()
        {
            if let Some(held) = self.held.get(&uid).filter(|held| held.turn == turn) {
                if held.ticket.is_some_and(|ticket| ticket > applied) {
                    return;
                }
                self.held.remove(&uid);
                self.forgotten += 1;
            }
            self.turns.pop_front();
        }
    }
}

impl UserTokensV1 {
    /// Adds a token given at `now`. Those that go come back: the expired, and the oldest beyond
    /// [`TOKENS_MAX`].
    pub(super) fn add(
        &mut self,
        (hash, expires_at): (TokenHash, Timestamp),
        now: Timestamp,
    ) -> Vec<TokenHash> {
        let mut gone = vec![];
        self.tokens.retain(|(of, until)| {
            let lives = now < *until;
            if !lives {
                gone.push(*of);
            }
            lives && *of != hash
        });
        let excess = (self.tokens.len() + 1).saturating_sub(TOKENS_MAX);
        gone.extend(self.tokens.drain(..excess).map(|(of, _)| of));
        gone.retain(|of| *of != hash);
        self.tokens.push((hash, expires_at));
        gone
    }

    /// Removes a revoked token.
    pub(super) fn remove(&mut self, hash: TokenHash) {
        self.tokens.retain(|(of, _)| *of != hash);
    }

    /// Removes at most `limit` tokens that expired at `now`. Once none is left of those, the next
    /// sweep is due when all others have expired: so a user is swept once in a token's life.
    pub(super) fn sweep(&mut self, now: Timestamp, limit: usize) -> Vec<TokenHash> {
        let mut gone = vec![];
        self.tokens.retain(|(hash, until)| {
            let goes = *until <= now && gone.len() < limit;
            if goes {
                gone.push(*hash);
            }
            !goes
        });
        if self.tokens.iter().all(|(_, until)| now < *until) {
            self.sweep_at = self.tokens.iter().map(|(_, until)| *until).max();
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::samples::at;

    fn hash(n: i64) -> TokenHash {
        TokenHash::of(&format!("token {n}"))
    }

    fn list(expiries: &[i64]) -> UserTokensV1 {
        let tokens = expiries.iter().map(|n| (hash(*n), at(*n)));
        UserTokensV1 {
            sweep_at: Some(at(10)),
            tokens: tokens.collect(),
        }
    }

    #[test]
    fn a_new_token_displaces_the_expired_and_the_oldest_and_never_itself() {
        let full: Vec<i64> = (11..31).collect();
        let cases = [
            (list(&[]), 50, 5, vec![]),
            (list(&[10, 20, 15]), 50, 15, vec![10, 15]),
            (list(&full), 50, 5, vec![11]),
            (list(&full), 50, 12, vec![11, 12]),
            (list(&full), 20, 5, vec![]),
            (list(&full), 20, 20, (11..20).collect()),
        ];
        for (mut list, new, now, want) in cases {
            let gone = list.add((hash(new), at(new)), at(now));
            let want: Vec<_> = want.into_iter().map(hash).collect();
            assert_eq!(gone, want, "{new} at {now}");
            assert_eq!(list.tokens.last(), Some(&(hash(new), at(new))));
            assert!(list.tokens.len() <= TOKENS_MAX);
        }
    }

    #[test]
    fn a_sweep_stays_due_until_no_expired_token_is_left() {
        let mut list = list(&[1, 30, 2, 20, 3]);
        assert_eq!(list.sweep(at(10), 2), [hash(1), hash(2)]);
        assert_eq!(list.sweep_at, Some(at(10)));
        assert_eq!(list.sweep(at(10), 2), [hash(3)]);
        assert_eq!(list.sweep_at, Some(at(30)));
        assert_eq!(list.sweep(at(30), 2), [hash(30), hash(20)]);
        assert_eq!(list.sweep_at, None);
    }

    #[test]
    fn lists_are_let_go_by_last_use_but_not_before_sled_shows_them() {
        let store = Store::memory();
        let before = store.cache_applied();
        let ticket = store.cache_write(vec![]).ok();
        let mut lists = Lists::default();
        let most = u64::try_from(HELD_MAX).expect("a small number");
        for uid in 0..most + 2 {
            lists.keep(Uid::new(uid), ticket, list(&[]));
        }
        let first = lists.take(Uid::new(0)).unwrap_or_default();
        lists.keep(Uid::new(0), ticket, first);
        let seen = lists.seen();
        lists.settle(before);
        assert_eq!(lists.held.len(), HELD_MAX + 2);
        lists.settle(store.cache_applied());
        assert!(lists.turns.len() <= HELD_MAX);
        assert!(lists.holds(Uid::new(0)));
        assert!(!lists.holds(Uid::new(1)));
        lists.hold(Uid::new(1), list(&[]), seen);
        assert!(!lists.holds(Uid::new(1)), "it may have changed since");
        lists.hold(Uid::new(1), list(&[]), lists.seen());
        assert!(lists.holds(Uid::new(1)));
    }
}
