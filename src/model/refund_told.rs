//! What WeChat tells of a refund, and what must agree with ours before it is believed.

use super::RefundStatus;
use crate::base::{Fen, Timestamp};

/// What WeChat tells of a refund, its signature verified, not yet compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// WeChat's number.
    pub refund_id: String,
    /// Where it stands there.
    pub status: RefundStatus,
    /// When the money was back.
    pub success_at: Option<Timestamp>,
}

/// What of a refund WeChat must repeat as we have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed<'a> {
    /// The attempt it names.
    pub out_trade_no: &'a str,
    /// The payment it names.
    pub transaction_id: &'a str,
    /// The payment's amount.
    pub total: Fen,
    /// The refund's amount.
    pub amount: Fen,
}

/// What a refund told of by WeChat must share with ours, and did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefundMismatch {
    /// Another merchant.
    #[error("mchid 与支付单不同")]
    MchId,
    /// Told in the other protocol.
    #[error("通知的协议与退款单不同")]
    Protocol,
    /// Another attempt.
    #[error("out_trade_no 与退款单不同")]
    OutTradeNo,
    /// Another payment.
    #[error("微信支付订单号与退款单不同")]
    Transaction,
    /// Another amount of the payment.
    #[error("原订单金额与退款单不同")]
    Total,
    /// Another amount of the refund.
    #[error("退款金额与退款单不同")]
    Amount,
    /// It ended before, the other way.
    #[error("退款单已有相反的最终结果")]
    Final,
    /// WeChat, asked, does not know it.
    #[error("向微信查询，没有这笔退款")]
    Absent,
}
