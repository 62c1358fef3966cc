//! The mini program's interfaces over real HTTP.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::sandbox::fixtures::credentials;
use crate::sandbox::stage::Stage;
use crate::web::Method;

/// A fresh access token.
pub(super) async fn access_token(stage: &Stage) -> String {
    let (status, answer) = stage.post("/cgi-bin/stable_token", asked()).await;
    assert_eq!(
        (status, &answer["expires_in"]),
        (200, &json!(7200)),
        "{answer}"
    );
    answer["access_token"].as_str().unwrap().to_owned()
}

fn asked() -> Value {
    json!({
        "grant_type": "client_credential",
        "appid": credentials().appid,
        "secret": credentials().secret.reveal(),
    })
}

/// Calls `path` with a good token.
pub(super) async fn call(stage: &Stage, path: &str, body: Value) -> Value {
    let token = access_token_again(stage).await;
    let (status, answer) = stage
        .post(&format!("{path}?access_token={token}"), body)
        .await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn access_token_again(stage: &Stage) -> String {
    let (_, answer) = stage.post("/cgi-bin/stable_token", asked()).await;
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_phone_code_is_good_once_and_only_for_its_buyer() {
    let stage = Stage::new((204, "")).await;
    access_token(&stage).await;
    let openid = stage.log_in().await;
    let new_code = async || {
        let asked = json!({"openid": openid, "phone": "13812345678"});
        let (_, made) = stage.post("/sandbox/phone-codes", asked).await;
        made["code"].as_str().unwrap().to_owned()
    };
    let path = "/wxa/business/getuserphonenumber";
    let code = new_code().await;
    let other = call(&stage, path, json!({"code": code, "openid": "oOther"})).await;
    assert_eq!(other["errcode"], 40029);
    let told = call(&stage, path, json!({"code": code, "openid": openid})).await;
    assert_eq!(
        (&told["errcode"], &told["errmsg"]),
        (&json!(0), &json!("ok"))
    );
    let phone = &told["phone_info"];
    assert_eq!(phone["phoneNumber"], "13812345678");
    assert_eq!(phone["countryCode"], "86");
    assert_eq!(phone["watermark"]["appid"], json!(credentials().appid));
    assert_eq!(
        call(&stage, path, json!({"code": code})).await["errcode"],
        40029
    );
    let stale = new_code().await;
    stage.advance(300).await;
    assert_eq!(
        call(&stage, path, json!({"code": stale})).await["errcode"],
        40029
    );
    stage.wechat.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_told_before_its_content_is_looked_at() {
    let stage = Stage::new((204, "")).await;
    let path = "/wxa/business/getuserphonenumber";
    let token = access_token(&stage).await;
    let good = format!("{path}?access_token={token}");
    let table = [
        (path.to_owned(), "{}", 41001),
        (format!("{path}?access_token=86_x"), "{}", 40001),
        (good.clone(), "", 44002),
        (good.clone(), "[]", 47001),
        (good.clone(), "{", 47001),
        (good.clone(), r#"{"code":7}"#, 47001),
        (good.clone(), r#"{"unknown":1}"#, 40029),
    ];
    for (path, body, errcode) in table {
        let place = (Method::POST, path.as_str());
        let answer = stage.send(place, vec![], body.as_bytes().to_vec()).await;
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer["errcode"], errcode, "{body}");
    }
    stage.wechat.stop().await;
}

#[tokio::test]
async fn a_planned_errcode_and_a_busy_system_come_before_any_judgement() {
    let stage = Stage::new((204, "")).await;
    let plan = json!({"path": "/cgi-bin/stable_token", "errcode": 40164, "times": 1});
    let planned = stage.control(Method::PUT, "/sandbox/errcodes", plan).await;
    assert_eq!(planned.0, 200);
    let (_, refused) = stage.post("/cgi-bin/stable_token", asked()).await;
    assert_eq!(refused["errcode"], 40164);
    stage
        .faults(json!({"upstream": "system_error", "times": 1}))
        .await;
    let (_, busy) = stage.post("/cgi-bin/stable_token", asked()).await;
    assert_eq!(busy["errcode"], -1);
    access_token(&stage).await;
    stage.wechat.stop().await;
}

#[tokio::test]
async fn the_list_of_requests_never_shows_an_access_token() {
    let stage = Stage::new((204, "")).await;
    let token = access_token(&stage).await;
    call(&stage, "/wxa/business/getuserphonenumber", json!({})).await;
    let (_, seen) = stage
        .control(Method::GET, "/sandbox/requests", Value::Null)
        .await;
    assert!(seen["requests"].as_array().unwrap().len() >= 3, "{seen}");
    assert!(!seen.to_string().contains(&token));
    stage.wechat.stop().await;
}
