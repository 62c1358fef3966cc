//! The unified order's verdicts as tables: each field altered, missing, over-long, wrong.

#![allow(clippy::unwrap_used)]

use super::fixtures::{credentials, now, order_v2_fields, rows, signed_v2, verdict_v2};
use super::sign_v2::{SignType, verifies};
use super::trades::Trades;
use super::{order_v2, talk_v2};
use crate::base::xml::Fields;

const BOTH: [SignType; 2] = [SignType::Md5, SignType::HmacSha256];

fn verdict(fields: &Fields) -> &'static str {
    verdict_v2(&mut Trades::new(), fields.to_xml().as_bytes(), now())
}

fn good(sign_type: SignType) -> Fields {
    signed_v2(order_v2_fields(sign_type), sign_type)
}

#[test]
fn a_right_order_is_opened_whatever_its_sign_type() {
    for sign_type in BOTH {
        assert_eq!(verdict(&good(sign_type)), "OK");
    }
    let mut least = order_v2_fields(SignType::Md5);
    for name in [
        "device_info",
        "sign_type",
        "detail",
        "attach",
        "fee_type",
        "time_start",
        "time_expire",
        "goods_tag",
        "product_id",
        "limit_pay",
        "receipt",
        "profit_sharing",
        "scene_info",
        "version",
    ] {
        least.remove(name);
    }
    assert_eq!(verdict(&signed_v2(least, SignType::Md5)), "OK");
}

/// Field, the value put in after signing, verdict.
const ALTERED: &str = "
appid            | wx8888888888888888                     | SIGNERROR
appid            | wx0000000000000001                     | SIGNERROR
mch_id           | 1000000001                             | MCHID_NOT_EXIST
device_info      | WEC                                    | SIGNERROR
nonce_str        | 5K8264ILTKCH16CQ2502SI8ZNMTM67VT       | SIGNERROR
sign_type        | SHA256                                 | SIGNERROR
body             | 掌柜商城-红富士苹菓                    | SIGNERROR
detail           | {}                                     | SIGNERROR
attach           | 门店=东&amp;门店                       | SIGNERROR
out_trade_no     | 20260101000X9G000000000009             | SIGNERROR
fee_type         | USD                                    | SIGNERROR
total_fee        | 5981                                   | SIGNERROR
total_fee        | 05980                                  | SIGNERROR
spbill_create_ip | 203.0.113.8                            | SIGNERROR
time_start       | 20260101000031                         | SIGNERROR
time_expire      | 20260101003031                         | SIGNERROR
goods_tag        | new                                    | SIGNERROR
notify_url       | https://shop.example.com/wx/pay/notifx | SIGNERROR
trade_type       | NATIVE                                 | SIGNERROR
product_id       | P2                                     | SIGNERROR
limit_pay        |                                        | SIGNERROR
openid           | oUpF8uMuAJO_M2pxb1Q9zNjWeS6p           | SIGNERROR
receipt          | N                                      | SIGNERROR
profit_sharing   | Y                                      | SIGNERROR
scene_info       | {}                                     | SIGNERROR
version          | 1.1                                    | SIGNERROR
sign             | 0                                      | SIGNERROR
unknown_field    | 1                                      | SIGNERROR
";

#[test]
fn each_signed_field_altered_after_signing_has_its_code() {
    for row in rows(ALTERED) {
        let [name, value, code] = row[..] else {
            panic!("{row:?}");
        };
        for sign_type in BOTH {
            let altered = good(sign_type).with(name, value);
            assert_eq!(verdict(&altered), code, "{row:?} {sign_type:?}");
        }
    }
    for sign_type in BOTH {
        let blank = good(sign_type).with("device_info", "WEB ");
        assert_eq!(verdict(&blank), "SIGNERROR", "a blank more");
    }
}

#[test]
fn a_signature_made_otherwise_is_refused() {
    for (sign_type, other) in [(BOTH[0], BOTH[1]), (BOTH[1], BOTH[0])] {
        let right = good(sign_type);
        let lower = right.text("sign").to_ascii_lowercase();
        let by_other = signed_v2(order_v2_fields(sign_type), other);
        let by_v3_key = super::sign_v2::sign(&right, &credentials().v3_key, sign_type);
        let table = [
            ("lower case", right.clone().with("sign", lower)),
            ("the other algorithm", by_other),
            ("the APIv3 key", right.clone().with("sign", by_v3_key)),
            (
                "another sign_type said",
                right.clone().with("sign_type", other.name()),
            ),
        ];
        for (name, fields) in table {
            assert_eq!(verdict(&fields), "SIGNERROR", "{name} {sign_type:?}");
        }
    }
}

