//! Known attacks through text: scripts that are stored, paths that climb, headers that break out,
//! addresses that are fetched.

use serde_json::{Value, json};

use crate::attacks::{probe_of, routes};
use crate::attacks_xml::Spy;
use crate::http::Reply;
use crate::probes::{Body, Who};
use crate::sessions::{Browser, admin, try_login};
use crate::world::World;

/// What a page would run if it were ever taken for markup.
const SCRIPT: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u{2028}{{1}}";

#[track_caller]
fn is_inert(what: &str, reply: &Reply) {
    let kind = reply.message.header("content-type").unwrap_or("none");
    let plain = [
        "application/json",
        "text/plain",
        "text/xml",
        "text/csv",
        "application/openmetrics-text",
        "none",
    ];
    let kind = kind.split(';').next().unwrap_or("");
    assert!(plain.contains(&kind), "{what} is {kind}");
    let nosniff = reply.message.header("x-content-type-options");
    assert_eq!(nosniff, Some("nosniff"), "{what}");
}

/// A world in which every text that someone may leave is a script; the order's number.
fn infested() -> (World, crate::people::Buyer, String) {
    let world = World::with(|setup| setup.may_be_refused = true);
    let merchant = world.merchant();
    let short: String = SCRIPT.chars().take(32).collect();
    let goods = json!({ "title": short, "price_fen": 100, "stock": 10, "spec": short,
        "description": SCRIPT, "image_url": "https://example.com/a.png" });
    let goods = merchant
        .caller
        .call("POST", "/admin/v1/goods", &goods)
        .expect(201);
    let buyer = world.buyer();
    let named = json!({ "nickname": short });
    buyer
        .caller
        .call("PATCH", "/api/v1/user", &named)
        .expect(200);
    let address = json!({ "name": SCRIPT, "phone": "13800138000", "province": SCRIPT,
        "city": SCRIPT, "district": SCRIPT, "detail": SCRIPT });
    buyer
        .caller
        .call("PUT", "/api/v1/user/address", &address)
        .expect(200);
    let order = json!({ "lines": [{ "goods_id": goods["id"], "count": 1 }],
        "remark": SCRIPT, "address": address });
    let order = buyer
        .caller
        .call("POST", "/api/v1/orders", &order)
        .expect(201);
    let order_no = order["order_no"].as_str().unwrap().to_owned();
    world.wechat.pays(&buyer.pay(&order_no));
    let note = json!({ "merchant_note": SCRIPT });
    let target = format!("/admin/v1/orders/{order_no}");
    merchant.caller.call("PATCH", &target, &note).expect(200);
    let wish = json!({ "reason": SCRIPT });
    let asked = buyer.caller.call(
        "POST",
        &format!("/api/v1/orders/{order_no}/refund-request"),
        &wish,
    );
    asked.expect(200);
    let refund = json!({ "amount_fen": 1, "reason": SCRIPT });
    merchant
        .caller
        .call("POST", &format!("{target}/refunds"), &refund)
        .expect(201);
    (world, buyer, order_no)
}

#[test]
fn a_stored_script_comes_back_as_text_and_as_nothing_else() {
    let (world, buyer, order_no) = infested();
    let merchant = world.merchant();
    let order = merchant.order(&order_no);
    for pointer in [
        "/remark",
        "/merchant_note",
        "/address/detail",
        "/refund_request/reason",
    ] {
        assert_eq!(order.pointer(pointer), Some(&json!(SCRIPT)), "{pointer}");
    }
    for (method, pattern) in routes() {
        if method != "GET" || pattern == "/admin/v1/events" {
            continue;
        }
        let target = pattern
            .replace("{order_no}", &order_no)
            .replace("{id}", "1");
        let bearer = match probe_of(&method, pattern).who {
            Who::Anyone => "none",
            Who::Buyer => &buyer.caller.bearer,
            Who::Merchant => &merchant.caller.bearer,
        };
        for accept in ["text/html", "*/*", "application/xhtml+xml"] {
            let headers = [("authorization", bearer), ("accept", accept)];
            let reply = world.anyone().send("GET", &target, &headers, b"").unwrap();
            is_inert(&target, &reply);
            let said = reply.message.header("content-type") == Some("application/json");
            assert!(
                !said || !reply.json().is_null(),
                "{target}: {}",
                reply.text()
            );
        }
    }
    let shown = world.command(&["order", "show", &order_no, "--json"]);
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(shown["remark"], SCRIPT);
}

