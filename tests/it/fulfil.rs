//! Shipping, phones, pushes, messages and codes: the server with the simulator beside it.

use serde_json::{Value, json};

use crate::people::{Buyer, Merchant};
use crate::wait;
use crate::world::World;

/// A world with one paid order of a buyer who gave an address.
struct Paid {
    world: World,
    buyer: Buyer,
    order_no: String,
}

impl Paid {
    fn start() -> Self {
        Self::of(World::with(|setup| setup.one_clock = true))
    }

    fn of(world: World) -> Self {
        let tea = world.merchant().sells("龙井", 100, 50);
        let buyer = world.buyer();
        let order_no = pay(&world, &buyer, tea);
        Self {
            world,
            buyer,
            order_no,
        }
    }

    fn merchant(&self) -> Merchant {
        self.world.merchant()
    }

    fn order(&self) -> Value {
        self.merchant().order(&self.order_no)
    }

    #[track_caller]
    fn ship(&self, body: &Value) -> crate::http::Reply {
        let target = format!("/admin/v1/orders/{}/ship", self.order_no);
        self.merchant().caller.call("POST", &target, body)
    }

    #[track_caller]
    fn reported_as(&self, status: &str) -> Value {
        let reported = || self.order()["shipping_report"]["status"] == status;
        wait::until(&format!("the report is {status}"), reported);
        self.order()
    }

    /// Whether the timeline tells something of this kind.
    fn tells(&self, kind: &str) -> bool {
        let order = self.order();
        let events = order["events"].as_array().unwrap();
        events.iter().any(|event| event["kind"] == kind)
    }

    /// The console's page for message push, which checks our address first.
    fn listens(&self, mode: &str, format: &str) {
        let url = format!("{}/wx/message", self.world.notifies.url());
        let body = json!({"url": url, "mode": mode, "format": format});
        let saved = self
            .world
            .wechat
            .call("PUT", "/sandbox/message-push", &body);
        saved.expect(200);
    }
}

fn pay(world: &World, buyer: &Buyer, goods: u64) -> String {
    let address = json!({
        "name": "王小明", "phone": "17712341234", "province": "浙江省", "city": "杭州市",
        "district": "西湖区", "detail": "龙井路 1 号",
    });
    let body = json!({"lines": [{"goods_id": goods, "count": 1}], "address": address});
    let order = buyer
        .caller
        .call("POST", "/api/v1/orders", &body)
        .expect(201);
    let order_no = order["order_no"].as_str().unwrap().to_owned();
    world.wechat.pays(&buyer.pay(&order_no));
    order_no
}

fn courier(number: &str) -> Value {
    json!({"logistics_type": 1, "express_company": "SF", "tracking_no": number})
}

#[test]
fn a_shipped_order_shows_its_parcel_and_wechat_gets_the_report() {
    let paid = Paid::start();
    let shipped = paid.ship(&courier("SF1001")).expect(200);
    assert_eq!(shipped["status"], "shipped");
    let parcel = &shipped["shipments"][0];
    assert_eq!(parcel["logistics_type"], 1);
    assert_eq!(
        (&parcel["express_company"], &parcel["tracking_no"]),
        (&json!("SF"), &json!("SF1001"))
    );
    assert_eq!(parcel["item_desc"], "龙井*1");
    let order = paid.reported_as("reported");
    assert_eq!(order["shipping_report"]["problem"], Value::Null);
    assert_eq!(order["settlement"]["frozen_fen"], 100);
    let seen = paid.buyer.see(&paid.order_no);
    assert_eq!(seen["shipments"], order["shipments"]);
    assert_eq!(seen.get("shipping_report"), None);
    assert!(paid.tells("shipping.reported") && paid.tells("wechat.shipping"));
}

