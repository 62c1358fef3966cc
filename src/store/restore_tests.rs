use super::*;
use crate::store::backup::{BackupOrder, back_up_stopped};
use crate::store::copying::{FileFault, truth_files};
use crate::store::test_home::{Home as Dir, config};

fn from(source: &Path, to: &Dir) -> Result<Restored, CopyError> {
    let order = RestoreOrder {
        source: source.to_owned(),
        data_dir: to.dir.clone(),
        field_key: config(source).field_key,
    };
    restore(&order, &|_| ())
}

/// A store of 40 commits, and a backup of it.
async fn backed_up() -> (Dir, tempfile::TempDir, PathBuf) {
    let (home, root) = (Dir::closed(40).await, tempfile::tempdir().unwrap());
    let dest = root.path().join("backup");
    let order = BackupOrder {
        data_dir: home.dir.clone(),
        dest: dest.clone(),
        now: Timestamp::from_unix(1_767_196_800),
        reach: 0,
    };
    let watch = Onlooker {
        progress: &|_| (),
        stop: &AtomicBool::new(false),
    };
    back_up_stopped(&order, watch).unwrap();
    (home, root, dest)
}

/// Every file below `dir` with its content.
fn listing(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = vec![];
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => left.push(path),
                false => found.push((path.clone(), fs::read(&path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_flipped_byte_anywhere_in_a_backup_keeps_it_from_being_restored() {
    let (_home, _root, dest) = backed_up().await;
    for (path, good) in listing(&dest) {
        for at in (0..good.len()).step_by(1 + good.len() / 7) {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            let to = Dir::new();
            let done = from(&dest, &to);
            assert!(done.is_err(), "{} byte {at}", path.display());
            assert!(!to.dir.exists(), "nothing was begun");
        }
        fs::write(&path, &good).unwrap();
    }
    from(&dest, &Dir::new()).unwrap();
}

#[tokio::test]
async fn a_file_that_is_missing_or_surplus_is_named() {
    let (_home, _root, dest) = backed_up().await;
    let files = truth_files(&dest).unwrap();
    let named = |want: FileFault| match from(&dest, &Dir::new()) {
        Err(CopyError::Altered(faults)) => assert_eq!(faults, [want]),
        other => panic!("{other:?}"),
    };
    for file in &files {
        let (path, aside) = (dest.join(file), dest.join("aside"));
        fs::rename(&path, &aside).unwrap();
        named(FileFault::Missing(file.clone()));
        fs::rename(&aside, &path).unwrap();
    }
    let surplus = "journal/0000000000000099-00000099.zgj";
    fs::copy(dest.join(&files[0]), dest.join(surplus)).unwrap();
    named(FileFault::Unlisted(surplus.to_owned()));
}

#[tokio::test]
async fn a_target_that_holds_anything_is_refused_and_stays_as_it_is() {
    let (_home, _root, dest) = backed_up().await;
    let to = Dir::closed(3).await;
    let before = listing(&to.dir);
    let done = from(&dest, &to);
    assert!(matches!(done, Err(CopyError::NotEmpty(_))), "{done:?}");
    assert_eq!(listing(&to.dir), before);
    let to = Dir::new();
    fs::create_dir(&to.dir).unwrap();
    from(&dest, &to).expect("an empty directory will do");
    to.holds(40).await;
}

#[tokio::test]
async fn a_plain_copy_is_restored_with_nothing_written_into_it() {
    let home = Dir::killed(40).await;
    let (copy, to) = (home.copy(), Dir::new());
    let before = listing(&copy.dir);
    let restored = from(&copy.dir, &to).unwrap();
    assert_eq!((restored.commit, restored.manifest), (40, None));
    assert_eq!(listing(&copy.dir), before);
    let report = to.holds(40).await;
    assert_eq!(report.found, crate::store::Found::Copy);
}

#[tokio::test]
async fn a_restore_that_was_killed_does_not_open_and_is_begun_again() {
    let (home, _root, dest) = backed_up().await;
    let to = Dir::new();
    begin(&to.dir).unwrap();
    let segment = home.last_segment();
    let name = segment.file_name().unwrap();
    fs::copy(&segment, to.dir.join("journal").join(name)).unwrap();
    to.fault();
    from(&dest, &to).unwrap();
    assert!(!to.dir.join(UNFINISHED).exists());
    to.holds(40).await;
}

#[tokio::test]
async fn another_field_key_or_a_server_in_the_source_is_told() {
    let (home, _root, dest) = backed_up().await;
    let order = RestoreOrder {
        source: dest,
        data_dir: Dir::new().dir,
        field_key: FieldKey::new([8; 32]),
    };
    let done = restore(&order, &|_| ());
    assert!(
        matches!(done, Err(CopyError::Open(OpenError::WrongFieldKey))),
        "{done:?}"
    );
    let (store, _) = home.open();
    let done = from(&home.dir, &Dir::new());
    assert!(
        matches!(done, Err(CopyError::Open(OpenError::Locked { .. }))),
        "{done:?}"
    );
    store.close().await.unwrap();
}
