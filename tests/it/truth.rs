//! Money and closes that no notify tells of: who finds out, and when; and how it is told.

use std::time::Duration;

use serde_json::{Value, json};

use crate::people::Buyer;
use crate::wait::within;
use crate::world::World;

fn paying(version: &'static str) -> (World, Buyer, u64, String, Value) {
    let world = World::with(|setup| {
        setup.version = version;
        setup.may_be_refused = true;
    });
    let tea = world.merchant().sells("茶", 100, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 4);
    let fields = buyer.pay(&order_no);
    (world, buyer, tea, order_no, fields)
}

fn no_notify(world: &World) {
    world.wechat.faults(&json!({ "notify": "drop" }));
}

fn kinds(order: &Value) -> Vec<String> {
    let events = order["events"].as_array().unwrap().iter();
    events
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_payment_without_a_notify_is_seen_by_who_asks() {
    for version in ["v2", "v3"] {
        let (world, buyer, _, order_no, fields) = paying(version);
        no_notify(&world);
        let paid = world.wechat.pays(&fields);
        assert_eq!(buyer.see(&order_no)["status"], "pending");
        let order = buyer.act(&order_no, "sync").expect(200);
        assert_eq!(order["status"], "paid", "{version}: {order}");
        assert_eq!(order["transaction_id"], paid["transaction_id"]);
        let told = world.merchant().order(&order_no);
        let seen = kinds(&told);
        for kind in ["wechat.prepay", "wechat.query", "order.paid"] {
            assert!(seen.iter().any(|one| one == kind), "{kind}: {seen:?}");
        }
        buyer.act(&order_no, "cancel").refuses(409, "ORDER_PAID");
    }
}

#[test]
fn a_payment_without_a_notify_is_found_by_itself_within_thirty_seconds() {
    let (world, buyer, _, order_no, fields) = paying("v3");
    no_notify(&world);
    world.wechat.pays(&fields);
    within(Duration::from_secs(32), "the payment is found", || {
        buyer.see(&order_no)["status"] == "paid"
    });
}

#[test]
fn a_cancelled_v3_payment_is_closed_at_wechat_and_its_stock_is_back() {
    let (world, buyer, tea, order_no, _) = paying("v3");
    let order = buyer.act(&order_no, "cancel").expect(200);
    assert_eq!(order["status"], "closed", "{order}");
    assert_eq!(order["closing_since"], Value::Null);
    assert_eq!(world.merchant().stock(tea), 10);
    buyer.try_pay(&order_no).refuses(409, "ORDER_CLOSED");
}

#[test]
fn a_v2_payment_is_closed_as_soon_as_wechat_can_also_after_a_kill() {
    let (mut world, buyer, tea, order_no, _) = paying("v2");
    let order = buyer.act(&order_no, "cancel").expect(200);
    assert_eq!(order["status"], "pending", "{order}");
    let told = world.merchant().order(&order_no);
    let why = told["events"].as_array().unwrap().iter();
    let why = why.filter(|event| event["kind"] == "order.not_closed");
    let why: Vec<_> = why.filter_map(|event| event["text"].as_str()).collect();
    assert!(why[0].contains("5 分钟"), "{why:?}");
    world.kill();
    world.serve();
    world.wechat.advance(301);
    within(Duration::from_secs(60), "the order is closed", || {
        world.merchant().order(&order_no)["status"] == "closed"
    });
    assert_eq!(world.merchant().stock(tea), 10);
}

#[test]
fn a_new_price_is_paid_under_a_new_number() {
    let (world, buyer, _, order_no, _) = paying("v3");
    let path = format!("/admin/v1/orders/{order_no}");
    let change = json!({ "freight_fen": 50, "discount_fen": 20, "merchant_note": "老客户" });
    let order = world
        .merchant()
        .caller
        .call("PATCH", &path, &change)
        .expect(200);
    assert_eq!(
        (&order["total_fen"], &order["merchant_note"]),
        (&json!(430), &json!("老客户"))
    );
    let too_much = json!({ "discount_fen": 450 });
    let refused = world.merchant().caller.call("PATCH", &path, &too_much);
    refused.refuses(422, "AMOUNT_INVALID");
    let fields = buyer.pay(&order_no);
    world.wechat.pays(&fields);
    let told = world.merchant().order(&order_no);
    assert_eq!(told["status"], "paid", "{told}");
    let paid: Vec<_> = told["payments"].as_array().unwrap().iter().collect();
    assert_eq!(paid[1]["out_trade_no"], format!("{order_no}_2"));
    assert_eq!(
        (&paid[1]["amount_fen"], &paid[1]["counted"]),
        (&json!(430), &json!(true))
    );
    let late = world
        .merchant()
        .caller
        .call("PATCH", &path, &json!({ "freight_fen": 1 }));
    late.refuses(409, "ORDER_STATE");
}

#[test]
fn the_merchant_asks_and_closes_as_the_buyer_does() {
    let (world, _, tea, order_no, _) = paying("v3");
    let merchant = world.merchant();
    let path = |verb: &str| format!("/admin/v1/orders/{order_no}/{verb}");
    let order = merchant.caller.post(&path("sync")).expect(200);
    assert_eq!(order["status"], "pending");
    let order = merchant.caller.post(&path("close")).expect(200);
    assert_eq!(order["status"], "closed", "{order}");
    assert_eq!(merchant.stock(tea), 10);
}

#[test]
fn an_order_is_shown_alike_by_the_running_server_and_the_stopped_store() {
    let (mut world, buyer, _, order_no, _) = paying("v3");
    buyer.act(&order_no, "cancel").expect(200);
    let by_route = world.merchant().order(&order_no);
    let shown = |world: &World, more: &[&str]| {
        let args = [&["order", "show", order_no.as_str()], more].concat();
        let said = world.command(&args);
        assert_eq!(said.code, Some(0), "{}", said.err);
        said.out
    };
    let (json, text) = (shown(&world, &["--json"]), shown(&world, &[]));
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), by_route);
    assert!(
        text.contains("order.closed") && text.contains(&order_no),
        "{text}"
    );
    world.stop();
    assert_eq!(shown(&world, &["--json"]), json);
    assert_eq!(shown(&world, &[]), text);
    let none = world.command(&["order", "show", "NOSUCHORDER1"]);
    assert_eq!(none.code, Some(1));
}
