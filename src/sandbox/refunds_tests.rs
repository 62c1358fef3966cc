//! Refunds as tables: what each state and each field is answered with, and how a refund ends.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::{Value, json};

use super::Book;
use super::fixtures::{now, right_headers, rows, sandbox, two_orders};
use super::gate_v2::Asked;
use super::gate_v3::Answer;
use super::refunds::Status;
use super::sign_v2::SignType;
use super::{refunds_v2, refunds_v3};
use crate::base::Timestamp;
use crate::base::xml::Fields;

const V2_ORDER: &str = "20260101000X9G000000000000";
const V3_ORDER: &str = "20260101000X9G000000000001";

fn later(seconds: u64) -> Timestamp {
    now().plus(Duration::from_secs(seconds))
}

/// A book with both orders, paid at [`now`] when `paid` says so.
fn with_book<T>(paid: &str, test: impl FnOnce(&mut Book) -> T) -> T {
    let sandbox = sandbox();
    let mut book = sandbox.book();
    for (_, prepay_id) in two_orders(&mut book.trades) {
        if paid == "paid" {
            book.trades.pay(&prepay_id, now()).unwrap();
        }
    }
    test(&mut book)
}

fn v2_fields(out_refund_no: &str, fen: u64) -> Fields {
    Fields::new()
        .with("nonce_str", "1")
        .with("out_trade_no", V2_ORDER)
        .with("out_refund_no", out_refund_no)
        .with("total_fee", "5980")
        .with("refund_fee", fen.to_string())
}

fn v3_body(out_refund_no: &str, fen: u64) -> Value {
    json!({
        "out_trade_no": V3_ORDER,
        "out_refund_no": out_refund_no,
        "reason": "不想要了",
        "notify_url": "https://shop.example.com/wx/refund/notify",
        "amount": {"refund": fen, "total": 5980, "currency": "CNY"},
    })
}

fn refund_v2(book: &mut Book, fields: &Fields, at: Timestamp) -> Result<Fields, &'static str> {
    let asked = Asked {
        fields,
        sign_type: SignType::Md5,
        now: at,
    };
    refunds_v2::apply(book, &asked).map_err(|refused| refused.code)
}

fn query_v2(book: &mut Book, pairs: &[(&str, &str)]) -> Result<Fields, &'static str> {
    let start = Fields::new().with("nonce_str", "1");
    let fields = pairs
        .iter()
        .fold(start, |f, (name, value)| f.with(name, *value));
    let asked = Asked {
        fields: &fields,
        sign_type: SignType::Md5,
        now: now(),
    };
    refunds_v2::query(book, &asked).map_err(|refused| refused.code)
}

/// The refund object, or `CODE field`.
fn refund_v3(book: &mut Book, body: &Value, at: Timestamp) -> Result<Value, String> {
    let bytes = body.to_string().into_bytes();
    match refunds_v3::apply(book, &right_headers(&bytes), at) {
        Ok(Answer::Json(object)) => Ok(object),
        Ok(Answer::NoContent | Answer::Accepted | Answer::File(_)) => Err("20x".to_owned()),
        Err(refused) => Err(format!("{} {}", refused.code, refused.field())),
    }
}

/// Former refunds `number:fen@second`, the one asked for, v2's answer, v3's.
const HISTORIES: &str = "
            | a:100@0         | OK                 | OK
            | a:5980@0        | OK                 | OK
            | a:5981@0        | INVALID_REQUEST    | INVALID_REQUEST
a:100@0     | a:100@1         | OK                 | OK
a:100@0     | a:101@61        | INVALID_REQUEST    | INVALID_REQUEST
a:100@0     | b:100@59        | FREQUENCY_LIMITED  | FREQUENCY_LIMITED
a:100@0     | b:100@60        | OK                 | OK
a:100@0     | b:5880@60       | OK                 | OK
a:100@0     | b:5881@60       | INVALID_REQUEST    | INVALID_REQUEST
a:5980@0    | b:1@60          | INVALID_REQUEST    | INVALID_REQUEST
            | a:1@31536000    | OK                 | OK
            | a:1@31536001    | TRADE_OVERDUE      | INVALID_REQUEST
