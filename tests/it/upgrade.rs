//! A data directory of each released format, kept in `tests/golden/stores`, opened by this version:
//! everything is there, the old state is kept aside, and the shop goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::fulfil::{courier, pay};
use crate::preload::FaultyDisk;
use crate::snapshot::snapshot;
use crate::wait::until;
use crate::world::World;

fn stores() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/stores")
}

fn tar(args: &[&str], dir: &Path) {
    let status = Command::new("tar").args(args).current_dir(dir).status();
    assert!(status.unwrap().success(), "tar {args:?}");
}

/// What the merchant sees of everything, as text that a person can compare.
fn contents(world: &World) -> String {
    serde_json::to_string_pretty(&world.everything()).unwrap() + "\n"
}

/// A refund of `fen`, decided by WeChat when `ends`.
fn refund(world: &World, order_no: &str, fen: u64, ends: Option<&str>) {
    let body = json!({ "amount_fen": fen, "reason": "不想要了" });
    let path = format!("/admin/v1/orders/{order_no}/refunds");
    let made = world
        .merchant()
        .caller
        .call("POST", &path, &body)
        .expect(201);
    let number = made["refund_no"].as_str().unwrap();
    if let Some(status) = ends {
        let path = format!("/sandbox/refunds/{number}/finish");
        let body = json!({ "status": status });
        world.wechat.call("POST", &path, &body).expect(200);
    }
}

/// One order of each kind, users, a goods whose many changes fill more than one segment.
fn fill(world: &World) {
    let merchant = world.merchant();
    let tea = merchant.sells("龙井", 100, 50);
    let (one, other) = (world.buyer(), world.buyer());
    let shipped = pay(world, &one, tea);
    let body = courier("SF1000000001");
    let path = format!("/admin/v1/orders/{shipped}/ship");
    merchant.caller.call("POST", &path, &body).expect(200);
    until("the parcel is reported", || {
        merchant.order(&shipped)["shipping_report"]["status"] == "reported"
    });
    refund(world, &pay(world, &one, tea), 100, Some("SUCCESS"));
    refund(world, &pay(world, &other, tea), 40, Some("SUCCESS"));
    refund(world, &pay(world, &other, tea), 40, Some("ABNORMAL"));
    one.act(&one.order(tea, 2), "cancel").expect(200);
    other.order(tea, 3);
    one.caller
        .call("PATCH", "/api/v1/user", &json!({ "nickname": "小明" }))
        .expect(200);
    let changed = format!("/admin/v1/goods/{tea}");
    for turn in 0..400 {
        let description = format!("{turn}{}", "茶".repeat(990));
        let body = json!({ "description": description });
        merchant.caller.call("PATCH", &changed, &body).expect(200);
    }
}

/// Keeps the data directory of `world`, whose server has ended, without its working set: a copy's
/// working set is never believed, and the socket of the server is none of the store's.
fn keep(world: &World, at: &Path, name: &str, told: &str) {
    let file = at.join(format!("{name}.tar.gz"));
    let file = file.to_str().unwrap();
    let args = [
        "--exclude=data/sled",
        "--exclude=data/admin.sock",
        "--sort=name",
        "--owner=0",
        "--group=0",
        "-czf",
        file,
        "data",
    ];
    tar(&args, world.dir.path());
    fs::write(at.join(format!("{name}.json")), told).unwrap();
}

/// How the next release adds its own: see `tests/golden/stores/README.md`.
fn make(at: &Path) {
    fs::create_dir(at).unwrap();
    let mut world = World::with(|setup| setup.more.push(("store.segment_mb", 1.into())));
    fill(&world);
    world.restart();
    let told = contents(&world);
    world.stop();
    keep(&world, at, "closed", &told);
    world.serve();
    let goods = world.merchant().sells("普洱", 200, 9);
    pay(&world, &world.buyer(), goods);
    let told = contents(&world);
    world.kill();
    keep(&world, at, "killed", &told);
}

/// A stopped world whose data directory is the one kept as `name`.
fn unpacked(at: &Path, name: &str) -> World {
    let mut world = World::start();
    world.stop();
    fs::remove_dir_all(world.data_dir()).unwrap();
    let file = at.join(format!("{name}.tar.gz"));
    tar(&["-xzf", file.to_str().unwrap()], world.dir.path());
    world
}

fn format_of(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join("FORMAT")).unwrap();
    text.lines().next().unwrap().to_owned()
}

fn kept_in(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let kept = |path: &PathBuf| path.to_str().unwrap().contains("/before-upgrade-");
    entries.filter(kept).collect()
}

