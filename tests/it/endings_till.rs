//! One sale to be ended in some way: a till, a buyer, an order of four out of ten pieces, and one
//! clock for the server and the simulator.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zhanggui::base::Timestamp;

use crate::http::{Message, Reply};
use crate::people::{Buyer, Merchant, prepay_id};
use crate::world::World;

/// Pieces there are, pieces that are ordered, and what the order costs, fen.
pub(crate) const STOCK: u64 = 10;
pub(crate) const PIECES: u64 = 4;
pub(crate) const TOTAL: u64 = 400;

/// How long a step of the clock is given to show what follows from it.
const PATIENCE: Duration = Duration::from_millis(700);
/// WeChat wants a certificate for v2's refunds; the simulator does not look at it.
const CERTIFICATE: [(&str, &str); 2] = [
    ("wechat.pay.v2_client_cert_file", "localhost.pem"),
    ("wechat.pay.v2_client_key_file", "localhost_key.pem"),
];

/// See the file's head.
pub(crate) struct Till {
    pub(crate) version: &'static str,
    pub(crate) world: World,
    pub(crate) buyer: Buyer,
    pub(crate) goods: u64,
    pub(crate) order_no: String,
}

impl Till {
    /// An order that waits to be paid; nobody has asked WeChat for anything.
    pub(crate) fn open(version: &'static str) -> Self {
        let world = World::with(|setup| {
            setup.version = version;
            setup.one_clock = true;
            setup.may_be_refused = true;
            setup.more.push(("token.ttl_s", 31_536_000.into()));
            for (key, file) in CERTIFICATE {
                let path = format!("{}/tests/golden/tls/{file}", env!("CARGO_MANIFEST_DIR"));
                setup.more.push((key, path.into()));
            }
        });
        let goods = world.merchant().sells("茶", TOTAL / PIECES, STOCK);
        let buyer = world.buyer();
        let order_no = buyer.order(goods, PIECES);
        Self {
            version,
            world,
            buyer,
            goods,
            order_no,
        }
    }

    /// A paid order whose refunds end only when a test says how.
    pub(crate) fn paid(version: &'static str) -> Self {
        let till = Self::open(version);
        till.refunds_wait();
        till.world.wechat.pays(&till.buyer.pay(&till.order_no));
        assert_eq!(till.status(), "paid", "{version}");
        till
    }

    /// The start after a kill, `away_s` later: tokens ended with it.
    pub(crate) fn back_after(&mut self, away_s: i64) {
        self.world.wechat.advance(away_s);
        self.world.serve();
        let (code, openid) = self.world.wechat.login_code(Some(&self.buyer.openid));
        self.buyer = Buyer::login(&self.world.place, &code, &openid);
    }

    pub(crate) fn refunds_wait(&self) {
        let plan = json!({ "after_s": null });
        self.wechat("PUT", "/sandbox/refunds", &plan).expect(200);
    }

    pub(crate) fn merchant(&self) -> Merchant {
        self.world.merchant()
    }

    /// The order as the merchant sees it.
    pub(crate) fn order(&self) -> Value {
        self.merchant().order(&self.order_no)
    }

    /// The order as the buyer sees it.
    pub(crate) fn seen(&self) -> Value {
        self.buyer.see(&self.order_no)
    }

    pub(crate) fn status(&self) -> String {
        self.seen()["status"].as_str().unwrap().to_owned()
    }

    pub(crate) fn cancel(&self) -> Reply {
        self.buyer.act(&self.order_no, "cancel")
    }

    pub(crate) fn admin(&self, verb: &str, path: &str, body: &Value) -> Reply {
        let path = format!("/admin/v1/orders/{}{path}", self.order_no);
        self.merchant().caller.call(verb, &path, body)
    }

    pub(crate) fn refund(&self, amount_fen: u64) -> Reply {
        let body = json!({ "amount_fen": amount_fen, "reason": "不想要了" });
        self.admin("POST", "/refunds", &body)
    }

    pub(crate) fn wechat(&self, method: &str, target: &str, body: &Value) -> Reply {
        self.world.wechat.call(method, target, body)
    }

