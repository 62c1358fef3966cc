//! The simulator over real HTTP, against a merchant that notes what it is told.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::BASE64;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::fixtures::{Wire, credentials, keys, order_v2_fields, order_v3_body, signed_v2};
use super::sign_v2::{self, SignType};
use super::sign_v3::answer_string;
use super::{Running, start};
use crate::base::xml::Fields;
use crate::base::{Clock, cipher};
use crate::web::{self, Anyone, Client, Incoming, Limits, Method, Outcome, Outgoing, Req};
use crate::web::{Deadlines, Router, Server, StatusCode, TrustedProxies, route};

/// One notify as the merchant got it.
#[derive(Clone)]
struct Notify {
    timestamp: String,
    nonce: String,
    serial: String,
    signature: String,
    body: Vec<u8>,
}

/// A merchant's server: notes every notify, answers each with the same reply.
struct Merchant {
    reply: Mutex<(u16, &'static str)>,
    notifies: Mutex<Vec<Notify>>,
}

const TAKEN_V2: (u16, &str) = (
    200,
    "<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>",
);
const FAIL_V2: (u16, &str) = (
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
struct Stage {
    wechat: Running,
    merchant: Arc<Merchant>,
    notify_url: String,
    client: Client,
    clock: Clock,
    _stop_merchant: oneshot::Sender<()>,
}

impl Stage {
    async fn new(reply: (u16, &'static str)) -> Self {
        let (anywhere, clock) = ("127.0.0.1:0".parse().unwrap(), Clock::system());
        let wechat = start(anywhere, clock.clone(), credentials().clone());
        let limits = Limits {
            max_body_bytes: 65_536,
            max_connections: 16,
            deadlines: Deadlines::default(),
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

    async fn send(
        &self,
        (method, path): (Method, &str),
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> Incoming {
        let request = Outgoing {
            method,
            url: format!("{}{path}", self.wechat.url()),
            headers,
            body,
        };
        let sent = self.client.send(request, Duration::from_secs(10), 1 << 20);
        sent.await.unwrap()
    }

    async fn control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let body = match body {
            Value::Null => vec![],
            body => body.to_string().into_bytes(),
        };
        let answer = self.send((method, path), vec![], body).await;
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.control(Method::POST, path, body).await
    }

    async fn log_in(&self) -> String {
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

    async fn order_v3(&self) -> Incoming {
        self.order_v3_of(&self.log_in().await).await
    }

    async fn order_v3_of(&self, openid: &str) -> Incoming {
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
        let sent = self.send(
            (Method::POST, "/v3/pay/transactions/jsapi"),
            headers,
            wire.body,
        );
        sent.await
    }

    async fn order_v2(&self, sign_type: SignType) -> Fields {
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

    async fn pay(&self, prepay_id: &str) -> Value {
        let (status, paid) = self
            .post("/sandbox/payments", json!({"prepay_id": prepay_id}))
            .await;
        assert_eq!(status, 200, "{paid}");
        paid
    }

    async fn advance(&self, seconds: i64) {
        let moved = self.control(Method::PUT, "/sandbox/clock", json!({"advance_s": seconds}));
        assert_eq!(moved.await.0, 200);
    }

    async fn faults(&self, faults: Value) {
        let set = self.control(Method::PUT, "/sandbox/faults", faults).await;
        assert_eq!(set.0, 200, "{}", set.1);
    }

    fn notifies(&self) -> Vec<Notify> {
        self.merchant.notifies.lock().unwrap().clone()
    }

    /// Waits until so many notifies came, at most ten seconds.
    async fn notified(&self, count: usize) {
        for _ in 0..500 {
            if self.notifies().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} notifies, not {count}", self.notifies().len());
    }
}

fn is_signed(notify: &Notify) -> bool {
    let string = answer_string(&notify.timestamp, &notify.nonce, &notify.body);
    notify.serial == credentials().wechat_key_id
        && keys().wechat.public().verifies(&string, &notify.signature)
}

/// The envelope and what is sealed in it.
fn opened(notify: &Notify) -> (Value, Value) {
    let envelope: Value = serde_json::from_slice(&notify.body).unwrap();
    let part = |name: &str| envelope["resource"][name].as_str().unwrap().as_bytes();
    let sealed = BASE64.decode(part("ciphertext")).unwrap();
    let key = credentials().v3_key.reveal().as_bytes();
    let plain = cipher::gcm_open(key, part("nonce"), part("associated_data"), &sealed).unwrap();
    (envelope, serde_json::from_slice(&plain).unwrap())
}

#[tokio::test]
async fn a_v3_order_is_paid_and_told_sealed_and_signed_and_again_when_asked() {
    let stage = Stage::new((204, "")).await;
    let answer = stage.order_v3().await;
    let header = |name: &str| answer.header(name).unwrap();
    let string = answer_string(
        header("wechatpay-timestamp"),
        header("wechatpay-nonce"),
        &answer.body,
    );
    assert!(
        keys()
            .wechat
            .public()
            .verifies(&string, header("wechatpay-signature"))
    );
    let prepaid: Value = serde_json::from_slice(&answer.body).unwrap();
    let paid = stage.pay(prepaid["prepay_id"].as_str().unwrap()).await;
    assert_eq!(
        (&paid["notify_status"], &paid["notify_accepted"]),
        (&json!(204), &json!(true))
    );

    let path = format!(
        "/sandbox/notifies/{}/resend",
        paid["out_trade_no"].as_str().unwrap()
    );
    assert_eq!(stage.post(&path, Value::Null).await.0, 200);
    let notifies = stage.notifies();
    assert_eq!(notifies.len(), 2);
    assert!(notifies.iter().all(is_signed));
    let [(first, plain), (second, again)] = [opened(&notifies[0]), opened(&notifies[1])];
    assert_eq!((&first["id"], &plain), (&second["id"], &again));
    assert_eq!(plain["amount"]["total"], 5980);
    assert_eq!(plain["transaction_id"], paid["transaction_id"]);
    stage.wechat.stop().await;
}

#[tokio::test]
async fn a_v2_notify_that_is_not_taken_comes_again_on_schedule_until_it_is() {
    for sign_type in [SignType::Md5, SignType::HmacSha256] {
        let stage = Stage::new(FAIL_V2).await;
        let answer = stage.order_v2(sign_type).await;
        let key = &credentials().v2_key;
        assert!(sign_v2::verifies(&answer, key, sign_type));
        let paid = stage.pay(answer.text("prepay_id")).await;
        let judged = (&paid["notify_status"], &paid["notify_accepted"]);
        assert_eq!(judged, (&json!(200), &json!(false)));
        stage.advance(14).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(stage.notifies().len(), 1, "too early");
        *stage.merchant.reply.lock().unwrap() = TAKEN_V2;
        stage.advance(1).await;
        stage.notified(2).await;
        stage.advance(86_400).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let notifies = stage.notifies();
        assert_eq!(notifies.len(), 2, "taken, yet told again");
        for notify in notifies {
            let fields = Fields::parse(&notify.body, "xml").unwrap();
            assert!(sign_v2::verifies(&fields, key, sign_type));
            assert_eq!(fields.text("total_fee"), "5980");
            assert_eq!(fields.text("attach"), "门店=东&门店");
        }
        stage.wechat.stop().await;
    }
}

#[tokio::test]
async fn each_fault_of_a_notify_is_wrong_in_its_own_way_and_the_truth_follows() {
    // Fault, notifies at once, and of the first: signed, of our appid, of the right amount.
    let right = (true, true, 5980);
    let table = [
        ("normal", 1, Some(right)),
        ("drop", 0, None),
        ("delay", 0, None),
        ("duplicate", 2, Some(right)),
        ("bad_sign", 1, Some((false, true, 5980))),
        ("wrong_amount", 1, Some((true, true, 5981))),
        ("wrong_appid", 1, Some((true, false, 5980))),
    ];
    for (fault, at_once, seen) in table {
        let stage = Stage::new((500, "")).await;
        stage.faults(json!({"notify": fault, "times": 1})).await;
        let prepaid: Value = serde_json::from_slice(&stage.order_v3().await.body).unwrap();
        stage.pay(prepaid["prepay_id"].as_str().unwrap()).await;
        let notifies = stage.notifies();
        assert_eq!(notifies.len(), at_once, "{fault}");
        let told = |notify: &Notify| {
            let (_, plain) = opened(notify);
            let ours = plain["appid"] == json!(credentials().appid);
            (
                is_signed(notify),
                ours,
                plain["amount"]["total"].as_i64().unwrap(),
            )
        };
        assert_eq!(notifies.first().map(told), seen, "{fault}");
        stage.advance(15).await;
        stage.notified(at_once + 1).await;
        assert_eq!(
            stage.notifies().last().map(told),
            Some(right),
            "after {fault}"
        );
        stage.wechat.stop().await;
    }
}

#[tokio::test]
async fn each_fault_of_an_answer_is_played_and_what_was_done_stays_done() {
    // Fault, status, whether the answer's signature is right, how many trades there are then.
    let table = [
        ("normal", 200, true, 1),
        ("http_500", 500, false, 0),
        ("system_error", 500, false, 0),
        ("bad_sign", 200, false, 1),
    ];
    for (fault, status, signed, trades) in table {
        let stage = Stage::new((204, "")).await;
        let openid = stage.log_in().await;
        stage.faults(json!({"upstream": fault, "times": 1})).await;
        let answer = stage.order_v3_of(&openid).await;
        assert_eq!(answer.status, status, "{fault}");
        let header = |name: &str| answer.header(name).unwrap_or("").to_owned();
        let (at, nonce) = (header("wechatpay-timestamp"), header("wechatpay-nonce"));
        let string = answer_string(&at, &nonce, &answer.body);
        let right = keys()
            .wechat
            .public()
            .verifies(&string, &header("wechatpay-signature"));
        assert_eq!(right, signed, "{fault}");
        let (_, held) = stage
            .control(Method::GET, "/sandbox/trades", Value::Null)
            .await;
        assert_eq!(held["trades"].as_array().unwrap().len(), trades, "{fault}");
        stage.wechat.stop().await;
    }
}

#[tokio::test]
async fn the_requests_are_listed_with_their_verdicts_and_without_any_secret() {
    let stage = Stage::new(TAKEN_V2).await;
    stage.log_in().await;
    stage.order_v3().await;
    stage.order_v2(SignType::Md5).await;
    let get = (Method::GET, "/pay/unifiedorder");
    let refused = stage.send(get, vec![], vec![]).await;
    let refused = Fields::parse(&refused.body, "xml").unwrap();
    assert_eq!(
        (refused.text("return_code"), refused.get("sign")),
        ("FAIL", None)
    );
    let unsigned = (Method::POST, "/v3/pay/transactions/jsapi");
    assert_eq!(
        stage.send(unsigned, vec![], b"{}".to_vec()).await.status,
        401
    );
    let unknown = (Method::POST, "/pay/orderquery");
    assert_eq!(
        stage
            .send(unknown, vec![], b"<xml></xml>".to_vec())
            .await
            .status,
        404
    );

    let (_, listed) = stage
        .control(Method::GET, "/sandbox/requests", Value::Null)
        .await;
    let requests = listed["requests"].as_array().unwrap();
    let verdicts: Vec<_> = requests
        .iter()
        .map(|r| r["verdict"].as_str().unwrap())
        .collect();
    let wanted = [
        "SIGN_ERROR",
        "REQUIRE_POST_METHOD",
        "OK",
        "OK",
        "OK",
        "OK",
        "OK",
    ];
    assert_eq!(verdicts, wanted);
    let text = listed.to_string();
    for secret in [
        &credentials().secret,
        &credentials().v2_key,
        &credentials().v3_key,
    ] {
        assert!(!text.contains(secret.reveal()));
    }
    stage.wechat.stop().await;
}

#[tokio::test]
async fn what_cannot_be_paid_or_resent_is_refused_by_name() {
    let stage = Stage::new((204, "")).await;
    let unknown = stage
        .post("/sandbox/payments", json!({"prepay_id": "wx0"}))
        .await;
    assert_eq!(
        (unknown.0, &unknown.1["code"]),
        (404, &json!("PREPAY_ID_UNKNOWN"))
    );
    let prepaid: Value = serde_json::from_slice(&stage.order_v3().await.body).unwrap();
    let resend = "/sandbox/notifies/20260101000X9G000000000001/resend";
    let early = stage.post(resend, Value::Null).await;
    assert_eq!((early.0, &early.1["code"]), (404, &json!("ORDERNOTEXIST")));
    stage.pay(prepaid["prepay_id"].as_str().unwrap()).await;
    let twice = stage.post("/sandbox/payments", prepaid).await;
    assert_eq!((twice.0, &twice.1["code"]), (409, &json!("ORDERPAID")));
    let misspelt = stage.control(Method::PUT, "/sandbox/faults", json!({"notify": "lost"}));
    assert_eq!(misspelt.await.0, 400);
    let code = stage
        .post("/sandbox/login-codes", json!({"errcode": 40029}))
        .await;
    assert_eq!(code.0, 400);
    stage.wechat.stop().await;
}
