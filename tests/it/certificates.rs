//! Platform certificates in the real binary: a whole purchase, through a rotation, a switch to the
//! public key, and while WeChat's list of certificates is away.

use serde_json::{Value, json};

use crate::notify::{acknowledges, held};
use crate::people::{Buyer, login};
use crate::wait::until;
use crate::world::World;

/// A shop that knows no public key, whose WeChat signs with certificates.
pub(crate) fn certified() -> World {
    let mut world = World::with(|setup| {
        setup.one_clock = true;
        setup.may_be_refused = true;
        setup.more = vec![
            ("wechat.pay.verify_with", "certificate".into()),
            ("wechat.pay.wechat_public_key_id", "".into()),
            ("wechat.pay.wechat_public_key_file", "".into()),
        ];
    });
    change(&world, &json!({"mode": "certificate"}));
    world.restart();
    world
}

fn change(world: &World, change: &Value) -> Value {
    let reply = world.wechat.call("PUT", "/sandbox/certificates", change);
    reply.expect(200)
}

/// Buys one piece and asserts that the notify was acknowledged and the order is paid.
fn buys(world: &World, buyer: &Buyer, goods: u64) {
    let order_no = buyer.order(goods, 1);
    let fields = buyer.pay(&order_no);
    let paid = world.wechat.pays(&fields);
    assert_eq!(paid["notify_status"], 204, "{paid}");
    assert_eq!(buyer.see(&order_no)["status"], "paid");
}

#[test]
fn a_shop_with_certificates_sells_before_during_and_after_a_rotation() {
    let mut world = certified();
    let goods = world.merchant().sells("茶", 100, 100);
    let buyer = world.buyer();
    buys(&world, &buyer, goods);
    change(&world, &json!({"announce": true}));
    buys(&world, &buyer, goods);
    // The next hourly download is not awaited: an unknown serial asks for the list at once.
    world.wechat.advance(61);
    change(&world, &json!({"rotate": true}));
    buys(&world, &buyer, goods);
    change(&world, &json!({"retire": true}));
    buys(&world, &buyer, goods);
    // Without a notice, and the old one leaves at once: what we name is refused, then asked anew.
    world.wechat.advance(61);
    change(&world, &json!({"rotate": true, "retire": true}));
    buys(&world, &buyer, goods);
    // What was learned is kept: the list may be away at a start.
    world.stop();
    world.serve();
    change(&world, &json!({"answer": "error"}));
    world.restart();
    buys(&world, &world.buyer(), goods);
}

#[test]
fn a_shop_starts_while_the_list_is_away_and_sells_when_it_is_back() {
    let mut world = certified();
    change(
        &world,
        &json!({"rotate": true, "retire": true, "answer": "error"}),
    );
    world.restart();
    let goods = world.merchant().sells("茶", 100, 100);
    let buyer = world.buyer();
    let order_no = buyer.order(goods, 1);
    buyer.try_pay(&order_no).refuses(502, "WECHAT_UNAVAILABLE");
    change(&world, &json!({"answer": "normal"}));
    world.wechat.advance(61);
    until("the certificates are there", || {
        buyer.try_pay(&order_no).status == 200
    });
    let fields = buyer.pay(&order_no);
    assert_eq!(world.wechat.pays(&fields)["notify_status"], 204);
}

#[test]
fn a_merchant_that_switches_believes_either_key() {
    let world = {
        let mut world = World::with(|setup| {
            setup.one_clock = true;
            setup.more = vec![("wechat.pay.verify_with", "both".into())];
        });
        change(&world, &json!({"mode": "both"}));
        world.restart();
        world
    };
    let goods = world.merchant().sells("茶", 100, 100);
    let buyer = world.buyer();
    for percent in [0, 100] {
        change(&world, &json!({"public_key_percent": percent}));
        buys(&world, &buyer, goods);
    }
    let (code, _) = world.wechat.login_code(None);
    assert_eq!(login(&world.place, &code).status, 200);
}

#[test]
fn a_merchant_without_certificates_is_told_to_use_the_public_key() {
    let world = certified();
    change(&world, &json!({"mode": "public_key"}));
    let said = world.command(&["check"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("wechat_public_key_id"), "{}", said.out);
}

#[test]
fn a_notify_from_before_a_rotation_still_verifies_and_calls_name_the_new_certificate() {
    let world = certified();
    let goods = world.merchant().sells("茶", 100, 100);
    let buyer = world.buyer();
    let order_no = buyer.order(goods, 1);
    let late = held(&world, &buyer, &order_no);
    world.wechat.advance(61);
    let signing = change(&world, &json!({"rotate": true}))["signing"].clone();
    buys(&world, &buyer, goods);
    let reply = world.deliver(&late);
    assert!(acknowledges(&reply), "{}", reply.text());
    assert_eq!(buyer.see(&order_no)["status"], "paid");
    let path = format!("/admin/v1/orders/{order_no}/refunds");
    let body = json!({"amount_fen": 100, "reason": "不想要了"});
    let refund = world.merchant().caller.call("POST", &path, &body);
    assert_eq!(refund.expect(201)["last_error"], Value::Null);
    let asked = world.upstream.passed("/v3/refund").pop().unwrap().request;
    assert_eq!(json!(asked.header("wechatpay-serial")), signing);
}

#[test]
fn a_card_is_sealed_for_the_certificate_that_is_named() {
    let world = certified();
    let goods = world.merchant().sells("茶", 100, 100);
    let buyer = world.buyer();
    let order_no = buyer.order(goods, 1);
    world.wechat.pays(&buyer.pay(&order_no));
    let path = format!("/admin/v1/orders/{order_no}/refunds");
    let body = json!({"amount_fen": 100, "reason": "不想要了"});
    let merchant = world.merchant();
    let made = merchant.caller.call("POST", &path, &body).expect(201);
    let number = made["refund_no"].as_str().unwrap();
    let finish = format!("/sandbox/refunds/{number}/finish");
    let abnormal = json!({"status": "ABNORMAL"});
    world.wechat.call("POST", &finish, &abnormal).expect(200);
    let card = json!({"to": "user_bank_card", "bank_type": "ICBC_DEBIT",
        "bank_account": "6222021234567890123", "real_name": "张三"});
    let retry = format!("{path}/{number}/retry");
    let told = merchant.caller.call("POST", &retry, &card).expect(200);
    assert_eq!(told["status"], "processing", "{told}");
}

#[test]
fn signature_probes_are_refused_without_an_alarm() {
    let world = certified();
    let goods = world.merchant().sells("茶", 100, 100);
    let buyer = world.buyer();
    let order_no = buyer.order(goods, 1);
    // Until the list is there, what went wrong at the start is told aloud.
    buyer.pay(&order_no);
    let alarms = || world.log().matches("alarm=true").count();
    let before = alarms();
    let answer = json!({"upstream": "probe", "times": 1, "path": "prepay"});
    world.wechat.faults(&answer);
    let fields = buyer.pay(&order_no);
    world.wechat.faults(&json!({"notify": "probe", "times": 1}));
    let paid = world.wechat.pays(&fields);
    let status = paid["notify_status"].as_u64().unwrap_or_default();
    assert!(!(200..300).contains(&status), "{paid}");
    assert_eq!(buyer.see(&order_no)["status"], "pending");
    assert_eq!(alarms(), before, "{}", world.log());
    let order = buyer.act(&order_no, "sync").expect(200);
    assert_eq!(order["status"], "paid");
}
