//! Sums over the refunds of one order: how much may still go back, how many parts, until when.

use std::time::Duration;

use super::refund::{Refund, RefundStatus, Restock};
use super::{Attempt, Order, OrderStatus, Refusal};
use crate::base::{Fen, Timestamp};

/// The most bytes of a refund's reason. CONTRACT §7.
pub const REASON_MAX_BYTES: usize = 80;

/// The most refunds of one payment.
///
/// Source: 微信支付 APIv2 · 申请退款; APIv3 · 退款申请.
pub const PARTS_MAX: usize = 50;

/// How long after the payment a refund is possible.
///
/// Source: 微信支付 APIv2 · 申请退款; APIv3 · 退款申请: one year.
pub const REFUNDABLE_FOR: Duration = Duration::from_secs(365 * 86_400);

/// What lies between two refunds of one order.
///
/// Source: 微信支付 APIv2 · 申请退款; APIv3 · 退款申请: one a minute.
pub const BETWEEN: Duration = Duration::from_secs(60);

/// What the order's refunds come to.
#[derive(Clone, Copy, Debug)]
pub struct Room<'r> {
    order: &'r Order,
    refunds: &'r [Refund],
}

impl<'r> Room<'r> {
    /// Of `order`, with all of its refunds.
    pub const fn new(order: &'r Order, refunds: &'r [Refund]) -> Self {
        Self { order, refunds }
    }

    /// What of the attempt's payment has neither gone back nor is on its way.
    pub fn left_of(&self, attempt: &Attempt) -> Fen {
        let of_attempt = |refund: &&Refund| refund.out_trade_no == attempt.out_trade_no;
        let held = self.refunds.iter().filter(of_attempt).filter(|r| r.holds());
        let held = held.fold(Fen::ZERO, |sum, refund| add(sum, refund.amount));
        attempt.amount.checked_sub(held).unwrap_or(Fen::ZERO)
    }

    /// What the merchant may still refund of the payment that counts.
    pub fn left(&self, counted: &Attempt) -> Fen {
        let held = self.refunds.iter().filter(|refund| refund.holds());
        let held = held.filter(|refund| counts(self.order, refund));
        let held = held.fold(Fen::ZERO, |sum, refund| add(sum, refund.amount));
        let of_order = self.order.total.checked_sub(held).unwrap_or(Fen::ZERO);
        of_order.min(self.left_of(counted))
    }

    /// Whether `amount` of `attempt` may be asked back at `now`.
    ///
    /// # Errors
    /// [`Refusal::RefundExceeds`]; [`Refusal::RefundTooOld`]; [`Refusal::RefundTooManyParts`].
    pub fn check(&self, attempt: &Attempt, amount: Fen, now: Timestamp) -> Result<(), Refusal> {
        let left = if self.order.paid_by == Some(attempt.out_trade_no.attempt()) {
            self.left(attempt)
        } else {
            self.left_of(attempt)
        };
        if amount > left {
            return Err(Refusal::RefundExceeds { left });
        }
        if attempt
            .paid_at
            .is_some_and(|at| now.since(at) > REFUNDABLE_FOR)
        {
            return Err(Refusal::RefundTooOld);
        }
        let parts = self.refunds.iter().filter(|refund| refund.holds());
        let parts = parts.filter(|refund| refund.out_trade_no == attempt.out_trade_no);
        if parts.count() >= PARTS_MAX {
            return Err(Refusal::RefundTooManyParts);
        }
        Ok(())
    }

    /// When `refund` may be sent: a minute after the last other one of the order, now or later.
    pub fn slot(&self, refund: &Refund, now: Timestamp) -> Timestamp {
        let others = self.refunds.iter();
        let others = others.filter(|other| other.refund_no != refund.refund_no);
        let last = others.filter_map(|other| other.sent_at).max();
        last.map_or(now, |last| now.max(last.plus(BETWEEN)))
    }

