//! Whether what is kept agrees with itself: every record decodes, every record has its index
//! entries and every index entry its record, sums add up, and no work that must be done is
//! forgotten.
//!
//! One walk over all keys; what is asked of each kind is in the files below. No field key is
//! needed: what is sealed stays so. The store must not change meanwhile.

mod days;
mod money;
mod orders;
mod people;
#[cfg(test)]
mod rules_tests;
mod watch;
#[cfg(test)]
mod watch_rules;
#[cfg(test)]
mod whole;
mod works;

use std::collections::BTreeMap;

use super::codec::{self, Record};
use super::keywise::Keys;
use super::{Read, StoreError, View, keys};
use crate::base::{Fen, OrderNo};

/// More faults than this say no more.
const MOST: usize = 1000;
/// How many keys lie between two words about how far it has come.
const TOLD_EVERY: u64 = 4096;

/// Every kind of key: its byte, and what a summary calls it.
const KINDS: &[(u8, &str)] = &[
    (keys::COUNTER, "counters"),
    (keys::GOODS, "goods"),
    (keys::STOCK, "stocks"),
    (keys::ORDER, "orders"),
    (keys::ORDER_OWNER, "order_indexes"),
    (keys::STATUS_ORDER, "status_indexes"),
    (keys::ENTRY, "timeline_entries"),
    (keys::ATTEMPT, "payment_attempts"),
    (keys::NEXT_QUERY, "planned_queries"),
    (keys::TRANSACTION, "transactions"),
    (keys::USER, "users"),
    (keys::OPENID, "openid_indexes"),
    (keys::PHONE, "phone_indexes"),
    (keys::DUE, "due_works"),
    (keys::IDEMPOTENCY, "idempotency_keys"),
    (keys::UNMATCHED_SEEN, "unmatched_indexes"),
    (keys::UNMATCHED, "unmatched_notifies"),
    (keys::REFUND, "refunds"),
    (keys::ORDER_REFUND, "refund_indexes"),
    (keys::REFUND_REQUEST, "refund_requests"),
    (keys::SHIPMENT, "shipments"),
    (keys::SHIPPING, "shipping_reports"),
    (keys::RECONCILIATION, "reconciliations"),
    (keys::DAY_ROW, "reconciliation_rows"),
    (keys::ADMIN, "admins"),
    (keys::API_KEY, "api_keys"),
    (keys::CONSOLE_SESSION, "console_sessions"),
    (keys::CERTIFICATE, "certificates"),
    (keys::ALERT, "alerts"),
    (keys::SILENCE, "silences"),
    (keys::WEBHOOK, "webhook_endpoints"),
    (keys::OUTBOX, "webhooks_to_tell"),
    (keys::PIECE, "further_pieces"),
];

/// What the records add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Orders by the word of their status.
    pub orders: BTreeMap<&'static str, u64>,
    /// What all orders that were paid come to.
    pub paid: Fen,
    /// What of that went back.
    pub refunded: Fen,
    /// Pieces in stock.
    pub pieces_in_stock: u64,
    /// Pieces that unpaid orders hold.
    pub pieces_reserved: u64,
}

/// Something that does not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFault {
    /// The key, with what is not ASCII escaped.
    pub key: String,
    /// What is wrong with what it keeps.
    pub what: String,
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Keys by what they keep.
    pub counts: BTreeMap<&'static str, u64>,
    /// What the records add up to.
    pub sums: Sums,
    /// What does not agree, at most a thousand; empty when all is well.
    pub faults: Vec<RecordFault>,
}

/// Looks at every record; `told` hears now and then how many keys are done.
pub fn audit(view: &View<'_>, told: &dyn Fn(u64)) -> Audit {
    let mut auditor = Auditor {
        read: view,
        found: Audit::default(),
        key: vec![],
        numbers: Numbers::default(),
    };
    auditor.walk(told);
    auditor.found
}

/// What is wrong, one sentence each; empty when all is well.
///
/// # Errors
/// None: what cannot be read is a fault. It is a [`Result`] to be handed to `Store::read`.
pub fn audit_indexes(view: &View<'_>) -> Result<Vec<String>, StoreError> {
    let faults = audit(view, &|_| ()).faults.into_iter();
    Ok(faults
        .map(|fault| format!("{}：{}", fault.key, fault.what))
        .collect())
}

/// The largest number of each kind that was seen in use.
#[derive(Default)]
struct Numbers {
    uid: u64,
    goods: u64,
    api_key: u64,
    webhook: u64,
    unmatched: u64,
}

struct Auditor<'r, R> {
    read: &'r R,
    found: Audit,
    /// The key that is looked at.
    key: Vec<u8>,
    numbers: Numbers,
}

