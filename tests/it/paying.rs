//! Asking for a payment: repeats, lost answers, WeChat's bad days.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use zhanggui::base::xml::Fields;

use crate::people::{Buyer, prepay_id};
use crate::tap::{Fate, Passed};
use crate::world::World;

const V3_PREPAY: &str = "/v3/pay/transactions/jsapi";
const V2_PREPAY: &str = "/pay/unifiedorder";

fn with_order(version: &'static str) -> (World, Buyer, String) {
    let world = World::with(|setup| setup.version = version);
    let tea = world.merchant().sells("龙井", 12_800, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 1);
    (world, buyer, order_no)
}

fn prepays(world: &World) -> Vec<Passed> {
    let passed = [
        world.upstream.passed(V2_PREPAY),
        world.upstream.passed(V3_PREPAY),
    ];
    passed.concat()
}

/// What must be the same in every repeat of one attempt's prepay.
fn lasting(passed: &Passed) -> String {
    if passed.target().starts_with(V3_PREPAY) {
        return passed.request.text();
    }
    let mut fields = Fields::parse(&passed.request.body, "xml").unwrap();
    fields.remove("sign");
    fields.remove("nonce_str");
    fields.to_xml()
}

#[test]
fn paying_again_reuses_the_prepay_id_with_a_fresh_signature() {
    for version in ["v2", "v3"] {
        let (world, buyer, order_no) = with_order(version);
        let (first, second) = (buyer.pay(&order_no), buyer.pay(&order_no));
        assert_eq!(first["package"], second["package"], "{version}");
        assert_ne!(first["nonceStr"], second["nonceStr"], "{version}");
        assert_ne!(first["paySign"], second["paySign"], "{version}");
        world.wechat.verifies(&first);
        world.wechat.verifies(&second);
        assert_eq!(prepays(&world).len(), 1, "{version}");
    }
}

#[test]
fn paying_at_once_from_two_phones_gives_one_attempt() {
    let (world, buyer, order_no) = with_order("v3");
    let again = world.wechat.login_code(Some(&buyer.openid));
    let other = Buyer::login(&world.place, &again.0, &again.1);
    let packages: BTreeSet<String> = std::thread::scope(|scope| {
        let phones = [&buyer, &other].map(|phone| scope.spawn(|| prepay_id(&phone.pay(&order_no))));
        phones
            .into_iter()
            .map(|phone| phone.join().unwrap())
            .collect()
    });
    let bodies: BTreeSet<String> = prepays(&world).iter().map(lasting).collect();
    assert_eq!(bodies.len(), 1, "one attempt, one body");
    let payments = world.merchant().order(&order_no)["payments"].clone();
    assert_eq!(
        payments.as_array().unwrap().len(),
        1,
        "{packages:?} {payments}"
    );
}

#[test]
fn a_lost_prepay_answer_is_asked_for_again_with_the_same_body() {
    for version in ["v2", "v3"] {
        let (world, buyer, order_no) = with_order(version);
        world.upstream.next(Fate::AnswerLost, 1);
        let first = buyer.try_pay(&order_no);
        if first.status != 200 {
            first.refuses(502, "WECHAT_UNAVAILABLE");
        }
        let fields = buyer.pay(&order_no);
        world.wechat.verifies(&fields);
        let sent = prepays(&world);
        assert!(sent.len() >= 2, "{version}: {} prepays", sent.len());
        let bodies: BTreeSet<String> = sent.iter().map(lasting).collect();
        assert_eq!(bodies.len(), 1, "{version}: {bodies:#?}");
        world.wechat.pays(&fields);
        assert_eq!(buyer.see(&order_no)["status"], "paid");
    }
}

#[test]
fn an_upstream_fault_is_502_and_the_same_number_succeeds_later() {
    for version in ["v2", "v3"] {
        for fault in ["http_500", "system_error", "bad_sign"] {
            survives(version, fault);
        }
    }
}

#[test]
fn an_upstream_that_never_answers_is_502_and_the_same_number_succeeds_later() {
    survives("v3", "timeout");
}

fn survives(version: &'static str, fault: &str) {
    let (world, buyer, order_no) = with_order(version);
    let stock = world.merchant().all_goods();
    world
        .wechat
        .faults(&json!({ "notify": "normal", "upstream": fault }));
    buyer.try_pay(&order_no).refuses(502, "WECHAT_UNAVAILABLE");
    assert_eq!(
        buyer.see(&order_no)["status"],
        "pending",
        "{version} {fault}"
    );
    assert_eq!(world.merchant().all_goods(), stock);
    world
        .wechat
        .faults(&json!({ "notify": "normal", "upstream": "normal" }));
    let fields = buyer.pay(&order_no);
    let bodies: BTreeSet<String> = prepays(&world).iter().map(lasting).collect();
    assert_eq!(bodies.len(), 1, "{version} {fault}: {bodies:#?}");
    assert!(bodies.iter().all(|body| body.contains(&order_no)));
    world.wechat.pays(&fields);
    assert_eq!(buyer.see(&order_no)["status"], "paid", "{version} {fault}");
}

#[test]
fn an_attempt_survives_a_restart_with_its_body() {
    let (mut world, buyer, order_no) = with_order("v3");
    world.upstream.next(Fate::AnswerLost, 1);
    let _ = buyer.try_pay(&order_no);
    world.restart();
    let fields = buyer.pay(&order_no);
    let bodies: BTreeSet<String> = prepays(&world).iter().map(lasting).collect();
    assert_eq!(bodies.len(), 1, "{bodies:#?}");
    world.restart();
    assert_eq!(buyer.pay(&order_no)["package"], fields["package"]);
    world.wechat.pays(&fields);
    assert_eq!(buyer.see(&order_no)["status"], "paid");
}

#[test]
fn what_the_simulator_is_asked_for_is_the_orders_money() {
    let (world, buyer, order_no) = with_order("v3");
    buyer.pay(&order_no);
    let sent: Value = serde_json::from_slice(&prepays(&world)[0].request.body).unwrap();
    assert_eq!(sent["amount"]["total"], 12_800);
    assert_eq!(sent["amount"]["currency"], "CNY");
    assert_eq!(sent["out_trade_no"], order_no.as_str());
    assert_eq!(sent["payer"]["openid"], buyer.openid.as_str());
    let notify_url = sent["notify_url"].as_str().unwrap();
    assert_eq!(
        notify_url,
        format!("{}/wx/pay/notify", world.notifies.url())
    );
}

#[test]
fn a_closed_order_cannot_be_paid() {
    let (world, buyer, order_no) = with_order("v3");
    assert_eq!(
        buyer.act(&order_no, "cancel").expect(200)["status"],
        "closed"
    );
    buyer.try_pay(&order_no).refuses(409, "ORDER_CLOSED");
    assert_eq!(prepays(&world).len(), 0);
}
