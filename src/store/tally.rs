//! What is counted once it is on disk: a closure names it, and whoever drops the closure's changes
//! drops the count with them.

/// What happened to orders and money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// An order was placed.
    Created,
    /// An order's money arrived.
    Paid,
    /// An order was closed.
    Closed,
    /// An order was shipped.
    Shipped,
    /// An order was received.
    Completed,
    /// The money of a refund arrived.
    Refunded,
    /// Fen that arrived.
    PaidFen,
    /// Fen that went back.
    RefundedFen,
}

impl Tally {
    /// Those of orders, with the word that tells of them.
    pub(super) const EVENTS: [(Self, &'static str); 6] = [
        (Self::Created, "created"),
        (Self::Paid, "paid"),
        (Self::Closed, "closed"),
        (Self::Shipped, "shipped"),
        (Self::Completed, "completed"),
        (Self::Refunded, "refunded"),
    ];
}