/// Every store of a released version, with its name.
fn released() -> Vec<(PathBuf, String)> {
    let mut found = vec![];
    for release in fs::read_dir(stores()).unwrap() {
        let at = release.unwrap().path();
        if !at.is_dir() {
            continue;
        }
        for file in fs::read_dir(&at).unwrap() {
            let file = file.unwrap().file_name().into_string().unwrap();
            found.extend(
                file.strip_suffix(".tar.gz")
                    .map(|name| (at.clone(), name.to_owned())),
            );
        }
    }
    assert!(found.len() >= 2, "the stores of released versions are gone");
    found
}

#[test]
fn a_store_of_this_release_is_kept() {
    let name = concat!("v", env!("CARGO_PKG_VERSION"), "-format");
    let entries = fs::read_dir(stores()).unwrap();
    let mut names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let there = names.any(|found| found.starts_with(name));
    if !there && std::env::var_os("UPDATE_GOLDEN").is_some() {
        let world = World::start();
        let format = format_of(&world.data_dir()).replace("zhanggui ", "");
        return make(&stores().join(format!("{name}{format}")));
    }
    assert!(
        there,
        "make it with UPDATE_GOLDEN=1: see tests/golden/stores/README.md"
    );
}

#[test]
fn a_store_of_every_release_opens_with_everything_in_it_and_goes_on() {
    for (at, name) in released() {
        let told = fs::read_to_string(at.join(format!("{name}.json"))).unwrap();
        let mut world = unpacked(&at, &name);
        let (data, before) = (world.data_dir(), snapshot(&world.data_dir()));
        let old = format_of(&data);
        // A command opens the store as the server does, but starts no background work.
        let said = world.make_key();
        let now = format_of(&data);
        let kept = kept_in(&data);
        if now == old {
            assert!(kept.is_empty(), "{kept:?}");
        } else {
            assert!(said.contains("升级") && kept.len() == 1, "{said}");
            let kept = snapshot(&kept[0]);
            for (path, content) in before.iter().filter(|(path, _)| is_truth(path)) {
                assert_eq!(
                    kept.get(path),
                    Some(content),
                    "{path} is not kept as it was"
                );
            }
        }
        world.setup.args = vec!["--read-only".to_owned()];
        world.serve();
        assert_eq!(contents(&world), told, "{} {name}", at.display());
        world.stop();
        world.setup.args.clear();
        world.serve();
        let goods = world.merchant().sells("白茶", 100, 5);
        let order_no = pay(&world, &world.buyer(), goods);
        assert_eq!(world.merchant().order(&order_no)["status"], "paid");
    }
}

fn is_truth(path: &str) -> bool {
    path.starts_with("journal/") || path == "FORMAT" || path == "journal.mark"
}

#[test]
fn what_only_looks_at_an_older_store_does_not_upgrade_it() {
    let at = stores().join("v0.1.0-format1");
    let mut world = unpacked(&at, "killed");
    let before = snapshot(&world.data_dir());
    world.setup.args = vec!["--read-only".to_owned()];
    world.serve();
    world.stop();
    assert_eq!(snapshot(&world.data_dir()), before);
    assert_eq!(format_of(&world.data_dir()), "zhanggui 1");
}

/// What `disk` does to the command is a kill; it must have been one, or none was left to come.
fn killed_at(world: &World, disk: &FaultyDisk, rule: &str) -> bool {
    disk.breaks(rule);
    let said = world.command(&["key", "create", "killed"]);
    disk.heal();
    assert!(matches!(said.code, None | Some(0)), "{rule}: {said:?}");
    said.code.is_none()
}

#[test]
fn an_upgrade_that_is_killed_anywhere_is_made_good_by_the_next_start() {
    let at = stores().join("v0.1.0-format1");
    let told = fs::read_to_string(at.join("closed.json")).unwrap();
    let (mut world, disk) = FaultyDisk::world(|_| {});
    let file = at.join("closed.tar.gz");
    let mut kills = 0;
    for place in ["before-upgrade", "FORMAT", "base"] {
        for skip in 0..40 {
            fs::remove_dir_all(world.data_dir()).unwrap();
            tar(&["-xzf", file.to_str().unwrap()], world.dir.path());
            let before = snapshot(&world.data_dir());
            if !killed_at(&world, &disk, &format!("any {place} {skip} 1 kill 0")) {
                break;
            }
            kills += 1;
            world.make_key();
            let (data, kept) = (world.data_dir(), kept_in(&world.data_dir()));
            assert_eq!(kept.len(), 1, "{place} {skip}: {kept:?}");
            let kept = snapshot(&kept[0]);
            for (path, content) in before.iter().filter(|(path, _)| is_truth(path)) {
                assert_eq!(kept.get(path), Some(content), "{place} {skip}: {path}");
            }
            assert_ne!(format_of(&data), "zhanggui 1", "{place} {skip}");
        }
    }
    assert!(kills > 10, "only {kills} kills");
    world.make_key();
    world.setup.args = vec!["--read-only".to_owned()];
    world.serve();
    assert_eq!(contents(&world), told);
}
