//! `upload_shipping_info` as tables: each field missing, wrong, over-long; what may follow what.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::{Value, json};

use super::shipping::{Confirmed, Money, Shipment};
use super::upload::Form;
use crate::sandbox::fixtures::now;
use crate::sandbox::login::Errcode;

/// One parcel by courier, everything right.
pub(super) fn courier() -> Value {
    json!({
        "order_key": {"order_number_type": 2, "transaction_id": "4200002345"},
        "logistics_type": 1,
        "delivery_mode": 1,
        "shipping_list": [
            {"tracking_no": "T1", "express_company": "ZTO", "item_desc": "茶*1"}
        ],
        "upload_time": "2026-01-01T00:00:30.120+08:00",
        "payer": {"openid": "oBuyer"},
    })
}

fn changed(mut form: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let place = form.pointer_mut(parent).unwrap();
        match (value, name.parse::<usize>()) {
            (value, Ok(index)) => place[index] = value.clone(),
            (Value::Null, Err(_)) => drop(place.as_object_mut().unwrap().remove(name)),
            (value, Err(_)) => place[name] = value.clone(),
        }
    }
    form
}

/// 0 when the form is right, 47001 when it is of other types, else its errcode.
fn verdict(form: &Value) -> i64 {
    match serde_json::from_value::<Form>(form.clone()) {
        Err(_) => 47001,
        Ok(form) => form.read().map_or_else(|why| why.errcode, |_| 0),
    }
}

#[test]
fn each_field_about_the_order_has_its_errcode_when_missing_or_wrong() {
    let one = |pointer: &str, value: Value| changed(courier(), &[(pointer, value)]);
    let table = [
        ("all right", courier(), 0),
        ("no key", one("/order_key", Value::Null), 268_485_194),
        (
            "key type 3",
            one("/order_key/order_number_type", json!(3)),
            268_485_194,
        ),
        (
            "no id",
            one("/order_key/transaction_id", Value::Null),
            268_485_195,
        ),
        (
            "key type 1",
            one("/order_key/order_number_type", json!(1)),
            268_485_196,
        ),
        (
            "no number",
            one("/order_key", json!({"order_number_type": 1, "mchid": "19"})),
            268_485_197,
        ),
        ("no way", one("/logistics_type", Value::Null), 10_060_005),
        ("way 5", one("/logistics_type", json!(5)), 10_060_005),
        ("way as text", one("/logistics_type", json!("1")), 47001),
        ("no mode", one("/delivery_mode", Value::Null), 268_485_224),
        ("mode 3", one("/delivery_mode", json!(3)), 268_485_224),
        (
            "mode by name",
            one("/delivery_mode", json!("UNIFIED_DELIVERY")),
            47001,
        ),
        ("split, no end", one("/delivery_mode", json!(2)), 10_060_007),
        (
            "an object",
            one("/shipping_list", courier()["shipping_list"][0].clone()),
            47001,
        ),
    ];
    for (name, form, errcode) in table {
        assert_eq!(verdict(&form), errcode, "{name}");
    }
}

#[test]
fn parcels_are_counted_and_each_says_what_is_in_it() {
    let parcel = |name: &str| format!("/shipping_list/0/{name}");
    let one = |pointer: &str, value: Value| changed(courier(), &[(pointer, value)]);
    let parcels = |count: usize| json!(vec![courier()["shipping_list"][0].clone(); count]);
    let table = [
        (
            "no parcels",
            one("/shipping_list", Value::Null),
            268_485_228,
        ),
        (
            "two parcels",
            one("/shipping_list", parcels(2)),
            268_485_228,
        ),
        (
            "sixteen parcels",
            one("/shipping_list", parcels(16)),
            10_060_024,
        ),
        (
            "no item",
            one(&parcel("item_desc"), Value::Null),
            10_060_020,
        ),
        (
            "item empty",
            one(&parcel("item_desc"), json!("")),
            10_060_008,
        ),
        (
            "item 120",
            one(&parcel("item_desc"), json!("茶".repeat(120))),
            0,
        ),
        (
            "item 121",
            one(&parcel("item_desc"), json!("茶".repeat(121))),
            10_060_009,
        ),
    ];
    for (name, form, errcode) in table {
        assert_eq!(verdict(&form), errcode, "{name}");
    }
}