a:1@0       | a:1@31536001    | OK                 | OK
";

fn part(text: &str) -> (&str, u64, Timestamp) {
    let (number, rest) = text.split_once(':').unwrap();
    let (fen, second) = rest.split_once('@').unwrap();
    (number, fen.parse().unwrap(), later(second.parse().unwrap()))
}

#[test]
fn each_history_of_refunds_has_its_answer_in_both_protocols() {
    for row in rows(HISTORIES) {
        let [former, asked, v2, v3] = row[..] else {
            panic!("{row:?}");
        };
        let said = with_book("paid", |book| {
            let mut said = [String::new(), String::new()];
            for text in former.split_whitespace().chain([asked]) {
                let (number, fen, at) = part(text);
                let first = refund_v2(book, &v2_fields(number, fen), at);
                let other = format!("{number}3");
                let second = refund_v3(book, &v3_body(&other, fen), at);
                said = [
                    first.err().unwrap_or("OK").to_owned(),
                    second.err().unwrap_or_else(|| "OK".to_owned()),
                ];
            }
            said
        });
        assert_eq!(said.each_ref().map(|s| s.trim_end()), [v2, v3], "{row:?}");
    }
}

#[test]
fn an_unpaid_or_unknown_order_and_another_total_are_refused() {
    with_book("unpaid", |book| {
        let said = refund_v2(book, &v2_fields("a", 1), now());
        assert_eq!(said.unwrap_err(), "ORDERNOTEXIST");
        let said = refund_v3(book, &v3_body("a", 1), now());
        assert_eq!(said.unwrap_err(), "RESOURCE_NOT_EXISTS ");
    });
    with_book("paid", |book| {
        let unknown = v2_fields("a", 1).with("transaction_id", "4200000000");
        let said = refund_v2(book, &unknown, now());
        assert_eq!(said.unwrap_err(), "ORDERNOTEXIST");
        let other = v2_fields("a", 1).with("total_fee", "5981");
        assert_eq!(
            refund_v2(book, &other, now()).unwrap_err(),
            "INVALID_REQUEST"
        );
        let mut other = v3_body("a", 1);
        other["amount"]["total"] = json!(5979);
        let said = refund_v3(book, &other, now());
        assert_eq!(said.unwrap_err(), "INVALID_REQUEST ");
    });
}

#[test]
fn fifty_parts_are_refunded_and_not_one_more() {
    with_book("paid", |book| {
        for n in 0..50 {
            let said = refund_v2(book, &v2_fields(&n.to_string(), 1), later(n * 60));
            assert!(said.is_ok(), "{n}: {said:?}");
        }
        let said = refund_v2(book, &v2_fields("50", 1), later(3000));
        assert_eq!(said.unwrap_err(), "INVALID_REQUEST");
    });
}

#[test]
fn a_closed_refund_gives_its_amount_free_and_an_abnormal_one_does_not() {
    for (status, wanted) in [
        (Status::Closed, Ok(())),
        (Status::Abnormal, Err("INVALID_REQUEST")),
        (Status::Success, Err("INVALID_REQUEST")),
    ] {
        with_book("paid", |book| {
            refund_v2(book, &v2_fields("a", 5980), now()).unwrap();
            book.refunds.end("a", status, now()).unwrap();
            let said = refund_v2(book, &v2_fields("b", 1), later(60)).map(|_| ());
            assert_eq!(said, wanted, "{status:?}");
        });
    }
}

