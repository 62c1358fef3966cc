//! Endings in which WeChat took money. Each is played to its end and gives its measured row.

use serde_json::{Value, json};

use crate::endings_books::Row;
use crate::endings_till::{TOTAL, Till};
use crate::people::prepay_id;
use crate::tap::Fate;

/// No notify arrives; the rest of WeChat works.
fn untold(till: &Till) {
    till.world.wechat.faults(&json!({ "notify": "drop" }));
}

fn told_again(till: &Till) {
    till.world.wechat.faults(&json!({}));
}

pub(crate) fn notified(version: &'static str) -> Row {
    let till = Till::open(version);
    till.world.wechat.pays(&till.buyer.pay(&till.order_no));
    assert_eq!(till.status(), "paid", "{version}");
    let noticed = till.noticed("order.paid", till.paid_at(None));
    till.ends("paid, notified", noticed.by("notify").within(1))
}

pub(crate) fn notify_lost(version: &'static str) -> Row {
    let till = Till::open(version);
    untold(&till);
    let fields = till.buyer.pay(&till.order_no);
    till.world.wechat.pays(&fields);
    till.walk("the query finds it", (5, 30), || till.status() == "paid");
    let noticed = till.noticed("order.paid", till.paid_at(None));
    till.ends("paid, notify lost", noticed.by("query").within(30))
}

pub(crate) fn hours_without_wechat(version: &'static str) -> Row {
    let till = Till::open(version);
    let fields = till.buyer.pay(&till.order_no);
    let down = json!({ "notify": "drop", "upstream": "http_500" });
    till.world.wechat.faults(&down);
    till.world.wechat.pays(&fields);
    for _ in 0..18 {
        let before = till.asked("query");
        till.walk("it goes on asking", (600, 600), || {
            till.asked("query") > before
        });
        assert_eq!(till.status(), "pending", "{version}: nothing is known yet");
        till.world.wechat.advance(600);
    }
    let back_at = till.now();
    untold(&till);
    till.walk("the money is found", (10, 60), || till.status() == "paid");
    till.noticed("order.paid", back_at).within(60);
    let noticed = till.noticed("order.paid", till.paid_at(None));
    till.ends(
        "paid, notify lost, WeChat down for hours",
        noticed.by("query"),
    )
}

pub(crate) fn prepay_answer_lost(version: &'static str) -> Row {
    let till = Till::open(version);
    till.world.upstream.next(Fate::AnswerLost, 1);
    let first = till.buyer.try_pay(&till.order_no);
    if first.status != 200 {
        first.refuses(502, "WECHAT_UNAVAILABLE");
    }
    let fields = till.buyer.pay(&till.order_no);
    till.world.wechat.pays(&fields);
    assert_eq!(till.status(), "paid", "{version}");
    let trades = till.trades();
    assert_eq!(trades.len(), 1, "{version}: {trades:#?}");
    assert_eq!(trades[0]["out_trade_no"], till.order_no.as_str());
    let noticed = till.noticed("order.paid", till.paid_at(None));
    till.ends("paid, prepay answer lost and repeated", noticed)
}

pub(crate) fn number_used(version: &'static str) -> Row {
    let till = Till::open(version);
    let used = json!({
        "upstream": "refuse", "code": "OUT_TRADE_NO_USED", "path": "prepay", "times": 1,
    });
    till.world.wechat.faults(&used);
    let fields = till.buyer.pay(&till.order_no);
    till.world.wechat.pays(&fields);
    assert_eq!(till.status(), "paid", "{version}");
    let trades = till.trades();
    assert_eq!(trades.len(), 1, "{version}: {trades:#?}");
    assert_eq!(trades[0]["out_trade_no"], format!("{}_2", till.order_no));
    let noticed = till.noticed("order.paid", till.paid_at(None));
    till.ends("paid, first number refused as used", noticed)
}

pub(crate) fn while_killed(version: &'static str) -> Row {
    let mut till = Till::open(version);
    let fields = till.buyer.pay(&till.order_no);
    till.world.kill();
    till.world.wechat.pays(&fields);
    till.back_after(120);
    till.walk("the money is found", (5, 30), || till.status() == "paid");
    let noticed = till.noticed("order.paid", till.paid_at(None));
    till.ends(
        "paid while the server was killed for 120 s",
        noticed.within(150),
    )
}

pub(crate) fn wrong_amount(version: &'static str) -> Row {
    let till = Till::open(version);
    let fields = till.buyer.pay(&till.order_no);
    till.world
        .wechat
        .faults(&json!({ "notify": "wrong_amount" }));
    let paid = till.world.wechat.pays(&fields);
    assert_eq!(paid["notify_accepted"], false, "{version}: {paid}");
    assert_eq!(till.status(), "pending", "{version}");
    till.noticed("notify.mismatched", till.paid_at(None));
    till.walk("the query finds it", (5, 30), || till.status() == "paid");
    let paid = till.noticed("order.paid", till.paid_at(None)).by("query");
    assert_eq!(till.order()["payments"][0]["amount_fen"], TOTAL);
    till.ends("paid, notify with a wrong amount", paid.within(30))
}

pub(crate) fn cancel_while_paid(version: &'static str) -> Row {
    let till = Till::open(version);
    untold(&till);
    let fields = till.buyer.pay(&till.order_no);
    till.world.wechat.pays(&fields);
    till.cancel().refuses(409, "ORDER_PAID");
    assert_eq!(till.status(), "paid", "{version}");
    let noticed = till.noticed("order.paid", till.paid_at(None));
    let noticed = noticed.by("query before the close").within(2);
    till.ends("paid, notify lost, buyer cancels", noticed)
}