#[test]
fn every_way_to_ship_is_reported_and_a_wrong_form_is_refused_by_name() {
    let paid = Paid::start();
    let parcels = |count: usize| -> Vec<Value> {
        let parcel = |n| json!({"express_company": "YTO", "tracking_no": format!("YT{n}")});
        (0..count).map(parcel).collect()
    };
    let table = [
        ("logistics_type", json!({"logistics_type": 0})),
        ("logistics_type", json!({"logistics_type": 5})),
        (
            "express_company",
            json!({"logistics_type": 1, "tracking_no": "1"}),
        ),
        (
            "tracking_no",
            json!({"logistics_type": 1, "express_company": "SF"}),
        ),
        (
            "express_company",
            json!({"logistics_type": 4, "express_company": "SF"}),
        ),
        (
            "express_company",
            json!({"logistics_type": 1, "express_company": "NOPE", "tracking_no": "1"}),
        ),
        (
            "all_delivered",
            json!({"logistics_type": 1, "parcels": parcels(2)}),
        ),
        (
            "all_delivered",
            json!({"logistics_type": 3, "all_delivered": true}),
        ),
        (
            "parcels",
            json!({"logistics_type": 1, "parcels": [], "all_delivered": true}),
        ),
        (
            "parcels",
            json!({"logistics_type": 1, "parcels": parcels(16), "all_delivered": true}),
        ),
        (
            "parcels",
            json!({"logistics_type": 2, "parcels": parcels(2), "all_delivered": true}),
        ),
        (
            "parcels",
            json!({"logistics_type": 1, "tracking_no": "1", "parcels": parcels(2), "all_delivered": true}),
        ),
        (
            "item_desc",
            json!({"logistics_type": 3, "item_desc": "长".repeat(121)}),
        ),
    ];
    for (field, body) in table {
        let reply = paid.ship(&body);
        assert!(
            reply.status == 400 && reply.text().contains(field),
            "{body}: {}",
            reply.text()
        );
    }
    assert_eq!(paid.order()["status"], "paid");
    let tea = paid.merchant().all_goods()[0]["id"].as_u64().unwrap();
    for kind in [2, 3, 4] {
        let order_no = pay(&paid.world, &paid.buyer, tea);
        let target = format!("/admin/v1/orders/{order_no}/ship");
        let body = json!({"logistics_type": kind});
        paid.merchant()
            .caller
            .call("POST", &target, &body)
            .expect(200);
        let reported =
            || paid.merchant().order(&order_no)["shipping_report"]["status"] == "reported";
        wait::until("it is reported", reported);
    }
}

#[test]
fn parcels_follow_one_another_and_a_complete_shipment_is_corrected_once() {
    let paid = Paid::start();
    let split = |number: &str, all: bool| {
        let parcel = json!({"express_company": "SF", "tracking_no": number});
        json!({"logistics_type": 1, "parcels": [parcel], "all_delivered": all})
    };
    paid.ship(&split("SF1", false)).expect(200);
    paid.reported_as("reported");
    paid.ship(&split("SF2", true)).expect(200);
    let order = paid.reported_as("reported");
    assert_eq!(order["shipments"].as_array().unwrap().len(), 2);
    // The same again changes nothing; another parcel is the one correction.
    paid.ship(&split("SF2", true)).expect(200);
    assert_eq!(paid.order()["shipments"], order["shipments"]);
    paid.world.wechat.advance(2);
    paid.ship(&courier("SF3")).expect(200);
    let order = paid.reported_as("reported");
    assert_eq!(order["shipments"].as_array().unwrap().len(), 1);
    paid.ship(&courier("SF4")).refuses(409, "ORDER_STATE");
}

#[test]
fn a_report_waits_until_wechat_knows_the_payment_and_survives_a_restart() {
    let mut paid = Paid::start();
    let late = json!({"known_after_s": 100});
    paid.world
        .wechat
        .call("PUT", "/sandbox/shipping", &late)
        .expect(200);
    paid.ship(&courier("SF1")).expect(200);
    let waits = || paid.order()["shipping_report"]["problem"].is_string();
    wait::until("WeChat does not know the payment yet", waits);
    let order = paid.order();
    assert_eq!(
        (&order["status"], &order["shipping_report"]["status"]),
        (&json!("shipped"), &json!("queued"))
    );
    paid.world.kill();
    paid.world.wechat.advance(200);
    paid.world.serve();
    paid.reported_as("reported");
}

