//! For tests: directories with stores in them, closed, killed and copied.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{KeyRange, OpenError, OpenReport, Read, Store, StoreConfig, StoreError};
use crate::base::Clock;
use crate::base::cipher::FieldKey;

pub(super) fn config(dir: &Path) -> StoreConfig {
    StoreConfig {
        data_dir: dir.to_owned(),
        cache_bytes: 8 << 20,
        segment_bytes: 1000,
        bases: super::BasePlan::default(),
        field_key: FieldKey::new([7; 32]),
        clock: Clock::system(),
        phase_file: None,
    }
}

pub(super) fn try_open(dir: &Path) -> Result<(Store, OpenReport), OpenError> {
    Store::open(&config(dir), &|_| ())
}

/// A directory with a store in it.
pub(super) struct Home {
    _root: tempfile::TempDir,
    pub(super) dir: PathBuf,
}

impl Home {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data");
        Self { _root: root, dir }
    }

    /// A store that was filled with commits 1 to `commits` and closed.
    pub(super) async fn closed(commits: u32) -> Self {
        let home = Self::new();
        let (store, _) = try_open(&home.dir).unwrap();
        fill(&store, 1, commits).await;
        store.close().await.unwrap();
        home
    }

    /// The same, killed instead.
    pub(super) async fn killed(commits: u32) -> Self {
        let home = Self::new();
        let (store, _) = try_open(&home.dir).unwrap();
        fill(&store, 1, commits).await;
        drop(store);
        home
    }

    pub(super) fn copy(&self) -> Self {
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
    pub(super) fn segments(&self) -> Vec<PathBuf> {
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

    pub(super) fn last_segment(&self) -> PathBuf {
        self.segments().pop().unwrap()
    }

    /// Opens the store once it is free, and expects what `fill` wrote up to `commits`.
    pub(super) async fn holds(&self, commits: u32) -> OpenReport {
        let (store, report) = self.open();
        assert_eq!(report.commit, u64::from(commits));
        assert_eq!(count(&store).await, commits);
        store.close().await.unwrap();
        report
    }

    /// Opens the store; one that was dropped is free when its writer has ended.
    pub(super) fn open(&self) -> (Store, OpenReport) {
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

    pub(super) fn fault(&self) -> OpenError {
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

pub(super) fn key(number: u32) -> Vec<u8> {
    [&b"k"[..], &number.to_be_bytes()].concat()
}

pub(super) async fn fill(store: &Store, from: u32, to: u32) {
    for number in from..=to {
        let written = store.write(move |tx| -> Result<(), StoreError> {
            tx.put(key(number), vec![1; 100]);
            Ok(())
        });
        written.await.unwrap();
    }
}

pub(super) async fn count(store: &Store) -> u32 {
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
