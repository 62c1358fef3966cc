//! A buyer's wish to be refunded, and the merchant's answer.

use serde::{Deserialize, Serialize};

use super::goods::check_text;
use super::{Order, OrderStatus, Refusal};
use crate::base::{RefundNo, Timestamp};

/// The most characters of a wish, and of an answer. CONTRACT §7.
const TEXT_MAX: usize = 200;

/// Where a wish stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RequestStatus {
    /// The merchant has not decided.
    Open,
    /// The merchant refunded.
    Approved,
    /// The merchant said no, with a reason.
    Declined,
}

impl RequestStatus {
    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Declined => "declined",
        }
    }
}

/// The newest wish about one order; what came before it stands in the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRequest {
    /// Why the buyer wants the money back.
    pub reason: String,
    /// When they said so.
    pub at: Timestamp,
    /// Where it stands.
    pub status: RequestStatus,
    /// What the merchant said to a wish declined.
    pub answer: Option<String>,
    /// The refund that approved it.
    pub refund_no: Option<RefundNo>,
}

impl RefundRequest {
    /// A wish about `order` at `now`, `last` being the newest one before.
    ///
    /// # Errors
    /// [`Refusal::OrderState`] when nothing is there to refund, or a wish is open already;
    /// [`Refusal::FieldInvalid`] for the reason.
    pub fn open(
        order: &Order,
        last: Option<&Self>,
        reason: &str,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        check_said(reason)?;
        match order.status {
            OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Completed => {}
            OrderStatus::Pending | OrderStatus::Closed | OrderStatus::Refunded => {
                return Err(Refusal::OrderState);
            }
        }
        if last.is_some_and(|last| last.status == RequestStatus::Open) {
            return Err(Refusal::OrderState);
        }
        Ok(Self {
            reason: reason.to_owned(),
            at: now,
            status: RequestStatus::Open,
            answer: None,
            refund_no: None,
        })
    }

    /// The wish after the merchant opened `refund_no`; one that is not open stays as it is.
    #[must_use]
    pub fn approved(self, refund_no: &RefundNo) -> Self {
        match self.status {
            RequestStatus::Open => Self {
                status: RequestStatus::Approved,
                refund_no: Some(refund_no.clone()),
                ..self
            },
            RequestStatus::Approved | RequestStatus::Declined => self,
        }
    }

    /// The wish after WeChat refused the refund that approved it: open again.
    #[must_use]
    pub fn reopened(self, refund_no: &RefundNo) -> Self {
        if self.refund_no.as_ref() != Some(refund_no) {
            return self;
        }
        Self {
            status: RequestStatus::Open,
            refund_no: None,
            ..self
        }
    }

    /// The wish after the merchant said no.
    ///
    /// # Errors
    /// [`Refusal::OrderState`] when it is not open; [`Refusal::FieldInvalid`] for the reason.
    pub fn declined(self, answer: &str) -> Result<Self, Refusal> {
        check_said(answer)?;
        match self.status {
            RequestStatus::Open => Ok(Self {
                status: RequestStatus::Declined,
                answer: Some(answer.to_owned()),
                ..self
            }),
            RequestStatus::Approved | RequestStatus::Declined => Err(Refusal::OrderState),
        }
    }
}

/// Whether `text` may be said with a wish or in answer to it.
///
/// # Errors
/// [`Refusal::FieldInvalid`] naming `reason`.
pub fn check_said(text: &str) -> Result<(), Refusal> {
    let rule = "必须是 1 到 200 个字符";
    if text.trim().is_empty() {
        let field = "reason";
        return Err(Refusal::FieldInvalid { field, rule });
    }
    check_text("reason", text, TEXT_MAX, rule)
}
