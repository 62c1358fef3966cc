//! Message push through the shop: who is believed, what is kept, and what follows.

use serde_json::{Value, json};

use super::*;
use crate::base::{hash, secret};
use crate::model::Delivery;
use crate::shop::parcel_stand::{GET_ORDER, PAYMENT, Parcels, TOKEN};
use crate::shop::tests::{settings, shop_from};
use crate::store::Store;

const VECTORS: &str = include_str!("../../tests/golden/wechat/vectors-v2.json");

fn vector(id: &str) -> Value {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    let all = all["vectors"].as_array().unwrap();
    all.iter().find(|v| v["id"] == id).unwrap().clone()
}

/// The query of a plain push that WeChat makes at `now`.
fn signed(now: Timestamp) -> Asked {
    let (timestamp, nonce) = (now.unix().to_string(), secret::random_text(8));
    let mut parts = [TOKEN, &timestamp, &nonce];
    parts.sort_unstable();
    let signature = hash::sha1_hex(parts.concat().as_bytes());
    Asked {
        timestamp,
        nonce,
        signature,
        msg_signature: String::new(),
    }
}

async fn pushed(parcels: &Parcels, body: &Value) -> PushHeard {
    let now = parcels.stand.now();
    let (asked, body) = (signed(now), body.to_string());
    let heard = parcels.stand.shop.take_push(&asked, body.as_bytes(), now);
    heard.await.unwrap()
}

