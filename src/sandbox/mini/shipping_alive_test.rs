//! The shipping service over real HTTP: from a payment to receipt.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::alive_test::call;
use super::upload_table::courier;
use crate::sandbox::fixtures::credentials;
use crate::sandbox::stage::Stage;
use crate::web::Method;

const UPLOAD: &str = "/wxa/sec/order/upload_shipping_info";
const GET_ORDER: &str = "/wxa/sec/order/get_order";

/// A paid order: openid, and what the payment answered.
async fn paid(stage: &Stage) -> (String, Value) {
    let openid = stage.log_in().await;
    let answer = stage.order_v3_of(&openid).await;
    let prepaid: Value = serde_json::from_slice(&answer.body).unwrap();
    (
        openid,
        stage.pay(prepaid["prepay_id"].as_str().unwrap()).await,
    )
}

fn upload(openid: &str, paid: &Value) -> Value {
    let mut form = courier();
    form["order_key"]["transaction_id"] = paid["transaction_id"].clone();
    form["payer"]["openid"] = json!(openid);
    form
}

async fn order(stage: &Stage, paid: &Value) -> Value {
    let asked = json!({
        "merchant_id": credentials().mchid,
        "merchant_trade_no": paid["out_trade_no"],
    });
    call(stage, GET_ORDER, asked).await["order"].clone()
}

#[tokio::test]
async fn a_payment_is_shipped_received_and_settled() {
    let stage = Stage::new((204, "")).await;
    let (openid, paid) = paid(&stage).await;
    let before = order(&stage, &paid).await;
    assert_eq!(
        (&before["order_state"], &before["shipping"]),
        (&json!(1), &json!({}))
    );
    let form = upload(&openid, &paid);
    assert_eq!(call(&stage, UPLOAD, form.clone()).await["errcode"], 0);
    assert_eq!(call(&stage, UPLOAD, form).await["errcode"], 10_060_023);
    let shipped = order(&stage, &paid).await;
    assert_eq!(shipped["order_state"], 2);
    assert_eq!(shipped["shipping"]["finish_shipping_count"], 1);
    assert_eq!(shipped["shipping"]["shipping_list"][0]["tracking_no"], "T1");
    let receipt = json!({"out_trade_no": paid["out_trade_no"]});
    let (status, received) = stage.post("/sandbox/receipts", receipt.clone()).await;
    assert_eq!(
        (status, &received["order_state"]),
        (200, &json!(4)),
        "{received}"
    );
    assert_eq!(stage.post("/sandbox/receipts", receipt).await.0, 409);
    assert_eq!(order(&stage, &paid).await["order_state"], 4);
    stage.wechat.stop().await;
}

#[tokio::test]
async fn an_upload_names_a_known_payment_of_this_payer() {
    let stage = Stage::new((204, "")).await;
    let (openid, paid) = paid(&stage).await;
    let right = upload(&openid, &paid);
    let mut unknown = right.clone();
    unknown["order_key"]["transaction_id"] = json!("4200002345200001010000000000");
    let mut foreign = right.clone();
    foreign["order_key"] = json!({
        "order_number_type": 1, "mchid": "1900000000", "out_trade_no": paid["out_trade_no"],
    });
    let other = upload(&stage.log_in().await, &paid);
    for (form, errcode) in [
        (unknown, 10_060_001),
        (foreign, 10_060_001),
        (other, 10_060_031),
    ] {
        assert_eq!(call(&stage, UPLOAD, form).await["errcode"], errcode);
    }
    stage.wechat.stop().await;
}

#[tokio::test]
async fn a_fresh_payment_is_unknown_for_as_long_as_the_test_wants() {
    let stage = Stage::new((204, "")).await;
    let late = json!({"known_after_s": 60});
    stage.control(Method::PUT, "/sandbox/shipping", late).await;
    let (openid, paid) = paid(&stage).await;
    let form = upload(&openid, &paid);
    assert_eq!(
        call(&stage, UPLOAD, form.clone()).await["errcode"],
        10_060_001
    );
    stage.advance(60).await;
    assert_eq!(call(&stage, UPLOAD, form).await["errcode"], 0);
    stage.wechat.stop().await;
}

