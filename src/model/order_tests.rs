//! Every (status, event) pair of an order, and what must hold after any history.

use proptest::prelude::*;

use super::OrderStatus::{Closed, Completed, Paid as IsPaid, Pending, Refunded, Shipped};
use super::*;
use crate::base::GoodsId;

const NOW: i64 = 1_767_196_830;

fn order(status: OrderStatus) -> Order {
    let new = NewOrder {
        order_no: OrderNo::new(NOW * 1000, 1),
        uid: Uid::new(1),
        appid: "wx0123456789abcdef".parse().unwrap(),
        openid: "o1".parse().unwrap(),
        lines: vec![Line {
            goods_id: Some(GoodsId::new(1)),
            title: "茶".into(),
            spec: String::new(),
            price: Fen::new(50),
            count: 2,
        }],
        remark: String::new(),
        address: None,
        now: Timestamp::from_unix(NOW),
        pay_within: Duration::from_secs(1800),
    };
    let order = Order {
        status,
        ..Order::place(new).expect("legal")
    };
    match status {
        Pending => order,
        Closed => Order {
            closed_at: Some(order.created_at),
            ..order
        },
        IsPaid | Shipped | Completed => with_payment(order, Fen::ZERO),
        Refunded => with_payment(order, Fen::new(100)),
    }
}

fn with_payment(order: Order, refunded: Fen) -> Order {
    let paid_at = Some(order.created_at);
    let transaction_id = Some("4200001".parse().unwrap());
    Order {
        paid_at,
        transaction_id,
        paid_by: Some(1),
        attempts: 1,
        refunded,
        ..order
    }
}

fn paid(attempt: u16, stock: StockLeft) -> OrderEvent {
    OrderEvent::Paid(Paid {
        attempt,
        transaction_id: format!("42{attempt}").parse().unwrap(),
        paid_at: Timestamp::from_unix(NOW + 5),
        stock,
    })
}

