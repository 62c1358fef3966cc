use proptest::prelude::*;

use super::*;
use crate::store::Store;
use crate::store::attempts;
use crate::store::samples::{at, attempt, day, day_row, order, paid, seen, unmatched, write};
use crate::store::unmatched as notifies;

async fn put_all(store: &Store, run: u32, rows: Vec<DayRow>) {
    write(store, move |tx| {
        let known = of_day(tx, day())?;
        let mut known = known.unwrap_or_else(|| Reconciliation::new(day(), at(0)));
        known.run = run;
        put(tx, &known)?;
        let rows: Vec<DayRow> = rows
            .iter()
            .cloned()
            .map(|row| DayRow { run, ..row })
            .collect();
        Ok(put_rows(tx, &mut known, &rows)?)
    })
    .await;
}

async fn sweep(store: &Store) {
    let mut after = None;
    loop {
        let from = after.take();
        after = write(store, move |tx| {
            let mut known = of_day(tx, day())?.unwrap();
            Ok(drop_stale(tx, &mut known, from.clone(), 2)?)
        })
        .await;
        if after.is_none() {
            return;
        }
    }
}

/// The numbers of all rows, after checking that the counts are theirs.
async fn counted(store: &Store) -> Vec<String> {
    let read = store.read(|view| -> Result<_, StoreError> {
        let known = of_day(view, day())?.unwrap();
        let mut all = vec![];
        for (at, class) in Class::ALL.into_iter().enumerate() {
            let found = rows(view, day(), class, usize::MAX)?;
            assert_eq!(
                known.rows[at],
                u64::try_from(found.len()).unwrap(),
                "{class:?}"
            );
            all.extend(found);
        }
        let settled = all.iter().filter(|row| row.settled.is_some()).count();
        assert_eq!(known.settled, u64::try_from(settled).unwrap());
        Ok(all.into_iter().map(|row| row.out_trade_no).collect())
    });
    read.await.unwrap()
}

#[tokio::test]
async fn a_row_found_again_is_one_row_and_stays_settled() {
    let store = Store::memory();
    let row = day_row(Class::AmountDiffers, "A1");
    put_all(&store, 1, vec![row.clone()]).await;
    let settled = DayRow {
        settled: Some(seen()),
        ..row.clone()
    };
    put_all(&store, 1, vec![settled]).await;
    put_all(&store, 2, vec![row.clone()]).await;
    assert_eq!(counted(&store).await, ["A1"]);
    let found = store.read(|view| rows_of(view, day(), "A1")).await.unwrap();
    assert_eq!((found[0].settled.clone(), found[0].run), (Some(seen()), 2));
    sweep(&store).await;
    put_all(&store, 3, vec![]).await;
    sweep(&store).await;
    assert_eq!(
        counted(&store).await,
        ["A1"],
        "what was settled is forgotten"
    );
}

#[tokio::test]
async fn rows_are_found_by_their_payment_and_no_number_hides_in_another() {
    let store = Store::memory();
    let refund = |number: &str, refund_no: &str| DayRow {
        kind: RowKind::Refund,
        refund_no: refund_no.to_owned(),
        ..day_row(Class::MissingLocal, number)
    };
    let rows = vec![
        day_row(Class::MissingLocal, "A1"),
        refund("A1", "R1"),
        refund("A1", "R2"),
        day_row(Class::MissingWechat, "A1"),
        day_row(Class::MissingLocal, "A1_2"),
        day_row(Class::MissingLocal, "A10"),
    ];
    put_all(&store, 1, rows).await;
    let found = store.read(|view| rows_of(view, day(), "A1")).await.unwrap();
    assert_eq!(found.len(), 4);
    let strange = "单号\u{0}很长".repeat(30);
    put_all(&store, 1, vec![day_row(Class::MissingLocal, &strange)]).await;
    let wanted = strange.clone();
    let found = store.read(move |view| rows_of(view, day(), &wanted)).await;
    assert_eq!(found.unwrap()[0].out_trade_no, strange);
}

#[tokio::test]
async fn a_notify_stays_listed_until_its_money_is_known_or_the_bill_says_more_of_it() {
    let store = Store::memory();
    write(&store, |tx| Ok(notifies::put(tx, &unmatched())?)).await;
    write(&store, |tx| Ok(notifies::put(tx, &unmatched())?)).await;
    put_all(&store, 5, vec![]).await;
    sweep(&store).await;
    let number = unmatched().out_trade_no;
    assert_eq!(counted(&store).await, [number.as_str()]);
    let row = day_row(Class::AmountDiffers, &number);
    put_all(&store, 5, vec![row]).await;
    let found = store
        .read(move |view| rows_of(view, day(), &number))
        .await
        .unwrap();
    assert_eq!(
        found.iter().map(|row| row.kind).collect::<Vec<_>>(),
        [RowKind::Payment]
    );

    let store = Store::memory();
    write(&store, |tx| {
        notifies::put(tx, &unmatched())?;
        let known = paid(
            attempt(&order(1, 0, 1), 1),
            unmatched().transaction_id.as_str(),
        );
        Ok(attempts::put(tx, &known)?)
    })
    .await;
    put_all(&store, 1, vec![]).await;
    sweep(&store).await;
    let number = unmatched().out_trade_no;
    let found = store
        .read(move |view| rows_of(view, day(), &number))
        .await
        .unwrap();
    assert_eq!(
        found[0].settled.as_ref().map(|s| s.how),
        Some(Settling::Healed)
    );
    counted(&store).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever runs find and people settle, the counts are those of the rows, and what the last
    /// run did not find is gone unless it was settled.
    #[test]
    fn the_counts_of_a_day_are_always_those_of_its_rows(
        runs in proptest::collection::vec(
            proptest::collection::vec((0_usize..3, 0_u8..4, any::<bool>()), 0..6), 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = Store::memory();
            let mut settled = std::collections::BTreeSet::new();
            let mut last = std::collections::BTreeSet::new();
            for (at, run) in runs.iter().enumerate() {
                last.clear();
                let rows = run.iter().map(|(class, number, seen_by)| {
                    let number = format!("N{number}");
                    let row = day_row(Class::ALL[*class], &number);
                    last.insert((*class, number.clone()));
                    if *seen_by {
                        settled.insert((*class, number));
                    }
                    DayRow { settled: seen_by.then(seen), ..row }
                });
                let rows = rows.collect();
                put_all(&store, u32::try_from(at).unwrap() + 1, rows).await;
                sweep(&store).await;
                let kept: Vec<String> = last.union(&settled).map(|(_, n)| n.clone()).collect();
                assert_eq!(counted(&store).await, kept);
            }
        });
    }
}
