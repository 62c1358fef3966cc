//! What happened to an order or a refund, told where it is decided, in the same transaction.

use super::effects::Desk;
use super::{ShopError, outbox};
use crate::model::{Order, OrderStatus, Refund};
use crate::store::Tally;

/// What others want to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening<'r> {
    /// The order was placed.
    Created,
    /// Its money arrived.
    Paid,
    /// It was closed.
    Closed,
    /// It was shipped.
    Shipped,
    /// It was received.
    Completed,
    /// The money of this refund is back.
    RefundSucceeded(&'r Refund),
}

impl Happening<'_> {
    /// What it is that an order went from one status to another.
    pub(super) fn between(before: OrderStatus, after: OrderStatus) -> Option<Self> {
        if before == after {
            return None;
        }
        match after {
            OrderStatus::Paid => Some(Self::Paid),
            OrderStatus::Closed => Some(Self::Closed),
            OrderStatus::Shipped => Some(Self::Shipped),
            OrderStatus::Completed => Some(Self::Completed),
            // Its refund is told of by itself.
            OrderStatus::Pending | OrderStatus::Refunded => None,
        }
    }

    /// The contract's name of it.
    pub(super) const fn event(self) -> &'static str {
        match self {
            Self::Created => "order.created",
            Self::Paid => "order.paid",
            Self::Closed => "order.closed",
            Self::Shipped => "order.shipped",
            Self::Completed => "order.completed",
            Self::RefundSucceeded(_) => "refund.success",
        }
    }

    const fn tally(self) -> Tally {
        match self {
            Self::Created => Tally::Created,
            Self::Paid => Tally::Paid,
            Self::Closed => Tally::Closed,
            Self::Shipped => Tally::Shipped,
            Self::Completed => Tally::Completed,
            Self::RefundSucceeded(_) => Tally::Refunded,
        }
    }
}

impl Desk<'_, '_> {
    /// Tells that `what` happened to `order`, as it is afterwards: it is counted, and lies in the
    /// outbox of every webhook endpoint that wants to hear of it.
    ///
    /// # Errors
    /// Store errors.
    pub(super) fn happened(&mut self, order: &Order, what: Happening<'_>) -> Result<(), ShopError> {
        self.tx.count(what.tally(), 1);
        outbox::tell(self.tx, order, what, self.now)
    }
}
