//! Payment notifications: told often is counted once; forged, altered, stale, foreign or
//! mismatched is never acknowledged and changes nothing.

use std::thread;

use serde_json::{Value, json};

use crate::notify::{self, Notify, V3, acknowledges, held, now, transaction};
use crate::people::Buyer;
use crate::world::World;

const TOTAL: u64 = 25_600;

/// A world of one protocol with one order that has a payment attempt.
fn with_attempt(version: &'static str) -> (World, Buyer, String) {
    let world = World::with(|setup| setup.version = version);
    let tea = world.merchant().sells("龙井", TOTAL / 2, 10);
    let buyer = world.buyer();
    let order_no = buyer.order(tea, 2);
    (world, buyer, order_no)
}

#[test]
fn a_payment_notified_three_times_is_counted_once() {
    for version in ["v2", "v3"] {
        let (world, buyer, order_no) = with_attempt(version);
        let notify = held(&world, &buyer, &order_no);
        for _ in 0..3 {
            let reply = world.deliver(&notify);
            assert!(acknowledges(&reply), "{version}: {}", reply.text());
        }
        assert_eq!(world.merchant().paid_events(&order_no), 1, "{version}");
        let payments = &world.merchant().order(&order_no)["payments"];
        assert_eq!(payments.as_array().unwrap().len(), 1, "{payments}");
        assert_eq!(payments[0]["counted"], true);
    }
}

#[test]
fn sixteen_notifications_at_once_are_counted_once() {
    for version in ["v2", "v3"] {
        let (world, buyer, order_no) = with_attempt(version);
        let notify = held(&world, &buyer, &order_no);
        let replies: Vec<_> = thread::scope(|scope| {
            let senders: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| world.deliver(&notify)))
                .collect();
            senders
                .into_iter()
                .map(|sender| sender.join().unwrap())
                .collect()
        });
        assert!(replies.iter().all(acknowledges), "{version}: {replies:?}");
        assert_eq!(world.merchant().paid_events(&order_no), 1, "{version}");
        assert_eq!(buyer.see(&order_no)["status"], "paid");
    }
}

#[test]
fn the_simulators_duplicate_is_counted_once() {
    let (world, buyer, order_no) = with_attempt("v3");
    world
        .wechat
        .faults(&json!({ "notify": "duplicate", "upstream": "normal", "times": 1 }));
    world.wechat.pays(&buyer.pay(&order_no));
    let twice = || world.notifies.passed("/wx/pay/notify").len() >= 2;
    crate::wait::until("the duplicate came", twice);
    assert_eq!(world.merchant().paid_events(&order_no), 1);
}

#[test]
fn faulty_notifications_of_the_simulator_are_not_acknowledged() {
    for version in ["v2", "v3"] {
        for fault in ["bad_sign", "wrong_amount", "wrong_appid"] {
            let (world, buyer, order_no) = with_attempt(version);
            let fields = buyer.pay(&order_no);
            let before = world.state();
            world
                .wechat
                .faults(&json!({ "notify": fault, "upstream": "normal", "times": 1 }));
            world.wechat.pays(&fields);
            let passed = &world.notifies.passed("/wx/pay/notify")[0];
            let message = passed.answer.clone().unwrap();
            let status = message.second().parse().unwrap();
            let reply = crate::http::Reply { status, message };
            assert!(!acknowledges(&reply), "{version} {fault}: {}", reply.text());
            assert_eq!(world.state(), before, "{version} {fault}");
        }
    }
}

#[test]
fn what_is_neither_protocol_is_not_answered_as_a_success_of_either() {
    let world = World::start();
    for body in ["", " ", "junk", "[]", "{}", "null", "&xml", "\u{0}"] {
        let message = Notify {
            headers: vec![],
            body: body.as_bytes().to_vec(),
        };
        let reply = world.deliver(&message);
        assert!(reply.status >= 400, "{body:?}: {}", reply.status);
        assert_eq!(reply.json()["code"], "FAIL", "{body:?}");
    }
    for body in ["<", " <xml>", "<xml></xml>", "<a/>"] {
        let message = Notify {
            headers: vec![],
            body: body.as_bytes().to_vec(),
        };
        let reply = world.deliver(&message);
        assert!(
            reply.text().contains("FAIL") && !acknowledges(&reply),
            "{body:?}"
        );
    }
}

