//! Orders: stock, idempotency, cancelling, receiving, lists, expiry, other people's orders.

use std::collections::BTreeSet;
use std::thread;

use serde_json::{Value, json};

use crate::people::{Buyer, lines};
use crate::wait;
use crate::world::World;

#[test]
fn an_order_is_priced_by_the_server() {
    let world = World::start();
    let merchant = world.merchant();
    let (tea, cup) = (
        merchant.sells("茶", 12_800, 10),
        merchant.sells("杯", 999, 10),
    );
    let body = json!({
        "lines": [{ "goods_id": tea, "count": 2 }, { "goods_id": cup, "count": 3 }],
        "remark": "请包好",
    });
    let order = world
        .buyer()
        .caller
        .call("POST", "/api/v1/orders", &body)
        .expect(201);
    assert_eq!(order["goods_fen"], 28_597);
    assert_eq!(order["total_fen"], 28_597);
    assert_eq!(
        (&order["freight_fen"], &order["discount_fen"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(order["status"], "pending");
    assert_eq!(order["remark"], "请包好");
    assert_eq!(order["lines"][1]["price_fen"], 999);
    assert_eq!(
        (&order["refunds"], &order["shipments"]),
        (&json!([]), &json!([]))
    );
    let order_no = order["order_no"].as_str().unwrap();
    assert!((12..=28).contains(&order_no.len()), "{order_no}");
    assert!(
        order_no.bytes().all(|b| b.is_ascii_alphanumeric()),
        "{order_no}"
    );
    assert_eq!((merchant.stock(tea), merchant.stock(cup)), (8, 7));
}

#[test]
fn sixty_four_buyers_share_ten_pieces() {
    let world = World::start();
    let merchant = world.merchant();
    let last = merchant.sells("限量", 100, 10);
    let buyers: Vec<Buyer> = (0..64).map(|_| world.buyer()).collect();
    let replies: Vec<_> = thread::scope(|scope| {
        let orders: Vec<_> = buyers
            .iter()
            .map(|buyer| scope.spawn(|| buyer.try_order(last, 1)))
            .collect();
        orders
            .into_iter()
            .map(|order| order.join().unwrap())
            .collect()
    });
    let placed = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(placed, 10);
    for refused in replies.iter().filter(|reply| reply.status != 201) {
        refused.refuses(409, "OUT_OF_STOCK");
        assert_eq!(refused.json()["detail"]["goods_id"], last);
    }
    assert_eq!(merchant.stock(last), 0);
}

#[test]
fn an_order_that_cannot_be_filled_takes_nothing() {
    let world = World::start();
    let merchant = world.merchant();
    let (many, few) = (merchant.sells("多", 100, 10), merchant.sells("少", 100, 2));
    let body = json!({
        "lines": [{ "goods_id": many, "count": 1 }, { "goods_id": few, "count": 3 }],
    });
    let reply = world.buyer().caller.call("POST", "/api/v1/orders", &body);
    reply.refuses(409, "OUT_OF_STOCK");
    assert_eq!(
        reply.json()["detail"],
        json!({ "goods_id": few, "stock": 2 })
    );
    assert_eq!((merchant.stock(many), merchant.stock(few)), (10, 2));
    assert_eq!(merchant.orders().len(), 0);
}

#[test]
fn the_same_key_gives_the_first_answer_again_also_after_a_restart() {
    let mut world = World::start();
    let tea = world.merchant().sells("茶", 100, 10);
    let buyer = world.buyer();
    let first = buyer.order_with_key("key-1", &lines(tea, 2)).expect(201);
    assert_eq!(
        buyer.order_with_key("key-1", &lines(tea, 2)).expect(201),
        first
    );
    world.restart();
    assert_eq!(
        buyer.order_with_key("key-1", &lines(tea, 2)).expect(201),
        first
    );
    buyer
        .order_with_key("key-1", &lines(tea, 3))
        .refuses(422, "IDEMPOTENCY_KEY_REUSED");
    let other = buyer.order_with_key("key-2", &lines(tea, 2)).expect(201);
    assert_ne!(other["order_no"], first["order_no"]);
    let theirs = world
        .buyer()
        .order_with_key("key-1", &lines(tea, 1))
        .expect(201);
    assert_ne!(theirs["order_no"], first["order_no"]);
    assert_eq!(world.merchant().stock(tea), 5);
}

#[test]
fn the_same_body_is_the_same_json_whatever_its_spelling() {
    let world = World::start();
    let tea = world.merchant().sells("茶", 100, 10);
    let buyer = world.buyer();
    let key = [("idempotency-key", "key"), ("authorization", "")];
    let bearer = format!("Bearer {}", buyer.token);
    let headers = [key[0], (key[1].0, bearer.as_str())];
    let spellings = [
        format!(r#"{{"lines":[{{"goods_id":{tea},"count":1}}],"remark":"a"}}"#),
        format!(r#" {{"remark": "a", "lines": [ {{"count": 1, "goods_id": {tea}}} ]}} "#),
    ];
    let numbers: BTreeSet<String> = spellings
        .iter()
        .map(|body| {
            let mut client = world.anyone();
            let sent = client.send("POST", "/api/v1/orders", &headers, body.as_bytes());
            sent.unwrap().expect(201)["order_no"].to_string()
        })
        .collect();
    assert_eq!(numbers.len(), 1);
}

#[test]
fn the_same_key_at_once_places_one_order() {
    let world = World::start();
    let tea = world.merchant().sells("茶", 100, 100);
    let buyer = world.buyer();
    let phones: Vec<Buyer> = (0..16)
        .map(|_| {
            let again = world.wechat.login_code(Some(&buyer.openid));
            Buyer::login(&world.place, &again.0, &again.1)
        })
        .collect();
    let numbers: BTreeSet<String> = thread::scope(|scope| {
        let place = |phone: &Buyer| {
            phone.order_with_key("once", &lines(tea, 1)).expect(201)["order_no"].to_string()
        };
        let orders: Vec<_> = phones
            .iter()
            .map(|phone| scope.spawn(move || place(phone)))
            .collect();
        orders
            .into_iter()
            .map(|order| order.join().unwrap())
            .collect()
    });
    assert_eq!(numbers.len(), 1, "{numbers:?}");
    assert_eq!(world.merchant().stock(tea), 99);
}

#[test]
fn a_refused_order_is_not_remembered_under_its_key() {
    let world = World::start();
    let tea = world.merchant().sells("茶", 100, 1);
    let buyer = world.buyer();
    buyer
        .order_with_key("key", &lines(tea, 2))
        .refuses(409, "OUT_OF_STOCK");
    let more = json!({ "stock": 5 });
    let target = format!("/admin/v1/goods/{tea}");
    world
        .merchant()
        .caller
        .call("PATCH", &target, &more)
        .expect(200);
    buyer.order_with_key("key", &lines(tea, 2)).expect(201);
}

#[test]
fn cancelling_gives_the_stock_back_once() {
    let world = World::start();
    let tea = world.merchant().sells("茶", 100, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 4);
    for _ in 0..3 {
        let order = buyer.act(&order_no, "cancel").expect(200);
        assert_eq!(order["status"], "closed");
        assert!(order["closed_at"].is_string());
    }
    assert_eq!(world.merchant().stock(tea), 10);
}

#[test]
fn cancelling_a_young_v2_payment_waits_for_wechat() {
    let world = World::with(|setup| {
        setup.version = "v2";
        setup.may_be_refused = true;
    });
    let tea = world.merchant().sells("茶", 100, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 4);
    let fields = buyer.pay(&order_no);
    let order = buyer.act(&order_no, "cancel").expect(200);
    assert_eq!(order["status"], "pending");
    assert!(order["closing_since"].is_string(), "{order}");
    assert_eq!(world.merchant().stock(tea), 6);
    buyer.try_pay(&order_no).refuses(409, "ORDER_CLOSED");
    // Money that arrives meanwhile counts.
    world.wechat.pays(&fields);
    assert_eq!(buyer.see(&order_no)["status"], "paid");
    assert_eq!(world.merchant().stock(tea), 6);
    buyer.act(&order_no, "cancel").refuses(409, "ORDER_PAID");
}

#[test]
fn what_was_not_shipped_cannot_be_received() {
    let world = World::start();
    let tea = world.merchant().sells("茶", 100, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 1);
    buyer.act(&order_no, "receive").refuses(409, "ORDER_STATE");
    world.wechat.pays(&buyer.pay(&order_no));
    buyer.act(&order_no, "receive").refuses(409, "ORDER_STATE");
    assert_eq!(buyer.see(&order_no)["status"], "paid");
}

#[test]
fn lists_go_on_by_cursor_newest_first() {
    let world = World::start();
    let tea = world.merchant().sells("茶", 100, 100);
    let (buyer, other) = (world.buyer(), world.buyer());
    let placed: Vec<String> = (0..7).map(|_| buyer.order(tea, 1)).collect();
    other.order(tea, 1);
    buyer.act(&placed[3], "cancel").expect(200);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = buyer
            .caller
            .get(&format!("/api/v1/orders?limit=3{cursor}"))
            .expect(200);
        let orders = page["orders"].as_array().unwrap();
        assert!(orders.len() <= 3);
        seen.extend(
            orders
                .iter()
                .map(|order| order["order_no"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    let newest_first: Vec<String> = placed.iter().rev().cloned().collect();
    assert_eq!(seen, newest_first, "numbers rise as orders come in");
    let closed = buyer.caller.get("/api/v1/orders?status=closed").expect(200);
    assert_eq!(closed["orders"].as_array().unwrap().len(), 1);
    assert_eq!(closed["next_cursor"], Value::Null);
    assert_eq!(world.merchant().orders().len(), 8);
}

#[test]
fn an_order_expires_and_its_stock_comes_back() {
    let world = World::with(|setup| setup.pay_within_s = 1);
    let merchant = world.merchant();
    let tea = merchant.sells("茶", 100, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 4);
    assert_eq!(merchant.stock(tea), 6);
    wait::until("the order closes", || {
        buyer.see(&order_no)["status"] == "closed"
    });
    assert_eq!(merchant.stock(tea), 10);
    buyer.try_pay(&order_no).refuses(409, "ORDER_CLOSED");
}

#[test]
fn an_expiry_that_came_while_the_server_was_down_is_caught_up() {
    let mut world = World::with(|setup| setup.pay_within_s = 1);
    let tea = world.merchant().sells("茶", 100, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 4);
    world.restart();
    wait::until("the order closes", || {
        buyer.see(&order_no)["status"] == "closed"
    });
    assert_eq!(world.merchant().stock(tea), 10);
}

#[test]
fn someone_elses_order_does_not_exist_on_any_route() {
    let world = World::start();
    let tea = world.merchant().sells("茶", 100, 10);
    let order_no = world.buyer().order(tea, 1);
    let stranger = world.buyer();
    let before = world.everything();
    let target = format!("/api/v1/orders/{order_no}");
    stranger.caller.get(&target).refuses(404, "ORDER_NOT_FOUND");
    for verb in ["pay", "cancel", "receive"] {
        stranger
            .act(&order_no, verb)
            .refuses(404, "ORDER_NOT_FOUND");
    }
    let list = stranger.caller.get("/api/v1/orders").expect(200);
    assert_eq!(list["orders"], json!([]));
    assert_eq!(world.everything(), before);
}

#[test]
fn an_order_survives_a_restart_whole() {
    let mut world = World::start();
    let tea = world.merchant().sells("茶", 100, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 1);
    world.wechat.pays(&buyer.pay(&order_no));
    let before = world.everything();
    world.restart();
    assert_eq!(world.everything(), before);
    assert_eq!(buyer.see(&order_no)["status"], "paid");
}
