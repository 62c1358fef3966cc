//! The catalogue: the merchant changes it by API key, buyers read it without a token.

use serde_json::{Value, json};

use crate::people::lines;
use crate::world::World;

#[test]
fn goods_are_made_changed_shown_and_deleted() {
    let mut world = World::start();
    let merchant = world.merchant();
    let whole = json!({
        "title": "明前龙井", "price_fen": 12_800, "stock": 10, "spec": "50g",
        "image_url": "https://example.com/tea.png", "description": "今年的", "on_sale": true,
        "group_id": 7,
    });
    let made = merchant
        .caller
        .call("POST", "/admin/v1/goods", &whole)
        .expect(201);
    let id = made["id"].as_u64().unwrap();
    for (name, value) in whole.as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    let target = format!("/admin/v1/goods/{id}");
    let change = json!({ "price_fen": 9_900, "stock": 5, "group_id": null });
    let changed = merchant.caller.call("PATCH", &target, &change).expect(200);
    assert_eq!(
        (&changed["price_fen"], &changed["stock"]),
        (&json!(9_900), &json!(5))
    );
    assert_eq!(
        (&changed["group_id"], &changed["title"]),
        (&Value::Null, &json!("明前龙井"))
    );
    world.restart();
    let shown = world
        .anyone()
        .send("GET", &format!("/api/v1/goods/{id}"), &[], b"")
        .unwrap();
    assert_eq!(shown.expect(200), changed);
    let merchant = world.merchant();
    assert_eq!(
        merchant.caller.call("DELETE", &target, &Value::Null).status,
        204
    );
    merchant.caller.get(&target).refuses(404, "GOODS_NOT_FOUND");
    world
        .buyer()
        .try_order(id, 1)
        .refuses(404, "GOODS_NOT_FOUND");
}

#[test]
fn what_is_off_sale_cannot_be_ordered() {
    let world = World::start();
    let merchant = world.merchant();
    let tea = merchant.sells("茶", 100, 10);
    let target = format!("/admin/v1/goods/{tea}");
    merchant
        .caller
        .call("PATCH", &target, &json!({ "on_sale": false }))
        .expect(200);
    world
        .buyer()
        .try_order(tea, 1)
        .refuses(409, "GOODS_OFF_SALE");
    assert_eq!(merchant.stock(tea), 10);
}

#[test]
fn a_new_price_is_for_new_orders_only() {
    let world = World::start();
    let merchant = world.merchant();
    let tea = merchant.sells("茶", 100, 10);
    let buyer = world.buyer();
    let old = buyer.order(tea, 2);
    let target = format!("/admin/v1/goods/{tea}");
    merchant
        .caller
        .call("PATCH", &target, &json!({ "price_fen": 300 }))
        .expect(200);
    assert_eq!(buyer.see(&old)["total_fen"], 200);
    let new = buyer
        .caller
        .call("POST", "/api/v1/orders", &lines(tea, 2))
        .expect(201);
    assert_eq!(new["total_fen"], 600);
    world.wechat.pays(&buyer.pay(&old));
    assert_eq!(buyer.see(&old)["status"], "paid");
}

#[test]
fn the_catalogue_is_read_page_by_page_without_a_token() {
    let world = World::start();
    let merchant = world.merchant();
    let made: Vec<u64> = (0..5)
        .map(|at| merchant.sells(&format!("茶 {at}"), 100, 1))
        .collect();
    let mut client = world.anyone();
    let first = client
        .send("GET", "/api/v1/goods?limit=3", &[], b"")
        .unwrap()
        .expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let target = format!("/api/v1/goods?limit=3&cursor={cursor}");
    let second = client.send("GET", &target, &[], b"").unwrap().expect(200);
    assert_eq!(second["next_cursor"], Value::Null);
    let pages = [&first["goods"], &second["goods"]];
    let ids = pages.iter().flat_map(|page| page.as_array().unwrap());
    let ids: Vec<u64> = ids.map(|goods| goods["id"].as_u64().unwrap()).collect();
    let newest_first: Vec<u64> = made.into_iter().rev().collect();
    assert_eq!(ids, newest_first);
}

#[test]
fn the_merchant_sees_an_order_with_its_timeline() {
    let world = World::start();
    let merchant = world.merchant();
    let tea = merchant.sells("茶", 100, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 2);
    let paid = world.wechat.pays(&buyer.pay(&order_no));
    let order = merchant.order(&order_no);
    assert_eq!(order["status"], "paid");
    assert_eq!(order["payments"][0]["out_trade_no"], order_no.as_str());
    assert_eq!(
        order["payments"][0]["transaction_id"],
        paid["transaction_id"]
    );
    assert_eq!(order["payments"][0]["amount_fen"], 200);
    let kinds: Vec<&str> = order["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&"order.paid"), "{kinds:?}");
    assert!(kinds.len() >= 2, "{kinds:?}");
}

#[test]
fn the_merchant_finds_orders_by_status_number_user_and_day() {
    let world = World::start();
    let merchant = world.merchant();
    let tea = merchant.sells("茶", 100, 10);
    let (buyer, other) = (world.buyer(), world.buyer());
    let (first, second) = (buyer.order(tea, 1), other.order(tea, 1));
    let paid = world.wechat.pays(&buyer.pay(&first));
    let transaction_id = paid["transaction_id"].as_str().unwrap();
    let uid = buyer.caller.get("/api/v1/user").expect(200)["uid"]
        .as_u64()
        .unwrap();
    let found = |query: &str| -> Vec<String> {
        let page = merchant
            .caller
            .get(&format!("/admin/v1/orders?{query}"))
            .expect(200);
        let orders = page["orders"].as_array().unwrap();
        orders
            .iter()
            .map(|order| order["order_no"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(found("status=paid"), [first.as_str()]);
    assert_eq!(found("status=pending"), [second.as_str()]);
    assert_eq!(found(&format!("q={second}")), [second.as_str()]);
    assert_eq!(found(&format!("q={transaction_id}")), [first.as_str()]);
    assert_eq!(found(&format!("uid={uid}")), [first.as_str()]);
    assert_eq!(found("to=2020-01-01"), Vec::<String>::new());
    assert_eq!(found("from=2020-01-01"), [second, first]);
    let strange = merchant.caller.get("/admin/v1/orders?from=yesterday");
    strange.refuses(400, "INVALID_REQUEST");
}