fn events() -> [(&'static str, OrderEvent); 9] {
    [
        ("paid 1", paid(1, StockLeft::Enough)),
        ("paid 1, short", paid(1, StockLeft::Short)),
        ("paid 2", paid(2, StockLeft::Enough)),
        ("close", OrderEvent::CloseWanted(Closer::Buyer)),
        ("closed at wechat", OrderEvent::ClosedAtWechat),
        ("shipped", OrderEvent::Shipped),
        ("received", OrderEvent::Received(Receiver::Buyer)),
        ("refunded 40", OrderEvent::Refunded(Fen::new(40))),
        ("refunded 100", OrderEvent::Refunded(Fen::new(100))),
    ]
}

/// The table: for each status, what each event of [`events`] leads to. `Ok` is the next status.
fn table(status: OrderStatus) -> [Result<OrderStatus, &'static str>; 9] {
    let (paid, state, amount) = (Err("paid"), Err("state"), Err("amount"));
    match status {
        Pending => [
            Ok(IsPaid),
            Ok(IsPaid),
            Ok(IsPaid),
            Ok(Closed),
            Ok(Closed),
            state,
            state,
            state,
            state,
        ],
        IsPaid => [
            Ok(IsPaid),
            Ok(IsPaid),
            Ok(IsPaid),
            paid,
            paid,
            Ok(Shipped),
            state,
            Ok(IsPaid),
            Ok(Refunded),
        ],
        Shipped => [
            Ok(Shipped),
            Ok(Shipped),
            Ok(Shipped),
            paid,
            paid,
            state,
            Ok(Completed),
            Ok(Shipped),
            Ok(Refunded),
        ],
        Completed => [
            Ok(Completed),
            Ok(Completed),
            Ok(Completed),
            paid,
            paid,
            state,
            Ok(Completed),
            Ok(Completed),
            Ok(Refunded),
        ],
        Closed => [
            Ok(IsPaid),
            Ok(Closed),
            Ok(IsPaid),
            Ok(Closed),
            Ok(Closed),
            state,
            state,
            state,
            state,
        ],
        Refunded => [
            Ok(Refunded),
            Ok(Refunded),
            Ok(Refunded),
            paid,
            paid,
            state,
            state,
            amount,
            amount,
        ],
    }
}

#[test]
fn every_status_and_event_has_the_outcome_of_the_table() {
    for status in OrderStatus::ALL {
        for ((name, event), want) in events().into_iter().zip(table(status)) {
            let got = order(status).apply(event, Timestamp::from_unix(NOW + 9));
            let got = match got {
                Ok((order, _)) => Ok(order.status),
                Err(Refusal::OrderPaid) => Err("paid"),
                Err(Refusal::OrderState) => Err("state"),
                Err(Refusal::AmountInvalid { .. }) => Err("amount"),
                Err(other) => panic!("{status:?} {name}: {other:?}"),
            };
            assert_eq!(got, want, "{status:?}, {name}");
        }
    }
}

#[test]
fn the_same_payment_told_again_changes_nothing() {
    let at = Timestamp::from_unix(NOW + 9);
    let (once, effects) = order(Pending)
        .apply(paid(1, StockLeft::Enough), at)
        .expect("counts");
    assert_eq!(effects, [note("order.paid", "收到付款")]);
    assert_eq!(once.paid_at, Some(Timestamp::from_unix(NOW + 5)));
    let (twice, effects) = once
        .clone()
        .apply(paid(1, StockLeft::Short), at)
        .expect("known");
    assert_eq!((twice, effects), (once, vec![]));
}

#[test]
fn money_on_a_second_attempt_is_given_back_and_the_order_stays_as_it_is() {
    for status in [IsPaid, Shipped, Completed, Refunded] {
        let before = order(status);
        let at = Timestamp::from_unix(NOW + 9);
        let (after, effects) = before
            .clone()
            .apply(paid(2, StockLeft::Enough), at)
            .expect("heard");
        assert_eq!(after, before);
        assert_eq!(
            effects,
            [
                Effect::RefundSurplus {
                    attempt: 2,
                    transaction_id: "422".parse().unwrap()
                },
                note_surplus()
            ]
        );
    }
}

#[test]
fn late_money_takes_the_stock_again_or_goes_back() {
    let at = Timestamp::from_unix(NOW + 9);
    let (taken, effects) = order(Closed)
        .apply(paid(1, StockLeft::Enough), at)
        .expect("heard");
    assert_eq!((taken.status, taken.closed_at), (IsPaid, None));
    assert!(effects.contains(&Effect::TakeStock));
    let (back, effects) = order(Closed)
        .apply(paid(1, StockLeft::Short), at)
        .expect("heard");
    assert_eq!((back.status, back.paid_by), (Closed, Some(1)));
    assert!(back.paid_at.is_some() && back.transaction_id.is_some());
    assert!(effects.contains(&Effect::RefundLate) && !effects.contains(&Effect::TakeStock));
    let (refunded, _) = back
        .apply(OrderEvent::Refunded(Fen::new(100)), at)
        .expect("was paid");
    assert_eq!(
        (refunded.status, refunded.refunded),
        (Closed, Fen::new(100))
    );
}

#[test]
fn an_order_with_an_attempt_is_never_closed_locally() {
    let at = Timestamp::from_unix(NOW + 9);
    for closer in [Closer::Buyer, Closer::Merchant, Closer::Expiry] {
        let before = Order {
            attempts: 1,
            ..order(Pending)
        };
        let wanted = OrderEvent::CloseWanted(closer);
        let (after, effects) = before.apply(wanted.clone(), at).expect("pending");
        assert_eq!((after.status, after.closing_since), (Pending, Some(at)));
        assert!(!effects.contains(&Effect::ReturnStock));
        let later = Timestamp::from_unix(NOW + 99);
        assert_eq!(
            after.clone().apply(wanted, later),
            Ok((after.clone(), vec![]))
        );
        let (closed, effects) = after
            .apply(OrderEvent::ClosedAtWechat, later)
            .expect("closing");
        assert_eq!((closed.status, closed.closing_since), (Closed, None));
        assert!(effects.contains(&Effect::ReturnStock));
    }
}

#[test]
fn money_that_arrives_while_closing_counts() {
    let at = Timestamp::from_unix(NOW + 9);
    let closing = Order {
        attempts: 1,
        closing_since: Some(at),
        ..order(Pending)
    };
    let (after, _) = closing
        .apply(paid(1, StockLeft::Enough), at)
        .expect("counts");
    assert_eq!((after.status, after.closing_since), (IsPaid, None));
}

fn any_event() -> impl Strategy<Value = OrderEvent> {
    (0usize..9).prop_map(|n| events()[n].1.clone())
}

proptest! {
    #[test]
    fn whatever_happens_stock_and_money_balance(
        history in prop::collection::vec(any_event(), 0..40),
        attempts in 0u16..3,
    ) {
        let mut order = Order { attempts, ..order(Pending) };
        let (total, mut reserved) = (order.total, 1i32);
        for event in history {
            let Ok((next, effects)) = order.clone().apply(event, Timestamp::from_unix(NOW)) else {
                continue;
            };
            for effect in effects {
                match effect {
                    Effect::TakeStock => reserved += 1,
                    Effect::ReturnStock => reserved -= 1,
                    Effect::RefundSurplus { .. } | Effect::RefundLate | Effect::Note { .. } => {}
                }
            }
            order = next;
            prop_assert_eq!(reserved, i32::from(order.status != Closed));
            prop_assert!(order.refunded <= total);
            let money = matches!(order.status, IsPaid | Shipped | Completed | Refunded);
            prop_assert!(!money || order.paid_by.is_some());
            prop_assert_eq!(order.status == Refunded, money && order.refunded == total);
        }
    }
}
