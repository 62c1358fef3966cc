//! One clock for the simulator and the server: what is due in hours happens at once.

use serde_json::json;

use crate::program::run;
use crate::wait;
use crate::world::World;

#[test]
fn a_server_that_follows_the_simulators_clock_is_there_when_the_move_is_answered() {
    let world = World::with(|setup| setup.one_clock = true);
    let tea = world.merchant().sells("龙井", 100, 5);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 1);
    world.wechat.advance(1799);
    let fields = buyer.pay(&order_no);
    world.wechat.verifies(&fields);
    world.wechat.advance(1);
    buyer.try_pay(&order_no).refuses(409, "ORDER_CLOSED");
}

#[test]
fn an_unpaid_order_is_closed_as_soon_as_the_clock_passes_its_end() {
    let world = World::with(|setup| setup.one_clock = true);
    let tea = world.merchant().sells("龙井", 100, 5);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 2);
    assert_eq!(world.merchant().stock(tea), 3);
    world.wechat.advance(1801);
    let closed = || buyer.see(&order_no)["status"] == "closed";
    wait::until("the order is closed", closed);
    assert_eq!(world.merchant().stock(tea), 5);
}

#[test]
fn a_restarted_server_has_the_simulators_time_from_its_first_moment() {
    let mut world = World::with(|setup| setup.one_clock = true);
    let tea = world.merchant().sells("龙井", 100, 5);
    let order_no = world.buyer().order(tea, 1);
    world.stop();
    world.wechat.advance(86_400);
    world.serve();
    let closed = || world.merchant().order(&order_no)["status"] == "closed";
    wait::until("the order is closed", closed);
}

#[test]
fn no_clock_is_followed_by_a_server_that_deals_with_wechat_itself() {
    let world = World::start();
    let real = ("ZHANGGUI_WECHAT__API_BASE", "https://api.weixin.qq.com");
    let follow = [
        "serve",
        "--clock-from",
        "http://127.0.0.1:9",
        "--config",
        "config.toml",
    ];
    let said = run(world.dir.path(), &follow, &[real]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("--clock-from"), "{said:?}");
    let far = [
        "serve",
        "--clock-from",
        "http://192.0.2.1",
        "--config",
        "config.toml",
    ];
    let said = run(world.dir.path(), &far, &[]);
    assert_eq!(said.code, Some(1), "{said:?}");
}

#[test]
fn the_clock_tells_how_far_it_was_moved() {
    let world = World::start();
    world.wechat.advance(60);
    world.wechat.advance(-10);
    let clock = world.wechat.call("GET", "/sandbox/clock", &json!(null));
    assert_eq!(clock.expect(200)["advanced_s"], 50);
}
