//! Subscribe messages and codes over real HTTP.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::alive_test::{access_token, call};
use crate::sandbox::stage::Stage;
use crate::web::Method;

const SEND: &str = "/cgi-bin/message/subscribe/send";

async fn template(stage: &Stage) -> String {
    let keys = json!({"keys": ["thing1", "amount2"]});
    let (_, made) = stage.post("/sandbox/templates", keys).await;
    made["template_id"].as_str().unwrap().to_owned()
}

fn message(openid: &str, template_id: &str) -> Value {
    json!({
        "touser": openid,
        "template_id": template_id,
        "page": "pages/order/detail?id=1",
        "data": {"thing1": {"value": "龙井"}, "amount2": {"value": "¥59.80"}},
        "miniprogram_state": "formal",
        "lang": "zh_CN",
    })
}

#[tokio::test]
async fn an_acceptance_is_worth_one_message_which_the_buyer_gets() {
    let stage = Stage::new((204, "")).await;
    let (openid, template_id) = (stage.log_in().await, template(&stage).await);
    let sent = message(&openid, &template_id);
    assert_eq!(call(&stage, SEND, sent.clone()).await["errcode"], 43101);
    let accept = json!({"openid": openid, "template_id": template_id});
    assert_eq!(stage.post("/sandbox/subscriptions", accept).await.0, 200);
    assert_eq!(call(&stage, SEND, sent.clone()).await["errcode"], 0);
    assert_eq!(call(&stage, SEND, sent).await["errcode"], 43101);
    let (_, inbox) = stage
        .control(Method::GET, "/sandbox/inbox", Value::Null)
        .await;
    assert_eq!(inbox["messages"].as_array().unwrap().len(), 1);
    assert_eq!(
        inbox["messages"][0]["values"],
        json!({"thing1": "龙井", "amount2": "¥59.80"})
    );
    stage.wechat.stop().await;
}

#[tokio::test]
async fn a_message_that_breaks_a_rule_costs_no_acceptance() {
    let stage = Stage::new((204, "")).await;
    let (openid, template_id) = (stage.log_in().await, template(&stage).await);
    let accept = json!({"openid": openid, "template_id": template_id});
    stage.post("/sandbox/subscriptions", accept).await;
    let with = |pointer: &str, value: Value| {
        let mut changed = message(&openid, &template_id);
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    let table = [
        (with("/touser", json!("")), 40003),
        (with("/template_id", json!("unknown")), 40037),
        (with("/data/thing1/value", json!("茶".repeat(21))), 47003),
        (with("/data", json!({"thing1": {"value": "茶"}})), 47003),
        (with("/miniprogram_state", json!("live")), 47003),
        (with("/lang", json!("fr")), 47003),
        (with("/data/thing1", json!("茶")), 47001),
        (with("/data/thing1/value", json!(7)), 47001),
        (message(&openid, &template_id), 0),
    ];
    for (message, errcode) in table {
        assert_eq!(
            call(&stage, SEND, message.clone()).await["errcode"],
            errcode,
            "{message}"
        );
    }
    let unknown = json!({"openid": openid, "template_id": "unknown"});
    assert_eq!(stage.post("/sandbox/subscriptions", unknown).await.0, 404);
    stage.wechat.stop().await;
}

#[tokio::test]
async fn a_code_is_a_picture_and_a_wrong_scene_an_errcode() {
    let stage = Stage::new((204, "")).await;
    let token = access_token(&stage).await;
    let path = format!("/wxa/getwxacodeunlimit?access_token={token}");
    let body = json!({"scene": "order=1", "width": 280})
        .to_string()
        .into_bytes();
    let answer = stage.send((Method::POST, &path), vec![], body).await;
    assert_eq!(answer.header("content-type"), Some("image/png"));
    assert!(answer.body.starts_with(b"\x89PNG\r\n\x1a\n"));
    assert!(answer.body.ends_with(b"IEND\xaeB`\x82"));
    let body = json!({"scene": "订单"}).to_string().into_bytes();
    let answer = stage.send((Method::POST, &path), vec![], body).await;
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer["errcode"], 40129);
    stage.wechat.stop().await;
}
