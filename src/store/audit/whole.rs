//! For the tests: a store in which every kind of record is kept, and all of it agrees.
#![allow(clippy::unwrap_used)]

use crate::base::{Fen, GoodsId, OutTradeNo, Secret, Timestamp};
use crate::model::order::{Closer, OrderEvent, Paid, StockLeft};
use crate::model::reconcile::Class;
use crate::model::{Goods, Order, Refund, RefundStatus, User};
use crate::store::due::{self, Occasion, Work};
use crate::store::histories::apply;
use crate::store::idempotency::{self, Claim, Usage};
use crate::store::orders::{Owner, insert, require_order, update};
use crate::store::samples::{self, at, field_key, write};
use crate::store::{Failure, Store, Tx};
use crate::store::{
    alerts, attempts, certificates, console, goods, queries, reconciliations, refunds,
};
use crate::store::{shipments, staff, unmatched, users, webhooks};

pub(super) const PAID_BY: &str = "4200000000202601010000000001";

/// Paid, shipped, and refunded in part.
pub(super) fn shipped() -> Order {
    samples::order(1, 0, 1)
}

/// Pending, with an attempt that WeChat is asked about.
pub(super) fn pending() -> Order {
    samples::order(2, 10, 2)
}

/// Pending, and to be closed.
pub(super) fn closing() -> Order {
    samples::order(2, 20, 3)
}

/// So long that it is laid down in pieces.
pub(super) fn long() -> Order {
    let order = samples::long_order(1, 30);
    let goods = crate::model::price::total(&order.lines).unwrap();
    let total = goods;
    Order {
        goods,
        total,
        ..order
    }
}

pub(super) fn refund(n: u64) -> Refund {
    Refund {
        next_at: None,
        ..samples::refund(&shipped(), n)
    }
}

pub(super) fn claim(key: &str) -> Claim {
    let (caller, route) = ("uid 1", "POST /api/v1/orders");
    Claim::new(Usage { caller, route, key }, &serde_json::json!({}))
}

/// The store.
pub(super) async fn whole() -> Store {
    let store = Store::memory();
    write(&store, |tx| {
        people(tx)?;
        sold(tx)?;
        unpaid(tx)?;
        beside(tx)
    })
    .await;
    store
}

fn people(tx: &mut Tx<'_>) -> Result<(), Failure> {
    for n in 1..=2 {
        let (user, _) = users::upsert(tx, &field_key(), &samples::login(n), at(0))?;
        let phone = "13800000001".to_owned();
        let with_phone = User {
            phone,
            ..user.clone()
        };
        users::update(tx, &field_key(), &user, &with_phone)?;
        let id = goods::next_id(tx)?;
        goods::put(
            tx,
            &Goods {
                id,
                ..samples::goods(n)
            },
        )?;
        goods::set_stock(tx, GoodsId::new(n), 100)?;
    }
    let admin = staff::Admin::new("掌柜".to_owned(), Secret::from("$argon2id$"), at(0));
    staff::put_admin(tx, &field_key(), &admin)?;
    console::put(tx, &[2; 32], &samples::console_session(0))?;
    staff::insert_api_key(tx, "后台", &[1; 32], at(0))?;
    watched(tx)?;
    Ok(certificates::keep(
        tx,
        &[("A1".to_owned(), "PEM".to_owned())],
    )?)
}

/// An alert that lasts, silence of notifies, an endpoint and what waits to be told to it.
fn watched(tx: &mut Tx<'_>) -> Result<(), Failure> {
    let new = webhooks::NewEndpoint {
        url: "https://hooks.example.com/a".to_owned(),
        events: vec!["*".to_owned()],
        secret: Secret::new(vec![3; 32]),
    };
    let endpoint = webhooks::insert(tx, &field_key(), &new, at(0))?;
    let entry = webhooks::Entry {
        event: "order.paid".to_owned(),
        lane: "1".to_owned(),
        body: "{}".to_owned(),
        at: at(0),
        tries: 0,
        next_at: at(0),
    };
    webhooks::push(tx, endpoint.id, &entry)?;
    let standing = alerts::Standing {
        name: "disk".to_owned(),
        grade: 1,
        since: at(0),
        told_at: at(0),
        said: "磁盘快满了".to_owned(),
    };
    alerts::put(tx, &standing)?;
    Ok(alerts::found_by_asking(tx, at(0))?)
}

