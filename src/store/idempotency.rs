//! Idempotency keys: the first answer to a key, given again for 24 hours.
//!
//! CONTRACT: per caller and route; the same body is the same JSON value.

use std::time::Duration;

use serde_json::Value;

use super::codec::{self, collect, damaged};
use super::records::{IdempotencyRecord, IdempotencyV1, OrderRecord};
use super::{Read, StoreError, Tx, keys};
use crate::base::cipher::FieldKey;
use crate::base::{Timestamp, hash};
use crate::model::Order;

/// How long a key is honoured.
pub const HONOURED: Duration = Duration::from_secs(DAY_S);

const DAY_S: u64 = 86_400;

/// One use of a key: digests of who used it where, and of the body it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    key: [u8; 32],
    body: [u8; 32],
}

/// Where a key was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage<'a> {
    /// Who used it, such as `uid 7` or `key 3`.
    pub caller: &'a str,
    /// The route's method and pattern.
    pub route: &'a str,
    /// The key as it came.
    pub key: &'a str,
}

impl Claim {
    /// The claim made by `usage` with `body`.
    pub fn new(usage: Usage<'_>, body: &Value) -> Self {
        let mut text = vec![];
        for part in [usage.caller, usage.route, usage.key] {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            text.extend_from_slice(&length.to_be_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        // serde_json keeps an object's fields sorted: equal values print equal.
        Self {
            key: hash::sha256(&text),
            body: hash::sha256(body.to_string().as_bytes()),
        }
    }
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: carry out the request and [`keep`] the answer in the same transaction.
    Fresh,
    /// This order was the first answer.
    Again(Box<Order>),
    /// The key came with another body before.
    Reused,
}

/// What is known of the key of `claim` at `now`.
///
/// # Errors
/// [`StoreError`].
pub fn begin(
    read: &impl Read,
    field_key: &FieldKey,
    claim: &Claim,
    now: Timestamp,
) -> Result<Begun, StoreError> {
    let today = day(now);
    for day in [today, today.saturating_sub(1)] {
        let key = keys::idempotency(day, &claim.key);
        let Some(IdempotencyRecord::V1(first)) = codec::get(read, &key)? else {
            continue;
        };
        if now.since(first.created_at) >= HONOURED {
            continue;
        }
        if first.body != claim.body {
            return Ok(Begun::Reused);
        }
        let order = first.answer.open(field_key);
        let order = order.map_err(|_| damaged::<IdempotencyRecord>(read, &key))?;
        return Ok(Begun::Again(Box::new(order)));
    }
    Ok(Begun::Fresh)
}

/// Keeps `order` as the first answer to the key of `claim`.
///
/// # Errors
/// [`StoreError`].
pub fn keep(
    tx: &mut Tx<'_>,
    field_key: &FieldKey,
    claim: &Claim,
    order: &Order,
) -> Result<(), StoreError> {
    let created_at = order.created_at;
    let record = IdempotencyRecord::V1(IdempotencyV1 {
        body: claim.body,
        created_at,
        answer: OrderRecord::seal(order, field_key),
    });
    codec::put(tx, keys::idempotency(day(created_at), &claim.key), &record)
}

/// Forgets at most `limit` keys that are honoured no more; tells how many.
///
/// # Errors
/// [`StoreError`].
pub fn forget(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let yesterday = day(now).saturating_sub(1);
    let stale = collect(tx, &keys::idempotency_before(yesterday), limit)?;
    let count = stale.len();
    for (key, _) in stale {
        codec::delete::<IdempotencyRecord>(tx, key)?;
    }
    Ok(count)
}

/// The number of the day: a key lies by the day on which it was first used.
fn day(at: Timestamp) -> u32 {
    let seconds = u64::try_from(at.unix()).unwrap_or(0);
    u32::try_from(seconds / DAY_S).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::Store;
    use crate::store::samples::{at, field_key, long_order, order, write};

    fn claim(caller: &str, key: &str, body: &Value) -> Claim {
        let route = "POST /api/v1/orders";
        Claim::new(Usage { caller, route, key }, body)
    }

    async fn begun(store: &Store, claim: Claim, seconds: i64) -> Begun {
        let read = store.read(move |view| begin(view, &field_key(), &claim, at(seconds)));
        read.await.unwrap()
    }

    #[test]
    fn the_same_json_value_in_another_order_of_fields_is_the_same_body() {
        let (one, two) = (r#"{"a":1,"b":[2,null]}"#, r#"{ "b":[2, null], "a":1 }"#);
        let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(claim("u", "k", &parsed(one)), claim("u", "k", &parsed(two)));
        assert_ne!(
            claim("u", "k", &json!({"a": 1})),
            claim("u", "k", &json!({"a": 2}))
        );
        assert_ne!(claim("u", "1k", &json!({})), claim("u1", "k", &json!({})));
    }

    #[tokio::test]
    async fn a_key_gives_its_first_answer_for_24_hours_to_its_caller_and_body_only() {
        for first in [order(1, 80_000, 1), long_order(1, 80_000)] {
            let store = Store::memory();
            let mine = claim("uid 1", "k", &json!({"a": 1}));
            assert_eq!(begun(&store, mine, 80_000).await, Begun::Fresh);
            let kept = first.clone();
            write(&store, move |tx| Ok(keep(tx, &field_key(), &mine, &kept)?)).await;
            let again = Begun::Again(Box::new(first));
            assert_eq!(begun(&store, mine, 80_000).await, again);
            assert_eq!(begun(&store, mine, 80_000 + 86_399).await, again);
            assert_eq!(begun(&store, mine, 80_000 + 86_400).await, Begun::Fresh);
            let other = claim("uid 1", "k", &json!({"a": 2}));
            assert_eq!(begun(&store, other, 80_001).await, Begun::Reused);
            let foreign = claim("uid 2", "k", &json!({"a": 1}));
            assert_eq!(begun(&store, foreign, 80_001).await, Begun::Fresh);
        }
    }

    #[tokio::test]
    async fn keys_are_forgotten_only_when_no_longer_honoured_and_wholly() {
        let store = Store::memory();
        let mine = claim("uid 1", "k", &json!({}));
        let first = long_order(1, 80_000);
        write(&store, move |tx| Ok(keep(tx, &field_key(), &mine, &first)?)).await;
        for (seconds, want) in [(80_000 + 86_399, 0), (80_000 + 2 * 86_400, 1)] {
            let forgotten = write(&store, move |tx| Ok(forget(tx, at(seconds), 9)?)).await;
            assert_eq!(forgotten, want, "{seconds}");
        }
        let everything = crate::store::KeyRange {
            to: vec![0xFF],
            ..crate::store::KeyRange::prefix(&[1])
        };
        let left = store.read(move |view| collect(view, &everything, 1)).await;
        assert_eq!(left, Ok(vec![]));
    }
}
