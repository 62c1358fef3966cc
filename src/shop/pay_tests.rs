//! Which number a buyer pays under: the same again, or the next once the old one is closed.

use super::fake_wechat::{Fake, Fault};
use super::stand::{PRICE, Stand};
use crate::base::Fen;
use crate::model::{AttemptState, OrderChange, OrderStatus, Refusal};
use crate::store::Store;

fn opened(stand: &Stand) -> Vec<String> {
    let heard = stand.wechat.heard().into_iter();
    heard
        .filter(|call| call.starts_with("unifiedorder"))
        .collect()
}

async fn change_freight(stand: &Stand, fen: u64) {
    let change = OrderChange {
        freight: Some(Fen::new(fen)),
        ..OrderChange::default()
    };
    let amended = stand
        .shop
        .amend(stand.order_no.clone(), change, stand.now());
    amended.await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_number() {
    let stand = Stand::open().await;
    stand.wechat.fault(Some(Fault::Mute));
    assert_eq!(stand.pay_refused().await, None);
    stand.wechat.fault(None);
    let params = stand.pay().await.unwrap();
    assert_eq!(params.package, format!("prepay_id=wx{}", stand.order_no));
    let again = stand.pay().await.unwrap();
    assert_eq!(again.package, params.package);
    let number = stand.number(1);
    assert_eq!(stand.wechat.states(), [(number.clone(), "NOTPAY")]);
    let calls = opened(&stand);
    assert!(
        calls
            .iter()
            .all(|call| *call == format!("unifiedorder {number}"))
    );
    let told = stand.lines("wechat.prepay").await;
    assert_eq!(told.len(), calls.len(), "{told:?}");
}

#[tokio::test]
async fn payments_begun_at_the_same_moment_end_in_one_attempt() {
    let stand = Stand::open().await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let stand = stand.clone();
        all.spawn(async move { stand.pay().await.unwrap().package });
    }
    let mut packages = all.join_all().await;
    packages.dedup();
    assert_eq!(packages.len(), 1);
    assert_eq!(stand.attempts().await, [AttemptState::Open]);
    assert_eq!(opened(&stand).len(), 1);
}

#[tokio::test]
async fn a_new_price_waits_until_the_old_attempt_is_closed() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    change_freight(&stand, 100).await;
    stand.wechat.fault(Some(Fault::Young));
    let Some(Refusal::PaymentBusy { retry_after_s }) = stand.pay_refused().await else {
        panic!("the old attempt is not closed");
    };
    assert!((290..=300).contains(&retry_after_s), "{retry_after_s}");
    let told = stand.lines("payment.busy").await;
    assert!(
        told.len() == 1 && told[0].contains("还不能关闭"),
        "{told:?}"
    );
    assert_eq!(stand.attempts().await, [AttemptState::Open]);
    stand.wechat.fault(None);
    stand.pay().await.unwrap();
    assert_eq!(
        stand.wechat.states(),
        [(stand.number(1), "CLOSED"), (stand.number(2), "NOTPAY")]
    );
    assert_eq!(stand.wechat.held(&stand.number(2)).unwrap().fee, "494");
}

#[tokio::test]
async fn a_buyer_who_paid_the_old_price_has_paid() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    change_freight(&stand, 100).await;
    stand.wechat.pays(&stand.number(1)).unwrap();
    assert_eq!(stand.pay_refused().await, Some(Refusal::OrderPaid));
    let order = stand.told().await.order;
    assert_eq!(
        (order.status, order.total),
        (OrderStatus::Paid, Fen::new(394))
    );
    assert_eq!(stand.lines("order.repriced").await.len(), 1);
    assert_eq!(stand.wechat.states().len(), 1);
}

#[tokio::test]
async fn a_new_price_has_the_old_attempt_closed_without_the_buyer() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    change_freight(&stand, 100).await;
    stand.work().await;
    assert_eq!(stand.wechat.states(), [(stand.number(1), "CLOSED")]);
    assert_eq!(stand.status().await, OrderStatus::Pending);
}

#[tokio::test]
async fn numbers_that_a_restored_copy_forgot_strand_nobody() {
    let stand = Stand::open().await;
    let [one, two, three, four] = [1, 2, 3, 4].map(|n| stand.number(n));
    stand.wechat.knows(&one, "CLOSED", PRICE);
    stand.wechat.knows(&two, "NOTPAY", "777");
    stand.wechat.knows(&three, "PAYERROR", PRICE);
    let params = stand.pay().await.unwrap();
    assert_eq!(params.package, format!("prepay_id=wx{four}"));
    let states = stand.wechat.states();
    assert_eq!(
        states[..3]
            .iter()
            .filter(|(_, state)| *state == "CLOSED")
            .count(),
        3
    );
    assert_eq!(states[3], (four, "NOTPAY"));
}

#[tokio::test]
async fn money_that_a_restored_copy_forgot_is_found_when_the_buyer_pays_again() {
    let stand = Stand::open().await;
    stand.wechat.knows(&stand.number(1), "SUCCESS", PRICE);
    assert_eq!(stand.pay_refused().await, Some(Refusal::OrderPaid));
    assert_eq!(stand.status().await, OrderStatus::Paid);
}

#[tokio::test]
async fn money_of_another_amount_under_our_number_is_listed_and_not_paid_twice() {
    let stand = Stand::open().await;
    stand.wechat.knows(&stand.number(1), "SUCCESS", "999");
    let refused = stand.pay_refused().await;
    assert!(
        matches!(refused, Some(Refusal::PaymentBusy { .. })),
        "{refused:?}"
    );
    assert_eq!(stand.unmatched().await.len(), 1);
    assert_eq!(stand.attempts().await, [AttemptState::Open]);
    // Once it went back to the payer, the order can be paid.
    stand.wechat.knows(&stand.number(1), "REFUND", "999");
    let params = stand.pay().await.unwrap();
    assert_eq!(params.package, format!("prepay_id=wx{}", stand.number(2)));
}

#[tokio::test]
async fn an_order_paid_while_its_prepay_was_lost_is_paid() {
    let stand = Stand::open().await;
    stand.wechat.fault(Some(Fault::Mute));
    assert_eq!(stand.pay_refused().await, None);
    stand.wechat.fault(None);
    stand.wechat.pays(&stand.number(1)).unwrap();
    assert_eq!(stand.pay_refused().await, Some(Refusal::OrderPaid));
    assert_eq!(stand.status().await, OrderStatus::Paid);
}

#[tokio::test]
async fn an_attempt_of_another_merchant_number_is_not_replaced_before_it_is_over() {
    let (wechat, store) = (Fake::start(), Store::memory());
    let stand = Stand::over(wechat, store).await;
    stand.pay().await.unwrap();
    let moved = stand.with_mchid("1900000999");
    assert_eq!(moved.pay_refused().await, None);
    assert_eq!(moved.attempts().await, [AttemptState::Open]);
    moved.pass(1800).await;
    assert_eq!(moved.status().await, OrderStatus::Pending);
    moved.pass(3 * 3600).await;
    assert_eq!(moved.status().await, OrderStatus::Closed);
    assert_eq!(moved.lines("payment.lapsed").await.len(), 1);
}
