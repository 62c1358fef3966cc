//! Platform certificates over real HTTP: listed, rotated, missing, and which key signs what.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::fixtures::{credentials, keys};
use super::sign_v3::answer_string;
use super::stage::Stage;
use crate::base::cipher;
use crate::base::rsa::PublicKey;
use crate::base::x509::Certificate;
use crate::web::{Incoming, Method};

const LIST: &str = "/v3/certificates";

async fn change(stage: &Stage, change: Value) -> Value {
    let (status, view) = stage
        .control(Method::PUT, "/sandbox/certificates", change)
        .await;
    assert_eq!(status, 200, "{view}");
    view
}

/// The certificates of a list, opened; each under the serial the list gives it.
fn opened(body: &[u8]) -> Vec<Certificate> {
    let list: Value = serde_json::from_slice(body).unwrap();
    let open = |entry: &Value| {
        let sealed = &entry["encrypt_certificate"];
        let part = |name: &str| sealed[name].as_str().unwrap().as_bytes();
        let bytes = BASE64.decode(part("ciphertext")).unwrap();
        let key = credentials().v3_key.reveal().as_bytes();
        let aad = part("associated_data");
        let pem = cipher::gcm_open(key, part("nonce"), aad, &bytes).unwrap();
        let read = Certificate::from_pem(std::str::from_utf8(&pem).unwrap()).unwrap();
        assert_eq!(entry["serial_no"], read.serial);
        read
    };
    list["data"].as_array().unwrap().iter().map(open).collect()
}

fn signed_by(answer: &Incoming, key: &PublicKey) -> bool {
    let header = |name: &str| answer.header(name).unwrap_or("");
    let (at, nonce) = (header("wechatpay-timestamp"), header("wechatpay-nonce"));
    let string = answer_string(at, nonce, &answer.body);
    key.verifies(&string, header("wechatpay-signature"))
}

#[tokio::test]
async fn the_list_opens_to_certificates_and_one_of_them_signed_it() {
    let stage = Stage::new((204, "")).await;
    assert_eq!(stage.call_v3(Method::GET, LIST, None).await.status, 404);
    change(&stage, json!({"mode": "certificate"})).await;
    let first = stage.call_v3(Method::GET, LIST, None).await;
    let old = opened(&first.body);
    assert_eq!((first.status, old.len()), (200, 1));
    assert!(signed_by(&first, &old[0].key));
    assert_eq!(first.header("wechatpay-serial"), Some(&*old[0].serial));

    let view = change(&stage, json!({"announce": true})).await;
    assert_eq!(view["signing"], old[0].serial, "announced, not yet signing");
    let view = change(&stage, json!({"rotate": true})).await;
    let both = stage.call_v3(Method::GET, LIST, None).await;
    let listed = opened(&both.body);
    assert_eq!(
        listed.len(),
        2,
        "the announced one is taken, none more made"
    );
    assert_eq!(view["signing"], listed[1].serial);
    assert!(signed_by(&both, &listed[1].key));
    change(&stage, json!({"retire": true})).await;
    let rest = stage.call_v3(Method::GET, LIST, None).await;
    assert_eq!(opened(&rest.body)[0].serial, listed[1].serial);
    stage.wechat.stop().await;
}

#[tokio::test]
async fn each_planned_answer_of_the_list_has_its_status() {
    let stage = Stage::new((204, "")).await;
    for (answer, status, body) in [
        ("not_found", 404, None),
        ("error", 500, None),
        ("empty", 200, Some("{\"data\":[]}")),
    ] {
        change(&stage, json!({"mode": "certificate", "answer": answer})).await;
        let said = stage.call_v3(Method::GET, LIST, None).await;
        assert_eq!(said.status, status, "{answer}");
        assert!(body.is_none_or(|body| body.as_bytes() == said.body));
    }
    stage.wechat.stop().await;
}

#[tokio::test]
async fn an_answer_is_signed_with_the_key_that_is_named_where_the_merchant_has_it() {
    let stage = Stage::new((204, "")).await;
    change(&stage, json!({"mode": "certificate"})).await;
    let view = change(&stage, json!({"rotate": true})).await;
    let (old, new) = (view["listed"][0].clone(), view["listed"][1].clone());
    let id = json!(credentials().wechat_key_id);
    let unknown = json!("0".repeat(40));
    // Mode, the key named, the status, the serial of the answer.
    let table = [
        ("public_key", &Value::Null, 204, &id),
        ("public_key", &id, 204, &id),
        ("public_key", &new, 400, &id),
        ("certificate", &Value::Null, 204, &new),
        ("certificate", &old, 204, &old),
        ("certificate", &id, 204, &new),
        ("both", &Value::Null, 204, &new),
        ("both", &old, 204, &old),
        ("both", &id, 204, &id),
        ("both", &unknown, 400, &new),
    ];
    stage.order_v3().await;
    let order = "/v3/pay/transactions/out-trade-no/20260101000X9G000000000001/close";
    let body = json!({"mchid": credentials().mchid});
    for (mode, named, status, serial) in table {
        change(&stage, json!({"mode": mode})).await;
        let answer = match named.as_str() {
            Some(named) => stage.call_v3_naming(named, order, &body).await,
            None => stage.call_v3(Method::POST, order, Some(&body)).await,
        };
        let said = json!(answer.header("wechatpay-serial"));
        assert_eq!((answer.status, &said), (status, serial), "{mode} {named}");
        let public = keys().wechat.public();
        assert_eq!(signed_by(&answer, &public), *serial == id, "{mode} {named}");
    }
    stage.wechat.stop().await;
}

#[tokio::test]
async fn notifies_come_under_the_public_key_by_the_share_that_is_set() {
    let stage = Stage::new((204, "")).await;
    let prepaid: Value = serde_json::from_slice(&stage.order_v3().await.body).unwrap();
    change(&stage, json!({"mode": "both"})).await;
    stage.pay(prepaid["prepay_id"].as_str().unwrap()).await;
    let resend = "/sandbox/notifies/20260101000X9G000000000001/resend";
    for _ in 0..9 {
        stage.post(resend, Value::Null).await;
    }
    let serials = |from: usize| -> BTreeSet<String> {
        let all = stage.notifies().into_iter().skip(from);
        all.map(|notify| notify.serial).collect()
    };
    assert_eq!(serials(0).len(), 2, "both keys told");
    change(&stage, json!({"public_key_percent": 100})).await;
    for _ in 0..5 {
        stage.post(resend, Value::Null).await;
    }
    let id = BTreeSet::from([credentials().wechat_key_id.clone()]);
    assert_eq!(serials(10), id);
    stage.wechat.stop().await;
}
