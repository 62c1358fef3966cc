//! Query and close as tables: each state of an order, each call of each protocol, its answer.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::{Value, json};

use super::fixtures::{credentials, now, right_headers, rows, two_orders};
use super::gate_v2::Asked;
use super::gate_v3::Answer;
use super::sign_v2::SignType;
use super::stage::{Stage, is_signed_answer};
use super::talk_v3::Call;
use super::trades::Trades;
use super::{calls_v2, calls_v3};
use crate::base::Timestamp;
use crate::base::xml::Fields;
use crate::web::Method;

fn later(seconds: i64) -> Timestamp {
    now().plus(Duration::from_secs(u64::try_from(seconds).unwrap()))
}

/// What was done to the order, seconds after it was opened, and what each call says then.
///
/// State | seconds | v2 query | v2 close | v3 query | v3 close
const STATES: &str = "
unpaid        | 0      | NOTPAY  | TRADE_STATE_ERROR | NOTPAY  | 204
unpaid        | 299    | NOTPAY  | TRADE_STATE_ERROR | NOTPAY  | 204
unpaid        | 300    | NOTPAY  | SUCCESS           | NOTPAY  | 204
unpaid        | 604800 | NOTPAY  | SUCCESS           | NOTPAY  | 204
unpaid        | 604801 | CLOSED  | ORDERCLOSED       | CLOSED  | ORDER_CLOSED
paid          | 1      | SUCCESS | ORDERPAID         | SUCCESS | ORDERPAID
paid          | 604801 | SUCCESS | ORDERPAID         | SUCCESS | ORDERPAID
closed        | 301    | CLOSED  | ORDERCLOSED       | CLOSED  | 204
closed, paid  | 301    | SUCCESS | ORDERPAID         | SUCCESS | ORDERPAID
unknown       | 301    | ORDERNOTEXIST | ORDERNOTEXIST | ORDER_NOT_EXIST | ORDER_NOT_EXIST
";

#[test]
fn each_state_of_an_order_has_its_answer_to_each_call_of_each_protocol() {
    for row in rows(STATES) {
        let [state, seconds, wanted @ ..] = &row[..] else {
            panic!("{row:?}");
        };
        let at = later(seconds.parse().unwrap());
        let said = [
            query_v2(&orders_that_are(state).0, at),
            close_v2(&mut orders_that_are(state).0, at),
            query_v3(&orders_that_are(state).0, at),
            close_v3(&mut orders_that_are(state).0, at),
        ];
        assert_eq!(said.each_ref().map(String::as_str), wanted, "{row:?}");
    }
}

const NUMBERS: [&str; 2] = ["20260101000X9G000000000000", "20260101000X9G000000000001"];

fn orders_that_are(state: &str) -> (Trades, [String; 2]) {
    let mut trades = Trades::new();
    if state == "unknown" {
        return (trades, [String::new(), String::new()]);
    }
    let pairs = two_orders(&mut trades);
    for (number, prepay_id) in &pairs {
        if state.starts_with("closed") {
            let by_v3 = (number.as_str(), super::trades::Protocol::V3);
            trades.close(by_v3, later(1)).unwrap();
        }
        match state {
            "paid" => drop(trades.pay(prepay_id, later(1)).unwrap()),
            "closed, paid" => {
                assert!(trades.pay(prepay_id, later(2)).is_err());
                drop(trades.pay_after_close(prepay_id, later(2)).unwrap());
            }
            _ => {}
        }
    }
    (trades, pairs.map(|(_, prepay_id)| prepay_id))
}

fn asking(fields: &Fields, at: Timestamp) -> Asked<'_> {
    Asked {
        fields,
        sign_type: SignType::Md5,
        now: at,
    }
}

fn numbered() -> Fields {
    let fields = Fields::new().with("nonce_str", "1");
    fields.with("out_trade_no", NUMBERS[0])
}

fn query_v2(trades: &Trades, at: Timestamp) -> String {
    match calls_v2::query(trades, &asking(&numbered(), at)) {
        Ok(fields) => fields.text("trade_state").to_owned(),
        Err(refused) => refused.code.to_owned(),
    }
}

