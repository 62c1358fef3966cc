//! A payment attempt: one out_trade_no at WeChat, with the exact parameters it was opened with.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Order, OrderStatus, Refusal};
use crate::base::{AppId, Fen, MchId, OpenId, OutTradeNo, PrepayId, Timestamp, TransactionId};

/// How long a prepay_id is good for, less ten minutes for the buyer to type a password.
///
/// Source: 微信支付 APIv2 · 统一下单 and APIv3 · JSAPI/小程序下单: two hours.
pub const PREPAY_LIFE: Duration = Duration::from_secs(7200 - 600);

/// The protocol and signature an attempt was opened with; its notify must come in the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// APIv2, MD5.
    V2Md5,
    /// APIv2, HMAC-SHA256.
    V2HmacSha256,
    /// APIv3, RSA.
    V3,
}

/// Where an attempt stands at WeChat, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AttemptState {
    /// Written down, perhaps opened at WeChat, not known to be paid or closed.
    Open,
    /// WeChat told us that it was paid.
    Paid,
    /// WeChat told us that it is closed.
    Closed,
}

/// One attempt to pay one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number at WeChat.
    pub out_trade_no: OutTradeNo,
    /// How it was opened.
    pub protocol: Protocol,
    /// The mini program it was opened for.
    pub appid: AppId,
    /// The merchant number it was opened for.
    pub mchid: MchId,
    /// The payer.
    pub openid: OpenId,
    /// What is to be paid.
    pub amount: Fen,
    /// Until when WeChat lets it be paid.
    pub time_expire: Timestamp,
    /// The exact body (v3) or fields less nonce_str and sign (v2), repeated identically.
    pub request: String,
    /// The newest prepay_id and when it was given.
    pub prepay: Option<(PrepayId, Timestamp)>,
    /// Where it stands.
    pub state: AttemptState,
    /// WeChat's number of its payment.
    pub transaction_id: Option<TransactionId>,
    /// When WeChat took the money.
    pub paid_at: Option<Timestamp>,
    /// Whether its money pays the order (the first does; a second is surplus).
    pub counted: bool,
    /// When it was written down.
    pub created_at: Timestamp,
}

/// A payment as WeChat tells of it, its signature verified, its content not yet believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The protocol it was told in.
    pub protocol: Protocol,
    /// The appid it names.
    pub appid: String,
    /// The mchid it names.
    pub mchid: String,
    /// The out_trade_no it names.
    pub out_trade_no: String,
    /// WeChat's number of the payment.
    pub transaction_id: TransactionId,
    /// The order's amount (not what the payer paid after coupons).
    pub amount: Fen,
    /// The currency it names.
    pub currency: String,
    /// When WeChat took the money.
    pub paid_at: Timestamp,
}

/// What a payment must share with its attempt, and did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Another protocol or sign type than the attempt's.
    #[error("通知的协议或签名方式与支付单不同")]
    Protocol,
    /// Another mini program.
    #[error("appid 与支付单不同")]
    AppId,
    /// Another merchant.
    #[error("mchid 与支付单不同")]
    MchId,
    /// Another number.
    #[error("out_trade_no 与支付单不同")]
    OutTradeNo,
    /// Another amount.
    #[error("金额与支付单不同")]
    Amount,
    /// Not CNY.
    #[error("币种不是 CNY")]
    Currency,
    /// The attempt was paid by another transaction before.
    #[error("这笔支付单已记为由另一笔微信交易支付")]
    Transaction,
}

/// What `pay` has to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayStep {
    /// Sign the prepay_id that is still good.
    Reuse(PrepayId),
    /// Send the stored request again: its answer was lost, or its prepay_id is too old.
    Repeat,
    /// Open the attempt of this number.
    Open(u16),
    /// Have the newest attempt closed first: it is for another amount, or cannot be sent any more.
    Replace,
}

/// Whether the request that an attempt stored can still be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its mini program, merchant number and keys are still configured.
    Usable,
    /// The configuration has moved on.
    Obsolete,
}

