//! Closed here only when it is closed there; its stock back then, and not before.

use super::fake_wechat::Fault;
use super::notify::Heard;
use super::stand::{PAY_WITHIN_S, STOCK, Stand, until};
use super::{ShopError, tests::shop_at};
use crate::model::{AttemptState, OrderStatus, Refusal};
use crate::store::Tx;
use crate::store::orders::{self, Owner};

fn is_paid<T>(outcome: &Result<T, ShopError>) -> bool {
    matches!(outcome, Err(ShopError::Refused(Refusal::OrderPaid)))
}

#[tokio::test]
async fn a_cancelled_order_is_closed_at_wechat_before_its_stock_is_back() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    let order = stand.cancel().await.unwrap();
    assert_eq!(
        (order.status, order.closing_since),
        (OrderStatus::Closed, None)
    );
    assert_eq!(stand.wechat.states(), [(stand.number(1), "CLOSED")]);
    assert_eq!(stand.attempts().await, [AttemptState::Closed]);
    assert_eq!(stand.stock().await, STOCK);
    assert_eq!(stand.cancel().await.unwrap().status, OrderStatus::Closed);
    assert_eq!(stand.pay_refused().await, Some(Refusal::OrderClosed));
    stand.pass(9).await;
    assert_eq!(stand.stock().await, STOCK);
}

#[tokio::test]
async fn an_order_that_is_paid_there_cannot_be_cancelled() {
    for fault in [None, Some(Fault::PaidFirst)] {
        let stand = Stand::open().await;
        stand.pay().await.unwrap();
        if fault.is_none() {
            stand.wechat.pays(&stand.number(1)).unwrap();
        }
        stand.wechat.fault(fault);
        assert!(is_paid(&stand.cancel().await), "{fault:?}");
        assert_eq!(stand.status().await, OrderStatus::Paid);
        assert_eq!(stand.stock().await, STOCK - 1);
        assert!(is_paid(&stand.cancel().await));
        let closed = stand.shop.close(stand.order_no.clone(), stand.now()).await;
        assert!(is_paid(&closed));
    }
}

#[tokio::test]
async fn what_wechat_cannot_confirm_stays_pending_and_is_closed_within_sixty_seconds() {
    for fault in [Fault::Down, Fault::Mute, Fault::Young] {
        let stand = Stand::open().await;
        stand.pay().await.unwrap();
        stand.wechat.fault(Some(fault));
        let order = stand.cancel().await.unwrap();
        assert_eq!(order.status, OrderStatus::Pending, "{fault:?}");
        assert!(order.closing_since.is_some());
        assert_eq!(stand.pay_refused().await, Some(Refusal::OrderClosed));
        stand.pass(100).await;
        assert_eq!(stand.stock().await, STOCK - 1, "{fault:?}");
        stand.wechat.fault(None);
        stand.pass(60).await;
        assert_eq!(stand.status().await, OrderStatus::Closed, "{fault:?}");
        assert_eq!(stand.stock().await, STOCK);
    }
}

#[tokio::test]
async fn the_timeline_says_why_an_order_is_not_closed_and_when_it_is_tried_again() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    stand.wechat.fault(Some(Fault::Young));
    stand.cancel().await.unwrap();
    let old = stand.told().await.attempts[0].created_at.unix() + 300;
    let old = super::trace::clock_time(crate::base::Timestamp::from_unix(old));
    let why = stand.lines("order.not_closed").await;
    assert_eq!(why.len(), 1);
    let want = format!("微信要求下单 5 分钟后才能关单，即 {old} 之后");
    assert!(why[0].contains(&want) && why[0].contains("再试"), "{why:?}");
    assert_eq!(stand.lines("wechat.close").await.len(), 1);
}

#[tokio::test]
async fn money_that_arrives_while_wechat_will_not_close_counts() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    stand.wechat.fault(Some(Fault::Young));
    stand.cancel().await.unwrap();
    let id = stand.wechat.pays(&stand.number(1)).unwrap();
    assert_eq!(stand.notified(1, &id).await, Heard::Applied);
    let order = stand.told().await.order;
    assert_eq!(
        (order.status, order.closing_since),
        (OrderStatus::Paid, None)
    );
    stand.wechat.fault(None);
    stand.pass(60).await;
    assert_eq!(
        (stand.status().await, stand.stock().await),
        (OrderStatus::Paid, STOCK - 1)
    );
}

#[tokio::test]
async fn an_order_expires_with_its_attempts_closed_or_its_payment_found() {
    for paid in [None, Some(1)] {
        let stand = Stand::open().await;
        stand.pay().await.unwrap();
        if let Some(n) = paid {
            stand.wechat.pays(&stand.number(n)).unwrap();
        }
        stand.shop.clock().advance(PAY_WITHIN_S);
        stand.work().await;
        let (status, state, stock) = match paid {
            None => (OrderStatus::Closed, "CLOSED", STOCK),
            Some(_) => (OrderStatus::Paid, "SUCCESS", STOCK - 1),
        };
        assert_eq!((stand.status().await, stand.stock().await), (status, stock));
        assert_eq!(stand.wechat.states(), [(stand.number(1), state)]);
    }
}

