//! Backups through the real binary: of a running server and a stopped one, restored elsewhere.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use toml::Value as Toml;

use crate::http::{Client, Place};
use crate::program::{Program, Said, run};
use crate::world::World;

/// Runs a command of `world` on another data directory.
fn on(world: &World, data_dir: &str, args: &[&str]) -> Said {
    let args = [args, &["--config", "config.toml"]].concat();
    run(
        world.dir.path(),
        &args,
        &[("ZHANGGUI_STORE__DATA_DIR", data_dir)],
    )
}

/// A server of its own on another data directory of `world`.
struct Other {
    place: Place,
    bearer: String,
    _server: Program,
}

impl Other {
    fn serve(world: &World, data_dir: &str) -> Self {
        let mut config = world.config.clone();
        let store = config["store"].as_table_mut().unwrap();
        store.insert("data_dir".to_owned(), Toml::from(data_dir));
        let name = format!("{}.toml", data_dir.replace('/', "-"));
        fs::write(
            world.dir.path().join(&name),
            toml::to_string(&config).unwrap(),
        )
        .unwrap();
        let args = ["serve", "--config", name.as_str()];
        let mut server = Program::start(world.dir.path(), data_dir, &args);
        let place = Place::default();
        place.set(server.address("listening on"));
        Self {
            place,
            bearer: world.merchant().caller.bearer,
            _server: server,
        }
    }

    #[track_caller]
    fn has(&self, order_no: &str) {
        let headers = [("authorization", self.bearer.as_str())];
        let target = format!("/admin/v1/orders/{order_no}");
        let reply = Client::new(&self.place).send("GET", &target, &headers, b"");
        reply.unwrap().expect(200);
    }
}

#[track_caller]
fn good(said: &Said) {
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[track_caller]
fn fails(said: &Said, part: &str) {
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains(part), "{part} is not told: {said:?}");
}

/// Every file below `dir` with its content.
pub(crate) fn listing(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = vec![];
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.is_file() {
                found.push((path.display().to_string(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_backup_under_load_has_every_order_that_was_acknowledged_before_it_began() {
    let world = World::with(|setup| setup.more.push(("store.segment_mb", 1.into())));
    let tea = world.merchant().sells("茶", 100, 1_000_000);
    let buyers: Vec<_> = (0..8).map(|_| world.buyer()).collect();
    let (placed, stop) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let before: Vec<String> = thread::scope(|scope| {
        for buyer in &buyers {
            scope.spawn(|| {
                let mut client = buyer.connection();
                while !stop.load(Ordering::Relaxed) {
                    let order = buyer.order_on(&mut client, tea).unwrap().expect(201);
                    let number = order["order_no"].as_str().unwrap().to_owned();
                    placed.lock().unwrap().push(number);
                }
            });
        }
        crate::wait::until("orders", || placed.lock().unwrap().len() > 300);
        let before = placed.lock().unwrap().clone();
        let said = world.command(&["backup", "copy"]);
        stop.store(true, Ordering::Relaxed);
        good(&said);
        before
    });
    good(&on(&world, "restored", &["restore", "copy"]));
    good(&world.command(&["verify", "copy"]));
    let other = Other::serve(&world, "restored");
    for order_no in &before {
        other.has(order_no);
    }
}

#[test]
fn a_stopped_server_is_backed_up_verified_and_restored_over_its_lost_directory() {
    let mut world = World::start();
    let tea = world.merchant().sells("茶", 100, 10);
    let order = world.buyer().order(tea, 3);
    world.stop();
    good(&world.command(&["backup", "copy"]));
    fails(&world.command(&["backup", "copy"]), "不是空目录");
    fails(&world.command(&["backup", "data/copy"]), "在数据目录里");
    fails(&world.command(&["restore", "copy"]), "不是空目录");
    fs::remove_dir_all(world.dir.path().join("data")).unwrap();
    good(&world.command(&["restore", "copy"]));
    world.serve();
    assert_eq!(world.merchant().order(&order)["order_no"], order.as_str());
    assert_eq!(world.merchant().stock(tea), 7);
}

#[test]
fn a_live_copy_made_by_cp_is_restored_and_a_running_source_is_refused() {
    let world = World::start();
    let tea = world.merchant().sells("茶", 100, 10);
    let order = world.buyer().order(tea, 3);
    fails(&on(&world, "restored", &["restore", "data"]), "正被进程");
    let copied = std::process::Command::new("cp")
        .args(["-r", "data", "plain"])
        .current_dir(world.dir.path())
        .status();
    assert!(copied.unwrap().success());
    let before = listing(&world.dir.path().join("plain"));
    good(&on(&world, "restored", &["restore", "plain"]));
    assert_eq!(listing(&world.dir.path().join("plain")), before);
    Other::serve(&world, "restored").has(&order);
}

#[test]
fn compact_needs_a_stopped_server_and_keeps_everything() {
    let mut world = World::start();
    let tea = world.merchant().sells("茶", 100, 100);
    let buyer = world.buyer();
    let orders: Vec<_> = (0..20).map(|_| buyer.order(tea, 1)).collect();
    let before = world.everything();
    fails(&world.command(&["compact"]), "正被进程");
    world.stop();
    let said = world.command(&["compact"]);
    good(&said);
    assert!(said.out.contains('→'), "{said:?}");
    world.serve();
    assert_eq!(world.everything(), before);
    assert_eq!(world.merchant().orders().len(), orders.len());
}

#[test]
fn a_target_that_cannot_be_written_leaves_nothing_and_the_server_serves_on() {
    let world = World::start();
    let tea = world.merchant().sells("茶", 100, 10);
    let said = world.command(&["backup", "/proc/zhanggui-backup"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let missing = world.command(&["backup", "no/such/place"]);
    fails(&missing, "不存在");
    world.buyer().order(tea, 1);
}
