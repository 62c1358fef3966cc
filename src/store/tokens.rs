//! Login tokens: a cache in sled with a memory map in front, kept under the token's digest.
//!
//! A token is written without waiting and not journaled; its revocation is journaled and reaches
//! memory before the answer. It is expired by its stored time, not by the sweep.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::codec::collect;
use super::records::{TokenRecord, TokenV1, UserRecord};
use super::sealed::{Place, Sealed};
use super::token_map::{Known, Recent, TokenMap};
use super::{CacheChange, KeyRange, Store, StoreError, View, codec, keys};
use crate::base::cipher::{CannotOpen, FieldKey};
use crate::base::{AppId, OpenId, Secret, Timestamp, Uid, hash};
use crate::model::User;

/// The most tokens a user holds; a new one beyond that ends the oldest.
pub const TOKENS_MAX: usize = 20;

/// How many tokens one [`Tokens::sweep`] removes.
pub const SWEEP_MAX: usize = 200;

/// What a token lets its bearer do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// What a buyer may do with what is theirs.
    User,
}

impl Scope {
    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
        }
    }
}

/// What is kept of a token: the first half of its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 16]);

impl TokenHash {
    /// The digest of a token as it came.
    pub fn of(token: &str) -> Self {
        let [first @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            hash::sha256(token.as_bytes());
        Self(first)
    }
}

/// What a token stands for.
pub struct Session(TokenV1);

impl Session {
    /// Whose it is.
    pub fn uid(&self) -> Uid {
        self.0.uid
    }

    /// The mini program it was given in.
    pub fn appid(&self) -> &AppId {
        &self.0.appid
    }

    /// The user's openid in that mini program.
    pub fn openid(&self) -> &OpenId {
        &self.0.openid
    }

    /// What it lets its bearer do.
    pub fn scope(&self) -> Scope {
        self.0.scope
    }

    /// When it was given.
    pub fn issued_at(&self) -> Timestamp {
        self.0.issued_at
    }

    /// From when on it is dead.
    pub fn expires_at(&self) -> Timestamp {
        self.0.expires_at
    }

    /// WeChat's session_key of this login, opened.
    ///
    /// # Errors
    /// [`CannotOpen`] when it was sealed by another field key.
    pub fn session_key(&self, field_key: &FieldKey) -> Result<Secret<String>, CannotOpen> {
        let text = self
            .0
            .session_key
            .open_bytes(field_key, &place(&self.0.openid))?;
        String::from_utf8(text)
            .map(Secret::new)
            .map_err(|_| CannotOpen)
    }

    pub(super) fn generation(&self) -> u64 {
        self.0.generation
    }

    fn lives(&self, now: Timestamp) -> bool {
        now < self.0.expires_at
    }

    /// The keys of the token and its two indexes.
    fn keys(&self, hash: TokenHash) -> [Vec<u8>; 3] {
        let TokenV1 {
            uid,
            number,
            expires_at,
            ..
        } = &self.0;
        [
            keys::token(&hash.0),
            keys::token_expiry(*expires_at, &hash.0),
            keys::user_token(*uid, *number, &hash.0),
        ]
    }
}

fn place(openid: &OpenId) -> Place<'_> {
    Place("session key", openid.as_str().as_bytes())
}

/// A login that a token is given for.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The user as just read; a later [`Tokens::end_all`] ends this token too.
    pub user: User,
    /// WeChat's session_key of this login.
    pub session_key: Secret<String>,
    /// What the token lets its bearer do.
    pub scope: Scope,
    /// When it is given.
    pub issued_at: Timestamp,
    /// From when on it is dead.
    pub expires_at: Timestamp,
}

/// The tokens of a store. One of it for each [`Store`]; share it in an `Arc`.
pub struct Tokens {
    store: Store,
    field_key: FieldKey,
    map: TokenMap,
    /// The number of the newest token.
    newest: AtomicU64,
}

/// An expired token, with its keys.
type Expired = (TokenHash, Vec<Vec<u8>>);

/// A token's place among all tokens, oldest first.
type Turn = (u64, TokenHash);

impl Tokens {
    /// The tokens that `store` keeps.
    pub fn new(store: Store, field_key: FieldKey) -> Self {
        Self {
            store,
            field_key,
            map: TokenMap::new(),
            newest: AtomicU64::new(0),
        }
    }

    /// The session of a token that is alive at `now`; in memory for those in use, else one get of
    /// the token and one of its user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lookup(
        &self,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Option<Arc<Session>>, StoreError> {
        if let Some(session) = self.map.hot(hash) {
            return Ok(Some(session).filter(|session| session.lives(now)));
        }
        let revoked = match self.map.known(hash, &self.store) {
            Known::Alive(session) => return Ok(Some(session).filter(|session| session.lives(now))),
            Known::Dead => return Ok(None),
            Known::Unknown(revoked) => revoked,
        };
        let kept = self.store.read(move |view| kept(view, hash)).await?;
        let session = kept.filter(|session| session.lives(now)).map(Arc::new);
        if let Some(session) = &session {
            self.map.found(hash, session, revoked);
        }
        Ok(session)
    }

