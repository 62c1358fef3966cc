//! Known attacks: what is another's, and what a client says a thing costs.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use zhanggui::web::Router;

use crate::people::Buyer;
use crate::probes::{Body, PROBES, Probe, Who};
use crate::world::World;

/// Method and pattern of every route, taken from the program itself.
pub(crate) fn routes() -> Vec<(String, &'static str)> {
    let router = Router::new(zhanggui::routes::table());
    let rows = router
        .rows()
        .map(|(method, pattern)| (method.to_string(), pattern));
    rows.collect()
}

pub(crate) fn probe_of(method: &str, pattern: &str) -> &'static Probe<'static> {
    let found = PROBES
        .iter()
        .find(|probe| probe.method == method && probe.pattern == pattern);
    found.unwrap_or_else(|| panic!("{method} {pattern} has no probe"))
}

/// A buyer with an order in every state, and every number that is theirs.
struct Owner {
    buyer: Buyer,
    ids: BTreeSet<String>,
    refunds: Vec<String>,
    orders: Vec<String>,
}

fn owner(world: &World, goods: u64) -> Owner {
    let (buyer, merchant) = (world.buyer(), world.merchant());
    let address = json!({ "name": "王小明", "phone": "13800138000", "province": "浙江省",
        "city": "杭州市", "district": "西湖区", "detail": "龙井路 1 号" });
    let kept = buyer.caller.call("PUT", "/api/v1/user/address", &address);
    kept.expect(200);
    let order = json!({ "lines": [{ "goods_id": goods, "count": 2 }], "address": address });
    let place = || {
        let placed = buyer
            .caller
            .call("POST", "/api/v1/orders", &order)
            .expect(201);
        placed["order_no"].as_str().unwrap().to_owned()
    };
    let orders: Vec<String> = (0..5).map(|_| place()).collect();
    buyer.pay(&orders[1]);
    for paid in &orders[2..] {
        world.wechat.pays(&buyer.pay(paid));
    }
    let ship = json!({ "logistics_type": 4, "item_desc": "茶" });
    let target = format!("/admin/v1/orders/{}/ship", orders[3]);
    merchant.caller.call("POST", &target, &ship).expect(200);
    let part = json!({ "amount_fen": 1, "reason": "补偿" });
    let target = format!("/admin/v1/orders/{}/refunds", orders[4]);
    let refund = merchant.caller.call("POST", &target, &part).expect(201);
    let refund = refund["refund_no"].as_str().unwrap().to_owned();
    let mut ids: BTreeSet<String> = orders.iter().cloned().collect();
    ids.extend(orders.iter().map(|order_no| format!("{order_no}_2")));
    ids.extend(orders.iter().map(|order_no| order_no.to_ascii_lowercase()));
    ids.extend(orders[2..].iter().map(|order_no| {
        let transaction = &buyer.see(order_no)["transaction_id"];
        transaction.as_str().unwrap().to_owned()
    }));
    ids.insert(refund.clone());
    ids.insert(buyer.openid.clone());
    let refunds = vec![refund];
    Owner {
        buyer,
        ids,
        refunds,
        orders,
    }
}

/// What the merchant sees, without what the background tells WeChat meanwhile.
fn seen(world: &World) -> Value {
    let mut all = world.state();
    for order in all["orders"].as_array_mut().unwrap() {
        let order = order.as_object_mut().unwrap();
        for moving in ["shipping_report", "settlement"] {
            order.remove(moving);
        }
    }
    all
}

fn two_owners() -> (World, [Owner; 2]) {
    let world = World::with(|setup| setup.may_be_refused = true);
    let tea = world.merchant().sells("茶", 100, 1000);
    let owners = [owner(&world, tea), owner(&world, tea)];
    (world, owners)
}

#[test]
fn no_route_of_a_buyer_takes_a_number_that_is_anothers() {
    let (world, owners) = two_owners();
    let named: Vec<_> = routes()
        .into_iter()
        .filter(|(_, pattern)| pattern.starts_with("/api/") && pattern.contains('{'))
        .filter(|(_, pattern)| *pattern != "/api/v1/goods/{id}")
        .collect();
    assert!(named.len() >= 6, "{named:?}");
    let before = seen(&world);
    for (thief, victim) in [(0, 1), (1, 0)] {
        let (thief, victim) = (&owners[thief], &owners[victim]);
        for (method, pattern) in &named {
            // A buyer's route that is named by something else must be added to this test.
            assert_eq!(pattern.matches('{').count(), 1, "{pattern}");
            assert!(pattern.contains("{order_no}"), "{pattern}");
            let body = probe_of(method, pattern).body.good();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            for id in &victim.ids {
                let target = pattern.replace("{order_no}", id);
                let reply = thief.buyer.caller.call(method, &target, &body);
                let got = (reply.status, reply.code());
                let wanted = (404, "ORDER_NOT_FOUND".to_owned());
                assert_eq!(got, wanted, "{method} {target}: {}", reply.text());
            }
        }
    }
    assert_eq!(seen(&world), before);
    for owner in &owners {
        for order_no in &owner.orders {
            owner.buyer.see(order_no);
        }
    }
}

