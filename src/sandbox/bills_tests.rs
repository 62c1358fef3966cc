//! Bills over real HTTP: when they are there, what stands in them, what can be planted.

#![allow(clippy::unwrap_used)]

use std::io::Read as _;

use serde_json::{Value, json};

use super::fixtures::credentials;
use super::stage::{Stage, is_signed_answer};
use crate::base::hash;
use crate::web::{Incoming, Method};

const V3_ORDER: &str = "20260101000X9G000000000001";

fn code(answer: &Incoming) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body["code"].as_str().unwrap_or("OK").to_owned()
}

fn target(date: &str, more: &str) -> String {
    format!("/v3/bill/tradebill?bill_date={date}{more}")
}

/// The bill of a day, fetched and checked against its hash.
async fn fetched(stage: &Stage, date: &str, more: &str) -> String {
    let asked = stage.call_v3(Method::GET, &target(date, more), None).await;
    assert!(asked.status == 200 && is_signed_answer(&asked), "{date}");
    let link: Value = serde_json::from_slice(&asked.body).unwrap();
    let url = link["download_url"].as_str().unwrap();
    let path = url.strip_prefix(stage.wechat.url()).unwrap();
    let file = stage.call_v3(Method::GET, path, None).await;
    assert_eq!(
        (file.status, file.header("wechatpay-signature")),
        (200, None)
    );
    let mut text = Vec::new();
    match url.ends_with("&tartype=gzip") {
        true => {
            let mut reader = flate2::read::GzDecoder::new(&file.body[..]);
            reader.read_to_end(&mut text).unwrap();
        }
        false => text.extend_from_slice(&file.body),
    }
    assert_eq!(link["hash_value"], hash::sha1_hex(&text));
    String::from_utf8(text).unwrap()
}

/// A stage whose buyer paid 5980 fen, 100 of which are refunded a minute later; and that day.
async fn traded() -> (Stage, String) {
    let stage = Stage::new((204, "")).await;
    // At noon, so that no step crosses midnight.
    let now = stage.clock.now().unix() + 8 * 3600;
    stage
        .advance((86_400 + 43_200 - now % 86_400) % 86_400)
        .await;
    let prepaid: Value = serde_json::from_slice(&stage.order_v3().await.body).unwrap();
    stage.pay(prepaid["prepay_id"].as_str().unwrap()).await;
    stage.advance(60).await;
    let refund = json!({
        "out_trade_no": V3_ORDER,
        "out_refund_no": "r1",
        "amount": {"refund": 100, "total": 5980, "currency": "CNY"},
    });
    let target = "/v3/refund/domestic/refunds";
    let refunded = stage.call_v3(Method::POST, target, Some(&refund)).await;
    assert_eq!(refunded.status, 200);
    let day = stage.clock.now().rfc3339()[..10].to_owned();
    (stage, day)
}

#[tokio::test]
async fn a_bill_is_there_from_ten_in_the_morning_and_an_empty_day_has_none() {
    let (stage, day) = traded().await;
    let ask = async |date: &str| code(&stage.call_v3(Method::GET, &target(date, ""), None).await);
    assert_eq!(ask(&day).await, "STATEMENT_CREATING", "today");
    stage.advance(22 * 3600 - 120).await;
    assert_eq!(ask(&day).await, "STATEMENT_CREATING", "before ten");
    let fields = [("bill_date", &*day.replace('-', "")), ("bill_type", "ALL")];
    let v2 = stage.call_v2("/pay/downloadbill", &fields).await;
    assert_eq!(v2.text("return_msg"), "Bill Creating");
    stage.advance(120).await;
    assert_eq!(ask(&day).await, "OK");
    stage.advance(86_400).await;
    let next = stage.clock.now().unix() - 86_400;
    let next = crate::base::Timestamp::from_unix(next).rfc3339()[..10].to_owned();
    assert_eq!(ask(&next).await, "NO_STATEMENT_EXIST");
    let fields = [("bill_date", &*next.replace('-', ""))];
    let v2 = stage.call_v2("/pay/downloadbill", &fields).await;
    let said = (v2.text("return_msg"), v2.text("error_code"));
    assert_eq!(said, ("No Bill Exist", "20002"));
    for date in ["", "2026-13-01", "20260101", "2020-01-01", "2999-01-01"] {
        assert_eq!(ask(date).await, "PARAM_ERROR", "{date}");
    }
    stage.wechat.stop().await;
}

