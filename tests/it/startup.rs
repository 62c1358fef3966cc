//! Every start that is not an ordinary one, with the real binary: it heals what is only a cache, it
//! refuses what it cannot vouch for with a cause and a remedy, and it deletes nothing.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fulfil::pay;
use crate::small_disk::SmallDisk;
use crate::snapshot::snapshot;
use crate::world::World;

/// A shop that was stopped after several starts: its journal has as many segments.
fn stopped() -> (World, String) {
    let mut world = World::start();
    let tea = world.merchant().sells("茶", 100, 100);
    for start in 0..5 {
        if start > 0 {
            world.restart();
        }
        let buyer = world.buyer();
        pay(&world, &buyer, tea);
        buyer.order(tea, 1);
    }
    let told = contents(&world);
    world.stop();
    (world, told)
}

fn contents(world: &World) -> String {
    world.everything().to_string()
}

/// The start must be refused with these words, and change nothing.
#[track_caller]
fn refused(world: &mut World, words: &[&str]) {
    let before = snapshot(&world.data_dir());
    let (code, said) = world.try_serve().expect_err("it must be refused");
    assert_eq!(code, Some(1), "{said}");
    for word in words {
        assert!(said.contains(word), "{word} is not said:\n{said}");
    }
    let mut after = snapshot(&world.data_dir());
    // Who holds the lock, and tried to, is written into it.
    after.insert("LOCK".to_owned(), before["LOCK"].clone());
    let changed: Vec<_> = before
        .iter()
        .filter(|(path, file)| after.get(*path) != Some(file))
        .collect();
    let names: Vec<_> = changed.iter().map(|(path, _)| path).collect();
    assert!(
        names.is_empty() && after.len() == before.len(),
        "it changed {names:?}"
    );
}

/// The server must come up with everything, at once or at its second start; says which.
#[track_caller]
fn heals(world: &mut World, told: &str, what: &str) -> usize {
    for start in 1..=2 {
        match world.try_serve() {
            Ok(()) => {
                assert_eq!(contents(world), told, "{what}");
                world.stop();
                return start;
            }
            Err((code, said)) => {
                assert_eq!(code, Some(1), "{what}: {said}");
                assert!(said.contains("从账本重建工作集"), "{what}: {said}");
                assert!(world.data_dir().join("REBUILD").exists(), "{what}: {said}");
            }
        }
    }
    panic!("{what}: it does not heal");
}

fn segments(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("journal")).unwrap();
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

/// Seals the working set as it is now: as if what is wrong with it had been sealed.
fn reseal(data: &Path) {
    let (seal, sled) = (data.join("sled.seal"), data.join("sled"));
    let old = fs::read_to_string(&seal).unwrap();
    let end = old.lines().nth(1).unwrap();
    let mut paths: Vec<PathBuf> = fs::read_dir(&sled)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    let (mut lines, mut content) = (vec![], 0);
    for path in paths.iter().filter(|path| path.is_file()) {
        let (meta, name) = (fs::metadata(path).unwrap(), path.file_name().unwrap());
        let name = name.to_str().unwrap();
        let times = format!(
            "{}.{:09} {}.{:09}",
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec()
        );
        lines.push(format!("{} {} {times} {name}\n", meta.ino(), meta.size()));
        content = crc32c::crc32c_append(content, name.as_bytes());
        content = crc32c::crc32c_append(content, &fs::read(path).unwrap());
    }
    lines.sort();
    let text = format!("zhanggui seal 2\n{end}\n{content:08x}\n{}", lines.concat());
    let check = crc32c::crc32c(text.as_bytes());
    fs::write(seal, format!("{text}{check:08x}\n")).unwrap();
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-r").args([from, to]).status();
    assert!(status.unwrap().success());
}

#[test]
fn what_a_killed_start_left_in_the_working_set_does_not_matter() {
    let (mut world, told) = stopped();
    let data = world.data_dir();
    for sealed in [false, true] {
        fs::write(data.join("sled/snap.000000000000FFFF.generating"), "half").unwrap();
        if sealed {
            reseal(&data);
        }
        assert_eq!(heals(&mut world, &told, "a leftover snapshot"), 1);
        fs::create_dir_all(data.join("sled.new/blobs")).unwrap();
        fs::write(data.join("sled.new/db"), "half").unwrap();
        assert_eq!(heals(&mut world, &told, "a leftover rebuild"), 1);
    }
}

#[test]
fn a_byte_that_rots_in_the_working_set_is_seen_before_it_is_opened() {
    let (mut world, told) = stopped();
    let db = world.data_dir().join("sled/db");
    let length = fs::metadata(&db).unwrap().len();
    for turn in 0..8 {
        let meta = fs::metadata(&db).unwrap();
        let at = turn * length / 9 + 40;
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&db)
            .unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
        file.set_modified(meta.modified().unwrap()).unwrap();
        // A disk that forgets a bit changes no time either: only the content tells.
        fit_identity(&world.data_dir());
        assert_eq!(
            heals(&mut world, &told, &format!("a flipped bit at {at}")),
            1
        );
        assert!(world.log().contains("正在从账本重建工作集"));
    }
}