impl<R: Read> Auditor<'_, R> {
    fn walk(&mut self, told: &dyn Fn(u64)) {
        let mut all = Keys::new(self.read);
        let mut done = 0_u64;
        while self.found.faults.len() < MOST {
            match all.next() {
                Ok(Some((key, value))) => self.look(key, &value),
                Ok(None) => break,
                Err(error) => {
                    self.fault(format!("读不下去：{error}"));
                    return;
                }
            }
            done += 1;
            if done.is_multiple_of(TOLD_EVERY) {
                told(done);
            }
        }
        if let Err(error) = self.counters() {
            self.fault(error.to_string());
        }
    }

    fn look(&mut self, key: Vec<u8>, value: &[u8]) {
        let kind = key.first().copied().unwrap_or(0);
        self.key = key;
        match KINDS.iter().find(|(byte, _)| *byte == kind) {
            Some((_, name)) => *self.found.counts.entry(name).or_default() += 1,
            None => return self.fault("没有这一类记录"),
        }
        if let Err(error) = self.check(kind, value) {
            self.fault(error.to_string());
        }
    }

    /// What is asked of a record of each kind.
    fn check(&mut self, kind: u8, value: &[u8]) -> Result<(), StoreError> {
        match kind {
            keys::GOODS => self.goods(value),
            keys::STOCK => self.stock(value),
            keys::ORDER => self.order(value),
            keys::ORDER_OWNER => self.order_index(value, 1),
            keys::STATUS_ORDER => self.order_index(value, 2),
            keys::ENTRY => self.entry(value),
            keys::SHIPMENT => self.shipment(value),
            keys::SHIPPING => self.shipping(value),
            keys::ATTEMPT => self.attempt(value),
            keys::TRANSACTION => self.transaction(value),
            keys::REFUND => self.refund(value),
            keys::ORDER_REFUND => self.refund_index(value),
            keys::REFUND_REQUEST => self.refund_request(value),
            keys::USER => self.user(value),
            keys::OPENID => self.openid(value),
            keys::PHONE => self.phone(value),
            keys::ADMIN => self.admin(value),
            keys::API_KEY => self.api_key(value),
            keys::CONSOLE_SESSION => self.console_session(value),
            keys::ALERT => self.alert(value),
            keys::SILENCE => self.silence(value),
            keys::WEBHOOK => self.webhook(value),
            keys::OUTBOX => self.outbox(value),
            keys::DUE => self.due(value),
            keys::NEXT_QUERY => self.next_query(value),
            keys::IDEMPOTENCY => self.idempotency(value),
            keys::UNMATCHED_SEEN => self.unmatched_seen(value),
            keys::UNMATCHED => self.unmatched(value),
            keys::RECONCILIATION => self.reconciliation(value),
            keys::DAY_ROW => self.day_row(value),
            keys::CERTIFICATE => self
                .decoded::<super::records::CertificateRecord>(value)
                .map(drop),
            keys::COUNTER => self
                .decoded::<super::records::NumberRecord>(value)
                .map(drop),
            keys::PIECE => self.piece(value),
            _ => self.intact(value),
        }
    }

    /// Notes what is wrong with the record that is looked at.
    fn fault(&mut self, what: impl Into<String>) {
        self.found.faults.push(RecordFault {
            key: self.key.escape_ascii().to_string(),
            what: what.into(),
        });
    }

    fn decoded<T: Record>(&self, value: &[u8]) -> Result<T, StoreError> {
        codec::decode(self.read, &self.key, value)
    }

    fn has(&self, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.read.get(key)?.is_some())
    }

    fn intact(&mut self, value: &[u8]) -> Result<(), StoreError> {
        if !codec::is_intact(self.read, &self.key, value)? {
            self.fault("校验和不符");
        }
        Ok(())
    }

    /// A further piece belongs to a long record that has so many.
    fn piece(&mut self, value: &[u8]) -> Result<(), StoreError> {
        self.intact(value)?;
        let whole = self
            .key
            .split_first()
            .and_then(|(_, rest)| rest.split_last());
        let Some((number, whole)) = whole else {
            self.fault("不是任何长记录的一段");
            return Ok(());
        };
        let head = self.read.get(whole)?.unwrap_or_default();
        if codec::pieces(whole, &head) <= *number {
            self.fault("不是任何长记录的一段");
        }
        Ok(())
    }

    /// The order that the key names from `at` on, up to its end or a zero.
    fn order_no(&self, at: usize) -> Option<OrderNo> {
        let rest = self.key.get(at..)?;
        let number = rest.split(|byte| *byte == 0).next()?;
        std::str::from_utf8(number).ok()?.parse().ok()
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
