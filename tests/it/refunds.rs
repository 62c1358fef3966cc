//! Refunds in the real binary, against the simulator, in both protocols.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::Reply;
use crate::people::Buyer;
use crate::tap::Fate;
use crate::wait::within;
use crate::world::World;

/// A paid order of four pieces at 100 fen.
fn paid(version: &'static str) -> (World, Buyer, u64, String) {
    let world = World::with(|setup| {
        setup.version = version;
        setup.may_be_refused = true;
    });
    let tea = world.merchant().sells("茶", 100, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 4);
    world.wechat.pays(&buyer.pay(&order_no));
    assert_eq!(buyer.see(&order_no)["status"], "paid");
    (world, buyer, tea, order_no)
}

fn refund(world: &World, order_no: &str, body: &Value) -> Reply {
    let path = format!("/admin/v1/orders/{order_no}/refunds");
    world.merchant().caller.call("POST", &path, body)
}

fn finish(world: &World, refund_no: &Value, status: &str) -> Value {
    let path = format!("/sandbox/refunds/{}/finish", refund_no.as_str().unwrap());
    let reply = world
        .wechat
        .call("POST", &path, &json!({ "status": status }));
    reply.expect(200)
}

#[test]
fn a_whole_refund_returns_the_money_and_the_stock() {
    for version in ["v2", "v3"] {
        let (world, buyer, tea, order_no) = paid(version);
        let body = json!({ "amount_fen": 400, "reason": "不想要了" });
        let made = refund(&world, &order_no, &body).expect(201);
        assert_eq!(
            (&made["status"], &made["kind"]),
            (&json!("processing"), &json!("merchant"))
        );
        assert_eq!(made["last_error"], Value::Null, "{version}: {made}");
        let ended = finish(&world, &made["refund_no"], "SUCCESS");
        let accepted = ended["notify_status"].as_u64().unwrap_or_default();
        assert!((200..300).contains(&accepted), "{version}: {ended}");
        let order = buyer.see(&order_no);
        assert_eq!(
            (&order["status"], &order["refunded_fen"]),
            (&json!("refunded"), &json!(400))
        );
        assert_eq!(order["refunds"][0]["refund_no"], made["refund_no"]);
        assert_eq!(order["refunds"][0]["status"], "success");
        assert_eq!(world.merchant().stock(tea), 10);
        refund(
            &world,
            &order_no,
            &json!({ "amount_fen": 1, "reason": "a" }),
        )
        .refuses(409, "REFUND_EXCEEDS");
    }
}

#[test]
fn a_refund_whose_notify_is_lost_is_settled_by_sync() {
    for version in ["v2", "v3"] {
        let (world, buyer, _, order_no) = paid(version);
        let body = json!({ "amount_fen": 150, "reason": "少发一件" });
        let made = refund(&world, &order_no, &body).expect(201);
        let path = format!(
            "/sandbox/refunds/{}/finish",
            made["refund_no"].as_str().unwrap()
        );
        let silent = json!({ "status": "SUCCESS", "notify": "none" });
        world.wechat.call("POST", &path, &silent).expect(200);
        assert_eq!(buyer.see(&order_no)["refunded_fen"], 0);
        let order = buyer.act(&order_no, "sync").expect(200);
        assert_eq!(
            (&order["status"], &order["refunded_fen"]),
            (&json!("paid"), &json!(150))
        );
    }
}

#[test]
fn a_refund_whose_answer_is_lost_is_made_once_also_after_a_kill() {
    let (mut world, _, _, order_no) = paid("v3");
    world.upstream.next(Fate::AnswerLost, 3);
    let body = json!({ "amount_fen": 400, "reason": "不想要了" });
    let made = refund(&world, &order_no, &body).expect(201);
    assert_eq!(made["status"], "processing");
    assert!(made["last_error"]["code"].is_string(), "{made}");
    world.kill();
    world.serve();
    world.upstream.calm();
    let path = format!(
        "/admin/v1/orders/{order_no}/refunds/{}/retry",
        made["refund_no"].as_str().unwrap()
    );
    let again = world.merchant().caller.post(&path).expect(200);
    assert_eq!(again["refund_no"], made["refund_no"]);
    assert_eq!(again["last_error"], Value::Null, "{again}");
    let there = world.wechat.call("GET", "/sandbox/refunds", &Value::Null);
    assert_eq!(there.expect(200)["refunds"].as_array().unwrap().len(), 1);
    finish(&world, &made["refund_no"], "SUCCESS");
    within(Duration::from_secs(10), "the money is back", || {
        world.merchant().order(&order_no)["status"] == "refunded"
    });
}

