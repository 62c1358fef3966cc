//! Webhooks of the real binary: signed, in order per order, at least once, whatever falls over.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::http::Reply;
use crate::people::Buyer;
use crate::receiver::Receiver;
use crate::wait::until;
use crate::world::World;

fn enter(world: &World, url: &str, events: &Value) -> Reply {
    let body = json!({ "url": url, "events": events });
    let merchant = world.merchant().caller;
    merchant.call("POST", "/admin/v1/webhooks", &body)
}

/// A receiver that hears of `events`.
fn listening(world: &World, events: &Value) -> (Receiver, u64) {
    let receiver = Receiver::open();
    let made = enter(world, &receiver.url(), events).expect(201);
    assert_eq!(
        (&made["url"], &made["events"]),
        (&json!(receiver.url()), events)
    );
    receiver.knows(made["secret"].as_str().unwrap());
    (receiver, made["id"].as_u64().unwrap())
}

fn listed(world: &World) -> Value {
    world
        .merchant()
        .caller
        .get("/admin/v1/webhooks")
        .expect(200)["webhooks"]
        .clone()
}

/// An order, paid, shipped, received and partly refunded.
fn whole_life(world: &World, buyer: &Buyer, goods: u64) -> String {
    let order_no = buyer.order(goods, 1);
    world.wechat.pays(&buyer.pay(&order_no));
    let merchant = world.merchant().caller;
    let target = format!("/admin/v1/orders/{order_no}");
    let ship = json!({ "logistics_type": 4, "item_desc": "茶" });
    merchant
        .call("POST", &format!("{target}/ship"), &ship)
        .expect(200);
    buyer.act(&order_no, "receive").expect(200);
    let refund = json!({ "amount_fen": 30, "reason": "少发" });
    let made = merchant
        .call("POST", &format!("{target}/refunds"), &refund)
        .expect(201);
    let finish = format!(
        "/sandbox/refunds/{}/finish",
        made["refund_no"].as_str().unwrap()
    );
    let good = json!({ "status": "SUCCESS" });
    world.wechat.call("POST", &finish, &good).expect(200);
    until("the refund arrived", || {
        world.merchant().order(&order_no)["refunded_fen"] == 30
    });
    order_no
}

const LIFE: [&str; 5] = [
    "order.created",
    "order.paid",
    "order.shipped",
    "order.completed",
    "refund.success",
];

/// The events that were taken, by order.
fn by_order(receiver: &Receiver) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for heard in receiver.taken() {
        let events = all.entry(heard.order_no().to_owned()).or_default();
        events.push(heard.event().to_owned());
    }
    all
}

#[test]
fn every_event_is_told_in_order_though_the_server_is_killed_and_the_receiver_fails() {
    let mut world = World::with(|setup| {
        setup.one_clock = true;
        // A kill may lie between reporting a shipment and knowing it: it is reported twice.
        setup.may_be_refused = true;
    });
    let tea = world.merchant().sells("茶", 100, 100);
    let (receiver, _) = listening(&world, &json!(["order.*", "refund.success"]));
    let buyer = world.buyer();
    let mut orders = vec![whole_life(&world, &buyer, tea)];
    until("the first life is told", || receiver.taken().len() == 5);
    receiver.answers(|_| 503);
    orders.push(whole_life(&world, &buyer, tea));
    let closed = buyer.order(tea, 1);
    buyer.act(&closed, "cancel").expect(200);
    until("the receiver has refused twice", || {
        world.wechat.advance(10);
        let heard = receiver.heard().into_iter();
        heard.filter(|heard| heard.answered == 503).count() > 1
    });
    world.kill();
    receiver.answers(|_| 200);
    world.serve();
    // Nothing new happens: what is told now was kept, and was tried again by itself.
    until("what waited is told", || {
        world.wechat.advance(60);
        receiver.taken().len() == 12
    });
    let buyer = world.buyer();
    orders.push(whole_life(&world, &buyer, tea));
    until("all is told", || {
        world.wechat.advance(60);
        receiver.taken().len() == 17
    });
    let told = by_order(&receiver);
    for order_no in &orders {
        assert_eq!(told[order_no], LIFE, "{order_no}");
    }
    assert_eq!(told[&closed], ["order.created", "order.closed"]);
    let paid = receiver
        .taken()
        .into_iter()
        .find(|heard| heard.event() == "order.paid");
    let paid = paid.unwrap().body;
    assert_eq!(paid["data"]["total_fen"], 100);
    assert_eq!(paid["data"]["status"], "paid");
    assert!(
        paid["timestamp"].as_str().unwrap().ends_with("+08:00"),
        "{paid}"
    );
    assert_eq!(listed(&world)[0]["status"], "active");
}

