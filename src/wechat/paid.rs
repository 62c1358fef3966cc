//! What a verified payment notification says. Whether an attempt waits for it is `model`'s. Pure.

use crate::base::{AppId, Fen, MchId, OpenId, Timestamp, TransactionId};

use super::prepay::Protocol;
use crate::model::Payment;

/// A verified notification of a successful payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaidNotice {
    /// What it was verified with; it must be its attempt's.
    pub protocol: Protocol,
    /// The mini program it names.
    pub appid: AppId,
    /// The merchant it names.
    pub mchid: MchId,
    /// Our number of the attempt, as WeChat wrote it.
    pub out_trade_no: String,
    /// WeChat's number of the payment.
    pub transaction_id: TransactionId,
    /// The order's total (not what the payer paid after coupons).
    pub amount: Fen,
    /// The currency; `CNY` when v2 leaves it out.
    pub currency: String,
    /// The payer.
    pub openid: Option<OpenId>,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
}

impl PaidNotice {
    /// The payment it tells of, to be checked against its attempt. WeChat's own time of payment
    /// counts; `now` stands in where it is missing.
    pub fn payment(self, now: Timestamp) -> Payment {
        Payment {
            protocol: self.protocol,
            appid: self.appid.to_string(),
            mchid: self.mchid.to_string(),
            out_trade_no: self.out_trade_no,
            transaction_id: self.transaction_id,
            amount: self.amount,
            currency: self.currency,
            paid_at: self.paid_at.unwrap_or(now),
        }
    }
}