    /// What of a refund that succeeded the order counts. Less than its amount when the merchant
    /// platform gave back what was reserved here: the order never counts more than it was paid.
    pub fn countable(&self, refund: &Refund) -> Fen {
        let left = self.order.total.checked_sub(self.order.refunded);
        refund.amount.min(left.unwrap_or(Fen::ZERO))
    }
}

/// Whether `refund` goes into the order's `refunded`: money of the payment that counts.
pub fn counts(order: &Order, refund: &Refund) -> bool {
    order.paid_by == Some(refund.out_trade_no.attempt())
}

/// Whether WeChat certainly holds nothing of `refund`: it was never sent, or sent and refused.
pub const fn never_held(refund: &Refund) -> bool {
    let sent = refund.sent_at.is_some();
    match refund.status {
        RefundStatus::Processing => refund.refund_id.is_none() && !sent,
        RefundStatus::Abnormal => refund.refund_id.is_none(),
        RefundStatus::Success | RefundStatus::Closed => false,
    }
}

/// Whether the order's pieces return into stock: its last fen went back, and they are here.
pub fn stock_returns(before: &Order, after: &Order, restock: Restock) -> bool {
    let wholly = before.status != OrderStatus::Refunded && after.status == OrderStatus::Refunded;
    wholly && restock == Restock::Yes
}

/// Whether the merchant may refund an order of this status at all.
///
/// # Errors
/// [`Refusal::OrderState`] when it holds no money that counts.
pub fn refundable(order: &Order) -> Result<u16, Refusal> {
    match order.status {
        OrderStatus::Paid
        | OrderStatus::Shipped
        | OrderStatus::Completed
        | OrderStatus::Refunded
        | OrderStatus::Closed => order.paid_by.ok_or(Refusal::OrderState),
        OrderStatus::Pending => Err(Refusal::OrderState),
    }
}

/// Whether the reason may go to WeChat.
///
/// # Errors
/// [`Refusal::FieldInvalid`].
pub fn check_reason(reason: &str) -> Result<(), Refusal> {
    if (1..=REASON_MAX_BYTES).contains(&reason.len()) && !reason.trim().is_empty() {
        return Ok(());
    }
    Err(Refusal::FieldInvalid {
        field: "reason",
        rule: "必须是 1 到 80 字节（约 26 个汉字）",
    })
}

/// What is waited for before a refund is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// WeChat has it: its end is asked for.
    Accepted,
    /// It must be sent again.
    Again,
    /// The merchant's balance must be filled first.
    Balance,
    /// A person must decide; it may be decided at WeChat.
    Person,
}

/// How long to wait the `step`-th time, from 0: longer each time.
///
/// Source: 微信支付 APIv3 · 退款申请: ask first about a minute after it was taken.
pub fn wait(wait: Wait, step: u16) -> Duration {
    let (first_s, most_s): (u64, u64) = match wait {
        Wait::Accepted | Wait::Again => (60, 6 * 3600),
        Wait::Balance => (600, 6 * 3600),
        Wait::Person => (3600, 24 * 3600),
    };
    let doubled = first_s.saturating_mul(1 << step.min(16));
    Duration::from_secs(doubled.min(most_s))
}

/// How a refund that is not final waits.
pub fn wait_of(refund: &Refund) -> Wait {
    let short = |code: &str| matches!(code, "NOTENOUGH" | "NOT_ENOUGH");
    match refund.status {
        RefundStatus::Abnormal => Wait::Person,
        RefundStatus::Success | RefundStatus::Closed => Wait::Accepted,
        RefundStatus::Processing if refund.refund_id.is_some() => Wait::Accepted,
        RefundStatus::Processing => match &refund.last_error {
            Some(error) if short(&error.code) => Wait::Balance,
            Some(_) | None => Wait::Again,
        },
    }
}

fn add(sum: Fen, more: Fen) -> Fen {
    // A sum that does not fit leaves nothing: it only ever makes the room smaller.
    sum.checked_add(more).unwrap_or(Fen::new(u64::MAX))
}

#[cfg(test)]
#[path = "refund_room_tests.rs"]
mod tests;
