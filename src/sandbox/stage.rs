//! The stage of the live tests: a simulator, a merchant that notes what it is told, a client.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::BASE64;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::fixtures::{Wire, credentials, keys, order_v2_fields, order_v3_body, signed_v2};
use super::sign_v2::SignType;
use super::sign_v3::answer_string;
use super::{Running, start};
use crate::base::xml::Fields;
use crate::base::{Clock, cipher};
use crate::web::{
    self, Anyone, Client, ClientError, Incoming, Limits, Method, Outcome, Outgoing, Req,
};
use crate::web::{Router, Server, StatusCode, TrustedProxies, route};

const DEADLINE: Duration = Duration::from_secs(10);
const ANSWER_BYTES: usize = 1 << 20;

/// One notify as the merchant got it.
#[derive(Clone)]
pub(super) struct Notify {
    pub(super) timestamp: String,
    pub(super) nonce: String,
    pub(super) serial: String,
    pub(super) signature: String,
    pub(super) body: Vec<u8>,
}

/// A merchant's server: notes every notify, answers each with the same reply.
pub(super) struct Merchant {
    pub(super) reply: Mutex<(u16, &'static str)>,
    pub(super) notifies: Mutex<Vec<Notify>>,
}

pub(super) const TAKEN_V2: (u16, &str) = (
    200,
    "<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>",
);
pub(super) const FAIL_V2: (u16, &str) = (
    200,
    "<xml><return_code><![CDATA[FAIL]]></return_code></xml>",
);

async fn take(merchant: Arc<Merchant>, _: Anyone, mut req: Req) -> Outcome {
    let body = req.body().await?.to_vec();
    let header = |name: &str| req.header(name).unwrap_or("").to_owned();
    merchant.notifies.lock().unwrap().push(Notify {
        timestamp: header("wechatpay-timestamp"),
        nonce: header("wechatpay-nonce"),
        serial: header("wechatpay-serial"),
        signature: header("wechatpay-signature"),
        body,
    });
    let (status, text) = *merchant.reply.lock().unwrap();
    let status = StatusCode::from_u16(status).unwrap();
    Ok(web::text(status, "text/plain", text))
}

/// A simulator, a merchant beside it, and a client for both.
pub(super) struct Stage {
    pub(super) wechat: Running,
    pub(super) merchant: Arc<Merchant>,
    pub(super) notify_url: String,
    pub(super) client: Client,
    pub(super) clock: Clock,
    _stop_merchant: oneshot::Sender<()>,
}

impl Stage {
    pub(super) async fn new(reply: (u16, &'static str)) -> Self {
        let (anywhere, clock) = ("127.0.0.1:0".parse().unwrap(), Clock::system());
        let wechat = start(anywhere, clock.clone(), credentials().clone());
        let limits = Limits {
            max_body_bytes: 65_536,
            max_connections: 16,
            ..Limits::default()
        };
        let proxies = TrustedProxies::default();
        let server = Server::bind(anywhere, limits, proxies, clock.clone())
            .await
            .unwrap();
        let notify_url = format!("http://{}/n", server.local_addr());
        let merchant = Arc::new(Merchant {
            reply: Mutex::new(reply),
            notifies: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new(vec![route(Method::POST, "/n", take)]);
        let serving = server.serve(router, Arc::clone(&merchant), async {
            let _ = stopped.await;
        });
        tokio::spawn(serving);
        Self {
            wechat: wechat.await.unwrap(),
            merchant,
            notify_url,
            client: Client::new().unwrap(),
            clock,
            _stop_merchant: stop,
        }
    }

    pub(super) async fn send(
        &self,
        place: (Method, &str),
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> Incoming {
        let request = self.request(place, headers, body);
        let sent = self.client.send(request, DEADLINE, ANSWER_BYTES);
        sent.await.unwrap()
    }

    fn request(
        &self,
        (method, path): (Method, &str),
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> Outgoing {
        Outgoing {
            method,
            url: format!("{}{path}", self.wechat.url()),
            headers,
            body,
        }
    }

    pub(super) async fn control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let body = match body {
            Value::Null => vec![],
            body => body.to_string().into_bytes(),
        };
        let answer = self.send((method, path), vec![], body).await;
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.control(Method::POST, path, body).await
    }

    pub(super) async fn log_in(&self) -> String {
        let (_, made) = self.post("/sandbox/login-codes", json!({})).await;
        let path = format!(
            "/sns/jscode2session?appid={}&secret={}&js_code={}&grant_type=authorization_code",
            credentials().appid,
            credentials().secret.reveal(),
            made["code"].as_str().unwrap()
        );
        let (status, session) = self.control(Method::GET, &path, Value::Null).await;
        assert_eq!(
            (status, &session["openid"]),
            (200, &made["openid"]),
            "{session}"
        );
        session["openid"].as_str().unwrap().to_owned()
    }

    pub(super) async fn order_v3(&self) -> Incoming {
        self.order_v3_of(&self.log_in().await).await
    }

    pub(super) async fn order_v3_of(&self, openid: &str) -> Incoming {
        let sent = self.try_order_v3(openid, DEADLINE);
        sent.await.unwrap()
    }

    pub(super) async fn try_order_v3(
        &self,
        openid: &str,
        deadline: Duration,
    ) -> Result<Incoming, ClientError> {
        let mut body = order_v3_body();
        body["payer"]["openid"] = json!(openid);
        body["notify_url"] = json!(self.notify_url);
        body.as_object_mut().unwrap().remove("time_expire");
        let mut wire = Wire::of_bytes(body.to_string().into_bytes());
        wire.timestamp = self.clock.now().unix().to_string();
        let wire = wire.signed();
        let headers = vec![
            ("Authorization", wire.authorization()),
            ("Accept", "application/json".to_owned()),
            ("Content-Type", "application/json".to_owned()),
        ];
        let place = (Method::POST, "/v3/pay/transactions/jsapi");
        let request = self.request(place, headers, wire.body);
        self.client.send(request, deadline, ANSWER_BYTES).await
    }

    /// A rightly signed v3 call; a GET has no body.
    pub(super) async fn call_v3(
        &self,
        method: Method,
        target: &str,
        body: Option<&Value>,
    ) -> Incoming {
        let body = body.map_or(vec![], |body| body.to_string().into_bytes());
        self.send_v3((method, target), vec![], body).await
    }

    /// The same for a POST whose `Wechatpay-Serial` names a key.
    pub(super) async fn call_v3_naming(&self, key: &str, target: &str, body: &Value) -> Incoming {
        let naming = vec![("Wechatpay-Serial", key.to_owned())];
        let body = body.to_string().into_bytes();
        self.send_v3((Method::POST, target), naming, body).await
    }

    async fn send_v3(
        &self,
        (method, target): (Method, &str),
        mut headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> Incoming {
        let mut wire = Wire::of_bytes(body);
        wire.method = if method == Method::GET { "GET" } else { "POST" };
        wire.target = target.to_owned();
        wire.timestamp = self.clock.now().unix().to_string();
        let wire = wire.signed();
        headers.push(("Authorization", wire.authorization()));
        headers.push(("Accept", "application/json".to_owned()));
        headers.push(("Content-Type", "application/json".to_owned()));
        self.send((method, target), headers, wire.body).await
    }

    /// A rightly signed v2 call with the account's fields.
    pub(super) async fn call_v2(&self, path: &str, fields: &[(&str, &str)]) -> Fields {
        let start = Fields::new()
            .with("appid", credentials().appid.as_str())
            .with("mch_id", credentials().mchid.as_str())
            .with("nonce_str", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS");
        let fields = fields
            .iter()
            .fold(start, |fields, (name, value)| fields.with(name, *value));
        let document = signed_v2(fields, SignType::Md5).to_xml().into_bytes();
        let answer = self.send((Method::POST, path), vec![], document).await;
        assert_eq!(answer.status, 200);
        Fields::parse(&answer.body, "xml").unwrap()
    }

    pub(super) async fn order_v2(&self, sign_type: SignType) -> Fields {
        let mut fields = order_v2_fields(sign_type)
            .with("openid", self.log_in().await)
            .with("notify_url", &*self.notify_url);
        fields.remove("time_expire");
        let document = signed_v2(fields, sign_type).to_xml().into_bytes();
        let answer = self
            .send((Method::POST, "/pay/unifiedorder"), vec![], document)
            .await;
        assert_eq!(answer.status, 200);
        Fields::parse(&answer.body, "xml").unwrap()
    }

    pub(super) async fn pay(&self, prepay_id: &str) -> Value {
        let (status, paid) = self
            .post("/sandbox/payments", json!({"prepay_id": prepay_id}))
            .await;
        assert_eq!(status, 200, "{paid}");
        paid
    }

    pub(super) async fn advance(&self, seconds: i64) {
        let moved = self.control(Method::PUT, "/sandbox/clock", json!({"advance_s": seconds}));
        assert_eq!(moved.await.0, 200);
    }

    pub(super) async fn faults(&self, faults: Value) {
        let set = self.control(Method::PUT, "/sandbox/faults", faults).await;
        assert_eq!(set.0, 200, "{}", set.1);
    }

    pub(super) fn notifies(&self) -> Vec<Notify> {
        self.merchant.notifies.lock().unwrap().clone()
    }

    /// Waits until the simulator has noted that its newest notify was taken.
    pub(super) async fn accepted(&self) {
        self.trade_shows(|trade| trade["accepted_at"].is_string())
            .await;
    }

    /// Waits until the simulator has noted so many deliveries of its newest trade.
    pub(super) async fn delivered(&self, count: usize) {
        self.trade_shows(|trade| trade["deliveries"] == count).await;
    }

    /// Waits until the newest trade is as it should, at most ten seconds.
    async fn trade_shows(&self, right: impl Fn(&Value) -> bool) {
        for _ in 0..500 {
            let (_, held) = self
                .control(Method::GET, "/sandbox/trades", Value::Null)
                .await;
            if right(&held["trades"][0]) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the newest trade never came to be as it should");
    }

    /// Waits until so many notifies came, at most ten seconds.
    pub(super) async fn notified(&self, count: usize) {
        for _ in 0..500 {
            if self.notifies().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} notifies, not {count}", self.notifies().len());
    }
}

pub(super) fn is_signed(notify: &Notify) -> bool {
    let string = answer_string(&notify.timestamp, &notify.nonce, &notify.body);
    notify.serial == credentials().wechat_key_id
        && keys().wechat.public().verifies(&string, &notify.signature)
}

/// Whether an answer bears a right signature of the simulator's key.
pub(super) fn is_signed_answer(answer: &Incoming) -> bool {
    let header = |name: &str| answer.header(name).unwrap_or("");
    let (at, nonce) = (header("wechatpay-timestamp"), header("wechatpay-nonce"));
    let string = answer_string(at, nonce, &answer.body);
    let signature = header("wechatpay-signature");
    keys().wechat.public().verifies(&string, signature)
}

/// The envelope and what is sealed in it.
pub(super) fn opened(notify: &Notify) -> (Value, Value) {
    let envelope: Value = serde_json::from_slice(&notify.body).unwrap();
    let part = |name: &str| envelope["resource"][name].as_str().unwrap().as_bytes();
    let sealed = BASE64.decode(part("ciphertext")).unwrap();
    let key = credentials().v3_key.reveal().as_bytes();
    let plain = cipher::gcm_open(key, part("nonce"), part("associated_data"), &sealed).unwrap();
    (envelope, serde_json::from_slice(&plain).unwrap())
}

/// Waits until `right` holds, at most ten seconds.
pub(super) async fn until(right: impl Fn() -> bool) {
    for _ in 0..500 {
        if right() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came to be so");
}