fn settlement(parcels: &Parcels, more: &Value) -> Value {
    let mut body = json!({
        "ToUserName": "gh_1", "MsgType": "event", "CreateTime": 1_767_225_600,
        "Event": "trade_manage_order_settlement",
        "transaction_id": PAYMENT, "merchant_trade_no": parcels.out_trade_no(),
    });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A shop of the vectors' program that has heard `id` at the time it was made.
async fn heard(id: &str, change: impl FnOnce(&mut Value)) -> PushHeard {
    let mut vector = vector(id);
    let text = |vector: &Value, name: &str| vector[name].as_str().unwrap_or("").to_owned();
    let appid: crate::base::AppId = text(&vector, "appid").parse().unwrap();
    let (token, key) = (text(&vector, "token"), text(&vector, "encoding_aes_key"));
    let mut settings = settings(appid.clone(), None);
    let token = Secret::new(token);
    settings.push.keys = PushKeys::new(token.clone(), &Secret::new(key), appid).ok();
    settings.push.token = token;
    let shop = shop_from(
        settings,
        "http://127.0.0.1:1",
        "http://127.0.0.1:1",
        Store::memory(),
    );
    change(&mut vector);
    let asked = Asked {
        timestamp: text(&vector, "timestamp"),
        nonce: text(&vector, "nonce"),
        signature: String::new(),
        msg_signature: text(&vector, "msg_signature"),
    };
    let now = Timestamp::from_unix(asked.timestamp.parse().unwrap_or(0));
    let now = now.plus(std::time::Duration::from_secs(
        vector["late_s"].as_u64().unwrap_or(0),
    ));
    let sealed = text(&vector, "Encrypt");
    let body = match vector["xml"].as_bool() {
        Some(true) => format!("<xml><ToUserName>g</ToUserName><Encrypt>{sealed}</Encrypt></xml>"),
        _ => json!({"ToUserName": "g", "Encrypt": sealed}).to_string(),
    };
    shop.take_push(&asked, body.as_bytes(), now).await.unwrap()
}

const SECURE: [&str; 3] = [
    "push-004-secure-mode-official",
    "push-006-xml-chinese",
    "push-007-settlement-event",
];

#[tokio::test]
async fn every_secure_vector_is_taken_in_both_formats() {
    for id in SECURE {
        assert_eq!(heard(id, |_| {}).await, PushHeard::Taken, "{id}");
        let xml = heard(id, |vector| vector["xml"] = true.into()).await;
        assert_eq!(xml, PushHeard::Taken, "{id}");
    }
}

#[tokio::test]
async fn what_is_altered_stale_or_anothers_is_refused() {
    use PushHeard::Refused;
    for id in SECURE {
        for (name, want) in [
            ("nonce", BadPush::BadSignature),
            ("Encrypt", BadPush::BadSignature),
        ] {
            let altered = heard(id, |vector| vector[name] = "AAAA".into()).await;
            assert_eq!(altered, Refused(want), "{id} {name}");
        }
        for (late_s, fresh) in [(300_u64, true), (301, false)] {
            let late = heard(id, |vector| vector["late_s"] = late_s.into()).await;
            assert_eq!(late == PushHeard::Taken, fresh, "{id} {late_s}");
        }
        let closed = heard(id, |vector| vector["msg_signature"] = "".into()).await;
        assert_eq!(closed, Refused(BadPush::BadSignature), "{id}");
    }
    let foreign = heard("push-008-foreign-appid", |_| {}).await;
    assert_eq!(foreign, Refused(BadPush::CannotOpen));
    let wrong = heard("push-009-wrong-signature", |_| {}).await;
    assert_eq!(wrong, Refused(BadPush::BadSignature));
}

#[tokio::test]
async fn a_mode_without_its_key_refuses_everything() {
    let parcels = Parcels::pending_with(|settings| settings.push = PushSettings::default()).await;
    let (shop, now) = (&parcels.stand.shop, parcels.stand.now());
    let mut parts = [now.unix().to_string(), "n".to_owned()];
    parts.sort_unstable();
    // What anyone could sign with an empty token.
    let forged = Asked {
        timestamp: now.unix().to_string(),
        nonce: "n".to_owned(),
        signature: hash::sha1_hex(parts.concat().as_bytes()),
        msg_signature: hash::sha1_hex(b""),
    };
    assert_eq!(shop.check_push_url(&forged), Err(BadPush::NotConfigured));
    for body in [r#"{"Event":"x"}"#, r#"{"Encrypt":"AAAA"}"#, ""] {
        let heard = shop.take_push(&forged, body.as_bytes(), now).await.unwrap();
        assert_eq!(heard, PushHeard::Refused(BadPush::NotConfigured), "{body}");
    }
}

#[tokio::test]
async fn only_a_signed_url_check_is_answered() {
    let parcels = Parcels::pending_with(|_| {}).await;
    let shop = &parcels.stand.shop;
    let good = signed(Timestamp::from_unix(1));
    assert_eq!(shop.check_push_url(&good), Ok(()));
    let other = Asked {
        nonce: "1".to_owned(),
        ..good
    };
    assert_eq!(shop.check_push_url(&other), Err(BadPush::BadSignature));
}

#[tokio::test]
async fn an_estimate_and_a_settlement_are_kept_once_however_often_they_are_told() {
    let parcels = Parcels::paid().await;
    parcels.shipped("SF1").await;
    let at = 1_767_312_000;
    let estimate = settlement(&parcels, &json!({"estimated_settlement_time": at}));
    for _ in 0..3 {
        assert_eq!(pushed(&parcels, &estimate).await, PushHeard::Taken);
    }
    let told = parcels.stand.told().await;
    let known = told.settlement.unwrap();
    assert_eq!(
        (known.estimated_at, known.settled_at),
        (Some(Timestamp::from_unix(at)), None)
    );
    assert_eq!(parcels.stand.lines("shipping.settlement").await.len(), 1);
    assert!(parcels.mini.heard(GET_ORDER).is_empty());
    let settled = settlement(
        &parcels,
        &json!({
            "confirm_receive_method": 1, "confirm_receive_time": at + 5, "settlement_time": at + 9,
        }),
    );
    pushed(&parcels, &settled).await;
    pushed(&parcels, &estimate).await;
    let known = parcels.stand.told().await.settlement.unwrap();
    assert_eq!(known.settled_at, Some(Timestamp::from_unix(at + 9)));
    assert_eq!(known.receive_method, Some(1));
    assert_eq!(parcels.stand.lines("shipping.settlement").await.len(), 2);
}

#[tokio::test]
async fn receipt_counts_only_when_wechat_confirms_it_when_asked() {
    for (state, want) in [
        (1, OrderStatus::Shipped),
        (2, OrderStatus::Shipped),
        (3, OrderStatus::Completed),
        (4, OrderStatus::Completed),
        (5, OrderStatus::Shipped),
        (6, OrderStatus::Completed),
    ] {
        let parcels = Parcels::paid().await;
        parcels.shipped("SF1").await;
        let answer = json!({"errcode": 0, "order": {"order_state": state, "shipping": {}}});
        parcels.mini.says(GET_ORDER, &[&answer.to_string()]);
        let told = settlement(&parcels, &json!({"confirm_receive_time": 1_767_312_000}));
        pushed(&parcels, &told).await;
        assert_eq!(
            parcels.stand.status().await,
            OrderStatus::Shipped,
            "not yet asked"
        );
        parcels.stand.work().await;
        assert_eq!(parcels.stand.status().await, want, "{state}");
        assert_eq!(parcels.mini.heard(GET_ORDER).len(), 1, "{state}");
        pushed(&parcels, &told).await;
        parcels.stand.work().await;
        assert_eq!(parcels.stand.status().await, want, "{state}, told again");
    }
}

#[tokio::test]
async fn asking_about_receipt_is_tried_again() {
    let parcels = Parcels::paid().await;
    parcels.shipped("SF1").await;
    parcels.mini.says(GET_ORDER, &[""]);
    parcels.mini.refuses(GET_ORDER, &[-1]);
    let answer = json!({"errcode": 0, "order": {"order_state": 4, "shipping": {}}});
    parcels.mini.says(GET_ORDER, &[&answer.to_string()]);
    let told = settlement(&parcels, &json!({"settlement_time": 1_767_312_000}));
    pushed(&parcels, &told).await;
    parcels.stand.work().await;
    parcels.stand.pass(10).await;
    parcels.stand.pass(20).await;
    assert_eq!(parcels.stand.status().await, OrderStatus::Completed);
    let lines = parcels.stand.lines("order.completed").await;
    assert_eq!(lines, ["微信确认：买家已收货"]);
}

#[tokio::test]
async fn an_order_is_found_by_either_number_and_a_strangers_is_acknowledged() {
    for (mine, transaction_id, out_trade_no) in [
        (true, PAYMENT, "none"),
        (true, "", "OURS"),
        (false, "4200000000000000000000000009", "none"),
        (false, "", ""),
    ] {
        let parcels = Parcels::paid().await;
        let out_trade_no = out_trade_no.replace("OURS", &parcels.out_trade_no());
        let reminder = json!({
            "Event": "trade_manage_remind_shipping", "CreateTime": 1,
            "transaction_id": transaction_id, "merchant_trade_no": out_trade_no, "msg": "请发货",
        });
        assert_eq!(pushed(&parcels, &reminder).await, PushHeard::Taken);
        let lines = parcels.stand.lines("shipping.reminded").await;
        assert_eq!(lines.len(), usize::from(mine), "{reminder}");
    }
}

#[tokio::test]
async fn a_push_that_cannot_be_read_changes_nothing() {
    let parcels = Parcels::paid().await;
    parcels.ship("SF1", Delivery::Whole).await.unwrap();
    let now = parcels.stand.now();
    for body in ["", "[]", "{", "<xml>", "x"] {
        let heard = parcels
            .stand
            .shop
            .take_push(&signed(now), body.as_bytes(), now)
            .await;
        assert_eq!(
            heard.unwrap(),
            PushHeard::Refused(BadPush::CannotOpen),
            "{body}"
        );
    }
    for event in [
        "trade_manage_remind_access_api",
        "wxa_trade_controlled",
        "other",
    ] {
        let told = pushed(&parcels, &json!({"Event": event, "msg": "m"})).await;
        assert_eq!(told, PushHeard::Taken, "{event}");
    }
}