    /// Ends a refund at WeChat; `notify` is `send` or `none`.
    pub(crate) fn finish(&self, refund_no: &Value, status: &str, notify: &str) -> Value {
        let path = format!("/sandbox/refunds/{}/finish", refund_no.as_str().unwrap());
        let body = json!({ "status": status, "notify": notify });
        self.wechat("POST", &path, &body).expect(200)
    }

    /// The buyer's cashier was open already: the payment wins against close and expiry.
    pub(crate) fn pays_after_close(&self, fields: &Value) -> Value {
        let body = json!({ "prepay_id": prepay_id(fields), "race": "after_close" });
        self.wechat("POST", "/sandbox/payments", &body).expect(200)
    }

    /// v2 closes nothing that is younger than five minutes: past them.
    pub(crate) fn old_enough_to_close(&self) {
        if self.version == "v2" {
            self.world.wechat.advance(301);
        }
    }

    /// Buys all that is left for someone else, who does not pay.
    pub(crate) fn sell_out(&self) {
        let left = self.merchant().stock(self.goods);
        self.world.buyer().order(self.goods, left);
    }

    /// The trades of the simulator, oldest first.
    pub(crate) fn trades(&self) -> Vec<Value> {
        self.listed("trades")
    }

    /// The refunds of the simulator, oldest first.
    pub(crate) fn refunds_there(&self) -> Vec<Value> {
        self.listed("refunds")
    }

    fn listed(&self, what: &str) -> Vec<Value> {
        let all = self.wechat("GET", &format!("/sandbox/{what}"), &Value::Null);
        let all = all.expect(200)[what].as_array().unwrap().clone();
        all.into_iter().rev().collect()
    }

    /// Moves the one clock in steps until `holds`; gives up after `most_s`.
    #[track_caller]
    pub(crate) fn walk(&self, what: &str, steps: (i64, i64), mut holds: impl FnMut() -> bool) {
        let (step_s, most_s) = steps;
        let mut walked_s = 0;
        loop {
            let from = Instant::now();
            while from.elapsed() < PATIENCE {
                if holds() {
                    return;
                }
                thread::sleep(Duration::from_millis(10));
            }
            let order = self.order();
            assert!(
                walked_s < most_s,
                "{}: not within {most_s} s: {what}: {order:#}",
                self.version
            );
            self.world.wechat.advance(step_s);
            walked_s += step_s;
        }
    }

    /// How often the server made this call.
    pub(crate) fn asked(&self, call: &str) -> usize {
        let passed = self.world.upstream.passed("/");
        let of_it = passed
            .iter()
            .filter(|passed| is_call(call, &passed.request));
        of_it.count()
    }

    /// The simulator's time.
    pub(crate) fn now(&self) -> Timestamp {
        let clock = self.wechat("GET", "/sandbox/clock", &Value::Null);
        at(&clock.expect(200)["now"])
    }
}

/// Whether `request` is this call, in either protocol.
pub(crate) fn is_call(call: &str, request: &Message) -> bool {
    let line = request.first.as_str();
    let starts = |heads: &[&str]| heads.iter().any(|head| line.starts_with(head));
    match call {
        "prepay" => starts(&["POST /pay/unifiedorder", "POST /v3/pay/transactions/jsapi"]),
        "query" => starts(&["POST /pay/orderquery", "GET /v3/pay/transactions/"]),
        "close" => starts(&["POST /pay/closeorder"]) || line.contains("/close "),
        "refund" => starts(&[
            "POST /secapi/pay/refund",
            "POST /v3/refund/domestic/refunds ",
        ]),
        "refund_query" => starts(&["POST /pay/refundquery", "GET /v3/refund/domestic/refunds/"]),
        "ship" => starts(&["POST /wxa/sec/order/upload_shipping_info"]),
        "notify" => starts(&["POST /wx/pay/notify"]),
        "refund_notify" => starts(&["POST /wx/refund/notify"]),
        _ => panic!("{call} is no call"),
    }
}

/// A moment in JSON.
#[track_caller]
pub(crate) fn at(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_default();
    Timestamp::from_rfc3339(text).unwrap_or_else(|| panic!("{value} is no time"))
}