/// The seal's identity lines as the files are now, its content line as it was.
fn fit_identity(data: &Path) {
    let old = fs::read_to_string(data.join("sled.seal")).unwrap();
    let content = old.lines().nth(2).unwrap().to_owned();
    reseal(data);
    let new = fs::read_to_string(data.join("sled.seal")).unwrap();
    let mut lines: Vec<String> = new.lines().map(str::to_owned).collect();
    lines.pop();
    lines[2] = content;
    let text = lines.join("\n") + "\n";
    let check = crc32c::crc32c(text.as_bytes());
    fs::write(data.join("sled.seal"), format!("{text}{check:08x}\n")).unwrap();
}

/// What is done to the bytes of sled's file.
type Damage = fn(&mut Vec<u8>);

#[test]
fn a_damaged_working_set_that_was_sealed_like_that_is_rebuilt_in_two_starts_at_most() {
    let (mut world, told) = stopped();
    world.setup.may_panic = true;
    let data = world.data_dir();
    let damages: [(&str, Damage); 2] = [
        ("rubbish from the first segment on", |bytes| {
            bytes[64..].fill(0xAA);
        }),
        ("nothing", Vec::clear),
    ];
    for (what, damage) in damages {
        damaged(&data, damage);
        assert_eq!(heals(&mut world, &told, what), 2, "{what}");
    }
}

#[test]
fn a_panic_of_the_working_set_ends_the_start_and_the_next_one_rebuilds() {
    let (mut world, told) = stopped();
    world.setup.may_panic = true;
    let (sled, aside) = (
        world.data_dir().join("sled"),
        world.dir.path().join("aside"),
    );
    let old = snapshot_of(&sled);
    fs::copy(&old, &aside).unwrap();
    fs::write(world.data_dir().join("REBUILD"), "").unwrap();
    assert_eq!(heals(&mut world, &told, "a rebuild is asked for"), 1);
    world.serve();
    let (goods, buyer) = (world.merchant().sells("茶", 1, 1000), world.buyer());
    for _ in 0..300 {
        buyer.order(goods, 1);
    }
    let told = contents(&world);
    world.stop();
    // A snapshot of sled's that belongs to another file.
    fs::remove_file(snapshot_of(&sled)).unwrap();
    fs::rename(aside, &old).unwrap();
    reseal(&world.data_dir());
    let (code, said) = world.try_serve().expect_err("sled panics");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("(panic)") && said.contains("再启动一次"),
        "{said}"
    );
    assert_eq!(heals(&mut world, &told, "after a panic"), 1);
}

fn snapshot_of(sled: &Path) -> PathBuf {
    let mut paths = fs::read_dir(sled)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let found = paths.find(|path| path.to_str().unwrap().contains("/snap."));
    found.expect("sled keeps a snapshot")
}

/// Changes sled's file, and seals it like that.
fn damaged(data: &Path, damage: impl Fn(&mut Vec<u8>)) {
    let db = data.join("sled/db");
    let mut bytes = fs::read(&db).unwrap();
    damage(&mut bytes);
    fs::write(&db, bytes).unwrap();
    reseal(data);
}

#[test]
fn a_working_set_of_yesterday_under_the_seal_of_today_is_noticed() {
    let (mut world, _) = stopped();
    let (data, old) = (world.data_dir(), world.dir.path().join("old"));
    copy(&data.join("sled"), &old);
    world.serve();
    let goods = world.merchant().sells("今日", 100, 5);
    world.buyer().order(goods, 1);
    let told = contents(&world);
    world.stop();
    fs::remove_dir_all(data.join("sled")).unwrap();
    fs::rename(old, data.join("sled")).unwrap();
    reseal(&data);
    heals(&mut world, &told, "a rolled back working set");
}

#[test]
fn a_journal_that_lost_a_segment_is_refused_and_named() {
    let (mut world, told) = stopped();
    let all = segments(&world.data_dir());
    assert!(all.len() >= 4, "{all:?}");
    let aside = world.dir.path().join("aside");
    for missing in [0, all.len() / 2, all.len() - 1] {
        fs::rename(&all[missing], &aside).unwrap();
        refused(&mut world, &["账本缺少提交", "restore", "cp -r"]);
        fs::rename(&aside, &all[missing]).unwrap();
    }
    assert_eq!(heals(&mut world, &told, "all segments are back"), 1);
}

