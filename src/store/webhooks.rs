//! Webhook endpoints, and what waits to be told to them: an outbox, written with its cause.
//!
//! Each endpoint has entries of its own, in the order in which things happened. An entry is gone
//! once it was told, so an outbox without endpoints has no key.

use serde::{Deserialize, Serialize};

use super::codec::{self, Record, collect};
use super::counters::{self, Counter};
use super::due::{self, Work};
use super::sealed::{Place, Sealed};
use super::{KeyRange, Read, StoreError, Tx, keys, keys_watch};
use crate::base::cipher::{CannotOpen, FieldKey};
use crate::base::{Secret, Timestamp};

/// Where the merchant's backend hears of things.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Numbered from 1, never again.
    pub id: u64,
    /// Where it is.
    pub url: String,
    /// What it wants to hear of: names, or starts of names that end with `*`.
    pub events: Vec<String>,
    secret: Sealed,
    /// When it was entered.
    pub created_at: Timestamp,
    /// How it fares.
    pub state: State,
}

/// How calling an endpoint went lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// How often in a row it failed.
    pub failures: u32,
    /// Since when it fails.
    pub failing_since: Option<Timestamp>,
    /// Until when it is left alone.
    pub pause_until: Option<Timestamp>,
    /// Why it was given up; it is called no more.
    pub dead: Option<String>,
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it tells of, such as `order.paid`.
    pub event: String,
    /// Whom it is about: what is about one is told in order.
    pub lane: String,
    /// The body, as it will be sent.
    pub body: String,
    /// When it happened.
    pub at: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// Until when it is left alone.
    pub next_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
pub(super) enum EndpointRecord {
    V1(Endpoint),
}

impl Record for EndpointRecord {
    const KIND: &'static str = "webhook endpoint";
    const LONG: bool = true;
}

#[derive(Serialize, Deserialize)]
pub(super) enum OutboxRecord {
    V1(Entry),
}

impl Record for OutboxRecord {
    const KIND: &'static str = "webhook to be told";
    const LONG: bool = true;
}

fn place(id: &[u8; 8]) -> Place<'_> {
    Place("webhook secret", id)
}

impl Endpoint {
    /// The key that its messages are signed with.
    ///
    /// # Errors
    /// [`CannotOpen`] with another field key.
    pub fn secret(&self, key: &FieldKey) -> Result<Secret<Vec<u8>>, CannotOpen> {
        let opened = self.secret.open_bytes(key, &place(&self.id.to_be_bytes()));
        opened.map(Secret::new)
    }

    /// The same endpoint, faring otherwise.
    #[must_use]
    pub fn faring(self, state: State) -> Self {
        Self { state, ..self }
    }

    /// Whether it wants to hear of `event`.
    pub fn wants(&self, event: &str) -> bool {
        let fits = |wanted: &String| match wanted.strip_suffix('*') {
            Some(start) => event.starts_with(start),
            None => wanted == event,
        };
        self.state.dead.is_none() && self.events.iter().any(fits)
    }
}

/// What a new endpoint is made of.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// Where it is.
    pub url: String,
    /// What it wants to hear of.
    pub events: Vec<String>,
    /// The key that its messages will be signed with.
    pub secret: Secret<Vec<u8>>,
}

/// Enters an endpoint.
///
/// # Errors
/// [`StoreError`].
pub fn insert(
    tx: &mut Tx<'_>,
    key: &FieldKey,
    new: &NewEndpoint,
    now: Timestamp,
) -> Result<Endpoint, StoreError> {
    let id = counters::next(tx, Counter::Webhook)?;
    let endpoint = Endpoint {
        id,
        url: new.url.clone(),
        events: new.events.clone(),
        secret: Sealed::bytes(key, &place(&id.to_be_bytes()), new.secret.reveal()),
        created_at: now,
        state: State::default(),
    };
    put(tx, &endpoint)?;
    Ok(endpoint)
}

/// Keeps an endpoint that is there.
///
/// # Errors
/// [`StoreError`].
pub fn put(tx: &mut Tx<'_>, endpoint: &Endpoint) -> Result<(), StoreError> {
    let record = EndpointRecord::V1(endpoint.clone());
    codec::put(tx, keys_watch::webhook(endpoint.id), &record)
}

/// The endpoint of this number.
///
/// # Errors
/// [`StoreError`].
pub fn endpoint(read: &impl Read, id: u64) -> Result<Option<Endpoint>, StoreError> {
    let record = codec::get::<EndpointRecord>(read, &keys_watch::webhook(id))?;
    Ok(record.map(|EndpointRecord::V1(endpoint)| endpoint))
}

/// All endpoints, the oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn endpoints(read: &impl Read) -> Result<Vec<Endpoint>, StoreError> {
    let kept = collect(read, &KeyRange::prefix(&[keys::WEBHOOK]), usize::MAX)?;
    let all = kept.into_iter().map(|(key, value)| {
        codec::decode(read, &key, &value).map(|EndpointRecord::V1(endpoint)| endpoint)
    });
    all.collect()
}