#[test]
fn each_required_field_missing_has_its_code() {
    let table = [
        ("appid", "LACK_PARAMS"),
        ("mch_id", "LACK_PARAMS"),
        ("nonce_str", "LACK_PARAMS"),
        ("body", "LACK_PARAMS"),
        ("out_trade_no", "LACK_PARAMS"),
        ("total_fee", "LACK_PARAMS"),
        ("spbill_create_ip", "LACK_PARAMS"),
        ("notify_url", "LACK_PARAMS"),
        ("trade_type", "LACK_PARAMS"),
        ("openid", "LACK_PARAMS"),
    ];
    for (name, code) in table {
        let mut fields = order_v2_fields(SignType::Md5);
        fields.remove(name);
        assert_eq!(
            verdict(&signed_v2(fields.clone(), SignType::Md5)),
            code,
            "{name}"
        );
        let empty = signed_v2(fields.with(name, ""), SignType::Md5);
        assert_eq!(verdict(&empty), code, "{name} empty");
    }
    let mut unsigned = good(SignType::Md5);
    unsigned.remove("sign");
    assert_eq!(verdict(&unsigned), "LACK_PARAMS", "sign");
}

/// Field, the longest value that is right, the code when it is one byte longer.
#[test]
fn each_field_is_right_at_its_longest_and_refused_one_byte_beyond() {
    let text = |length: usize| "a".repeat(length);
    let url = |length: usize| {
        let start = "https://shop.example.com/";
        format!("{start}{}", "n".repeat(length - start.len()))
    };
    let json = |length: usize| format!("{{\"a\":\"{}\"}}", "a".repeat(length - 8));
    let table = [
        ("device_info", text(32), text(33)),
        ("nonce_str", text(32), text(33)),
        ("body", text(127), text(128)),
        ("detail", json(6000), json(6001)),
        ("attach", text(127), text(128)),
        ("out_trade_no", text(32), text(33)),
        ("goods_tag", text(32), text(33)),
        ("notify_url", url(256), url(257)),
        ("product_id", text(32), text(33)),
        ("scene_info", json(256), json(257)),
        ("user_creid", text(32), text(33)),
        ("user_truename", text(64), text(65)),
        ("user_type", text(32), text(33)),
    ];
    for (name, longest, beyond) in table {
        let of = |value: String| {
            let fields = order_v2_fields(SignType::Md5).with(name, value);
            verdict(&signed_v2(fields, SignType::Md5))
        };
        assert_eq!(of(longest), "OK", "{name} at its longest");
        assert_eq!(of(beyond), "INVALID_REQUEST", "{name} beyond");
    }
}

/// Field, value, verdict.
const RULES: &str = "
appid            | wx8888888888888888                  | APPID_NOT_EXIST
appid            | wx0000000000000001                  | APPID_MCHID_NOT_MATCH
mch_id           | 1000000001                          | MCHID_NOT_EXIST
out_trade_no     | 12345                               | INVALID_REQUEST
out_trade_no     | 123456                              | OK
out_trade_no     | a_-*B1                              | OK
out_trade_no     | order@123                           | INVALID_REQUEST
out_trade_no     | 订单000001                          | INVALID_REQUEST
total_fee        | 0                                   | INVALID_REQUEST
total_fee        | 1                                   | OK
total_fee        | -1                                  | INVALID_REQUEST
total_fee        | 59.80                               | INVALID_REQUEST
total_fee        | 1e3                                 | INVALID_REQUEST
spbill_create_ip | 2001:db8::1                         | OK
spbill_create_ip | 256.0.0.1                           | INVALID_REQUEST
spbill_create_ip | localhost                           | INVALID_REQUEST
notify_url       | https://shop.example.com/n?a=1      | INVALID_REQUEST
notify_url       | /wx/pay/notify                      | INVALID_REQUEST
notify_url       | http://127.0.0.1:8080/wx/pay/notify | OK
trade_type       | NATIVE                              | INVALID_REQUEST
trade_type       | jsapi                               | INVALID_REQUEST
fee_type         | USD                                 | INVALID_REQUEST
time_start       | 2026-01-01                          | INVALID_REQUEST
time_expire      | 20260101000                         | INVALID_REQUEST
time_expire      | 20260101000529                      | INVALID_REQUEST
time_expire      | 20260101000530                      | OK
time_expire      | 20251231163030                      | INVALID_REQUEST
openid           | oUpF8uMuAJO_M2pxb1Q9zNjWeS6p        | INVALID_REQUEST
limit_pay        | no_debit                            | INVALID_REQUEST
receipt          | X                                   | INVALID_REQUEST
profit_sharing   | X                                   | INVALID_REQUEST
detail           | not json                            | INVALID_REQUEST
version          | 2.0                                 | INVALID_REQUEST
unknown_field    | tolerated when signed               | OK
";