#[test]
fn what_a_buyer_is_told_names_nothing_of_anothers() {
    let (world, owners) = two_owners();
    let listed = |buyer: &Buyer, query: &str| {
        let target = format!("/api/v1/orders{query}");
        buyer.caller.get(&target).expect(200)
    };
    for (thief, victim) in [(0, 1), (1, 0)] {
        let (thief, victim) = (&owners[thief], &owners[victim]);
        let cursor = listed(&victim.buyer, "?limit=1")["next_cursor"].clone();
        let theirs = format!("?limit=100&cursor={}", cursor.as_str().unwrap());
        let gets = routes().into_iter().filter(|(method, _)| method == "GET");
        let own = gets.filter(|(method, pattern)| probe_of(method, pattern).who == Who::Buyer);
        for (_, pattern) in own.filter(|(_, pattern)| !pattern.contains('{')) {
            for query in ["", &theirs, "?uid=1", "?uid=2", "?limit=100"] {
                let text = thief.buyer.caller.get(&format!("{pattern}{query}")).text();
                for id in &victim.ids {
                    assert!(!text.contains(id), "{pattern}{query} tells {id}");
                }
            }
        }
        let own = listed(&thief.buyer, "?limit=100");
        assert_eq!(own["orders"].as_array().unwrap().len(), thief.orders.len());
    }
    drop(world);
}

#[test]
fn a_refund_is_retried_under_its_own_order_only() {
    let (world, [one, other]) = two_owners();
    let before = seen(&world);
    for (order_no, refund_no) in [
        (&one.orders[4], &other.refunds[0]),
        (&one.orders[0], &one.refunds[0]),
        (&other.orders[4], &one.refunds[0]),
    ] {
        let target = format!("/admin/v1/orders/{order_no}/refunds/{refund_no}/retry");
        let reply = world.merchant().caller.post(&target);
        reply.refuses(404, "NOT_FOUND");
    }
    assert_eq!(seen(&world), before);
}

#[test]
fn what_is_off_sale_is_not_sold_beside_other_goods_either() {
    let world = World::start();
    let merchant = world.merchant();
    let (tea, hidden) = (merchant.sells("茶", 100, 10), merchant.sells("内部", 1, 10));
    let off = json!({ "on_sale": false });
    let target = format!("/admin/v1/goods/{hidden}");
    merchant.caller.call("PATCH", &target, &off).expect(200);
    let before = world.everything();
    let buyer = world.buyer();
    for lines in [
        json!([{ "goods_id": hidden, "count": 1 }]),
        json!([{ "goods_id": tea, "count": 1 }, { "goods_id": hidden, "count": 1 }]),
    ] {
        let body = json!({ "lines": lines });
        let reply = buyer.caller.call("POST", "/api/v1/orders", &body);
        reply.refuses(409, "GOODS_OFF_SALE");
    }
    assert_eq!(world.everything(), before);
}

#[test]
fn an_idempotency_key_is_its_callers_own() {
    let world = World::start();
    let tea = world.merchant().sells("茶", 100, 10);
    let (one, other) = (world.buyer(), world.buyer());
    let body = json!({ "lines": [{ "goods_id": tea, "count": 1 }], "remark": "给一号" });
    let first = one.order_with_key("same-key", &body).expect(201);
    let again = one.order_with_key("same-key", &body).expect(201);
    assert_eq!(first, again);
    let foreign = other.order_with_key("same-key", &body).expect(201);
    assert_ne!(foreign["order_no"], first["order_no"]);
    assert_eq!(
        other.see(foreign["order_no"].as_str().unwrap())["remark"],
        "给一号"
    );
    // Another's body under the same key is no reuse of theirs either.
    let own = json!({ "lines": [{ "goods_id": tea, "count": 2 }] });
    let third = world.buyer().order_with_key("same-key", &own).expect(201);
    assert_eq!(third["total_fen"], 200);
}

/// What only the server says of an order.
const SERVERS_OWN: &[&str] = &[
    "price_fen",
    "total_fen",
    "amount_fen",
    "goods_fen",
    "freight_fen",
    "discount_fen",
    "refunded_fen",
    "total",
    "price",
    "amount",
    "status",
    "paid_at",
    "transaction_id",
    "order_no",
    "uid",
    "openid",
    "refund_request",
    "merchant_note",
    "expires_at",
    "currency",
];

#[test]
fn a_price_or_total_or_state_from_the_client_is_refused_by_name() {
    let world = World::start();
    let tea = world.merchant().sells("茶", 25_600, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 1);
    let before = world.everything();
    let refused = |method: &str, target: &str, body: &Value, name: &str| {
        let reply = buyer.caller.call(method, target, body);
        reply.refuses(400, "INVALID_REQUEST");
        assert!(
            reply.text().contains(name),
            "{target} {name}: {}",
            reply.text()
        );
    };
    for (method, pattern) in routes() {
        let probe = probe_of(&method, pattern);
        let takes = !matches!(probe.body, Body::None | Body::Foreign);
        if probe.who != Who::Buyer || !takes {
            continue;
        }
        let target = pattern.replace("{order_no}", &order_no);
        let good: Value = serde_json::from_slice(&probe.body.good()).unwrap();
        for name in SERVERS_OWN.iter().filter(|name| good.get(name).is_none()) {
            let mut body = good.clone();
            body[*name] = json!(1);
            refused(&method, &target, &body, name);
        }
    }
    for name in SERVERS_OWN {
        let mut line = json!({ "goods_id": tea, "count": 1 });
        line[*name] = json!(1);
        refused("POST", "/api/v1/orders", &json!({ "lines": [line] }), name);
    }
    assert_eq!(world.everything(), before);
    let body = json!({ "lines": [{ "goods_id": tea, "count": 1 }] });
    let target = "/api/v1/orders?total_fen=1&price_fen=1";
    let order = buyer.caller.call("POST", target, &body).expect(201);
    assert_eq!(order["total_fen"], 25_600);
}
