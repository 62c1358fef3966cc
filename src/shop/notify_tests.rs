//! What the store holds after a notify: paid, owed, or written down because nothing waits for it.

use std::time::Duration;

use super::*;
use crate::base::{Fen, OrderNo, TransactionId, Uid};
use crate::model::order::NewOrder;
use crate::model::{Line, Order, OrderStatus, Protocol, Refund, RefundKind};
use crate::store::PageWanted;
use std::sync::Arc;

use crate::shop::fake_wechat::{APPID, MCHID, notify};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(1_767_196_830 + seconds)
}

fn shop() -> Arc<Shop> {
    crate::shop::tests::shop_of(APPID.parse().unwrap())
}

fn order(status: OrderStatus) -> Order {
    let line = Line {
        goods_id: Some(crate::base::GoodsId::new(1)),
        title: "茶".into(),
        spec: String::new(),
        price: Fen::new(394),
        count: 2,
    };
    let placed = Order::place(NewOrder {
        order_no: OrderNo::new(at(0).unix() * 1000, 1),
        uid: Uid::new(1),
        appid: APPID.parse().unwrap(),
        openid: "o1".parse().unwrap(),
        lines: vec![line],
        remark: String::new(),
        address: None,
        now: at(0),
        pay_within: Duration::from_secs(1800),
    });
    Order {
        status,
        ..placed.unwrap()
    }
}

fn attempt(order: &Order, number: u16) -> Attempt {
    Attempt {
        out_trade_no: OutTradeNo::new(order.order_no.clone(), number),
        protocol: Protocol::V2Md5,
        appid: APPID.parse().unwrap(),
        mchid: MCHID.parse().unwrap(),
        openid: "o1".parse().unwrap(),
        amount: Fen::new(788),
        time_expire: at(1800),
        request: String::new(),
        prepay: None,
        state: AttemptState::Open,
        transaction_id: None,
        paid_at: None,
        counted: false,
        created_at: at(0),
    }
}

/// Keeps `order`, so many attempts of it, and this stock of its goods.
async fn keep(shop: &Shop, order: Order, attempts_made: u16, stock: u64) {
    let key = shop.field_key();
    let write = shop.store.write(move |tx: &mut Tx<'_>| {
        let order = Order {
            attempts: attempts_made,
            ..order.clone()
        };
        orders::insert(tx, &key, &order);
        goods::set_stock(tx, crate::base::GoodsId::new(1), stock)?;
        for number in 1..=attempts_made {
            attempts::put(tx, &attempt(&order, number))?;
        }
        Ok::<_, ShopError>(())
    });
    write.await.unwrap();
}

async fn told(shop: &Shop, body: &str) -> Heard {
    let none = SignatureHeaders::read(|_| None);
    shop.take_pay_notify(&none, body.as_bytes(), at(60)).await
}

async fn refunds_of(shop: &Shop) -> Vec<Refund> {
    let order_no = order(OrderStatus::Paid).order_no;
    shop.refunds(order_no).await.unwrap()
}

async fn unmatched_of(shop: &Shop) -> Vec<Unmatched> {
    let wanted = PageWanted {
        cursor: None,
        limit: 100,
    };
    let read = shop
        .store
        .read(move |view| Ok::<_, ShopError>(unmatched::list(view, &wanted)?));
    read.await.unwrap().items
}

async fn state(shop: &Shop) -> (Order, Vec<Attempt>, u64) {
    let order_no = order(OrderStatus::Pending).order_no;
    let told = shop.told_order(order_no).await.unwrap();
    let read = shop
        .store
        .read(|view| Ok::<_, ShopError>(goods::stock(view, crate::base::GoodsId::new(1))?));
    (told.order, told.attempts, read.await.unwrap())
}

#[tokio::test]
async fn a_genuine_payment_is_counted_once_and_stays_counted() {
    let shop = shop();
    let pending = order(OrderStatus::Pending);
    let number = pending.order_no.to_string();
    keep(&shop, pending, 1, 5).await;
    assert_eq!(
        told(&shop, &notify(&number, "42001", "788")).await,
        Heard::Applied
    );
    let (order, attempts, stock) = state(&shop).await;
    assert_eq!(
        (order.status, order.paid_by, stock),
        (OrderStatus::Paid, Some(1), 5)
    );
    assert_eq!(
        order.transaction_id.as_ref().map(TransactionId::as_str),
        Some("42001")
    );
    assert_eq!(
        (attempts[0].state, attempts[0].counted),
        (AttemptState::Paid, true)
    );
    for _ in 0..3 {
        assert_eq!(
            told(&shop, &notify(&number, "42001", "788")).await,
            Heard::Applied
        );
    }
    assert_eq!(state(&shop).await, (order, attempts, stock));
    assert_eq!(unmatched_of(&shop).await, []);
}