/// Removes an endpoint; `false` when there is none. What waited for it is removed by the
/// deliverer, piece by piece.
///
/// # Errors
/// [`StoreError`].
pub fn remove(tx: &mut Tx<'_>, id: u64, now: Timestamp) -> Result<bool, StoreError> {
    if endpoint(tx, id)?.is_none() {
        return Ok(false);
    }
    codec::delete::<EndpointRecord>(tx, keys_watch::webhook(id))?;
    due::schedule(tx, now, &Work::Webhook(id), 0);
    Ok(true)
}

/// Has `entry` told to the endpoint, soon.
///
/// # Errors
/// [`StoreError`].
pub fn push(tx: &mut Tx<'_>, id: u64, entry: &Entry) -> Result<(), StoreError> {
    let serial = counters::next(tx, Counter::Outbox)?;
    let record = OutboxRecord::V1(entry.clone());
    codec::put(tx, keys_watch::outbox(id, serial), &record)?;
    due::schedule(tx, entry.at, &Work::Webhook(id), 0);
    Ok(())
}

/// What waits for an endpoint, the oldest first, with its numbers.
///
/// # Errors
/// [`StoreError`].
pub fn waiting(read: &impl Read, id: u64, limit: usize) -> Result<Vec<(u64, Entry)>, StoreError> {
    let kept = collect(read, &KeyRange::prefix(&keys_watch::outbox_of(id)), limit)?;
    let all = kept.into_iter().map(|(key, value)| {
        let OutboxRecord::V1(entry) = codec::decode(read, &key, &value)?;
        Ok((keys::last_number(&key).unwrap_or(0), entry))
    });
    all.collect()
}

/// Keeps an entry that was tried.
///
/// # Errors
/// [`StoreError`].
pub fn put_entry(
    tx: &mut Tx<'_>,
    (id, serial): (u64, u64),
    entry: &Entry,
) -> Result<(), StoreError> {
    let record = OutboxRecord::V1(entry.clone());
    codec::put(tx, keys_watch::outbox(id, serial), &record)
}

/// Forgets an entry: it was told, or will never be.
///
/// # Errors
/// [`StoreError`].
pub fn forget(tx: &mut Tx<'_>, id: u64, serial: u64) -> Result<(), StoreError> {
    codec::delete::<OutboxRecord>(tx, keys_watch::outbox(id, serial))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::due::{WorkKind, due_now};
    use crate::store::samples::{at, field_key, write};

    fn entry(event: &str, second: i64) -> Entry {
        Entry {
            event: event.to_owned(),
            lane: "A".to_owned(),
            body: "{}".to_owned(),
            at: at(second),
            tries: 0,
            next_at: at(second),
        }
    }

    #[tokio::test]
    async fn what_waits_lies_in_order_and_apart_and_makes_work() {
        let store = Store::memory();
        write(&store, |tx| {
            for (id, event, second) in [(2, "a", 1), (1, "b", 2), (1, "c", 2)] {
                push(tx, id, &entry(event, second))?;
            }
            Ok(())
        })
        .await;
        let waits = |id| store.read(move |view| waiting(view, id, 9));
        let first = vec![(2, entry("b", 2)), (3, entry("c", 2))];
        assert_eq!(waits(1).await, Ok(first));
        assert_eq!(waits(2).await, Ok(vec![(1, entry("a", 1))]));
        let due = store.read(|view| due_now(view, &[WorkKind::Webhook], at(9), 9));
        let works: Vec<Work> = due.await.unwrap().into_iter().map(|due| due.work).collect();
        assert_eq!(works, [Work::Webhook(2), Work::Webhook(1)]);
        write(&store, |tx| Ok(forget(tx, 1, 2)?)).await;
        assert_eq!(waits(1).await, Ok(vec![(3, entry("c", 2))]));
    }

    #[tokio::test]
    async fn a_secret_opens_with_its_key_only_and_lies_nowhere_in_the_clear() {
        let store = Store::memory();
        let new = NewEndpoint {
            url: "https://a.example".to_owned(),
            events: vec!["order.*".to_owned(), "refund.success".to_owned()],
            secret: Secret::new(b"0123456789abcdef".to_vec()),
        };
        let made = write(&store, move |tx| Ok(insert(tx, &field_key(), &new, at(0))?)).await;
        let read = store.read(|view| endpoint(view, 1)).await.unwrap().unwrap();
        assert!(made == read);
        let opened = read.secret(&field_key()).unwrap();
        assert_eq!(opened.reveal(), b"0123456789abcdef");
        assert!(read.secret(&FieldKey::new([8; 32])).is_err());
        let raw = store
            .read(|view| view.get(&keys_watch::webhook(1)))
            .await
            .unwrap()
            .unwrap();
        assert!(!raw.windows(8).any(|part| part == b"01234567"));
        let wanted = ["order.paid", "refund.success", "refund.x", "alert.disk_low"];
        let wants = wanted.map(|event| read.wants(event));
        assert_eq!(wants, [true, true, false, false]);
    }
}
