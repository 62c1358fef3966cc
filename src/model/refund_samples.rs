//! An order, its attempts and new refunds, for the tests of refunds.

use std::time::Duration;

use super::order::NewOrder;
use super::refund::{NewRefund, RefundKind, Restock};
use super::{Attempt, AttemptState, Line, Order, OrderStatus, Protocol};
use crate::base::{Fen, OrderNo, OutTradeNo, RefundNo, Timestamp, Uid};

const NOW: i64 = 1_767_196_830;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(NOW + seconds)
}

/// An order of 100 fen, paid by its first attempt.
pub(super) fn order(status: OrderStatus) -> Order {
    let line = Line {
        goods_id: None,
        title: "茶".into(),
        spec: String::new(),
        price: Fen::new(100),
        count: 1,
    };
    let placed = Order::place(NewOrder {
        order_no: OrderNo::new(NOW * 1000, 1),
        uid: Uid::new(1),
        appid: "wx0123456789abcdef".parse().unwrap(),
        openid: "o1".parse().unwrap(),
        lines: vec![line],
        remark: String::new(),
        address: None,
        now: at(0),
        pay_within: Duration::from_secs(1800),
    });
    let paid = status != OrderStatus::Pending;
    Order {
        status,
        paid_by: paid.then_some(1),
        paid_at: paid.then(|| at(9)),
        ..placed.unwrap()
    }
}

/// The `number`-th attempt, paid with `amount` fen.
pub(super) fn attempt(number: u16, amount: u64) -> Attempt {
    let order = order(OrderStatus::Paid);
    Attempt {
        out_trade_no: OutTradeNo::new(order.order_no, number),
        protocol: Protocol::V3,
        appid: order.appid,
        mchid: "1900000109".parse().unwrap(),
        openid: order.openid,
        amount: Fen::new(amount),
        time_expire: at(1800),
        request: "{}".into(),
        prepay: None,
        state: AttemptState::Paid,
        transaction_id: Some(format!("420000{number}").parse().unwrap()),
        paid_at: Some(at(9)),
        counted: number == 1,
        created_at: at(0),
    }
}

pub(super) fn new(kind: RefundKind, amount: u64) -> NewRefund {
    NewRefund {
        refund_no: RefundNo::new(NOW * 1000, 1),
        kind,
        amount: Fen::new(amount),
        reason: "不想要了".into(),
        restock: Restock::Yes,
        now: at(20),
    }
}
