//! Cache changes and transactions stay in the order in which they were made, on the real engine.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::future::{Future as _, poll_fn};
use std::task::Poll;
use std::time::Duration;

use super::test_home::Home;
use super::{CacheTicket, KeyRange, Store, StoreError, codec};

/// What the keys of the test should hold.
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn cache_key(number: u64) -> Vec<u8> {
    vec![0xF0, u8::try_from(number % 3).unwrap()]
}

async fn held(store: &Store) -> Model {
    let read = store.read(|view| codec::collect(view, &KeyRange::prefix(&[0xF0]), usize::MAX));
    read.await.unwrap().into_iter().collect()
}

async fn applied(store: &Store, ticket: CacheTicket) {
    for _ in 0..20_000 {
        if store.cache_applied() >= ticket {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("a batch is not applied in twenty seconds");
}

/// Puts or deletes a cache key without the journal, or deletes it with the journal and leaves that
/// on its way.
async fn step(store: &Store, number: u64, model: &mut Model) -> Option<CacheTicket> {
    let key = cache_key(number / 7);
    let value = number.to_be_bytes().to_vec();
    match number % 5 {
        0..3 => {
            model.insert(key.clone(), value.clone());
            Some(store.cache_write(vec![(key, Some(value))]).unwrap())
        }
        3 => {
            model.remove(&key);
            Some(store.cache_write(vec![(key, None)]).unwrap())
        }
        _ => {
            model.remove(&key);
            let mut write = Box::pin(store.write(move |tx| -> Result<(), StoreError> {
                tx.delete(key.clone());
                Ok(())
            }));
            // It is with the writer once it has been polled.
            let _ = poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await;
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_change_of_a_key_wins_whether_journaled_or_not() {
    let home = Home::new();
    let (store, _) = home.open();
    let (mut model, mut number) = (Model::new(), 1_u64);
    for round in 0..60 {
        let mut last = None;
        for _ in 0..=round {
            // A fixed sequence that mixes kinds and keys.
            number = number.wrapping_mul(6_364_136_223_846_793_005) ^ (number >> 29) ^ 0x5DEE_CE66;
            last = step(&store, number >> 8, &mut model).await.or(last);
        }
        let end = store.cache_write(vec![(vec![0xF1], None)]).unwrap();
        assert!(last.is_none_or(|ticket| ticket < end));
        applied(&store, end).await;
        assert_eq!(held(&store).await, model, "round {round}");
    }
    store.close().await.unwrap();
    drop(store);
    let (store, _) = home.open();
    assert_eq!(held(&store).await, model);
}

#[tokio::test]
async fn what_gathers_is_applied_by_a_close_and_refused_after_it() {
    let home = Home::new();
    let (store, _) = home.open();
    let large = vec![7; 3000];
    for number in 0..100 {
        let batch = vec![(vec![0xF0, number], Some(large.clone()))];
        store.cache_write(batch).unwrap();
    }
    let refused = (vec![0xF0, 100], Some(vec![]));
    let mut close = Box::pin(store.close());
    let closed = poll_fn(|cx| Poll::Ready(close.as_mut().poll(cx))).await;
    assert_eq!(
        store.cache_write(vec![refused]),
        Err(StoreError::Unavailable)
    );
    match closed {
        Poll::Ready(closed) => closed.unwrap(),
        Poll::Pending => close.as_mut().await.unwrap(),
    }
    drop(close);
    drop(store);
    let (store, _) = home.open();
    let held = held(&store).await;
    assert_eq!(held.len(), 100);
    assert!(held.values().all(|value| *value == large));
}

#[tokio::test]
async fn a_transaction_sees_the_cache_changes_made_before_it_and_does_not_wait_for_more() {
    let home = Home::new();
    let (store, _) = home.open();
    for number in 0..50_u8 {
        let ticket = store.cache_write(vec![(vec![0xF0], Some(vec![number]))]);
        let seen = store.write(|tx| super::Read::get(tx, &[0xF0])).await;
        assert_eq!(seen, Ok(Some(vec![number])));
        assert!(store.cache_applied() >= ticket.unwrap());
    }
}