#[tokio::test]
async fn what_matches_nothing_is_written_down_once_and_changes_nothing() {
    let shop = shop();
    let pending = order(OrderStatus::Pending);
    let number = pending.order_no.to_string();
    keep(&shop, pending, 1, 5).await;
    let before = state(&shop).await;
    let dear = notify(&number, "42001", "789");
    for _ in 0..2 {
        assert_eq!(
            told(&shop, &dear).await,
            Heard::Mismatched(Mismatch::Amount)
        );
        assert_eq!(
            told(&shop, &notify("NOTOURS12345678", "42002", "788")).await,
            Heard::Unknown
        );
    }
    assert_eq!(state(&shop).await, before);
    let found = unmatched_of(&shop).await;
    let brief: Vec<_> = found
        .iter()
        .map(|u| {
            (
                u.out_trade_no.as_str(),
                u.transaction_id.as_str(),
                u.amount.get(),
                u.times,
            )
        })
        .collect();
    assert_eq!(
        brief,
        [
            ("NOTOURS12345678", "42002", 788, 2),
            (&number, "42001", 789, 2)
        ]
    );
}

#[tokio::test]
async fn money_on_a_second_attempt_is_owed_back() {
    let shop = shop();
    let pending = order(OrderStatus::Pending);
    let number = pending.order_no.to_string();
    keep(&shop, pending, 2, 5).await;
    assert_eq!(
        told(&shop, &notify(&number, "42001", "788")).await,
        Heard::Applied
    );
    let second = notify(&format!("{number}_2"), "42002", "788");
    assert_eq!(told(&shop, &second).await, Heard::Applied);
    let (order, attempts, _) = state(&shop).await;
    assert_eq!((order.status, order.paid_by), (OrderStatus::Paid, Some(1)));
    assert_eq!(
        (attempts[1].state, attempts[1].counted),
        (AttemptState::Paid, false)
    );
    let owed = refunds_of(&shop).await;
    assert_eq!((owed.len(), owed[0].kind), (1, RefundKind::Surplus));
    assert!(owed[0].next_at.is_some(), "due work sends it");
    assert_eq!(
        (owed[0].transaction_id.as_str(), owed[0].amount),
        ("42002", Fen::new(788))
    );
}

#[tokio::test]
async fn late_money_takes_the_stock_again_or_is_owed_back() {
    for (stock, status, left, owed) in
        [(2, OrderStatus::Paid, 0, 0), (1, OrderStatus::Closed, 1, 1)]
    {
        let shop = shop();
        let closed = order(OrderStatus::Closed);
        let number = closed.order_no.to_string();
        keep(&shop, closed, 1, stock).await;
        assert_eq!(
            told(&shop, &notify(&number, "42001", "788")).await,
            Heard::Applied
        );
        let (order, _, rest) = state(&shop).await;
        assert_eq!((order.status, rest), (status, left));
        assert!(order.paid_at.is_some() && order.transaction_id.is_some());
        let refunds = refunds_of(&shop).await;
        assert_eq!(refunds.len(), owed);
        for refund in refunds {
            assert_eq!(
                (refund.kind, refund.amount),
                (RefundKind::Late, Fen::new(788))
            );
        }
    }
}

#[tokio::test]
async fn a_forged_notify_is_not_even_written_down() {
    let shop = shop();
    let pending = order(OrderStatus::Pending);
    let number = pending.order_no.to_string();
    keep(&shop, pending, 1, 5).await;
    let before = state(&shop).await;
    let forged = notify(&number, "42001", "788").replace("42001", "42009");
    let refused = Heard::Refused(NotifyRefusal::BadSignature);
    assert_eq!(told(&shop, &forged).await, refused);
    let unsigned = notify(&number, "42001", "788").replace("sign>", "sing>");
    assert_eq!(told(&shop, &unsigned).await, refused);
    assert_eq!(
        (state(&shop).await, unmatched_of(&shop).await),
        (before, vec![])
    );
}
