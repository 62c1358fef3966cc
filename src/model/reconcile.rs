//! Comparing WeChat's bill with what is known here, row by row. Pure; not the reading of a bill.
//!
//! Source: 微信支付 APIv3 · 下载账单 · 对账 (15.5): payments by out_trade_no, refunds by
//! out_refund_no, amounts by 订单金额 and 申请退款金额.

use serde::{Deserialize, Serialize};

use crate::base::{Fen, OutTradeNo, Timestamp};

/// One row of a trade bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BillRow {
    /// Money that came in.
    Payment(BillPayment),
    /// Money that was sent back, or was accepted to be.
    Refund(BillRefund),
}

/// A payment in a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillPayment {
    /// The merchant's number.
    pub out_trade_no: String,
    /// WeChat's number.
    pub transaction_id: String,
    /// The order's total.
    pub amount: Fen,
    /// When it was paid.
    pub at: Option<Timestamp>,
}

/// A refund in a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillRefund {
    /// The number of the payment it goes back from.
    pub out_trade_no: String,
    /// WeChat's number of that payment.
    pub transaction_id: String,
    /// The merchant's number of the refund; empty for a payment that was revoked.
    pub refund_no: String,
    /// What was asked to go back.
    pub amount: Fen,
    /// When it was accepted.
    pub at: Option<Timestamp>,
}

impl BillRow {
    /// The merchant's number of the payment that the row is about.
    pub fn out_trade_no(&self) -> &str {
        match self {
            Self::Payment(payment) => &payment.out_trade_no,
            Self::Refund(refund) => &refund.out_trade_no,
        }
    }
}

/// A payment attempt of ours, as far as a bill can be compared with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPayment {
    /// Its number.
    pub out_trade_no: OutTradeNo,
    /// What it was opened for.
    pub amount: Fen,
    /// WeChat's number of its payment, once we know that it was paid.
    pub paid: Option<String>,
}

/// A refund of ours, as far as a bill can be compared with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRefund {
    /// The payment it goes back from.
    pub out_trade_no: String,
    /// How much.
    pub amount: Fen,
}

/// How a bill and what is known here can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// In the bill, and not paid or not known here.
    MissingLocal,
    /// Paid here, and not in the bill.
    MissingWechat,
    /// On both sides, with different amounts.
    AmountDiffers,
}

impl Class {
    /// All of them, in the contract's order.
    pub const ALL: [Self; 3] = [Self::MissingLocal, Self::MissingWechat, Self::AmountDiffers];

    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingLocal => "missing_local",
            Self::MissingWechat => "missing_wechat",
            Self::AmountDiffers => "amount_differs",
        }
    }
}

/// What one row of a bill comes to. Every row comes to exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same on both sides.
    Matched,
    /// Paid there with the amount we wait for, unpaid here: WeChat is asked, and that counts.
    Unpaid(OutTradeNo),
    /// A refund of a payment of ours that we did not start.
    ForeignRefund(OutTradeNo),
    /// A difference for the merchant's eyes: its class, and why in Chinese.
    Differs(Class, &'static str),
}

/// Compares a payment in the bill with our attempt of that number, if there is one.
///
/// The day of our record does not matter: around midnight the bill may count another day than we.
pub fn judge_payment(bill: &BillPayment, local: Option<&LocalPayment>) -> Verdict {
    let Some(local) = local else {
        return Verdict::Differs(Class::MissingLocal, "本系统没有这个商户订单号");
    };
    if bill.amount != local.amount {
        return Verdict::Differs(Class::AmountDiffers, "账单的订单金额与支付单不同");
    }
    match &local.paid {
        None => Verdict::Unpaid(local.out_trade_no.clone()),
        Some(transaction_id) if *transaction_id == bill.transaction_id => Verdict::Matched,
        Some(_) => {
            let why = "这笔支付单在本系统记为由另一笔微信交易支付";
            Verdict::Differs(Class::MissingLocal, why)
        }
    }
}

/// Compares a refund in the bill with our refund of that number and our attempt, if there are any.
///
/// The bill says how a refund stood when it was made, so only the amount is compared.
pub fn judge_refund(
    bill: &BillRefund,
    local: Option<&LocalRefund>,
    payment: Option<&LocalPayment>,
) -> Verdict {
    match (local, payment) {
        (Some(local), _) if local.out_trade_no != bill.out_trade_no => {
            let why = "本系统的这个退款单号属于另一笔支付";
            Verdict::Differs(Class::MissingLocal, why)
        }
        (Some(local), _) if local.amount != bill.amount => {
            Verdict::Differs(Class::AmountDiffers, "账单的申请退款金额与退款单不同")
        }
        (Some(_), _) => Verdict::Matched,
        (None, Some(payment)) => Verdict::ForeignRefund(payment.out_trade_no.clone()),
        (None, None) => {
            let why = "本系统没有这个退款单号，也没有对应的支付单";
            Verdict::Differs(Class::MissingLocal, why)
        }
    }
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
