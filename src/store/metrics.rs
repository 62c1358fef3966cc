//! What is counted of the store: the writer's groups and its disk, and what its closures tell.

use std::time::Duration;

use super::tally::Tally;
use crate::base::metrics::{Counter, Gauge, Registry, Sizes, Timing};
use crate::base::metrics::{Counters, member};

/// The counters of one store. Clones share them.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    pub(super) fdatasync: Timing,
    pub(super) group: Sizes,
    pub(super) queue: Gauge,
    rebuild: Timing,
    orders: Counters,
    events: [Counter; Tally::EVENTS.len()],
    paid_fen: Counter,
    refunded_fen: Counter,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        let orders = Counters::default();
        Self {
            fdatasync: Timing::default(),
            group: Sizes::default(),
            queue: Gauge::default(),
            rebuild: Timing::default(),
            events: Tally::EVENTS.map(|(_, word)| member(&orders, &[("event", word)])),
            orders,
            paid_fen: Counter::default(),
            refunded_fen: Counter::default(),
        }
    }
}

impl StoreMetrics {
    /// Shows all of it to `registry`.
    pub fn show(&self, registry: &mut Registry) {
        let help = "Time the writer waited for fdatasync of the journal";
        registry.add("store_fdatasync_seconds", help, &self.fdatasync);
        let help = "Transactions that shared one fdatasync";
        registry.add("store_group_transactions", help, &self.group);
        let help = "Transactions that wait for the writer now";
        registry.add("store_queue", help, &self.queue);
        let help =
            "Time the start took to rebuild the working set; none when it was opened as closed";
        registry.add("store_rebuild_seconds", help, &self.rebuild);
        let help = "What happened to orders since the start, each once it was on disk";
        registry.add("orders", help, &self.orders);
        let help = "Money that arrived since the start, in fen";
        registry.add("paid_fen", help, &self.paid_fen);
        let help = "Money that went back since the start, in fen";
        registry.add("refunded_fen", help, &self.refunded_fen);
    }

    /// Notes that the working set was rebuilt.
    pub(super) fn rebuilt(&self, took: Duration) {
        self.rebuild.took(took);
    }

    /// Counts what is on disk now.
    pub(super) fn count(&self, tallies: &[(Tally, u64)]) {
        for &(tally, by) in tallies {
            match tally {
                Tally::PaidFen => add(&self.paid_fen, by),
                Tally::RefundedFen => add(&self.refunded_fen, by),
                Tally::Created
                | Tally::Paid
                | Tally::Closed
                | Tally::Shipped
                | Tally::Completed
                | Tally::Refunded => self.happened(tally, by),
            }
        }
    }

    fn happened(&self, tally: Tally, by: u64) {
        let place = Tally::EVENTS.iter().position(|(known, _)| *known == tally);
        if let Some(counter) = place.and_then(|place| self.events.get(place)) {
            counter.inc_by(by);
        }
    }
}

fn add(counter: &Counter, by: u64) {
    counter.inc_by(by);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;
    use crate::store::test_home::Home;

    #[tokio::test]
    async fn what_is_counted_is_counted_once_it_is_on_disk_and_not_when_it_is_refused() {
        let home = Home::new();
        let (store, _) = home.open();
        for fails in [false, true, false] {
            let written = store.write(move |tx| -> Result<(), StoreError> {
                tx.count(Tally::PaidFen, 394);
                tx.put(b"a".into(), vec![1]);
                match fails {
                    true => Err(StoreError::TooLarge),
                    false => Ok(()),
                }
            });
            assert_eq!(written.await.is_err(), fails);
        }
        let mut registry = Registry::default();
        store.metrics().show(&mut registry);
        let told = registry.text();
        for line in [
            "zhanggui_paid_fen_total 788",
            "zhanggui_store_queue 0",
            "zhanggui_store_fdatasync_seconds_count 2",
        ] {
            let found = told.lines().any(|told| told == line);
            assert!(found, "{line} is not in\n{told}");
        }
        store.close().await.unwrap();
    }
}