#[tokio::test]
async fn a_mini_program_that_is_not_managed_cannot_report_shipping() {
    let stage = Stage::new((204, "")).await;
    let (openid, paid) = paid(&stage).await;
    let app = json!({"appid": credentials().appid});
    let path = "/wxa/sec/order/is_trade_managed";
    assert_eq!(
        call(&stage, path, app.clone()).await["is_trade_managed"],
        true
    );
    let off = json!({"is_trade_managed": false, "confirmation_completed": false});
    stage.control(Method::PUT, "/sandbox/shipping", off).await;
    assert_eq!(
        call(&stage, path, app.clone()).await["is_trade_managed"],
        false
    );
    let completed = "/wxa/sec/order/is_trade_management_confirmation_completed";
    assert_eq!(call(&stage, completed, app).await["completed"], false);
    let wrong = call(&stage, path, json!({"appid": "wx8888888888888888"})).await;
    assert_eq!(wrong["errcode"], 40013);
    assert_eq!(
        call(&stage, UPLOAD, upload(&openid, &paid)).await["errcode"],
        48001
    );
    stage.wechat.stop().await;
}

#[tokio::test]
async fn payments_are_listed_by_state_page_by_page() {
    let stage = Stage::new((204, "")).await;
    let (openid, paid) = paid(&stage).await;
    let list = async |asked: Value| call(&stage, "/wxa/sec/order/get_order_list", asked).await;
    let to_ship = list(json!({"order_state": 1, "openid": openid, "page_size": 1})).await;
    assert_eq!(
        to_ship["order_list"][0]["transaction_id"],
        paid["transaction_id"]
    );
    assert_eq!(
        (&to_ship["has_more"], &to_ship["last_index"]),
        (&json!(false), &json!("1"))
    );
    for (asked, errcode) in [
        (json!({"last_index": "x"}), 10_060_011),
        (json!({"page_size": 101}), 10_060_014),
        (json!({"openid": 7}), 47001),
    ] {
        assert_eq!(list(asked).await["errcode"], errcode);
    }
    let none = list(json!({"order_state": 2})).await;
    assert_eq!(none["order_list"], json!([]));
    let after = list(json!({"last_index": "1"})).await;
    assert_eq!(after["order_list"], json!([]));
    stage.wechat.stop().await;
}

#[tokio::test]
async fn the_list_of_companies_counts_itself_and_the_jump_path_is_kept() {
    let stage = Stage::new((204, "")).await;
    let path = "/cgi-bin/express/delivery/open_msg/get_delivery_list";
    let list = call(&stage, path, json!({})).await;
    let rows = list["delivery_list"].as_array().unwrap();
    assert_eq!(list["count"], rows.len());
    assert!(rows.contains(&json!({"delivery_id": "SF", "delivery_name": "顺丰速运"})));
    let path = "/wxa/sec/order/set_msg_jump_path";
    assert_eq!(call(&stage, path, json!({})).await["errcode"], 10_060_014);
    call(&stage, path, json!({"path": "pages/order/detail"})).await;
    let (_, kept) = stage
        .control(Method::GET, "/sandbox/shipping", Value::Null)
        .await;
    assert_eq!(kept["msg_jump_path"], "pages/order/detail");
    stage.wechat.stop().await;
}

#[tokio::test]
async fn receipt_is_taken_for_granted_ten_days_after_a_courier_and_two_after_a_pick_up() {
    for (way, days) in [(1, 10), (4, 2)] {
        let stage = Stage::new((204, "")).await;
        let (openid, paid) = paid(&stage).await;
        let mut form = upload(&openid, &paid);
        form["logistics_type"] = json!(way);
        assert_eq!(call(&stage, UPLOAD, form).await["errcode"], 0);
        stage.advance(days * 86_400 - 60).await;
        stage.wechat.sandbox().grant_receipts();
        assert_eq!(order(&stage, &paid).await["order_state"], 2);
        stage.advance(60).await;
        stage.wechat.sandbox().grant_receipts();
        assert_eq!(order(&stage, &paid).await["order_state"], 4);
        stage.wechat.stop().await;
    }
}

#[tokio::test]
async fn what_was_wholly_refunded_is_not_shipped() {
    let stage = Stage::new((204, "")).await;
    let (openid, paid) = paid(&stage).await;
    for (number, fen, state) in [("r1", 5979, 1), ("r2", 1, 5)] {
        let refund = json!({
            "out_trade_no": paid["out_trade_no"], "out_refund_no": number,
            "amount": {"refund": fen, "total": 5980, "currency": "CNY"},
        });
        let path = "/v3/refund/domestic/refunds";
        let answer = stage.call_v3(Method::POST, path, Some(&refund)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(order(&stage, &paid).await["order_state"], state);
        // One refund a minute and order.
        stage.advance(60).await;
    }
    let refused = call(&stage, UPLOAD, upload(&openid, &paid)).await;
    assert_eq!(refused["errcode"], 10_060_004);
    stage.wechat.stop().await;
}
