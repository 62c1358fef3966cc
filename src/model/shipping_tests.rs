//! What may be shipped, and how it is told.

use super::*;
use crate::base::Fen;

fn lines() -> Vec<Line> {
    let line = |title: &str, count| Line {
        goods_id: None,
        title: title.to_owned(),
        spec: String::new(),
        price: Fen::new(1),
        count,
    };
    vec![line("茶🍎", 2), line("杯", 1)]
}

fn parcel(company: &str, number: &str) -> Parcel {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Parcel {
        express_company: some(company),
        tracking_no: some(number),
        item_desc: None,
    }
}

fn wanted(logistics_type: u64, parcels: Vec<Parcel>, delivery: Delivery) -> ShipWanted {
    ShipWanted {
        logistics_type,
        parcels,
        delivery,
    }
}

fn refused_field(wanted: &ShipWanted) -> &'static str {
    match wanted.checked(&lines(), Timestamp::from_unix(9)) {
        Err(Refusal::FieldInvalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_courier_needs_company_and_number_and_nobody_else_may_have_them() {
    let whole = |kind, parcel| wanted(kind, vec![parcel], Delivery::Whole);
    assert_eq!(refused_field(&whole(1, parcel("", "1"))), "express_company");
    assert_eq!(refused_field(&whole(1, parcel("SF", ""))), "tracking_no");
    assert_eq!(refused_field(&whole(1, parcel("SF", "1 2"))), "tracking_no");
    let long = "1".repeat(129);
    assert_eq!(refused_field(&whole(1, parcel("SF", &long))), "tracking_no");
    for kind in [2, 3, 4] {
        assert_eq!(
            refused_field(&whole(kind, parcel("SF", ""))),
            "express_company"
        );
        assert_eq!(refused_field(&whole(kind, parcel("", "1"))), "tracking_no");
        let good = whole(kind, parcel("", "")).checked(&lines(), Timestamp::from_unix(9));
        assert_eq!(good.unwrap()[0].item_desc, "茶*2；杯*1");
    }
    for kind in [0, 5, u64::MAX] {
        assert_eq!(
            refused_field(&whole(kind, parcel("", ""))),
            "logistics_type"
        );
    }
}

#[test]
fn one_to_fifteen_parcels_go_by_courier_only() {
    let split = |kind, count: usize| {
        let parcels = (0..count).map(|n| parcel("SF", &n.to_string())).collect();
        wanted(kind, parcels, Delivery::Part)
    };
    assert_eq!(refused_field(&split(1, 0)), "parcels");
    assert_eq!(refused_field(&split(1, 16)), "parcels");
    assert_eq!(refused_field(&split(2, 2)), "parcels");
    let kept = split(1, 15)
        .checked(&lines(), Timestamp::from_unix(9))
        .unwrap();
    assert_eq!(kept.len(), 15);
}

#[test]
fn a_description_has_at_most_120_characters_that_wechat_shows() {
    let said = |text: &str| Parcel {
        item_desc: Some(text.to_owned()),
        ..parcel("SF", "1")
    };
    let one = |parcel| wanted(1, vec![parcel], Delivery::Whole);
    for bad in ["", " ", &"茶".repeat(121), "a\u{7}"] {
        assert_eq!(refused_field(&one(said(bad))), "item_desc", "{bad:?}");
    }
    let kept = one(said(&"茶".repeat(120))).checked(&lines(), Timestamp::from_unix(9));
    assert_eq!(kept.unwrap()[0].item_desc.chars().count(), 120);
    let many: Vec<Line> = (0..50).flat_map(|_| lines()).collect();
    let all = description(&many);
    assert_eq!((all.chars().count(), all.ends_with('…')), (120, true));
}

#[test]
fn a_contact_shows_its_last_four_digits_and_never_all() {
    let contact = |phone: &str| masked_contact(Some(phone));
    let masked = Some("+86-177****1234".to_owned());
    assert_eq!(contact("17712341234"), masked);
    assert_eq!(contact("+86 177-1234-1234"), masked);
    assert_eq!(contact("0755-8888 1234"), Some("****1234".to_owned()));
    assert_eq!(contact("8881234"), Some("****1234".to_owned()));
    for short in ["", "1234", "881234", "none"] {
        assert_eq!(contact(short), None, "{short}");
    }
    assert_eq!(masked_contact(None), None);
}

#[test]
fn each_way_has_wechats_number() {
    let numbers = Logistics::ALL.map(Logistics::number);
    assert_eq!(numbers, [1, 2, 3, 4]);
    for way in Logistics::ALL {
        assert_eq!(Logistics::from_number(way.number().into()), Some(way));
    }
    let modes = [Delivery::Whole, Delivery::Part, Delivery::AllDelivered];
    assert_eq!(modes.map(Delivery::mode), [1, 2, 2]);
    assert_eq!(modes.map(Delivery::is_complete), [true, false, true]);
}
