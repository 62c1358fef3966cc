//! Login tokens: a cache in sled with a memory map in front, kept under the token's digest.
//!
//! A token is written without waiting and not journaled; its revocation is journaled and reaches
//! memory before the answer. It is expired by its stored time, not by the sweep.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::codec::collect;
use super::records::{TokenRecord, TokenV1, UserRecord, UserTokensRecord};
use super::sealed::{Place, Sealed};
use super::token_map::{Known, Made, NewToken, TokenMap};
use super::{Store, StoreError, View, codec, keys};
use crate::base::cipher::{CannotOpen, FieldKey};
use crate::base::{AppId, OpenId, Secret, Timestamp, Uid, hash};
use crate::model::User;

/// The most tokens a user holds; a new one beyond that ends the oldest.
pub const TOKENS_MAX: usize = 20;

/// How many tokens one [`Tokens::sweep`] removes at most.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenHash(pub(super) [u8; 16]);

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
}

impl Tokens {
    /// How many sessions are held in memory.
    pub fn hot(&self) -> usize {
        self.map.len()
    }

    /// The tokens that `store` keeps.
    pub fn new(store: Store, field_key: FieldKey) -> Self {
        Self {
            store,
            field_key,
            map: TokenMap::new(),
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
        let record = TokenRecord::V1(TokenV1 {
            appid: new.user.appid,
            openid: new.user.openid,
            session_key,
            uid: new.user.uid,
            scope: new.scope,
            issued_at: new.issued_at,
            expires_at: new.expires_at,
            generation: new.user.token_generation,
        });
        let key = keys::token(&hash.0);
        let value = codec::value(&key, &record);
        let TokenRecord::V1(token) = record;
        let uid = token.uid;
        let mut new = NewToken {
            hash,
            session: Arc::new(Session(token)),
            change: (key, Some(value)),
        };
        while self.map.add(&mut new, &self.store)? == Made::NeedsList {
            self.hold(uid).await?;
        }
        Ok(())
    }

    /// Brings a user's list of tokens into memory.
    async fn hold(&self, uid: Uid) -> Result<(), StoreError> {
        let seen = self.map.lists_seen();
        let read = self.store.read(move |view| -> Result<_, StoreError> {
            codec::get::<UserTokensRecord>(view, &keys::user_tokens(uid))
        });
        let list = read.await?.map(|UserTokensRecord::V1(list)| list);
        self.map.hold(uid, list.unwrap_or_default(), seen);
        Ok(())
    }

    /// Ends one token: when this returns `Ok` it is dead for good, also after a crash.
    ///
    /// # Errors
    /// [`StoreError`]; the token is dead in this process even so.
    pub async fn revoke(&self, hash: TokenHash, session: &Session) -> Result<(), StoreError> {
        let uid = session.uid();
        while self.map.revoke(hash, uid, &self.store) == Made::NeedsList {
            self.hold(uid).await?;
        }
        let deleted = self.store.write(move |tx| -> Result<(), StoreError> {
            tx.delete(keys::token(&hash.0));
            Ok(())
        });
        deleted.await
    }

    /// Ends all tokens of a user, to be called once the user is on disk with a raised generation
    /// ([`User::tokens_ended`]) and before the answer.
    pub fn end_all(&self, user: &User) {
        self.map.end_all(user.uid, user.token_generation);
    }

    /// Removes at most [`SWEEP_MAX`] tokens that expired at `now`; tells how many, where a user
    /// with nothing to remove counts for one: as many as the most means that there may be more.
    /// The caller leaves 100 ms between two sweeps, so that payments never wait for it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        let range = keys::token_sweeps_until(now);
        let read = self
            .store
            .read(move |view| -> Result<_, StoreError> { collect(view, &range, SWEEP_MAX) });
        let entries = read.await?;
        let due = entries
            .iter()
            .filter_map(|(key, _)| keys::token_sweep_parts(key));
        let due: Vec<_> = due.collect();
        for (_, uid) in &due {
            if !self.map.holds(*uid) {
                self.hold(*uid).await?;
            }
        }
        self.map.sweep(&due, now, &self.store)
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

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
