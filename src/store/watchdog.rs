//! Gives the store up when its writer is busy and gets nowhere.
//!
//! sled can set its error without waking who waits for it: such a writer would wait for ever.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::health::Health;
use super::phase::Phase;

/// The steps of the writer: each one changes the number, which is even while the writer is idle.
#[derive(Debug, Default)]
pub(super) struct Steps(AtomicU64);

impl Steps {
    /// Notes that the writer enters `phase`. Only the writer calls this.
    pub(super) fn enter(&self, phase: Phase) {
        let odd = self.0.load(Ordering::Relaxed) | 1;
        let step = match phase {
            Phase::Idle => 1,
            Phase::Open
            | Phase::Rebuild
            | Phase::Group
            | Phase::Fdatasync
            | Phase::Apply
            | Phase::Rotation => 2,
        };
        self.0.store(odd.wrapping_add(step), Ordering::Relaxed);
    }
}

/// Who watches the writer, and how patiently.
pub(super) struct Watchdog {
    steps: Weak<Steps>,
    health: Arc<Health>,
    patience: Duration,
    look_every: Duration,
}

impl Watchdog {
    /// Waits 30 s.
    pub(super) fn new(steps: &Arc<Steps>, health: Arc<Health>) -> Self {
        Self {
            steps: Arc::downgrade(steps),
            health,
            patience: Duration::from_secs(30),
            look_every: Duration::from_secs(1),
        }
    }

    /// Watches until the writer is stuck or gone.
    pub(super) fn run(&self) {
        let mut seen = (0, Instant::now());
        loop {
            std::thread::sleep(self.look_every);
            let Some(steps) = self.steps.upgrade() else {
                return;
            };
            let step = steps.0.load(Ordering::Relaxed);
            if step % 2 == 0 || step != seen.0 {
                seen = (step, Instant::now());
            } else if seen.1.elapsed() >= self.patience {
                let waited_s = self.patience.as_secs();
                let why = format!("the writer made no progress for {waited_s} s");
                return self.health.fail(&why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// What a watchdog says of a writer that goes through `phases`, and is then seen no more.
    fn said(phases: &[Phase]) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let health = Arc::new(Health::new(dir.path().to_owned()));
        let steps = Arc::new(Steps::default());
        let watchdog = Watchdog {
            patience: Duration::from_millis(20),
            look_every: Duration::from_millis(1),
            ..Watchdog::new(&steps, Arc::clone(&health))
        };
        for phase in phases {
            steps.enter(*phase);
        }
        let watching = std::thread::spawn(move || watchdog.run());
        let limit = Instant::now() + Duration::from_millis(200);
        while health.failure().is_none() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(steps);
        watching.join().unwrap();
        health.failure()
    }

    #[test]
    fn a_writer_that_is_stuck_is_given_up_and_an_idle_one_is_not() {
        for phase in [
            Phase::Group,
            Phase::Fdatasync,
            Phase::Apply,
            Phase::Rotation,
        ] {
            let why = said(&[Phase::Idle, phase]);
            assert!(why.unwrap().contains("no progress"), "{phase:?}");
            assert_eq!(said(&[phase, Phase::Idle]), None, "{phase:?}");
        }
    }
}
