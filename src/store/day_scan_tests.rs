use super::*;
use crate::model::{Attempt, Refund};
use crate::store::samples::{at, attempt, day, order, paid, refund, write};
use crate::store::{Store, attempts, refunds};

/// Everything that the bill of the sample day should have.
async fn expected(store: &Store) -> Vec<(String, String)> {
    let (mut all, mut scan) = (vec![], Some(Scan::of(day())));
    while let Some(from) = scan {
        let (found, next) = store.read(move |view| from.next(view)).await.unwrap();
        all.extend(
            found
                .into_iter()
                .map(|one| (one.out_trade_no, one.refund_no)),
        );
        scan = next;
    }
    all
}

/// An attempt of an order placed at `placed`, paid at `paid_at`; `n` stands for chance.
fn paid_at(placed: i64, n: u64, paid_at: Option<i64>) -> Attempt {
    let open = attempt(&order(1, placed, n), 1);
    let paid = paid(open.clone(), &format!("42{n:026}"));
    match paid_at {
        Some(seconds) => Attempt {
            paid_at: Some(at(seconds)),
            ..paid
        },
        None => open,
    }
}

#[tokio::test]
async fn what_was_paid_on_the_day_is_found_whenever_it_was_ordered() {
    const DAY: i64 = 86_400;
    let store = Store::memory();
    // Placed, paid, and whether the bill of the sample day has it.
    let table = [
        (0, Some(0), true),
        (0, Some(DAY - 1), true),
        (0, Some(DAY), false),
        (-10, Some(-1), false),
        (-10, Some(0), true),
        (-7 * DAY, Some(300), true),
        (DAY - 1, Some(DAY - 1), true),
        (50, None, false),
    ];
    let made = |n: usize| u64::try_from(n).unwrap();
    let attempt_of = move |n: usize| paid_at(table[n].0, made(n), table[n].1);
    write(&store, move |tx| {
        (0..table.len()).try_for_each(|n| attempts::put(tx, &attempt_of(n)))?;
        Ok(())
    })
    .await;
    let mut wanted: Vec<(String, String)> = (0..table.len())
        .filter(|n| table[*n].2)
        .map(|n| (attempt_of(n).out_trade_no.to_string(), String::new()))
        .collect();
    wanted.sort();
    assert_eq!(expected(&store).await, wanted);
}

#[tokio::test]
async fn a_long_day_comes_in_slices_that_leave_nothing_out_and_repeat_nothing() {
    let store = Store::memory();
    let count = SLICE * 2 + 7;
    write(&store, move |tx| {
        for n in 0..u64::try_from(count).unwrap() {
            let seconds = i64::try_from(n % 80_000).unwrap();
            attempts::put(tx, &paid_at(seconds, n, Some(seconds)))?;
        }
        Ok(())
    })
    .await;
    let mut found = expected(&store).await;
    assert_eq!(found.len(), count);
    found.dedup();
    assert_eq!(found.len(), count);
}

#[tokio::test]
async fn a_refund_is_expected_once_wechat_has_taken_it() {
    let store = Store::memory();
    let mine = order(1, 0, 1);
    let taken = refund(&mine, 1);
    let not_taken = Refund {
        refund_id: None,
        ..refund(&mine, 2)
    };
    let closed = Refund {
        status: RefundStatus::Closed,
        ..refund(&mine, 3)
    };
    let later = Refund {
        sent_at: Some(at(86_400)),
        ..refund(&mine, 4)
    };
    let number = taken.refund_no.to_string();
    write(&store, move |tx| {
        for refund in [&taken, &not_taken, &closed, &later] {
            refunds::put(tx, refund)?;
        }
        Ok(())
    })
    .await;
    let found = expected(&store).await;
    assert_eq!(found, [(mine.order_no.to_string(), number)]);
}
