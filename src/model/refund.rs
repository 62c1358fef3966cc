//! The life of a refund: one pure, total function from what is known to what follows.
//!
//! Not the sums over several refunds of one order: those are `refund_room`'s.

use serde::{Deserialize, Serialize};

pub use super::refund_status::RefundStatus;
pub use super::refund_told::{Claimed, RefundMismatch, Told};
use super::{Attempt, Order, OrderStatus, Protocol, Refusal};
use crate::base::{Fen, OrderNo, OutTradeNo, RefundNo, Timestamp, TransactionId};

/// Why money goes back. CONTRACT §7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RefundKind {
    /// The merchant wants it.
    Merchant,
    /// The order was paid twice: all of the second payment.
    Surplus,
    /// The order was closed and its stock is gone: all of the late payment.
    Late,
    /// Started in WeChat's merchant platform, or by a copy of this store that we are older than.
    External,
}

impl RefundKind {
    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Merchant => "merchant",
            Self::Surplus => "surplus",
            Self::Late => "late",
            Self::External => "external",
        }
    }

    /// Whether the money must go back whatever WeChat says first: nobody may keep it.
    pub const fn is_owed(self) -> bool {
        match self {
            Self::Surplus | Self::Late => true,
            Self::Merchant | Self::External => false,
        }
    }
}

/// Whether the order's pieces return into stock when it is wholly refunded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Restock {
    /// They do.
    Yes,
    /// They are gone, or were never taken.
    No,
}

impl Restock {
    /// What is meant when nothing is said: goods that have not left come back.
    pub fn usual(order: &Order) -> Self {
        match order.status {
            OrderStatus::Pending | OrderStatus::Paid => Self::Yes,
            OrderStatus::Shipped
            | OrderStatus::Completed
            | OrderStatus::Closed
            | OrderStatus::Refunded => Self::No,
        }
    }
}

/// Why the last call about a refund did not do what it was for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// WeChat's code, or ours: `UNKNOWN`, `NOT_SENT`.
    pub code: String,
    /// The cause and what to do, one sentence in Chinese.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// One refund of one payment attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its number at WeChat (out_refund_no), the same in every retry.
    pub refund_no: RefundNo,
    /// The order.
    pub order_no: OrderNo,
    /// The attempt whose money goes back.
    pub out_trade_no: OutTradeNo,
    /// WeChat's number of that money.
    pub transaction_id: TransactionId,
    /// The protocol of the attempt, in which the refund is asked for.
    pub protocol: Protocol,
    /// Why it goes back.
    pub kind: RefundKind,
    /// How much goes back.
    pub amount: Fen,
    /// What the attempt was paid with.
    pub total: Fen,
    /// What the payer reads, 1 to 80 bytes.
    pub reason: String,
    /// Whether stock returns.
    pub restock: Restock,
    /// Where WeChat is to tell its end: empty until it is first sent, repeated identically then.
    pub notify_url: String,
    /// Where it stands.
    pub status: RefundStatus,
    /// When it was last sent to WeChat. Without [`Self::refund_id`] the outcome is not known.
    pub sent_at: Option<Timestamp>,
    /// WeChat's number; there once WeChat is known to have taken it.
    pub refund_id: Option<String>,
    /// Why it stands still, when it does.
    pub last_error: Option<LastError>,
    /// When it was written down.
    pub created_at: Timestamp,
    /// When the money was back.
    pub success_at: Option<Timestamp>,
    /// When it is looked at next; kept by the store together with the due work.
    pub next_at: Option<Timestamp>,
}

/// What follows from a step of a refund, carried out in the same transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundEffect {
    /// The money is back: the order counts it.
    Count,
    /// It ended, and money that must go back has not: a person has to see to it.
    StillOwed,
    /// Write this into the order's timeline.
    Note {
        /// A word for programs, such as `refund.accepted`.
        kind: &'static str,
        /// What and why, in Chinese.
        text: String,
    },
}