impl Attempt {
    /// Whether `payment` is this attempt's.
    ///
    /// Source: 微信支付 APIv2 · 支付结果通知; APIv3 · 支付成功回调通知: compare what was ordered.
    ///
    /// # Errors
    /// The first [`Mismatch`] found.
    pub fn check(&self, payment: &Payment) -> Result<(), Mismatch> {
        let known = self.transaction_id.as_ref();
        let rules = [
            (payment.protocol == self.protocol, Mismatch::Protocol),
            (payment.appid == self.appid.as_str(), Mismatch::AppId),
            (payment.mchid == self.mchid.as_str(), Mismatch::MchId),
            (
                payment.out_trade_no == self.out_trade_no.to_string(),
                Mismatch::OutTradeNo,
            ),
            (payment.amount == self.amount, Mismatch::Amount),
            (payment.currency == "CNY", Mismatch::Currency),
            (
                known.is_none_or(|id| *id == payment.transaction_id),
                Mismatch::Transaction,
            ),
        ];
        rules
            .into_iter()
            .find(|(holds, _)| !holds)
            .map_or(Ok(()), |(_, why)| Err(why))
    }

    /// The attempt after WeChat gave `prepay_id` for it.
    #[must_use]
    pub fn prepaid(self, prepay_id: PrepayId, now: Timestamp) -> Self {
        Self {
            prepay: Some((prepay_id, now)),
            ..self
        }
    }

    /// The attempt after WeChat confirmed that it can be paid no more; a paid one stays paid.
    #[must_use]
    pub fn closed(self) -> Self {
        match self.state {
            AttemptState::Open | AttemptState::Closed => Self {
                state: AttemptState::Closed,
                ..self
            },
            AttemptState::Paid => self,
        }
    }

    /// The attempt after its payment was checked; `counted` says whether it pays the order.
    #[must_use]
    pub fn paid(self, payment: &Payment, counted: Counted) -> Self {
        Self {
            state: AttemptState::Paid,
            transaction_id: Some(payment.transaction_id.clone()),
            paid_at: Some(payment.paid_at),
            counted: counted == Counted::PaysTheOrder,
            ..self
        }
    }

    /// The attempt after money came in on it that is not what it asked for, and is given back: it
    /// is paid with that money, which pays for nothing.
    #[must_use]
    pub fn paid_otherwise(self, payment: &Payment) -> Self {
        Self {
            amount: payment.amount,
            ..self.paid(payment, Counted::Surplus)
        }
    }
}

/// Whether a payment pays its order or is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The first money on the order.
    PaysTheOrder,
    /// The order was paid by another attempt before.
    Surplus,
}

/// What `pay` has to do for `order` at `now`, `newest` being its newest attempt and whether that
/// can still be sent.
///
/// # Errors
/// [`Refusal::OrderPaid`]; [`Refusal::OrderClosed`] when closed, closing or expired.
pub fn pay_step(
    order: &Order,
    newest: Option<(&Attempt, Standing)>,
    now: Timestamp,
) -> Result<PayStep, Refusal> {
    match order.status {
        OrderStatus::Pending => {}
        OrderStatus::Closed => return Err(Refusal::OrderClosed),
        OrderStatus::Paid
        | OrderStatus::Shipped
        | OrderStatus::Completed
        | OrderStatus::Refunded => return Err(Refusal::OrderPaid),
    }
    if order.closing_since.is_some() || now >= order.expires_at {
        return Err(Refusal::OrderClosed);
    }
    let Some((newest, standing)) = newest else {
        return Ok(PayStep::Open(1));
    };
    match (newest.state, standing) {
        (AttemptState::Paid, _) if newest.counted => Err(Refusal::OrderPaid),
        // What was not the order's price was given back: the price is still to be paid.
        (AttemptState::Paid | AttemptState::Closed, _) => Ok(PayStep::Open(
            newest.out_trade_no.attempt().saturating_add(1),
        )),
        (AttemptState::Open, Standing::Obsolete) => Ok(PayStep::Replace),
        (AttemptState::Open, Standing::Usable) if newest.amount != order.total => {
            Ok(PayStep::Replace)
        }
        (AttemptState::Open, Standing::Usable) => Ok(match &newest.prepay {
            Some((prepay_id, at)) if now.since(*at) < PREPAY_LIFE => {
                PayStep::Reuse(prepay_id.clone())
            }
            Some(_) | None => PayStep::Repeat,
        }),
    }
}

#[cfg(test)]
#[path = "attempt_tests.rs"]
mod tests;
