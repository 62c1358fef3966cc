//! Power cuts on real files: the real binary works, everything it asks of the disk is written down,
//! and after a cut at any point it comes up with all that it had acknowledged.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::thread;

use serde_json::{Value, json};
use zhanggui::base::secret::random_u64;

use crate::people::Buyer;
use crate::preload::FaultyDisk;
use crate::replay::Trace;
use crate::wait::say;
use crate::world::World;

/// Cuts of one run; `POWER_CUTS` asks for more.
const CUTS: usize = 16;
const CLIENTS: usize = 6;
const STOCK: u64 = 1_000_000;

/// An order that was acknowledged, or that was acknowledged to be cancelled.
struct Told {
    /// How much of the trace was written when the answer was there.
    at: usize,
    order_no: String,
    status: &'static str,
}

fn long_order(goods: u64) -> Value {
    let long = "长".repeat(100);
    json!({
        "lines": [{ "goods_id": goods, "count": 1 }],
        "remark": long,
        "address": {
            "name": long, "phone": "13800138000", "province": long, "city": long,
            "district": long, "detail": long,
        },
    })
}

/// Orders, and cancels each third, `turns` times; notes when each answer came.
fn work(buyer: &Buyer, disk: &FaultyDisk, goods: u64, turns: usize) -> Vec<Told> {
    let mut told = vec![];
    let now = || usize::try_from(fs::metadata(&disk.trace).unwrap().len()).unwrap();
    for turn in 0..turns {
        let reply = buyer
            .caller
            .call("POST", "/api/v1/orders", &long_order(goods));
        let order_no = reply.expect(201)["order_no"].as_str().unwrap().to_owned();
        let (at, status) = (now(), "pending");
        told.push(Told {
            at,
            order_no: order_no.clone(),
            status,
        });
        if turn % 3 == 2 {
            buyer.act(&order_no, "cancel").expect(200);
            let (at, status) = (now(), "closed");
            told.push(Told {
                at,
                order_no,
                status,
            });
        }
    }
    told
}

fn loaded(world: &World, disk: &FaultyDisk, goods: u64, turns: usize) -> Vec<Told> {
    let told = Mutex::new(vec![]);
    let buyers: Vec<Buyer> = (0..CLIENTS).map(|_| world.buyer()).collect();
    thread::scope(|scope| {
        for buyer in &buyers {
            scope.spawn(|| told.lock().unwrap().extend(work(buyer, disk, goods, turns)));
        }
    });
    told.into_inner().unwrap()
}

/// What must be there after a cut at `cut`: the last status that was told, by order.
fn wanted(told: &[Told], cut: usize) -> BTreeMap<&str, &'static str> {
    let mut wanted = BTreeMap::new();
    let mut known: Vec<&Told> = told.iter().filter(|told| told.at <= cut).collect();
    known.sort_by_key(|told| told.at);
    for told in known {
        wanted.insert(told.order_no.as_str(), told.status);
    }
    wanted
}

/// The server on what is left after a cut: everything told is there, and stock is conserved.
fn check(world: &mut World, goods: u64, wanted: &BTreeMap<&str, &'static str>, what: &str) {
    if let Err((code, said)) = world.try_serve() {
        panic!("{what}: it does not come up ({code:?}): {said}");
    }
    let orders = world.merchant().orders_with(goods);
    let text = |order: &Value, name: &str| order[name].as_str().unwrap().to_owned();
    let there: BTreeMap<String, String> = orders
        .iter()
        .map(|order| (text(order, "order_no"), text(order, "status")))
        .collect();
    for (order_no, status) in wanted {
        let found = there.get(*order_no).map(String::as_str);
        // What was not told yet may have happened all the same.
        let fits = found == Some(status) || (*status == "pending" && found == Some("closed"));
        assert!(
            fits,
            "{what}: {order_no} was told {status} and is {found:?}"
        );
    }
    let open = there.values().filter(|status| *status != "closed").count();
    assert_eq!(world.merchant().stock(goods) + open as u64, STOCK, "{what}");
    world.kill();
}

#[test]
fn a_power_cut_at_any_point_loses_nothing_that_was_acknowledged() {
    let (mut world, disk) = FaultyDisk::traced(|setup| {
        setup.more.push(("store.segment_mb", 1.into()));
        setup.more.push(("log.level", "warn".into()));
    });
    world.serve();
    world.make_key();
    let goods = world.merchant().sells("茶", 100, STOCK);
    let mut told = loaded(&world, &disk, goods, 70);
    let first = told.iter().map(|told| told.at).min().unwrap();
    world.kill();
    world.serve();
    told.extend(loaded(&world, &disk, goods, 20));
    world.restart();
    told.extend(loaded(&world, &disk, goods, 20));
    world.kill();
    world.setup.env.clear();
    let trace = Trace::read(&disk.trace);
    let (ends, namings) = (trace.ends_after(first), trace.namings_after(first));
    let cuts = std::env::var("POWER_CUTS").map_or(CUTS, |cuts| cuts.parse().unwrap());
    for turn in 0..cuts {
        let pick = |length: usize| usize::try_from(random_u64() % length as u64).unwrap();
        let cut = match turn % 4 {
            0 => told[pick(told.len())].at,
            1 => ends[pick(ends.len())],
            // There are few of them: each is taken in turn.
            _ => namings[turn * 5 % namings.len()],
        };
        let seed = if turn % 2 == 0 { 0 } else { random_u64() };
        let name = format!("cut{turn}");
        trace.after_cut(cut, seed, &world.dir.path().join(&name));
        world.setup.env = vec![("ZHANGGUI_STORE__DATA_DIR".to_owned(), name)];
        let wanted = wanted(&told, cut);
        let what = format!("cut {turn} at {cut}, seed {seed}, {} told", wanted.len());
        check(&mut world, goods, &wanted, &what);
        say(&what);
    }
}
