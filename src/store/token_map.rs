//! The tokens held in memory in front of sled: the hot ones, and what sled does not show yet.
//!
//! Invariant: whatever is put into the hot map is put there under the lock, after it was made sure
//! that nothing was revoked since it was read. So what is revoked under the lock stays away.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;

use super::records::{UserTokensRecord, UserTokensV1};
use super::token_lists::Lists;
use super::tokens::{SWEEP_MAX, Session, TokenHash};
use super::{CacheChange, CacheTicket, Store, StoreError, codec, keys};
use crate::base::{Timestamp, Uid};

/// The most sessions in the hot map.
const HOT_MAX: usize = 100_000;

/// What memory knows of a token.
pub(super) enum Known {
    /// It is this session's.
    Alive(Arc<Session>),
    /// It was revoked or has gone; what sled still shows of it does not count.
    Dead,
    /// Nothing; ask sled, and bring this number back with what it says.
    Unknown(u64),
}

/// A token about to be taken up.
pub(super) struct NewToken {
    pub(super) hash: TokenHash,
    pub(super) session: Arc<Session>,
    /// Its record, for sled.
    pub(super) change: CacheChange,
}

/// Whether a change was made, or must be tried again once the user's list is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    Yes,
    NeedsList,
}

/// See the module.
pub(super) struct TokenMap {
    hot: Cache<TokenHash, Arc<Session>>,
    recent: Mutex<Changes>,
}

/// A change that sled may not show yet: the session, or that it is gone.
struct Change {
    /// `None` when sled will never show it: the store is ending.
    ticket: Option<CacheTicket>,
    session: Option<Arc<Session>>,
}

#[derive(Default)]
struct Changes {
    changes: HashMap<TokenHash, Change>,
    order: VecDeque<(CacheTicket, TokenHash)>,
    lists: Lists,
    /// Counts revocations, so that a slow reader of sled learns that its answer may be stale.
    revoked: u64,
    /// The lowest living generation of users whose tokens were ended by this process.
    floors: HashMap<Uid, u64>,
}

impl Changes {
    /// Forgets the changes that sled shows by now.
    fn settle(&mut self, applied: CacheTicket) {
        while let Some((ticket, hash)) = self.order.front().copied()
            && ticket <= applied
        {
            self.order.pop_front();
            let current = self.changes.get(&hash).and_then(|change| change.ticket);
            if current == Some(ticket) {
                self.changes.remove(&hash);
            }
        }
        self.lists.settle(applied);
    }

    fn enter(&mut self, hash: TokenHash, ticket: CacheTicket, session: Option<Arc<Session>>) {
        let ticket = Some(ticket);
        self.changes.insert(hash, Change { ticket, session });
        self.order.extend(ticket.map(|ticket| (ticket, hash)));
    }

    /// A token is gone, and sled will never show it.
    fn bury(&mut self, hash: TokenHash) {
        let gone = Change {
            ticket: None,
            session: None,
        };
        self.changes.insert(hash, gone);
    }

    fn is_ended(&self, session: &Session) -> bool {
        let floor = self.floors.get(&session.uid());
        floor.is_some_and(|floor| session.generation() < *floor)
    }
}

impl TokenMap {
    pub(super) fn new() -> Self {
        Self {
            hot: Cache::new(HOT_MAX),
            recent: Mutex::default(),
        }
    }

    fn recent(&self) -> MutexGuard<'_, Changes> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many sessions are held.
    pub(super) fn len(&self) -> usize {
        self.hot.len()
    }

    /// The session of a token in use: one look into the hot map.
    pub(super) fn hot(&self, hash: TokenHash) -> Option<Arc<Session>> {
        self.hot.get(&hash)
    }

    /// What memory knows of a token that is not hot.
    pub(super) fn known(&self, hash: TokenHash, store: &Store) -> Known {
        let mut recent = self.recent();
        recent.settle(store.cache_applied());
        match recent.changes.get(&hash) {
            Some(Change { session, .. }) => match session {
                Some(session) => Known::Alive(Arc::clone(session)),
                None => Known::Dead,
            },
            None => Known::Unknown(recent.revoked),
        }
    }

    /// Makes hot what sled said, unless something was revoked since [`Known::Unknown`].
    pub(super) fn found(&self, hash: TokenHash, session: &Arc<Session>, revoked: u64) {
        let recent = self.recent();
        if recent.revoked == revoked {
            self.hot.insert(hash, Arc::clone(session));
        }
    }

    /// To be asked before a user's list is read in sled, and brought to [`TokenMap::hold`] with it.
    pub(super) fn lists_seen(&self) -> u64 {
        self.recent().lists.seen()
    }

    /// Whether the user's list is held.
    pub(super) fn holds(&self, uid: Uid) -> bool {
        self.recent().lists.holds(uid)
    }

    /// Holds the user's list as sled said it, unless it may have changed since.
    pub(super) fn hold(&self, uid: Uid, list: UserTokensV1, seen: u64) {
        self.recent().lists.hold(uid, list, seen);
    }

