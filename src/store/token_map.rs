//! The tokens held in memory in front of sled: the hot ones, and what sled does not show yet.
//!
//! Invariant: whatever is put into the hot map is put there under the lock, after it was made sure
//! that nothing was revoked since it was read. So what is revoked under the lock stays away.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;

use super::tokens::{Session, TokenHash};
use super::{CacheChange, CacheTicket, Store, StoreError};
use crate::base::Uid;

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

/// A token that sled may not show rightly yet: its session, or `None` when it has gone.
pub(super) type Recent = (TokenHash, Option<Arc<Session>>);

/// See the module.
pub(super) struct TokenMap {
    hot: Cache<TokenHash, Arc<Session>>,
    recent: Mutex<Changes>,
}

/// A change that sled may not show yet: the session, or that it is gone.
struct Change {
    /// `None` until the journal has the deletion.
    ticket: Option<CacheTicket>,
    session: Option<Arc<Session>>,
}

#[derive(Default)]
struct Changes {
    changes: HashMap<TokenHash, Change>,
    order: VecDeque<(CacheTicket, TokenHash)>,
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
    }

    fn enter(&mut self, hash: TokenHash, ticket: CacheTicket, session: Option<Arc<Session>>) {
        let ticket = Some(ticket);
        self.changes.insert(hash, Change { ticket, session });
        self.order.extend(ticket.map(|ticket| (ticket, hash)));
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

    /// Takes up a new session and sends `batch` to sled; the user's recent tokens come back,
    /// this one too, and all that have gone.
    ///
    /// The session of a user whose tokens were ended meanwhile is dead from the start.
    pub(super) fn add(
        &self,
        (hash, session): (TokenHash, Arc<Session>),
        store: &Store,
        batch: Vec<CacheChange>,
    ) -> Result<Vec<Recent>, StoreError> {
        let mut recent = self.recent();
        recent.settle(store.cache_applied());
        if recent.is_ended(&session) {
            return Ok(vec![]);
        }
        let uid = session.uid();
        let ticket = store.cache_write(batch)?;
        self.hot.insert(hash, Arc::clone(&session));
        recent.enter(hash, ticket, Some(session));
        let of_user = recent.changes.iter().filter(|(_, change)| {
            let session = change.session.as_ref();
            session.is_none_or(|session| session.uid() == uid)
        });
        let of_user = of_user.map(|(hash, change)| (*hash, change.session.clone()));
        Ok(of_user.collect())
    }

    /// Lets go of tokens without the journal and sends `batch`, their deletion, to sled.
    pub(super) fn drop_all(
        &self,
        hashes: &[TokenHash],
        store: &Store,
        batch: Vec<CacheChange>,
    ) -> Result<(), StoreError> {
        let mut recent = self.recent();
        recent.revoked = recent.revoked.wrapping_add(1);
        let ticket = store.cache_write(batch)?;
        for hash in hashes {
            self.hot.remove(hash);
            recent.enter(*hash, ticket, None);
        }
        Ok(())
    }

    /// Lets go of a token whose deletion is about to be journaled.
    pub(super) fn revoke(&self, hash: TokenHash) {
        let mut recent = self.recent();
        recent.revoked = recent.revoked.wrapping_add(1);
        self.hot.remove(&hash);
        let gone = Change {
            ticket: None,
            session: None,
        };
        recent.changes.insert(hash, gone);
    }

    /// The deletion of a revoked token is in the journal and in sled.
    pub(super) fn revoked(&self, hash: TokenHash) {
        self.recent().changes.remove(&hash);
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
