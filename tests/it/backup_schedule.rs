//! Backups by the hour and on the merchant's word, as the routes show them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::wait::until;
use crate::world::World;

/// A world whose backups go to `backups`, three of them kept.
fn scheduled() -> World {
    World::with(|setup| {
        setup.more.push(("backup.dir", "backups".into()));
        setup.more.push(("backup.every_h", 1.into()));
        setup.more.push(("backup.keep", 3.into()));
        setup.one_clock = true;
    })
}

fn list(world: &World) -> Vec<Value> {
    let told = world.merchant().caller.get("/admin/v1/backups").expect(200);
    told["backups"].as_array().unwrap().clone()
}

fn with_status(world: &World, status: &str) -> Vec<Value> {
    let mut rows = list(world);
    rows.retain(|row| row["status"] == status);
    rows
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries.map(|e| name(e).into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_backup_is_made_each_hour_the_newest_are_kept_and_others_left_alone() {
    let mut world = scheduled();
    let dir = world.dir.path().join("backups");
    // The directory was not there at the start: that failed, and is told.
    until("a failure is listed", || {
        world.log().contains("定时备份没有做成")
    });
    assert_eq!(with_status(&world, "failed").len(), 1);
    assert!(world.log().contains("不存在"), "{}", world.log());
    fs::create_dir_all(dir.join("mine")).unwrap();
    fs::create_dir(dir.join("zhanggui-20200101-000000")).unwrap();
    let mut newest = String::new();
    for n in 1..=5 {
        world.wechat.advance(3700);
        until("the next backup", || {
            let done = with_status(&world, "done");
            done.len() == n.min(3) && done[0]["id"] != newest.as_str()
        });
        newest = with_status(&world, "done")[0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
    }
    let done = with_status(&world, "done");
    let ids: Vec<_> = done
        .iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect();
    let mut there = names(&dir);
    there.retain(|name| ids.contains(name));
    assert_eq!(there.len(), 3);
    assert_eq!(
        names(&dir).len(),
        5,
        "what is no backup of ours stays: {:?}",
        names(&dir)
    );
    let newest = dir.join(newest);
    let said = world.command(&["verify", newest.to_str().unwrap()]);
    assert_eq!(said.code, Some(0), "{said:?}");
    // What is due is told by what is there, not by how long the server runs.
    world.restart();
    let after = with_status(&world, "done");
    assert_eq!(after[0]["id"], ids[0].as_str());
}

#[test]
fn the_merchant_begins_a_backup_and_sees_it_done_or_why_not() {
    let world = World::with(|setup| {
        setup.more.push(("backup.dir", "backups".into()));
        setup.more.push(("backup.every_h", 720.into()));
    });
    fs::create_dir(world.dir.path().join("backups")).unwrap();
    let begin = || {
        let call = |body: &Value| {
            world
                .merchant()
                .caller
                .call("POST", "/admin/v1/backups", body)
        };
        call(&json!({}))
    };
    let begun = begin().expect(202);
    assert_eq!(begun["status"], "running");
    let id = begun["id"].as_str().unwrap().to_owned();
    until("it is done", || {
        let done = with_status(&world, "done");
        done.iter().any(|row| row["id"] == id.as_str())
    });
    let row = with_status(&world, "done").remove(0);
    assert!(
        row["bytes"].as_u64() > Some(100) && row["commit"].as_u64() > Some(0),
        "{row}"
    );
    let page = world
        .merchant()
        .caller
        .get("/admin/v1/backups?limit=1")
        .expect(200);
    assert_eq!(page["backups"].as_array().unwrap().len(), 1);
    world
        .merchant()
        .caller
        .get("/admin/v1/backups?cursor=%21")
        .refuses(400, "INVALID_REQUEST");
}

#[test]
fn without_a_directory_there_is_nothing_to_begin_and_one_in_the_data_is_a_wrong_config() {
    let world = World::start();
    world
        .merchant()
        .caller
        .post("/admin/v1/backups")
        .refuses(409, "BACKUP_NOT_CONFIGURED");
    assert_eq!(list(&world), Vec::<Value>::new());
    let inside = [("ZHANGGUI_BACKUP__DIR", "data/backups")];
    let args = ["serve", "--config", "config.toml"];
    let said = crate::program::run(world.dir.path(), &args, &inside);
    assert_eq!(said.code, Some(2), "{said:?}");
}
