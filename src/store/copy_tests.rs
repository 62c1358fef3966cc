//! What is missing or damaged in a journal, in its home and in a copy, on real directories.
#![allow(clippy::unwrap_used)]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt;

use super::test_home::{Home, count, fill};
use super::{Found, JournalFault, OpenError, WorkingSet};

#[tokio::test]
async fn a_torn_tail_is_dropped_and_written_over_by_what_follows() {
    let home = Home::killed(4).await;
    drop(home.open());
    let mut last = OpenOptions::new()
        .append(true)
        .open(home.last_segment())
        .unwrap();
    last.write_all(&[9; 70]).unwrap();
    let (store, report) = home.open();
    assert_eq!((report.commit, report.torn_bytes), (4, 70));
    fill(&store, 5, 6).await;
    drop(store);
    home.holds(6).await;
}

#[tokio::test]
async fn a_bad_byte_inside_a_segment_is_refused_at_home_and_in_a_copy() {
    let home = Home::killed(6).await;
    drop(home.open());
    let first = &home.segments()[0];
    let bytes = fs::read(first).unwrap();
    let file = OpenOptions::new().write(true).open(first).unwrap();
    let copies = [home.copy(), home.copy()];
    for at in [100, 230] {
        file.write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();
        let fault = home.fault();
        let text = fault.to_string();
        let OpenError::Journal(JournalFault::Damaged { commit, .. }) = fault else {
            panic!("{text}");
        };
        assert_eq!(commit, if at == 100 { 0 } else { 1 });
        assert!(text.contains(".zgj") && text.contains("restore"), "{text}");
        file.write_all_at(&[bytes[at]], at as u64).unwrap();
        let copy = &copies[usize::from(at == 230)];
        let file = OpenOptions::new()
            .write(true)
            .open(&copy.segments()[0])
            .unwrap();
        file.write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();
        let fault = copy.fault();
        assert!(
            matches!(fault, OpenError::Journal(JournalFault::Damaged { .. })),
            "{fault}"
        );
    }
    home.holds(6).await;
}

#[tokio::test]
async fn a_missing_segment_is_refused_at_home() {
    let home = Home::closed(40).await;
    let segments = home.segments();
    assert!(segments.len() >= 4);
    let aside = home.dir.join("aside");
    for (missing, segment) in segments.iter().enumerate() {
        fs::rename(segment, &aside).unwrap();
        let fault = home.fault();
        let text = fault.to_string();
        assert!(
            matches!(fault, OpenError::Journal(JournalFault::Missing { .. })),
            "{text}"
        );
        assert!(text.contains("cp -r"), "{text}");
        fs::rename(&aside, segment).unwrap();
        assert_eq!(
            home.segments().len(),
            segments.len(),
            "without segment {missing}"
        );
    }
    home.holds(40).await;
}

#[tokio::test]
async fn a_journal_shorter_than_its_mark_is_refused_at_home_and_normal_in_a_copy() {
    let home = Home::killed(5).await;
    let (store, _) = home.open();
    store.close().await.unwrap();
    let (store, _) = home.open();
    fill(&store, 6, 7).await;
    // The mark is noted with the flush, a second after the write.
    for _ in 0..1000 {
        if super::format::Mark::read(&home.dir) == Some(7) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    drop(store);
    let last = home.last_segment();
    let length = fs::metadata(&last).unwrap().len();
    let file = OpenOptions::new().write(true).open(&last).unwrap();
    file.set_len(length - 10).unwrap();
    let fault = home.fault();
    let OpenError::Journal(JournalFault::Missing {
        file,
        wanted,
        commit,
        ..
    }) = fault
    else {
        panic!("{fault}");
    };
    assert_eq!((file.as_str(), wanted, commit), ("journal.mark", 7, 6));
    let copy = home.copy();
    let report = copy.holds(6).await;
    assert_eq!(report.found, Found::Copy);
    assert_eq!(copy.holds(6).await.found, Found::Store);
}

#[tokio::test]
async fn a_copy_of_a_running_store_comes_up_and_lives_on_as_a_store_of_its_own() {
    let home = Home::new();
    let (store, _) = home.open();
    fill(&store, 1, 20).await;
    let copy = home.copy();
    fill(&store, 21, 25).await;
    let report = copy.holds(20).await;
    assert_eq!(report.found, Found::Copy);
    assert_eq!(report.working_set, WorkingSet::Rebuilt { keys: 20 });
    let (copied, report) = copy.open();
    assert_eq!(
        (report.found, report.working_set),
        (Found::Store, WorkingSet::Opened)
    );
    fill(&copied, 21, 22).await;
    drop(copied);
    copy.holds(22).await;
    assert_eq!(count(&store).await, 25);
}

#[tokio::test]
async fn a_copy_ends_at_a_gap_behind_an_unsealed_segment_and_not_behind_a_sealed_one() {
    let home = Home::killed(10).await;
    let (store, _) = home.open();
    fill(&store, 11, 30).await;
    let segments = home.segments();
    let copy = home.copy();
    // As if the copier had read this one early, and the later ones after they had grown.
    let names: Vec<_> = copy.segments();
    let unsealed = names[1].clone();
    let length = fs::metadata(&unsealed).unwrap().len();
    let cut = OpenOptions::new().write(true).open(&unsealed).unwrap();
    cut.set_len(length - 200).unwrap();
    let (copied, report) = copy.open();
    assert_eq!(report.found, Found::Copy);
    assert_eq!(report.left_out.len(), segments.len() - 2);
    assert!(report.left_out.iter().all(|path| path.exists()));
    assert_eq!(u64::from(count(&copied).await), report.commit);
    copied.close().await.unwrap();
    let sealed = home.copy();
    fs::remove_file(&sealed.segments()[3]).unwrap();
    let fault = sealed.fault();
    assert!(
        matches!(fault, OpenError::Journal(JournalFault::Missing { .. })),
        "{fault}"
    );
}

#[tokio::test]
async fn a_segment_of_another_store_is_refused() {
    let (home, other) = (Home::closed(2).await, Home::closed(2).await);
    let name = home.dir.join("journal/0000000000000003-00000009.zgj");
    fs::copy(other.last_segment(), &name).unwrap();
    let fault = home.fault();
    assert!(
        matches!(fault, OpenError::Journal(JournalFault::Foreign(_))),
        "{fault}"
    );
}
