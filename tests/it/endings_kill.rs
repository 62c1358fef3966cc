//! SIGKILL at each step that talks to WeChat: before WeChat hears of it, and when its answer is on
//! the way. After the restart the same numbers are used, nothing is refunded twice, and the books
//! balance.

use std::thread;

use serde_json::{Value, json};

use crate::endings_till::{PIECES, STOCK, TOTAL, Till, is_call};
use crate::http::Client;
use crate::people::prepay_id;
use crate::tap::Stop;
use crate::wait;

/// How long the server stays away after a kill.
const AWAY_S: i64 = 20;

/// Plays `story` in both protocols, with the kill before and after WeChat did its part.
fn at_each_moment(story: fn(&'static str, Stop)) {
    thread::scope(|scope| {
        for version in ["v2", "v3"] {
            for stop in [Stop::Before, Stop::After] {
                scope.spawn(move || story(version, stop));
            }
        }
    });
}

impl Till {
    /// Kills the server when this call of its is stopped, which `cause` brings about.
    fn killed_at(&mut self, call: &'static str, stop: Stop, cause: impl FnOnce(&Self)) {
        let tap = match call {
            "notify" | "refund_notify" => &self.world.notifies,
            _ => &self.world.upstream,
        };
        tap.stop_at(stop, move |request| is_call(call, request));
        cause(self);
        let (notifies, upstream) = (&self.world.notifies, &self.world.upstream);
        let is_there = || notifies.is_stopped() || upstream.is_stopped();
        wait::until(&format!("{call} is on its way"), is_there);
        self.world.kill();
        self.world.notifies.let_go();
        self.world.upstream.let_go();
        self.back_after(AWAY_S);
    }

    /// Asks the server for something whose answer never comes.
    fn asks(&self, bearer: &str, target: String, body: &Value) {
        let (mut client, body) = (self.world.anyone(), body.to_string());
        let bearer = bearer.to_owned();
        thread::spawn(move || {
            let headers = [("authorization", bearer.as_str())];
            client.send("POST", &target, &headers, body.as_bytes()).ok()
        });
    }

    fn buyer_asks(&self, verb: &str) {
        let target = format!("/api/v1/orders/{}/{verb}", self.order_no);
        self.asks(&self.buyer.caller.bearer, target, &json!({}));
    }

    fn merchant_asks(&self, verb: &str, body: &Value) {
        let target = format!("/admin/v1/orders/{}/{verb}", self.order_no);
        self.asks(&self.merchant().caller.bearer, target, body);
    }

    /// A move at the simulator which the server hears of while it is killed.
    fn wechat_acts(&self, target: String, body: &Value) {
        let (mut client, body) = (Client::new(&self.world.upstream.target), body.to_string());
        thread::spawn(move || client.send("POST", &target, &[], body.as_bytes()).ok());
    }

    /// Paid, told or not, under the order's own number and only once.
    fn ends_paid(&self) {
        self.walk("it is paid", (10, 120), || self.status() == "paid");
        let trades = self.trades();
        assert_eq!(trades.len(), 1, "{trades:#?}");
        assert_eq!(trades[0]["out_trade_no"], self.order_no.as_str());
        assert_eq!(self.merchant().paid_events(&self.order_no), 1);
        assert_eq!(self.merchant().stock(self.goods), STOCK - PIECES);
        assert_eq!(self.refunds_there().len(), 0);
        self.balances(0);
    }

    /// The refund with this number, and no other, was made.
    fn ends_refunded(&self, refund_no: &Value) {
        self.walk("the money is back", (30, 300), || {
            self.status() == "refunded"
        });
        let there = self.refunds_there();
        assert_eq!(there.len(), 1, "{there:#?}");
        assert_eq!(&there[0]["out_refund_no"], refund_no);
        let here = self.order()["refunds"].clone();
        assert_eq!(here.as_array().unwrap().len(), 1, "{here:#}");
        assert_eq!(self.seen()["refunded_fen"], TOTAL);
        self.balances(0);
    }

    /// A refund that WeChat took, not decided.
    fn refunding(version: &'static str) -> (Self, Value) {
        let till = Self::paid(version);
        let made = till.refund(TOTAL).expect(201);
        let refund_no = made["refund_no"].clone();
        assert_eq!(till.refunds_there().len(), 1, "{version}: {made}");
        (till, refund_no)
    }
}

#[test]
fn a_kill_at_prepay_leaves_one_number_that_is_paid_once() {
    at_each_moment(|version, stop| {
        let mut till = Till::open(version);
        till.killed_at("prepay", stop, |till| till.buyer_asks("pay"));
        assert_eq!(till.status(), "pending", "{version} {stop:?}");
        let fields = till.buyer.pay(&till.order_no);
        till.world.wechat.pays(&fields);
        till.ends_paid();
    });
}

#[test]
fn a_kill_at_the_query_loses_no_payment() {
    at_each_moment(|version, stop| {
        let mut till = Till::open(version);
        let fields = till.buyer.pay(&till.order_no);
        till.world.wechat.faults(&json!({ "notify": "drop" }));
        till.world.wechat.pays(&fields);
        till.killed_at("query", stop, |till| till.world.wechat.advance(30));
        till.ends_paid();
    });
}

#[test]
fn a_kill_at_the_payment_notify_loses_no_payment_and_counts_it_once() {
    at_each_moment(|version, stop| {
        let mut till = Till::open(version);
        let fields = till.buyer.pay(&till.order_no);
        till.killed_at("notify", stop, |till| {
            let body = json!({ "prepay_id": prepay_id(&fields) });
            till.wechat_acts("/sandbox/payments".to_owned(), &body);
        });
        till.ends_paid();
    });
}

#[test]
fn a_kill_at_the_close_leaves_an_order_that_is_closed_there_and_here() {
    at_each_moment(|version, stop| {
        let mut till = Till::open(version);
        till.buyer.pay(&till.order_no);
        till.old_enough_to_close();
        till.killed_at("close", stop, |till| till.buyer_asks("cancel"));
        till.walk("it is closed", (10, 60), || till.status() == "closed");
        let trades = till.trades();
        assert_eq!(trades.len(), 1, "{trades:#?}");
        assert_eq!(trades[0]["trade_state"], "CLOSED");
        assert_eq!(till.merchant().stock(till.goods), STOCK);
        till.balances(0);
    });
}

#[test]
fn a_payment_that_wins_against_a_close_and_a_kill_takes_its_stock_again() {
    at_each_moment(|version, stop| {
        let mut till = Till::open(version);
        let fields = till.buyer.pay(&till.order_no);
        till.old_enough_to_close();
        till.world.wechat.faults(&json!({ "notify": "drop" }));
        till.killed_at("close", stop, |till| till.buyer_asks("cancel"));
        till.pays_after_close(&fields);
        till.walk("it is paid", (30, 400), || till.status() == "paid");
        till.ends_paid();
    });
}

#[test]
fn a_kill_at_the_refund_makes_one_refund_under_one_number() {
    at_each_moment(|version, stop| {
        let mut till = Till::paid(version);
        till.killed_at("refund", stop, |till| {
            let body = json!({ "amount_fen": TOTAL, "reason": "不想要了" });
            till.merchant_asks("refunds", &body);
        });
        let made = till.order()["refunds"][0]["refund_no"].clone();
        assert!(made.is_string(), "it is on disk before WeChat hears of it");
        till.walk("WeChat has it", (30, 300), || {
            till.refunds_there().len() == 1
        });
        till.finish(&made, "SUCCESS", "send");
        till.ends_refunded(&made);
    });
}

#[test]
fn a_kill_at_the_refund_of_surplus_money_pays_it_back_once() {
    at_each_moment(|version, stop| {
        let mut till = Till::open(version);
        let old = till.buyer.pay(&till.order_no);
        till.old_enough_to_close();
        let dearer = json!({ "freight_fen": 50 });
        till.admin("PATCH", "", &dearer).expect(200);
        till.world.wechat.pays(&till.buyer.pay(&till.order_no));
        assert_eq!(till.status(), "paid", "{version} {stop:?}");
        till.killed_at("refund", stop, |till| {
            till.pays_after_close(&old);
        });
        let is_back = || till.seen()["refunds"][0]["status"] == "success";
        till.walk("the surplus is back", (30, 400), is_back);
        assert_eq!(till.refunds_there().len(), 1);
        assert_eq!(till.seen()["refunded_fen"], 0);
        till.balances(0);
    });
}

#[test]
fn a_kill_at_the_refund_query_ends_in_the_same_refund() {
    at_each_moment(|version, stop| {
        let (mut till, refund_no) = Till::refunding(version);
        till.finish(&refund_no, "SUCCESS", "none");
        till.killed_at("refund_query", stop, |till| till.world.wechat.advance(90));
        till.ends_refunded(&refund_no);
    });
}

#[test]
fn a_kill_at_the_refund_notify_ends_in_the_same_refund() {
    at_each_moment(|version, stop| {
        let (mut till, refund_no) = Till::refunding(version);
        till.killed_at("refund_notify", stop, |till| {
            let path = format!("/sandbox/refunds/{}/finish", refund_no.as_str().unwrap());
            till.wechat_acts(path, &json!({ "status": "SUCCESS" }));
        });
        till.ends_refunded(&refund_no);
    });
}

#[test]
fn a_kill_while_a_v2_refund_notify_is_being_confirmed_ends_in_the_same_refund() {
    for stop in [Stop::Before, Stop::After] {
        let (mut till, refund_no) = Till::refunding("v2");
        till.killed_at("refund_query", stop, |till| {
            let path = format!("/sandbox/refunds/{}/finish", refund_no.as_str().unwrap());
            till.wechat_acts(path, &json!({ "status": "SUCCESS" }));
        });
        till.ends_refunded(&refund_no);
    }
}

#[test]
fn a_kill_at_the_shipping_report_ends_shipped_and_reported() {
    at_each_moment(|version, stop| {
        let mut till = Till::paid(version);
        till.killed_at("ship", stop, |till| {
            let body = json!({ "logistics_type": 4, "item_desc": "茶" });
            till.merchant_asks("ship", &body);
        });
        let reported = || till.order()["shipping_report"]["status"] == "reported";
        till.walk("it is reported", (30, 600), reported);
        let order = till.order();
        assert_eq!(order["status"], "shipped", "{version} {stop:?}");
        assert_eq!(order["shipments"].as_array().unwrap().len(), 1);
        till.balances(0);
    });
}