fn close_v2(trades: &mut Trades, at: Timestamp) -> String {
    match calls_v2::close(trades, &asking(&numbered(), at)) {
        Ok(_) => "SUCCESS".to_owned(),
        Err(refused) => refused.code.to_owned(),
    }
}

fn query_v3(trades: &Trades, at: Timestamp) -> String {
    match calls_v3::query(credentials(), trades.get(NUMBERS[1]), at) {
        Ok(Answer::Json(body)) => body["trade_state"].as_str().unwrap().to_owned(),
        Ok(Answer::NoContent | Answer::Accepted | Answer::File(_)) => "20x".to_owned(),
        Err(refused) => refused.code.to_owned(),
    }
}

fn close_v3(trades: &mut Trades, at: Timestamp) -> String {
    match calls_v3::close(trades, NUMBERS[1], at) {
        Ok(Answer::NoContent) => "204".to_owned(),
        Ok(Answer::Accepted | Answer::File(_)) => "202".to_owned(),
        Ok(Answer::Json(body)) => body.to_string(),
        Err(refused) => refused.code.to_owned(),
    }
}

#[test]
fn a_v2_call_without_or_with_a_misshapen_number_is_refused() {
    // Call, fields, code.
    let table = [
        ("query", vec![], "LACK_PARAMS"),
        ("query", vec![("out_trade_no", "12345")], "INVALID_REQUEST"),
        ("query", vec![("out_trade_no", "123456")], "ORDERNOTEXIST"),
        (
            "query",
            vec![("transaction_id", "4200000000")],
            "ORDERNOTEXIST",
        ),
        ("close", vec![], "LACK_PARAMS"),
        (
            "close",
            vec![("transaction_id", "4200000000")],
            "LACK_PARAMS",
        ),
        ("close", vec![("out_trade_no", "订单")], "INVALID_REQUEST"),
        ("close", vec![("out_trade_no", "123456")], "ORDERNOTEXIST"),
    ];
    for (call, pairs, code) in table {
        let start = Fields::new().with("nonce_str", "1");
        let fields = pairs
            .iter()
            .fold(start, |f, (name, value)| f.with(name, *value));
        let asked = asking(&fields, now());
        let said = match call {
            "query" => calls_v2::query(&Trades::new(), &asked),
            _ => calls_v2::close(&mut Trades::new(), &asked),
        };
        assert_eq!(said.unwrap_err().code, code, "{call} {pairs:?}");
    }
    let bare = Fields::new().with("out_trade_no", NUMBERS[0]);
    let said = calls_v2::query(&Trades::new(), &asking(&bare, now()));
    assert_eq!(said.unwrap_err().code, "LACK_PARAMS", "no nonce_str");
}

#[test]
fn the_transaction_id_wins_over_the_number_and_finds_the_order_alone() {
    let (trades, _) = orders_that_are("paid");
    let id = |number| {
        let payment = trades.get(number).unwrap().payment.as_ref();
        payment.unwrap().transaction_id.to_string()
    };
    let asked = numbered().with("transaction_id", id(NUMBERS[1]));
    let found = calls_v2::query(&trades, &asking(&asked, later(1))).unwrap();
    assert_eq!(found.text("out_trade_no"), NUMBERS[1]);
    assert_eq!(found.text("total_fee"), "5980");
    let by_id = trades.by_transaction(&id(NUMBERS[0])).unwrap();
    assert_eq!(by_id.order.out_trade_no, NUMBERS[0]);
}

