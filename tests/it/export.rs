//! The table of orders: streamed, whole, and without a formula.

use crate::world::World;

const TARGET: &str = "/admin/v1/export/orders.csv";

/// The rows of a table without its head.
fn rows(csv: &str) -> Vec<&str> {
    csv.trim_end().lines().skip(1).collect()
}

#[test]
fn a_table_of_many_orders_is_the_same_from_the_route_and_the_command_running_or_stopped() {
    let mut world = World::start();
    let merchant = world.merchant();
    let tea = merchant.sells("=cmd|' /C calc'!A0", 199, 1000);
    let buyer = world.buyer();
    let orders: Vec<_> = (0..450).map(|_| buyer.order(tea, 1)).collect();
    let reply = merchant.caller.get(TARGET);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        reply.message.header("content-type"),
        Some("text/csv; charset=utf-8")
    );
    assert_eq!(
        reply.message.header("content-length"),
        None,
        "it is sent while it is made"
    );
    let csv = reply.text();
    assert!(csv.starts_with("\u{feff}订单号,状态,"), "{}", &csv[..100]);
    assert_eq!(rows(&csv).len(), orders.len());
    for order in &orders {
        assert!(
            csv.contains(&format!("\n\t{order},待付款,")),
            "{order} is missing"
        );
    }
    assert!(csv.contains(",'=cmd|"), "{}", rows(&csv)[0]);
    let file = world.dir.path().join("orders.csv");
    for running in [true, false] {
        let said = world.command(&["export", "orders", "-o", "orders.csv"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            csv,
            "running: {running}"
        );
        let said = world.command(&["export", "orders", "--from", "2020-01-01"]);
        assert_eq!(said.out, csv);
        let none = world.command(&["export", "orders", "--to", "2020-01-01"]);
        assert!(rows(&none.out).is_empty(), "{none:?}");
        if running {
            world.stop();
        }
    }
}

#[test]
fn a_day_that_is_none_and_a_stranger_are_refused() {
    let world = World::start();
    let merchant = world.merchant();
    for query in ["from=yesterday", "to=2026-13-01", "from=20260101"] {
        let reply = merchant.caller.get(&format!("{TARGET}?{query}"));
        reply.refuses(400, "INVALID_REQUEST");
    }
    let reply = world.anyone().send("GET", TARGET, &[], b"").unwrap();
    reply.refuses(401, "UNAUTHENTICATED");
}