#[test]
fn a_notification_from_a_clock_that_is_wrong_is_stale() {
    for advance_s in [-400, 400] {
        let (world, buyer, order_no) = with_attempt("v3");
        let fields = buyer.pay(&order_no);
        let before = world.state();
        world.wechat.advance(advance_s);
        world.wechat.pays(&fields);
        let passed = &world.notifies.passed("/wx/pay/notify")[0];
        let status = passed.answer.as_ref().unwrap().second();
        assert!(status.starts_with('4'), "{advance_s}: {status}");
        assert_eq!(world.state(), before, "{advance_s}");
    }
}

#[test]
fn a_v2_notification_that_is_not_genuine_changes_nothing() {
    let (world, buyer, order_no) = with_attempt("v2");
    let genuine = held(&world, &buyer, &order_no);
    let before = world.state();
    for (what, forged) in v2_forgeries(&world, &genuine) {
        let reply = world.deliver(&forged);
        assert!(!acknowledges(&reply), "{what}: {}", reply.text());
        assert_eq!(world.state(), before, "{what}");
    }
    assert!(acknowledges(&world.deliver(&genuine)));
    assert_eq!(world.merchant().paid_events(&order_no), 1);
}

fn v2_forgeries(world: &World, genuine: &Notify) -> Vec<(&'static str, Notify)> {
    let fields = notify::fields(genuine);
    let key = world.setting("wechat.pay", "v2_key").unwrap();
    let signed = |name: &str, value: &str| {
        notify::v2(&fields.clone().with(name, value), &key, "HMAC-SHA256")
    };
    let mut unsigned = fields.clone();
    unsigned.remove("sign");
    let text = |body: &str| Notify {
        body: body.as_bytes().to_vec(),
        ..genuine.clone()
    };
    let genuine_text = String::from_utf8(genuine.body.clone()).unwrap();
    vec![
        ("an altered amount", genuine.with_body("25600", "25601")),
        (
            "another key",
            notify::v2(&fields, "0123456789abcdef0123456789abcdef", "HMAC-SHA256"),
        ),
        ("an empty key", notify::v2(&fields, "", "HMAC-SHA256")),
        ("the other sign type", notify::v2(&fields, &key, "MD5")),
        ("no sign", text(&unsigned.to_xml())),
        (
            "an empty sign",
            text(&fields.clone().with("sign", "").to_xml()),
        ),
        ("a foreign appid", signed("appid", "wx0000000000000000")),
        ("a foreign merchant", signed("mch_id", "1230000109")),
        ("a smaller amount", signed("total_fee", "1")),
        ("a greater amount", signed("total_fee", "25601")),
        (
            "an amount that is no number",
            signed("total_fee", "25600.0"),
        ),
        ("a negative amount", signed("total_fee", "-25600")),
        ("another currency", signed("fee_type", "USD")),
        (
            "an unknown number",
            signed("out_trade_no", "20260101000000ABCDEFGHIJ"),
        ),
        (
            "a number that cannot be",
            signed("out_trade_no", "../../etc"),
        ),
        ("no number", signed("out_trade_no", "")),
        ("no transaction", signed("transaction_id", "")),
        ("nothing", text("")),
        ("no XML", text("<xml>nonsense")),
        ("another root", text(&genuine_text.replace("xml>", "abc>"))),
        (
            "a DOCTYPE",
            text(&format!("<!DOCTYPE xml [<!ENTITY a \"b\">]>{genuine_text}")),
        ),
        (
            "a field twice",
            text(&genuine_text.replacen("<xml>", "<xml><appid>a</appid>", 1)),
        ),
        ("JSON", text("{}")),
    ]
}

#[test]
fn a_v3_notification_that_is_not_genuine_changes_nothing() {
    let (world, buyer, order_no) = with_attempt("v3");
    buyer.pay(&order_no);
    let before = world.state();
    let paid = transaction(&world, &buyer, &order_no, TOTAL);
    let forgeries = [v3_envelopes(&world, &paid), v3_contents(&world, &paid)].concat();
    for (what, forged) in forgeries {
        let reply = world.deliver(&forged);
        assert!(
            (400..600).contains(&reply.status),
            "{what}: {}",
            reply.status
        );
        assert_eq!(reply.code(), "FAIL", "{what}: {}", reply.text());
        assert_eq!(world.state(), before, "{what}");
    }
    let reply = world.deliver(&V3::genuine(&world).notify(&paid));
    assert_eq!(reply.status, 204, "{}", reply.text());
    assert_eq!(world.merchant().paid_events(&order_no), 1);
}

