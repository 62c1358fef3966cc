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
