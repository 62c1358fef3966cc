//! `verify` through the real binary: what is good is said to be, what is not is named.

use std::fs;

use serde_json::Value;

use crate::backup::listing;
use crate::program::{Said, run};
use crate::world::World;

fn verify(world: &World, dir: &str) -> (Said, Value) {
    let said = run(world.dir.path(), &["verify", dir, "--json"], &[]);
    let told = serde_json::from_str(&said.out).unwrap();
    (said, told)
}

/// A shop where a pot of tea was bought, paid and shipped, and another was not.
fn lived() -> World {
    let world = World::start();
    let tea = world.merchant().sells("茶", 100, 10);
    let buyer = world.buyer();
    let paid = buyer.order(tea, 2);
    world.wechat.pays(&buyer.pay(&paid));
    crate::wait::until("paid", || buyer.see(&paid)["status"] == "paid");
    buyer.order(tea, 1);
    world
}

#[test]
fn a_running_server_is_left_alone_and_a_stopped_one_proved_without_a_write() {
    let mut world = lived();
    let pid = world.server().pid();
    let (said, told) = verify(&world, "data");
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        told["wrong"][0]["what"]
            .as_str()
            .unwrap()
            .contains(&pid.to_string()),
        "{told}"
    );
    world.stop();
    let before = listing(&world.dir.path().join("data"));
    let (said, told) = verify(&world, "data");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(listing(&world.dir.path().join("data")), before);
    assert_eq!(told["kind"], "store");
    assert_eq!(told["working_set_compared"], true);
    assert_eq!(told["counts"]["orders"], 2);
    assert_eq!(told["sums"]["orders"]["paid"], 1);
    assert_eq!(told["sums"]["paid_fen"], 200);
    assert_eq!(told["sums"]["pieces_in_stock"], 7);
    assert_eq!(told["sums"]["pieces_reserved"], 1);
    let said = world.command(&["verify", "data"]);
    assert!(said.out.contains("全部核对无误"), "{said:?}");
}

#[test]
fn a_flipped_byte_in_any_file_of_a_backup_is_found_and_the_file_named() {
    let mut world = lived();
    world.stop();
    let said = world.command(&["backup", "copy"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for (path, good) in listing(&world.dir.path().join("copy")) {
        for at in [0, good.len() / 3, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 0x20;
            fs::write(&path, &bad).unwrap();
            let (said, told) = verify(&world, "copy");
            assert_eq!(said.code, Some(1), "{path} byte {at}: {said:?}");
            let name = path.rsplit('/').next().unwrap();
            assert!(told.to_string().contains(name), "{path} byte {at}: {told}");
        }
        fs::write(&path, &good).unwrap();
    }
    assert_eq!(verify(&world, "copy").0.code, Some(0));
}

#[test]
fn a_working_set_that_differs_from_the_journal_is_not_believed_and_a_nothing_is_told() {
    let world = lived();
    let (said, told) = verify(&world, "simulator");
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        told["wrong"][0]["what"]
            .as_str()
            .unwrap()
            .contains("FORMAT"),
        "{told}"
    );
}
