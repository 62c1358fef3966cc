//! Our payments and refunds of one day, a slice at a time: what should stand in that day's bill.
//!
//! There is no index by the day of payment, because every payment would have to write it. Numbers
//! of orders rise with time, so a day's payments lie among the orders of the week before it;
//! refunds are few, and all of them are looked at.

use std::ops::ControlFlow;
use std::time::Duration;

use super::codec;
use super::order_list::first_number;
use super::records::{AttemptRecord, RefundRecord};
use super::{KeyRange, Read, StoreError, keys};
use crate::base::{Day, Fen, OrderNo, Timestamp};
use crate::model::RefundStatus;

/// How many records one slice looks at.
const SLICE: usize = 1024;
/// How long before its payment an order can have been placed: `pay_within` is at most a week, and
/// what WeChat is told moves out by minutes.
const PLACED_BEFORE: Duration = Duration::from_secs(8 * 86_400);
/// How far a number of an order can be ahead of the clock.
const AHEAD: Duration = Duration::from_secs(3600);

/// A payment or a refund of ours that a bill should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The order.
    pub order_no: OrderNo,
    /// The attempt.
    pub out_trade_no: String,
    /// WeChat's number of the payment.
    pub transaction_id: String,
    /// The number of the refund; empty for a payment.
    pub refund_no: String,
    /// How much.
    pub amount: Fen,
    /// When it was paid, or sent to be refunded.
    pub at: Timestamp,
}

/// Where a scan stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    day: Day,
    kind: Kind,
    left: KeyRange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Payments,
    Refunds,
}

impl Scan {
    /// Before the first payment of `day`.
    pub fn of(day: Day) -> Self {
        let number = |at| [&[keys::ATTEMPT], first_number(at).as_bytes()].concat();
        Self {
            day,
            kind: Kind::Payments,
            left: KeyRange {
                from: number(day.start().minus(PLACED_BEFORE)),
                to: number(day.end().plus(AHEAD)),
                ..KeyRange::prefix(&[keys::ATTEMPT])
            },
        }
    }

    /// The next slice, and where the one after it begins; `None` behind the last refund.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next(self, read: &impl Read) -> Result<(Vec<Expected>, Option<Self>), StoreError> {
        let (mut found, mut looked, mut last) = (vec![], 0, None);
        let mut see = |key: &[u8], one: Option<Expected>| {
            looked += 1;
            found.extend(one);
            match looked < SLICE {
                true => ControlFlow::Continue(()),
                false => {
                    last = Some(key.to_vec());
                    ControlFlow::Break(())
                }
            }
        };
        let day = self.day;
        match self.kind {
            Kind::Payments => codec::visit(read, self.left.clone(), &mut |key, record| {
                see(key, payment(record, day))
            })?,
            Kind::Refunds => codec::visit(read, self.left.clone(), &mut |key, record| {
                see(key, refund(record, day))
            })?,
        }
        Ok((found, self.behind(last)))
    }

    fn behind(self, last: Option<Vec<u8>>) -> Option<Self> {
        match (last, self.kind) {
            (Some(last), _) => Some(Self {
                left: self.left.behind(last),
                ..self
            }),
            (None, Kind::Payments) => Some(Self {
                kind: Kind::Refunds,
                left: KeyRange::prefix(&[keys::REFUND]),
                ..self
            }),
            (None, Kind::Refunds) => None,
        }
    }
}

fn payment(AttemptRecord::V1(attempt): AttemptRecord, day: Day) -> Option<Expected> {
    let at = attempt.paid_at.filter(|at| day.holds(*at))?;
    Some(Expected {
        order_no: attempt.out_trade_no.order_no().clone(),
        out_trade_no: attempt.out_trade_no.to_string(),
        transaction_id: attempt.transaction_id?.to_string(),
        refund_no: String::new(),
        amount: attempt.amount,
        at,
    })
}

/// A refund is in the bill of the day on which WeChat accepted it: known by WeChat's number.
fn refund(RefundRecord::V1(refund): RefundRecord, day: Day) -> Option<Expected> {
    let at = refund.sent_at.unwrap_or(refund.created_at);
    let accepted = refund.refund_id.is_some() && refund.status != RefundStatus::Closed;
    (accepted && day.holds(at)).then(|| Expected {
        order_no: refund.order_no,
        out_trade_no: refund.out_trade_no.to_string(),
        transaction_id: refund.transaction_id.to_string(),
        refund_no: refund.refund_no.to_string(),
        amount: refund.amount,
        at,
    })
}

#[cfg(test)]
#[path = "day_scan_tests.rs"]
mod tests;