#[tokio::test]
async fn a_bill_has_its_rows_its_sums_and_what_is_planted() {
    let (stage, day) = traded().await;
    stage.advance(86_400).await;
    let plain = fetched(&stage, &day, "").await;
    assert_eq!(
        fetched(&stage, &day, "&bill_type=ALL&tar_type=GZIP").await,
        plain
    );
    let lines: Vec<_> = plain.split("\r\n").collect();
    assert!(lines[0].starts_with("\u{feff}交易时间,公众账号ID,"));
    assert_eq!(
        lines.len(),
        6,
        "header, two rows, summary of two lines, the end"
    );
    let cells = |line: &str| -> Vec<String> {
        let parts = line[1..].split(",`");
        parts.map(str::to_owned).collect()
    };
    let (paid, refund) = (cells(lines[1]), cells(lines[2]));
    assert_eq!((paid.len(), refund.len()), (27, 27));
    assert_eq!(
        [&paid[6], &paid[9], &paid[12]],
        [V3_ORDER, "SUCCESS", "59.80"]
    );
    assert_eq!([&paid[15], &paid[22], &paid[24]], ["0", "0.36000", "59.80"]);
    assert_eq!(
        [&refund[9], &refund[15], &refund[25]],
        ["REFUND", "r1", "1.00"]
    );
    assert_eq!(refund[22], "-0.01000", "the fee comes back");
    assert_eq!(lines[4], "`2,`59.80,`1.00,`0.00,`0.35000,`59.80,`1.00");
    let columns = async |kind: &str| {
        let bill = fetched(&stage, &day, kind).await;
        bill.split("\r\n").nth(1).map(|line| cells(line).len())
    };
    assert_eq!(columns("&bill_type=SUCCESS").await, Some(20));
    assert_eq!(columns("&bill_type=REFUND").await, Some(29));

    let plant = json!({"date": day, "plant": [
        {"kind": "missing", "out_trade_no": V3_ORDER},
        {"kind": "amount", "out_refund_no": "r1", "fen": 200},
        {"kind": "extra", "out_trade_no": "ELSEWHERE1", "fen": 7},
    ]});
    let set = stage.control(Method::PUT, "/sandbox/bills", plant).await;
    assert_eq!(set.0, 200);
    let told = fetched(&stage, &day, "").await;
    assert!(!told.contains("`59.80,") && told.contains("`ELSEWHERE1,"));
    assert!(told.contains("`2,`0.07,`2.00,`0.00,"), "{told}");
    stage.wechat.stop().await;
}

#[tokio::test]
async fn a_download_is_good_for_five_minutes_and_its_faults_show() {
    let (stage, day) = traded().await;
    stage.advance(86_400).await;
    let fault = json!({"upstream": "bad_hash", "times": 1, "path": "bill"});
    stage.faults(fault).await;
    let asked = stage.call_v3(Method::GET, &target(&day, ""), None).await;
    let link: Value = serde_json::from_slice(&asked.body).unwrap();
    let url = link["download_url"].as_str().unwrap();
    let path = url.strip_prefix(stage.wechat.url()).unwrap();
    let whole = stage.call_v3(Method::GET, path, None).await;
    assert_ne!(link["hash_value"], hash::sha1_hex(&whole.body));
    stage
        .faults(json!({"upstream": "cut", "path": "bill_file"}))
        .await;
    let half = stage.call_v3(Method::GET, path, None).await;
    assert_eq!(half.body.len(), whole.body.len() / 2);
    stage.faults(json!({})).await;
    stage.advance(300).await;
    assert_eq!(stage.call_v3(Method::GET, path, None).await.status, 400);
    let unsigned = (Method::GET, path);
    assert_eq!(stage.send(unsigned, vec![], vec![]).await.status, 401);
    assert!(!whole.body.is_empty() && credentials().mchid.as_str().len() == 10);
    stage.wechat.stop().await;
}
