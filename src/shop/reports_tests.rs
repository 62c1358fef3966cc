//! What WeChat is told about shipments, and what becomes of an order by it.

use serde_json::json;

use super::*;
use crate::base::Clock;
use crate::model::{Delivery, Refusal};
use crate::shop::parcel_stand::{GET_ORDER, PAYMENT, Parcels, UPLOAD};
use ReportStatus::{Failed, NotManaged, Queued, Reported};

fn order_at_wechat(state: u64, tracking_no: &str) -> String {
    let shipping = json!({
        "delivery_mode": 1, "logistics_type": 1, "finish_shipping": true,
        "shipping_list": [{"tracking_no": tracking_no, "express_company": "SF"}],
    });
    json!({"errcode": 0, "order": {"order_state": state, "shipping": shipping}}).to_string()
}

#[tokio::test]
async fn a_shipped_order_is_reported_with_its_payment_and_a_masked_contact() {
    let parcels = Parcels::paid().await;
    parcels.shipped("SF1").await;
    assert_eq!(parcels.stand.status().await, OrderStatus::Shipped);
    assert_eq!(parcels.report().await, (Reported, String::new()));
    let uploads = parcels.uploads();
    assert_eq!(uploads.len(), 1);
    let upload = &uploads[0];
    assert_eq!(upload["order_key"]["transaction_id"], PAYMENT);
    assert_eq!(upload["payer"]["openid"], "o1");
    let item = &upload["shipping_list"][0];
    assert_eq!(item["contact"]["receiver_contact"], "+86-177****1234");
    assert_eq!(
        (&item["tracking_no"], &item["item_desc"]),
        (&json!("SF1"), &json!("茶*1"))
    );
    let told = parcels.stand.told().await;
    assert_eq!(told.beside.shipments.len(), 1);
    assert_eq!(parcels.stand.lines("shipping.reported").await.len(), 1);
    let said = parcels.stand.lines("wechat.shipping").await;
    assert!(
        said.iter()
            .all(|line| !line.contains("TOKEN") && !line.contains("o1")),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_payment_that_wechat_does_not_know_yet_is_reported_later() {
    let parcels = Parcels::paid().await;
    parcels
        .mini
        .refuses(UPLOAD, &[10060001, -1, 10060012, 10060019]);
    parcels.shipped("SF1").await;
    let (status, problem) = parcels.report().await;
    assert!(
        status == Queued && problem.contains("10060001"),
        "{problem}"
    );
    for (pause, heard) in [(4, 1), (2, 2), (11, 3), (21, 4)] {
        parcels.stand.pass(pause).await;
        assert_eq!(parcels.uploads().len(), heard, "{pause}");
    }
    assert_eq!(parcels.report().await.0, Queued);
    parcels.stand.pass(60).await;
    assert_eq!(parcels.report().await, (Reported, String::new()));
    assert_eq!(parcels.stand.status().await, OrderStatus::Shipped);
}

#[tokio::test]
async fn silence_is_tried_again_and_each_upload_is_told_a_later_time() {
    let parcels = Parcels::paid().await;
    parcels.mini.says(UPLOAD, &["", ""]);
    parcels.shipped("SF1").await;
    parcels.stand.pass(10).await;
    parcels.stand.pass(20).await;
    parcels.stand.pass(40).await;
    assert_eq!(parcels.report().await.0, Reported);
    let uploads = parcels.uploads();
    let times: Vec<_> = uploads
        .iter()
        .map(|u| u["upload_time"].as_str().unwrap())
        .collect();
    assert!(
        times.len() >= 2 && times.is_sorted_by(|a, b| a < b),
        "{times:?}"
    );
}

#[tokio::test]
async fn what_wechat_refuses_for_good_is_shown_and_may_be_put_right() {
    let parcels = Parcels::paid().await;
    parcels.mini.refuses(UPLOAD, &[10060025]);
    parcels.shipped("SF1").await;
    let (status, problem) = parcels.report().await;
    assert!(
        status == Failed && problem.contains("快递公司"),
        "{problem}"
    );
    parcels.stand.pass(7200).await;
    assert_eq!(parcels.uploads().len(), 1);
    parcels.shipped("SF2").await;
    assert_eq!(parcels.report().await.0, Reported);
    assert_eq!(parcels.stand.told().await.report.unwrap().corrections, 0);
}

#[tokio::test]
async fn nothing_changed_is_reported_and_a_used_chance_is_shown() {
    for (code, want) in [(10060023, Reported), (10060003, Failed)] {
        let parcels = Parcels::paid().await;
        parcels.mini.refuses(UPLOAD, &[code]);
        parcels.shipped("SF1").await;
        assert_eq!(parcels.report().await.0, want, "{code}");
    }
}

#[tokio::test]
async fn beyond_shipping_is_reported_only_when_wechat_has_the_same() {
    for (code, state, theirs, want) in [
        (10060002, 2, "SF1", Reported),
        (10060002, 2, "SF9", Failed),
        (10060004, 5, "SF9", Failed),
        (10060004, 3, "SF1", Reported),
    ] {
        let parcels = Parcels::paid().await;
        parcels.mini.refuses(UPLOAD, &[code]);
        parcels
            .mini
            .says(GET_ORDER, &[&order_at_wechat(state, theirs)]);
        parcels.shipped("SF1").await;
        assert_eq!(parcels.report().await.0, want, "{code} {state} {theirs}");
        let asked = parcels.mini.heard(GET_ORDER);
        assert_eq!(asked, [json!({"transaction_id": PAYMENT})]);
    }
}

#[tokio::test]
async fn without_shipping_management_nothing_is_uploaded_until_a_day_later() {
    let parcels = Parcels::paid().await;
    let off = r#"{"errcode":0,"is_trade_managed":false}"#;
    parcels.mini.says("is_trade_managed", &[off]);
    parcels.shipped("SF1").await;
    assert_eq!(parcels.report().await, (NotManaged, String::new()));
    assert_eq!(parcels.stand.status().await, OrderStatus::Shipped);
    assert!(parcels.uploads().is_empty());
    parcels.stand.shop.clock().advance(86_500);
    parcels.shipped("SF2").await;
    assert_eq!(parcels.report().await.0, Reported);
    assert_eq!(parcels.mini.heard("is_trade_managed").len(), 2);
}

#[tokio::test]
async fn shipments_are_corrected_once_and_then_no_more() {
    let parcels = Parcels::paid().await;
    parcels.shipped("SF1").await;
    parcels.shipped("SF1").await;
    assert_eq!(parcels.uploads().len(), 1, "told twice is told once");
    parcels.shipped("SF2").await;
    assert_eq!(
        parcels.uploads()[1]["shipping_list"][0]["tracking_no"],
        "SF2"
    );
    let refused = parcels.ship("SF3", Delivery::Whole).await;
    assert!(matches!(
        refused,
        Err(ShopError::Refused(Refusal::OrderState))
    ));
    let told = parcels.stand.told().await;
    assert_eq!(told.beside.shipments.len(), 1);
    assert_eq!(told.beside.shipments[0].tracking_no, "SF2");
}

#[tokio::test]
async fn what_was_answered_about_older_shipments_does_not_count_for_newer_ones() {
    let parcels = Parcels::paid().await;
    parcels.ship("SF1", Delivery::Whole).await.unwrap();
    let shop = &parcels.stand.shop;
    let (key, now) = (shop.field_key(), shop.clock().now());
    let order_no = parcels.stand.order_no.clone();
    let work = Work::Report(order_no.clone());
    let due = Due {
        at: now,
        work,
        step: 0,
    };
    let tried = Tried {
        revision: 1,
        upload_time: now,
        verdict: Verdict::Reported,
        entries: vec![],
    };
    parcels.ship("SF2", Delivery::Whole).await.unwrap();
    let write = shop.store.write(move |tx: &mut Tx<'_>| {
        keep(&mut Desk { tx, key: &key, now }, &order_no, &due, &tried)
    });
    write.await.unwrap();
    assert_eq!(parcels.report().await.0, Queued);
    parcels.stand.pass(10).await;
    assert_eq!(parcels.report().await.0, Reported);
    assert_eq!(
        parcels.uploads()[0]["shipping_list"][0]["tracking_no"],
        "SF2"
    );
}

#[tokio::test]
async fn a_token_that_wechat_no_longer_takes_is_fetched_again_once() {
    let parcels = Parcels::paid().await;
    let phone = async || {
        let clock = Clock::system();
        let shop = &parcels.stand.shop;
        shop.wechat.phone_number("c", &Trace::new(&clock)).await
    };
    for (code, fetched) in [(40001, 2), (42001, 3), (40014, 4)] {
        parcels.mini.refuses("getuserphonenumber", &[code]);
        // The usual answer of this peer has no phone in it.
        assert!(phone().await.is_err());
        assert_eq!(parcels.mini.heard("stable_token").len(), fetched, "{code}");
    }
    let tokens = parcels.mini.heard("stable_token");
    assert!(tokens.iter().all(|asked| asked["force_refresh"] == false));
    parcels.mini.refuses("getuserphonenumber", &[40001, 40001]);
    assert!(phone().await.unwrap_err().to_string().contains("40001"));
    assert_eq!(parcels.mini.heard("stable_token").len(), 5);
}

#[test]
fn the_pauses_double_up_to_an_hour() {
    let seconds = [0, 1, 2, 9, 10, 31, 32, u16::MAX].map(|step| pause(step).as_secs());
    assert_eq!(seconds, [5, 10, 20, 2560, 3600, 3600, 3600, 3600]);
}