#[test]
fn an_order_that_the_receiver_will_not_take_holds_up_no_other() {
    let world = World::with(|setup| setup.one_clock = true);
    let tea = world.merchant().sells("茶", 100, 100);
    let (receiver, _) = listening(&world, &json!(["order.created", "order.closed"]));
    let buyer = world.buyer();
    let poison = buyer.order(tea, 1);
    until("the first is told", || receiver.taken().len() == 1);
    let bad = poison.clone();
    receiver.answers(move |body| {
        if body["data"]["order_no"] == bad {
            500
        } else {
            200
        }
    });
    buyer.act(&poison, "cancel").expect(200);
    let others: Vec<String> = (0..3).map(|_| buyer.order(tea, 1)).collect();
    until("the others are told", || {
        world.wechat.advance(10);
        others
            .iter()
            .all(|order_no| by_order(&receiver).contains_key(order_no))
    });
    let refused = receiver.heard().into_iter();
    let refused = refused.filter(|heard| heard.answered == 500).count();
    assert!(refused > 0 && receiver.taken().len() == 4);
}

#[test]
fn an_endpoint_that_fails_for_three_days_is_given_up_with_an_alert() {
    let world = World::with(|setup| {
        setup.one_clock = true;
        // Days go by in seconds, and WeChat is asked for bills that it does not have.
        setup.may_be_refused = true;
    });
    let tea = world.merchant().sells("茶", 100, 100);
    let (receiver, id) = listening(&world, &json!(["*"]));
    let (other, _) = listening(&world, &json!(["alert.webhook_dead"]));
    receiver.answers(|_| 302);
    world.buyer().order(tea, 1);
    until("it is given up", || {
        world.wechat.advance(4 * 3600);
        let all = listed(&world);
        let found = all.as_array().unwrap().iter().find(|one| one["id"] == id);
        found.unwrap()["status"] == "dead"
    });
    until("the other is told", || {
        world.wechat.advance(60);
        !other.taken().is_empty()
    });
    let told = &other.taken()[0].body;
    assert_eq!(told["type"], "alert.webhook_dead");
    assert_eq!(told["data"]["about"], id.to_string());
    assert_eq!(told["data"]["state"], "raised");
    until("the log tells it", || {
        world.log().contains("alert=webhook_dead")
    });
    receiver.answers(|_| 200);
    let id_text = id.to_string();
    let replay = world.command(&["webhook", "replay", &id_text]);
    assert_eq!(replay.code, Some(0), "{replay:?}");
    until("what it missed is told", || {
        world.wechat.advance(60);
        let taken = receiver.taken();
        taken.iter().any(|heard| heard.event() == "order.created")
    });
    assert_eq!(world.command(&["webhook", "replay", "99"]).code, Some(1));
    let target = format!("/admin/v1/webhooks/{id}");
    let merchant = world.merchant().caller;
    assert_eq!(merchant.call("DELETE", &target, &Value::Null).status, 204);
    merchant
        .call("DELETE", &target, &Value::Null)
        .refuses(404, "NOT_FOUND");
}

#[test]
fn only_addresses_and_events_that_may_be_are_entered_and_the_secret_is_shown_once() {
    let world = World::start();
    let all = json!(["*"]);
    for url in [
        "https://10.0.0.1/a",
        "https://127.0.0.1/a",
        "https://169.254.169.254/latest",
        "https://[::ffff:10.0.0.1]/a",
        "http://hooks.example.com/a",
        "https://u:p@hooks.example.com/a",
        "ftp://hooks.example.com/a",
        "hooks.example.com",
        "",
    ] {
        enter(&world, url, &all).refuses(400, "INVALID_REQUEST");
    }
    let url = "https://hooks.example.com/a";
    for events in [json!([]), json!(["order.gone"]), json!(["x*"]), json!("*")] {
        enter(&world, url, &events).refuses(400, "INVALID_REQUEST");
    }
    let made = enter(&world, url, &all).expect(201);
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"), "{secret}");
    let list = listed(&world);
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["secret"], Value::Null);
    assert!(!world.log().contains(secret));
}