#[test]
fn a_journal_with_a_bad_byte_is_refused_and_the_place_is_named() {
    let (mut world, _) = stopped();
    let first = &segments(&world.data_dir())[0];
    let mut bytes = fs::read(first).unwrap();
    bytes[300] ^= 1;
    fs::write(first, bytes).unwrap();
    let name = first.file_name().unwrap().to_str().unwrap();
    refused(&mut world, &[name, "损坏", "restore", "不要删除"]);
}

#[test]
fn a_copied_directory_serves_and_says_so() {
    let (mut world, told) = stopped();
    let data = world.data_dir();
    copy(&data, &world.dir.path().join("copy"));
    fs::remove_dir_all(&data).unwrap();
    fs::rename(world.dir.path().join("copy"), &data).unwrap();
    assert_eq!(heals(&mut world, &told, "a copy"), 1);
    assert!(world.log().contains("副本"), "{}", world.log());
}

#[test]
fn a_format_that_is_newer_or_damaged_is_refused() {
    let (mut world, told) = stopped();
    let format = world.data_dir().join("FORMAT");
    let text = fs::read_to_string(&format).unwrap();
    let first = text.lines().next().unwrap();
    for (other, word) in [
        ("zhanggui 9", "更新版本"),
        ("zhanggui 0", "已损坏"),
        ("zhang", "已损坏"),
    ] {
        fs::write(&format, text.replacen(first, other, 1)).unwrap();
        refused(&mut world, &[word]);
    }
    fs::write(&format, text.replacen("instance ", "instance 0", 1)).unwrap();
    refused(&mut world, &["FORMAT 已损坏", "restore"]);
    fs::write(&format, text).unwrap();
    assert_eq!(heals(&mut world, &told, "FORMAT is back"), 1);
}

#[test]
fn a_directory_that_lost_its_marker_or_its_journal_is_never_taken_for_a_new_one() {
    let (mut world, told) = stopped();
    let (data, aside) = (world.data_dir(), world.dir.path().join("aside"));
    fs::rename(data.join("FORMAT"), &aside).unwrap();
    refused(&mut world, &["没有 FORMAT", "restore"]);
    fs::rename(&aside, data.join("FORMAT")).unwrap();
    fs::rename(data.join("journal"), &aside).unwrap();
    refused(&mut world, &["journal/ 不见了", "restore"]);
    fs::create_dir(data.join("journal")).unwrap();
    refused(&mut world, &["journal/ 不见了"]);
    fs::remove_dir(data.join("journal")).unwrap();
    fs::rename(&aside, data.join("journal")).unwrap();
    assert_eq!(heals(&mut world, &told, "all is back"), 1);
}

#[test]
fn an_empty_directory_is_made_a_store_and_that_is_said_loudly() {
    let (mut world, _) = stopped();
    fs::remove_dir_all(world.data_dir()).unwrap();
    world.serve();
    assert!(world.log().contains("若这里本该有数据"), "{}", world.log());
}

#[test]
fn a_lock_that_is_held_names_the_process() {
    let (mut world, _) = stopped();
    world.serve();
    let pid = world.server().pid().to_string();
    let said = world.command(&["serve"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains(&format!("进程 {pid}")), "{said:?}");
    assert!(said.err.contains("先停止它"), "{said:?}");
}

#[test]
fn a_disk_that_cannot_be_written_is_refused_and_can_be_looked_at() {
    let (mut world, told) = stopped();
    let disk = SmallDisk::read_only(&world.data_dir());
    world.setup.by = disk.by(world.dir.path());
    refused(&mut world, &["只读", "--read-only", "挂载"]);
    world.setup.args = vec!["--read-only".to_owned()];
    world.serve();
    assert_eq!(contents(&world), told);
}

#[test]
fn a_directory_without_permission_is_refused_with_what_to_do() {
    let (mut world, _) = stopped();
    let data = world.data_dir();
    if fs::metadata(&data).unwrap().uid() != 0 {
        fs::set_permissions(data.join("journal"), fs::Permissions::from_mode(0o000)).unwrap();
        let (code, said) = world.try_serve().expect_err("it must be refused");
        fs::set_permissions(data.join("journal"), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(code, Some(1), "{said}");
        return assert!(
            said.contains("没有权限") && said.contains("chown"),
            "{said}"
        );
    }
    let place = world.dir.path();
    let line = "chmod a+rX . && chmod -R a+rX simulator config.toml";
    let opened = Command::new("sh")
        .args(["-c", line])
        .current_dir(place)
        .status();
    assert!(opened.unwrap().success());
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    // The program may lie where nobody else may look.
    let line = "exec 3<\"$1\"; shift 1; exec setpriv --reuid=65534 --regid=65534 --clear-groups \
                /proc/self/fd/3 \"$@\"";
    world.setup.by = ["sh", "-c", line, "sh"].map(str::to_owned).to_vec();
    refused(&mut world, &["没有权限", "chown"]);
}
