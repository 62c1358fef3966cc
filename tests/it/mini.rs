//! Pushes, phones, messages and codes: the server with the simulator beside it.

use serde_json::{Value, json};

use crate::fulfil::{Paid, courier, pay};
use crate::wait;
use crate::world::World;

/// The console's page for message push, which checks our address first.
fn listens(paid: &Paid, mode: &str, format: &str) {
    let url = format!("{}/wx/message", paid.world.notifies.url());
    let body = json!({"url": url, "mode": mode, "format": format});
    let saved = paid
        .world
        .wechat
        .call("PUT", "/sandbox/message-push", &body);
    saved.expect(200);
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
        listens(&paid, mode, format);
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
    listens(&paid, "secure", "xml");
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
        setup.may_be_refused = true;
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