#[test]
fn an_error_is_never_a_page() {
    let world = World::start();
    let page = "%3Cscript%3Ealert(1)%3C/script%3E";
    for (method, target, body) in [
        ("GET", format!("/{page}"), SCRIPT),
        ("GET", format!("/api/v1/goods/{page}"), ""),
        ("GET", format!("/api/v1/goods?limit={page}"), ""),
        (
            "GET",
            format!("/wx/message?signature={page}&echostr={page}"),
            "",
        ),
        ("POST", "/api/v1/token".to_owned(), SCRIPT),
        ("POST", "/wx/pay/notify".to_owned(), SCRIPT),
        ("POST", "/wx/pay/notify".to_owned(), "{\"a\":\"<script>\"}"),
        ("DELETE", "/healthz".to_owned(), ""),
    ] {
        let mut client = world.anyone();
        let headers = [("accept", "text/html"), ("x-request-id", "<script>")];
        let reply = client
            .send(method, &target, &headers, body.as_bytes())
            .unwrap();
        is_inert(&target, &reply);
        assert!(
            !reply.text().contains("<script>"),
            "{target}: {}",
            reply.text()
        );
        assert_ne!(reply.message.header("x-request-id"), Some("<script>"));
    }
    let field = json!({ "<script>alert(1)</script>": 1, "code": "x" });
    let body = field.to_string();
    let reply = world
        .anyone()
        .send("POST", "/api/v1/token", &[], body.as_bytes())
        .unwrap();
    reply.refuses(400, "INVALID_REQUEST");
    is_inert("an unknown field", &reply);
}

#[test]
fn the_phones_page_holds_no_text_of_the_shop() {
    let (world, ..) = infested();
    let address = world.place.get().unwrap();
    let at = json!({ "url": format!("http://{address}") });
    world.wechat.call("PUT", "/sandbox/shop", &at).expect(200);
    let page = world.wechat.call("GET", "/sandbox/phone", &Value::Null);
    assert!(
        !page.text().contains("alert(1)"),
        "the shop's text is in the page"
    );
    let policy = page.message.header("content-security-policy").unwrap();
    assert!(!policy.contains("unsafe-inline"), "{policy}");
    let asked = json!({ "method": "GET", "path": "/api/v1/goods" });
    let goods = world.wechat.call("POST", "/sandbox/shop", &asked);
    is_inert("/sandbox/shop", &goods);
    assert!(goods.text().contains("alert(1)"));
}

#[test]
fn a_picture_is_no_script_and_no_address_is_ever_fetched() {
    let world = World::start();
    let (merchant, buyer, spy) = (world.merchant(), world.buyer(), Spy::new());
    let goods = merchant.sells("茶", 100, 10);
    let target = format!("/admin/v1/goods/{goods}");
    for address in [
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,<b>",
        "file:///etc/passwd",
        "https://x/\" onerror=\"alert(1)",
    ] {
        let avatar = json!({ "avatar_url": address });
        buyer
            .caller
            .call("PATCH", "/api/v1/user", &avatar)
            .refuses(400, "INVALID_REQUEST");
        let image = json!({ "image_url": address });
        merchant
            .caller
            .call("PATCH", &target, &image)
            .refuses(400, "INVALID_REQUEST");
    }
    let (avatar, image) = (
        json!({ "avatar_url": spy.url() }),
        json!({ "image_url": spy.url() }),
    );
    buyer
        .caller
        .call("PATCH", "/api/v1/user", &avatar)
        .expect(200);
    merchant.caller.call("PATCH", &target, &image).expect(200);
    let order = json!({ "lines": [{ "goods_id": goods, "count": 1 }], "remark": spy.url() });
    let order = buyer
        .caller
        .call("POST", "/api/v1/orders", &order)
        .expect(201);
    let order_no = order["order_no"].as_str().unwrap();
    world.wechat.pays(&buyer.pay(order_no));
    let ship = json!({ "logistics_type": 4, "item_desc": "茶" });
    let target = format!("/admin/v1/orders/{order_no}/ship");
    merchant.caller.call("POST", &target, &ship).expect(200);
    let reported = || merchant.order(order_no)["shipping_report"]["status"] == "reported";
    crate::wait::until("the parcel is reported", reported);
    spy.was_left_alone();
}