fn v3_envelopes(world: &World, paid: &Value) -> Vec<(&'static str, Notify)> {
    let genuine = V3::genuine(world).notify(paid);
    let made = |change: &dyn Fn(&mut V3)| {
        let mut maker = V3::genuine(world);
        change(&mut maker);
        maker.notify(paid)
    };
    let stranger = zhanggui::base::rsa::PrivateKey::generate();
    let without = |name: &str| genuine.with_header(name, "");
    vec![
        ("an altered body", genuine.with_body("支付成功", "支付失败")),
        (
            "another's key",
            Notify {
                body: genuine.body.clone(),
                ..{
                    let mut maker = V3::genuine(world);
                    maker.private_key = stranger;
                    maker.notify(paid)
                }
            },
        ),
        (
            "an unknown serial",
            made(&|maker| maker.serial = "PUB_KEY_ID_0".repeat(3)),
        ),
        ("five minutes old", made(&|maker| maker.at = now() - 310)),
        ("five minutes ahead", made(&|maker| maker.at = now() + 310)),
        (
            "another time than signed",
            genuine.with_header("wechatpay-timestamp", "1"),
        ),
        (
            "a time that is none",
            genuine.with_header("wechatpay-timestamp", "now"),
        ),
        (
            "another nonce",
            genuine.with_header("wechatpay-nonce", "abc"),
        ),
        (
            "no base64",
            genuine.with_header("wechatpay-signature", "WECHATPAY/SIGNTEST/a-b_c="),
        ),
        ("no signature", without("wechatpay-signature")),
        ("no timestamp", without("wechatpay-timestamp")),
        ("no nonce", without("wechatpay-nonce")),
        ("no serial", without("wechatpay-serial")),
        (
            "another APIv3 key",
            made(&|maker| maker.key = "0".repeat(32)),
        ),
    ]
}

fn v3_contents(world: &World, paid: &Value) -> Vec<(&'static str, Notify)> {
    let with = |path: &str, value: Value| {
        let mut changed = paid.clone();
        *changed.pointer_mut(path).unwrap() = value;
        V3::genuine(world).notify(&changed)
    };
    vec![
        (
            "a foreign appid",
            with("/appid", json!("wx0000000000000000")),
        ),
        ("a foreign merchant", with("/mchid", json!("1230000109"))),
        ("a smaller amount", with("/amount/total", json!(1))),
        ("a greater amount", with("/amount/total", json!(TOTAL + 1))),
        (
            "a fractional amount",
            with("/amount/total", json!(25_600.5)),
        ),
        ("another currency", with("/amount/currency", json!("USD"))),
        (
            "an unknown number",
            with("/out_trade_no", json!("20260101000000ABCDEFGHIJ")),
        ),
        (
            "a number that cannot be",
            with("/out_trade_no", json!("../../etc")),
        ),
        ("not paid", with("/trade_state", json!("NOTPAY"))),
        ("no object", V3::genuine(world).notify(&json!([1]))),
    ]
}

#[test]
fn a_notification_in_the_other_protocol_changes_nothing() {
    let (world, buyer, order_no) = with_attempt("v3");
    buyer.pay(&order_no);
    let key = world.setting("wechat.pay", "v2_key").unwrap();
    let (v2_world, v2_buyer, v2_order) = with_attempt("v2");
    let v2_notify = held(&v2_world, &v2_buyer, &v2_order);
    let before = (world.state(), v2_world.state());
    let fields = notify::fields(&v2_notify).with("out_trade_no", order_no.as_str());
    let fields = fields.with("appid", world.setting("wechat", "appid").unwrap());
    for sign_type in ["MD5", "HMAC-SHA256"] {
        let reply = world.deliver(&notify::v2(&fields, &key, sign_type));
        assert!(!acknowledges(&reply), "{sign_type}: {}", reply.text());
    }
    let paid = transaction(&v2_world, &v2_buyer, &v2_order, TOTAL);
    let reply = v2_world.deliver(&V3::genuine(&v2_world).notify(&paid));
    assert!(!acknowledges(&reply), "{}", reply.text());
    assert_eq!((world.state(), v2_world.state()), before);
}