#[test]
fn each_field_of_a_parcel_on_its_way_has_its_errcode_when_missing_wrong_or_over_long() {
    let parcel = |name: &str| format!("/shipping_list/0/{name}");
    let long = |length: usize| json!("x".repeat(length));
    let one = |pointer: &str, value: Value| changed(courier(), &[(pointer, value)]);
    let table = [
        (
            "no tracking",
            one(&parcel("tracking_no"), Value::Null),
            268_485_226,
        ),
        (
            "tracking 129",
            one(&parcel("tracking_no"), long(129)),
            10_060_026,
        ),
        (
            "no company",
            one(&parcel("express_company"), Value::Null),
            268_485_227,
        ),
        (
            "company 129",
            one(&parcel("express_company"), long(129)),
            10_060_025,
        ),
        (
            "company unknown",
            one(&parcel("express_company"), json!("顺丰")),
            10_060_014,
        ),
        ("no time", one("/upload_time", Value::Null), 268_485_216),
        (
            "time compact",
            one("/upload_time", json!("20260101000030")),
            268_485_216,
        ),
        (
            "no offset",
            one("/upload_time", json!("2026-01-01T00:00:30")),
            268_485_216,
        ),
        (
            "a blank for T",
            one("/upload_time", json!("2026-01-01 00:00:30+08:00")),
            268_485_216,
        ),
        ("no payer", one("/payer", Value::Null), 10_060_014),
    ];
    for (name, form, errcode) in table {
        assert_eq!(verdict(&form), errcode, "{name}");
    }
}

#[test]
fn only_couriers_split_and_only_they_need_a_tracking_number() {
    let split = ("/delivery_mode", json!(2));
    let done = ("/is_all_delivered", json!(true));
    let none = ("/shipping_list", json!([]));
    let bare = ("/shipping_list", json!([{"item_desc": "茶*1"}]));
    for way in [2, 3, 4] {
        let way = ("/logistics_type", json!(way));
        assert_eq!(
            verdict(&changed(courier(), &[way.clone(), bare.clone()])),
            0
        );
        let form = changed(courier(), &[way, split.clone(), done.clone()]);
        assert_eq!(verdict(&form), 10_060_006);
    }
    assert_eq!(
        verdict(&changed(courier(), &[split.clone(), done.clone()])),
        0
    );
    assert_eq!(
        verdict(&changed(courier(), &[split, done, none])),
        10_060_014
    );
}

#[test]
fn sf_asks_for_a_masked_number_and_others_do_not() {
    let sf = |contact: Value| {
        let company = ("/shipping_list/0/express_company", json!("SF"));
        verdict(&changed(
            courier(),
            &[company, ("/shipping_list/0/contact", contact)],
        ))
    };
    let table = [
        (Value::Null, 10_060_014),
        (json!({}), 10_060_014),
        (json!({"receiver_contact": ""}), 10_060_014),
        (json!({"receiver_contact": "13812345678"}), 10_060_014),
        (json!({"receiver_contact": "138****56**"}), 10_060_014),
        (json!({"receiver_contact": "+86-138****5678"}), 0),
        (json!({"consignor_contact": "189****1234"}), 0),
        (json!("138****5678"), 47001),
    ];
    for (contact, errcode) in table {
        assert_eq!(sf(contact.clone()), errcode, "{contact}");
    }
}

/// Uploads one after the other, a second apart by their own account; the verdict of each.
fn verdicts(shipment: &mut Shipment, forms: &[Value]) -> Vec<i64> {
    let mut found = vec![];
    for (second, form) in forms.iter().enumerate() {
        let time = json!(format!("2026-01-01T00:00:{:02}.000+08:00", 31 + second));
        let form = changed(form.clone(), &[("/upload_time", time)]);
        let upload = serde_json::from_value::<Form>(form)
            .unwrap()
            .read()
            .unwrap();
        let judged = shipment.upload(upload, Money::Kept, now());
        found.push(errcode(judged));
    }
    found
}

fn errcode(judged: Result<(), Errcode>) -> i64 {
    judged.map_or_else(|why| why.errcode, |()| 0)
}

fn tracked(number: &str) -> Value {
    changed(
        courier(),
        &[("/shipping_list/0/tracking_no", json!(number))],
    )
}

fn split(number: &str, all_delivered: bool) -> Value {
    let end = ("/is_all_delivered", json!(all_delivered));
    changed(tracked(number), &[("/delivery_mode", json!(2)), end])
}

