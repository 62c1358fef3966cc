//! What buyers and the merchant do, one action each. Nobody waits for anybody.

use std::sync::Arc;

use serde_json::{Value, json};

use super::ask::{Answer, Ask};
use super::ledger::{Known, Promise};
use super::world::{World, checked};
use crate::base::trial;
use crate::web::Method;

impl World {
    /// A buyer opens the mini program.
    pub(super) async fn log_in(self: &Arc<Self>, buyer: usize) -> Option<String> {
        let openid = self.ledger().buyers[buyer].openid.clone();
        let made = json!({ "openid": openid });
        let code = self
            .at_wechat(Method::POST, "/sandbox/login-codes", &made)
            .await;
        let ask = Ask::post("/api/v1/token").with(json!({"code": code.text("code")}));
        let answer = self.told(&format!("buyer {buyer} logs in"), &ask).await?;
        if !answer.is_good() {
            return None;
        }
        let (token, uid) = (
            answer.text("token"),
            answer.body["uid"].as_u64().unwrap_or(0),
        );
        let mut ledger = self.ledger();
        ledger.buyers[buyer].token = Some(token.clone());
        ledger.promise(Promise::User { openid, uid });
        Some(token)
    }

    async fn token(self: &Arc<Self>, buyer: usize) -> Option<String> {
        let token = self.ledger().buyers[buyer].token.clone();
        match token {
            Some(token) => Some(token),
            None => self.log_in(buyer).await,
        }
    }

    /// Asks as a buyer; a token that is no longer good is forgotten.
    async fn as_buyer(self: &Arc<Self>, buyer: usize, what: &str, ask: Ask) -> Option<Answer> {
        let token = self.token(buyer).await?;
        let answer = self
            .told(&format!("buyer {buyer} {what}"), &ask.by(&token))
            .await?;
        if answer.status == 401 {
            self.ledger().buyers[buyer].token = None;
        }
        Some(answer)
    }

    /// Asks as the merchant.
    pub(super) async fn as_merchant(self: &Arc<Self>, what: &str, ask: Ask) -> Option<Answer> {
        let key = self.ledger().api_key.clone();
        self.told(&format!("merchant {what}"), &ask.by(&key)).await
    }

    async fn told(self: &Arc<Self>, what: &str, ask: &Ask) -> Option<Answer> {
        let answer = self.ask(ask).await;
        let word = answer.as_ref().map_or("no answer".to_owned(), Answer::word);
        self.note(format!("{what}: {word}"));
        if answer.as_ref().is_some_and(|answer| answer.status == 500) {
            self.broke(format!("{what} was answered 500"));
        }
        answer
    }

    /// A buyer orders something; sometimes twice with one key, at once or again later.
    pub(super) async fn place(self: &Arc<Self>, buyer: usize) {
        let (by, goods, count, key) = self.basket(buyer);
        let lines = json!({"lines": [{"goods_id": goods, "count": count}]});
        let mut ask = Ask::post("/api/v1/orders").with(lines);
        ask.idempotency_key.clone_from(&key);
        let Some(answer) = self.as_buyer(by, "orders", ask).await else {
            return;
        };
        if answer.is_good() {
            self.was_placed(by, key, &answer);
        }
    }

    /// Who orders what, under which key. A key names all of its request, so that the same key
    /// always carries the same body.
    fn basket(&self, buyer: usize) -> (usize, u64, u64, Option<String>) {
        let (mut random, mut ledger) = (self.random(), self.ledger());
        if !ledger.keys.is_empty() && random.percent(15) {
            let key = random.pick(&ledger.keys).clone();
            let (buyer, goods, count) = of_key(&key);
            return (buyer, goods, count, Some(key));
        }
        let ids: Vec<u64> = ledger.stock.keys().copied().collect();
        let (goods, count) = (*random.pick(&ids), 1 + random.below(3));
        if !random.percent(40) {
            return (buyer, goods, count, None);
        }
        let key = format!("{buyer}-{goods}-{count}-{}", random.below(1_000_000));
        ledger.keys.push(key.clone());
        (buyer, goods, count, Some(key))
    }