/// What a new refund is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRefund {
    /// Its number.
    pub refund_no: RefundNo,
    /// Why.
    pub kind: RefundKind,
    /// How much.
    pub amount: Fen,
    /// What the payer reads.
    pub reason: String,
    /// Whether stock returns.
    pub restock: Restock,
    /// When it is written down.
    pub now: Timestamp,
}

type Step = (Refund, Vec<RefundEffect>);

impl Refund {
    /// A new refund of `attempt`, not sent yet; `None` when the attempt is not paid.
    pub fn open(new: NewRefund, attempt: &Attempt) -> Option<Self> {
        Some(Self {
            refund_no: new.refund_no,
            order_no: attempt.out_trade_no.order_no().clone(),
            out_trade_no: attempt.out_trade_no.clone(),
            transaction_id: attempt.transaction_id.clone()?,
            protocol: attempt.protocol,
            kind: new.kind,
            amount: new.amount,
            total: attempt.amount,
            reason: new.reason,
            restock: new.restock,
            notify_url: String::new(),
            status: RefundStatus::Processing,
            sent_at: None,
            refund_id: None,
            last_error: None,
            created_at: new.now,
            success_at: None,
            next_at: None,
        })
    }

    /// Whether nothing can change it any more, as far as we know.
    pub const fn is_final(&self) -> bool {
        match self.status {
            RefundStatus::Success | RefundStatus::Closed => true,
            RefundStatus::Processing | RefundStatus::Abnormal => false,
        }
    }

    /// Whether its amount is gone or may go: everything but a closed one.
    pub const fn holds(&self) -> bool {
        match self.status {
            RefundStatus::Processing | RefundStatus::Abnormal | RefundStatus::Success => true,
            RefundStatus::Closed => false,
        }
    }

    /// The refund while it is being sent at `now`; the first time fixes where its end is told.
    #[must_use]
    pub fn sent(self, notify_url: &str, now: Timestamp) -> Self {
        let fixed = if self.notify_url.is_empty() {
            notify_url.to_owned()
        } else {
            self.notify_url
        };
        Self {
            sent_at: Some(now),
            notify_url: fixed,
            ..self
        }
    }

    /// Whether what WeChat claims of this refund is ours.
    ///
    /// Source: 微信支付 APIv2 · 退款结果通知; APIv3 · 退款结果通知: compare with the local record.
    ///
    /// # Errors
    /// The first [`RefundMismatch`] found.
    pub fn check(&self, claimed: &Claimed<'_>) -> Result<(), RefundMismatch> {
        let rules = [
            (
                claimed.out_trade_no == self.out_trade_no.to_string(),
                RefundMismatch::OutTradeNo,
            ),
            (
                claimed.transaction_id == self.transaction_id.as_str(),
                RefundMismatch::Transaction,
            ),
            (claimed.total == self.total, RefundMismatch::Total),
            (claimed.amount == self.amount, RefundMismatch::Amount),
        ];
        rules
            .into_iter()
            .find(|(holds, _)| !holds)
            .map_or(Ok(()), |(_, why)| Err(why))
    }

    /// The refund after WeChat told `told` at `now`, with what follows from it.
    ///
    /// Told twice is told once. A refund that we closed on a refusal, without WeChat's number, is
    /// not final to WeChat's own word: an earlier call of unknown outcome may have been taken.
    ///
    /// Source: 微信支付 APIv3 · 退款结果通知, 发起异常退款.
    ///
    /// # Errors
    /// [`RefundMismatch::Final`] when it succeeded and is told closed, or the reverse.
    pub fn told(self, told: &Told, now: Timestamp) -> Result<Step, RefundMismatch> {
        if self.status == told.status && self.refund_id.is_some() {
            return Ok((self, vec![]));
        }
        let ended = self.is_final() && self.refund_id.is_some();
        match told.status {
            // Old news: an answer that was overtaken by the word of its end.
            RefundStatus::Processing | RefundStatus::Abnormal if ended => {
                return Ok((self, vec![]));
            }
            RefundStatus::Success | RefundStatus::Closed if ended => {
                return Err(RefundMismatch::Final);
            }
            RefundStatus::Processing
            | RefundStatus::Abnormal
            | RefundStatus::Success
            | RefundStatus::Closed => {}
        }
        let after = Self {
            refund_id: Some(told.refund_id.clone()),
            status: told.status,
            last_error: None,
            ..self
        };
        Ok(match told.status {
            RefundStatus::Success => {
                let success_at = told.success_at.or(Some(now));
                (
                    Self {
                        success_at,
                        ..after
                    },
                    vec![RefundEffect::Count],
                )
            }
            RefundStatus::Closed => after.closed_by_wechat(),
            RefundStatus::Processing => {
                let (no, amount) = (&after.refund_no, after.amount);
                let text = format!("微信已受理退款 {no}，{amount} 元，等待到账");
                (after, vec![note("refund.accepted", text)])
            }
            RefundStatus::Abnormal => {
                let no = &after.refund_no;
                let text = format!("退款 {no} 异常：原路退不回去，须另选退款去向");
                (after, vec![note("refund.abnormal", text)])
            }
        })
    }