#[test]
fn a_v3_query_must_name_the_callers_merchant_and_nothing_else() {
    let mchid = credentials().mchid.as_str();
    let table = [
        (format!("/x?mchid={mchid}"), None),
        ("/x".to_owned(), Some("mchid")),
        ("/x?mchid=1900000001".to_owned(), Some("mchid")),
        (format!("/x?mchid={mchid}&appid=1"), Some("appid=1")),
        (format!("/x?mchid={mchid}&mchid={mchid}"), Some("mchid=")),
    ];
    for (target, field) in table {
        let call = Call {
            target: &target,
            ..right_headers(b"")
        };
        let refused = calls_v3::check_query(credentials(), &call).err();
        let named = refused
            .as_ref()
            .map(|refused| (refused.code, refused.field()));
        match field {
            None => assert_eq!(named, None, "{target}"),
            Some(field) => {
                let (code, at) = named.unwrap();
                assert!(code == "PARAM_ERROR" && at.starts_with(field), "{target}");
            }
        }
    }
    for (body, field) in [
        (json!({}), "/mchid"),
        (json!({"mchid": 1}), "/mchid"),
        (json!({"mchid": "1900000001"}), "/mchid"),
        (json!({"mchid": mchid, "appid": "x"}), "/appid"),
    ] {
        let bytes = body.to_string().into_bytes();
        let refused = calls_v3::check_close(credentials(), &right_headers(&bytes));
        assert_eq!(refused.unwrap_err().field(), field, "{body}");
    }
}

#[tokio::test]
async fn a_closed_order_is_not_paid_unless_the_cashier_was_open_and_no_notify_is_sent_on_demand() {
    let stage = Stage::new((204, "")).await;
    let prepaid: Value = serde_json::from_slice(&stage.order_v3().await.body).unwrap();
    let mchid = credentials().mchid.as_str();
    let order = "/v3/pay/transactions/out-trade-no/20260101000X9G000000000001";
    let body = json!({"mchid": mchid});
    let closed = stage
        .call_v3(Method::POST, &format!("{order}/close"), Some(&body))
        .await;
    assert_eq!((closed.status, closed.body.len()), (204, 0));
    assert!(is_signed_answer(&closed), "204 is signed over no body");

    let refused = stage.post("/sandbox/payments", prepaid.clone()).await;
    assert_eq!(
        (refused.0, &refused.1["code"]),
        (409, &json!("ORDERCLOSED"))
    );
    let mut race = prepaid;
    race["race"] = json!("after_close");
    race["notify"] = json!("none");
    let (status, paid) = stage.post("/sandbox/payments", race.clone()).await;
    assert_eq!((status, &paid["notify_status"]), (200, &Value::Null));
    assert_eq!(stage.notifies().len(), 0);
    assert_eq!(stage.post("/sandbox/payments", race).await.0, 409);

    let target = format!("{order}?mchid={mchid}");
    let found = stage.call_v3(Method::GET, &target, None).await;
    assert!(found.status == 200 && is_signed_answer(&found));
    let found: Value = serde_json::from_slice(&found.body).unwrap();
    assert_eq!(found["trade_state"], "SUCCESS");
    assert_eq!(found["transaction_id"], paid["transaction_id"]);
    let id = paid["transaction_id"].as_str().unwrap();
    let target = format!("/v3/pay/transactions/id/{id}?mchid={mchid}");
    let by_id = stage.call_v3(Method::GET, &target, None).await;
    assert_eq!(by_id.body, found.to_string().into_bytes());
    stage.wechat.stop().await;
}

#[tokio::test]
async fn a_refusal_of_business_is_told_from_a_fault_of_protocol() {
    let stage = Stage::new((204, "")).await;
    let number = ("out_trade_no", "20260101000X9G000000000009");
    let unknown = stage.call_v2("/pay/orderquery", &[number]).await;
    assert_eq!(unknown.text("err_code"), "ORDERNOTEXIST");
    let lacking = stage.call_v2("/pay/closeorder", &[]).await;
    assert_eq!(lacking.text("err_code"), "LACK_PARAMS");
    let (_, listed) = stage
        .control(Method::GET, "/sandbox/requests", Value::Null)
        .await;
    let kinds = [0, 1].map(|n| listed["requests"][n]["kind"].clone());
    assert_eq!(kinds, [json!("protocol"), json!("business")]);
    stage.wechat.stop().await;
}
