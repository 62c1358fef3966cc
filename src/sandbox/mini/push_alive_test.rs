//! Message pushes against a server that notes them: opened here by an independent hand.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::alive_test::call;
use super::upload_table::courier;
use crate::base::xml::Fields;
use crate::base::{Clock, cipher, hash};
use crate::sandbox::fixtures::credentials;
use crate::sandbox::stage::Stage;
use crate::web::{
    self, Anyone, Limits, Method, Outcome, Req, Router, Server, StatusCode, TrustedProxies, route,
};

/// One push as it came: a value of its query by name, and the body.
#[derive(Clone)]
struct Told {
    query: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Told {
    fn text(&self, name: &str) -> &str {
        let found = self.query.iter().find(|(key, _)| *key == name);
        found.map_or("", |(_, value)| value)
    }

    fn signed(&self, signature: &str, sealed: Option<&str>) -> bool {
        let token = credentials().message_token();
        let mut parts = vec![token.reveal(), self.text("timestamp"), self.text("nonce")];
        parts.extend(sealed);
        parts.sort_unstable();
        hash::sha1_hex(parts.concat().as_bytes()) == self.text(signature)
    }
}

struct Shop {
    told: Mutex<Vec<Told>>,
    status: Mutex<u16>,
}

const NAMES: [&str; 6] = [
    "signature",
    "timestamp",
    "nonce",
    "msg_signature",
    "encrypt_type",
    "echostr",
];

async fn hear(shop: Arc<Shop>, _: Anyone, mut req: Req) -> Outcome {
    let query = NAMES.map(|name| (name, req.query(name).unwrap_or_default()));
    let body = req.body().await?.to_vec();
    let told = Told {
        query: query.to_vec(),
        body,
    };
    let answer = match told.text("echostr") {
        "" => "success".to_owned(),
        _ if !told.signed("signature", None) => "no".to_owned(),
        echo => echo.to_owned(),
    };
    shop.told.lock().unwrap().push(told);
    let status = StatusCode::from_u16(*shop.status.lock().unwrap()).unwrap();
    Ok(web::text(status, "text/plain", answer))
}

/// A shop that hears pushes, and where.
async fn shop() -> (Arc<Shop>, String) {
    let limits = Limits {
        max_body_bytes: 65_536,
        max_connections: 16,
        ..Limits::default()
    };
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(anywhere, limits, TrustedProxies::default(), Clock::system());
    let server = server.await.unwrap();
    let url = format!("http://{}/wx/message", server.local_addr());
    let shop = Arc::new(Shop {
        told: Mutex::default(),
        status: Mutex::new(200),
    });
    let rows = [Method::GET, Method::POST].map(|method| route(method, "/wx/message", hear));
    let router = Router::new(rows.into());
    tokio::spawn(server.serve(router, Arc::clone(&shop), std::future::pending()));
    (shop, url)
}

/// What is sealed in `Encrypt`: message and appid, when the padding is right.
fn unsealed(sealed: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let key = BASE64.decode(format!("{}=", credentials().message_aes_key().reveal()).as_bytes());
    let key = key.unwrap_or_else(|_| lenient_key());
    let sealed = BASE64.decode(sealed.as_bytes()).ok()?;
    let plain = cipher::cbc256_open_unpadded(&key, &key[..16], &sealed).ok()?;
    let padding = usize::from(*plain.last()?);
    let text = plain.get(20..plain.len().checked_sub(padding).filter(|_| padding <= 32)?)?;
    let length = u32::from_be_bytes(plain.get(16..20)?.try_into().ok()?);
    let (message, appid) = text.split_at_checked(usize::try_from(length).ok()?)?;
    Some((message.to_vec(), appid.to_vec()))
}

fn lenient_key() -> Vec<u8> {
    // The same bytes with the two spare bits cleared.
    let text = credentials().message_aes_key();
    let mut spec = data_encoding::BASE64_NOPAD.specification();
    spec.check_trailing_bits = false;
    spec.encoding()
        .unwrap()
        .decode(text.reveal().as_bytes())
        .unwrap()
}

#[tokio::test]
async fn the_url_is_saved_only_when_it_echoes_a_signed_check() {
    let stage = Stage::new((204, "")).await;
    let (shop, url) = shop().await;
    let path = "/sandbox/message-push";
    let saved = stage
        .control(Method::PUT, path, json!({ "url": url }))
        .await;
    assert_eq!((saved.0, &saved.1["mode"]), (200, &json!("secure")));
    *shop.status.lock().unwrap() = 403;
    let refused = stage
        .control(Method::PUT, path, json!({ "url": url }))
        .await;
    assert_eq!(
        (refused.0, &refused.1["code"]),
        (409, &json!("PUSH_URL_REFUSED"))
    );
    stage.wechat.stop().await;
}

#[tokio::test]
async fn a_push_opens_in_both_modes_and_formats_and_is_signed() {
    let stage = Stage::new((204, "")).await;
    let (shop, url) = shop().await;
    for (mode, format) in [
        ("plain", "xml"),
        ("plain", "json"),
        ("secure", "xml"),
        ("secure", "json"),
    ] {
        let asked = json!({
            "event": "wxa_trade_controlled", "url": url, "mode": mode, "format": format,
            "fields": {"msg": "请开通<订单发货>"},
        });
        let (_, sent) = stage.post("/sandbox/messages", asked).await;
        assert_eq!(
            (&sent["accepted"], &sent["tries"]),
            (&json!(true), &json!(1))
        );
        let told = shop.told.lock().unwrap().pop().unwrap();
        assert!(told.signed("signature", None), "{mode} {format}");
        let fields = |body: &[u8]| -> Value {
            match format {
                "json" => serde_json::from_slice(body).unwrap(),
                _ => {
                    let fields = Fields::parse(body, "xml").unwrap();
                    fields.iter().collect()
                }
            }
        };
        let outer = fields(&told.body);
        let message = match outer["Encrypt"].as_str() {
            None => outer,
            Some(sealed) => {
                assert!(told.signed("msg_signature", Some(sealed)));
                let (message, appid) = unsealed(sealed).unwrap();
                assert_eq!(appid, credentials().appid.as_str().as_bytes());
                fields(&message)
            }
        };
        assert_eq!(message["Event"], "wxa_trade_controlled");
        assert_eq!(message["msg"], "请开通<订单发货>");
    }
    stage.wechat.stop().await;
}

#[tokio::test]
async fn each_forged_push_is_wrong_in_its_own_way() {
    let stage = Stage::new((204, "")).await;
    let (shop, url) = shop().await;
    // Forged, whether the seal's signature is right, whether it opens, whether it names our appid.
    let table = [
        ("nothing", true, true, true),
        ("signature", false, true, true),
        ("token", false, true, true),
        ("stale", true, true, true),
        ("appid", true, true, false),
        ("padding", true, false, false),
        ("length", true, false, false),
    ];
    for (forged, signed, opens, ours) in table {
        let asked = json!({"event": "e", "url": url, "forged": forged});
        stage.post("/sandbox/messages", asked).await;
        let told = shop.told.lock().unwrap().pop().unwrap();
        let body: Value = serde_json::from_slice(&told.body).unwrap();
        let sealed = body["Encrypt"].as_str().unwrap();
        assert_eq!(
            told.signed("msg_signature", Some(sealed)),
            signed,
            "{forged}"
        );
        let found = unsealed(sealed);
        assert_eq!(found.is_some(), opens, "{forged}");
        let appid = credentials().appid.as_str().as_bytes();
        assert_eq!(
            found.is_some_and(|(_, found)| found == appid),
            ours,
            "{forged}"
        );
        let age = stage.clock.now().unix() - told.text("timestamp").parse::<i64>().unwrap();
        assert_eq!(age >= 3600, forged == "stale", "{forged}");
    }
    let altered = json!({"event": "e", "url": url, "forged": "body"});
    stage.post("/sandbox/messages", altered).await;
    let told = shop.told.lock().unwrap().pop().unwrap();
    let body: Value = serde_json::from_slice(&told.body).unwrap();
    assert!(!told.signed("msg_signature", body["Encrypt"].as_str()));
    let plain = json!({"event": "e", "url": url, "forged": "body", "mode": "plain"});
    assert_eq!(stage.post("/sandbox/messages", plain).await.0, 400);
    stage.wechat.stop().await;
}

#[tokio::test]
async fn shipping_and_receipt_are_pushed_each_with_its_own_times() {
    let stage = Stage::new((204, "")).await;
    let (shop, url) = shop().await;
    let target = json!({"url": url, "mode": "plain"});
    stage
        .control(Method::PUT, "/sandbox/message-push", target)
        .await;
    let openid = stage.log_in().await;
    let prepaid: Value = serde_json::from_slice(&stage.order_v3_of(&openid).await.body).unwrap();
    let paid = stage.pay(prepaid["prepay_id"].as_str().unwrap()).await;
    let mut form = courier();
    form["order_key"]["transaction_id"] = paid["transaction_id"].clone();
    form["payer"]["openid"] = json!(openid);
    call(&stage, "/wxa/sec/order/upload_shipping_info", form).await;
    stage.wechat.sandbox().send_pushes().await;
    let receipt = json!({"transaction_id": paid["transaction_id"]});
    stage.post("/sandbox/receipts", receipt).await;
    let heard = || -> Vec<Value> {
        let told = shop.told.lock().unwrap();
        let read = |told: &Told| serde_json::from_slice(&told.body).unwrap_or_default();
        told.iter()
            .map(read)
            .filter(|body: &Value| body.is_object())
            .collect()
    };
    crate::sandbox::stage::until(|| heard().len() == 2).await;
    let [shipped, settled] = [&heard()[0], &heard()[1]];
    assert_eq!(shipped["Event"], "trade_manage_order_settlement");
    assert_eq!(shipped["merchant_trade_no"], paid["out_trade_no"]);
    assert!(shipped["estimated_settlement_time"].is_i64(), "{shipped}");
    assert_eq!(shipped["settlement_time"], Value::Null);
    assert_eq!(settled["confirm_receive_method"], 1);
    assert!(settled["settlement_time"].is_i64(), "{settled}");
    stage.wechat.stop().await;
}

#[tokio::test]
async fn a_push_that_nobody_takes_comes_three_times() {
    let stage = Stage::new((204, "")).await;
    let (shop, url) = shop().await;
    *shop.status.lock().unwrap() = 503;
    let asked = json!({"event": "wxa_trade_controlled", "url": url});
    let (_, sent) = stage.post("/sandbox/messages", asked).await;
    assert_eq!(
        (&sent["accepted"], &sent["tries"]),
        (&json!(false), &json!(3))
    );
    let (_, kept) = stage
        .control(Method::GET, "/sandbox/messages", Value::Null)
        .await;
    assert_eq!(kept["messages"][0]["status"], 503);
    stage.wechat.stop().await;
}