#[test]
fn each_field_of_a_v2_refund_missing_or_misshapen_has_its_code() {
    // Field, value, code.
    let (long32, long64) = ("4".repeat(33), "r".repeat(65));
    let long = "a".repeat(81);
    let table = [
        ("nonce_str", "", "LACK_PARAMS"),
        ("out_refund_no", "", "LACK_PARAMS"),
        ("total_fee", "", "LACK_PARAMS"),
        ("refund_fee", "", "LACK_PARAMS"),
        ("out_trade_no", "", "LACK_PARAMS"),
        ("out_refund_no", &long64, "INVALID_REQUEST"),
        ("out_refund_no", "退1", "INVALID_REQUEST"),
        ("refund_fee", "0", "INVALID_REQUEST"),
        ("refund_fee", "1.00", "INVALID_REQUEST"),
        ("total_fee", "-1", "INVALID_REQUEST"),
        ("transaction_id", &long32, "INVALID_REQUEST"),
        ("refund_fee_type", "USD", "INVALID_REQUEST"),
        ("refund_desc", &long, "INVALID_REQUEST"),
        ("refund_account", "BALANCE", "INVALID_REQUEST"),
        ("notify_url", "https://a.example/n?x=1", "INVALID_REQUEST"),
        ("detail", "x", "INVALID_REQUEST"),
    ];
    for (name, value, code) in table {
        let fields = v2_fields("a", 1).with(name, value);
        let said = with_book("paid", |book| refund_v2(book, &fields, now()).map(|_| ()));
        assert_eq!(said, Err(code), "{name}={value}");
    }
}

#[test]
fn each_field_of_a_v3_refund_missing_or_misshapen_is_named() {
    let long = |length: usize| json!("a".repeat(length));
    // Pointer, the value in its place (null takes it out), the field named.
    let table = [
        ("/out_refund_no", Value::Null, "/out_refund_no"),
        ("/amount", Value::Null, "/amount"),
        ("/amount/refund", Value::Null, "/amount/refund"),
        ("/amount/total", Value::Null, "/amount/total"),
        ("/amount/currency", Value::Null, "/amount/currency"),
        ("/out_trade_no", Value::Null, "/transaction_id"),
        ("/amount/currency", json!("USD"), "/amount/currency"),
        ("/amount/refund", json!(0), "/amount/refund"),
        ("/amount/refund", json!("1"), "/amount/refund"),
        ("/amount/refund", json!(1.5), "/amount/refund"),
        ("/out_refund_no", long(65), "/out_refund_no"),
        ("/out_refund_no", json!("a b"), "/out_refund_no"),
        ("/reason", long(81), "/reason"),
        ("/reason", json!("😀"), "/reason"),
        ("/notify_url", json!("https://a.example/n?x"), "/notify_url"),
        ("/funds_account", json!("BASIC"), "/funds_account"),
        ("/out_trade_no", json!("12345"), "/out_trade_no"),
        ("/mchid", json!("1900000001"), "/mchid"),
    ];
    for (pointer, value, named) in table {
        let mut body = v3_body("a", 1);
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match &value {
            Value::Null => drop(parent.remove(name)),
            value => drop(parent.insert(name.to_owned(), value.clone())),
        }
        let said = with_book("paid", |book| refund_v3(book, &body, now()));
        assert_eq!(said.unwrap_err(), format!("PARAM_ERROR {named}"), "{value}");
    }
}

#[test]
fn the_query_takes_the_strongest_key_and_pages_by_ten() {
    with_book("paid", |book| {
        for n in 0..12 {
            refund_v2(book, &v2_fields(&format!("r{n}"), 1), later(n * 60)).unwrap();
        }
        let id = book.refunds.get("r3").unwrap().refund_id.clone();
        let by = |book: &mut Book, pairs: &[(&str, &str)]| {
            let told = query_v2(book, pairs)?;
            let count = told.text("refund_count").to_owned();
            Ok::<_, &str>((count, told.text("out_refund_no_0").to_owned()))
        };
        let order = ("out_trade_no", V2_ORDER);
        let number = ("out_refund_no", "r5");
        let one = |name: &str| Ok(("1".to_owned(), name.to_owned()));
        assert_eq!(by(book, &[("refund_id", &id), number, order]), one("r3"));
        assert_eq!(by(book, &[number, order]), one("r5"));
        assert_eq!(by(book, &[order]), Ok(("10".to_owned(), "r0".to_owned())));
        let rest = by(book, &[order, ("offset", "10")]);
        assert_eq!(rest, Ok(("2".to_owned(), "r10".to_owned())));
        assert_eq!(by(book, &[order, ("offset", "12")]), Err("PARAM_ERROR"));
        assert_eq!(by(book, &[order, ("offset", "x")]), Err("INVALID_REQUEST"));
        assert_eq!(by(book, &[("out_refund_no", "r99")]), Err("REFUNDNOTEXIST"));
        assert_eq!(
            by(book, &[("out_trade_no", V3_ORDER)]),
            Err("REFUNDNOTEXIST")
        );
        assert_eq!(by(book, &[]), Err("LACK_PARAMS"));
        let all = query_v2(book, &[order]).unwrap();
        assert_eq!(all.text("total_refund_count"), "12");
        assert_eq!(all.text("refund_status_9"), "PROCESSING");
    });
}

