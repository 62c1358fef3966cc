//! The histories themselves: many seeds, replay, and what a planted fault does.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Outcome, play, tally};
use crate::base::trial::Planted;

/// A number from the environment, for `scripts/sim`.
fn wanted(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(otherwise, |text| text.parse().expect("a number"))
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Plays `count` seeds from `first` on all cores; the outcomes that are broken, and what was met.
fn play_all(first: u64, count: u64) -> (Vec<(u64, Outcome)>, BTreeMap<String, u64>) {
    let (next, broken) = (AtomicU64::new(first), Mutex::new(vec![]));
    let met: Mutex<BTreeMap<String, u64>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let outcome = play(seed, None);
                    assert!(
                        outcome.broken.is_some() || is_whole(&outcome),
                        "seed {seed}"
                    );
                    let mut met = met.lock().unwrap();
                    for (what, times) in &outcome.met {
                        *met.entry(what.clone()).or_default() += times;
                    }
                    if outcome.broken.is_some() {
                        broken.lock().unwrap().push((seed, outcome));
                    }
                }
            });
        }
    });
    let mut broken = broken.into_inner().unwrap();
    broken.sort_by_key(|(seed, _)| *seed);
    (broken, met.into_inner().unwrap())
}

#[test]
fn every_promise_is_kept_in_every_history() {
    let (first, count) = (
        wanted("ZHANGGUI_SIM_SEED", 1),
        wanted("ZHANGGUI_SIM_SEEDS", 20),
    );
    let (broken, met) = play_all(first, count);
    for (what, times) in &met {
        say(&format!("{times:>9}  {what}"));
    }
    let missing = tally::missing(&met);
    say(&format!(
        "{count} seeds from {first}; never met: {missing:?}"
    ));
    if let Some((seed, outcome)) = broken.first() {
        for line in &outcome.history {
            say(line);
        }
        let all: Vec<u64> = broken.iter().map(|(seed, _)| *seed).collect();
        for (seed, outcome) in &broken {
            let why = outcome.broken.as_deref().unwrap_or("");
            say(&format!("seed {seed}: {}", start_of(why)));
        }
        panic!("seed {seed} breaks a promise, printed above; of {count} seeds: {all:?}");
    }
    assert!(
        count < tally::ENOUGH || missing.is_empty(),
        "never met: {missing:?}"
    );
}

#[test]
fn a_seed_replays_identically() {
    for seed in [1, 2] {
        let (first, again) = (play(seed, None), play(seed, None));
        for (at, (a, b)) in first.history.iter().zip(&again.history).enumerate() {
            assert_eq!(a, b, "line {at} of seed {seed}");
        }
        assert_eq!(first, again);
    }
}

/// How many seeds it takes at most to notice a planted fault.
const NOTICED_WITHIN: u64 = 200;

/// The first seed whose history shows `planted` by an invariant that says one of `what`.
fn noticed(planted: Planted, what: &[&str]) -> Option<(u64, String)> {
    (1..=NOTICED_WITHIN).find_map(|seed| {
        let why = play(seed, Some(planted)).broken?;
        what.iter()
            .any(|what| why.contains(what))
            .then_some((seed, why))
    })
}

#[test]
fn a_planted_fault_of_each_kind_is_noticed_and_by_the_right_invariant() {
    let table: [(Planted, &[&str]); 14] = [
        (Planted::PaymentForgotten, &["not kept"]),
        (Planted::StockReturnedTwice, &["goods"]),
        (Planted::NotSynced, &["not kept", "journal was refused"]),
        (Planted::DueForgotten, &["still pending", "never completed"]),
        (Planted::PaidCloses, &["not kept", "went from"]),
        (Planted::Untold, &["is told"]),
        (Planted::SurplusKept, &["nobody is told of the rest"]),
        (Planted::KeyForgotten, &["one key placed"]),
        (Planted::RefundMiscounted, &["not what refunded_fen says"]),
        (Planted::RefundMisheard, &["never paid back", "here:"]),
        (Planted::QueryUnheard, &["paid there: true"]),
        (Planted::BillUnheeded, &["paid there: true"]),
        (Planted::DifferencesDropped, &["is not listed"]),
        (Planted::ParamsMixed, &["pay params are refused"]),
    ];
    for (planted, what) in table {
        let noticed = noticed(planted, what);
        let (seed, why) = noticed.unwrap_or_else(|| panic!("{planted:?} goes unnoticed"));
        say(&format!("{planted:?}: seed {seed}: {}", start_of(&why)));
    }
}

/// Whether enough happened in a history, and the shop died in it before the end.
fn is_whole(outcome: &Outcome) -> bool {
    let times = |start: &str| -> u64 {
        let met = outcome
            .met
            .iter()
            .filter(|(what, _)| what.starts_with(start));
        met.map(|(_, times)| times).sum()
    };
    times("happening ") >= 200 && times("fault Killed") >= 1
}

fn start_of(text: &str) -> String {
    text.chars().take(240).collect()
}