/// An attempt whose order the buyer has cancelled; the cashier is still open.
fn closed(version: &'static str) -> (Till, Value) {
    let till = Till::open(version);
    let fields = till.buyer.pay(&till.order_no);
    till.old_enough_to_close();
    assert_eq!(till.cancel().expect(200)["status"], "closed", "{version}");
    (till, fields)
}

pub(crate) fn late_with_stock(version: &'static str) -> Row {
    let (till, fields) = closed(version);
    till.pays_after_close(&fields);
    let seen = till.seen();
    assert_eq!(seen["status"], "paid", "{version}");
    assert_eq!(seen["closed_at"], Value::Null);
    let noticed = till.noticed("order.paid", till.paid_at(None));
    till.ends(
        "paid after the close, stock there",
        noticed.by("notify").within(1),
    )
}

pub(crate) fn late_and_untold(version: &'static str) -> Row {
    let (till, fields) = closed(version);
    untold(&till);
    till.pays_after_close(&fields);
    till.walk("the look back finds it", (30, 330), || {
        till.status() == "paid"
    });
    let noticed = till.noticed("order.paid", till.paid_at(None)).by("query");
    till.ends("paid after the close, notify lost", noticed.within(330))
}

pub(crate) fn late_without_stock(version: &'static str) -> Row {
    let (till, fields) = closed(version);
    till.sell_out();
    till.pays_after_close(&fields);
    goes_back(&till, "late");
    let seen = till.seen();
    assert_eq!(seen["status"], "closed", "{version}");
    assert!(seen["paid_at"].is_string() && seen["transaction_id"].is_string());
    assert_eq!(seen["refunded_fen"], TOTAL);
    let noticed = till.noticed("order.paid_late", till.paid_at(None));
    till.ends(
        "paid after the close, no stock",
        noticed.by("notify").within(1),
    )
}

/// The automatic refund of this kind succeeds.
fn goes_back(till: &Till, kind: &str) {
    let is_back = || {
        let refunds = till.seen()["refunds"].as_array().unwrap().clone();
        assert!(refunds.len() <= 1, "{refunds:#?}");
        let back = |refund: &Value| refund["kind"] == kind && refund["status"] == "success";
        refunds.iter().any(back)
    };
    let what = format!("the {kind} money is back");
    till.walk(&what, (30, 180), is_back);
}

pub(crate) fn told_after_the_refund(version: &'static str) -> Row {
    let (till, fields) = closed(version);
    till.sell_out();
    untold(&till);
    till.pays_after_close(&fields);
    till.walk("the look back finds it", (30, 330), || {
        !till.seen()["paid_at"].is_null()
    });
    let noticed = till.noticed("order.paid_late", till.paid_at(None));
    told_again(&till);
    goes_back(&till, "late");
    till.balances(0);
    let before = till.world.state();
    let resend = format!("/sandbox/notifies/{}/resend", till.order_no);
    let told = till.wechat("POST", &resend, &json!({})).expect(200);
    assert_eq!(told["notify_accepted"], true, "{version}: {told}");
    assert_eq!(till.world.state(), before, "{version}");
    till.ends(
        "paid after the close, no stock, told after the refund",
        noticed.by("query"),
    )
}

/// An order with a first attempt, and a second one after a new price.
fn repriced(version: &'static str) -> (Till, [Value; 2]) {
    let till = Till::open(version);
    let old = till.buyer.pay(&till.order_no);
    till.old_enough_to_close();
    till.admin("PATCH", "", &json!({ "freight_fen": 50 }))
        .expect(200);
    let new = till.buyer.pay(&till.order_no);
    assert_ne!(prepay_id(&old), prepay_id(&new), "{version}");
    (till, [old, new])
}

pub(crate) fn twice_new_first(version: &'static str) -> Row {
    let (till, [old, new]) = repriced(version);
    till.world.wechat.pays(&new);
    assert_eq!(till.status(), "paid", "{version}");
    till.pays_after_close(&old);
    goes_back(&till, "surplus");
    let seen = till.seen();
    let shown = (&seen["status"], &seen["total_fen"], &seen["refunded_fen"]);
    assert_eq!(shown, (&json!("paid"), &json!(450), &json!(0)), "{version}");
    let since = till.paid_at(Some(&till.order_no));
    let noticed = till.noticed("payment.surplus", since);
    till.ends(
        "paid twice: new price, then old",
        noticed.by("notify").within(1),
    )
}

pub(crate) fn twice_old_first(version: &'static str) -> Row {
    let (till, [old, new]) = repriced(version);
    till.pays_after_close(&old);
    assert_eq!(till.status(), "paid", "{version}");
    let second = format!("{}_2", till.order_no);
    till.pays_after_close(&new);
    goes_back(&till, "surplus");
    let seen = till.seen();
    let shown = (&seen["status"], &seen["total_fen"], &seen["refunded_fen"]);
    assert_eq!(shown, (&json!("paid"), &json!(400), &json!(0)), "{version}");
    let noticed = till.noticed("payment.surplus", till.paid_at(Some(&second)));
    till.ends(
        "paid twice: old price, then new",
        noticed.by("notify").within(1),
    )
}
