//! Who acts in a test: buyers with tokens, the merchant with an API key, WeChat with its faults.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use zhanggui::base::rsa::PrivateKey;

use crate::http::{Client, Place, Reply};

/// A client that proves itself with a bearer token; clones share one connection.
#[derive(Clone)]
pub(crate) struct Caller {
    place: Place,
    client: Arc<Mutex<Client>>,
    pub(crate) bearer: String,
}

impl Caller {
    fn new(place: &Place, bearer: &str) -> Self {
        let client = Arc::new(Mutex::new(Client::new(place)));
        Self {
            place: place.clone(),
            client,
            bearer: format!("Bearer {bearer}"),
        }
    }

    /// One request; `body` may be `null` for none.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, target: &str, body: &Value) -> Reply {
        self.call_with(method, target, &[], body)
    }

    #[track_caller]
    pub(crate) fn call_with(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Reply {
        let headers = [&[("authorization", self.bearer.as_str())], headers].concat();
        let body = if body.is_null() {
            vec![]
        } else {
            body.to_string().into_bytes()
        };
        self.client
            .lock()
            .unwrap()
            .send(method, target, &headers, &body)
            .unwrap()
    }

    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Reply {
        self.call("GET", target, &Value::Null)
    }

    #[track_caller]
    pub(crate) fn post(&self, target: &str) -> Reply {
        self.call("POST", target, &json!({}))
    }
}

/// A buyer who is logged in.
#[derive(Clone)]
pub(crate) struct Buyer {
    pub(crate) caller: Caller,
    pub(crate) token: String,
    pub(crate) openid: String,
}

impl Buyer {
    #[track_caller]
    pub(crate) fn login(place: &Place, code: &str, openid: &str) -> Self {
        let token = login_on(&mut Client::new(place), code);
        Self::with_token(place, &token, openid)
    }

    pub(crate) fn with_token(place: &Place, token: &str, openid: &str) -> Self {
        let caller = Caller::new(place, token);
        Self {
            caller,
            token: token.to_owned(),
            openid: openid.to_owned(),
        }
    }

