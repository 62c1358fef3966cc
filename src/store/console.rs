//! Console sessions: a record a login, kept under the digest of its token.
//!
//! They are journaled: a session that was ended stays ended, whatever happens to the machine. One
//! is dead by its stored time or when its admin's generation has moved on, not by the sweep.

use serde::{Deserialize, Serialize};

use super::codec::{self, Record, collect};
use super::{KeyRange, Read, StoreError, Tx, keys, staff};
use crate::base::Timestamp;

/// How many sessions one look of the sweep is about.
pub const SWEEP_MAX: usize = 200;

/// Who is logged in, since when and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleSession {
    /// The admin's name.
    pub admin: String,
    /// Which of their generations it was given in.
    pub generation: u64,
    /// When it was given.
    pub created_at: Timestamp,
    /// From when on it is dead.
    pub expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
pub(super) enum ConsoleSessionRecord {
    V1(ConsoleSession),
}

impl Record for ConsoleSessionRecord {
    const KIND: &'static str = "console session";
}

/// The live session of the token with this SHA-256: one get, and one of its admin.
///
/// # Errors
/// [`StoreError`].
pub fn live(
    read: &impl Read,
    digest: &[u8; 32],
    now: Timestamp,
) -> Result<Option<ConsoleSession>, StoreError> {
    let record = codec::get::<ConsoleSessionRecord>(read, &keys::console_session(digest))?;
    let Some(ConsoleSessionRecord::V1(session)) = record else {
        return Ok(None);
    };
    let generation = staff::generation(read, &session.admin)?;
    let lives = now < session.expires_at && generation == Some(session.generation);
    Ok(lives.then_some(session))
}

/// Keeps a session under the SHA-256 of its token.
///
/// # Errors
/// [`StoreError`].
pub fn put(tx: &mut Tx<'_>, digest: &[u8; 32], session: &ConsoleSession) -> Result<(), StoreError> {
    let record = ConsoleSessionRecord::V1(session.clone());
    codec::put(tx, keys::console_session(digest), &record)
}

/// Ends the session of this digest, if there is one.
///
/// # Errors
/// [`StoreError`].
pub fn end(tx: &mut Tx<'_>, digest: &[u8; 32]) -> Result<(), StoreError> {
    codec::delete::<ConsoleSessionRecord>(tx, keys::console_session(digest))
}

/// Where the sweep goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepFrom(Option<Vec<u8>>);

/// The digests of dead sessions among the next [`SWEEP_MAX`], and where to go on; the default
/// place says that all were seen.
///
/// # Errors
/// [`StoreError`].
pub fn dead(
    read: &impl Read,
    from: &SweepFrom,
    now: Timestamp,
) -> Result<(Vec<[u8; 32]>, SweepFrom), StoreError> {
    let mut range = KeyRange::prefix(&[keys::CONSOLE_SESSION]);
    if let SweepFrom(Some(last)) = from {
        range = range.behind(last.clone());
    }
    let found = collect(read, &range, SWEEP_MAX)?;
    let more = found.len() == SWEEP_MAX;
    let last = found.last().map(|(key, _)| key.clone());
    let mut dead = vec![];
    for (key, _) in &found {
        let Some(digest) = key.last_chunk::<32>() else {
            continue;
        };
        if live(read, digest, now)?.is_none() {
            dead.push(*digest);
        }
    }
    Ok((dead, SweepFrom(last.filter(|_| more))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::samples::{at, console_session, field_key, write};
    use crate::store::{Store, View};

    async fn is_live(store: &Store, digest: [u8; 32], now: Timestamp) -> bool {
        let read = move |view: &View<'_>| live(view, &digest, now);
        store.read(read).await.unwrap().is_some()
    }

    fn boss(generation: u64) -> staff::Admin {
        staff::Admin {
            generation,
            ..staff::Admin::new("掌柜".to_owned(), "$argon2id$".into(), at(0))
        }
    }

    #[tokio::test]
    async fn a_session_ends_by_its_time_by_logout_and_with_its_admins_generation() {
        let store = Store::memory();
        write(&store, |tx| {
            staff::put_admin(tx, &field_key(), &boss(3))?;
            for digest in [[1; 32], [2; 32]] {
                put(tx, &digest, &console_session(3))?;
            }
            Ok(())
        })
        .await;
        let expires_at = console_session(3).expires_at;
        let before = Timestamp::from_unix(expires_at.unix() - 1);
        assert!(is_live(&store, [1; 32], before).await);
        assert!(!is_live(&store, [1; 32], expires_at).await);
        assert!(!is_live(&store, [9; 32], before).await);
        write(&store, |tx| Ok(end(tx, &[1; 32])?)).await;
        assert!(!is_live(&store, [1; 32], before).await);
        assert!(is_live(&store, [2; 32], before).await);
        write(&store, |tx| {
            Ok(staff::put_admin(tx, &field_key(), &boss(4))?)
        })
        .await;
        assert!(!is_live(&store, [2; 32], before).await);
    }

    #[tokio::test]
    async fn the_sweep_sees_all_sessions_in_chunks_and_names_the_dead() {
        let store = Store::memory();
        let count = SWEEP_MAX + 7;
        let name = |number: usize| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
            digest
        };
        write(&store, move |tx| {
            staff::put_admin(tx, &field_key(), &boss(3))?;
            for number in 0..count {
                let generation = if number % 2 == 0 { 3 } else { 2 };
                put(tx, &name(number), &console_session(generation))?;
            }
            Ok(())
        })
        .await;
        let (mut from, mut swept, mut looks) = (SweepFrom::default(), 0, 0);
        loop {
            let place = from.clone();
            let read = move |view: &View<'_>| dead(view, &place, at(1));
            let (found, next) = store.read(read).await.unwrap();
            let looked_at = found.clone();
            write(&store, move |tx| {
                for digest in &looked_at {
                    end(tx, digest)?;
                }
                Ok(())
            })
            .await;
            (swept, looks) = (swept + found.len(), looks + 1);
            if next == SweepFrom::default() {
                break;
            }
            from = next;
        }
        assert_eq!((swept, looks), (count / 2, 2));
        assert!(is_live(&store, name(0), at(1)).await);
    }
}
