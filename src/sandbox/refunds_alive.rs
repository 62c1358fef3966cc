//! Refunds over real HTTP: accepted, ended by hand or by the clock, and told to the merchant.

#![allow(clippy::unwrap_used)]

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::fixtures::{credentials, keys};
use super::sign_v2::SignType;
use super::stage::{Stage, TAKEN_V2, is_signed, is_signed_answer, opened};
use crate::base::xml::Fields;
use crate::base::{cipher, hash};
use crate::web::Method;

const V2_ORDER: &str = "20260101000X9G000000000000";
const V3_ORDER: &str = "20260101000X9G000000000001";
const REFUNDS: &str = "/v3/refund/domestic/refunds";

async fn paid_v3(reply: (u16, &'static str)) -> Stage {
    let stage = Stage::new(reply).await;
    let prepaid: Value = serde_json::from_slice(&stage.order_v3().await.body).unwrap();
    let body = json!({"prepay_id": prepaid["prepay_id"], "notify": "none"});
    assert_eq!(stage.post("/sandbox/payments", body).await.0, 200);
    stage
}

async fn refund_v3(stage: &Stage, number: &str, fen: u64) -> Value {
    let body = json!({
        "out_trade_no": V3_ORDER,
        "out_refund_no": number,
        "notify_url": stage.notify_url,
        "amount": {"refund": fen, "total": 5980, "currency": "CNY"},
    });
    let answer = stage.call_v3(Method::POST, REFUNDS, Some(&body)).await;
    assert!(answer.status == 200 && is_signed_answer(&answer));
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn a_v3_refund_is_accepted_then_decided_and_told_and_stays_as_it_ended() {
    for status in ["SUCCESS", "ABNORMAL", "CLOSED"] {
        let stage = paid_v3((204, "")).await;
        let accepted = refund_v3(&stage, "r1", 100).await;
        assert_eq!(accepted["status"], "PROCESSING");
        let finish = "/sandbox/refunds/r1/finish";
        let (code, ended) = stage.post(finish, json!({"status": status})).await;
        assert_eq!(
            (code, &ended["notify_status"]),
            (200, &json!(204)),
            "{ended}"
        );
        let notifies = stage.notifies();
        assert_eq!(notifies.len(), 1);
        assert!(is_signed(&notifies[0]));
        let (envelope, plain) = opened(&notifies[0]);
        assert_eq!(envelope["event_type"], format!("REFUND.{status}"));
        assert_eq!(plain["refund_status"], status);
        assert_eq!(plain["amount"]["refund"], 100);
        assert_eq!(plain["refund_id"], accepted["refund_id"]);
        assert_eq!(plain.get("success_time").is_some(), status == "SUCCESS");
        let found = stage
            .call_v3(Method::GET, &format!("{REFUNDS}/r1"), None)
            .await;
        let found: Value = serde_json::from_slice(&found.body).unwrap();
        assert_eq!(found["status"], status);
        let again = stage.post(finish, json!({"status": "SUCCESS"})).await.0;
        assert_eq!(again, if status == "ABNORMAL" { 200 } else { 409 });
        stage.wechat.stop().await;
    }
}

#[tokio::test]
async fn a_refund_nobody_decides_ends_after_its_time_and_is_told_until_it_is_taken() {
    let stage = paid_v3((500, "")).await;
    refund_v3(&stage, "r1", 100).await;
    stage.advance(58).await;
    stage.wechat.sandbox().tick().await;
    assert_eq!(stage.notifies().len(), 0, "too early");
    stage.advance(2).await;
    stage.notified(1).await;
    *stage.merchant.reply.lock().unwrap() = (204, "");
    stage.advance(20).await;
    stage.notified(2).await;
    let plan = json!({"after_s": null});
    let set = stage.control(Method::PUT, "/sandbox/refunds", plan);
    assert_eq!(set.await.0, 200);
    refund_v3(&stage, "r2", 100).await;
    stage.advance(86_400).await;
    stage.wechat.sandbox().tick().await;
    let found = stage
        .call_v3(Method::GET, &format!("{REFUNDS}/r2"), None)
        .await;
    let found: Value = serde_json::from_slice(&found.body).unwrap();
    assert_eq!(found["status"], "PROCESSING");
    stage.wechat.stop().await;
}

fn told_v2(body: &[u8]) -> (Fields, Fields) {
    let outer = Fields::parse(body, "xml").unwrap();
    let key = hash::md5_hex(credentials().v2_key.reveal().as_bytes());
    let sealed = BASE64.decode(outer.text("req_info").as_bytes()).unwrap();
    let plain = cipher::ecb256_open(key.as_bytes(), &sealed).unwrap_or_default();
    let plain = Fields::parse(&plain, "root").unwrap_or_default();
    (outer, plain)
}

#[tokio::test]
async fn a_v2_refund_is_told_in_req_info_and_each_fault_is_wrong_in_its_own_way() {
    // Fault; of what is told: readable, our appid, the amount.
    let table = [
        ("normal", true, true, "100"),
        ("bad_sign", false, true, ""),
        ("wrong_amount", true, true, "101"),
        ("wrong_appid", true, false, "100"),
    ];
    for (fault, readable, ours, amount) in table {
        let stage = Stage::new(TAKEN_V2).await;
        let opened = stage.order_v2(SignType::Md5).await;
        stage.pay(opened.text("prepay_id")).await;
        let answer = stage
            .call_v2(
                "/secapi/pay/refund",
                &[
                    ("out_trade_no", V2_ORDER),
                    ("out_refund_no", "r1"),
                    ("total_fee", "5980"),
                    ("refund_fee", "100"),
                    ("notify_url", &stage.notify_url),
                ],
            )
            .await;
        assert_eq!(answer.text("result_code"), "SUCCESS", "{answer:?}");
        stage.faults(json!({"notify": fault, "times": 1})).await;
        let finish = "/sandbox/refunds/r1/finish";
        stage.post(finish, json!({"status": "SUCCESS"})).await;
        let notifies = stage.notifies();
        let (outer, plain) = told_v2(&notifies.last().unwrap().body);
        assert_eq!(outer.get("sign"), None);
        assert_eq!(!plain.text("refund_id").is_empty(), readable, "{fault}");
        let appid = outer.text("appid") == credentials().appid.as_str();
        assert_eq!((appid, plain.text("refund_fee")), (ours, amount), "{fault}");
        let status = if readable { "SUCCESS" } else { "" };
        assert_eq!(plain.text("refund_status"), status);
        stage.wechat.stop().await;
    }
}

#[tokio::test]
async fn a_refund_by_hand_is_told_with_a_number_of_its_own_and_shows_in_the_order() {
    let stage = Stage::new(TAKEN_V2).await;
    let opened = stage.order_v2(SignType::Md5).await;
    stage.pay(opened.text("prepay_id")).await;
    let by_hand = json!({
        "out_trade_no": V2_ORDER,
        "amount_fen": 80,
        "notify_url": stage.notify_url,
    });
    let (code, started) = stage.post("/sandbox/refunds", by_hand).await;
    assert_eq!(code, 200, "{started}");
    let number = started["out_refund_no"].as_str().unwrap();
    let finish = format!("/sandbox/refunds/{number}/finish");
    stage.post(&finish, json!({"status": "SUCCESS"})).await;
    let (_, plain) = told_v2(&stage.notifies().last().unwrap().body);
    assert_eq!(plain.text("refund_request_source"), "VENDOR_PLATFORM");
    assert_eq!(plain.text("out_refund_no"), number);
    let found = stage
        .call_v2("/pay/orderquery", &[("out_trade_no", V2_ORDER)])
        .await;
    assert_eq!(found.text("trade_state"), "REFUND");
    assert_eq!(found.text("total_fee"), "5980");
    let unpaid = json!({"out_trade_no": "unknown", "amount_fen": 80});
    assert_eq!(stage.post("/sandbox/refunds", unpaid).await.0, 404);
    stage.wechat.stop().await;
}

#[tokio::test]
async fn an_abnormal_refund_goes_to_a_card_sealed_for_the_key_that_is_named() {
    let stage = paid_v3((204, "")).await;
    let accepted = refund_v3(&stage, "r1", 100).await;
    let finish = "/sandbox/refunds/r1/finish";
    stage.post(finish, json!({"status": "ABNORMAL"})).await;
    let id = accepted["refund_id"].as_str().unwrap();
    let target = format!("{REFUNDS}/{id}/apply-abnormal-refund");
    let body = |sealed: &str| {
        json!({
            "out_refund_no": "r1",
            "type": "USER_BANK_CARD",
            "bank_type": "ICBC_DEBIT",
            "bank_account": sealed,
            "real_name": sealed,
        })
    };
    let refused = stage
        .call_v3(Method::POST, &target, Some(&body("6222020000000000000")))
        .await;
    assert_eq!(refused.status, 400);
    let sealed = keys().wechat.public().seal(b"6222020000000000000").unwrap();
    let unnamed = stage
        .call_v3(Method::POST, &target, Some(&body(&sealed)))
        .await;
    assert_eq!(unnamed.status, 400, "no Wechatpay-Serial");
    let taken = stage
        .call_v3_naming(&credentials().wechat_key_id, &target, &body(&sealed))
        .await;
    assert_eq!(taken.status, 200);
    let taken: Value = serde_json::from_slice(&taken.body).unwrap();
    assert_eq!(taken["status"], "PROCESSING");
    stage.wechat.stop().await;
}
