//! WeChat's published and cross-checked vectors (`tests/golden/wechat`), for the tests beside the
//! code. Each test asserts how many vectors of its kind there are, so that none is skipped.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::base::rsa::{PrivateKey, PublicKey};
use crate::base::xml::Fields;
use crate::base::{Secret, Timestamp};
use crate::wechat::v3::{Keyring, PlatformCertificate, SignatureFault, SignatureHeaders};
use crate::wechat::v3::{Trust, V3Keys, VerifyWith};

const V2: &str = include_str!("../../tests/golden/wechat/vectors-v2.json");
const V3: &str = include_str!("../../tests/golden/wechat/vectors-v3.json");
const V3_BILLS: &str = include_str!("../../tests/golden/wechat/vectors-v3-bills.json");
const MERCHANT_KEY: &str = include_str!("../../tests/golden/wechat/keys/merchant_key.pem");
const PUBLIC_KEY: &str = include_str!("../../tests/golden/wechat/keys/wechatpay_pub.pem");
/// The platform certificate that is in use.
pub(crate) const PLATFORM_CERT: &str =
    include_str!("../../tests/golden/wechat/keys/platform_cert.pem");
/// The one that follows it.
pub(crate) const PLATFORM2_CERT: &str =
    include_str!("../../tests/golden/wechat/keys/platform2_cert.pem");
// Made for these vectors: WeChat's side of the sealed fields.
const PUBLIC_KEY_PRIVATE: &str =
    include_str!("../../tests/golden/wechat/keys/wechatpay_pub_private.pem");
const PLATFORM_PRIVATE: &str = include_str!("../../tests/golden/wechat/keys/platform_key.pem");
const PLATFORM: &str = include_str!("../../tests/golden/wechat/keys/platform_pub.pem");
const PLATFORM2: &str = include_str!("../../tests/golden/wechat/keys/platform2_pub.pem");

fn all(file: &str) -> Value {
    serde_json::from_str(file).expect("the vectors are JSON")
}

fn of_kind(file: &str, kind: &str) -> Vec<Value> {
    let mut file = all(file);
    let Value::Array(vectors) = file["vectors"].take() else {
        panic!("no vectors");
    };
    vectors.into_iter().filter(|v| v["kind"] == kind).collect()
}

/// All v2 and mini-program vectors of one kind.
pub(crate) fn v2(kind: &str) -> Vec<Value> {
    of_kind(V2, kind)
}

/// All v3 vectors of one kind.
pub(crate) fn v3(kind: &str) -> Vec<Value> {
    [of_kind(V3, kind), of_kind(V3_BILLS, kind)].concat()
}

/// A text member of a vector.
pub(crate) fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {}", vector["id"]))
}

/// A JSON object of texts and integers as fields.
pub(crate) fn fields(object: &Value) -> Fields {
    let object = object.as_object().expect("an object");
    object
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => (name.clone(), text.clone()),
            Value::Number(number) => (name.clone(), number.to_string()),
            other => panic!("{name}: {other}"),
        })
        .collect()
}

/// Fields in the order of their names.
pub(crate) fn sorted(fields: &Fields) -> Vec<(&str, &str)> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_unstable();
    fields
}

/// An entry of the `keys` section of the v3 vectors.
pub(crate) fn key_entry(key: &str, member: &str) -> String {
    text(&all(V3)["keys"][key], member).to_owned()
}

/// The merchant's private key.
pub(crate) fn merchant_key() -> PrivateKey {
    PrivateKey::from_pem(MERCHANT_KEY).expect("a test key")
}

/// A public key by its name in the vectors.
pub(crate) fn public_key(name: &str) -> PublicKey {
    let pem = match name {
        "pub_key" => PUBLIC_KEY.to_owned(),
        "platform" => PLATFORM.to_owned(),
        "platform2" => PLATFORM2.to_owned(),
        "merchant" => return merchant_key().public(),
        "official_test_public_key" => key_entry(name, "pem"),
        other => panic!("no key {other}"),
    };
    PublicKey::from_pem(&pem).expect("a test key")
}