    /// Takes up a new session and sends it to sled; those that it displaces are gone from now on.
    ///
    /// The session of a user whose tokens were ended meanwhile is dead from the start.
    pub(super) fn add(&self, new: &mut NewToken, store: &Store) -> Result<Made, StoreError> {
        let mut recent = self.recent();
        recent.settle(store.cache_applied());
        let session = &new.session;
        if recent.is_ended(session) {
            return Ok(Made::Yes);
        }
        let uid = session.uid();
        let Some(mut list) = recent.lists.take(uid) else {
            return Ok(Made::NeedsList);
        };
        let token = (new.hash, session.expires_at());
        let gone = list.add(token, session.issued_at());
        let mut batch = Vec::with_capacity(3 + gone.len());
        batch.push(std::mem::take(&mut new.change));
        batch.extend(gone.iter().map(|hash| (keys::token(&hash.0), None)));
        if list.sweep_at.is_none() {
            list.sweep_at = Some(session.expires_at());
            batch.push((keys::token_sweep(session.expires_at(), uid), Some(vec![])));
        }
        let list = listed(uid, list, &mut batch);
        let ticket = store.cache_write(batch)?;
        recent.lists.keep(uid, Some(ticket), list);
        self.hot.insert(new.hash, Arc::clone(session));
        recent.enter(new.hash, ticket, Some(Arc::clone(session)));
        self.let_go(&mut recent, &gone, ticket);
        Ok(Made::Yes)
    }

    /// Lets go of a token whose deletion is about to be journaled.
    ///
    /// It is deleted in sled without the journal too, so that its ticket tells when sled no longer
    /// shows it, whatever becomes of the caller.
    pub(super) fn revoke(&self, hash: TokenHash, uid: Uid, store: &Store) -> Made {
        let mut recent = self.recent();
        recent.settle(store.cache_applied());
        recent.revoked = recent.revoked.wrapping_add(1);
        self.hot.remove(&hash);
        let mut batch = vec![(keys::token(&hash.0), None)];
        let list = recent.lists.take(uid).map(|mut list| {
            list.remove(hash);
            listed(uid, list, &mut batch)
        });
        let made = list.as_ref().map_or(Made::NeedsList, |_| Made::Yes);
        // A store that is ending tells so when the deletion is to be journaled.
        let ticket = store.cache_write(batch).ok();
        if let Some(list) = list {
            recent.lists.keep(uid, ticket, list);
        }
        match ticket {
            Some(ticket) => recent.enter(hash, ticket, None),
            None => recent.bury(hash),
        }
        made
    }

    /// Sweeps the tokens of the users whose sweep is `due`, [`SWEEP_MAX`] at most; a user with none
    /// counts for one. Users whose lists are not held are left for the next time.
    pub(super) fn sweep(
        &self,
        due: &[(Timestamp, Uid)],
        now: Timestamp,
        store: &Store,
    ) -> Result<usize, StoreError> {
        let mut recent = self.recent();
        recent.settle(store.cache_applied());
        let (mut batch, mut lists, mut gone, mut count) = (vec![], vec![], vec![], 0);
        for &(at, uid) in due {
            let room = SWEEP_MAX.saturating_sub(count);
            if room == 0 {
                break;
            }
            let Some(mut list) = recent.lists.take(uid) else {
                continue;
            };
            let swept = sweep_user(&mut list, (at, uid), (now, room), &mut batch);
            count += swept.len().max(1);
            gone.extend(swept);
            lists.push((uid, listed(uid, list, &mut batch)));
        }
        if count > 0 {
            batch.extend(gone.iter().map(|hash| (keys::token(&hash.0), None)));
            let ticket = store.cache_write(batch)?;
            for (uid, list) in lists {
                recent.lists.keep(uid, Some(ticket), list);
            }
            self.let_go(&mut recent, &gone, ticket);
        }
        Ok(count)
    }

    /// Lets go of tokens whose deletion is on its way to sled.
    fn let_go(&self, recent: &mut Changes, gone: &[TokenHash], ticket: CacheTicket) {
        if !gone.is_empty() {
            recent.revoked = recent.revoked.wrapping_add(1);
        }
        for hash in gone {
            self.hot.remove(hash);
            recent.enter(*hash, ticket, None);
        }
    }

    /// Lets go of all of a user's tokens older than `generation`.
    pub(super) fn end_all(&self, uid: Uid, generation: u64) {
        let mut recent = self.recent();
        recent.revoked = recent.revoked.wrapping_add(1);
        let floor = recent.floors.entry(uid).or_default();
        *floor = generation.max(*floor);
        let floor = *floor;
        let lives = |session: &Session| session.uid() != uid || session.generation() >= floor;
        self.hot.retain(|_, session| lives(session));
        for change in recent.changes.values_mut() {
            change.session = change.session.take().filter(|session| lives(session));
        }
    }
}

/// Adds to `batch` that sled shall keep `list`, or nothing when it says nothing.
fn listed(uid: Uid, list: UserTokensV1, batch: &mut Vec<CacheChange>) -> UserTokensV1 {
    let key = keys::user_tokens(uid);
    if list.sweep_at.is_none() {
        batch.push((key, None));
        return list;
    }
    let record = UserTokensRecord::V1(list);
    let value = codec::value(&key, &record);
    batch.push((key, Some(value)));
    let UserTokensRecord::V1(list) = record;
    list
}

/// Sweeps one user, whose sweep was due at `at`; adds to `batch` when the next one is.
fn sweep_user(
    list: &mut UserTokensV1,
    (at, uid): (Timestamp, Uid),
    (now, room): (Timestamp, usize),
    batch: &mut Vec<CacheChange>,
) -> Vec<TokenHash> {
    let mut gone = vec![];
    if list.sweep_at == Some(at) {
        gone = list.sweep(now, room);
    }
    if list.sweep_at != Some(at) {
        batch.push((keys::token_sweep(at, uid), None));
        if let Some(next) = list.sweep_at {
            batch.push((keys::token_sweep(next, uid), Some(vec![])));
        }
    }
    gone
}