    fn closed_by_wechat(self) -> Step {
        let text = format!("微信关闭了退款 {}，钱未退出", self.refund_no);
        let mut effects = vec![note("refund.closed", text)];
        if self.kind.is_owed() {
            effects.push(RefundEffect::StillOwed);
        }
        (self, effects)
    }

    /// The refund after a call whose outcome is unknown, or that WeChat wants later.
    ///
    /// One that has ended, by a notify that was faster, stays as it is.
    #[must_use]
    pub fn deferred(self, error: LastError) -> Step {
        if self.is_final() {
            return (self, vec![]);
        }
        let text = format!(
            "退款 {} 稍后以同一单号重试：{}",
            self.refund_no, error.message
        );
        let last_error = Some(error);
        (
            Self { last_error, ..self },
            vec![note("refund.deferred", text)],
        )
    }

    /// The refund after WeChat refused it for good and is known not to hold it.
    ///
    /// What the merchant wanted is closed. What is owed stays open as abnormal, with its reason:
    /// that nobody may keep the money does not end with a refusal. One that WeChat took or that
    /// has ended stays as it is.
    #[must_use]
    pub fn refused(self, error: LastError) -> Step {
        if self.is_final() || self.refund_id.is_some() {
            return (self, vec![]);
        }
        let text = format!("微信拒绝退款 {}：{}", self.refund_no, error.message);
        let last_error = Some(error);
        let note = note("refund.refused", text);
        if self.kind.is_owed() {
            let status = RefundStatus::Abnormal;
            return (
                Self {
                    last_error,
                    status,
                    ..self
                },
                vec![note, RefundEffect::StillOwed],
            );
        }
        let status = RefundStatus::Closed;
        (
            Self {
                last_error,
                status,
                ..self
            },
            vec![note],
        )
    }

    /// What the refund is after WeChat, asked, did not know it: to be sent again.
    #[must_use]
    pub fn absent(self) -> Self {
        if self.is_final() {
            return self;
        }
        Self {
            refund_id: None,
            ..self
        }
    }

    /// The refund when the merchant wants it tried again.
    ///
    /// One that WeChat refused is taken up under its own number: WeChat never held it.
    ///
    /// # Errors
    /// [`Refusal::RefundManual`] when WeChat closed it: a new one needs a new number.
    pub fn taken_up(self) -> Result<Self, Refusal> {
        match (self.status, &self.refund_id) {
            (RefundStatus::Processing | RefundStatus::Abnormal | RefundStatus::Success, _) => {
                Ok(self)
            }
            (RefundStatus::Closed, None) if self.kind != RefundKind::External => Ok(Self {
                status: RefundStatus::Processing,
                ..self
            }),
            (RefundStatus::Closed, _) => Err(Refusal::RefundManual {
                what: "微信已关闭这笔退款，钱未退出；如仍要退，请新建一笔退款",
            }),
        }
    }
}

fn note(kind: &'static str, text: String) -> RefundEffect {
    RefundEffect::Note { kind, text }
}

#[cfg(test)]
#[path = "refund_tests.rs"]
mod tests;
