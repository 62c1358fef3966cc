//! Idempotency keys: the first answer to a key, an order or a refund, given again for 24 hours.
//!
//! CONTRACT: per caller and route; the same body is the same JSON value.

use std::time::Duration;

use serde_json::Value;

use super::codec::{self, collect, damaged};
use super::records::RefundRecord;
use super::records::{IdempotencyRecord, IdempotencyV1, IdempotencyV2, OrderRecord};
use super::{Read, StoreError, Tx, keys};
use crate::base::cipher::{CannotOpen, FieldKey};
use crate::base::{Timestamp, hash};
use crate::model::{Order, Refund};

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

#[cfg(test)]
impl Claim {
    pub(super) fn digest(&self) -> [u8; 32] {
        self.key
    }
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: carry out the request and [`keep`] the answer in the same transaction.
    Fresh,
    /// This was the first answer.
    Again(Answer),
    /// The key came with another body before.
    Reused,
}

/// What a key was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The order that was placed.
    Order(Box<Order>),
    /// The refund that was opened, as it was then.
    Refund(Box<Refund>),
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
        let Some(first) = codec::get::<IdempotencyRecord>(read, &key)? else {
            continue;
        };
        let (body, created_at) = first.claimed();
        if now.since(created_at) >= HONOURED {
            continue;
        }
        if body != claim.body {
            return Ok(Begun::Reused);
        }
        let answer = first.answer(field_key);
        let answer = answer.map_err(|_| damaged::<IdempotencyRecord>(read, &key))?;
        return Ok(Begun::Again(answer));
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

impl IdempotencyRecord {
    fn claimed(&self) -> ([u8; 32], Timestamp) {
        match self {
            Self::V1(first) => (first.body, first.created_at),
            Self::V2(first) => (first.body, first.created_at),
        }
    }

    fn answer(self, field_key: &FieldKey) -> Result<Answer, CannotOpen> {
        Ok(match self {
            Self::V1(first) => Answer::Order(Box::new(first.answer.open(field_key)?)),
            Self::V2(first) => {
                let RefundRecord::V1(refund) = first.answer;
                Answer::Refund(Box::new(refund))
            }
        })
    }
}

/// Keeps `refund`, as it is now, as the first answer to the key of `claim`; again while the first
/// request has not been answered.
///
/// # Errors
/// [`StoreError`].
pub fn keep_refund(tx: &mut Tx<'_>, claim: &Claim, refund: &Refund) -> Result<(), StoreError> {
    let created_at = refund.created_at;
    let record = IdempotencyRecord::V2(IdempotencyV2 {
        body: claim.body,
        created_at,
        answer: RefundRecord::V1(refund.clone()),
    });
    codec::put(tx, keys::idempotency(day(created_at), &claim.key), &record)
}

/// Forgets the key of `claim`, used at `created_at`: its request was refused after all.
///
/// # Errors
/// [`StoreError`].
pub fn release(tx: &mut Tx<'_>, claim: &Claim, created_at: Timestamp) -> Result<(), StoreError> {
    codec::delete::<IdempotencyRecord>(tx, keys::idempotency(day(created_at), &claim.key))
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
pub(super) fn day(at: Timestamp) -> u32 {
    let seconds = u64::try_from(at.unix()).unwrap_or(0);
    u32::try_from(seconds / DAY_S).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::Store;
    use crate::store::samples::{at, field_key, long_order, order, refund, write};

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
            let again = Begun::Again(Answer::Order(Box::new(first)));
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
    async fn a_refund_is_given_again_as_it_was_kept_last_and_not_after_its_release() {
        let store = Store::memory();
        let mine = claim("key 1", "k", &json!({"amount_fen": 1}));
        let opened = refund(&order(1, 0, 1), 1);
        let at_once = opened.created_at.unix() - at(0).unix();
        let told = Refund {
            last_error: None,
            ..opened.clone()
        };
        for kept in [opened.clone(), told] {
            let again = Begun::Again(Answer::Refund(Box::new(kept.clone())));
            write(&store, move |tx| Ok(keep_refund(tx, &mine, &kept)?)).await;
            assert_eq!(begun(&store, mine, at_once).await, again);
        }
        let created_at = opened.created_at;
        write(&store, move |tx| Ok(release(tx, &mine, created_at)?)).await;
        assert_eq!(begun(&store, mine, at_once).await, Begun::Fresh);
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
