//! Money that was not what its order asked for, or is not an order's: taken, or given back.

use crate::base::{Day, Fen};
use crate::model::{AttemptState, OrderStatus, Refund, RefundKind, RefundStatus, Refusal};
use crate::shop::ShopError;
use crate::shop::reconcile::tests::{asked, bill, morning_after, told};
use crate::shop::settling::Remedy;
use crate::shop::settling::tests::settle;
use crate::shop::stand::{STOCK, Stand};
use crate::store::reconciliations::{DayRow, Settling};

/// An order on which one fen less was paid than asked, in the list of its day.
async fn paid_less() -> (Stand, String, Day) {
    let (stand, number, _) = asked().await;
    stand.wechat.knows(&number, "SUCCESS", "393");
    stand.notified(1, "42001").await;
    let day = Day::of(stand.now());
    (stand, number, day)
}

async fn refunds(stand: &Stand) -> Vec<Refund> {
    stand.shop.refunds(stand.order_no.clone()).await.unwrap()
}

fn how(rows: &[DayRow]) -> Option<Settling> {
    rows[0].settled.as_ref().map(|settled| settled.how)
}

async fn listed(stand: &Stand, day: Day) -> Vec<DayRow> {
    told(stand, day).await.rows.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_payment_of_another_amount_that_is_adopted_pays_the_order_for_what_was_paid() {
    let (stand, number, day) = paid_less().await;
    let adopted = settle(&stand, day, &number, Remedy::Adopt).await.unwrap();
    assert_eq!(how(&adopted), Some(Settling::Adopted));
    let told = stand.told().await;
    assert_eq!(told.order.status, OrderStatus::Paid);
    assert_eq!(told.order.total, Fen::new(393));
    let paid = (told.attempts[0].amount, told.attempts[0].counted);
    assert_eq!(paid, (Fen::new(393), true));
    let heard = stand.notified(1, "42004").await;
    assert_ne!(
        heard,
        crate::shop::notify::Heard::Applied,
        "another transaction"
    );
    assert_eq!(refunds(&stand).await, []);
}

#[tokio::test]
async fn a_payment_of_another_amount_is_given_back_once_and_its_order_closed() {
    let (stand, number, day) = paid_less().await;
    stand.cancel().await.unwrap();
    assert_eq!(stand.status().await, OrderStatus::Pending);
    let rows = listed(&stand, day).await;
    let given = settle(&stand, day, &number, Remedy::Refund).await.unwrap();
    assert_eq!(how(&given), Some(Settling::Refunded));
    assert_eq!(stand.status().await, OrderStatus::Closed);
    assert_eq!(stand.stock().await, STOCK);
    assert_eq!(
        stand.shop.give_back(&rows).await.unwrap(),
        Settling::Refunded
    );
    let all = refunds(&stand).await;
    let one = (all[0].kind, all[0].amount, all[0].total);
    assert_eq!(
        (all.len(), one),
        (1, (RefundKind::Surplus, Fen::new(393), Fen::new(393)))
    );
    let there: Vec<u64> = stand.wechat.refunds().values().map(|r| r.amount).collect();
    assert_eq!(there, [393]);
    stand.wechat.refunds_end("SUCCESS");
    stand.pass(120).await;
    assert_eq!(refunds(&stand).await[0].status, RefundStatus::Success);
    assert_eq!(stand.told().await.order.refunded, Fen::ZERO);
}

#[tokio::test]
async fn an_order_whose_wrong_payment_was_given_back_is_paid_under_a_new_number() {
    let (stand, number, day) = paid_less().await;
    settle(&stand, day, &number, Remedy::Refund).await.unwrap();
    stand.pay().await.unwrap();
    let id = stand.wechat.pays(&stand.number(2)).unwrap();
    stand.notified(2, &id).await;
    assert_eq!(stand.status().await, OrderStatus::Paid);
    let states = [AttemptState::Paid, AttemptState::Paid];
    assert_eq!(stand.attempts().await, states);
    let counted: Vec<bool> = stand
        .told()
        .await
        .attempts
        .iter()
        .map(|a| a.counted)
        .collect();
    assert_eq!(counted, [false, true]);
}

#[tokio::test]
async fn money_that_pays_for_its_order_is_not_given_back_here() {
    let (stand, number, day) = asked().await;
    morning_after(&stand, day);
    let text = bill(&[(&number, "42001", "3.93")], &[]);
    stand.wechat.bill(&day.compact(), &text);
    stand.shop.reconcile(day).await.unwrap();
    let id = stand.wechat.pays(&number).unwrap();
    stand.notified(1, &id).await;
    let stays = settle(&stand, day, &number, Remedy::Refund).await;
    assert!(
        matches!(stays, Err(ShopError::Refused(Refusal::RowStays { .. }))),
        "{stays:?}"
    );
    assert_eq!(refunds(&stand).await, []);
    assert_eq!(told(&stand, day).await.known.open_rows(), 1);
}

#[tokio::test]
async fn money_that_came_too_late_goes_back_once_however_often_it_is_wanted() {
    let (stand, number, _) = asked().await;
    stand.wechat.knows(&number, "CLOSED", "394");
    stand.sync().await.unwrap();
    stand.pay().await.unwrap();
    let id = stand.wechat.pays(&stand.number(2)).unwrap();
    stand.notified(2, &id).await;
    stand.wechat.knows(&number, "SUCCESS", "393");
    stand.notified(1, "42009").await;
    let rows = listed(&stand, Day::of(stand.now())).await;
    stand.wechat.knows(&number, "SUCCESS", "394");
    for _ in 0..2 {
        assert_eq!(
            stand.shop.give_back(&rows).await.unwrap(),
            Settling::Refunded
        );
    }
    let all = refunds(&stand).await;
    assert_eq!((all.len(), all[0].kind), (1, RefundKind::Surplus));
}

#[tokio::test]
async fn what_is_not_there_any_more_or_never_was_is_not_given_back() {
    let (stand, number, day) = paid_less().await;
    let rows = listed(&stand, day).await;
    stand.wechat.knows(&number, "REFUND", "393");
    assert_eq!(
        stand.shop.give_back(&rows).await.unwrap(),
        Settling::Refunded
    );
    stand.wechat.knows(&number, "CLOSED", "394");
    for remedy in [Remedy::Adopt, Remedy::Refund] {
        let stays = settle(&stand, day, &number, remedy).await;
        assert!(
            matches!(stays, Err(ShopError::Refused(Refusal::RowStays { .. }))),
            "{stays:?}"
        );
    }
    assert_eq!(refunds(&stand).await, []);
}

#[tokio::test]
async fn a_trade_that_is_not_ours_is_given_back_by_hand_and_told_how() {
    let (stand, _, day) = asked().await;
    morning_after(&stand, day);
    let text = bill(&[("SHOP-0001", "42001", "3.93")], &[]);
    stand.wechat.bill(&day.compact(), &text);
    stand.shop.reconcile(day).await.unwrap();
    let by_hand = settle(&stand, day, "SHOP-0001", Remedy::Refund).await;
    assert!(
        matches!(
            by_hand,
            Err(ShopError::Refused(Refusal::RefundManual { .. }))
        ),
        "{by_hand:?}"
    );
    let stays = settle(&stand, day, "SHOP-0001", Remedy::Adopt).await;
    assert!(matches!(
        stays,
        Err(ShopError::Refused(Refusal::RowStays { .. }))
    ));
    let seen = settle(&stand, day, "SHOP-0001", Remedy::Seen)
        .await
        .unwrap();
    assert_eq!(how(&seen), Some(Settling::Seen));
}
