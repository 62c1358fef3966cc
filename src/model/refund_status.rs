//! Where a refund stands at WeChat.

use serde::{Deserialize, Serialize};

/// Where a refund stands. CONTRACT §3: only [`Self::Success`] and [`Self::Closed`] are final.
///
/// Source: 微信支付 APIv3 · 退款申请 (`status`); APIv2 · 查询退款 (`refund_status_$n`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RefundStatus {
    /// On its way.
    Processing,
    /// The money is back.
    Success,
    /// The money cannot go where it came from; the merchant must say where instead.
    Abnormal,
    /// Ended without the money going back.
    Closed,
}

impl RefundStatus {
    /// Every status, for tables.
    pub const ALL: [Self; 4] = [
        Self::Processing,
        Self::Success,
        Self::Abnormal,
        Self::Closed,
    ];

    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Success => "success",
            Self::Abnormal => "abnormal",
            Self::Closed => "closed",
        }
    }
}