    /// Places an order of one line, which must succeed: its number.
    #[track_caller]
    pub(crate) fn order(&self, goods: u64, count: u64) -> String {
        let order = self.try_order(goods, count).expect(201);
        order["order_no"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn try_order(&self, goods: u64, count: u64) -> Reply {
        self.caller
            .call("POST", "/api/v1/orders", &lines(goods, count))
    }

    #[track_caller]
    pub(crate) fn order_with_key(&self, key: &str, body: &Value) -> Reply {
        self.caller
            .call_with("POST", "/api/v1/orders", &[("idempotency-key", key)], body)
    }

    /// Asks for the five fields of `wx.requestPayment`.
    #[track_caller]
    pub(crate) fn try_pay(&self, order_no: &str) -> Reply {
        self.caller.post(&format!("/api/v1/orders/{order_no}/pay"))
    }

    #[track_caller]
    pub(crate) fn pay(&self, order_no: &str) -> Value {
        self.try_pay(order_no).expect(200)
    }

    #[track_caller]
    pub(crate) fn see(&self, order_no: &str) -> Value {
        self.caller
            .get(&format!("/api/v1/orders/{order_no}"))
            .expect(200)
    }

    /// A connection of one's own, to be used by a thread of one's own.
    pub(crate) fn connection(&self) -> Client {
        Client::new(&self.caller.place)
    }

    /// Places an order of one piece over `client`; an error says the server is gone.
    pub(crate) fn order_on(&self, client: &mut Client, goods: u64) -> io::Result<Reply> {
        let body = lines(goods, 1).to_string();
        let headers = [("authorization", self.caller.bearer.as_str())];
        client.send("POST", "/api/v1/orders", &headers, body.as_bytes())
    }

    #[track_caller]
    pub(crate) fn act(&self, order_no: &str, verb: &str) -> Reply {
        self.caller
            .post(&format!("/api/v1/orders/{order_no}/{verb}"))
    }
}

/// `POST /api/v1/token`.
#[track_caller]
pub(crate) fn login(place: &Place, code: &str) -> Reply {
    let body = json!({ "code": code }).to_string();
    Client::new(place)
        .send("POST", "/api/v1/token", &[], body.as_bytes())
        .unwrap()
}

/// Logs in, which must succeed: the token.
#[track_caller]
pub(crate) fn login_on(client: &mut Client, code: &str) -> String {
    let body = json!({ "code": code }).to_string();
    let reply = client
        .send("POST", "/api/v1/token", &[], body.as_bytes())
        .unwrap();
    reply.expect(200)["token"].as_str().unwrap().to_owned()
}

/// The body of an order of one line.
pub(crate) fn lines(goods: u64, count: u64) -> Value {
    json!({ "lines": [{ "goods_id": goods, "count": count }] })
}

/// The `prepay_id` in the five fields.
#[track_caller]
pub(crate) fn prepay_id(fields: &Value) -> String {
    let package = fields["package"].as_str().unwrap();
    package.strip_prefix("prepay_id=").unwrap().to_owned()
}

/// The merchant's own backend.
pub(crate) struct Merchant {
    pub(crate) caller: Caller,
}

impl Merchant {
    pub(crate) fn new(place: &Place, api_key: &str) -> Self {
        Self {
            caller: Caller::new(place, api_key),
        }
    }

    /// Puts an article on sale: its id.
    #[track_caller]
    pub(crate) fn sells(&self, title: &str, price_fen: u64, stock: u64) -> u64 {
        let body = json!({ "title": title, "price_fen": price_fen, "stock": stock });
        let goods = self
            .caller
            .call("POST", "/admin/v1/goods", &body)
            .expect(201);
        goods["id"].as_u64().unwrap()
    }

    #[track_caller]
    pub(crate) fn stock(&self, goods: u64) -> u64 {
        let goods = self
            .caller
            .get(&format!("/admin/v1/goods/{goods}"))
            .expect(200);
        goods["stock"].as_u64().unwrap()
    }

    #[track_caller]
    pub(crate) fn order(&self, order_no: &str) -> Value {
        self.caller
            .get(&format!("/admin/v1/orders/{order_no}"))
            .expect(200)
    }

    /// How often the order became paid, by its timeline.
    #[track_caller]
    pub(crate) fn paid_events(&self, order_no: &str) -> usize {
        let order = self.order(order_no);
        let events = order["events"].as_array().unwrap();
        let paid = |event: &&Value| {
            event["kind"]
                .as_str()
                .is_some_and(|kind| kind == "order.paid")
        };
        events.iter().filter(paid).count()
    }

    #[track_caller]
    pub(crate) fn orders(&self) -> Vec<Value> {
        self.all("/admin/v1/orders", "orders")
    }

    /// The newest orders, as far as their first line is of `goods`.
    #[track_caller]
    pub(crate) fn orders_with(&self, goods: u64) -> Vec<Value> {
        let mut found = Vec::new();
        let mut target = "/admin/v1/orders?limit=100".to_owned();
        loop {
            let page = self.caller.get(&target).expect(200);
            let orders = page["orders"].as_array().unwrap();
            let of_it = orders
                .iter()
                .take_while(|order| order["lines"][0]["goods_id"] == goods);
            let before = found.len();
            found.extend(of_it.cloned());
            match page["next_cursor"].as_str() {
                Some(cursor) if found.len() == before + orders.len() => {
                    target = format!("/admin/v1/orders?limit=100&cursor={cursor}");
                }
                _ => return found,
            }
        }
    }

    #[track_caller]
    pub(crate) fn all_goods(&self) -> Vec<Value> {
        self.all("/admin/v1/goods", "goods")
    }

    /// A whole list, page by page.
    #[track_caller]
    fn all(&self, path: &str, plural: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut target = format!("{path}?limit=100");
        loop {
            let page = self.caller.get(&target).expect(200);
            found.extend(page[plural].as_array().unwrap().iter().cloned());
            let Some(cursor) = page["next_cursor"].as_str() else {
                return found;
            };
            target = format!("{path}?limit=100&cursor={cursor}");
        }
    }
}

/// The simulator's control routes, and its keys for forging what only WeChat can say.
pub(crate) struct Wechat {
    place: Place,
    keys: PathBuf,
}

impl Wechat {
    pub(crate) fn new(place: &Place, keys: PathBuf) -> Self {
        Self {
            place: place.clone(),
            keys,
        }
    }

    #[track_caller]
    pub(crate) fn call(&self, method: &str, target: &str, body: &Value) -> Reply {
        let body = if body.is_null() {
            vec![]
        } else {
            body.to_string().into_bytes()
        };
        Client::new(&self.place)
            .send(method, target, &[], &body)
            .unwrap()
    }

    #[track_caller]
    pub(crate) fn config(&self) -> String {
        self.call("GET", "/sandbox/config", &Value::Null).text()
    }

    /// A fresh code of wx.login and whose it is.
    #[track_caller]
    pub(crate) fn login_code(&self, openid: Option<&str>) -> (String, String) {
        let body = openid.map_or(json!({}), |openid| json!({ "openid": openid }));
        let made = self.call("POST", "/sandbox/login-codes", &body).expect(200);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("code"), text("openid"))
    }

    /// The buyer's phone pays: `{"transaction_id","notify_status"}`.
    #[track_caller]
    pub(crate) fn pays(&self, fields: &Value) -> Value {
        let body = json!({ "prepay_id": prepay_id(fields) });
        self.call("POST", "/sandbox/payments", &body).expect(200)
    }

    /// Proves that the phone would accept the five fields.
    #[track_caller]
    pub(crate) fn verifies(&self, fields: &Value) {
        self.call("POST", "/sandbox/verify-pay-params", fields)
            .expect(200);
    }

    #[track_caller]
    pub(crate) fn faults(&self, faults: &Value) {
        let reply = self.call("PUT", "/sandbox/faults", faults);
        assert!(reply.status < 300, "{}", reply.text());
    }

    #[track_caller]
    pub(crate) fn advance(&self, seconds: i64) {
        let reply = self.call("PUT", "/sandbox/clock", &json!({ "advance_s": seconds }));
        assert!(reply.status < 300, "{}", reply.text());
    }

    /// Requests of the server that no correct merchant sends: business refusals are not among them.
    #[track_caller]
    pub(crate) fn refused(&self) -> Vec<Value> {
        let answer = self
            .call("GET", "/sandbox/requests", &Value::Null)
            .expect(200);
        let all = answer["requests"].as_array().unwrap();
        all.iter()
            .filter(|row| row["kind"] == "protocol" && row["fault"] == "normal")
            .cloned()
            .collect()
    }

    /// WeChat Pay's private key: what the server must take as genuine.
    pub(crate) fn private_key(&self) -> PrivateKey {
        let pem = fs::read_to_string(self.keys.join("wechat_private_key.pem")).unwrap();
        PrivateKey::from_pem(&pem).unwrap()
    }
}
