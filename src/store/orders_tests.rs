use std::cell::Cell;

use super::*;
use crate::model::User;
use crate::store::codec::collect;
use crate::store::histories::{all, first, page, pay, transaction};
use crate::store::read::Visit;
use crate::store::samples::{self, at, field_key, order_no, write};
use crate::store::tx::Overlay;
use crate::store::{PageWanted, Store, View, goods, users};

async fn keep(store: &Store, order: Order) {
    write(store, move |tx| {
        insert(tx, &field_key(), &order);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_order_comes_back_as_it_was_kept_and_to_its_owner_only() {
    let store = Store::memory();
    for order in [samples::order(7, 0, 1), samples::long_order(7, 1)] {
        keep(&store, order.clone()).await;
        let read = store.read(move |view| -> Result<(), StoreError> {
            let (key, order_no) = (field_key(), order.order_no.clone());
            assert_eq!(super::order(view, &key, &order_no)?, Some(order.clone()));
            let mine = require_order(view, &key, &order_no, Owner::Of(Uid::new(7)));
            assert_eq!(mine, Ok(order));
            let other = require_order(view, &key, &order_no, Owner::Of(Uid::new(8)));
            assert_eq!(other, Err(Failure::Refused(Refusal::OrderNotFound)));
            Ok(())
        });
        read.await.unwrap();
    }
}

#[tokio::test]
async fn a_new_order_of_two_lines_writes_six_keys_and_no_phone_in_the_clear() {
    let store = Store::memory();
    let order = samples::order(7, 0, 1);
    write(&store, move |tx| {
        goods::set_stock(tx, samples::goods(1).id, 9)?;
        goods::set_stock(tx, samples::goods(2).id, 9)?;
        goods::take_stock(tx, &order.lines)?;
        insert(tx, &field_key(), &order);
        Ok(())
    })
    .await;
    let everything = KeyRange {
        from: vec![1],
        to: vec![0xFF],
        ..KeyRange::prefix(&[1])
    };
    let read = store.read(move |view| collect(view, &everything, usize::MAX));
    let found = read.await.unwrap();
    assert_eq!(found.len(), 6);
    let phone = b"13800000000";
    for (key, value) in found {
        assert!(
            !value.windows(phone.len()).any(|part| part == phone),
            "{}",
            key.escape_ascii()
        );
    }
}

#[tokio::test]
async fn a_payment_writes_the_order_and_only_the_indexes_that_change() {
    let store = Store::memory();
    let order = samples::order(7, 0, 1);
    keep(&store, order.clone()).await;
    let changed = |before: Order, after: Order| {
        let changed = store.read(move |view| -> Result<_, StoreError> {
            let group = Overlay::default();
            let mut tx = Tx::new(view, &group);
            update(&mut tx, &field_key(), &before, &after)?;
            Ok(tx.finish()?.drain().map(|(key, _)| key).collect::<Vec<_>>())
        });
        async { changed.await.unwrap() }
    };
    let record = keys::order(order.uid, &order.order_no);
    let paid = Order {
        status: OrderStatus::Paid,
        ..order.clone()
    };
    let expiry = due::key(order.expires_at, &Work::Expire(order.order_no.clone()));
    let want = vec![
        expiry,
        keys::status_order(OrderStatus::Paid, &order.order_no),
        keys::status_order(OrderStatus::Pending, &order.order_no),
        record.clone(),
    ];
    assert_eq!(changed(order.clone(), paid).await, want);
    let noted = Order {
        merchant_note: "老客".to_owned(),
        ..order.clone()
    };
    assert_eq!(changed(order, noted).await, vec![record]);
}

/// Counts what is asked of the store.
struct Counted<'v> {
    view: &'v View<'v>,
    gets: Cell<u32>,
    scans: Cell<u32>,
}

impl Read for Counted<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.gets.set(self.gets.get() + 1);
        self.view.get(key)
    }

    fn scan(&self, range: &KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.scans.set(self.scans.get() + 1);
        self.view.scan(range, visit)
    }

    fn corrupt(&self, what: &str) -> StoreError {
        self.view.corrupt(what)
    }
}

#[tokio::test]
async fn a_list_of_a_user_is_one_scan_and_an_order_of_a_known_user_one_get() {
    let store = Store::memory();
    for n in 0..30 {
        keep(&store, samples::order(7, n, 1)).await;
    }
    let read = store.read(|view| -> Result<(), Failure> {
        let (gets, scans) = (Cell::new(0), Cell::new(0));
        let counted = Counted { view, gets, scans };
        let cost = || (counted.gets.take(), counted.scans.take());
        let query = OrderQuery::of_user(Uid::new(7), Some(OrderStatus::Pending));
        let page = list(&counted, &field_key(), &query, &first(20))?;
        assert_eq!((page.items.len(), cost()), (20, (0, 1)));
        let number = order_no(3, 1);
        for (owner, gets) in [(Owner::Of(Uid::new(7)), 1), (Owner::Any, 2)] {
            require_order(&counted, &field_key(), &number, owner)?;
            assert_eq!(cost(), (gets, 0), "{owner:?}");
        }
        Ok(())
    });
    read.await.unwrap();
}

#[tokio::test]
async fn a_list_holds_long_orders_whole_in_their_turn() {
    let store = Store::memory();
    let mut mine = vec![];
    for n in 0..9 {
        mine.insert(
            0,
            match n % 3 {
                0 => samples::long_order(7, n),
                _ => samples::order(7, n, 1),
            },
        );
    }
    for order in &mine {
        keep(&store, order.clone()).await;
    }
    let paid = mine[2].clone();
    write(&store, move |tx| pay(tx, 1, &paid.order_no)).await;
    mine.remove(2);
    let query = OrderQuery::of_user(Uid::new(7), Some(OrderStatus::Pending));
    for limit in [1, 3, 8] {
        let page = page(&store, &query, first(limit)).await.unwrap();
        assert_eq!(page.items, mine[..limit]);
        let numbers: Vec<_> = mine.iter().map(|order| order.order_no.clone()).collect();
        assert_eq!(all(&store, &query, limit).await, numbers);
    }
}