    fn was_placed(&self, buyer: usize, key: Option<String>, answer: &Answer) {
        let order_no = answer.text("order_no");
        let total_fen = answer.body["total_fen"].as_u64().unwrap_or(0);
        let mut ledger = self.ledger();
        ledger.know(&order_no, buyer);
        ledger.promise(Promise::Placed {
            order_no: order_no.clone(),
            total_fen,
        });
        let Some(key) = key else {
            return;
        };
        checked("one key places one order");
        let first = ledger
            .placed_by
            .entry(key)
            .or_insert_with(|| order_no.clone());
        if *first != order_no {
            let what = format!("one key placed {first} and {order_no}");
            drop(ledger);
            self.broke(what);
        }
    }

    /// A buyer asks to pay, and mostly does.
    pub(super) async fn pay(self: &Arc<Self>) {
        let known = self.ledger().any_order(&mut self.random());
        let Some(known) = known else {
            return;
        };
        let Some(prepay_id) = self.open_payment(&known).await else {
            return;
        };
        let (pays, after) = {
            let mut random = self.random();
            (random.percent(60), random.within_ms(2500))
        };
        if pays {
            tokio::time::sleep(after).await;
            self.pay_at_wechat(prepay_id, "none").await;
        }
    }

    /// A buyer asks to pay, and gets what the WeChat app needs for it.
    pub(super) async fn open_payment(self: &Arc<Self>, known: &Known) -> Option<String> {
        let order_no = known.order_no.clone();
        let ask = Ask::post(format!("/api/v1/orders/{order_no}/pay"));
        let what = format!("asks to pay {order_no}");
        let answer = self.as_buyer(known.buyer, &what, ask).await?;
        let package = answer.text("package");
        let prepay_id = package.strip_prefix("prepay_id=")?.to_owned();
        {
            let mut ledger = self.ledger();
            ledger.know_prepay(&order_no, &prepay_id);
            ledger.promise(Promise::Opened { order_no });
        }
        self.judge_pay_params(&answer.body).await;
        Some(prepay_id)
    }

    /// One order is opened twice, because its amount changes between, and paid twice: the second
    /// time when it has come anywhere in its life.
    pub(super) async fn pay_twice(self: &Arc<Self>, buyer: usize) {
        self.place(buyer).await;
        let known = self.ledger().orders.last().cloned();
        let Some(known) = known else {
            return;
        };
        let Some(first) = self.open_payment(&known).await else {
            return;
        };
        let path = format!("/admin/v1/orders/{}", known.order_no);
        let freight = json!({ "freight_fen": 1 + self.random().below(900) });
        let amended = Ask::new(Method::PATCH, &*path).with(freight);
        self.as_merchant("haggles", amended).await;
        let Some(second) = self.open_payment(&known).await else {
            return;
        };
        self.pay_at_wechat(second, "none").await;
        let parcel = json!({ "logistics_type": 4, "item_desc": "goods" });
        let ends = self.random().below(3);
        if ends > 0 {
            let ship = Ask::post(format!("{path}/ship")).with(parcel);
            self.as_merchant("ships at once", ship).await;
        }
        if ends > 1 {
            let receive = Ask::post(format!("/api/v1/orders/{}/receive", known.order_no));
            self.as_buyer(known.buyer, "receives at once", receive)
                .await;
        }
        if self.random().percent(40) {
            let order = Ask::get(&*path);
            let order = self.as_merchant("looks", order).await;
            let total = order.and_then(|order| order.body["total_fen"].as_u64());
            let all = json!({ "amount_fen": total, "reason": "all of it" });
            let refund = Ask::post(format!("{path}/refunds")).with(all);
            self.as_merchant("refunds all", refund).await;
        }
        let later = self.random().within_ms(90_000);
        tokio::time::sleep(later).await;
        self.pay_at_wechat(first, "after_close").await;
    }

    async fn judge_pay_params(self: &Arc<Self>, params: &Value) {
        checked("what pay answers is right for wx.requestPayment");
        let judged = self
            .at_wechat(Method::POST, "/sandbox/verify-pay-params", params)
            .await;
        let detail = judged.body["detail"]["field"].as_str().unwrap_or("");
        // A trade may have ended while the answer was on its way; all else is ours.
        if !judged.is_good() && detail != "package" {
            self.broke(format!("pay params are refused: {}", judged.body));
        }
    }

