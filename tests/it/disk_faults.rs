//! The disk fails under the real binary: nothing that was acknowledged is lost, what is not known
//! is said to be so, the program ends with a failure, and the next start is well.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use crate::http::{Client, Reply};
use crate::people::Buyer;
use crate::preload::FaultyDisk;
use crate::wait::{say, until, within};
use crate::world::World;

/// Clients that order at once.
const CLIENTS: usize = 8;

/// What the clients know when the server is gone.
#[derive(Default)]
struct Known {
    placed: BTreeSet<String>,
    /// Answered 503: it may have happened.
    unknown: usize,
}

/// Orders until the server is gone or refuses.
fn order_on(buyer: &Buyer, goods: u64) -> Known {
    let mut known = Known::default();
    let mut client = buyer.connection();
    let from = Instant::now();
    loop {
        assert!(
            from.elapsed() < Duration::from_secs(30),
            "the disk's fault is not noticed"
        );
        let Ok(reply) = buyer.order_on(&mut client, goods) else {
            return known;
        };
        if reply.status != 201 {
            reply.refuses(503, "STORE_UNAVAILABLE");
            known.unknown += 1;
            return known;
        }
        let order_no = reply.json()["order_no"].as_str().unwrap().to_owned();
        known.placed.insert(order_no);
    }
}

/// What `/readyz` answered, one after another, until nobody did.
fn readiness(world: &World) -> Vec<u16> {
    let mut client = world.anyone();
    let (mut seen, from) = (vec![], Instant::now());
    let ready = |client: &mut Client| client.send("GET", "/readyz", &[], b"").ok();
    while let Some(Reply { status, .. }) = ready(&mut client) {
        assert!(
            from.elapsed() < Duration::from_secs(40),
            "the server goes on"
        );
        if seen.last() != Some(&status) {
            seen.push(status);
        }
        thread::sleep(Duration::from_millis(1));
    }
    seen
}

/// Breaks the disk by `rule` under load; the server must end with a failure, and come up with all
/// that was acknowledged.
fn survives(world: &mut World, disk: &FaultyDisk, goods: u64, rule: &str) {
    disk.heal();
    world.serve();
    let before = world.merchant().orders_with(goods).len();
    let buyers: Vec<Buyer> = (0..CLIENTS).map(|_| world.buyer()).collect();
    let (known, ready) = thread::scope(|scope| {
        let clients: Vec<_> = buyers
            .iter()
            .map(|buyer| scope.spawn(|| order_on(buyer, goods)))
            .collect();
        let watching = scope.spawn(|| readiness(world));
        until("the load has come up", || {
            world.merchant().orders_with(goods).len() > before + 20
        });
        disk.breaks(rule);
        let known: Vec<Known> = clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect();
        (known, watching.join().unwrap())
    });
    let status = world.server().end_within(Duration::from_secs(20));
    assert_eq!(status.code(), Some(1), "{rule}: {}", world.log());
    world.forget_server();
    assert!(
        matches!(ready[..], [200] | [200, 503]),
        "{rule}: /readyz said {ready:?}"
    );
    disk.heal();
    world.serve();
    let orders = world.merchant().orders_with(goods);
    let there: BTreeSet<&str> = orders
        .iter()
        .map(|o| o["order_no"].as_str().unwrap())
        .collect();
    let unknown: usize = known.iter().map(|known| known.unknown).sum();
    let placed: BTreeSet<&str> = known
        .iter()
        .flat_map(|known| &known.placed)
        .map(String::as_str)
        .collect();
    let lost: Vec<_> = placed.difference(&there).collect();
    assert!(lost.is_empty(), "{rule}: acknowledged and lost: {lost:?}");
    assert_eq!(
        world.merchant().stock(goods) + orders.len() as u64,
        STOCK,
        "{rule}"
    );
    assert!(unknown > 0, "{rule}: nobody was told");
    say(&format!(
        "{rule}: {} acknowledged, {unknown} unknown, /readyz {ready:?}",
        placed.len()
    ));
    world.stop();
}

const STOCK: u64 = 1_000_000;

#[test]
fn an_error_of_the_disk_loses_nothing_that_was_acknowledged() {
    let (mut world, disk) = FaultyDisk::world(|_| {});
    let mut rules = vec![];
    for (call, path) in [
        ("sync", "journal/"),
        ("write", "journal/"),
        ("write", "sled/db"),
    ] {
        // EIO, ENOSPC
        for errno in [5, 28] {
            rules.push(format!("{call} {path} 3 1 errno {errno}"));
        }
    }
    rules.push("sync sled/db 0 1 errno 5".to_owned());
    for rule in rules {
        world.serve();
        let goods = world.merchant().sells(&rule, 100, STOCK);
        world.stop();
        survives(&mut world, &disk, goods, &rule);
    }
}

#[test]
fn a_segment_that_cannot_be_begun_or_ended_loses_nothing() {
    let (mut world, disk) = FaultyDisk::world(|setup| {
        setup.more.push(("store.segment_mb", 1.into()));
    });
    for rule in [
        "rename journal/ 0 1 errno 5",
        "create next.new 0 1 errno 28",
    ] {
        world.serve();
        let goods = world.merchant().sells(rule, 100, STOCK);
        world.stop();
        survives(&mut world, &disk, goods, rule);
    }
}

#[test]
fn a_slow_disk_is_served_slowly_and_nothing_is_given_up() {
    let (mut world, disk) =
        FaultyDisk::world(|setup| setup.more.push(("order.pay_within_s", 600.into())));
    world.serve();
    let goods = world.merchant().sells("茶", 100, STOCK);
    let buyer = world.buyer();
    disk.breaks("sync journal/ 0 0 delay 1500");
    let from = Instant::now();
    let order_no = buyer.order(goods, 1);
    assert!(
        from.elapsed() >= Duration::from_millis(1500),
        "it was answered before it was durable"
    );
    world
        .anyone()
        .send("GET", "/readyz", &[], b"")
        .unwrap()
        .expect(200);
    world.kill();
    disk.heal();
    world.serve();
    assert_eq!(world.merchant().order(&order_no)["status"], "pending");
}

#[test]
fn a_writer_that_hangs_ends_the_program() {
    let (mut world, disk) = FaultyDisk::world(|setup| {
        setup.args = vec!["--stuck-after-s".to_owned(), "3".to_owned()];
    });
    world.serve();
    let goods = world.merchant().sells("茶", 100, STOCK);
    let buyer = world.buyer();
    let kept = buyer.order(goods, 1);
    disk.breaks("sync journal/ 0 0 hang 0");
    let reply = buyer.order_on(&mut buyer.connection(), goods);
    assert!(
        reply.is_err() || reply.is_ok_and(|reply| reply.status == 503),
        "it was acknowledged"
    );
    let status = world.server().end_within(Duration::from_secs(30));
    assert_eq!(status.code(), Some(1));
    assert!(
        world.log().contains("no progress for 3 s"),
        "{}",
        world.log()
    );
    world.forget_server();
    disk.heal();
    world.serve();
    assert_eq!(world.merchant().order(&kept)["status"], "pending");
    within(Duration::from_secs(10), "it takes orders again", || {
        world.buyer().try_order(goods, 1).status == 201
    });
}
