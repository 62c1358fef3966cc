//! Alerts of the real binary: told once, not again after a restart, and when they end.

use serde_json::json;

use crate::people::Buyer;
use crate::wait::until;
use crate::world::World;

/// How often the log tells that this alert is in this state.
fn told(world: &World, alert: &str, state: &str) -> usize {
    let (alert, state) = (format!("alert={alert} "), format!(" state={state} "));
    let log = world.log();
    log.lines()
        .filter(|line| line.contains(&alert) && line.contains(&state))
        .count()
}

fn buys(world: &World, buyer: &Buyer, goods: u64) -> String {
    let order_no = buyer.order(goods, 1);
    world.wechat.pays(&buyer.pay(&order_no));
    order_no
}

#[test]
fn silent_notifies_are_told_once_also_after_a_kill_and_end_with_the_next_notify() {
    let mut world = World::with(|setup| setup.one_clock = true);
    let tea = world.merchant().sells("茶", 100, 100);
    let buyer = world.buyer();
    world
        .wechat
        .faults(&json!({ "notify": "drop", "times": 100 }));
    for _ in 0..3 {
        let order_no = buys(&world, &buyer, tea);
        let seen = buyer.act(&order_no, "sync").expect(200);
        assert_eq!(seen["status"], "paid");
    }
    assert_eq!(told(&world, "notify_silence", "raised"), 0);
    world.wechat.advance(700);
    until("the silence is told", || {
        told(&world, "notify_silence", "raised") == 1
    });
    let log = world.log();
    let line = log
        .lines()
        .find(|line| line.contains("alert=notify_silence"));
    assert!(line.unwrap().contains(" ERROR "), "{line:?}");

    world.kill();
    world.serve();
    world.wechat.advance(700);
    world
        .wechat
        .faults(&json!({ "notify": "normal", "times": 0 }));
    let buyer = world.buyer();
    buys(&world, &buyer, tea);
    world.wechat.advance(70);
    until("the end is told", || {
        told(&world, "notify_silence", "cleared") == 1
    });
    assert_eq!(told(&world, "notify_silence", "raised"), 1);
}

#[test]
fn a_disk_that_is_low_is_told_and_a_limit_of_none_is_not() {
    let mut world = World::with(|setup| {
        setup.one_clock = true;
        setup.more = vec![("alerts.disk_free_mb", 1_000_000_000.into())];
    });
    world.wechat.advance(70);
    until("the disk is told", || {
        told(&world, "disk_low", "raised") == 1
    });
    let alerts = world.config["alerts"].as_table_mut().unwrap();
    alerts.insert("disk_free_mb".to_owned(), 0.into());
    let text = toml::to_string(&world.config).unwrap();
    std::fs::write(world.dir.path().join("config.toml"), text).unwrap();
    world.restart();
    world.wechat.advance(70);
    until("the end is told", || {
        told(&world, "disk_low", "cleared") == 1
    });
}