#[tokio::test]
async fn pages_follow_each_other_while_new_orders_arrive() {
    let store = Store::memory();
    let mine: Vec<_> = (0..45).map(|n| samples::order(7, n * 10, 5)).collect();
    for order in &mine {
        keep(&store, order.clone()).await;
    }
    keep(&store, samples::order(8, 5, 5)).await;
    let query = OrderQuery::of_user(Uid::new(7), None);
    let one = page(&store, &query, first(20)).await.unwrap();
    keep(&store, samples::order(7, 10_000, 5)).await;
    let wanted = PageWanted {
        cursor: one.next_cursor,
        limit: 20,
    };
    let two = page(&store, &query, wanted).await.unwrap();
    let newest: Vec<_> = mine.iter().rev().cloned().collect();
    assert_eq!(
        (&one.items[..], &two.items[..]),
        (&newest[..20], &newest[20..40])
    );
    for limit in [1, 7, 100] {
        assert_eq!(all(&store, &query, limit).await.len(), 46);
        assert_eq!(all(&store, &OrderQuery::default(), limit).await.len(), 47);
    }
    let foreign = PageWanted {
        cursor: Some("AAAA".to_owned()),
        limit: 20,
    };
    let refused = page(&store, &query, foreign).await;
    assert!(matches!(
        refused,
        Err(Failure::Refused(Refusal::FieldInvalid {
            field: "cursor",
            ..
        }))
    ));
}

/// Orders of users 1, 2, 1 and 3, ten seconds apart; 1 and 2 share a phone; the second is paid.
async fn searched() -> Store {
    let store = Store::memory();
    write(&store, |tx| {
        for uid in 1..=2 {
            let (before, _) = users::upsert(tx, &field_key(), &samples::login(uid), at(0))?;
            let phone = "13800000000".to_owned();
            let after = User {
                phone,
                ..before.clone()
            };
            users::update(tx, &field_key(), &before, &after)?;
        }
        for (uid, seconds) in [(1, 0), (2, 10), (1, 20), (3, 30)] {
            insert(tx, &field_key(), &samples::order(uid, seconds, 1));
        }
        pay(tx, 7, &order_no(10, 1))
    })
    .await;
    store
}

async fn finds(table: Vec<(OrderQuery, Vec<i64>)>) {
    let store = searched().await;
    for (query, seconds) in table {
        let want: Vec<_> = seconds.into_iter().map(|s| order_no(s, 1)).collect();
        for limit in [1, 2, 20] {
            assert_eq!(all(&store, &query, limit).await, want, "{query:?}");
        }
    }
}

fn q(text: &str) -> OrderQuery {
    let q = Some(text.to_owned());
    OrderQuery {
        q,
        ..OrderQuery::default()
    }
}

#[tokio::test]
async fn a_search_finds_by_number_by_transaction_and_by_phone() {
    let number = order_no(20, 1);
    finds(vec![
        (q(number.as_str()), vec![20]),
        (q(&number.as_str().to_lowercase()), vec![20]),
        (q(&format!("{number}_2")), vec![20]),
        (q(transaction(7).as_str()), vec![10]),
        (q(" 13800000000 "), vec![20, 10, 0]),
        (q("13900000000"), vec![]),
        (q(order_no(40, 1).as_str()), vec![]),
        (q(""), vec![]),
    ])
    .await;
}

#[tokio::test]
async fn a_list_keeps_to_user_status_and_time_also_in_a_search() {
    let any = OrderQuery::default;
    let of = |uid| Some(Uid::new(uid));
    let (paid, pending) = (Some(OrderStatus::Paid), Some(OrderStatus::Pending));
    let (ten, thirty) = (Some(at(10)), Some(at(30)));
    let phone = || q("13800000000");
    let last = || q(order_no(30, 1).as_str());
    let table = [
        (of(2), None, None, None, phone(), vec![10]),
        (None, paid, None, None, phone(), vec![10]),
        (None, None, ten, thirty, any(), vec![20, 10]),
        (None, None, Some(at(31)), None, any(), vec![]),
        (None, None, None, thirty, last(), vec![]),
        (of(1), None, None, None, last(), vec![]),
        (None, pending, None, None, any(), vec![30, 20, 0]),
        (of(1), paid, None, None, any(), vec![]),
        (of(1), pending, ten, None, any(), vec![20]),
    ];
    let rows = table
        .into_iter()
        .map(|(uid, status, from, to, query, want)| {
            let query = OrderQuery {
                uid,
                status,
                from,
                to,
                ..query
            };
            (query, want)
        });
    finds(rows.collect()).await;
}

#[tokio::test]
async fn a_timeline_begins_with_the_order_and_keeps_what_was_noted_in_turn() {
    let store = Store::memory();
    let order = samples::order(7, 0, 1);
    keep(&store, order.clone()).await;
    let noted = order.clone();
    write(&store, move |tx| {
        for n in 0..300 {
            note(tx, &noted.order_no, Entry::new(at(n), "x", n.to_string()))?;
        }
        Ok(())
    })
    .await;
    let told = store
        .read(move |view| timeline(view, &order))
        .await
        .unwrap();
    assert_eq!(told[0].kind, "order.created");
    let texts: Vec<_> = told[1..].iter().map(|entry| entry.text.clone()).collect();
    assert_eq!(texts, (0..300).map(|n| n.to_string()).collect::<Vec<_>>());
}