#[test]
fn only_an_abnormal_refund_is_taken_up_and_only_with_what_its_kind_needs() {
    let card = json!({
        "out_refund_no": "a",
        "type": "USER_BANK_CARD",
        "bank_type": "ICBC_DEBIT",
        "bank_account": "sealed",
        "real_name": "sealed",
    });
    let merchant = json!({"out_refund_no": "a", "type": "MERCHANT_BANK_CARD"});
    let with = |name: &str, value: Value| {
        let mut body = card.clone();
        match value {
            Value::Null => drop(body.as_object_mut().unwrap().remove(name)),
            value => body[name] = value,
        }
        body
    };
    let (abnormal, processing) = (Status::Abnormal, Status::Processing);
    let table = [
        (abnormal, card.clone(), "OK"),
        (abnormal, merchant.clone(), "OK"),
        (processing, merchant.clone(), "INVALID_REQUEST "),
        (Status::Success, merchant.clone(), "INVALID_REQUEST "),
        (
            abnormal,
            with("bank_type", Value::Null),
            "PARAM_ERROR /bank_type",
        ),
        (
            abnormal,
            with("bank_type", json!("ICBC_CREDIT")),
            "PARAM_ERROR /bank_type",
        ),
        (
            abnormal,
            with("real_name", Value::Null),
            "PARAM_ERROR /real_name",
        ),
        (
            abnormal,
            with("bank_account", json!("plain")),
            "PARAM_ERROR /bank_account",
        ),
        (abnormal, with("type", json!("CASH")), "PARAM_ERROR /type"),
        (
            abnormal,
            with("out_refund_no", json!("b")),
            "RESOURCE_NOT_EXISTS ",
        ),
    ];
    for (status, body, wanted) in table {
        let said = with_book("paid", |book| {
            refund_v3(book, &v3_body("a", 1), now()).unwrap();
            book.refunds.end("a", status, now()).unwrap();
            let id = book.refunds.get("a").unwrap().refund_id.clone();
            let bytes = body.to_string().into_bytes();
            let opens = |sealed: &str| sealed == "sealed";
            let call = right_headers(&bytes);
            match refunds_v3::take_up(book, &id, &call, (now(), &opens)) {
                Ok(_) => "OK".to_owned(),
                Err(refused) => format!("{} {}", refused.code, refused.field()),
            }
        });
        assert_eq!(said, wanted, "{status:?} {body}");
    }
}

#[test]
fn a_refund_by_hand_makes_what_exceeds_it_a_matter_of_business() {
    use super::refunds::{NotRefunded, Source, Wanted, Whose};
    with_book("paid", |book| {
        refund_v3(book, &v3_body("a", 80), now()).unwrap();
        let by_hand = Wanted {
            source: Source::Platform,
            out_refund_no: "hand".to_owned(),
            ..book.refunds.get("a").unwrap().wanted.clone()
        };
        assert!(
            book.refunds
                .apply(&mut book.trades, by_hand.clone(), now())
                .is_ok()
        );
        let much = Wanted {
            source: Source::Api,
            out_refund_no: "b".to_owned(),
            amount: crate::base::Fen::new(5900),
            ..by_hand
        };
        let said = book.refunds.apply(&mut book.trades, much, later(60));
        assert_eq!(said.unwrap_err(), NotRefunded::Exceeds(Whose::Platform));
    });
}