#[tokio::test]
async fn an_order_nobody_tried_to_pay_closes_without_wechat() {
    let stand = Stand::open().await;
    stand.wechat.fault(Some(Fault::Down));
    assert_eq!(stand.cancel().await.unwrap().status, OrderStatus::Closed);
    assert_eq!(stand.wechat.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn an_attempt_that_never_reached_wechat_is_closed_there_all_the_same() {
    let stand = Stand::open().await;
    stand.wechat.fault(Some(Fault::Down));
    assert_eq!(stand.pay_refused().await, None);
    stand.wechat.fault(None);
    assert_eq!(stand.cancel().await.unwrap().status, OrderStatus::Closed);
    assert_eq!(stand.stock().await, STOCK);
    let last = stand.wechat.heard().pop();
    assert_eq!(last, Some(format!("closeorder {}", stand.number(1))));
}

#[tokio::test]
async fn the_merchant_closes_an_order_as_the_buyer_does() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    let closed = stand.shop.close(stand.order_no.clone(), stand.now()).await;
    assert_eq!(closed.unwrap().status, OrderStatus::Closed);
    assert_eq!(stand.wechat.states(), [(stand.number(1), "CLOSED")]);
}

#[tokio::test]
async fn a_close_that_was_wished_before_a_crash_is_carried_out_after_it() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    stand.wechat.fault(Some(Fault::Down));
    stand.cancel().await.unwrap();
    stand.wechat.fault(None);
    let (appid, store) = (stand.shop.settings.appid.clone(), stand.shop.store.clone());
    let after = Stand {
        shop: shop_at(appid, &stand.wechat.base, store),
        ..stand.clone()
    };
    drop(stand);
    after.pass(60).await;
    assert_eq!(
        (after.status().await, after.stock().await),
        (OrderStatus::Closed, STOCK)
    );
}

#[tokio::test]
async fn a_close_that_an_older_version_left_without_due_work_is_taken_up() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    let (key, order_no) = (stand.shop.field_key(), stand.order_no.clone());
    let since = stand.now();
    let write = stand.shop.store.write(move |tx: &mut Tx<'_>| {
        let before = orders::require_order(tx, &key, &order_no, Owner::Any)?;
        let after = crate::model::Order {
            closing_since: Some(since),
            ..before.clone()
        };
        Ok::<_, ShopError>(orders::update(tx, &key, &before, &after)?)
    });
    write.await.unwrap();
    assert_eq!(stand.shop.take_up_closes().await.unwrap(), 1);
    assert_eq!(stand.shop.take_up_closes().await.unwrap(), 0);
    stand.work().await;
    assert_eq!(stand.status().await, OrderStatus::Closed);
}

#[tokio::test]
async fn days_without_wechat_do_not_flood_the_timeline() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    stand.wechat.fault(Some(Fault::Young));
    stand.cancel().await.unwrap();
    for _ in 0..100 {
        stand.shop.clock().advance(30);
        stand.shop.tick(stand.now()).await.unwrap();
    }
    let told = stand.lines("order.not_closed").await.len();
    assert!((20..30).contains(&told), "{told}");
    stand.wechat.fault(None);
    stand.pass(60).await;
    assert_eq!(stand.status().await, OrderStatus::Closed);
}

#[tokio::test]
async fn asking_for_the_truth_does_not_close_what_wechat_keeps_open() {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    stand.wechat.fault(Some(Fault::Young));
    stand.cancel().await.unwrap();
    stand.shop.clock().advance(2);
    let order = stand.sync().await.unwrap();
    assert_eq!(order.status, OrderStatus::Pending);
    assert_eq!(stand.stock().await, STOCK - 1);
    // It is closed there by somebody else: now it is closed here too.
    stand.wechat.knows(&stand.number(1), "CLOSED", "394");
    stand.shop.clock().advance(2);
    assert_eq!(stand.sync().await.unwrap().status, OrderStatus::Closed);
    assert_eq!(stand.stock().await, STOCK);
}

#[tokio::test]
async fn an_order_cancelled_while_its_payment_opens_is_not_handed_out_to_be_paid() {
    let stand = Stand::open().await;
    stand.wechat.fault(Some(Fault::Slow));
    let (paying, cancelling) = (stand.clone(), stand.clone());
    let paying = tokio::spawn(async move { paying.pay_refused().await });
    until("WeChat hears of it", || !stand.wechat.heard().is_empty()).await;
    let cancelling = tokio::spawn(async move { cancelling.cancel().await.unwrap().status });
    while stand.told().await.order.closing_since.is_none() {
        tokio::task::yield_now().await;
    }
    stand.wechat.fault(None);
    assert_eq!(paying.await.unwrap(), Some(Refusal::OrderClosed));
    assert_eq!(cancelling.await.unwrap(), OrderStatus::Closed);
    assert_eq!(stand.wechat.states(), [(stand.number(1), "CLOSED")]);
}

#[tokio::test]
async fn an_attempt_whose_keys_are_gone_is_reached_with_those_that_are_there() {
    for (state, status) in [
        ("NOTPAY", OrderStatus::Closed),
        ("SUCCESS", OrderStatus::Paid),
    ] {
        let stand = Stand::open().await;
        stand.pay().await.unwrap();
        let opened = stand.told().await.attempts.remove(0);
        let in_v3 = crate::model::Attempt {
            protocol: crate::model::Protocol::V3,
            ..opened
        };
        let write = stand.shop.store.write(move |tx: &mut Tx<'_>| {
            Ok::<_, ShopError>(crate::store::attempts::put(tx, &in_v3)?)
        });
        write.await.unwrap();
        stand.wechat.knows(&stand.number(1), state, "394");
        let cancelled = stand.cancel().await;
        assert_eq!(is_paid(&cancelled), state == "SUCCESS");
        assert_eq!(stand.status().await, status);
    }
}
