//! The writer: groups, savepoints, panics, and what becomes of callers when the store fails.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::future::{Future as _, poll_fn};
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use super::health::REBUILD;
use super::test_home::{Home, config, count, fill, key};
use super::{OpenError, Read, Store, StoreConfig, StoreError, WorkingSet};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_count_up_one_number_without_losing_any() {
    let home = Home::new();
    let (store, _) = home.open();
    let writers: Vec<_> = (0..200_u32)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write(|tx| -> Result<u64, StoreError> {
                        let before = tx.get(b"n")?.map_or(0, |value| {
                            u64::from_be_bytes(value.try_into().expect("eight bytes"))
                        });
                        tx.put(b"n".to_vec(), (before + 1).to_be_bytes().to_vec());
                        Ok(before + 1)
                    })
                    .await
            })
        })
        .collect();
    let mut numbers = vec![];
    for writer in writers {
        numbers.push(writer.await.unwrap().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=200).collect::<Vec<u64>>());
    store.close().await.unwrap();
    let (store, report) = home.open();
    assert!(
        report.commit < 200,
        "{} groups of 200 closures",
        report.commit
    );
    let last = store.read(|view| view.get(b"n")).await;
    assert_eq!(last, Ok(Some(200_u64.to_be_bytes().to_vec())));
}

/// Holds the writer inside a closure until `release` is dropped, so that what follows is one group.
fn hold(
    store: &Store,
) -> (
    mpsc::Sender<()>,
    tokio::task::JoinHandle<Result<(), StoreError>>,
) {
    let (release, held) = mpsc::channel::<()>();
    let (started, begun) = mpsc::channel::<()>();
    let store = store.clone();
    let holding = tokio::spawn(async move {
        store
            .write(move |_| {
                let _ = started.send(());
                let _ = held.recv_timeout(Duration::from_secs(20));
                Ok(())
            })
            .await
    });
    begun.recv_timeout(Duration::from_secs(20)).unwrap();
    (release, holding)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_or_a_panic_drops_one_closures_changes_and_no_other_of_its_group() {
    let home = Home::new();
    let (store, _) = home.open();
    let (release, holding) = hold(&store);
    let send = |number: u32| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write(move |tx| {
                    tx.put(key(number), vec![1]);
                    match number % 3 {
                        0 => Err(StoreError::Corrupt("refused".to_owned())),
                        1 => panic!("a bug of closure {number}"),
                        _ => Ok(()),
                    }
                })
                .await
        })
    };
    let group: Vec<_> = (0..30).map(send).collect();
    drop(release);
    holding.await.unwrap().unwrap();
    for (number, closure) in group.into_iter().enumerate() {
        let ended = closure.await;
        match number % 3 {
            0 => assert_eq!(
                ended.unwrap(),
                Err(StoreError::Corrupt("refused".to_owned()))
            ),
            1 => assert!(
                ended.unwrap_err().is_panic(),
                "the panic goes on at the caller's"
            ),
            _ => assert_eq!(ended.unwrap(), Ok(())),
        }
    }
    assert_eq!(count(&store).await, 10);
    assert_eq!(store.health(), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_hang_up_leave_no_other_of_their_group_waiting() {
    let home = Home::new();
    let (store, _) = home.open();
    for gone in 0..6_u32 {
        let (release, holding) = hold(&store);
        let mut group = vec![];
        for number in 0..6 {
            let (store, (sent, arrived)) = (store.clone(), mpsc::channel());
            group.push(tokio::spawn(async move {
                let mut write = Box::pin(store.write(move |tx| -> Result<(), StoreError> {
                    tx.put(key(gone * 6 + number), vec![1]);
                    Ok(())
                }));
                // The closure is in the queue once it has been polled.
                let first = poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await;
                sent.send(()).unwrap();
                match first {
                    Poll::Ready(outcome) => outcome,
                    Poll::Pending => write.await,
                }
            }));
            arrived.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        // The first of a group wakes the others, so the first hangs up in half of the rounds.
        group.insert(0, holding);
        group[usize::try_from(gone / 2 * (gone % 2)).unwrap()].abort();
        drop(release);
        for caller in group {
            let answered = tokio::time::timeout(Duration::from_secs(20), caller).await;
            let ended = answered.expect("nobody is left waiting");
            assert!(ended.map_or_else(|gone| gone.is_cancelled(), |answer| answer.is_ok()));
        }
    }
    assert_eq!(
        count(&store).await,
        36,
        "what was sent is done, whoever hung up"
    );
}

#[tokio::test]
async fn a_closure_that_changes_too_much_is_refused_and_changes_nothing() {
    let home = Home::new();
    let (store, _) = home.open();
    let large = store.write(|tx| -> Result<(), StoreError> {
        for number in 0..5 {
            tx.put(key(number), vec![0; 1 << 20]);
        }
        Ok(())
    });
    assert_eq!(large.await, Err(StoreError::TooLarge));
    assert_eq!(count(&store).await, 0);
    fill(&store, 1, 1).await;
}

#[tokio::test]
async fn a_failed_record_check_ends_the_store_and_the_next_start_rebuilds() {
    let home = Home::closed(3).await;
    let (store, report) = home.open();
    assert_eq!(report.working_set, WorkingSet::Opened);
    let found = store.read(|view| -> Result<(), StoreError> { Err(view.corrupt("order")) });
    assert_eq!(found.await, Err(StoreError::Corrupt("order".to_owned())));
    assert!(store.failed().await.contains("order"));
    assert!(store.health().unwrap_err().contains("order"));
    assert!(home.dir.join(REBUILD).exists());
    let write = store.write(|_| -> Result<(), StoreError> { Ok(()) });
    assert_eq!(write.await, Err(StoreError::Unavailable));
    let read = store.read(|view| view.get(b"k"));
    assert_eq!(read.await, Err(StoreError::Unavailable));
    assert_eq!(store.cache_write(vec![]), Err(StoreError::Unavailable));
    assert_eq!(store.close().await, Err(StoreError::Unavailable));
    drop(store);
    let report = home.holds(3).await;
    assert_eq!(report.working_set, WorkingSet::Rebuilt { keys: 3 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_group_fails_its_callers_are_told_that_the_outcome_is_unknown() {
    let home = Home::new();
    let (store, _) = home.open();
    let (release, holding) = hold(&store);
    let good = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .write(|tx| -> Result<(), StoreError> {
                    tx.put(key(1), vec![1]);
                    Ok(())
                })
                .await
        }
    });
    let bad = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .write(|tx| -> Result<(), _> { Err(tx.corrupt("user")) })
                .await
        }
    });
    drop(release);
    // Whether the group was still gathering when each arrived is the scheduler's choice.
    let outcomes = [
        good.await.unwrap(),
        bad.await.unwrap(),
        holding.await.unwrap(),
    ];
    assert_eq!(outcomes[1], Err(StoreError::Unknown));
    for outcome in &outcomes {
        let told = [
            Ok(()),
            Err(StoreError::Unknown),
            Err(StoreError::Unavailable),
        ];
        assert!(told.contains(outcome), "{outcome:?}");
    }
    drop(store);
    let (store, report) = home.open();
    assert_eq!(u64::from(count(&store).await), report.commit);
    assert!(outcomes[0].is_err() || report.commit == 1);
}

