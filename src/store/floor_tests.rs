//! What a copy gives out and what the original gives out never meet.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;

use super::samples::{at, field_key, login};
use super::test_home::Home;
use super::{Found, Store, StoreError, WorkingSet, goods, users};

/// The uids and goods ids given to two newcomers.
async fn issue(store: &Store, from: u64) -> [BTreeSet<u64>; 2] {
    let write = store.write(move |tx| -> Result<_, StoreError> {
        let (mut uids, mut goods_ids) = (BTreeSet::new(), BTreeSet::new());
        for n in from..from + 2 {
            let (user, _) = users::upsert(tx, &field_key(), &login(n), at(0))?;
            uids.insert(user.uid.get());
            goods_ids.insert(goods::next_id(tx)?.get());
        }
        Ok([uids, goods_ids])
    });
    write.await.unwrap()
}

fn disjoint(one: &[BTreeSet<u64>; 2], other: &[BTreeSet<u64>; 2]) -> bool {
    one.iter()
        .zip(other)
        .all(|(one, other)| one.is_disjoint(other))
}

const JSON_EXACT: u64 = 1 << 53;

#[tokio::test]
async fn a_new_store_counts_from_one_and_goes_on_after_a_clean_stop() {
    let home = Home::new();
    let (store, _) = home.open();
    assert_eq!(
        issue(&store, 1).await,
        [BTreeSet::from([1, 2]), BTreeSet::from([1, 2])]
    );
    store.close().await.unwrap();
    let (store, _) = home.open();
    assert_eq!(
        issue(&store, 3).await,
        [BTreeSet::from([3, 4]), BTreeSet::from([3, 4])]
    );
}

#[tokio::test]
async fn a_copy_gives_out_nothing_that_the_original_gave_out_after_it_was_made() {
    for issued_before in [0, 1] {
        let home = Home::new();
        let (store, _) = home.open();
        for n in 0..issued_before {
            issue(&store, 10 * n + 100).await;
        }
        let copy = home.copy();
        let original = issue(&store, 1).await;
        let (copied, report) = copy.open();
        assert_eq!(report.found, Found::Copy);
        let first = issue(&copied, 11).await;
        let original_later = issue(&store, 21).await;
        copied.close().await.unwrap();
        let (again, report) = copy.open();
        assert_eq!(report.working_set, WorkingSet::Opened);
        let second = issue(&again, 31).await;
        for ours in [&first, &second] {
            assert!(disjoint(ours, &original) && disjoint(ours, &original_later));
            assert!(ours.iter().flatten().all(|number| *number < JSON_EXACT));
        }
        assert!(disjoint(&first, &second));
    }
}

#[tokio::test]
async fn an_older_journal_laid_over_a_newer_one_gives_out_nothing_twice() {
    let home = Home::new();
    let (store, _) = home.open();
    issue(&store, 1).await;
    store.close().await.unwrap();
    let old = home.copy();
    let (store, _) = home.open();
    let newer = issue(&store, 11).await;
    store.close().await.unwrap();
    for segment in home.segments() {
        fs::remove_file(segment).unwrap();
    }
    for segment in old.segments() {
        let name = segment.file_name().unwrap().to_owned();
        fs::copy(segment, home.dir.join("journal").join(name)).unwrap();
    }
    for name in ["sled.seal", "journal.mark"] {
        fs::copy(old.dir.join(name), home.dir.join(name)).unwrap();
    }
    let (restored, report) = home.open();
    assert_eq!(report.found, Found::Store);
    assert!(disjoint(&issue(&restored, 21).await, &newer));
}