/// A private key by its name in the vectors.
pub(crate) fn private_key(name: &str) -> PrivateKey {
    let pem = match name {
        "merchant" => MERCHANT_KEY,
        "pub_key" => PUBLIC_KEY_PRIVATE,
        "platform" => PLATFORM_PRIVATE,
        other => panic!("no private key {other}"),
    };
    PrivateKey::from_pem(pem).expect("a test key")
}

/// A platform certificate by its name in the vectors.
pub(crate) fn certificate(name: &str) -> PlatformCertificate {
    let pem = match name {
        "platform" => PLATFORM_CERT,
        "platform2" => PLATFORM2_CERT,
        other => panic!("no certificate {other}"),
    };
    let certificate = PlatformCertificate::from_pem(pem).expect("a test certificate");
    assert_eq!(certificate.serial, key_entry(name, "serial_no"));
    certificate
}

/// A ring of the keys that a vector's `trust` names.
pub(crate) fn keyring(trust: &Value) -> Keyring {
    let mut ring = Keyring::default();
    for name in trust
        .as_array()
        .expect("trust")
        .iter()
        .filter_map(Value::as_str)
    {
        ring = match name {
            "pub_key" => ring.with_public_key(&key_entry(name, "id"), public_key(name)),
            name => ring.with_certificates([certificate(name)], Timestamp::from_unix(0)),
        };
    }
    ring
}

/// The keys that a notification's vector is opened with.
pub(crate) fn v3_keys(vector: &Value) -> V3Keys {
    V3Keys {
        api_key: Secret::new(key_entry(text(vector, "apiv3_key"), "value")),
        merchant_serial: key_entry("merchant", "serial_no"),
        merchant_key: merchant_key(),
        wechat_keys: Trust::of(VerifyWith::Both, keyring(&vector["trust"])),
    }
}

/// The signature headers of a vector, looked up without regard to case.
pub(crate) fn signature_headers(headers: &Value) -> SignatureHeaders<'_> {
    let headers = headers.as_object().expect("headers");
    SignatureHeaders::read(|name| {
        let mut of_name = headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        of_name.next().and_then(|(_, value)| value.as_str())
    })
}

/// The class that the vectors give a fault. A probe is a bad signature to them.
pub(crate) fn class(fault: SignatureFault) -> &'static str {
    match fault {
        SignatureFault::MissingHeader(_) => "missing_header",
        SignatureFault::SignatureType => "signature_type",
        SignatureFault::Timestamp => "timestamp",
        SignatureFault::UnknownSerial => "unknown_serial",
        SignatureFault::BadSignature | SignatureFault::Probe => "bad_signature",
    }
}

#[test]
fn every_kind_of_vector_has_a_test_that_names_it() {
    let sources = [
        include_str!("v2/sign.rs"),
        include_str!("v2/order.rs"),
        include_str!("v2/notify.rs"),
        include_str!("v3/sign.rs"),
        include_str!("v3/prepay.rs"),
        include_str!("v3/answer.rs"),
        include_str!("v3/notify.rs"),
        include_str!("v3/certificates_tests.rs"),
        include_str!("v3/refund_tests.rs"),
        include_str!("mini_open.rs"),
        include_str!("message.rs"),
        include_str!("bill.rs"),
        include_str!("bill_file_tests.rs"),
    ];
    for (file, version, total) in [(V2, "v2", 76), (V3, "v3", 113), (V3_BILLS, "v3", 5)] {
        let file = all(file);
        let vectors = file["vectors"].as_array().expect("vectors");
        assert_eq!(vectors.len(), total);
        let kinds: BTreeSet<&str> = vectors.iter().map(|v| text(v, "kind")).collect();
        for kind in kinds {
            let call = format!("vectors::{version}(\"{kind}\")");
            assert!(sources.iter().any(|s| s.contains(&call)), "{call}");
        }
    }
}
