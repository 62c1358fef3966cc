//! The words of an order's life: where it stands, what can happen to it, what follows.

use serde::{Deserialize, Serialize};

use crate::base::{Fen, Timestamp, TransactionId};

/// Where an order stands. CONTRACT §1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OrderStatus {
    /// Waiting to be paid; its stock is reserved.
    Pending,
    /// Paid, not shipped.
    Paid,
    /// On its way.
    Shipped,
    /// Received.
    Completed,
    /// Ended unpaid, or its late money went back.
    Closed,
    /// Paid, and all of it refunded.
    Refunded,
}

impl OrderStatus {
    /// Every status, for tables.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Paid,
        Self::Shipped,
        Self::Completed,
        Self::Closed,
        Self::Refunded,
    ];

    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Completed => "completed",
            Self::Closed => "closed",
            Self::Refunded => "refunded",
        }
    }

    /// The status of the contract's word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// Who wants an order closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closer {
    /// The buyer cancelled.
    Buyer,
    /// The merchant closed it.
    Merchant,
    /// It expired.
    Expiry,
}

/// Who says that an order was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// The buyer, here.
    Buyer,
    /// WeChat, where the buyer or WeChat's own time confirmed it.
    Wechat,
    /// Our own time: `[order] auto_complete_days`.
    Time,
}

/// Whether the stock of a closed order could be taken again at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockLeft {
    /// Every line can be taken again.
    Enough,
    /// At least one line cannot.
    Short,
}

/// Money that arrived on one attempt of the order, checked against that attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// Which attempt.
    pub attempt: u16,
    /// WeChat's number of the payment.
    pub transaction_id: TransactionId,
    /// When WeChat took the money.
    pub paid_at: Timestamp,
    /// Whether a closed order's stock could be taken again.
    pub stock: StockLeft,
}

/// What can happen to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderEvent {
    /// Money arrived, by notify or by query.
    Paid(Paid),
    /// Someone wants it closed.
    CloseWanted(Closer),
    /// WeChat confirmed that no attempt can be paid any more.
    ClosedAtWechat,
    /// The merchant shipped it.
    Shipped,
    /// It was received, or counts as received.
    Received(Receiver),
    /// A refund that counts succeeded.
    Refunded(Fen),
}

#[cfg(test)]
impl OrderEvent {
    /// Its name, for a tally.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Paid(_) => "Paid",
            Self::CloseWanted(Closer::Buyer) => "CloseWanted(Buyer)",
            Self::CloseWanted(Closer::Merchant) => "CloseWanted(Merchant)",
            Self::CloseWanted(Closer::Expiry) => "CloseWanted(Expiry)",
            Self::ClosedAtWechat => "ClosedAtWechat",
            Self::Shipped => "Shipped",
            Self::Received(Receiver::Buyer) => "Received(Buyer)",
            Self::Received(Receiver::Wechat) => "Received(Wechat)",
            Self::Received(Receiver::Time) => "Received(Time)",
            Self::Refunded(_) => "Refunded",
        }
    }
}

/// What follows from an event, carried out in the same transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Take the lines' pieces out of stock.
    TakeStock,
    /// Put the lines' pieces back into stock.
    ReturnStock,
    /// Give back the money of this attempt: the order was paid already.
    RefundSurplus {
        /// The attempt whose money is too much.
        attempt: u16,
        /// WeChat's number of that money.
        transaction_id: TransactionId,
    },
    /// Give back all of it: the order was closed and its stock is gone.
    RefundLate,
    /// Write this into the timeline.
    Note {
        /// A word for programs, such as `order.paid`.
        kind: &'static str,
        /// What and why, in Chinese.
        text: &'static str,
    },
}
