//! A data directory of each released format, kept in `tests/golden/stores`, opened by this version:
//! everything is there, the old state is kept aside, and the shop goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::fulfil::{courier, pay};
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
    let made = world.merchant().caller.call("POST", &path, &body).expect(201);
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

#[test]
fn a_store_of_this_release_is_kept() {
    if std::env::var_os("UPDATE_GOLDEN").is_none() {
        return;
    }
    let at = stores().join(concat!("v", env!("CARGO_PKG_VERSION"), "-format1"));
    if !at.exists() {
        make(&at);
    }
    let _: Value = serde_json::from_str(&fs::read_to_string(at.join("closed.json")).unwrap()).unwrap();
}
