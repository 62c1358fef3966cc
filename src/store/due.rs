//! Work that becomes due: keys ordered by kind and second, written with their cause.
//!
//! The kind comes first, so that a kind which nobody carries out yet never stands in another's way.
//! What a key holds is the step: how often the work was tried, so that backoff is data.
//! Idempotency keys need no entry here: they lie by the day and are forgotten by it.

use super::codec::collect;
use super::{KeyRange, Read, StoreError, Tx, keys};
use crate::base::{OrderNo, OutTradeNo, RefundNo, Timestamp};

/// One piece of work: what, and on whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// The order's time to pay is over. Kept by [`super::orders`], never scheduled by hand.
    Expire(OrderNo),
    /// A close that WeChat has not confirmed is tried again.
    Close(OrderNo),
    /// WeChat is asked whether the attempt was paid.
    Query(OutTradeNo),
    /// A refund is sent, or its state is asked for.
    Refund(RefundNo),
    /// The order's shipment is reported to WeChat.
    Report(OrderNo),
    /// The buyer is sent a subscribe message.
    Message(Occasion, OrderNo),
    /// A shipped order counts as received.
    Complete(OrderNo),
    /// The bill of the Beijing day that begins at this second is compared with our orders.
    Bill(Timestamp),
    /// What waits for the webhook endpoint of this number is told.
    Webhook(u64),
}

/// What a subscribe message tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// The order was paid.
    Paid,
    /// The order was shipped.
    Shipped,
}

impl Occasion {
    const ALL: [Self; 2] = [Self::Paid, Self::Shipped];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Shipped => "shipped",
        }
    }
}

/// Work that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The second for which it was entered.
    pub at: Timestamp,
    /// What is to be done.
    pub work: Work,
    /// How often it was tried before.
    pub step: u16,
}

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkKind {
    /// See [`Work::Expire`].
    Expire,
    /// See [`Work::Close`].
    Close,
    /// See [`Work::Query`].
    Query,
    /// See [`Work::Refund`].
    Refund,
    /// See [`Work::Report`].
    Report,
    /// See [`Work::Message`].
    Message,
    /// See [`Work::Complete`].
    Complete,
    /// See [`Work::Bill`].
    Bill,
    /// See [`Work::Webhook`].
    Webhook,
}

impl WorkKind {
    /// Every kind, with the word that tells of it.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Expire, "expire"),
        (Self::Close, "close"),
        (Self::Query, "query"),
        (Self::Refund, "refund"),
        (Self::Report, "report"),
        (Self::Message, "message"),
        (Self::Complete, "complete"),
        (Self::Bill, "bill"),
        (Self::Webhook, "webhook"),
    ];

    /// The byte of the kind in keys; never changed.
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Expire => b'e',
            Self::Close => b'c',
            Self::Query => b'q',
            Self::Refund => b'r',
            Self::Report => b'u',
            Self::Message => b'm',
            Self::Complete => b'f',
            Self::Bill => b'b',
            Self::Webhook => b'w',
        }
    }

    fn work(self, subject: &str) -> Option<Work> {
        match self {
            Self::Expire => subject.parse().ok().map(Work::Expire),
            Self::Close => subject.parse().ok().map(Work::Close),
            Self::Query => subject.parse().ok().map(Work::Query),
            Self::Refund => subject.parse().ok().map(Work::Refund),
            Self::Report => subject.parse().ok().map(Work::Report),
            Self::Message => message(subject),
            Self::Complete => subject.parse().ok().map(Work::Complete),
            Self::Bill => Timestamp::from_compact(subject).map(Work::Bill),
            Self::Webhook => subject.parse().ok().map(Work::Webhook),
        }
    }
}

fn message(subject: &str) -> Option<Work> {
    let (word, order_no) = subject.split_once(':')?;
    let occasion = Occasion::ALL.into_iter().find(|o| o.as_str() == word)?;
    Some(Work::Message(occasion, order_no.parse().ok()?))
}

/// The key under which `work` waits until `at`.
pub(super) fn key(at: Timestamp, work: &Work) -> Vec<u8> {
    let entry = |kind: WorkKind, subject: &str| keys::due(kind.byte(), at, subject);
    match work {
        Work::Expire(order_no) => entry(WorkKind::Expire, order_no.as_str()),
        Work::Close(order_no) => entry(WorkKind::Close, order_no.as_str()),
        Work::Query(number) => entry(WorkKind::Query, &number.to_string()),
        Work::Refund(refund_no) => entry(WorkKind::Refund, refund_no.as_str()),
        Work::Report(order_no) => entry(WorkKind::Report, order_no.as_str()),
        Work::Message(occasion, order_no) => {
            let subject = format!("{}:{order_no}", occasion.as_str());
            entry(WorkKind::Message, &subject)
        }
        Work::Complete(order_no) => entry(WorkKind::Complete, order_no.as_str()),
        Work::Bill(day) => entry(WorkKind::Bill, &day.compact()),
        Work::Webhook(id) => entry(WorkKind::Webhook, &id.to_string()),
    }
}

/// Enters `work`, due at `at`, tried `step` times before.
pub fn schedule(tx: &mut Tx<'_>, at: Timestamp, work: &Work, step: u16) {
    let value = match step {
        0 => vec![],
        _ => step.to_be_bytes().to_vec(),
    };
    tx.put(key(at, work), value);
}

