//! The JSON of refunds and of the buyer's wish, CONTRACT §1 and §3. These types are never kept.

use serde::Serialize;

use super::views::{At, at};
use crate::model::{LastError, Refund, RefundRequest};

#[derive(Serialize)]
struct LastErrorView<'a> {
    code: &'a str,
    message: &'a str,
    at: At,
}

impl<'a> From<&'a LastError> for LastErrorView<'a> {
    fn from(error: &'a LastError) -> Self {
        Self {
            code: &error.code,
            message: &error.message,
            at: At(error.at),
        }
    }
}

/// `refund` of CONTRACT §3.
#[derive(Serialize)]
pub(super) struct RefundView<'a> {
    refund_no: &'a str,
    order_no: &'a str,
    out_trade_no: String,
    amount_fen: u64,
    reason: &'a str,
    kind: &'static str,
    status: &'static str,
    last_error: Option<LastErrorView<'a>>,
    created_at: At,
    success_at: Option<At>,
}

impl<'a> From<&'a Refund> for RefundView<'a> {
    fn from(refund: &'a Refund) -> Self {
        Self {
            refund_no: refund.refund_no.as_str(),
            order_no: refund.order_no.as_str(),
            out_trade_no: refund.out_trade_no.to_string(),
            amount_fen: refund.amount.get(),
            reason: &refund.reason,
            kind: refund.kind.as_str(),
            status: refund.status.as_str(),
            last_error: refund.last_error.as_ref().map(LastErrorView::from),
            created_at: At(refund.created_at),
            success_at: at(refund.success_at),
        }
    }
}

/// All refunds of an order; there are never so many that they need pages.
#[derive(Serialize)]
pub(super) struct RefundsView<'a> {
    refunds: Vec<RefundView<'a>>,
    next_cursor: Option<&'a str>,
}

impl<'a> RefundsView<'a> {
    /// Of refunds oldest first; shown newest first, as every list is.
    pub(super) fn new(refunds: &'a [Refund]) -> Self {
        let newest_first = refunds.iter().rev();
        Self {
            refunds: newest_first.map(RefundView::from).collect(),
            next_cursor: None,
        }
    }
}

/// `refund_request` of CONTRACT §1.
#[derive(Serialize)]
pub(super) struct RefundRequestView<'a> {
    reason: &'a str,
    at: At,
    status: &'static str,
    answer: Option<&'a str>,
}

impl<'a> From<&'a RefundRequest> for RefundRequestView<'a> {
    fn from(request: &'a RefundRequest) -> Self {
        Self {
            reason: &request.reason,
            at: At(request.at),
            status: request.status.as_str(),
            answer: request.answer.as_deref(),
        }
    }
}
