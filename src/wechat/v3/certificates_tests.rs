//! The list of platform certificates against WeChat's vectors.

#![allow(clippy::unwrap_used)]

use serde_json::Value;

use super::*;
use crate::wechat::vectors::{self, text};

fn api_key(vector: &Value) -> Secret<String> {
    Secret::new(vectors::key_entry(text(vector, "apiv3_key"), "value"))
}

fn download(
    vector: &Value,
    ring: &Keyring,
    now: Timestamp,
) -> Result<Vec<PlatformCertificate>, WechatError> {
    let answer = Answer {
        status: u16::try_from(vector["http_status"].as_u64().unwrap()).unwrap(),
        headers: vectors::signature_headers(&vector["headers"]),
        request_id: vector["headers"]["Request-ID"].as_str(),
        body: text(vector, "body").as_bytes(),
    };
    believed(&answer, &api_key(vector), ring, now)
}

fn now(vector: &Value) -> Timestamp {
    Timestamp::from_unix(vector["now_unix"].as_i64().unwrap())
}

#[test]
fn every_list_vector_gives_its_certificates_or_refuses_the_bad_ones() {
    let all = vectors::v3("certificate_list");
    assert_eq!(all.len(), 4);
    for vector in &all {
        let expected = &vector["expected"];
        let entries = read_list(text(vector, "body").as_bytes(), &api_key(vector));
        match text(expected, "result") {
            "accept" => {
                let wanted = expected["certificates"].as_array().unwrap();
                let entries = entries.unwrap();
                assert_eq!(entries.len(), wanted.len(), "{}", vector["id"]);
                for (entry, wanted) in entries.into_iter().zip(wanted) {
                    let certificate = entry.certificate.unwrap();
                    assert_eq!(certificate.serial, text(wanted, "serial_no"));
                    assert_eq!(certificate.pem, text(wanted, "pem"));
                }
            }
            "reject" => {
                let bad = entries
                    .unwrap()
                    .into_iter()
                    .find(|e| e.certificate.is_err());
                let bad = bad.unwrap();
                assert_eq!(bad.serial_no, text(expected, "bad_serial"));
                assert_eq!(bad.certificate.unwrap_err(), BadEntry::CannotOpen);
            }
            _ => assert!(entries.is_none(), "{}", vector["id"]),
        }
    }
}

fn vector(id: &str) -> Value {
    let all = vectors::v3("certificate_list");
    all.into_iter().find(|v| v["id"] == id).unwrap()
}

#[test]
fn the_first_download_is_verified_with_a_certificate_inside_it() {
    let two = vector("certs-001-two");
    let found = download(&two, &Keyring::default(), now(&two)).unwrap();
    assert_eq!(found.len(), 2);
    let mut forged = two.clone();
    forged["headers"]["Wechatpay-Nonce"] = "another".into();
    let refused = download(&forged, &Keyring::default(), now(&two));
    assert!(
        matches!(refused, Err(WechatError::Unknown(_))),
        "{refused:?}"
    );
    let mut stranger = two.clone();
    stranger["headers"]["Wechatpay-Serial"] = "0A".into();
    let refused = download(&stranger, &Keyring::default(), now(&two));
    assert!(
        matches!(refused, Err(WechatError::Unknown(_))),
        "{refused:?}"
    );
}

#[test]
fn a_bad_entry_is_left_out_and_the_good_one_is_kept() {
    let one = vector("certs-101-one-tampered");
    let found = download(&one, &Keyring::default(), now(&one)).unwrap();
    let serials: Vec<_> = found.iter().map(|c| c.serial.as_str()).collect();
    assert_eq!(serials, [vectors::key_entry("platform", "serial_no")]);
}

#[test]
fn a_merchant_without_certificates_is_told_to_configure_the_public_key() {
    let none = vector("certs-103-public-key-only");
    let refused = download(&none, &Keyring::default(), now(&none)).unwrap_err();
    assert_eq!(refused.cause(), Some(Cause::Config));
    assert!(refused.to_string().contains("微信支付公钥"), "{refused}");
    let empty = vector("certs-102-empty");
    let ring =
        Keyring::default().with_certificates([vectors::certificate("platform")], now(&empty));
    assert_eq!(download(&empty, &ring, now(&empty)).unwrap().len(), 0);
}

#[test]
fn a_list_that_does_not_open_under_our_key_is_a_fault_of_the_configuration() {
    let two = vector("certs-001-two");
    let answer = Answer {
        status: 200,
        headers: vectors::signature_headers(&two["headers"]),
        request_id: None,
        body: text(&two, "body").as_bytes(),
    };
    let wrong = Secret::from("0123456789abcdefghijklmnopqrstuv");
    let refused = believed(&answer, &wrong, &Keyring::default(), now(&two)).unwrap_err();
    assert_eq!(refused.cause(), Some(Cause::Config));
    assert!(refused.to_string().contains("v3_key"));
}

#[test]
fn an_entry_under_another_serial_than_its_certificates_is_refused() {
    let two = vector("certs-001-two");
    let (first, second) = (
        vectors::key_entry("platform", "serial_no"),
        vectors::key_entry("platform2", "serial_no"),
    );
    let swapped = text(&two, "body")
        .replace(&first, "-")
        .replace(&second, &first)
        .replace("\"-\"", &format!("\"{second}\""));
    let entries = read_list(swapped.as_bytes(), &api_key(&two)).unwrap();
    assert_eq!(entries.len(), 2);
    for entry in entries {
        assert_eq!(entry.certificate.unwrap_err(), BadEntry::Serial);
    }
}