#[test]
fn an_abnormal_v3_refund_goes_to_a_card_and_a_v2_one_by_hand() {
    for version in ["v2", "v3"] {
        let (world, buyer, _, order_no) = paid(version);
        let body = json!({ "amount_fen": 400, "reason": "不想要了" });
        let made = refund(&world, &order_no, &body).expect(201);
        finish(&world, &made["refund_no"], "ABNORMAL");
        assert_eq!(buyer.see(&order_no)["refunds"][0]["status"], "abnormal");
        let path = format!(
            "/admin/v1/orders/{order_no}/refunds/{}/retry",
            made["refund_no"].as_str().unwrap()
        );
        let merchant = world.merchant();
        merchant.caller.post(&path).refuses(409, "REFUND_MANUAL");
        let card = json!({ "to": "user_bank_card", "bank_type": "ICBC_DEBIT",
            "bank_account": "6222021234567890123", "real_name": "张三" });
        let account = json!({ "to": "merchant_bank_card" });
        if version == "v2" {
            for to in [card, account] {
                let told = merchant.caller.call("POST", &path, &to);
                told.refuses(409, "REFUND_MANUAL");
            }
            continue;
        }
        for (to, received_by) in [(card, "用户银行卡"), (account, "商户结算银行账户")]
        {
            let told = merchant.caller.call("POST", &path, &to).expect(200);
            assert_eq!(told["refund_no"], made["refund_no"]);
            assert_eq!(told["status"], "processing");
            let asked = world.upstream.passed("/v3/refund/domestic/refunds/");
            let mut asked = asked.iter().rev();
            let taken = asked.find(|passed| passed.target().ends_with("apply-abnormal-refund"));
            let there = taken.unwrap().answer.as_ref().unwrap();
            let there = String::from_utf8_lossy(&there.body).into_owned();
            assert!(there.contains(received_by), "{there}");
            finish(&world, &made["refund_no"], "ABNORMAL");
        }
        let unknown = format!("/admin/v1/orders/{order_no}/refunds/R1/retry");
        merchant.caller.post(&unknown).refuses(404, "NOT_FOUND");
    }
}

#[test]
fn a_card_that_a_refund_goes_to_stands_in_no_log_and_no_timeline() {
    let (world, buyer, _, order_no) = paid("v3");
    let body = json!({ "amount_fen": 400, "reason": "不想要了" });
    let made = refund(&world, &order_no, &body).expect(201);
    finish(&world, &made["refund_no"], "ABNORMAL");
    let number = made["refund_no"].as_str().unwrap();
    let path = format!("/admin/v1/orders/{order_no}/refunds/{number}/retry");
    let (card, name) = ("6222021234567890123", "欧阳小明");
    let to = json!({
        "to": "user_bank_card", "bank_type": "ICBC_DEBIT", "bank_account": card, "real_name": name
    });
    let told = world.merchant().caller.call("POST", &path, &to).expect(200);
    assert_eq!(told["refund_no"], made["refund_no"]);
    finish(&world, &made["refund_no"], "SUCCESS");
    assert_eq!(buyer.see(&order_no)["status"], "refunded");
    let told = world.merchant().order(&order_no);
    let shown = world.command(&["order", "show", &order_no]).out;
    assert!(shown.contains("apply-abnormal-refund"), "{shown}");
    let openid = buyer.openid.clone();
    for text in [world.log(), told["events"].to_string(), shown] {
        for secret in [
            card,
            name,
            openid.as_str(),
            "session_key\":\"",
            "access_token=",
        ] {
            assert!(!text.contains(secret), "{secret} is told: {text}");
        }
    }
}

#[test]
fn a_refund_of_the_merchant_platform_is_seen_and_counted() {
    for version in ["v2", "v3"] {
        let (world, buyer, _, order_no) = paid(version);
        let by_hand = json!({ "out_trade_no": order_no, "amount_fen": 120 });
        let made = world.wechat.call("POST", "/sandbox/refunds", &by_hand);
        let made = made.expect(200);
        finish(&world, &made["out_refund_no"], "SUCCESS");
        let order = buyer.see(&order_no);
        assert_eq!(order["refunded_fen"], 120, "{version}: {order}");
        assert_eq!(order["refunds"][0]["kind"], "external");
        refund(
            &world,
            &order_no,
            &json!({ "amount_fen": 281, "reason": "a" }),
        )
        .refuses(409, "REFUND_EXCEEDS");
    }
}

#[test]
fn a_buyer_asks_and_the_merchant_declines_or_refunds() {
    let (world, buyer, _, order_no) = paid("v3");
    let wish = format!("/api/v1/orders/{order_no}/refund-request");
    let ask = |reason: &str| {
        buyer
            .caller
            .call("POST", &wish, &json!({ "reason": reason }))
    };
    let order = ask("尺寸不对").expect(200);
    assert_eq!(order["refund_request"]["status"], "open");
    ask("再问一次").refuses(409, "ORDER_STATE");
    let decline = format!("/admin/v1/orders/{order_no}/refund-request/decline");
    let merchant = world.merchant();
    let answer = json!({ "reason": "已拆封" });
    let order = merchant.caller.call("POST", &decline, &answer).expect(200);
    assert_eq!(order["refund_request"]["answer"], "已拆封");
    merchant
        .caller
        .call("POST", &decline, &answer)
        .refuses(409, "ORDER_STATE");
    ask("真的坏了").expect(200);
    refund(
        &world,
        &order_no,
        &json!({ "amount_fen": 10, "reason": "补偿" }),
    )
    .expect(201);
    assert_eq!(buyer.see(&order_no)["refund_request"]["status"], "approved");
}
