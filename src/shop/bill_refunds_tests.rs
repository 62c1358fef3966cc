//! Refunds of the merchant platform: found by the bill, or with the payment they went back from.

use crate::base::{Day, Fen};
use crate::model::{OrderStatus, Refund, RefundKind, RefundStatus};
use crate::shop::fake_wechat::Fault;
use crate::shop::reconcile::tests::{asked, bill, listed, morning_after, told};
use crate::shop::settling::Remedy;
use crate::shop::settling::tests::settle;
use crate::shop::stand::Stand;
use crate::store::reconciliations::{DayStatus, Settling};

/// A paid order, of which an operator gave one yuan back under `R1`; its transaction and the bill
/// that tells of both.
async fn refunded_by_hand() -> (Stand, String, Day, String) {
    let (stand, number, day) = asked().await;
    let id = stand.wechat.pays(&number).unwrap();
    stand.notified(1, &id).await;
    stand.wechat.refunds_by_hand("R1", 100, &number);
    morning_after(&stand, day);
    let text = bill(&[(&number, &id, "3.94")], &[(&number, "R1", "1.00")]);
    (stand, number, day, text)
}

async fn refunds(stand: &Stand) -> Vec<Refund> {
    stand.shop.refunds(stand.order_no.clone()).await.unwrap()
}

#[tokio::test]
async fn a_refund_of_the_merchant_platform_is_taken_in_when_the_bill_has_it() {
    let (stand, _, day, text) = refunded_by_hand().await;
    stand.wechat.bill(&day.compact(), &text);
    let known = stand.shop.reconcile(day).await.unwrap();
    assert_eq!((known.status, known.open_rows()), (DayStatus::Done, 0));
    let rows = listed(&stand, day).await;
    assert_eq!(rows[0].2, Some(Settling::Healed), "{rows:?}");
    let all = refunds(&stand).await;
    let one = (all[0].kind, all[0].status, all[0].amount);
    let wanted = (RefundKind::External, RefundStatus::Success, Fen::new(100));
    assert_eq!((all.len(), one), (1, wanted));
    assert_eq!(stand.told().await.order.refunded, Fen::new(100));
    assert_eq!(stand.shop.reconcile(day).await.unwrap().matched, 2);
    assert_eq!(refunds(&stand).await.len(), 1, "told twice is told once");
}

#[tokio::test]
async fn a_refund_that_could_not_be_asked_about_is_asked_about_when_the_day_is_tried_again() {
    let (stand, _, day, text) = refunded_by_hand().await;
    stand.wechat.bill(&day.compact(), &text);
    stand.wechat.fault(Some(Fault::Mute));
    let known = stand.shop.reconcile(day).await.unwrap();
    assert_eq!((known.status, known.open_rows()), (DayStatus::Failed, 1));
    assert_eq!(refunds(&stand).await, []);
    stand.wechat.fault(None);
    let known = stand.shop.reconcile(day).await.unwrap();
    assert_eq!((known.status, known.open_rows()), (DayStatus::Done, 0));
    assert_eq!(refunds(&stand).await.len(), 1);
}

#[tokio::test]
async fn a_refund_that_wechat_does_not_know_is_not_believed_until_it_does() {
    let (stand, number, day, text) = refunded_by_hand().await;
    stand
        .wechat
        .bill(&day.compact(), &text.replace("`R1", "`R2"));
    let known = stand.shop.reconcile(day).await.unwrap();
    assert_eq!((known.status, known.open_rows()), (DayStatus::Done, 1));
    assert_eq!(refunds(&stand).await, []);
    let refused = settle(&stand, day, &number, Remedy::Adopt).await;
    assert!(refused.is_err(), "{refused:?}");
    stand.wechat.refunds_by_hand("R2", 100, &number);
    let rows = settle(&stand, day, &number, Remedy::Adopt).await.unwrap();
    let how = rows[0].settled.as_ref().map(|settled| settled.how);
    assert_eq!(how, Some(Settling::Adopted));
    assert_eq!(refunds(&stand).await.len(), 1);
    assert_eq!(told(&stand, day).await.known.open_rows(), 0);
}

#[tokio::test]
async fn a_refund_of_another_amount_than_the_bill_says_stays_listed() {
    let (stand, number, day, text) = refunded_by_hand().await;
    stand
        .wechat
        .bill(&day.compact(), &text.replace("`1.00", "`2.00"));
    for run in 1..=2 {
        let known = stand.shop.reconcile(day).await.unwrap();
        assert_eq!(known.open_rows(), 1, "run {run}");
    }
    let all = refunds(&stand).await;
    assert_eq!(all[0].amount, Fen::new(100), "what WeChat says counts");
    let refused = settle(&stand, day, &number, Remedy::Adopt).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn a_payment_that_went_back_before_we_heard_of_it_is_counted_with_its_refund() {
    let (stand, number, _) = asked().await;
    stand.wechat.pays(&number).unwrap();
    stand.wechat.refunds_by_hand("R1", 394, &number);
    stand.pass(30).await;
    assert_eq!(stand.status().await, OrderStatus::Refunded);
    let all = refunds(&stand).await;
    assert_eq!(all[0].kind, RefundKind::External);
}

#[tokio::test]
async fn a_refund_whose_payment_was_not_known_here_either_is_healed_by_the_same_bill() {
    let (stand, number, day) = asked().await;
    let id = stand.wechat.pays(&number).unwrap();
    stand.wechat.refunds_by_hand("R1", 100, &number);
    morning_after(&stand, day);
    let refund = bill(&[], &[(&number, "R1", "1.00")]);
    stand.wechat.bill(&day.compact(), &refund);
    let known = stand.shop.reconcile(day).await.unwrap();
    assert_eq!((known.status, known.open_rows()), (DayStatus::Done, 0));
    let order = stand.told().await.order;
    assert_eq!(
        (order.refunded, order.transaction_id.unwrap().to_string()),
        (Fen::new(100), id)
    );
}

#[tokio::test]
async fn trades_of_others_are_listed_up_to_a_bound_and_counted_beyond_it() {
    let (stand, number, day) = asked().await;
    morning_after(&stand, day);
    let others: Vec<String> = (0..25).map(|n| format!("SHOP-{n:04}")).collect();
    let mut rows: Vec<_> = others
        .iter()
        .map(|no| (no.as_str(), "4201", "1.00"))
        .collect();
    rows.push((&number, "4202", "3.95"));
    stand.wechat.bill(&day.compact(), &bill(&rows, &[]));
    for run in 1..=2 {
        let known = stand.shop.reconcile(day).await.unwrap();
        let counts = (known.rows, known.unlisted, known.bill_rows);
        assert_eq!(counts, ([20, 0, 1], 5, 26), "run {run}");
    }
}
