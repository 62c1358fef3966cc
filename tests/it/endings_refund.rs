//! Endings of refunds: known by a notify, by a query, by the bill; refused, deferred, taken up.

use serde_json::{Value, json};

use crate::endings_books::{Noticed, Row};
use crate::endings_till::{TOTAL, Till, at};

/// When the newest refund succeeded at WeChat.
fn noticed(till: &Till) -> Noticed {
    let refunds = till.refunds_there();
    let since = at(&refunds.last().unwrap()["success_at"]);
    till.noticed("refund.success", since)
}

fn refund_status(till: &Till) -> Value {
    till.seen()["refunds"][0]["status"].clone()
}

fn shows(till: &Till, status: &str, refunded_fen: u64) {
    let seen = till.seen();
    let shown = (&seen["status"], &seen["refunded_fen"]);
    assert_eq!(shown, (&json!(status), &json!(refunded_fen)), "{seen:#}");
}

/// A refund that WeChat took and that is not decided.
fn taken(version: &'static str, amount_fen: u64) -> (Till, Value) {
    let till = Till::paid(version);
    let made = till.refund(amount_fen).expect(201);
    assert_eq!(made["status"], "processing", "{version}: {made}");
    assert_eq!(made["last_error"], Value::Null, "{version}: {made}");
    till.balances(0);
    let refund_no = made["refund_no"].clone();
    (till, refund_no)
}

fn by_notify(version: &'static str, amount_fen: u64) -> (Till, Noticed) {
    let (till, refund_no) = taken(version, amount_fen);
    let told = till.finish(&refund_no, "SUCCESS", "send");
    assert_eq!(told["notify_accepted"], true, "{version}: {told}");
    let how = match version {
        "v2" => "notify, confirmed",
        _ => "notify",
    };
    let noticed = noticed(&till).by(how).within(1);
    (till, noticed)
}

pub(crate) fn whole_by_notify(version: &'static str) -> Row {
    let (till, noticed) = by_notify(version, TOTAL);
    shows(&till, "refunded", TOTAL);
    till.ends("whole refund, notified", noticed)
}

pub(crate) fn part_by_notify(version: &'static str) -> Row {
    let (till, noticed) = by_notify(version, 150);
    shows(&till, "paid", 150);
    till.ends("part refund, notified", noticed)
}

fn by_query(version: &'static str, amount_fen: u64) -> (Till, Noticed) {
    let (till, refund_no) = taken(version, amount_fen);
    till.finish(&refund_no, "SUCCESS", "none");
    assert_eq!(refund_status(&till), "processing", "{version}");
    let ended = || refund_status(&till) == "success";
    till.walk("the query finds it", (10, 90), ended);
    let noticed = noticed(&till).by("query").within(90);
    (till, noticed)
}

pub(crate) fn whole_by_query(version: &'static str) -> Row {
    let (till, noticed) = by_query(version, TOTAL);
    shows(&till, "refunded", TOTAL);
    till.ends("whole refund, notify lost", noticed)
}

pub(crate) fn part_by_query(version: &'static str) -> Row {
    let (till, noticed) = by_query(version, 150);
    shows(&till, "paid", 150);
    till.ends("part refund, notify lost", noticed)
}

pub(crate) fn abnormal(version: &'static str) -> Row {
    let (till, refund_no) = taken(version, TOTAL);
    till.finish(&refund_no, "ABNORMAL", "send");
    assert_eq!(refund_status(&till), "abnormal", "{version}");
    till.balances(0);
    let retry = format!("/refunds/{}/retry", refund_no.as_str().unwrap());
    till.admin("POST", &retry, &json!({}))
        .refuses(409, "REFUND_MANUAL");
    let to = json!({ "to": "merchant_bank_card" });
    let taken_up = till.admin("POST", &retry, &to);
    match version {
        "v2" => taken_up.refuses(409, "REFUND_MANUAL"),
        _ => assert_eq!(taken_up.expect(200)["refund_no"], refund_no),
    }
    till.finish(&refund_no, "SUCCESS", "send");
    shows(&till, "refunded", TOTAL);
    assert_eq!(till.refunds_there().len(), 1, "{version}");
    let ending = "whole refund, abnormal, taken up (v2: in the merchant platform)";
    till.ends(ending, noticed(&till).within(1))
}

pub(crate) fn refused(version: &'static str) -> Row {
    let till = Till::paid(version);
    let no = json!({
        "upstream": "refuse", "code": "TRADE_OVERDUE", "path": "refund", "times": 1,
    });
    till.world.wechat.faults(&no);
    till.refund(TOTAL).refuses(409, "REFUND_REFUSED");
    shows(&till, "paid", 0);
    assert_eq!(refund_status(&till), "closed", "{version}");
    assert_eq!(till.refunds_there().len(), 0, "{version}");
    till.ends("refund refused by WeChat for good", "answer, 0 s")
}

pub(crate) fn deferred(version: &'static str) -> Row {
    let till = Till::paid(version);
    let code = if version == "v2" {
        "NOTENOUGH"
    } else {
        "NOT_ENOUGH"
    };
    let poor = json!({ "upstream": "refuse", "code": code, "path": "refund", "times": 1 });
    till.world.wechat.faults(&poor);
    let made = till.refund(TOTAL).expect(201);
    assert_eq!(made["status"], "processing", "{version}: {made}");
    assert_eq!(made["last_error"]["code"], code, "{version}: {made}");
    assert_eq!(till.refunds_there().len(), 0, "{version}");
    till.walk("it is sent again", (60, 1200), || {
        till.refunds_there().len() == 1
    });
    assert_eq!(till.refunds_there()[0]["out_refund_no"], made["refund_no"]);
    till.finish(&made["refund_no"], "SUCCESS", "send");
    shows(&till, "refunded", TOTAL);
    till.ends(
        "refund deferred for want of balance",
        noticed(&till).within(1),
    )
}

/// Started by hand in the merchant platform.
fn by_hand(version: &'static str, notify: &str) -> Till {
    let till = Till::paid(version);
    let asked = json!({ "out_trade_no": till.order_no, "amount_fen": 120 });
    let made = till.wechat("POST", "/sandbox/refunds", &asked).expect(200);
    till.finish(&made["out_refund_no"], "SUCCESS", notify);
    till
}

pub(crate) fn external(version: &'static str) -> Row {
    let till = by_hand(version, "send");
    shows(&till, "paid", 120);
    assert_eq!(till.seen()["refunds"][0]["kind"], "external", "{version}");
    let noticed = noticed(&till).within(1);
    till.ends("refund of the merchant platform, notified", noticed)
}

pub(crate) fn external_untold(version: &'static str) -> Row {
    let till = by_hand(version, "none");
    shows(&till, "paid", 0);
    let ending = "refund of the merchant platform, notify lost";
    let row = till.ends_with_the_bill(ending, "the bill, next morning");
    shows(&till, "paid", 120);
    row
}
