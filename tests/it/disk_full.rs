//! A disk that really fills up under the real binary.

use std::fs;
use std::time::Duration;

use crate::fulfil::pay;
use crate::notify::Notify;
use crate::people::{Buyer, lines};
use crate::small_disk::SmallDisk;
use crate::tap::Fate;
use crate::wait::{say, until, within};
use crate::world::World;

/// A world whose data directory is a disk of `mb` MiB.
fn on_a_small_disk(mb: u64, reserve_mb: i64) -> (World, SmallDisk) {
    let mut world = World::with(|setup| setup.more.push(("store.reserve_mb", reserve_mb.into())));
    world.stop();
    fs::remove_dir_all(world.data_dir()).unwrap();
    fs::create_dir(world.data_dir()).unwrap();
    let disk = SmallDisk::empty(&world.data_dir(), mb);
    world.setup.by = disk.by(world.dir.path());
    let limit = ("ZHANGGUI_STORE__MIN_FREE_MB".to_owned(), "1024".to_owned());
    world.setup.env.push(limit);
    world.serve();
    world.make_key();
    (world, disk)
}

/// The notify of a payment that the shop has not heard of yet.
fn unheard(world: &World, buyer: &Buyer, order_no: &str) -> Notify {
    let before = world.notifies.passed("/wx/pay/notify").len();
    world.notifies.next(Fate::Held, 1);
    world.wechat.pays(&buyer.pay(order_no));
    let passed = world.notifies.passed("/wx/pay/notify");
    Notify::from(&passed[before].request)
}

#[test]
fn below_the_limit_new_orders_are_refused_and_what_is_begun_goes_on() {
    let (world, disk) = on_a_small_disk(200, 8);
    let tea = world.merchant().sells("茶", 100, 1_000_000);
    let buyer = world.buyer();
    let kept = buyer.order_with_key("one", &lines(tea, 1)).expect(201);
    let order_no = kept["order_no"].as_str().unwrap();
    let paid = pay(&world, &buyer, tea);
    disk.run("fallocate -l $(( $(stat -f -c %a*%S \"$0\") - 5000000 )) \"$0/filler\"");
    within(Duration::from_secs(10), "new orders are refused", || {
        let reply = buyer.try_order(tea, 1);
        assert!(
            reply.status == 201 || reply.code() == "STORE_FULL",
            "{}",
            reply.text()
        );
        reply.status == 503
    });
    let again = buyer.order_with_key("one", &lines(tea, 1)).expect(201);
    assert_eq!(
        again["order_no"], order_no,
        "an order that was placed is told again"
    );
    world.wechat.pays(&buyer.pay(order_no));
    assert_eq!(buyer.see(order_no)["status"], "paid");
    let path = format!("/admin/v1/orders/{paid}/refunds");
    let body = serde_json::json!({ "amount_fen": 100, "reason": "不想要了" });
    world
        .merchant()
        .caller
        .call("POST", &path, &body)
        .expect(201);
    world
        .anyone()
        .send("GET", "/readyz", &[], b"")
        .unwrap()
        .expect(200);
    disk.run("rm \"$0/filler\"");
    within(Duration::from_secs(10), "orders are taken again", || {
        buyer.try_order(tea, 1).status == 201
    });
    until("the end is said", || world.log().contains("重新接受新订单"));
    let said = |words: &str| world.log().matches(words).count();
    assert_eq!(
        (said("暂停接受新订单"), said("重新接受新订单")),
        (1, 1),
        "each is said once"
    );
}

#[test]
fn a_restart_on_a_full_disk_takes_payments_from_the_room_that_was_kept() {
    let (mut world, disk) = on_a_small_disk(160, 64);
    let tea = world.merchant().sells("茶", 100, 1_000_000);
    let buyer = world.buyer();
    let orders: Vec<String> = (0..20).map(|_| buyer.order(tea, 1)).collect();
    let notify = unheard(&world, &buyer, &orders[0]);
    let reserve = disk.path("reserve");
    assert_eq!(fs::metadata(&reserve).unwrap().len(), 64 << 20);
    // Full at one blow, before the limit is noticed: the journal itself meets it.
    disk.run("cat /dev/zero > \"$0/filler\" || true");
    let mut client = buyer.connection();
    let mut placed = orders.clone();
    until("the disk is full", || {
        match buyer.order_on(&mut client, tea) {
            Ok(reply) if reply.status == 201 => {
                placed.push(reply.json()["order_no"].as_str().unwrap().to_owned());
                false
            }
            Ok(reply) => ["STORE_FULL", "STORE_UNAVAILABLE"].contains(&reply.code().as_str()),
            Err(_) => true,
        }
    });
    // New orders are refused now, but a payment still has to be written somewhere.
    let mut later = orders[1..].iter();
    let ended = |world: &mut World| world.server().ended();
    until("the server has met the full disk", || {
        if let Some(status) = ended(&mut world) {
            assert_eq!(status.code(), Some(1));
            return true;
        }
        if let Some(order_no) = later.next() {
            let _ = buyer.connection().send(
                "POST",
                &format!("/api/v1/orders/{order_no}/cancel"),
                &[("authorization", &buyer.caller.bearer)],
                b"{}",
            );
        }
        false
    });
    world.forget_server();
    assert!(world.log().contains("已释放预留空间"), "{}", world.log());
    assert_eq!(fs::metadata(&reserve).unwrap().len(), 0);
    world.serve();
    say("the restart on the full disk came up");
    let reply = world.deliver(&notify);
    assert!(crate::notify::acknowledges(&reply), "{}", reply.text());
    assert_eq!(world.merchant().order(&orders[0])["status"], "paid");
    for order_no in &placed {
        world.merchant().order(order_no);
    }
    disk.run("rm \"$0/filler\"");
    within(Duration::from_secs(10), "the room is kept again", || {
        fs::metadata(&reserve).unwrap().len() == 64 << 20
    });
}
