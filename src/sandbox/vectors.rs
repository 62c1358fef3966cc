//! The referee's pen against the published vectors: good ones verify, altered ones do not.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use data_encoding::BASE64;
use serde_json::Value;

use super::credentials::{Credentials, Keys};
use super::fixtures::credentials;
use super::pay_params::PayParams;
use super::sign_v2::{self, SignType};
use super::sign_v3::{answer_string, lines, pay_string};
use super::suspects;
use super::talk_v3::{self, Call};
use crate::base::rsa::{PrivateKey, PublicKey};
use crate::base::xml::Fields;
use crate::base::{Secret, Timestamp, cipher, hash};

fn golden(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wechat");
    std::fs::read_to_string(dir.join(name)).unwrap()
}

fn vectors(file: &str, kind: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(&golden(file)).unwrap();
    let all = file["vectors"].as_array().unwrap().iter();
    let found: Vec<_> = all.filter(|v| v["kind"] == kind).cloned().collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

fn v2(kind: &str) -> Vec<Value> {
    vectors("vectors-v2.json", kind)
}

fn v3(kind: &str) -> Vec<Value> {
    vectors("vectors-v3.json", kind)
}

fn text<'a>(vector: &'a Value, pointer: &str) -> &'a str {
    vector.pointer(pointer).and_then(Value::as_str).unwrap()
}

fn fields(vector: &Value) -> Fields {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let params = vector["params"].as_object().unwrap().iter();
    params
        .map(|(name, value)| (name.clone(), plain(value)))
        .collect()
}

fn key_and_type(vector: &Value) -> (Secret<String>, SignType) {
    let sign_type = SignType::from_field(text(vector, "/sign_type")).unwrap();
    (text(vector, "/key").into(), sign_type)
}

#[test]
fn every_v2_signature_of_the_vectors_is_ours_and_no_altered_one() {
    for vector in v2("sign_v2").iter().chain(&v2("pay_sign")) {
        let (key, sign_type) = key_and_type(vector);
        let fields = fields(vector);
        let string = sign_v2::string_to_sign(fields.iter(), &key);
        assert_eq!(string, text(vector, "/string_to_sign"), "{}", vector["id"]);
        let signed = fields.with("sign", text(vector, "/expected"));
        assert!(
            sign_v2::verifies(&signed, &key, sign_type),
            "{}",
            vector["id"]
        );
        let other_key = "0".repeat(32).as_str().into();
        assert!(
            !sign_v2::verifies(&signed, &other_key, sign_type),
            "{}",
            vector["id"]
        );
        let first = signed.iter().find(|(name, _)| *name != "sign").unwrap();
        let altered = signed.clone().with(first.0, format!("{}0", first.1));
        assert!(
            !sign_v2::verifies(&altered, &key, sign_type),
            "{}",
            vector["id"]
        );
    }
}

#[test]
fn what_the_v2_vectors_refuse_is_refused() {
    for vector in v2("verify_v2") {
        let (key, sign_type) = key_and_type(&vector);
        let valid = sign_v2::verifies(&fields(&vector), &key, sign_type);
        assert_eq!(
            Some(valid),
            vector["expected_valid"].as_bool(),
            "{}",
            vector["id"]
        );
    }
    for vector in v2("xml_parse")
        .iter()
        .filter(|v| v["expected_valid"].is_boolean())
    {
        let (key, sign_type) = key_and_type(vector);
        let fields = Fields::parse(text(vector, "/xml").as_bytes(), "xml").unwrap();
        let valid = sign_v2::verifies(&fields, &key, sign_type);
        assert_eq!(
            Some(valid),
            vector["expected_valid"].as_bool(),
            "{}",
            vector["id"]
        );
    }
    for vector in v2("xml_reject") {
        let refused = super::talk_v2::read("POST", text(&vector, "/xml").as_bytes());
        assert_eq!(
            refused.unwrap_err().code,
            "XML_FORMAT_ERROR",
            "{}",
            vector["id"]
        );
    }
}

/// The account of the v3 vectors: their merchant key signs, their serial and mchid name it.
fn account() -> (Credentials, Keys) {
    let merchant = golden("keys/merchant_key.pem");
    let vector = &v3("request_sign")[0];
    let mut account = credentials().clone();
    account.mchid = text(vector, "/mchid").parse().unwrap();
    account.merchant_serial = text(vector, "/serial_no").to_owned();
    account.merchant_key_pem = Secret::new(merchant);
    let keys = account.keys().unwrap();
    (account, keys)
}

#[test]
fn every_v3_request_of_the_vectors_is_proved_and_no_altered_one() {
    let (account, keys) = account();
    for vector in v3("request_sign") {
        let id = &vector["id"];
        let seconds: i64 = text(&vector, "/timestamp").parse().unwrap();
        let body = text(&vector, "/body");
        let call = Call {
            method: text(&vector, "/method"),
            target: text(&vector, "/canonical_url"),
            authorization: Some(text(&vector, "/expected/authorization")),
            body: body.as_bytes(),
            ..Call::default()
        };
        let now = Timestamp::from_unix(seconds);
        let prove = |call: &Call<'_>| {
            let proved = talk_v3::prove((&account, &keys), call, now);
            proved.map_err(|refused| refused.code)
        };
        assert_eq!(prove(&call), Ok(()), "{id}");
        let longer = format!("{body} ");
        let altered = Call {
            body: longer.as_bytes(),
            ..call.clone()
        };
        assert_eq!(prove(&altered), Err("SIGN_ERROR"), "{id} body");
        let target = format!("{}/", call.target);
        let altered = Call {
            target: &target,
            ..call.clone()
        };
        assert_eq!(prove(&altered), Err("SIGN_ERROR"), "{id} target");
        let authorization = call
            .authorization
            .unwrap()
            .replace("signature=\"", "signature=\"A");
        let altered = Call {
            authorization: Some(&authorization),
            ..call
        };
        assert_eq!(prove(&altered), Err("SIGN_ERROR"), "{id} signature");
    }
}

