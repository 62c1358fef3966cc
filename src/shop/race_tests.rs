//! Everyone at once, in many orders: whatever the order, the end is one true state.

use std::time::Duration;

use super::fake_wechat::Fault;
use super::stand::{PAY_WITHIN_S, STOCK, Stand, until};
use crate::base::Fen;
use crate::model::{AttemptState, OrderChange, OrderStatus};

/// A little chance that repeats with its seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % end
    }
}

/// One party to the race does its part, after a little while.
async fn act(stand: Stand, part: u64, wait: Duration) {
    tokio::time::sleep(wait).await;
    match part {
        0 | 1 => drop(stand.pay().await),
        2 => drop(stand.cancel().await),
        3 => drop(stand.sync().await),
        4 => {
            let change = OrderChange {
                freight: Some(Fen::new(1)),
                ..OrderChange::default()
            };
            drop(
                stand
                    .shop
                    .amend(stand.order_no.clone(), change, stand.now())
                    .await,
            );
        }
        5 => drop(stand.shop.close(stand.order_no.clone(), stand.now()).await),
        6 => drop(stand.shop.tick(stand.now()).await),
        7 => {
            stand.wechat.pays(&stand.number(1));
        }
        8 => {
            if let Some(id) = stand.wechat.pays(&stand.number(1)) {
                stand.notified(1, &id).await;
            }
        }
        9 => {
            stand.wechat.pays(&stand.number(2));
        }
        10 => stand.wechat.fault(Some(Fault::Mute)),
        11 => stand.wechat.fault(Some(Fault::Young)),
        _ => stand.wechat.fault(None),
    }
}

/// Paid there ⇔ paid here or owed back; closed here ⇒ closed there; stock conserved.
async fn is_true(stand: &Stand, seed: u64) {
    let states = stand.wechat.states();
    let paid = states
        .iter()
        .filter(|(_, state)| *state == "SUCCESS")
        .count();
    let (told, attempts) = (stand.told().await, stand.attempts().await);
    let counted = attempts
        .iter()
        .filter(|state| **state == AttemptState::Paid)
        .count();
    let why = || {
        let lines: Vec<_> = told
            .timeline
            .iter()
            .map(|e| format!("{} {}", e.kind, e.text))
            .collect();
        format!("seed {seed}: {states:?} {attempts:?}\n{}", lines.join("\n"))
    };
    assert_eq!(counted, paid, "{}", why());
    let owed = stand.unmatched().await.len();
    let status = told.order.status;
    if paid == 0 {
        assert_eq!((status, owed), (OrderStatus::Closed, 0), "{}", why());
        assert!(
            states.iter().all(|(_, state)| *state == "CLOSED"),
            "{}",
            why()
        );
        assert_eq!(stand.stock().await, STOCK, "{}", why());
    } else {
        assert_eq!((status, owed), (OrderStatus::Paid, paid - 1), "{}", why());
        assert_eq!(stand.stock().await, STOCK - 1, "{}", why());
    }
}

async fn history(seed: u64) {
    let mut chance = Chance(seed);
    let stand = Stand::open().await;
    if chance.below(2) == 0 {
        drop(stand.pay().await);
    }
    for _ in 0..2 {
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let (part, wait) = (chance.below(13), Duration::from_millis(chance.below(12)));
            all.spawn(act(stand.clone(), part, wait));
        }
        all.join_all().await;
        stand.shop.clock().advance(3);
    }
    stand.wechat.fault(None);
    stand.shop.clock().advance(PAY_WITHIN_S);
    for _ in 0..3 {
        stand.pass(301).await;
    }
    stand.pass(3601).await;
    is_true(&stand, seed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_first_the_end_is_one_true_state() {
    let seeds = std::env::var("RACE_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok());
    let mut all = tokio::task::JoinSet::new();
    for seed in 0..seeds.unwrap_or(60) {
        all.spawn(history(seed));
        if all.len() >= 8 {
            all.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn an_order_that_hangs_at_wechat_does_not_hold_up_another() {
    let slow = Stand::open().await;
    slow.pay().await.unwrap();
    let turn = slow.shop.turns.now(&slow.order_no).unwrap();
    let (shop, now) = (slow.shop.clone(), slow.now());
    shop.clock().advance(PAY_WITHIN_S);
    let other = super::stand::another(&slow).await;
    other.pay().await.unwrap();
    other.shop.clock().advance(PAY_WITHIN_S);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(super::jobs::run(shop, async move {
        let _ = stopped.await;
    }));
    let number = other.number(1);
    until("the other order is closed", || {
        other
            .wechat
            .held(&number)
            .is_some_and(|held| held.state == "CLOSED")
    })
    .await;
    assert_eq!(slow.wechat.held(&slow.number(1)).unwrap().state, "NOTPAY");
    drop((turn, now));
    until("the order whose turn came is closed", || {
        slow.wechat
            .held(&slow.number(1))
            .is_some_and(|held| held.state == "CLOSED")
    })
    .await;
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(9), running)
        .await
        .unwrap()
        .unwrap();
}
