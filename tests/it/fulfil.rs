//! Shipping: the server with the simulator beside it.

use serde_json::{Value, json};

use crate::people::{Buyer, Merchant};
use crate::wait;
use crate::world::World;

/// A world with one paid order of a buyer who gave an address.
pub(crate) struct Paid {
    pub(crate) world: World,
    pub(crate) buyer: Buyer,
    pub(crate) order_no: String,
}

impl Paid {
    pub(crate) fn start() -> Self {
        Self::of(World::with(|setup| setup.one_clock = true))
    }

    pub(crate) fn of(world: World) -> Self {
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

    pub(crate) fn order(&self) -> Value {
        self.merchant().order(&self.order_no)
    }

    #[track_caller]
    pub(crate) fn ship(&self, body: &Value) -> crate::http::Reply {
        let target = format!("/admin/v1/orders/{}/ship", self.order_no);
        self.merchant().caller.call("POST", &target, body)
    }

    #[track_caller]
    pub(crate) fn reported_as(&self, status: &str) -> Value {
        let reported = || self.order()["shipping_report"]["status"] == status;
        wait::until(&format!("the report is {status}"), reported);
        self.order()
    }

    /// Whether the timeline tells something of this kind.
    pub(crate) fn tells(&self, kind: &str) -> bool {
        let order = self.order();
        let events = order["events"].as_array().unwrap();
        events.iter().any(|event| event["kind"] == kind)
    }
}

pub(crate) fn pay(world: &World, buyer: &Buyer, goods: u64) -> String {
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

pub(crate) fn courier(number: &str) -> Value {
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
            json!({"logistics_type": 1, "tracking_no": "1", "parcels": parcels(2),
                "all_delivered": true}),
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
    let mut paid = Paid::of(World::with(|setup| {
        setup.one_clock = true;
        setup.may_be_refused = true;
    }));
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
fn a_shipped_order_completes_by_itself_when_nobody_confirms_it() {
    let paid = Paid::start();
    paid.ship(&courier("SF1")).expect(200);
    paid.reported_as("reported");
    paid.world.wechat.advance(10 * 86_400 + 5);
    wait::until("completed", || paid.order()["status"] == "completed");
}
