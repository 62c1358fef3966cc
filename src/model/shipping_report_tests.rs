//! Shipping again: further parcels, the one correction, and repeats.

use super::*;
use crate::model::Logistics;
use Delivery::{AllDelivered, Part, Whole};

fn parcel(number: &str, at: i64) -> Shipment {
    Shipment {
        logistics: Logistics::Courier,
        express_company: "SF".to_owned(),
        tracking_no: number.to_owned(),
        item_desc: "茶*1".to_owned(),
        shipped_at: Timestamp::from_unix(at),
    }
}

type Kept = (Vec<Shipment>, ShippingReport);

fn first(delivery: Delivery) -> Kept {
    kept(ship_step(&[], None, vec![parcel("1", 1)], delivery))
}

fn kept(step: Result<ShipStep, Refusal>) -> Kept {
    match step {
        Ok(ShipStep::Keep(shipments, report)) => (shipments, report),
        other => panic!("{other:?}"),
    }
}

fn again(before: &Kept, number: &str, delivery: Delivery) -> Result<ShipStep, Refusal> {
    ship_step(
        &before.0,
        Some(&before.1),
        vec![parcel(number, 2)],
        delivery,
    )
}

fn with(before: Kept, status: ReportStatus) -> Kept {
    let report = ShippingReport { status, ..before.1 };
    (before.0, report)
}

#[test]
fn the_same_shipment_told_twice_is_told_once() {
    for delivery in [Whole, Part, AllDelivered] {
        let before = first(delivery);
        assert_eq!(again(&before, "1", delivery), Ok(ShipStep::Known));
    }
}

#[test]
fn further_parcels_are_added_until_all_are_delivered() {
    let one = first(Part);
    let two = kept(again(&one, "2", Part));
    let numbers = |kept: &Kept| {
        kept.0
            .iter()
            .map(|p| p.tracking_no.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(&two), ["1", "2"]);
    let all = kept(again(&two, "3", AllDelivered));
    assert_eq!(numbers(&all), ["1", "2", "3"]);
    assert_eq!(
        (all.1.delivery, all.1.revision, all.1.corrections),
        (AllDelivered, 3, 0)
    );
    // The last parcel may be named again to say that it was the last.
    let ended = kept(again(&two, "2", AllDelivered));
    assert_eq!(numbers(&ended), ["1", "2"]);
    assert_eq!(again(&all, "3", AllDelivered), Ok(ShipStep::Known));
}

#[test]
fn a_sixteenth_parcel_is_refused() {
    let mut before = first(Part);
    for n in 2..=15 {
        before = kept(again(&before, &n.to_string(), Part));
    }
    assert_eq!(before.0.len(), 15);
    let refused = again(&before, "16", Part);
    assert!(matches!(
        refused,
        Err(Refusal::FieldInvalid {
            field: "parcels",
            ..
        })
    ));
}

#[test]
fn complete_shipments_are_corrected_once() {
    for status in [
        ReportStatus::Queued,
        ReportStatus::Reported,
        ReportStatus::NotManaged,
    ] {
        let before = with(first(Whole), status);
        let corrected = kept(again(&before, "2", Whole));
        assert_eq!(corrected.0, [parcel("2", 2)]);
        assert_eq!(corrected.1.status, ReportStatus::Queued);
        let corrected = with(corrected, status);
        assert_eq!(again(&corrected, "3", Whole), Err(Refusal::OrderState));
        assert_eq!(again(&corrected, "2", Whole), Ok(ShipStep::Known));
    }
}

#[test]
fn changing_the_mode_is_a_correction_too() {
    let corrected = kept(again(&first(Part), "1", Whole));
    assert_eq!((corrected.0.len(), corrected.1.corrections), (1, 1));
    let corrected = kept(again(&first(Whole), "1", AllDelivered));
    assert_eq!((corrected.0.len(), corrected.1.corrections), (1, 1));
}

#[test]
fn what_wechat_refused_may_be_put_right_without_using_the_correction() {
    let mut before = with(first(Whole), ReportStatus::Failed);
    for n in 2..6 {
        before = with(
            kept(again(&before, &n.to_string(), Whole)),
            ReportStatus::Failed,
        );
        assert_eq!(
            (before.1.corrections, before.1.problem.as_deref()),
            (0, None)
        );
    }
}

#[test]
fn each_upload_is_told_a_later_time_than_the_one_before() {
    let at = Timestamp::from_unix;
    let mut report = first(Whole).1;
    assert_eq!(report.next_upload_time(at(5)), at(5));
    report.upload_time = Some(at(5));
    assert_eq!(report.next_upload_time(at(5)), at(6));
    assert_eq!(report.next_upload_time(at(3)), at(6));
    assert_eq!(report.next_upload_time(at(9)), at(9));
}

#[test]
fn news_of_a_settlement_adds_to_what_is_known() {
    let at = |s| Some(Timestamp::from_unix(s));
    let estimate = Settlement {
        estimated_at: at(9),
        ..Settlement::default()
    };
    let settled = Settlement {
        settled_at: at(7),
        received_at: at(6),
        receive_method: Some(1),
        ..Settlement::default()
    };
    let both = estimate.with(&settled);
    assert_eq!(
        both,
        Settlement {
            estimated_at: at(9),
            ..settled.clone()
        }
    );
    assert_eq!(both.with(&Settlement::default()), both);
    assert_eq!(both.with(&estimate), both);
}

#[test]
fn each_status_has_the_contracts_word() {
    let words = ReportStatus::ALL.map(ReportStatus::as_str);
    assert_eq!(words, ["queued", "reported", "failed", "not_managed"]);
}
