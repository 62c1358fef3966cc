//! The shipping service's requests and answers as tables.

#![allow(clippy::unwrap_used)]
use serde_json::{Value, json};

use super::*;
use crate::wechat::shipping_order::{
    KnownOrder, OrderState, read_companies, read_managed, read_order,
};

fn shipment(company: &str, number: &str) -> Shipment {
    Shipment {
        logistics: match company {
            "" => Logistics::PickUp,
            _ => Logistics::Courier,
        },
        express_company: company.to_owned(),
        tracking_no: number.to_owned(),
        item_desc: "茶*1".to_owned(),
        shipped_at: Timestamp::from_unix(0),
    }
}

fn upload(shipments: Vec<Shipment>, delivery: Delivery) -> Value {
    let upload = Upload {
        transaction_id: "4200000001".parse().unwrap(),
        openid: "o1".parse().unwrap(),
        shipments,
        delivery,
        contact: Some("+86-177****1234".to_owned()),
        upload_time: Timestamp::from_unix(1_767_196_830),
    };
    serde_json::from_str(&upload.body()).unwrap()
}

#[test]
fn one_parcel_goes_unified_with_a_contact_for_sf_only() {
    let body = upload(vec![shipment("SF", "1")], Delivery::Whole);
    let want = json!({
        "order_key": {"order_number_type": 2, "transaction_id": "4200000001"},
        "logistics_type": 1,
        "delivery_mode": 1,
        "shipping_list": [{
            "tracking_no": "1", "express_company": "SF", "item_desc": "茶*1",
            "contact": {"receiver_contact": "+86-177****1234"},
        }],
        "upload_time": "2026-01-01T00:00:30+08:00",
        "payer": {"openid": "o1"},
    });
    assert_eq!(body, want);
    let other = upload(vec![shipment("YTO", "1")], Delivery::Whole);
    assert_eq!(other["shipping_list"][0].get("contact"), None);
}

#[test]
fn several_parcels_say_whether_they_are_all_and_a_pick_up_has_no_number() {
    let two = || vec![shipment("YTO", "1"), shipment("YTO", "2")];
    for (delivery, all) in [(Delivery::Part, false), (Delivery::AllDelivered, true)] {
        let body = upload(two(), delivery);
        assert_eq!(body["delivery_mode"], 2);
        assert_eq!(body["is_all_delivered"], all);
        assert_eq!(body["shipping_list"].as_array().unwrap().len(), 2);
    }
    let body = upload(vec![shipment("", "")], Delivery::Whole);
    assert_eq!(body["logistics_type"], 4);
    assert_eq!(body["shipping_list"], json!([{"item_desc": "茶*1"}]));
}

fn uploaded(code: i64) -> Result<Uploaded, WechatError> {
    let body = format!(r#"{{"errcode":{code},"errmsg":"m rid: 1"}}"#);
    read_uploaded(200, body.as_bytes())
}

#[test]
fn every_errcode_of_an_upload_is_done_repeated_asked_or_shown() {
    let word = |code| match uploaded(code) {
        Ok(Uploaded::Taken) => "taken",
        Ok(Uploaded::NotYet(_)) => "not yet",
        Ok(Uploaded::Ask(_)) => "ask",
        Ok(Uploaded::Never(_)) => "never",
        Err(WechatError::Refused(_)) => "refused",
        Err(WechatError::Unknown(_) | WechatError::NotSent(_)) => "unknown",
    };
    let table: &[(&[i64], &str)] = &[
        (&[0, 10060023], "taken"),
        (&[10060001, 10060012, 10060019], "not yet"),
        (&[10060002, 10060004], "ask"),
        (&[10060003, 10060005, 10060006, 10060007], "never"),
        (&[10060008, 10060009, 10060014, 10060020], "never"),
        (&[10060024, 10060025, 10060026, 10060031], "never"),
        (&[268485194, 268485195, 268485196, 268485197], "never"),
        (&[268485216, 268485224, 268485226], "never"),
        (&[268485227, 268485228, 47001, 99999], "never"),
        (&[-1, 40001, 40164, 45009, 48001], "refused"),
    ];
    for (codes, want) in table {
        for code in *codes {
            assert_eq!(word(*code), *want, "{code}");
        }
    }
    for row in UPLOAD_TABLE {
        let same = UPLOAD_TABLE.iter().filter(|other| other.0 == row.0);
        assert_eq!(same.count(), 1, "{}", row.0);
    }
    let Ok(Uploaded::Never(refused)) = uploaded(10060025) else {
        panic!("{:?}", uploaded(10060025));
    };
    let said = refused.to_string();
    assert!(
        said.contains("快递公司") && said.contains("10060025"),
        "{said}"
    );
    assert!(matches!(
        read_uploaded(502, b""),
        Err(WechatError::Unknown(_))
    ));
}

fn order(state: u64, shipping: &Value) -> Result<KnownOrder, WechatError> {
    let body = json!({"errcode": 0, "order": {"order_state": state, "shipping": shipping}});
    read_order(200, body.to_string().as_bytes())
}

#[test]
fn the_states_of_an_order_are_read() {
    let table = [
        (1, OrderState::ToShip),
        (2, OrderState::Shipped),
        (3, OrderState::Received),
        (4, OrderState::Received),
        (5, OrderState::Refunded),
        (6, OrderState::Received),
    ];
    for (number, state) in table {
        assert_eq!(order(number, &json!({})).unwrap().state, state, "{number}");
    }
    assert!(matches!(order(7, &json!({})), Err(WechatError::Unknown(_))));
    let absent = read_order(200, br#"{"errcode":10060001,"errmsg":"m"}"#).unwrap_err();
    assert_eq!(absent.cause(), Some(Cause::OrderNotFound));
}

#[test]
fn wechat_has_our_shipments_only_when_way_and_parcels_are_the_same() {
    let theirs = |kind: u64, finished: bool, numbers: &[&str]| {
        let list: Vec<_> = numbers.iter().map(|n| json!({"tracking_no": n})).collect();
        let shipping = json!({
            "delivery_mode": 1, "logistics_type": kind, "finish_shipping": finished,
            "shipping_list": list,
        });
        order(2, &shipping).unwrap()
    };
    let ours = [shipment("SF", "2"), shipment("SF", "1")];
    assert!(theirs(1, true, &["1", "2"]).has(&ours));
    for other in [
        theirs(1, false, &["1", "2"]),
        theirs(1, true, &["1"]),
        theirs(1, true, &["1", "3"]),
        theirs(4, true, &["1", "2"]),
        order(1, &json!({})).unwrap(),
    ] {
        assert!(!other.has(&ours), "{other:?}");
    }
    assert!(theirs(4, true, &[]).has(&[shipment("", "")]));
    assert!(theirs(4, true, &[""]).has(&[shipment("", "")]));
}

#[test]
fn the_switch_and_the_couriers_are_read() {
    assert_eq!(
        read_managed(200, br#"{"errcode":0,"is_trade_managed":true}"#),
        Ok(true)
    );
    assert!(matches!(
        read_managed(200, b"{}"),
        Err(WechatError::Unknown(_))
    ));
    let body = json!({"errcode": 0, "count": 1, "delivery_list": [
        {"delivery_id": "SF", "delivery_name": "顺丰速运"},
    ]});
    let list = read_companies(200, body.to_string().as_bytes()).unwrap();
    assert_eq!(
        (list[0].id.as_str(), list[0].name.as_str()),
        ("SF", "顺丰速运")
    );
    let shown = serde_json::to_value(&list[0]).unwrap();
    assert_eq!(shown, json!({"id": "SF", "name": "顺丰速运"}));
}
