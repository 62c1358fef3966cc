//! What happened to an order or a refund, told where it is decided, in the same transaction.

use super::ShopError;
use super::effects::Desk;
use crate::model::{Order, OrderStatus};
use crate::store::Tally;

/// What others want to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
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
    /// The money of a refund is back.
    RefundSucceeded,
}

impl Happening {
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

    const fn tally(self) -> Tally {
        match self {
            Self::Created => Tally::Created,
            Self::Paid => Tally::Paid,
            Self::Closed => Tally::Closed,
            Self::Shipped => Tally::Shipped,
            Self::Completed => Tally::Completed,
            Self::RefundSucceeded => Tally::Refunded,
        }
    }
}

impl Desk<'_, '_> {
    /// Tells that `what` happened to `order`, as it is afterwards.
    ///
    /// # Errors
    /// Store errors.
    pub(super) fn happened(&mut self, _order: &Order, what: Happening) -> Result<(), ShopError> {
        self.tx.count(what.tally(), 1);
        Ok(())
    }
}
