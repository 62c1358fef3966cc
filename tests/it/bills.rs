//! The morning after: yesterday's bill of the simulator against our orders, in both protocols.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::wait::until;
use crate::world::World;

/// From noon to five past ten the next morning.
const MORNING: i64 = 22 * 3600 + 300;
const BOTH: [&str; 2] = ["v2", "v3"];
const CERTIFICATE: [(&str, &str); 2] = [
    ("wechat.pay.v2_client_cert_file", "localhost.pem"),
    ("wechat.pay.v2_client_key_file", "localhost_key.pem"),
];

/// A shop at noon, whose orders may be paid for days.
fn at_noon(version: &'static str) -> World {
    let world = World::with(|setup| {
        setup.version = version;
        setup.one_clock = true;
        setup.may_be_refused = true;
        setup.pay_within_s = 604_800;
        for (key, file) in CERTIFICATE {
            let path = format!("{}/tests/golden/tls/{file}", env!("CARGO_MANIFEST_DIR"));
            setup.more.push((key, path.into()));
        }
    });
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let of_day = i64::try_from(unix.as_secs())
        .unwrap()
        .wrapping_add(8 * 3600)
        % 86_400;
    world.wechat.advance((86_400 + 43_200 - of_day) % 86_400);
    world
}

/// Orders at 100 fen, paid at WeChat: their numbers, and the day.
fn paid(world: &World, count: usize) -> (Vec<String>, String) {
    let (merchant, buyer) = (world.merchant(), world.buyer());
    let tea = merchant.sells("茶", 100, 10);
    let pay = |_| {
        let order_no = buyer.order(tea, 1);
        world.wechat.pays(&buyer.pay(&order_no));
        order_no
    };
    let orders: Vec<String> = (0..count).map(pay).collect();
    let first = merchant.order(&orders[0]);
    let day = first["created_at"].as_str().unwrap()[..10].to_owned();
    (orders, day)
}

fn days(world: &World) -> Vec<Value> {
    let target = "/admin/v1/reconciliations";
    let all = world.merchant().caller.get(target).expect(200);
    all["reconciliations"].as_array().unwrap().clone()
}

fn told(world: &World, day: &str) -> Value {
    let of_day = |told: &Value| told["date"] == day;
    days(world).into_iter().find(of_day).unwrap_or(Value::Null)
}

#[track_caller]
fn compared(world: &World, day: &str, status: &str) -> Value {
    until(status, || told(world, day)["status"] == status);
    told(world, day)
}

fn compare(world: &World, day: &str) -> crate::http::Reply {
    let body = json!({ "date": day });
    let caller = world.merchant().caller;
    caller.call("POST", "/admin/v1/reconciliations", &body)
}

fn settle(world: &World, (day, number): (&str, &str), remedy: &str) -> crate::http::Reply {
    let path = format!("/admin/v1/reconciliations/{day}/rows/{number}");
    let body = json!({ "do": remedy });
    world.merchant().caller.call("POST", &path, &body)
}

fn numbers(told: &Value, class: &str) -> Vec<String> {
    let rows = told[class].as_array().unwrap().iter();
    let number = |row: &Value| row["out_trade_no"].as_str().unwrap().to_owned();
    let mut numbers: Vec<String> = rows.map(number).collect();
    numbers.sort();
    numbers
}

#[test]
fn a_payment_of_which_nobody_told_is_found_by_the_bill_and_healed() {
    for version in BOTH {
        let world = at_noon(version);
        let silent = json!({ "notify": "drop", "upstream": "http_500", "path": "query" });
        world.wechat.faults(&silent);
        let (orders, day) = paid(&world, 1);
        world.wechat.advance(MORNING);
        let failed = compared(&world, &day, "failed");
        assert_eq!(failed["missing_local"][0]["settled"], Value::Null);
        assert_eq!(world.merchant().order(&orders[0])["status"], "pending");
        world.wechat.faults(&json!({ "notify": "drop" }));
        let done = compare(&world, &day).expect(201);
        let row = &done["missing_local"][0];
        assert_eq!(row["settled"]["do"], "healed", "{version}: {done}");
        assert_eq!(done["counts"]["open"], 0);
        assert_eq!(world.merchant().order(&orders[0])["status"], "paid");
        assert_eq!(world.merchant().paid_events(&orders[0]), 1);
        assert_eq!(compare(&world, &day).expect(201)["matched"], 1);
    }
}