#[test]
fn without_shipping_management_shipping_does_not_fail() {
    let paid = Paid::start();
    let off = json!({"is_trade_managed": false});
    paid.world
        .wechat
        .call("PUT", "/sandbox/shipping", &off)
        .expect(200);
    paid.ship(&courier("SF1")).expect(200);
    let order = paid.reported_as("not_managed");
    assert_eq!(
        (&order["status"], &order["settlement"]),
        (&json!("shipped"), &Value::Null)
    );
}

#[test]
fn receipt_in_wechat_completes_the_order_and_settles_its_money() {
    for (mode, format) in [
        ("plain", "xml"),
        ("plain", "json"),
        ("secure", "xml"),
        ("secure", "json"),
    ] {
        let paid = Paid::start();
        paid.listens(mode, format);
        paid.ship(&courier("SF1")).expect(200);
        let estimated = || paid.order()["settlement"]["estimated_at"].is_string();
        wait::until("WeChat tells until when the money is frozen", estimated);
        assert_eq!(paid.order()["settlement"]["frozen_fen"], 100);
        let receipt = json!({"out_trade_no": paid.order_no});
        paid.world
            .wechat
            .call("POST", "/sandbox/receipts", &receipt)
            .expect(200);
        let completed = || paid.order()["status"] == "completed";
        wait::until(&format!("{mode} {format}: completed"), completed);
        let order = paid.order();
        assert_eq!(order["settlement"]["frozen_fen"], 0, "{order}");
        assert!(order["settlement"]["settled_at"].is_string());
    }
}

#[test]
fn a_shipped_order_completes_by_itself_when_nobody_confirms_it() {
    let paid = Paid::start();
    paid.ship(&courier("SF1")).expect(200);
    paid.reported_as("reported");
    paid.world.wechat.advance(10 * 86_400 + 5);
    wait::until("completed", || paid.order()["status"] == "completed");
    assert_eq!(paid.buyer.see(&paid.order_no)["status"], "completed");
}

#[test]
fn a_push_that_is_not_wechats_changes_nothing() {
    let paid = Paid::start();
    paid.ship(&courier("SF1")).expect(200);
    paid.reported_as("reported");
    let before = paid.world.everything();
    let url = format!("{}/wx/message", paid.world.notifies.url());
    let forgeries = [
        ("plain", &["signature", "token", "stale"][..]),
        (
            "secure",
            &[
                "signature",
                "token",
                "stale",
                "body",
                "appid",
                "padding",
                "length",
            ],
        ),
    ];
    for (mode, kinds) in forgeries {
        for (kind, format) in kinds
            .iter()
            .flat_map(|kind| [(kind, "xml"), (kind, "json")])
        {
            let push = json!({
                "event": "trade_manage_order_settlement", "out_trade_no": paid.order_no,
                "fields": {"settlement_time": 1_767_225_600}, "url": url,
                "mode": mode, "format": format, "forged": kind,
            });
            let sent = paid
                .world
                .wechat
                .call("POST", "/sandbox/messages", &push)
                .expect(200);
            assert_eq!(
                (&sent["status"], &sent["accepted"]),
                (&json!(403), &json!(false)),
                "{push}"
            );
        }
    }
    let mut client = paid.world.anyone();
    for target in [
        "/wx/message",
        "/wx/message?signature=&timestamp=&nonce=&echostr=1",
    ] {
        for method in ["GET", "POST"] {
            let reply = client.send(method, target, &[], b"").unwrap();
            reply.refuses(403, "FORBIDDEN");
        }
    }
    assert_eq!(paid.world.everything(), before);
}

#[test]
fn a_reminder_is_told_in_the_orders_timeline() {
    let paid = Paid::start();
    paid.listens("secure", "xml");
    let push = json!({"event": "trade_manage_remind_shipping", "out_trade_no": paid.order_no});
    let sent = paid
        .world
        .wechat
        .call("POST", "/sandbox/messages", &push)
        .expect(200);
    assert_eq!(sent["accepted"], true, "{sent}");
    assert!(paid.tells("shipping.reminded"));
}