/// Takes out `work` that was entered for `at`.
pub fn unschedule(tx: &mut Tx<'_>, at: Timestamp, work: &Work) {
    tx.delete(key(at, work));
}

/// The work of these kinds that is due at `now`, at most `limit` of each kind, oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn due_now(
    read: &impl Read,
    kinds: &[WorkKind],
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Due>, StoreError> {
    let mut due = vec![];
    for kind in kinds {
        for (key, value) in collect(read, &keys::due_until(kind.byte(), now), limit)? {
            let one = entered(*kind, &key, &value);
            due.push(one.ok_or_else(|| damaged(read, &key))?);
        }
    }
    Ok(due)
}

/// When the first work of `kind` is due, if any waits.
///
/// # Errors
/// [`StoreError`].
pub fn first(read: &impl Read, kind: WorkKind) -> Result<Option<Timestamp>, StoreError> {
    let found = collect(read, &KeyRange::prefix(&keys::due_work(kind.byte())), 1)?;
    let Some((key, _)) = found.first() else {
        return Ok(None);
    };
    let (at, _) = keys::due_parts(key).ok_or_else(|| damaged(read, key))?;
    Ok(Some(at))
}

/// The work under `key`, of whatever kind; `None` when it cannot be read.
pub(super) fn read_entry(key: &[u8], value: &[u8]) -> Option<Due> {
    let byte = key.get(1)?;
    let mut kinds = WorkKind::ALL.into_iter().map(|(kind, _)| kind);
    let kind = kinds.find(|kind| kind.byte() == *byte)?;
    entered(kind, key, value)
}

fn entered(kind: WorkKind, key: &[u8], value: &[u8]) -> Option<Due> {
    let (at, subject) = keys::due_parts(key)?;
    let step = match value {
        [] => 0,
        _ => u16::from_be_bytes(value.try_into().ok()?),
    };
    let work = kind.work(subject)?;
    Some(Due { at, work, step })
}

fn damaged(read: &impl Read, key: &[u8]) -> StoreError {
    read.corrupt(&format!("due work {}", key.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::samples::{at, order_no, write};

    fn due(at: Timestamp, work: &Work, step: u16) -> Due {
        let work = work.clone();
        Due { at, work, step }
    }

    #[tokio::test]
    async fn work_is_due_at_its_second_oldest_first_and_kinds_do_not_hide_each_other() {
        let store = Store::memory();
        let query = Work::Query(OutTradeNo::new(order_no(0, 1), 2));
        let close = Work::Close(order_no(0, 2));
        let later = Work::Close(order_no(0, 1));
        let (q, c, l) = (query.clone(), close.clone(), later.clone());
        write(&store, move |tx| {
            schedule(tx, at(300), &l, 0);
            schedule(tx, at(9), &q, 513);
            schedule(tx, at(10), &c, 0);
            Ok(())
        })
        .await;
        let kinds = [WorkKind::Expire, WorkKind::Close, WorkKind::Query];
        let found =
            |now: i64, limit: usize| store.read(move |view| due_now(view, &kinds, at(now), limit));
        assert_eq!(found(8, 9).await, Ok(vec![]));
        assert_eq!(found(9, 9).await, Ok(vec![due(at(9), &query, 513)]));
        let first = vec![due(at(10), &close, 0), due(at(9), &query, 513)];
        assert_eq!(found(300, 1).await, Ok(first));
        assert_eq!(found(300, 9).await.map(|all| all.len()), Ok(3));
        write(&store, move |tx| {
            unschedule(tx, at(10), &close);
            Ok(())
        })
        .await;
        let closes = store
            .read(|view| due_now(view, &[WorkKind::Close], at(999), 9))
            .await;
        assert_eq!(closes, Ok(vec![due(at(300), &later, 0)]));
    }

    #[test]
    fn every_kind_of_work_reads_back_from_its_key() {
        let order = order_no(0, 1);
        let table = [
            (WorkKind::Expire, Work::Expire(order.clone())),
            (WorkKind::Close, Work::Close(order.clone())),
            (
                WorkKind::Query,
                Work::Query(OutTradeNo::new(order.clone(), 3)),
            ),
            (WorkKind::Refund, Work::Refund("R1_x-9".parse().unwrap())),
            (WorkKind::Report, Work::Report(order.clone())),
            (
                WorkKind::Message,
                Work::Message(Occasion::Paid, order.clone()),
            ),
            (
                WorkKind::Message,
                Work::Message(Occasion::Shipped, order.clone()),
            ),
            (WorkKind::Complete, Work::Complete(order)),
            (WorkKind::Bill, Work::Bill(at(0))),
            (WorkKind::Webhook, Work::Webhook(7)),
        ];
        for (kind, work) in table {
            let key = key(at(7), &work);
            assert_eq!(entered(kind, &key, &[]), Some(due(at(7), &work, 0)));
            assert_eq!(entered(kind, &key, &[1, 2]), Some(due(at(7), &work, 258)));
            assert_eq!(entered(kind, &key, &[1]), None);
        }
        assert_eq!(WorkKind::Message.work("gone:ABC"), None);
    }
}
