//! The simulator over real HTTP, against a merchant that notes what it is told.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::{Value, json};

use super::fixtures::{credentials, keys};
use super::sign_v2::{self, SignType};
use super::sign_v3::answer_string;
use super::stage::{FAIL_V2, Notify, Stage, TAKEN_V2, is_signed, opened};
use crate::base::xml::Fields;
use crate::web::{ClientError, Method};

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
        stage.advance(10).await;
        stage.wechat.sandbox().tick().await;
        assert_eq!(stage.notifies().len(), 1, "too early");
        *stage.merchant.reply.lock().unwrap() = TAKEN_V2;
        stage.advance(5).await;
        stage.notified(2).await;
        stage.accepted().await;
        stage.advance(86_400).await;
        stage.wechat.sandbox().tick().await;
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
        ("probe", 1, Some((false, true, 5980))),
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
        ("system_error", 500, true, 0),
        ("bad_sign", 200, false, 1),
        ("http_502", 502, false, 0),
        ("rate_limited", 429, true, 0),
        ("accepted", 202, true, 0),
        ("probe", 200, false, 1),
        ("refuse", 500, true, 0),
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
    let unknown = (Method::POST, "/pay/micropay");
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

#[tokio::test]
async fn an_answer_that_never_comes_was_worked_for_and_does_not_hold_the_end_up() {
    let stage = Stage::new((204, "")).await;
    let openid = stage.log_in().await;
    stage.faults(json!({"upstream": "timeout"})).await;
    let lost = stage
        .try_order_v3(&openid, Duration::from_millis(500))
        .await;
    assert_eq!(lost.unwrap_err(), ClientError::Timeout);
    let (_, held) = stage
        .control(Method::GET, "/sandbox/trades", Value::Null)
        .await;
    assert_eq!(held["trades"][0]["trade_state"], "NOTPAY");
    let ended = tokio::time::timeout(Duration::from_secs(5), stage.wechat.stop());
    assert!(ended.await.is_ok());
}

#[tokio::test]
async fn an_answer_lost_before_the_work_leaves_nothing_done() {
    let stage = Stage::new((204, "")).await;
    let openid = stage.log_in().await;
    let fault = json!({"upstream": "timeout_before", "times": 1, "path": "prepay"});
    stage.faults(fault).await;
    let lost = stage
        .try_order_v3(&openid, Duration::from_millis(500))
        .await;
    assert_eq!(lost.unwrap_err(), ClientError::Timeout);
    let (_, held) = stage
        .control(Method::GET, "/sandbox/trades", Value::Null)
        .await;
    assert_eq!(held["trades"], json!([]));
    let unnamed = json!({"upstream": "refuse", "path": "prepaid"});
    let set = stage.control(Method::PUT, "/sandbox/faults", unnamed);
    assert_eq!(set.await.0, 400);
    stage.wechat.stop().await;
}

#[tokio::test]
async fn a_planned_refusal_is_said_with_its_code_status_and_words_in_both_protocols() {
    let stage = Stage::new((204, "")).await;
    let fault = json!({
        "upstream": "refuse",
        "code": "NOT_ENOUGH",
        "message": "余额不足",
        "path": "refund",
    });
    stage.faults(fault).await;
    let target = "/v3/refund/domestic/refunds";
    let answer = stage.call_v3(Method::POST, target, Some(&json!({}))).await;
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &said["code"]), (403, &json!("NOT_ENOUGH")));
    assert_eq!(said["message"], "余额不足");
    let said = stage.call_v2("/secapi/pay/refund", &[]).await;
    assert_eq!(said.text("err_code"), "NOT_ENOUGH");
    assert!(sign_v2::verifies(
        &said,
        &credentials().v2_key,
        SignType::Md5
    ));
    let (_, listed) = stage
        .control(Method::GET, "/sandbox/requests", Value::Null)
        .await;
    assert_eq!(listed["requests"][0]["fault"], "refuse");
    stage.wechat.stop().await;
}

#[tokio::test]
async fn a_notify_never_taken_comes_sixteen_times_within_a_day_and_then_no_more() {
    let gaps = [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600]
        .into_iter()
        .chain([10_800, 10_800, 10_800, 21_600, 21_600]);
    assert_eq!(gaps.clone().sum::<i64>(), 24 * 3600 + 4 * 60);
    let stage = Stage::new((500, "")).await;
    let prepaid: Value = serde_json::from_slice(&stage.order_v3().await.body).unwrap();
    stage.pay(prepaid["prepay_id"].as_str().unwrap()).await;
    for (n, gap) in gaps.enumerate() {
        stage.delivered(n + 1).await;
        stage.advance(gap).await;
    }
    stage.delivered(16).await;
    stage.advance(30 * 86_400).await;
    stage.wechat.sandbox().tick().await;
    assert_eq!(stage.notifies().len(), 16);
    stage.wechat.stop().await;
}
