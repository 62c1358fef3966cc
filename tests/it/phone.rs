//! The page of the buyer's phone: what it asks, step by step, without a browser.

use serde_json::{Value, json};

use crate::http::Reply;
use crate::world::World;

/// One request of the page to the shop.
fn shop(world: &World, asked: &Value) -> Value {
    let told = world
        .wechat
        .call("POST", "/sandbox/shop", asked)
        .expect(200);
    assert!(told["status"].as_u64().unwrap() < 300, "{told}");
    told["body"].clone()
}

fn open(world: &World) -> Reply {
    let address = world.place.get().unwrap();
    let at = json!({"url": format!("http://{address}")});
    world.wechat.call("PUT", "/sandbox/shop", &at).expect(200);
    world.wechat.call("GET", "/sandbox/phone", &Value::Null)
}

#[test]
fn the_page_may_load_nothing_and_talk_to_nobody_but_the_simulator() {
    let world = World::start();
    let page = open(&world);
    assert_eq!(page.status, 200);
    let policy = page.message.header("content-security-policy").unwrap();
    for rule in [
        "default-src 'none'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    let text = page.text();
    let inside = |from: &str, to: &str| {
        let (_, rest) = text.split_once(from).unwrap();
        rest.split_once(to).unwrap().0.to_owned()
    };
    for (from, to) in [("<style>", "</style>"), ("<script>", "</script>")] {
        let sum = zhanggui::base::hash::sha256(inside(from, to).as_bytes());
        let sum = data_encoding::BASE64.encode(&sum);
        assert!(
            policy.contains(&sum),
            "{from} is not what the policy allows"
        );
    }
}

#[test]
fn a_purchase_is_made_from_the_phone() {
    let world = World::start();
    let tea = world.merchant().sells("龙井", 5980, 3);
    open(&world);
    let (code, _) = world.wechat.login_code(None);
    let login = json!({"method": "POST", "path": "/api/v1/token", "body": {"code": code}});
    let token = shop(&world, &login)["token"].clone();
    let ask = |method: &str, path: &str, body: Value| {
        let asked = json!({"method": method, "path": path, "token": token, "body": body});
        shop(&world, &asked)
    };
    let goods = ask("GET", "/api/v1/goods", Value::Null);
    assert_eq!(goods["goods"][0]["id"], tea);
    let lines = json!({"lines": [{"goods_id": tea, "count": 1}]});
    let order = ask("POST", "/api/v1/orders", lines);
    let path = format!("/api/v1/orders/{}", order["order_no"].as_str().unwrap());
    let fields = ask("POST", &format!("{path}/pay"), Value::Null);
    world.wechat.verifies(&fields);
    world.wechat.pays(&fields);
    let orders = ask("GET", "/api/v1/orders", Value::Null);
    assert_eq!(orders["orders"][0]["status"], "paid");
}

#[test]
fn the_way_to_the_shop_leads_nowhere_else() {
    let world = World::start();
    open(&world);
    let far = json!({"url": "http://192.0.2.1"});
    let refused = world.wechat.call("PUT", "/sandbox/shop", &far);
    refused.refuses(400, "INVALID_REQUEST");
    let admin = json!({"method": "GET", "path": "/admin/v1/orders"});
    let refused = world.wechat.call("POST", "/sandbox/shop", &admin);
    refused.refuses(400, "INVALID_REQUEST");
    world
        .wechat
        .call(
            "PUT",
            "/sandbox/shop",
            &json!({"url": "http://127.0.0.1:1"}),
        )
        .expect(200);
    let goods = json!({"method": "GET", "path": "/api/v1/goods"});
    let dead = world.wechat.call("POST", "/sandbox/shop", &goods);
    dead.refuses(502, "SHOP_UNREACHABLE");
}
