//! What the merchant does with orders, and what WeChat and its merchant platform do with refunds.

use std::sync::Arc;

use serde_json::{Value, json};

use super::ask::Ask;
use super::ledger::Promise;
use super::survey::text;
use super::world::World;
use crate::base::trial;
use crate::web::Method;

/// What the merchant does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Closes,
    Syncs,
    ChangesAmounts,
    Ships,
    Refunds,
    TriesRefundAgain,
    Declines,
    Reconciles,
}

impl World {
    /// The merchant does something with one of the orders.
    pub(super) async fn serve(self: &Arc<Self>, deed: Deed) {
        let known = self.ledger().any_order(&mut self.random());
        let Some(known) = known else {
            return;
        };
        let order_no = known.order_no;
        let path = format!("/admin/v1/orders/{order_no}");
        let ask = match deed {
            Deed::Closes => Ask::post(format!("{path}/close")),
            Deed::Syncs => Ask::post(format!("{path}/sync")),
            Deed::ChangesAmounts => Ask::new(Method::PATCH, path).with(self.amounts()),
            Deed::Ships => Ask::post(format!("{path}/ship")).with(self.parcel()),
            Deed::Declines => Ask::post(format!("{path}/refund-request/decline"))
                .with(json!({ "reason": "it is on its way" })),
            Deed::Reconciles => return self.reconcile().await,
            Deed::Refunds => return self.refund(&order_no).await,
            Deed::TriesRefundAgain => return self.try_refund_again().await,
        };
        if let Some(answer) = self.as_merchant(&format!("{deed:?} {order_no}"), ask).await {
            self.reached(&answer);
        }
    }

    fn amounts(&self) -> Value {
        let mut random = self.random();
        match random.below(3) {
            0 => json!({ "freight_fen": random.below(800) }),
            1 => json!({ "discount_fen": random.below(50) }),
            _ => json!({ "merchant_note": "fragile" }),
        }
    }

    fn parcel(&self) -> Value {
        let logistics_type = *self.random().pick(&[3, 4]);
        json!({ "logistics_type": logistics_type, "item_desc": "goods" })
    }

    /// All of it, a part of it, or more than there is.
    async fn refund(self: &Arc<Self>, order_no: &str) {
        let total = self.ledger().total_of(order_no);
        let amount_fen = {
            let mut random = self.random();
            match random.below(5) {
                0 | 1 => total,
                2 => total + 1,
                _ => 1 + random.below(total.max(1)),
            }
        };
        let ask = Ask::post(format!("/admin/v1/orders/{order_no}/refunds"))
            .with(json!({ "amount_fen": amount_fen, "reason": "returned" }));
        let what = format!("refunds {amount_fen} of {order_no}");
        let Some(answer) = self.as_merchant(&what, ask).await else {
            return;
        };
        if answer.is_good() {
            let (order_no, refund_no) = (order_no.to_owned(), answer.text("refund_no"));
            let mut ledger = self.ledger();
            ledger.refunds.push((order_no.clone(), refund_no.clone()));
            ledger.promise(Promise::Refunding {
                order_no,
                refund_no,
                amount_fen,
            });
        }
    }

    async fn try_refund_again(self: &Arc<Self>) {
        let known = {
            let (mut random, ledger) = (self.random(), self.ledger());
            if ledger.refunds.is_empty() {
                return;
            }
            random.pick(&ledger.refunds).clone()
        };
        let (order_no, refund_no) = known;
        let path = format!("/admin/v1/orders/{order_no}/refunds/{refund_no}/retry");
        let mut ask = Ask::post(path);
        if self.random().percent(30) {
            ask = ask.with(json!({ "to": "merchant_bank_card" }));
        }
        let what = format!("tries refund {refund_no} again");
        self.as_merchant(&what, ask).await;
    }

    /// WeChat's refunds that are still under way.
    async fn refunds_under_way(self: &Arc<Self>) -> Vec<String> {
        let listed = self
            .at_wechat(Method::GET, "/sandbox/refunds", &Value::Null)
            .await;
        let listed = listed.body["refunds"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let under_way = listed
            .iter()
            .filter(|refund| text(refund, "status") == "PROCESSING");
        under_way
            .map(|refund| text(refund, "out_refund_no").to_owned())
            .collect()
    }

    /// WeChat decides a refund, one way or another.
    pub(super) async fn end_refund(self: &Arc<Self>) {
        let under_way = self.refunds_under_way().await;
        if under_way.is_empty() {
            return;
        }
        let (number, status) = {
            let mut random = self.random();
            let status = *random.pick(&["SUCCESS", "SUCCESS", "ABNORMAL", "CLOSED"]);
            (random.pick(&under_way).clone(), status)
        };
        trial::met(format!("fault refund {status}"));
        self.decide_refund(&number, status).await;
    }

    /// WeChat pays back whatever is still under way.
    pub(super) async fn end_all_refunds(self: &Arc<Self>) {
        let plan = json!({ "after_s": 30, "status": "SUCCESS" });
        self.at_wechat(Method::PUT, "/sandbox/refunds", &plan).await;
        for number in self.refunds_under_way().await {
            self.decide_refund(&number, "SUCCESS").await;
        }
    }

    async fn decide_refund(self: &Arc<Self>, number: &str, status: &str) {
        let path = format!("/sandbox/refunds/{number}/finish");
        let decided = self
            .at_wechat(Method::POST, &path, &json!({ "status": status }))
            .await;
        self.note(format!(
            "WeChat ends refund {number} {status}: {}",
            decided.word()
        ));
    }

    pub(super) async fn plan_refunds(self: &Arc<Self>) {
        let after_s = *self.random().pick(&[None, Some(1), Some(60), Some(600)]);
        let status = *self
            .random()
            .pick(&["SUCCESS", "SUCCESS", "ABNORMAL", "CLOSED"]);
        trial::met(format!("fault refund plan {status}"));
        self.note(format!("refunds end {status} after {after_s:?} s"));
        let plan = json!({ "after_s": after_s, "status": status });
        self.at_wechat(Method::PUT, "/sandbox/refunds", &plan).await;
    }

    /// Somebody refunds in WeChat's merchant platform, past the shop.
    pub(super) async fn refund_by_hand(self: &Arc<Self>) {
        let known = self.ledger().any_order(&mut self.random());
        let Some(known) = known else {
            return;
        };
        let total = self.ledger().total_of(&known.order_no);
        let amount_fen = 1 + self.random().below(total.max(1));
        let mut asked = json!({ "out_trade_no": known.order_no, "amount_fen": amount_fen });
        if self.random().percent(50) {
            // Its end is told elsewhere: the shop learns of it from a list or a bill.
            asked["notify_url"] = json!("http://127.0.0.1:2/elsewhere");
        }
        let made = self
            .at_wechat(Method::POST, "/sandbox/refunds", &asked)
            .await;
        if made.is_good() {
            trial::met("fault refund by hand");
        }
        let word = made.word();
        self.note(format!(
            "refunded by hand {amount_fen} of {}: {word}",
            known.order_no
        ));
    }
}
