//! Explaining: what was said between us and WeChat becomes lines of the order's timeline.

use super::effects::Desk;
use super::{Shop, ShopError};
use crate::base::{OrderNo, Timestamp};
use crate::model::Entry;
use crate::store::{StoreError, Tx, orders};
use crate::wechat::{Exchange, Trace};

/// The lines that tell what was said, one an exchange, oldest first.
pub fn exchange_entries(kind: &str, trace: &Trace<'_>) -> Vec<Entry> {
    let line = |exchange: Exchange| {
        let Exchange {
            at,
            ms,
            asked,
            answered,
        } = exchange;
        Entry::new(at, kind, format!("{asked} → {answered}（{ms} 毫秒）"))
    };
    trace.exchanges().into_iter().map(line).collect()
}

/// `14:05:10`, Beijing time: how the timeline names a moment of today.
pub fn clock_time(at: Timestamp) -> String {
    at.rfc3339().get(11..19).unwrap_or_default().to_owned()
}

impl Desk<'_, '_> {
    /// Writes lines into the timeline of an order.
    ///
    /// # Errors
    /// Store errors.
    pub fn note_all(&mut self, order_no: &OrderNo, entries: &[Entry]) -> Result<(), StoreError> {
        let mut entries = entries.iter().cloned();
        entries.try_for_each(|entry| orders::note(self.tx, order_no, entry))
    }
}

impl Shop {
    /// Keeps lines of a timeline on their own, when nothing else follows from what was said.
    pub(super) async fn keep_entries(
        &self,
        order_no: OrderNo,
        entries: Vec<Entry>,
    ) -> Result<(), ShopError> {
        if entries.is_empty() || self.turns.is_hushed(&order_no) {
            return Ok(());
        }
        let (key, now) = (self.field_key(), self.clock.now());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut desk = Desk { tx, key: &key, now };
            Ok::<_, ShopError>(desk.note_all(&order_no, &entries)?)
        });
        write.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Clock;

    #[test]
    fn a_moment_of_today_is_told_in_beijing_time() {
        let at = Timestamp::from_unix(1_767_247_510);
        assert_eq!(
            (at.rfc3339().len(), clock_time(at)),
            (25, "14:05:10".into())
        );
    }

    #[test]
    fn nothing_said_is_nothing_told() {
        let clock = Clock::system();
        assert_eq!(exchange_entries("wechat.query", &Trace::new(&clock)), []);
    }
}