#[test]
fn our_refunds_match_and_one_of_the_merchant_platform_is_taken_in() {
    for version in BOTH {
        let world = at_noon(version);
        let (orders, day) = paid(&world, 1);
        let path = format!("/admin/v1/orders/{}/refunds", orders[0]);
        let wanted = json!({ "amount_fen": 30, "reason": "少发一件" });
        let ours = world.merchant().caller.call("POST", &path, &wanted);
        let by_hand = json!({ "out_trade_no": orders[0], "amount_fen": 20 });
        let other = world.wechat.call("POST", "/sandbox/refunds", &by_hand);
        let (ours, other) = (ours.expect(201), other.expect(200));
        for number in [&ours["refund_no"], &other["out_refund_no"]] {
            let path = format!("/sandbox/refunds/{}/finish", number.as_str().unwrap());
            let silent = json!({ "status": "SUCCESS", "notify": "none" });
            world.wechat.call("POST", &path, &silent).expect(200);
        }
        world.wechat.advance(MORNING);
        let done = compared(&world, &day, "done");
        assert_eq!(
            (&done["matched"], &done["counts"]["open"]),
            (&json!(2), &json!(0))
        );
        let row = &done["missing_local"][0];
        assert_eq!(
            row["refund_no"], other["out_refund_no"],
            "{version}: {done}"
        );
        assert_eq!(row["settled"]["do"], "healed");
        let all_back = || world.merchant().order(&orders[0])["refunded_fen"] == 50;
        until("both refunds are counted", all_back);
        let told = world.merchant().order(&orders[0]);
        let kinds = told["refunds"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| &r["kind"]);
        let external = kinds.filter(|kind| **kind == "external").count();
        assert_eq!(external, 1, "{told}");
    }
}

#[test]
fn planted_differences_are_listed_until_each_is_adopted_given_back_or_seen() {
    for version in BOTH {
        let world = at_noon(version);
        let (orders, day) = paid(&world, 3);
        let plant = json!({ "date": day, "plant": [
            { "kind": "amount", "out_trade_no": orders[0], "fen": 99 },
            { "kind": "missing", "out_trade_no": orders[1] },
            { "kind": "extra", "out_trade_no": "ELSEWHERE1", "fen": 7 },
            { "kind": "extra", "out_trade_no": orders[2], "out_refund_no": "R1", "fen": 7 },
        ] });
        world
            .wechat
            .call("PUT", "/sandbox/bills", &plant)
            .expect(200);
        world.wechat.advance(MORNING);
        let done = compared(&world, &day, "done");
        assert_eq!(numbers(&done, "amount_differs"), [orders[0].clone()]);
        assert_eq!(numbers(&done, "missing_wechat"), [orders[1].clone()]);
        let mut local = vec![orders[2].clone(), "ELSEWHERE1".to_owned()];
        local.sort();
        assert_eq!(numbers(&done, "missing_local"), local, "{version}: {done}");
        assert_eq!(
            (&done["matched"], &done["counts"]["open"]),
            (&json!(1), &json!(4))
        );
        let table = [
            ("ELSEWHERE1", "refund", Some("REFUND_MANUAL")),
            ("ELSEWHERE1", "adopt", Some("ORDER_STATE")),
            ("ELSEWHERE1", "seen", None),
            (&orders[2], "adopt", Some("ORDER_STATE")),
            (&orders[2], "seen", None),
            (&orders[1], "refund", Some("ORDER_STATE")),
            (&orders[1], "adopt", None),
            (&orders[0], "adopt", None),
        ];
        for (number, remedy, refused) in table {
            let reply = settle(&world, (&day, number), remedy);
            match refused {
                Some(code) => reply.refuses(409, code),
                None => assert_eq!(reply.expect(200)["rows"][0]["settled"]["do"], remedy),
            }
        }
        assert_eq!(compare(&world, &day).expect(201)["counts"]["open"], 0);
        let refunded = |no: &String| world.merchant().order(no)["refunded_fen"].clone();
        assert!(orders.iter().all(|no| refunded(no) == 0));
    }
}

#[test]
fn a_bill_that_is_not_there_before_ten_is_waited_for_and_an_empty_day_is_done() {
    for version in BOTH {
        let world = at_noon(version);
        let (_, day) = paid(&world, 1);
        world.wechat.advance(43_200 + 300);
        let waiting = compare(&world, &day).expect(202);
        assert_eq!(waiting["status"], "waiting", "{version}: {waiting}");
        world.wechat.advance(10 * 3600);
        assert_eq!(compared(&world, &day, "done")["matched"], 1);
        world.wechat.advance(86_400);
        let said = world.command(&["reconcile", "--date", &day, "--json"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        let empty = || {
            // The day before may be there too: it depends on the hour at which this runs.
            let later = |one: &Value| one["date"].as_str() > Some(&day) && one["status"] == "done";
            days(&world).iter().any(later)
        };
        until("the day without a trade is done", empty);
        assert!(days(&world).iter().all(|day| day["counts"]["open"] == 0));
    }
}

#[test]
fn a_bill_that_is_damaged_changes_nothing_and_is_had_again_half_an_hour_later() {
    for (version, fault, path) in [("v3", "bad_hash", "bill"), ("v2", "cut", "bill")] {
        let world = at_noon(version);
        let (orders, day) = paid(&world, 1);
        let damaged = json!({ "upstream": fault, "path": path });
        world.wechat.faults(&damaged);
        world.wechat.advance(MORNING);
        let failed = compared(&world, &day, "failed");
        assert_eq!(
            (&failed["matched"], &failed["counts"]["open"]),
            (&json!(0), &json!(0))
        );
        world.wechat.faults(&json!({}));
        world.wechat.advance(1800);
        assert_eq!(compared(&world, &day, "done")["matched"], 1, "{version}");
        assert_eq!(world.merchant().order(&orders[0])["status"], "paid");
    }
}
