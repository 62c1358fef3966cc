//! What a payment must share with its attempt, and what `pay` does in every state.

use super::*;
use crate::base::{OrderNo, Uid};
use crate::model::Line;
use crate::model::order::NewOrder;

const NOW: i64 = 1_767_196_830;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(NOW + seconds)
}

fn order() -> Order {
    let line = Line {
        goods_id: None,
        title: "茶".into(),
        spec: String::new(),
        price: Fen::new(100),
        count: 1,
    };
    Order::place(NewOrder {
        order_no: OrderNo::new(NOW * 1000, 1),
        uid: Uid::new(1),
        appid: "wx0123456789abcdef".parse().unwrap(),
        openid: "o1".parse().unwrap(),
        lines: vec![line],
        remark: String::new(),
        address: None,
        now: at(0),
        pay_within: Duration::from_secs(8 * 3600),
    })
    .expect("legal")
}

fn attempt() -> Attempt {
    Attempt {
        out_trade_no: OutTradeNo::new(order().order_no, 1),
        protocol: Protocol::V3,
        appid: "wx0123456789abcdef".parse().unwrap(),
        mchid: "1900000109".parse().unwrap(),
        openid: "o1".parse().unwrap(),
        amount: Fen::new(100),
        time_expire: at(1800),
        request: "{}".into(),
        prepay: None,
        state: AttemptState::Open,
        transaction_id: None,
        paid_at: None,
        counted: false,
        created_at: at(0),
    }
}

fn payment() -> Payment {
    Payment {
        protocol: Protocol::V3,
        appid: "wx0123456789abcdef".into(),
        mchid: "1900000109".into(),
        out_trade_no: order().order_no.to_string(),
        transaction_id: "4200001".parse().unwrap(),
        amount: Fen::new(100),
        currency: "CNY".into(),
        paid_at: at(9),
    }
}

#[test]
fn a_payment_that_differs_in_any_point_is_not_the_attempts() {
    assert_eq!(attempt().check(&payment()), Ok(()));
    let p = payment;
    let other = "20260101000X9G00000000000Z".to_owned();
    let table = [
        (
            Payment {
                protocol: Protocol::V2Md5,
                ..p()
            },
            Mismatch::Protocol,
        ),
        (
            Payment {
                appid: "wx9".into(),
                ..p()
            },
            Mismatch::AppId,
        ),
        (
            Payment {
                mchid: "190".into(),
                ..p()
            },
            Mismatch::MchId,
        ),
        (
            Payment {
                out_trade_no: other,
                ..p()
            },
            Mismatch::OutTradeNo,
        ),
        (
            Payment {
                amount: Fen::new(99),
                ..p()
            },
            Mismatch::Amount,
        ),
        (
            Payment {
                amount: Fen::new(101),
                ..p()
            },
            Mismatch::Amount,
        ),
        (
            Payment {
                currency: "USD".into(),
                ..p()
            },
            Mismatch::Currency,
        ),
    ];
    for (payment, why) in table {
        assert_eq!(attempt().check(&payment), Err(why));
    }
    let paid = attempt().paid(&payment(), Counted::PaysTheOrder);
    assert!(paid.counted && paid.state == AttemptState::Paid);
    assert_eq!(paid.check(&payment()), Ok(()));
    let second = Payment {
        transaction_id: "4200002".parse().unwrap(),
        ..payment()
    };
    assert_eq!(paid.check(&second), Err(Mismatch::Transaction));
}

#[test]
fn pay_does_what_the_newest_attempt_asks_for() {
    let id: PrepayId = "wx01".parse().unwrap();
    let prepaid = attempt().prepaid(id.clone(), at(0));
    let closed = Attempt {
        state: AttemptState::Closed,
        ..attempt()
    };
    let paid = Attempt {
        state: AttemptState::Paid,
        counted: true,
        ..attempt()
    };
    let given_back = attempt().paid_otherwise(&payment());
    let dearer = Attempt {
        amount: Fen::new(200),
        ..attempt()
    };
    let table = [
        (attempt(), at(9), Ok(PayStep::Repeat)),
        (prepaid.clone(), at(6599), Ok(PayStep::Reuse(id))),
        (prepaid, at(6600), Ok(PayStep::Repeat)),
        (closed, at(9), Ok(PayStep::Open(2))),
        (paid, at(9), Err(Refusal::OrderPaid)),
        (given_back, at(9), Ok(PayStep::Open(2))),
        (dearer, at(9), Ok(PayStep::Replace)),
        (attempt(), at(8 * 3600), Err(Refusal::OrderClosed)),
    ];
    assert_eq!(pay_step(&order(), None, at(9)), Ok(PayStep::Open(1)));
    for (newest, now, want) in table {
        let sendable = Some((&newest, Standing::Usable));
        assert_eq!(pay_step(&order(), sendable, now), want, "{newest:?}");
        let gone = pay_step(&order(), Some((&newest, Standing::Obsolete)), now);
        match want {
            Ok(PayStep::Repeat | PayStep::Reuse(_)) => assert_eq!(gone, Ok(PayStep::Replace)),
            want => assert_eq!(gone, want, "{newest:?}"),
        }
    }
}

#[test]
fn what_was_paid_is_never_closed() {
    let paid = attempt().paid(&payment(), Counted::PaysTheOrder);
    assert_eq!(paid.clone().closed(), paid);
    let closed = attempt().closed();
    assert_eq!(closed.state, AttemptState::Closed);
    assert_eq!(closed.clone().closed(), closed);
    let late = closed.paid(&payment(), Counted::PaysTheOrder);
    assert_eq!(late.state, AttemptState::Paid);
}

#[test]
fn only_a_pending_order_that_is_not_closing_can_be_paid() {
    for status in OrderStatus::ALL {
        let order = Order { status, ..order() };
        let want = match status {
            OrderStatus::Pending => Ok(PayStep::Open(1)),
            OrderStatus::Closed => Err(Refusal::OrderClosed),
            OrderStatus::Paid
            | OrderStatus::Shipped
            | OrderStatus::Completed
            | OrderStatus::Refunded => Err(Refusal::OrderPaid),
        };
        assert_eq!(pay_step(&order, None, at(9)), want);
    }
    let closing = Order {
        closing_since: Some(at(1)),
        ..order()
    };
    assert_eq!(pay_step(&closing, None, at(9)), Err(Refusal::OrderClosed));
}
