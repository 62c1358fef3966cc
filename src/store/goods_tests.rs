use super::*;
use crate::store::samples::{self, line, write};
use crate::store::{Store, audit_indexes};

async fn shop(stock: u64) -> Store {
    let store = Store::memory();
    write(&store, move |tx| {
        for _ in 0..3 {
            let goods = samples::goods(next_id(tx)?.get());
            put(tx, &goods)?;
            set_stock(tx, goods.id, stock)?;
        }
        Ok(())
    })
    .await;
    store
}

async fn stocks(store: &Store) -> Vec<u64> {
    let read = store.read(|view| -> Result<_, StoreError> {
        (1..=3).map(|id| stock(view, GoodsId::new(id))).collect()
    });
    read.await.unwrap()
}

#[tokio::test]
async fn stock_is_taken_for_all_lines_or_for_none_even_when_the_refusal_is_swallowed() {
    let store = shop(5).await;
    let table = [
        (vec![line(1, 5), line(2, 6)], Some((2, 5))),
        (vec![line(1, 3), line(1, 3)], Some((1, 5))),
        (vec![line(1, 1), line(9, 1)], Some((9, 0))),
        (vec![line(1, 5), line(2, 1)], None),
        (vec![line(1, 1)], Some((1, 0))),
    ];
    for (lines, refused) in table {
        let want = refused.map(|(id, stock)| Refusal::OutOfStock {
            goods_id: GoodsId::new(id),
            stock,
        });
        let taken = write(&store, move |tx| Ok(take_stock(tx, &lines))).await;
        assert_eq!(taken.err(), want.map(Failure::Refused));
    }
    assert_eq!(stocks(&store).await, [0, 4, 5]);
}

#[tokio::test]
async fn stock_returns_to_goods_that_are_still_there_and_priced_lines_touch_none() {
    let store = shop(5).await;
    let priced = Line {
        goods_id: None,
        ..line(1, 9999)
    };
    write(&store, move |tx| {
        let lines = [line(1, 2), line(2, 2), priced.clone()];
        take_stock(tx, &lines)?;
        delete(tx, GoodsId::new(2))?;
        Ok(return_stock(tx, &lines)?)
    })
    .await;
    assert_eq!(stocks(&store).await, [5, 0, 5]);
    assert_eq!(store.read(audit_indexes).await, Ok(vec![]));
}

#[tokio::test]
async fn deleted_goods_leave_the_list_and_their_id_never_comes_back() {
    let store = shop(1).await;
    let next = write(&store, |tx| {
        delete(tx, GoodsId::new(3))?;
        let again = delete(tx, GoodsId::new(3));
        assert_eq!(
            again,
            Err(Failure::Refused(Refusal::GoodsNotFound(GoodsId::new(3))))
        );
        Ok(next_id(tx)?)
    })
    .await;
    assert_eq!(next, GoodsId::new(4));
    let ids = |wanted: PageWanted| {
        let read = store.read(move |view| list(view, &wanted));
        async {
            let page = read.await.unwrap();
            let ids = page.items.iter().map(|(goods, _)| goods.id.get());
            (ids.collect::<Vec<_>>(), page.next_cursor)
        }
    };
    let (one, cursor) = ids(PageWanted {
        cursor: None,
        limit: 1,
    })
    .await;
    assert_eq!(one, [2]);
    assert!(cursor.is_some());
    assert_eq!(ids(PageWanted { cursor, limit: 1 }).await, (vec![1], None));
}
