//! Deterministic simulation: whole histories of buyers, a merchant, faults, crashes and clock
//! jumps, against the program's own shop, routes, writer and journal and against the simulator of
//! WeChat, all in one thread and all under one seed. In tests only.
//!
//! [`world`] holds what there is, [`driver`] plays a history, [`survey`] and [`judge`] hold it
//! against what must be so. `scripts/sim` runs many; a seed that fails is printed and replays.

mod ask;
mod bills;
mod driver;
mod forger;
mod happenings;
mod judge;
mod ledger;
mod life;
mod merchant;
mod people;
mod random;
mod survey;
mod tally;
mod tests;
mod weather;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::trial::{self, Planted};
use world::World;

/// A history is over long before this, by the runtime's own time.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

/// How one history went.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    /// What was met, and how often.
    met: BTreeMap<String, u64>,
    /// All that happened, line by line.
    history: Vec<String>,
    /// What is wrong with it, if anything.
    broken: Option<String>,
}

/// Plays the history of `seed` on this thread.
fn play(seed: u64, planted: Option<Planted>) -> Outcome {
    world::prepare();
    trial::seed(Some(seed));
    trial::plant(planted);
    trial::take_met();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    let outcome = runtime.expect("a runtime").block_on(async {
        let world = World::new(seed);
        if tokio::time::timeout(LONGEST, world.play()).await.is_err() {
            world.broke("the history comes to no end");
        }
        Outcome {
            broken: world.broken(),
            history: world.take_history(),
            met: trial::take_met(),
        }
    });
    trial::plant(None);
    trial::seed(None);
    outcome
}
