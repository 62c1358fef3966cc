//! Orders as the shops of the tests live them: lists page by page, payments, random histories.

use proptest::prelude::*;

use super::answers::{Failure, Page, PageWanted};
use super::orders::{OrderQuery, Owner, insert, list, note, require_order, update};
use super::samples::{self, at, field_key, order_no, write};
use super::{Store, Tx, attempts, audit_indexes, goods, users};
use crate::base::{OrderNo, Timestamp, TransactionId};
use crate::model::order::{Closer, OrderEvent, Paid, Receiver, StockLeft};
use crate::model::{Effect, Entry, Goods, Line, Order};

pub(super) fn first(limit: usize) -> PageWanted {
    PageWanted {
        cursor: None,
        limit,
    }
}

pub(super) async fn page(
    store: &Store,
    query: &OrderQuery,
    wanted: PageWanted,
) -> Result<Page<Order>, Failure> {
    let query = query.clone();
    store
        .read(move |view| list(view, &field_key(), &query, &wanted))
        .await
}

/// All pages of a list, one after another.
pub(super) async fn all(store: &Store, query: &OrderQuery, limit: usize) -> Vec<OrderNo> {
    let (mut found, mut wanted) = (vec![], first(limit));
    loop {
        let page = page(store, query, wanted).await.unwrap();
        assert!(page.items.len() <= limit);
        found.extend(page.items.into_iter().map(|order| order.order_no));
        match page.next_cursor {
            Some(cursor) => {
                wanted = PageWanted {
                    cursor: Some(cursor),
                    limit,
                };
            }
            None => return found,
        }
    }
}

pub(super) async fn faults(store: &Store) -> Vec<String> {
    store.read(audit_indexes).await.unwrap()
}

/// Applies an event as a use case does: order, stock, attempt and timeline in one transaction.
pub(super) fn apply(
    tx: &mut Tx<'_>,
    order_no: &OrderNo,
    event: OrderEvent,
    now: Timestamp,
) -> Result<(), Failure> {
    let key = field_key();
    let before = require_order(tx, &key, order_no, Owner::Any)?;
    let (after, effects) = before.clone().apply(event, now)?;
    for effect in effects {
        match effect {
            Effect::TakeStock => goods::take_stock(tx, &after.lines)?,
            Effect::ReturnStock => goods::return_stock(tx, &after.lines)?,
            Effect::Note { kind, text } => note(tx, order_no, Entry::new(now, kind, text))?,
            Effect::RefundSurplus { .. } | Effect::RefundLate => {}
        }
    }
    Ok(update(tx, &key, &before, &after)?)
}

pub(super) fn transaction(n: usize) -> TransactionId {
    format!("42000000002026010100000{n:05}").parse().unwrap()
}

pub(super) fn pay(tx: &mut Tx<'_>, n: usize, order_no: &OrderNo) -> Result<(), Failure> {
    let before = require_order(tx, &field_key(), order_no, Owner::Any)?;
    if before.paid_by.is_some() {
        // Money on an attempt that was paid is told again, and is the same money.
        return apply(
            tx,
            order_no,
            OrderEvent::Paid(paid_on(n, StockLeft::Enough)),
            at(60),
        );
    }
    let order = Order {
        attempts: 1,
        ..before.clone()
    };
    update(tx, &field_key(), &before, &order)?;
    let stock = goods::stock_left(tx, &order.lines)?;
    let attempt = samples::attempt(&order, 1);
    attempts::put(tx, &samples::paid(attempt, transaction(n).as_str()))?;
    apply(tx, order_no, OrderEvent::Paid(paid_on(n, stock)), at(60))
}

fn paid_on(n: usize, stock: StockLeft) -> Paid {
    Paid {
        attempt: 1,
        transaction_id: transaction(n),
        paid_at: at(60),
        stock,
    }
}

/// What a random history does next, with one of its orders.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Place(u64, u32),
    Pay(usize),
    Close(usize),
    Attempt(usize),
    Ship(usize),
    Receive(usize),
    Phone(u64, u8),
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..4_u64, 1..4_u32).prop_map(|(uid, count)| Step::Place(uid, count)),
        (0..12_usize).prop_map(Step::Pay),
        (0..12_usize).prop_map(Step::Close),
        (0..12_usize).prop_map(Step::Attempt),
        (0..12_usize).prop_map(Step::Ship),
        (0..12_usize).prop_map(Step::Receive),
        (1..4_u64, 0..3_u8).prop_map(|(uid, phone)| Step::Phone(uid, phone)),
    ]
}

pub(super) fn take(tx: &mut Tx<'_>, step: &Step, n: i64) -> Result<(), Failure> {
    let number = |n: &usize| order_no(i64::try_from(*n).unwrap(), 1);
    match step {
        Step::Place(uid, count) => {
            let lines: Vec<Line> = (1..=3).map(|id| samples::line(id, *count)).collect();
            goods::take_stock(tx, &lines)?;
            let sample = samples::order(*uid, n, 1);
            let goods = crate::model::price::total(&lines)?;
            let order = Order {
                lines,
                goods,
                total: goods,
                ..sample
            };
            insert(tx, &field_key(), &order);
            Ok(())
        }
        Step::Pay(order) => pay(tx, *order, &number(order)),
        Step::Close(order) => {
            let event = OrderEvent::CloseWanted(Closer::Buyer);
            apply(tx, &number(order), event, at(n))
        }
        Step::Attempt(order) => {
            let before = require_order(tx, &field_key(), &number(order), Owner::Any)?;
            let after = Order {
                attempts: 1,
                ..before.clone()
            };
            if before.attempts == 0 {
                attempts::put(tx, &samples::attempt(&before, 1))?;
            }
            Ok(update(tx, &field_key(), &before, &after)?)
        }
        Step::Ship(order) => apply(tx, &number(order), OrderEvent::Shipped, at(n)),
        Step::Receive(order) => apply(
            tx,
            &number(order),
            OrderEvent::Received(Receiver::Buyer),
            at(n),
        ),
        Step::Phone(uid, phone) => {
            let (before, _) = users::upsert(tx, &field_key(), &samples::login(*uid), at(0))?;
            let phone = match phone {
                0 => String::new(),
                n => format!("1380000000{n}"),
            };
            let after = crate::model::User {
                phone,
                ..before.clone()
            };
            Ok(users::update(tx, &field_key(), &before, &after)?)
        }
    }
}

pub(super) const STOCK: u64 = 9;

/// Lives through `steps` in a store that was empty, with three goods.
pub(super) async fn live(store: &Store, steps: Vec<Step>) {
    write(store, |tx| {
        for id in 1..=3 {
            // Users and goods are numbered by their counters, as in a shop.
            users::upsert(tx, &field_key(), &samples::login(id), at(0))?;
            let goods = Goods {
                id: goods::next_id(tx)?,
                ..samples::goods(id)
            };
            goods::put(tx, &goods)?;
            goods::set_stock(tx, goods.id, STOCK)?;
        }
        Ok(())
    })
    .await;
    let mut placed = 0;
    for step in steps {
        let n = placed;
        let taken = step.clone();
        let done: Result<(), Failure> = store.write(move |tx| take(tx, &taken, n)).await;
        match done {
            Ok(()) if matches!(step, Step::Place(..)) => placed += 1,
            Ok(()) | Err(Failure::Refused(_)) => {}
            Err(Failure::Store(why)) => panic!("{why}"),
        }
    }
}
