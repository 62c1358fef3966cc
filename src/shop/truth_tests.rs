//! Who notices a payment when its notify never comes, and when.

use super::fake_wechat::Fault;
use super::notify::Heard;
use super::stand::{PRICE, STOCK, Stand};
use crate::model::{AttemptState, OrderStatus};

fn queries(stand: &Stand) -> usize {
    let heard = stand.wechat.heard().into_iter();
    heard.filter(|call| call.starts_with("orderquery")).count()
}

#[tokio::test]
async fn a_payment_whose_notify_is_lost_is_found_within_thirty_seconds() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    let id = stand.wechat.pays(&stand.number(1)).unwrap();
    stand.pass(19).await;
    assert_eq!(
        (stand.status().await, queries(&stand)),
        (OrderStatus::Pending, 0)
    );
    stand.pass(11).await;
    let order = stand.told().await.order;
    assert_eq!(order.status, OrderStatus::Paid);
    assert_eq!(
        order.transaction_id.map(|id| id.to_string()),
        Some(id.clone())
    );
    assert_eq!(stand.lines("wechat.query").await.len(), 1);
    // The notify that comes after all is told, and changes nothing.
    assert_eq!(stand.notified(1, &id).await, Heard::Applied);
    assert_eq!(stand.lines("notify.repeated").await.len(), 1);
    assert_eq!(stand.unmatched().await, []);
    stand.pass(9999).await;
    assert_eq!(queries(&stand), 1);
}

#[tokio::test]
async fn an_unpaid_attempt_is_asked_about_less_and_less_until_it_is_closed() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    let mut asked = vec![];
    for second in 0..1790 {
        let before = queries(&stand);
        stand.shop.clock().advance(1);
        stand.shop.tick(stand.now()).await.unwrap();
        if queries(&stand) > before {
            asked.push(second + 1);
        }
    }
    assert_eq!(asked.len(), 6, "{asked:?}");
    let near = [20, 60, 140, 300, 620, 1220];
    assert!(
        asked
            .iter()
            .zip(near)
            .all(|(at, want)| (want..want + 8).contains(at)),
        "{asked:?}"
    );
}

#[tokio::test]
async fn who_comes_to_pay_again_is_asked_about_soon() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    for pause in [20, 40, 80, 160, 320] {
        stand.pass(pause).await;
    }
    stand.pay().await.unwrap();
    stand.wechat.pays(&stand.number(1)).unwrap();
    stand.pass(30).await;
    assert_eq!(stand.status().await, OrderStatus::Paid);
}

#[tokio::test]
async fn the_truth_is_asked_for_at_most_once_in_two_seconds() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    for _ in 0..3 {
        assert_eq!(stand.sync().await.unwrap().status, OrderStatus::Pending);
    }
    assert_eq!(queries(&stand), 1);
    stand.wechat.pays(&stand.number(1)).unwrap();
    stand.shop.clock().advance(2);
    assert_eq!(stand.sync().await.unwrap().status, OrderStatus::Paid);
    assert_eq!(queries(&stand), 2);
}

#[tokio::test]
async fn money_that_was_refunded_before_we_heard_of_it_is_counted_first() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    stand.wechat.knows(&stand.number(1), "REFUND", PRICE);
    assert_eq!(stand.sync().await.unwrap().status, OrderStatus::Paid);
    assert_eq!(stand.attempts().await, [AttemptState::Paid]);
}

#[tokio::test]
async fn money_of_another_amount_is_listed_and_not_counted() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    stand.wechat.knows(&stand.number(1), "SUCCESS", "395");
    assert_eq!(stand.sync().await.unwrap().status, OrderStatus::Pending);
    assert_eq!(stand.unmatched().await.len(), 1);
    assert_eq!(stand.lines("payment.mismatched").await.len(), 1);
}

#[tokio::test]
async fn a_payment_that_won_the_race_against_a_close_is_found_by_looking_back() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    assert_eq!(stand.cancel().await.unwrap().status, OrderStatus::Closed);
    stand.wechat.knows(&stand.number(1), "SUCCESS", PRICE);
    stand.pass(302).await;
    assert_eq!(
        (stand.status().await, stand.stock().await),
        (OrderStatus::Paid, STOCK - 1)
    );
}

#[tokio::test]
async fn an_attempt_that_opened_after_its_close_is_closed_again() {
    let stand = Stand::open().await;
    stand.wechat.fault(Some(Fault::Down));
    assert_eq!(stand.pay_refused().await, None);
    stand.wechat.fault(None);
    assert_eq!(stand.cancel().await.unwrap().status, OrderStatus::Closed);
    // The request that seemed lost arrives now.
    stand.wechat.knows(&stand.number(1), "NOTPAY", PRICE);
    stand.pass(302).await;
    assert_eq!(stand.wechat.states(), [(stand.number(1), "CLOSED")]);
    assert_eq!(
        (stand.status().await, stand.stock().await),
        (OrderStatus::Closed, STOCK)
    );
}

#[tokio::test]
async fn a_query_that_fails_is_made_again_and_tells_why_it_failed() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    stand.wechat.pays(&stand.number(1)).unwrap();
    stand.wechat.fault(Some(Fault::Down));
    stand.pass(21).await;
    assert_eq!(stand.status().await, OrderStatus::Pending);
    assert!(!stand.lines("wechat.query").await.is_empty());
    stand.wechat.fault(None);
    stand.pass(60).await;
    assert_eq!(stand.status().await, OrderStatus::Paid);
}

#[tokio::test]
async fn every_notify_stands_in_the_timeline_with_its_verdict() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    let id = stand.wechat.pays(&stand.number(1)).unwrap();
    let forged = super::fake_wechat::notify(&stand.number(1), &id, PRICE).replace(&id, "4299");
    for _ in 0..2 {
        let none = crate::wechat::SignatureHeaders::read(|_| None);
        let heard = stand
            .shop
            .take_pay_notify(&none, forged.as_bytes(), stand.now())
            .await;
        assert!(matches!(heard, Heard::Refused(_)), "{heard:?}");
    }
    assert_eq!(stand.lines("notify.refused").await.len(), 1);
    assert_eq!(stand.status().await, OrderStatus::Pending);
    assert_eq!(stand.notified(1, &id).await, Heard::Applied);
    assert_eq!(stand.lines("notify.paid").await.len(), 1);
    assert_eq!(stand.lines("order.paid").await.len(), 1);
}