    /// Keeps a new token, good from now on; the user's oldest beyond [`TOKENS_MAX`] go.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn issue(&self, hash: TokenHash, new: NewSession) -> Result<(), StoreError> {
        let sealed = new.session_key.reveal().as_bytes();
        let session_key = Sealed::bytes(&self.field_key, &place(&new.user.openid), sealed);
        let session = Arc::new(Session(TokenV1 {
            appid: new.user.appid,
            openid: new.user.openid,
            session_key,
            uid: new.user.uid,
            scope: new.scope,
            issued_at: new.issued_at,
            expires_at: new.expires_at,
            generation: new.user.token_generation,
            number: self.next_number(new.issued_at),
        }));
        let [token, expiry, of_user] = session.keys(hash);
        let record = TokenRecord::V1(session.0.clone());
        let value = codec::value(&token, &record);
        let batch = vec![
            (token, Some(value)),
            (expiry, Some(vec![])),
            (of_user, Some(vec![])),
        ];
        let uid = session.uid();
        let recent = self.map.add((hash, session), &self.store, batch)?;
        self.trim(uid, recent).await
    }

    /// A number above all before it, also when the clock was set back, and after a restart too.
    fn next_number(&self, now: Timestamp) -> u64 {
        let seconds = u64::try_from(now.unix()).unwrap_or(0);
        let next = |newest: u64| newest.saturating_add(1).max(seconds << 20);
        let before = self
            .newest
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(next(n)));
        next(before.unwrap_or(0))
    }

    /// Ends the oldest tokens of a user beyond [`TOKENS_MAX`].
    ///
    /// Whoever comes last sees all, and nobody ends one of the newest: so logins at once agree.
    async fn trim(&self, uid: Uid, recent: Vec<Recent>) -> Result<(), StoreError> {
        let read = self.store.read(move |view| -> Result<_, StoreError> {
            collect(view, &KeyRange::prefix(&keys::user_tokens(uid)), usize::MAX)
        });
        let kept = read.await?;
        let mut turns: BTreeSet<Turn> = kept.iter().filter_map(|(key, _)| turn(key)).collect();
        for (hash, session) in recent {
            match session {
                Some(session) => {
                    turns.insert((session.0.number, hash));
                }
                None => turns.retain(|(_, of)| *of != hash),
            }
        }
        let excess = turns.len().saturating_sub(TOKENS_MAX);
        if excess == 0 {
            return Ok(());
        }
        let oldest = turns.into_iter().take(excess);
        let (hashes, batch): (Vec<_>, Vec<_>) = oldest
            .map(|(number, hash)| {
                let of_user = keys::user_token(uid, number, &hash.0);
                (hash, [(keys::token(&hash.0), None), (of_user, None)])
            })
            .unzip();
        let batch = batch.into_iter().flatten().collect();
        self.map.drop_all(&hashes, &self.store, batch)
    }

    /// Ends one token: when this returns `Ok` it is dead for good, also after a crash.
    ///
    /// # Errors
    /// [`StoreError`]; the token is dead in this process even so.
    pub async fn revoke(&self, hash: TokenHash, session: &Session) -> Result<(), StoreError> {
        self.map.revoke(hash);
        let [token, _, of_user] = session.keys(hash);
        let deleted = self.store.write(move |tx| -> Result<(), StoreError> {
            tx.delete(token.clone());
            tx.delete(of_user.clone());
            Ok(())
        });
        deleted.await?;
        self.map.revoked(hash);
        Ok(())
    }

    /// Ends all tokens of a user, to be called once the user is on disk with a raised generation
    /// ([`User::tokens_ended`]) and before the answer.
    pub fn end_all(&self, user: &User) {
        self.map.end_all(user.uid, user.token_generation);
    }

    /// Removes at most [`SWEEP_MAX`] tokens that expired at `now`; tells how many. The caller
    /// leaves 100 ms between two sweeps, so that payments never wait for it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        let expired = self.store.read(move |view| expired(view, now)).await?;
        let hashes: Vec<TokenHash> = expired.iter().map(|(hash, _)| *hash).collect();
        let batch = expired.into_iter().flat_map(|(_, keys)| keys);
        let batch: Vec<CacheChange> = batch.map(|key| (key, None)).collect();
        if !hashes.is_empty() {
            self.map.drop_all(&hashes, &self.store, batch)?;
        }
        Ok(hashes.len())
    }
}

/// What sled keeps of a token, unless its user's tokens were ended after it was given.
fn kept(view: &View<'_>, hash: TokenHash) -> Result<Option<Session>, StoreError> {
    let Some(TokenRecord::V1(token)) = codec::get(view, &keys::token(&hash.0))? else {
        return Ok(None);
    };
    let user = codec::get::<UserRecord>(view, &keys::user(token.uid))?;
    let generation = user.map(|UserRecord::V1(user)| user.token_generation);
    Ok((generation == Some(token.generation)).then_some(Session(token)))
}

/// The tokens that expired at `now`, each with its keys. An entry whose token has gone before is
/// all that is left of it.
fn expired(view: &View<'_>, now: Timestamp) -> Result<Vec<Expired>, StoreError> {
    let mut expired = vec![];
    for (entry, _) in collect(view, &keys::tokens_expired(now), SWEEP_MAX)? {
        let Some(hash) = keys::token_digest(&entry).map(TokenHash) else {
            continue;
        };
        let mut keys = vec![entry];
        if let Some(TokenRecord::V1(token)) = codec::get(view, &keys::token(&hash.0))? {
            keys.extend(Session(token).keys(hash));
        }
        expired.push((hash, keys));
    }
    Ok(expired)
}

fn turn(key: &[u8]) -> Option<Turn> {
    let number = keys::user_token_number(key)?;
    Some((number, TokenHash(keys::token_digest(key)?)))
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