#[tokio::test]
async fn after_close_nothing_is_written_and_nothing_read() {
    let home = Home::new();
    let (store, _) = home.open();
    fill(&store, 1, 2).await;
    store.close().await.unwrap();
    let write = store.write(|_| -> Result<(), StoreError> { Ok(()) });
    assert!(write.await.is_err());
    assert_eq!(
        store.read(|view| view.get(b"k")).await,
        Err(StoreError::Unavailable)
    );
    assert!(store.health().is_err());
    assert!(store.close().await.is_err());
    home.holds(2).await;
}

#[tokio::test]
async fn a_journal_that_cannot_grow_ends_the_store() {
    let home = Home::new();
    let tight = StoreConfig {
        segment_bytes: 100,
        ..config(&home.dir)
    };
    let (store, _) = Store::open(&tight, &|_| ()).unwrap();
    fill(&store, 1, 1).await;
    // The next frame needs a new segment, and its name cannot be made.
    fs::create_dir(home.dir.join("journal/next.new")).unwrap();
    let write = store.write(|tx| -> Result<(), StoreError> {
        tx.put(key(2), vec![]);
        Ok(())
    });
    assert_eq!(write.await, Err(StoreError::Unknown));
    assert!(store.failed().await.contains("journal"));
    drop(store);
    let fault = home.fault();
    assert!(matches!(fault, OpenError::Io { .. }), "{fault}");
    fs::remove_dir(home.dir.join("journal/next.new")).unwrap();
    home.holds(1).await;
}
