use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::store::test_home::{Home as Place, fill};
use crate::store::{Onlooker, Reached, RestoreOrder, restore};

static RUNS: AtomicBool = AtomicBool::new(false);

const SILENT: Onlooker<'static> = Onlooker {
    progress: &|_: Reached| (),
    stop: &RUNS,
};

pub(super) fn order(data_dir: &Path, dest: &Path) -> BackupOrder {
    BackupOrder {
        data_dir: data_dir.to_owned(),
        dest: dest.to_owned(),
        now: Timestamp::from_unix(1_767_196_800),
        reach: 0,
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
    entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn a_backup_of_a_running_store_holds_what_was_acknowledged_before_it_began() {
    let (home, root) = (Place::new(), tempfile::tempdir().unwrap());
    let (store, _) = home.open();
    fill(&store, 1, 40).await;
    let dest = root.path().join("backup");
    let reach = store.commit().await.unwrap();
    assert_eq!(reach, 40);
    let wanted = BackupOrder {
        reach,
        ..order(&home.dir, &dest)
    };
    let manifest = store.back_up(&wanted, SILENT).unwrap();
    fill(&store, 41, 50).await;
    store.close().await.unwrap();
    assert_eq!(manifest.commit, 40);
    assert!(manifest.files.len() > 4, "{manifest:?}");
    assert_eq!(names(root.path()), ["backup"]);
    let elsewhere = Place::new();
    let restored = restore(
        &RestoreOrder {
            source: dest,
            data_dir: elsewhere.dir.clone(),
            field_key: crate::store::test_home::config(&home.dir).field_key,
        },
        &|_| (),
    );
    assert_eq!(restored.unwrap().commit, 40);
    let report = elsewhere.holds(40).await;
    assert_eq!(report.found, crate::store::Found::Copy);
}

#[tokio::test]
async fn a_backup_that_does_not_reach_what_was_acknowledged_is_none() {
    let (home, root) = (Place::closed(5).await, tempfile::tempdir().unwrap());
    let dest = root.path().join("backup");
    let wanted = BackupOrder {
        reach: 6,
        ..order(&home.dir, &dest)
    };
    let done = back_up_stopped(&wanted, SILENT);
    assert!(
        matches!(done, Err(CopyError::Behind { wanted: 6, got: 5 })),
        "{done:?}"
    );
    assert!(names(root.path()).is_empty());
    // What the seal names is missed too.
    fs::remove_file(home.last_segment()).unwrap();
    let done = back_up_stopped(&order(&home.dir, &dest), SILENT);
    assert!(done.is_err(), "{done:?}");
    assert!(names(root.path()).is_empty());
}

#[tokio::test]
async fn a_damaged_journal_is_not_backed_up_and_nothing_is_left() {
    let (home, root) = (Place::closed(40).await, tempfile::tempdir().unwrap());
    let segment = &home.segments()[1];
    let mut bytes = fs::read(segment).unwrap();
    bytes[200] ^= 1;
    fs::write(segment, bytes).unwrap();
    let done = back_up_stopped(&order(&home.dir, &root.path().join("b")), SILENT);
    assert!(matches!(done, Err(CopyError::Journal(_))), "{done:?}");
    assert!(names(root.path()).is_empty());
}

#[tokio::test]
async fn a_target_that_is_taken_inside_the_data_or_nowhere_is_refused() {
    let (home, root) = (Place::closed(3).await, tempfile::tempdir().unwrap());
    let taken = root.path().join("taken");
    fs::create_dir(&taken).unwrap();
    let refused = |dest: &Path| back_up_stopped(&order(&home.dir, dest), SILENT).unwrap_err();
    back_up_stopped(&order(&home.dir, &taken), SILENT).expect("an empty directory will do");
    let again = refused(&taken);
    assert!(matches!(again, CopyError::NotEmpty(_)), "{again}");
    let inside = refused(&home.dir.join("backup"));
    assert!(matches!(inside, CopyError::Inside(_)), "{inside}");
    let nowhere = refused(&root.path().join("not/there"));
    assert!(matches!(nowhere, CopyError::NoPlace(_)), "{nowhere}");
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let is_file = refused(&file);
    assert!(matches!(is_file, CopyError::NotEmpty(_)), "{is_file}");
}

#[tokio::test]
async fn a_backup_that_is_stopped_leaves_nothing_and_a_killed_ones_rest_is_replaced() {
    let (home, root) = (Place::closed(40).await, tempfile::tempdir().unwrap());
    let dest = root.path().join("b");
    let stopped = Onlooker {
        stop: &AtomicBool::new(true),
        ..SILENT
    };
    let done = back_up_stopped(&order(&home.dir, &dest), stopped);
    assert!(matches!(done, Err(CopyError::Stopped)), "{done:?}");
    assert!(names(root.path()).is_empty());
    let partial = root.path().join("b.partial");
    fs::create_dir(&partial).unwrap();
    fs::copy(home.dir.join("FORMAT"), partial.join("FORMAT")).unwrap();
    fs::write(partial.join("half"), "x").unwrap();
    back_up_stopped(&order(&home.dir, &dest), SILENT).unwrap();
    assert_eq!(names(root.path()), ["b"]);
    // What is not ours under that name stays.
    let strange = root.path().join("c.partial");
    fs::create_dir(&strange).unwrap();
    fs::write(strange.join("mine"), "x").unwrap();
    let done = back_up_stopped(&order(&home.dir, &root.path().join("c")), SILENT);
    assert!(matches!(done, Err(CopyError::NotEmpty(_))), "{done:?}");
    assert!(strange.join("mine").exists());
}

#[tokio::test]
async fn files_of_a_backup_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (home, root) = (Place::closed(3).await, tempfile::tempdir().unwrap());
    let dest = root.path().join("b");
    let manifest = back_up_stopped(&order(&home.dir, &dest), SILENT).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dest), 0o700);
    for file in manifest
        .files
        .iter()
        .map(|file| file.path.as_str())
        .chain(["MANIFEST"])
    {
        assert_eq!(mode(&dest.join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn only_whole_backups_of_this_store_are_listed_and_swept_are_its_own_partials() {
    let (home, other) = (Place::closed(3).await, Place::closed(3).await);
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    back_up_stopped(&order(&home.dir, &at("mine")), SILENT).unwrap();
    back_up_stopped(&order(&other.dir, &at("theirs")), SILENT).unwrap();
    fs::create_dir(at("empty")).unwrap();
    for (name, of) in [("x.partial", &home), ("y.partial", &other)] {
        fs::create_dir(at(name)).unwrap();
        fs::copy(of.dir.join("FORMAT"), at(name).join("FORMAT")).unwrap();
    }
    let found = kept(root.path(), &home.dir).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].name.as_str(), found[0].manifest.commit),
        ("mine", 3)
    );
    sweep_partials(root.path(), &home.dir).unwrap();
    assert!(!at("x.partial").exists() && at("y.partial").exists());
    remove_kept(root.path(), "mine").unwrap();
    assert_eq!(kept(root.path(), &home.dir).unwrap(), []);
}