#[test]
fn a_phone_is_told_once_and_found_again() {
    let world = World::with(|setup| setup.may_be_refused = true);
    let buyer = world.buyer();
    let body = json!({"openid": buyer.openid, "phone": "13812345678"});
    let made = world
        .wechat
        .call("POST", "/sandbox/phone-codes", &body)
        .expect(200);
    let tell = || buyer.caller.call("POST", "/api/v1/user/phone", &made);
    assert_eq!(tell().expect(200), json!({"phone": "13812345678"}));
    tell().refuses(400, "CODE_INVALID");
    let user = buyer.caller.get("/api/v1/user").expect(200);
    assert_eq!(user["phone"], "13812345678");
    let plan = json!({"path": "/wxa/business/getuserphonenumber", "errcode": -1, "times": 2});
    world
        .wechat
        .call("PUT", "/sandbox/errcodes", &plan)
        .expect(200);
    tell().refuses(502, "WECHAT_UNAVAILABLE");
    assert!(
        !world.log().contains("13812345678"),
        "the log tells a phone"
    );
}

#[test]
fn the_couriers_are_listed_and_a_code_is_drawn() {
    let world = World::start();
    let merchant = world.merchant();
    let listed = merchant
        .caller
        .get("/admin/v1/express-companies")
        .expect(200);
    let companies = listed["companies"].as_array().unwrap();
    assert!(
        companies.iter().any(|company| company["id"] == "SF"),
        "{listed}"
    );
    let drawn = merchant
        .caller
        .get("/admin/v1/wxacode?scene=goods%3D1&page=");
    assert_eq!(drawn.status, 200, "{}", drawn.text());
    let kind = drawn.message.header("content-type");
    assert!(
        kind.is_some_and(|kind| kind.starts_with("image/")),
        "{kind:?}"
    );
    for query in ["", "?scene=", "?scene=a%25", "?scene=a&page=%2Fpages"] {
        let target = format!("/admin/v1/wxacode{query}");
        merchant.caller.get(&target).refuses(400, "INVALID_REQUEST");
    }
}

#[test]
fn a_buyer_who_accepted_is_told_of_payment_and_shipping() {
    let world = World::with(|setup| {
        setup.one_clock = true;
        let list = |words: &[&str]| {
            words
                .iter()
                .map(|w| toml::Value::from(*w))
                .collect::<Vec<_>>()
        };
        setup
            .more
            .push(("wechat.messages.paid_template", "TPAID".into()));
        let paid = ["thing1=title", "amount2=total", "time3=paid_at"];
        setup
            .more
            .push(("wechat.messages.paid_fields", list(&paid).into()));
        setup
            .more
            .push(("wechat.messages.shipped_template", "TSHIPPED".into()));
        let shipped = ["thing1=company", "character_string2=tracking_no"];
        setup
            .more
            .push(("wechat.messages.shipped_fields", list(&shipped).into()));
    });
    let template = |id: &str, keys: &[&str]| {
        let body = json!({"template_id": id, "keys": keys});
        world
            .wechat
            .call("POST", "/sandbox/templates", &body)
            .expect(200);
    };
    template("TPAID", &["thing1", "amount2", "time3"]);
    template("TSHIPPED", &["thing1", "character_string2"]);
    let tea = world.merchant().sells("龙井", 100, 5);
    let buyer = world.buyer();
    for id in ["TPAID", "TSHIPPED"] {
        let body = json!({"openid": buyer.openid, "template_id": id});
        world
            .wechat
            .call("POST", "/sandbox/subscriptions", &body)
            .expect(200);
    }
    let order_no = pay(&world, &buyer, tea);
    let paid = Paid {
        world,
        buyer,
        order_no,
    };
    wait::until("the payment is told", || paid.tells("message.sent"));
    paid.ship(&courier("SF1")).expect(200);
    let inbox = || {
        let inbox = paid
            .world
            .wechat
            .call("GET", "/sandbox/inbox", &Value::Null)
            .expect(200);
        inbox.to_string()
    };
    wait::until("the shipping is told", || inbox().contains("SF1"));
    let inbox = inbox();
    assert!(inbox.contains("龙井") && inbox.contains("顺丰"), "{inbox}");
    // A second order: what was accepted once is used up, and the order does not mind.
    let second = pay(&paid.world, &paid.buyer, tea);
    let second = Paid {
        order_no: second,
        ..paid
    };
    wait::until("it is dropped", || second.tells("message.dropped"));
    assert_eq!(second.order()["status"], "paid");
}
