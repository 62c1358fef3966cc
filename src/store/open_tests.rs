//! Starts of every kind, on real directories: new, clean, killed, foreign, and half made.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use super::health::{Health, REBUILD};
use super::seal::Seal;
use super::test_home::{Home, config, count, fill, try_open};
use super::working_set::SledSet;
use super::{Found, OpenError, Phase, Read, Store, StoreConfig, StoreError, WorkingSet};
use crate::base::cipher::FieldKey;

#[tokio::test]
async fn a_closed_store_opens_its_working_set_and_a_killed_one_rebuilds_it() {
    let home = Home::closed(30).await;
    assert!(home.segments().len() > 3, "30 frames fill several segments");
    let report = home.holds(30).await;
    assert_eq!(
        (report.found, report.working_set),
        (Found::Store, WorkingSet::Opened)
    );
    let killed = Home::killed(30).await;
    let report = killed.holds(30).await;
    assert_eq!(report.found, Found::Store);
    assert_eq!(report.working_set, WorkingSet::Rebuilt { keys: 30 });
    assert_eq!(killed.holds(30).await.working_set, WorkingSet::Opened);
}

#[tokio::test]
async fn a_new_store_is_private_and_says_that_it_is_new() {
    let home = Home::new();
    let (store, report) = home.open();
    assert_eq!((report.found, report.commit), (Found::Nothing, 0));
    fill(&store, 1, 1).await;
    store.close().await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for dir in [
        home.dir.clone(),
        home.dir.join("journal"),
        home.dir.join("sled"),
    ] {
        assert_eq!(mode(&dir), 0o700, "{}", dir.display());
    }
    for name in ["FORMAT", "LOCK", "sled.seal", "journal.mark"] {
        assert_eq!(mode(&home.dir.join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&home.last_segment()), 0o600);
}

#[tokio::test]
async fn a_store_grows_over_many_starts_with_and_without_writes() {
    let home = Home::new();
    let mut commits = 0;
    for start in 0..8 {
        let (store, report) = home.open();
        assert_eq!(report.commit, u64::from(commits));
        assert_eq!(count(&store).await, commits);
        let more = [0, 0, 3, 12][start % 4];
        fill(&store, commits + 1, commits + more).await;
        commits += more;
        if start % 3 != 0 {
            store.close().await.unwrap();
        }
    }
    home.holds(commits).await;
}

#[tokio::test]
async fn a_store_in_use_is_not_opened_twice_and_the_error_names_the_process() {
    let home = Home::new();
    let (_store, _) = home.open();
    let Err(OpenError::Locked { pid, .. }) = try_open(&home.dir) else {
        panic!("it must be refused");
    };
    assert_eq!(pid, std::process::id().to_string());
}

#[tokio::test]
async fn another_field_key_and_a_newer_format_are_refused() {
    let home = Home::closed(1).await;
    let field_key = FieldKey::new([8; 32]);
    let other = StoreConfig {
        field_key,
        ..config(&home.dir)
    };
    assert!(matches!(
        Store::open(&other, &|_| ()),
        Err(OpenError::WrongFieldKey)
    ));
    let format = home.dir.join("FORMAT");
    let text = fs::read_to_string(&format).unwrap();
    fs::write(&format, text.replacen("zhanggui 2", "zhanggui 3", 1)).unwrap();
    assert!(matches!(home.fault(), OpenError::Newer(3)));
    fs::write(&format, text.replacen("instance ", "instance 0", 1)).unwrap();
    assert!(matches!(home.fault(), OpenError::BadFormat(_)));
    fs::write(&format, text).unwrap();
    home.holds(1).await;
}

#[tokio::test]
async fn a_lost_format_or_journal_is_never_taken_for_a_new_store() {
    let home = Home::closed(3).await;
    let aside = home.dir.join("aside");
    fs::rename(home.dir.join("FORMAT"), &aside).unwrap();
    assert!(matches!(home.fault(), OpenError::NoFormat(_)));
    let sled = home.dir.join("sled");
    fs::rename(&sled, home.dir.join("sled.aside")).unwrap();
    assert!(
        matches!(home.fault(), OpenError::NoFormat(_)),
        "the journal alone proves it"
    );
    fs::rename(home.dir.join("sled.aside"), &sled).unwrap();
    fs::rename(&aside, home.dir.join("FORMAT")).unwrap();
    fs::rename(home.dir.join("journal"), &aside).unwrap();
    assert!(matches!(home.fault(), OpenError::NoJournal(_)));
    fs::create_dir(home.dir.join("journal")).unwrap();
    assert!(matches!(home.fault(), OpenError::NoJournal(_)));
    fs::remove_dir(home.dir.join("journal")).unwrap();
    fs::rename(&aside, home.dir.join("journal")).unwrap();
    home.holds(3).await;
}

#[tokio::test]
async fn a_working_set_that_is_not_as_it_was_sealed_is_rebuilt() {
    let changes: [fn(&Path); 4] = [
        |dir| {
            fs::File::open(dir.join("sled/db"))
                .unwrap()
                .set_modified(std::time::SystemTime::UNIX_EPOCH)
                .unwrap();
        },
        |dir| fs::write(dir.join("sled/more"), b"").unwrap(),
        |dir| fs::write(dir.join(REBUILD), b"").unwrap(),
        |dir| fs::write(dir.join("sled.seal"), b"zhanggui seal 2\n").unwrap(),
    ];
    for (row, change) in changes.into_iter().enumerate() {
        let home = Home::closed(5).await;
        change(&home.dir);
        let report = home.holds(5).await;
        assert_eq!(
            report.working_set,
            WorkingSet::Rebuilt { keys: 5 },
            "row {row}"
        );
        assert!(!home.dir.join(REBUILD).exists());
        assert_eq!(
            home.holds(5).await.working_set,
            WorkingSet::Opened,
            "row {row}"
        );
    }
}

#[tokio::test]
async fn leftovers_of_a_killed_rebuild_and_a_damaged_working_set_do_not_matter() {
    let home = Home::killed(5).await;
    drop(home.open());
    fs::create_dir_all(home.dir.join("sled.new/blobs")).unwrap();
    fs::write(home.dir.join("sled.new/db"), b"half").unwrap();
    fs::write(home.dir.join("sled/snap.0000.generating"), b"half").unwrap();
    fs::write(home.dir.join("sled/db"), vec![0xAA; 5000]).unwrap();
    let report = home.holds(5).await;
    assert_eq!(report.working_set, WorkingSet::Rebuilt { keys: 5 });
}

#[tokio::test]
async fn a_start_that_was_cut_short_before_format_is_made_again() {
    let home = Home::closed(0).await;
    for name in ["sled", "FORMAT", "sled.seal"] {
        let path = home.dir.join(name);
        fs::remove_file(&path)
            .or_else(|_| fs::remove_dir_all(&path))
            .unwrap();
    }
    let (store, report) = home.open();
    assert_eq!(report.found, Found::Nothing);
    fill(&store, 1, 2).await;
    drop(store);
    home.holds(2).await;
}

#[tokio::test]
async fn cache_keys_survive_a_clean_stop_and_not_a_rebuild() {
    let home = Home::closed(1).await;
    let token = || vec![0xF1, 1];
    let (store, _) = home.open();
    let ticket = store
        .cache_write(vec![(token(), Some(b"openid".to_vec()))])
        .unwrap();
    while store.cache_applied() < ticket {
        tokio::task::yield_now().await;
    }
    store.close().await.unwrap();
    let (store, report) = home.open();
    assert_eq!((report.commit, report.working_set), (1, WorkingSet::Opened));
    let kept = store.read(move |view| view.get(&token())).await;
    assert_eq!(kept, Ok(Some(b"openid".to_vec())));
    let revoked = store.write(move |tx| -> Result<(), StoreError> {
        tx.delete(token());
        Ok(())
    });
    revoked.await.unwrap();
    assert_eq!(store.read(move |view| view.get(&token())).await, Ok(None));
    let again = store
        .cache_write(vec![(token(), Some(b"openid".to_vec()))])
        .unwrap();
    while store.cache_applied() < again {
        tokio::task::yield_now().await;
    }
    drop(store);
    let (store, report) = home.open();
    assert_eq!(report.commit, 2, "a revocation is a commit, a token is not");
    assert_eq!(store.read(move |view| view.get(&token())).await, Ok(None));
}

#[tokio::test]
async fn the_phase_file_says_that_an_open_store_is_idle() {
    let home = Home::new();
    let phase_file = home.dir.with_file_name("phase");
    let with_phase = StoreConfig {
        phase_file: Some(phase_file.clone()),
        ..config(&home.dir)
    };
    let (store, _) = Store::open(&with_phase, &|_| ()).unwrap();
    fill(&store, 1, 3).await;
    for _ in 0..1000 {
        if fs::read(&phase_file).unwrap() == [Phase::Idle.byte()] {
            return store.close().await.unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("never idle");
}

#[tokio::test]
async fn a_working_set_at_another_commit_than_its_seal_says_is_given_up_and_rebuilt() {
    let home = Home::closed(4).await;
    let sled = home.dir.join("sled");
    let health = Arc::new(Health::new(home.dir.clone()));
    let set = SledSet::open(&sled, 8 << 20, health).unwrap();
    set.apply(std::iter::empty(), Some(3)).unwrap();
    set.close().unwrap();
    let seal = Seal::read(&home.dir).unwrap();
    Seal::write(&home.dir, &sled, seal.end).unwrap();
    let fault = home.fault();
    assert!(matches!(fault, OpenError::WorkingSet(_)), "{fault}");
    let report = home.holds(4).await;
    assert_eq!(report.working_set, WorkingSet::Rebuilt { keys: 4 });
}

#[tokio::test]
async fn a_directory_of_something_else_keeps_its_mode() {
    let home = Home::new();
    fs::create_dir(&home.dir).unwrap();
    fs::write(home.dir.join("letter"), b"dear").unwrap();
    fs::set_permissions(&home.dir, fs::Permissions::from_mode(0o755)).unwrap();
    drop(home.open());
    let mode = fs::metadata(&home.dir).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}
