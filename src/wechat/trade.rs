//! What WeChat says of a payment when it is asked, in words that both protocols share. Pure.

use crate::base::{Fen, Timestamp, TransactionId};
use crate::model::{Attempt, Payment};

use super::error::{Cause, Refused, WechatError};

/// What WeChat says of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Where it stands.
    pub state: TradeState,
    /// The money, when it was paid or refunded; to be believed only after [`Attempt::check`].
    pub payment: Option<Payment>,
    /// WeChat's own words, for the timeline.
    pub said: String,
}

/// Where an attempt stands at WeChat.
///
/// Source: 微信支付 APIv2, APIv3 · 查询订单 (`trade_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TradeState {
    /// Not paid yet: it can still be paid.
    NotPaid,
    /// The payer is typing the password, or the deduction is under way.
    Paying,
    /// The bank refused; close it before giving up.
    Failed,
    /// Paid.
    Paid,
    /// It was paid, and at least a part was refunded since.
    Refunded,
    /// Closed: it can never be paid.
    Closed,
    /// Taken back at the till (code-scan payments only).
    Revoked,
    /// WeChat does not know the number.
    Absent,
}

impl TradeState {
    /// The state that `trade_state` names; `None` for an undocumented one.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "SUCCESS" => Self::Paid,
            "REFUND" => Self::Refunded,
            "NOTPAY" => Self::NotPaid,
            "CLOSED" => Self::Closed,
            "REVOKED" => Self::Revoked,
            "USERPAYING" | "ACCEPT" => Self::Paying,
            "PAYERROR" => Self::Failed,
            _ => return None,
        })
    }

    /// Whether the money was taken: `REFUND` means it was, and went back since.
    pub const fn was_paid(self) -> bool {
        match self {
            Self::Paid | Self::Refunded => true,
            Self::NotPaid
            | Self::Paying
            | Self::Failed
            | Self::Closed
            | Self::Revoked
            | Self::Absent => false,
        }
    }
}

/// What became of closing an attempt at WeChat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseAnswer {
    /// It is closed, now or before.
    Closed,
    /// It is paid: query it.
    Paid,
    /// WeChat does not know the number: there is nothing to close.
    Absent,
    /// Refused for now: too young, in a state that does not allow it, or by a rule.
    NotYet {
        /// WeChat's words.
        said: String,
    },
}

/// What an answer to a query says, not yet compared with what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The number it is about, where it says so.
    pub out_trade_no: Option<String>,
    /// The state.
    pub state: TradeState,
    /// The money, where it was paid.
    pub taken: Option<Taken>,
    /// WeChat's words.
    pub said: String,
}

/// The money an answer tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The mini program it names, if it does.
    pub appid: Option<String>,
    /// The merchant it names, if it does.
    pub mchid: Option<String>,
    /// WeChat's number of the payment.
    pub transaction_id: TransactionId,
    /// The order's total.
    pub amount: Fen,
    /// The currency; `CNY` when it is left out.
    pub currency: String,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
}

impl Told {
    /// What is told of `attempt`; `now` stands in for a time of payment that is missing.
    ///
    /// # Errors
    /// [`WechatError::Unknown`] when the answer is about another number than the one asked for.
    pub fn trade(self, attempt: &Attempt, now: Timestamp) -> Result<Trade, WechatError> {
        let asked = attempt.out_trade_no.to_string();
        let named = self.out_trade_no.as_deref();
        let open = matches!(
            self.state,
            TradeState::NotPaid | TradeState::Paying | TradeState::Failed
        );
        if named.map_or(!open, |named| named != asked) {
            let why = "查询结果说的是另一个商户订单号".to_owned();
            return Err(WechatError::Unknown(why));
        }
        let payment = self.taken.map(|taken| Payment {
            protocol: attempt.protocol,
            appid: taken.appid.unwrap_or_else(|| attempt.appid.to_string()),
            mchid: taken.mchid.unwrap_or_else(|| attempt.mchid.to_string()),
            out_trade_no: asked,
            transaction_id: taken.transaction_id,
            amount: taken.amount,
            currency: taken.currency,
            paid_at: taken.paid_at.unwrap_or(now),
        });
        Ok(Trade {
            state: self.state,
            payment,
            said: self.said,
        })
    }
}

/// What a refused query tells: that the number is unknown, or nothing.
///
/// # Errors
/// The refusal itself, when it does not say that the number is unknown.
pub(super) fn of_refused_query(error: WechatError) -> Result<Trade, WechatError> {
    match &error {
        WechatError::Refused(refused) if refused.is_absence() => Ok(Trade {
            state: TradeState::Absent,
            payment: None,
            said: refused.to_string(),
        }),
        WechatError::Refused(_) | WechatError::Unknown(_) | WechatError::NotSent(_) => Err(error),
    }
}

/// What a refused close means.
///
/// # Errors
/// The refusal itself, when it is about us (keys, parameters) and not about the order.
///
/// Source: 微信支付 APIv2, APIv3 · 关闭订单 · 错误码.
pub(super) fn of_refused_close(error: WechatError) -> Result<CloseAnswer, WechatError> {
    let WechatError::Refused(refused) = &error else {
        return Err(error);
    };
    if refused.is_absence() {
        return Ok(CloseAnswer::Absent);
    }
    let not_yet = || CloseAnswer::NotYet {
        said: refused.to_string(),
    };
    match refused.cause {
        Cause::OrderPaid => Ok(CloseAnswer::Paid),
        Cause::OrderClosed => Ok(CloseAnswer::Closed),
        Cause::RuleLimit | Cause::RateLimited => Ok(not_yet()),
        _ if is_plain(refused, "INVALIDREQUEST") => Ok(not_yet()),
        _ => Err(error),
    }
}

fn is_plain(refused: &Refused, code: &str) -> bool {
    refused.code.replace('_', "") == code
}

#[cfg(test)]
#[path = "trade_tests.rs"]
pub(crate) mod tests;