/// Keeps a new order and its first attempt.
fn attempted(tx: &mut Tx<'_>, order: &Order) -> Result<Order, Failure> {
    insert(tx, &field_key(), order);
    let after = Order {
        attempts: 1,
        ..order.clone()
    };
    update(tx, &field_key(), order, &after)?;
    attempts::put(tx, &samples::attempt(order, 1))?;
    Ok(after)
}

fn sold(tx: &mut Tx<'_>) -> Result<(), Failure> {
    let order = attempted(tx, &shipped())?;
    let number = order.order_no.clone();
    attempts::put(tx, &samples::paid(samples::attempt(&order, 1), PAID_BY))?;
    let paid = Paid {
        attempt: 1,
        transaction_id: PAID_BY.parse().unwrap(),
        paid_at: at(60),
        stock: StockLeft::Enough,
    };
    apply(tx, &number, OrderEvent::Paid(paid), at(60))?;
    apply(tx, &number, OrderEvent::Shipped, at(70))?;
    shipments::replace(tx, &number, &["1", "2"].map(samples::parcel))?;
    shipments::put_report(tx, &number, &samples::report())?;
    shipments::put_settlement(tx, &number, &samples::settlement())?;
    let back = Refund {
        status: RefundStatus::Success,
        success_at: Some(at(95)),
        ..refund(1)
    };
    let back = refunds::end(tx, back)?;
    apply(tx, &number, OrderEvent::Refunded(back.amount), at(95))?;
    let asked = refunds::plan(tx, refund(2), at(151), 1)?;
    refunds::put_request(tx, &number, &samples::request("不想要了"))?;
    idempotency::keep_refund(tx, &claim("refund"), &asked)?;
    let works = [
        Work::Report(number.clone()),
        Work::Message(Occasion::Paid, number.clone()),
        Work::Complete(number),
        Work::Bill(at(0)),
    ];
    works
        .iter()
        .for_each(|work| due::schedule(tx, at(300), work, 0));
    Ok(())
}

fn unpaid(tx: &mut Tx<'_>) -> Result<(), Failure> {
    attempted(tx, &pending())?;
    queries::plan(tx, &OutTradeNo::new(pending().order_no, 1), at(40), 1)?;
    idempotency::keep(tx, &field_key(), &claim("order"), &pending())?;
    attempted(tx, &closing())?;
    let number = closing().order_no;
    apply(tx, &number, OrderEvent::CloseWanted(Closer::Buyer), at(25))?;
    due::schedule(tx, at(30), &Work::Close(number), 0);
    insert(tx, &field_key(), &long());
    let closed = samples::order(1, 40, 4);
    insert(tx, &field_key(), &closed);
    apply(
        tx,
        &closed.order_no,
        OrderEvent::CloseWanted(Closer::Buyer),
        at(41),
    )
}

fn beside(tx: &mut Tx<'_>) -> Result<(), Failure> {
    unmatched::put(tx, &samples::unmatched())?;
    let mut day = reconciliations::of_day(tx, samples::day())?.unwrap();
    let row = samples::day_row(Class::AmountDiffers, "20260101000000000000000002");
    reconciliations::put_rows(tx, &mut day, &[row])?;
    let kept = require_order(tx, &field_key(), &shipped().order_no, Owner::Any)?;
    assert_eq!(kept.refunded, Fen::new(100));
    assert_eq!(kept.created_at, Timestamp::from_unix(samples::START));
    Ok(())
}