#[test]
fn what_was_shipped_may_be_changed_once_and_telling_it_again_changes_nothing() {
    let mut shipment = Shipment::default();
    let forms = [
        tracked("1"),
        tracked("1"),
        tracked("2"),
        tracked("2"),
        tracked("3"),
    ];
    let found = verdicts(&mut shipment, &forms);
    assert_eq!(found, [0, 10_060_023, 0, 10_060_023, 10_060_003]);
    assert_eq!(shipment.shipped.as_ref().unwrap().finished(), 2);
}

#[test]
fn parcels_follow_one_another_until_the_last_and_a_change_of_way_is_the_one_change() {
    let mut shipment = Shipment::default();
    let forms = [
        split("1", false),
        split("2", false),
        split("2", false),
        split("3", true),
    ];
    assert_eq!(verdicts(&mut shipment, &forms), [0, 0, 10_060_023, 0]);
    let shipped = shipment.shipped.as_ref().unwrap();
    assert_eq!((shipped.parcels.len(), shipped.finished()), (3, 1));

    let mut shipment = Shipment::default();
    let forms = [split("1", false), tracked("9"), split("2", true)];
    assert_eq!(verdicts(&mut shipment, &forms), [0, 0, 10_060_003]);
}

#[test]
fn more_than_fifteen_parcels_in_all_are_refused() {
    let forms: Vec<Value> = (0..16).map(|n| split(&n.to_string(), false)).collect();
    let found = verdicts(&mut Shipment::default(), &forms);
    assert_eq!(found[14..], [0, 10_060_024]);
}

#[test]
fn an_upload_is_later_than_the_one_before_by_milliseconds() {
    let mut shipment = Shipment::default();
    let mut upload = |number: &str, time: &str| {
        let form = changed(tracked(number), &[("/upload_time", json!(time))]);
        let upload = serde_json::from_value::<Form>(form)
            .unwrap()
            .read()
            .unwrap();
        errcode(shipment.upload(upload, Money::Kept, now()))
    };
    assert_eq!(upload("1", "2026-01-01T00:00:30.120+08:00"), 0);
    assert_eq!(upload("2", "2025-12-31T16:00:30.120Z"), 10_060_014);
    assert_eq!(upload("2", "2026-01-01T00:00:30.12+08:00"), 10_060_014);
    assert_eq!(upload("2", "2026-01-01T00:00:30.121+08:00"), 0);
}

#[test]
fn what_was_received_or_given_back_is_not_shipped_again() {
    let form = serde_json::from_value::<Form>(courier()).unwrap();
    let upload = form.read().unwrap();
    let mut shipment = Shipment::default();
    let refunded = shipment.upload(upload.clone(), Money::GivenBack, now());
    assert_eq!(errcode(refunded), 10_060_004);
    assert_eq!(
        errcode(shipment.receive(Confirmed::ByBuyer, now())),
        10_060_028
    );
    assert_eq!(
        errcode(shipment.upload(upload.clone(), Money::Kept, now())),
        0
    );
    assert_eq!(shipment.state(Money::Kept), 2);
    assert_eq!(errcode(shipment.receive(Confirmed::ByBuyer, now())), 0);
    assert_eq!(shipment.state(Money::Kept), 3);
    assert_eq!(
        errcode(shipment.upload(upload, Money::Kept, now())),
        10_060_002
    );
}

#[test]
fn a_courier_is_reminded_of_once_after_shipping_and_never_of_the_future() {
    let mut shipment = Shipment::default();
    let at = |seconds: i64| now().unix() + seconds;
    assert_eq!(errcode(shipment.remind(at(0), now())), 10_060_028);
    assert_eq!(verdicts(&mut shipment, &[courier()]), [0]);
    let later = now().plus(Duration::from_secs(60));
    for (time, errcode_wanted) in [
        (-1, 10_060_029),
        (61, 10_060_029),
        (60, 0),
        (60, 10_060_030),
    ] {
        assert_eq!(
            errcode(shipment.remind(at(time), later)),
            errcode_wanted,
            "{time}"
        );
    }
    let mut other = Shipment::default();
    let pick_up = changed(courier(), &[("/logistics_type", json!(4))]);
    assert_eq!(verdicts(&mut other, &[pick_up]), [0]);
    assert_eq!(errcode(other.remind(at(60), later)), 10_060_032);
}
