use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::KeyRange;
use super::super::codec::collect;
use crate::model::OrderStatus;
use crate::model::order::StockLeft;
use crate::store::histories::{STOCK, Step, all, faults, first, live, page, step};
use crate::store::orders::OrderQuery;
use crate::store::samples::{self, write};
use crate::store::{Store, goods};

async fn lived(steps: Vec<Step>) -> Store {
    let store = Store::memory();
    live(&store, steps).await;
    store
}

/// Every piece is in stock or reserved by an order that is not closed.
async fn conserved(store: &Store) -> bool {
    let orders = page(store, &OrderQuery::default(), first(1000))
        .await
        .unwrap()
        .items;
    let mut pieces: BTreeMap<u64, u64> = BTreeMap::new();
    for order in orders
        .iter()
        .filter(|order| order.status != OrderStatus::Closed)
    {
        for line in &order.lines {
            *pieces.entry(line.goods_id.unwrap().get()).or_default() += u64::from(line.count);
        }
    }
    let read = store.read(|view| goods::list(view, &first(10)));
    let listed = read.await.unwrap().items;
    let sum = |id: u64| pieces.get(&id).copied().unwrap_or(0);
    listed.len() == 3
        && listed
            .iter()
            .all(|(goods, left)| left + sum(goods.id.get()) == STOCK)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn indexes_and_records_agree_both_ways_after_any_history(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = lived(steps).await;
            assert_eq!(faults(&store).await, Vec::<String>::new());
            assert!(conserved(&store).await);
            let everyone = all(&store, &OrderQuery::default(), 3).await;
            let mut by_status = vec![];
            for status in OrderStatus::ALL {
                let query = OrderQuery { status: Some(status), ..OrderQuery::default() };
                by_status.append(&mut all(&store, &query, 3).await);
            }
            by_status.sort_by(|a, b| b.cmp(a));
            assert_eq!(by_status, everyone);
        });
    }
}

#[tokio::test]
async fn an_audit_names_every_index_that_is_missing_or_names_nothing() {
    let steps = [
        Step::Place(1, 1),
        Step::Phone(1, 1),
        Step::Place(1, 1),
        Step::Pay(1),
    ];
    let prefixes = b"oswhdtgk";
    for prefix in prefixes {
        let store = lived(steps.to_vec()).await;
        assert!(faults(&store).await.is_empty());
        let range = KeyRange::prefix(&[*prefix]);
        let (key, value) = write(&store, move |tx| {
            let found = collect(tx, &range, 1)?.remove(0);
            tx.delete(found.0.clone());
            Ok(found)
        })
        .await;
        assert!(
            !faults(&store).await.is_empty(),
            "without {}",
            key.escape_ascii()
        );
        write(&store, move |tx| {
            tx.put(key.clone(), value.clone());
            Ok(())
        })
        .await;
    }
    for record in [&b"u"[..], b"U", b"a"] {
        let store = lived(steps.to_vec()).await;
        let range = KeyRange::prefix(record);
        write(&store, move |tx| {
            let (key, _) = collect(tx, &range, 9)?.pop().unwrap();
            tx.delete(key);
            Ok(())
        })
        .await;
        assert!(
            !faults(&store).await.is_empty(),
            "without {}",
            record.escape_ascii()
        );
    }
}

#[tokio::test]
async fn a_stock_that_is_gone_leaves_late_money_without_an_order() {
    let left = |store: Store| async move {
        let order = samples::order(1, 0, 1);
        store
            .read(move |view| goods::stock_left(view, &order.lines))
            .await
    };
    assert_eq!(left(Store::memory()).await, Ok(StockLeft::Short));
    assert_eq!(left(lived(vec![]).await).await, Ok(StockLeft::Enough));
}
