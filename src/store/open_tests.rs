//! Starts of every kind, on real directories: clean, killed, copied, torn, damaged, foreign.
#![allow(clippy::unwrap_used)]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::health::REBUILD;
use super::{Found, JournalFault, KeyRange, OpenError, OpenReport, Phase, Read, Store};
use super::{StoreConfig, StoreError, WorkingSet};
use crate::base::Clock;
use crate::base::cipher::FieldKey;

fn config(dir: &Path) -> StoreConfig {
    StoreConfig {
        data_dir: dir.to_owned(),
        cache_bytes: 8 << 20,
        segment_bytes: 1000,
        field_key: FieldKey::new([7; 32]),
        clock: Clock::system(),
        phase_file: None,
    }
}

fn try_open(dir: &Path) -> Result<(Store, OpenReport), OpenError> {
    Store::open(&config(dir), &|_| ())
}

/// A directory with a store in it.
struct Home {
    _root: tempfile::TempDir,
    dir: PathBuf,
}

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data");
        Self { _root: root, dir }
    }

    /// A store that was filled with commits 1 to `commits` and closed.
    async fn closed(commits: u32) -> Self {
        let home = Self::new();
        let (store, _) = try_open(&home.dir).unwrap();
        fill(&store, 1, commits).await;
        store.close().await.unwrap();
        home
    }

    /// The same, killed instead.
    async fn killed(commits: u32) -> Self {
        let home = Self::new();
        let (store, _) = try_open(&home.dir).unwrap();
        fill(&store, 1, commits).await;
        drop(store);
        home
    }

    fn copy(&self) -> Self {
        let copy = Self::new();
        let status = Command::new("cp")
            .arg("-r")
            .arg(&self.dir)
            .arg(&copy.dir)
            .status();
        assert!(status.unwrap().success());
        copy
    }

    /// Journal segments in order.
    fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.join("journal")).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort_by_key(|path| {
            path.to_str()
                .unwrap()
                .rsplit_once('-')
                .unwrap()
                .1
                .to_owned()
        });
        paths
    }

    fn last_segment(&self) -> PathBuf {
        self.segments().pop().unwrap()
    }

    /// Opens the store once it is free, and expects what `fill` wrote up to `commits`.
    async fn holds(&self, commits: u32) -> OpenReport {
        let (store, report) = self.open();
        assert_eq!(report.commit, u64::from(commits));
        assert_eq!(count(&store).await, commits);
        store.close().await.unwrap();
        report
    }

    /// Opens the store; one that was dropped is free when its writer has ended.
    fn open(&self) -> (Store, OpenReport) {
        for _ in 0..2000 {
            match try_open(&self.dir) {
                Err(OpenError::Locked { .. }) => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                opened => return opened.unwrap(),
            }
        }
        panic!("the lock is not released");
    }

    fn fault(&self) -> OpenError {
        for _ in 0..2000 {
            match try_open(&self.dir) {
                Err(OpenError::Locked { .. }) => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                opened => return opened.err().expect("it must be refused"),
            }
        }
        panic!("the lock is not released");
    }
}

fn key(number: u32) -> Vec<u8> {
    [&b"k"[..], &number.to_be_bytes()].concat()
}

async fn fill(store: &Store, from: u32, to: u32) {
    for number in from..=to {
        let written = store.write(move |tx| -> Result<(), StoreError> {
            tx.put(key(number), vec![1; 100]);
            Ok(())
        });
        written.await.unwrap();
    }
}

async fn count(store: &Store) -> u32 {
    let counted = store.read(|view| -> Result<u32, StoreError> {
        let mut seen = 0;
        view.scan(&KeyRange::prefix(b"k"), &mut |_, _| {
            seen += 1;
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(seen)
    });
    counted.await.unwrap()
}

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
    for dir in [home.dir.clone(), home.dir.join("journal")] {
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
    fs::write(&format, text.replacen("zhanggui 1", "zhanggui 2", 1)).unwrap();
    assert!(matches!(home.fault(), OpenError::Newer(2)));
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
        |dir| fs::write(dir.join("sled.seal"), b"zhanggui seal 1\n").unwrap(),
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
    fs::remove_file(&sealed.segments()[2]).unwrap();
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