#[test]
fn every_v3_pay_sign_of_the_vectors_verifies() {
    let (_, keys) = account();
    for vector in v3("pay_sign") {
        let package = format!("prepay_id={}", text(&vector, "/prepay_id"));
        let string = pay_string(
            text(&vector, "/appid"),
            text(&vector, "/timestamp"),
            text(&vector, "/nonce_str"),
            &package,
        );
        assert_eq!(string, text(&vector, "/expected/string_to_sign").as_bytes());
        let sign = text(&vector, "/expected/request_payment/paySign");
        assert!(keys.merchant.verifies(&string, sign), "{}", vector["id"]);
    }
}

#[test]
fn every_wrong_v3_pay_sign_of_the_vectors_is_refused_and_explained() {
    let (mut account, keys) = account();
    let whys = [
        ("no-prefix", "without its prepay_id= prefix"),
        ("no-final-lf", "lacks its LF"),
        ("crlf", "CRLF"),
        ("with-signtype", "signType must not be in the signed string"),
    ];
    for vector in v3("pay_sign_negative") {
        let string = text(&vector, "/string_to_sign");
        let sign = text(&vector, "/signature");
        assert!(
            !keys.merchant.verifies(string.as_bytes(), sign),
            "{}",
            vector["id"]
        );
        let parts: Vec<_> = string.lines().collect();
        account.appid = parts[0].parse().unwrap();
        let params = PayParams {
            time_stamp: parts[1],
            nonce_str: parts[2],
            package: parts[3],
            sign_type: "RSA",
            pay_sign: sign,
        };
        let found = suspects::explain_v3(&params, &account, &keys).why;
        let id = text(&vector, "/id");
        let (_, why) = whys.iter().find(|(name, _)| id.ends_with(name)).unwrap();
        assert!(found.contains(why), "{id}: {found}");
    }
}

#[test]
fn the_documents_own_signatures_verify_with_their_key() {
    let file: Value = serde_json::from_str(&golden("vectors-v3.json")).unwrap();
    let key = text(&file, "/keys/official_test_public_key/pem");
    let key = PublicKey::from_pem(key).unwrap();
    for vector in v3("official_verify") {
        let string = text(&vector, "/string_to_sign").as_bytes();
        let accepted = vector["expected"]["result"] == "accept";
        let verified = key.verifies(string, text(&vector, "/signature"));
        assert_eq!(verified, accepted, "{}", vector["id"]);
        let parts: Vec<_> = string.split(|b| *b == b'\n').collect();
        assert_eq!(lines(&parts[..parts.len() - 1]), string, "{}", vector["id"]);
    }
}

#[test]
fn the_answer_string_is_the_one_the_vectors_answers_sign() {
    let key = PublicKey::from_pem(&golden("keys/wechatpay_pub.pem")).unwrap();
    let mut seen = [0; 2];
    for vector in v3("response_verify").iter().chain(&v3("notify")) {
        let header = |name: &str| vector["headers"][name].as_str().unwrap_or("");
        let accepted = vector["expected"]["result"] == "accept";
        let forged = vector["expected"]["reason"] == "bad_signature";
        let ours = header("Wechatpay-Serial").starts_with("PUB_KEY_ID_");
        if !ours || !(accepted || forged) {
            continue;
        }
        let (timestamp, nonce) = (header("Wechatpay-Timestamp"), header("Wechatpay-Nonce"));
        let body = vector["body"].as_str().unwrap_or("");
        let string = answer_string(timestamp, nonce, body.as_bytes());
        let verified = key.verifies(&string, header("Wechatpay-Signature"));
        assert_eq!(verified, accepted, "{}", vector["id"]);
        seen[usize::from(accepted)] += 1;
    }
    assert!(seen[0] >= 8 && seen[1] >= 15, "{seen:?}");
}

#[test]
fn the_merchant_key_of_the_vectors_signs_as_they_say() {
    let key = PrivateKey::from_pem(&golden("keys/merchant_key.pem")).unwrap();
    for vector in v3("request_sign") {
        let string = text(&vector, "/expected/string_to_sign");
        let signature = key.sign(string.as_bytes());
        assert_eq!(
            signature,
            text(&vector, "/expected/signature"),
            "{}",
            vector["id"]
        );
    }
}

#[test]
fn a_refund_is_sealed_into_the_req_info_the_vectors_open() {
    for vector in v2("refund_req_info") {
        let key = hash::md5_hex(text(&vector, "/api_key").as_bytes());
        assert_eq!(key, text(&vector, "/aes_key_ascii"), "{}", vector["id"]);
        let plain = text(&vector, "/plaintext").as_bytes();
        let sealed = cipher::ecb256_seal(key.as_bytes(), plain).unwrap();
        let sealed = BASE64.encode(&sealed);
        assert_eq!(sealed, text(&vector, "/req_info"), "{}", vector["id"]);
    }
}
