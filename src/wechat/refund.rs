//! Refunds, in words that both protocols share: what is asked for, what WeChat says of it. Pure.

use crate::base::{Fen, OutTradeNo, RefundNo, Secret, Timestamp, TransactionId};
use crate::model::RefundStatus;

use super::error::WechatError;
use super::prepay::Protocol;

/// A refund to ask for. Repeated with the same number and content, it is the same refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundOrder {
    /// The protocol of the attempt that was paid.
    pub protocol: Protocol,
    /// Our number of the refund.
    pub refund_no: RefundNo,
    /// Our number of the payment.
    pub out_trade_no: OutTradeNo,
    /// WeChat's number of the payment.
    pub transaction_id: TransactionId,
    /// The payment's total.
    pub total: Fen,
    /// What goes back.
    pub amount: Fen,
    /// Shown to the payer; empty for none.
    pub reason: String,
    /// Where WeChat tells of its end; no query string.
    pub notify_url: String,
}

/// Which refund is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundKey<'a> {
    /// The protocol of the attempt that was paid.
    pub protocol: Protocol,
    /// The number of the refund: ours, or one given at WeChat's merchant platform.
    pub refund_no: &'a str,
}

/// What WeChat says of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundState {
    /// The merchant's number of it.
    pub refund_no: String,
    /// WeChat's number of it.
    pub refund_id: String,
    /// Our number of the payment.
    pub out_trade_no: String,
    /// WeChat's number of the payment.
    pub transaction_id: String,
    /// The payment's total.
    pub total: Fen,
    /// What goes back.
    pub amount: Fen,
    /// Where it stands.
    pub status: RefundStatus,
    /// When the money was back.
    pub success_at: Option<Timestamp>,
    /// Where the money went, as WeChat writes it: `招商银行信用卡0403`.
    pub received_by: Option<String>,
}

/// WeChat's word that a refund ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundNotice {
    /// What it was told in. A v2 notice has no signature: query before money moves.
    pub protocol: Protocol,
    /// The merchant it names.
    pub mchid: String,
    /// The refund.
    pub state: RefundState,
    /// Whether it was started at WeChat's merchant platform.
    pub from_platform: FromPlatform,
}

/// Who started a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FromPlatform {
    /// A person at WeChat's merchant platform.
    Yes,
    /// A call of ours.
    No,
    /// The notice does not say (v3).
    NotSaid,
}

/// An abnormal refund to take up again. Source: 微信支付 APIv3 · 发起异常退款.
#[derive(Clone, Debug)]
pub struct AbnormalRefund {
    /// The protocol of the attempt that was paid.
    pub protocol: Protocol,
    /// The merchant's number of the refund.
    pub refund_no: String,
    /// WeChat's number of the refund.
    pub refund_id: String,
    /// Where the money shall go.
    pub to: AbnormalTo,
}

/// Where the money of an abnormal refund shall go.
#[derive(Clone, Debug)]
pub enum AbnormalTo {
    /// The merchant's settlement account, to be given to the payer some other way.
    MerchantCard,
    /// A debit card of the payer.
    UserCard {
        /// The bank, such as `ICBC_DEBIT`.
        bank_type: String,
        /// The card's number; sealed before it is sent.
        bank_account: Secret<String>,
        /// The card's owner; sealed before it is sent.
        real_name: Secret<String>,
    },
}

impl RefundOrder {
    /// `state`, if it is about this refund.
    ///
    /// # Errors
    /// [`WechatError::Unknown`] when number, payment or amounts are another refund's.
    pub(super) fn matched(&self, state: RefundState) -> Result<RefundState, WechatError> {
        let same = state.refund_no == self.refund_no.as_str()
            && state.transaction_id == self.transaction_id.as_str()
            && state.amount == self.amount
            && state.total == self.total;
        if same {
            Ok(state)
        } else {
            Err(WechatError::Unknown("退款应答说的是另一笔退款".to_owned()))
        }
    }
}

/// The state that WeChat's word names, in v2 and v3.
///
/// Source: 微信支付 APIv3 · 退款申请 (`status`); APIv2 · 查询退款, 退款结果通知 (`refund_status`).
pub(super) fn status_named(name: &str) -> Option<RefundStatus> {
    Some(match name {
        "PROCESSING" => RefundStatus::Processing,
        "SUCCESS" => RefundStatus::Success,
        "ABNORMAL" | "CHANGE" => RefundStatus::Abnormal,
        // `FAIL` stands on older pages of v2 for what is closed now.
        "CLOSED" | "REFUNDCLOSE" | "FAIL" => RefundStatus::Closed,
        _ => return None,
    })
}