#[test]
fn no_text_breaks_out_into_a_header_of_an_answer_or_of_a_call_to_wechat() {
    let world = World::with(|setup| setup.may_be_refused = true);
    let (merchant, buyer) = (world.merchant(), world.buyer());
    let evil = "茶\r\nset-cookie: a=1\r\nx-evil: 1\r\n\r\n{}]]></xml>\"}&#10;";
    let goods = json!({ "title": evil, "price_fen": 100, "stock": 10 });
    let goods = merchant
        .caller
        .call("POST", "/admin/v1/goods", &goods)
        .expect(201);
    let order = json!({ "lines": [{ "goods_id": goods["id"], "count": 1 }], "remark": evil });
    let order = buyer
        .caller
        .call("POST", "/api/v1/orders", &order)
        .expect(201);
    let order_no = order["order_no"].as_str().unwrap();
    world.wechat.pays(&buyer.pay(order_no));
    assert_eq!(buyer.see(order_no)["status"], "paid");
    let refund = json!({ "amount_fen": 100, "reason": "a\r\nx-evil: 1" });
    let target = format!("/admin/v1/orders/{order_no}/refunds");
    merchant.caller.call("POST", &target, &refund).expect(201);
    for passed in world.upstream.passed("/") {
        let names = passed
            .request
            .headers
            .iter()
            .map(|(name, _)| name.to_lowercase());
        let evil: Vec<String> = names
            .filter(|name| name.contains("evil") || name == "set-cookie")
            .collect();
        assert_eq!(evil, Vec::<String>::new(), "{}", passed.request.first);
    }
    let broken = "%0d%0aset-cookie:%20a=1%0d%0ax-evil:%201";
    for (method, pattern) in routes() {
        if pattern == "/admin/v1/events" {
            continue;
        }
        let parts = pattern
            .split('/')
            .map(|part| if part.starts_with('{') { broken } else { part });
        let target = parts.collect::<Vec<_>>().join("/");
        let target = format!("{target}?echostr={broken}&cursor={broken}&limit={broken}");
        for bearer in [&buyer.caller.bearer, &merchant.caller.bearer] {
            let headers = [
                ("authorization", bearer.as_str()),
                ("x-request-id", "a%0d%0ax-evil: 1"),
            ];
            let reply = world
                .anyone()
                .send(&method, &target, &headers, b"{}")
                .unwrap();
            for (name, value) in &reply.message.headers {
                let name = name.to_lowercase();
                assert!(
                    name != "set-cookie" && !name.contains("evil"),
                    "{target}: {name}"
                );
                assert!(!value.contains("evil"), "{target}: {name}: {value}");
            }
        }
    }
}

#[test]
fn nobody_is_sent_elsewhere() {
    let world = World::with(|setup| setup.may_be_refused = true);
    let evil = "evil.example";
    for (method, pattern) in routes() {
        if pattern == "/admin/v1/events" {
            continue;
        }
        let probe = probe_of(&method, pattern);
        let body = match probe.body {
            Body::Foreign | Body::None => vec![],
            body => body.good(),
        };
        for query in ["next", "redirect", "url", "return_to"] {
            let target = format!("{pattern}?{query}=https://{evil}/");
            let headers = [
                ("host", evil),
                ("x-forwarded-host", evil),
                ("forwarded", "host=evil.example"),
                ("origin", "https://evil.example"),
            ];
            let reply = world
                .anyone()
                .send(&method, &target, &headers, &body)
                .unwrap();
            assert!(
                !(300..400).contains(&reply.status),
                "{method} {target}: {}",
                reply.status
            );
            assert_eq!(reply.message.header("location"), None, "{method} {target}");
            assert!(!reply.text().contains(evil), "{target}: {}", reply.text());
        }
    }
}

#[test]
fn names_that_people_chose_stay_text_in_the_console_too() {
    let world = World::with(|setup| setup.may_be_refused = true);
    let name = "<b>掌柜</b>\"";
    admin(&world, name);
    let reply = try_login(&world, &[], &crate::sessions::right(name));
    is_inert("the session", &reply);
    assert_eq!(reply.expect(200)["username"], name);
    let browser = Browser::from(&reply);
    assert!(browser.is_logged_in(&world));
}
