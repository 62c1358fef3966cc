//! Where a refund stands at WeChat.

use serde::{Deserialize, Serialize};

/// The state of a refund; only success and closed are final.
///
/// Source: 微信支付 APIv3 · 查询单笔退款 (`status`); APIv2 · 查询退款 (`refund_status_$n`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RefundStatus {
    /// Accepted, or about to be asked for; the money is not back yet.
    Processing,
    /// The payer has the money.
    Success,
    /// The money could not be given back the way it came; it can be taken up again.
    Abnormal,
    /// Refused for good: the money stays with the merchant.
    Closed,
}

impl RefundStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Processing,
        Self::Success,
        Self::Abnormal,
        Self::Closed,
    ];

    /// The contract's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Success => "success",
            Self::Abnormal => "abnormal",
            Self::Closed => "closed",
        }
    }
}
