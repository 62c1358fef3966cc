//! Reconciliations with their rows, and notifies that matched nothing.

use super::Auditor;
use crate::base::Day;
use crate::store::counters;
use crate::store::keywise::Keys;
use crate::store::reconciliations::{Change, Reconciliation, key_of};
use crate::store::records::{DayRowRecord, NumberRecord, ReconciliationRecord, UnmatchedRecord};
use crate::store::unmatched;
use crate::store::{KeyRange, Read, StoreError, codec, keys};

impl<R: Read> Auditor<'_, R> {
    /// A day counts the rows that it has.
    pub(super) fn reconciliation(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let known = self.decoded::<ReconciliationRecord>(value)?.open();
        if keys::reconciliation(known.day) != self.key {
            self.fault("记的是另一天的对账");
        }
        let mut counted = Reconciliation {
            rows: [0; 3],
            settled: 0,
            ..known.clone()
        };
        let rows = KeyRange::prefix(&keys::day_rows(known.day));
        let mut rows = Keys::within(self.read, rows);
        while let Some((key, value)) = rows.next()? {
            let DayRowRecord::V1(row) = codec::decode(self.read, &key, &value)?;
            counted.count(&row, Change::In);
        }
        if counted != known {
            self.fault("对账的差异条数与逐条数出来的不同");
        }
        Ok(())
    }

    pub(super) fn day_row(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let DayRowRecord::V1(row) = self.decoded(value)?;
        let number = self.key.get(1..5).and_then(|day| day.try_into().ok());
        let day = Day::from_number(number.map_or(0, u32::from_be_bytes));
        if key_of(day, &row) != self.key {
            self.fault("记的是另一条差异");
        }
        if !self.has(&keys::reconciliation(day))? {
            self.fault("差异所属的那一天没有对账记录");
        }
        Ok(())
    }

    pub(super) fn unmatched_seen(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let NumberRecord::V1(number) = self.decoded(value)?;
        let found = codec::get::<UnmatchedRecord>(self.read, &keys::unmatched(number))?;
        let own = found.map(|UnmatchedRecord::V1(notify)| unmatched::seen_key(&notify));
        if own.as_ref() != Some(&self.key) {
            self.fault("索引指向的通知不存在，或是另一条");
        }
        Ok(())
    }

    pub(super) fn unmatched(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let UnmatchedRecord::V1(notify) = self.decoded(value)?;
        let number = keys::last_number(&self.key).unwrap_or(0);
        self.numbers.unmatched = self.numbers.unmatched.max(number);
        let seen = unmatched::seen_key(&notify);
        if counters::number(self.read, &seen)? != Some(number) {
            self.fault("再来同一条通知时认不出它");
        }
        Ok(())
    }
}