#[test]
fn each_rule_of_a_field_is_held_although_the_signature_is_right() {
    let verdict_of = |name: &str, value: &str| {
        let fields = order_v2_fields(SignType::HmacSha256).with(name, value);
        verdict(&signed_v2(fields, SignType::HmacSha256))
    };
    for row in rows(RULES) {
        let [name, value, code] = row[..] else {
            panic!("{row:?}");
        };
        assert_eq!(verdict_of(name, value), code, "{row:?}");
    }
    let table = [
        ("appid", "x".repeat(33), "APPID_NOT_EXIST"),
        ("mch_id", "1".repeat(33), "MCHID_NOT_EXIST"),
        ("body", "果".repeat(43), "INVALID_REQUEST"),
        ("body", "果".repeat(42), "OK"),
        ("openid", "o".repeat(129), "INVALID_REQUEST"),
        ("total_fee", " 5980".to_owned(), "INVALID_REQUEST"),
        ("out_trade_no", "a_-|*B".to_owned(), "OK"),
    ];
    for (name, value, code) in table {
        assert_eq!(verdict_of(name, &value), code, "{name}={value}");
    }
}

#[test]
fn what_is_not_a_flat_utf8_document_has_its_code() {
    let whole = good(SignType::Md5).to_xml();
    let twice = whole.replace("<total_fee>", "<total_fee>1</total_fee><total_fee>");
    let entity = format!("<!DOCTYPE xml [<!ENTITY x \"1\">]>{whole}");
    let table: [(&[u8], &str); 8] = [
        (b"", "POST_DATA_EMPTY"),
        (b"<xml><a>\xff</a></xml>", "NOT_UTF8"),
        (b"appid=1&mch_id=2", "XML_FORMAT_ERROR"),
        (b"{\"appid\":\"1\"}", "XML_FORMAT_ERROR"),
        (&whole.as_bytes()[..whole.len() - 1], "XML_FORMAT_ERROR"),
        (twice.as_bytes(), "XML_FORMAT_ERROR"),
        (entity.as_bytes(), "XML_FORMAT_ERROR"),
        (whole.as_bytes(), "OK"),
    ];
    for (document, code) in table {
        let got = verdict_v2(&mut Trades::new(), document, now());
        assert_eq!(got, code, "{}", String::from_utf8_lossy(document));
    }
    let get = talk_v2::read("GET", whole.as_bytes()).unwrap_err();
    assert_eq!(get.code, "REQUIRE_POST_METHOD");
}

#[test]
fn answers_after_the_proof_are_signed_with_the_requests_sign_type_and_those_before_are_not() {
    for sign_type in BOTH {
        let asked = good(sign_type);
        let unproved = talk_v2::read("POST", b"").unwrap_err();
        let answer = unproved.answer(credentials(), &Fields::new());
        assert_eq!(answer.text("return_code"), "FAIL");
        assert_eq!(answer.get("sign"), None);

        let refused = talk_v2::busy(sign_type).answer(credentials(), &asked);
        assert_eq!(refused.text("return_code"), "SUCCESS");
        assert_eq!(refused.text("result_code"), "FAIL");
        assert_eq!(refused.text("err_code"), "SYSTEMERROR");
        assert!(verifies(&refused, &credentials().v2_key, sign_type));

        let prepay_id = "wx20260101000030aaaa".parse().unwrap();
        let result = order_v2::opened(&prepay_id);
        let opened = talk_v2::done(credentials(), &asked, &result, sign_type);
        assert_eq!(opened.text("prepay_id"), "wx20260101000030aaaa");
        assert!(verifies(&opened, &credentials().v2_key, sign_type));
    }
}