    /// The WeChat app takes the money.
    pub(super) async fn pay_at_wechat(self: &Arc<Self>, prepay_id: String, race: &str) {
        // What nobody tells of after a close is found by the next day's bill alone.
        let notify = *self.random().pick(&["send", "send", "send", "none"]);
        trial::met(format!("fault payment notify {notify} race {race}"));
        let body = json!({ "prepay_id": prepay_id, "notify": notify, "race": race });
        let paid = self
            .at_wechat(Method::POST, "/sandbox/payments", &body)
            .await;
        self.told_wechat("pays at WeChat", &paid);
    }

    /// Notes how a payment and its notify went; an acknowledged notify is a promise.
    fn told_wechat(&self, what: &str, paid: &Answer) {
        let out_trade_no = paid.text("out_trade_no");
        let accepted = paid.body["notify_accepted"].as_bool() == Some(true);
        let told = if accepted { "taken" } else { "not taken" };
        let word = paid.word();
        self.note(format!("{what} {out_trade_no}: {word}, notify {told}"));
        if accepted {
            self.ledger().promise(Promise::Counted { out_trade_no });
        }
    }

    /// Somebody pays with any prepay_id ever given out.
    pub(super) async fn pay_any(self: &Arc<Self>) {
        let known = self.ledger().any_prepay(&mut self.random());
        if let Some(prepay_id) = known {
            let race = *self.random().pick(&["none", "after_close"]);
            self.pay_at_wechat(prepay_id, race).await;
        }
    }

    /// WeChat tells of a payment once more.
    pub(super) async fn tell_again(self: &Arc<Self>) {
        let known = self.ledger().any_order(&mut self.random());
        if let Some(known) = known {
            let path = format!("/sandbox/notifies/{}/resend", known.order_no);
            let told = self.at_wechat(Method::POST, &path, &Value::Null).await;
            self.told_wechat("is told again of", &told);
        }
    }

    /// A buyer does something with an order: `cancel`, `receive`, `sync`.
    pub(super) async fn with_order(self: &Arc<Self>, verb: &str, body: Option<Value>) {
        let known = self.ledger().any_order(&mut self.random());
        let Some(known) = known else {
            return;
        };
        let order_no = known.order_no;
        let mut ask = Ask::post(format!("/api/v1/orders/{order_no}/{verb}"));
        ask.body = body;
        let what = format!("{verb}s {order_no}");
        if let Some(answer) = self.as_buyer(known.buyer, &what, ask).await {
            self.reached(&answer);
        }
    }

    /// A buyer confirms in WeChat that an order has come.
    pub(super) async fn receive_at_wechat(self: &Arc<Self>) {
        let known = self.ledger().any_order(&mut self.random());
        if let Some(known) = known {
            let receipt = json!({ "out_trade_no": known.order_no });
            let told = self.at_wechat(Method::POST, "/sandbox/receipts", &receipt);
            let word = told.await.word();
            self.note(format!("receives {} at WeChat: {word}", known.order_no));
        }
    }

    /// A buyer looks at their orders.
    pub(super) async fn look_at_orders(self: &Arc<Self>, buyer: usize) {
        let ask = Ask::get("/api/v1/orders?limit=100");
        let Some(answer) = self.as_buyer(buyer, "lists orders", ask).await else {
            return;
        };
        let orders = answer.body["orders"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        for body in orders {
            let answer = Answer { status: 200, body };
            self.ledger().know(&answer.text("order_no"), buyer);
            self.reached(&answer);
        }
    }

    /// An order that was told of is at least where it was told to be.
    pub(super) fn reached(&self, answer: &Answer) {
        let (order_no, status) = (answer.text("order_no"), answer.text("status"));
        if answer.is_good() && !order_no.is_empty() {
            self.ledger().promise(Promise::Reached { order_no, status });
        }
    }
}

/// `buyer-goods-count-number`.
fn of_key(key: &str) -> (usize, u64, u64) {
    let mut parts = key.split('-').map(|part| part.parse::<u64>().unwrap());
    let mut part = || parts.next().unwrap();
    let buyer = usize::try_from(part()).unwrap();
    (buyer, part(), part())
}
