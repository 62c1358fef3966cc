//! Refunds that a bill has and we do not: asked about by their number, and taken in.

use std::time::Duration;

use super::trace::exchange_entries;
use super::truth::Found;
use super::{Shop, ShopError};
use crate::base::{Fen, OutTradeNo};
use crate::model::refund::RefundMismatch;
use crate::model::{Attempt, AttemptState};
use crate::store::attempts;
use crate::wechat::{RefundKey, Trace};

/// How long asking about a refund waits for its order's turn.
const TURN_WITHIN: Duration = Duration::from_secs(30);

/// What asking about a refund of a payment of ours came to; it is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TakenIn {
    /// It is known here as WeChat knows it, with this amount.
    Known(Fen),
    /// WeChat does not know it.
    Absent,
    /// It does not fit what is known here.
    Differs(RefundMismatch),
    /// Its payment is not known to be paid.
    Unpaid,
    /// Its order is busy.
    Busy,
}

impl Shop {
    /// Asks WeChat about a refund of the payment `number`, and takes it in.
    ///
    /// # Errors
    /// [`ShopError::Wechat`] when WeChat gave no truth; store errors.
    ///
    /// Source: 微信支付 APIv2 · 查询退款; APIv3 · 查询单笔退款.
    pub(super) async fn take_in_refund(
        &self,
        number: &OutTradeNo,
        refund_no: &str,
    ) -> Result<TakenIn, ShopError> {
        // A payment that was revoked stands in the bill as a refund without a number.
        if refund_no.is_empty() {
            return Ok(TakenIn::Absent);
        }
        let Some(_turn) = self.turns.wait(number.order_no(), TURN_WITHIN).await else {
            return Ok(TakenIn::Busy);
        };
        let Some(attempt) = self.attempt_of(number).await? else {
            return Ok(TakenIn::Absent);
        };
        // Its payment comes first.
        if attempt.state != AttemptState::Paid && self.ask(&attempt).await? != Found::Paid {
            return Ok(TakenIn::Unpaid);
        }
        self.ask_refund_of(&attempt, refund_no).await
    }

    async fn ask_refund_of(
        &self,
        attempt: &Attempt,
        refund_no: &str,
    ) -> Result<TakenIn, ShopError> {
        let key = RefundKey {
            protocol: self.reachable(attempt)?.protocol,
            refund_no,
        };
        let trace = Trace::new(&self.clock);
        let asked = self.wechat.query_refund(&key, &trace).await;
        let entries = exchange_entries("wechat.refund_query", &trace);
        let state = match asked {
            Ok(Some(state)) if state.out_trade_no == attempt.out_trade_no.to_string() => state,
            other => {
                let order_no = attempt.out_trade_no.order_no().clone();
                self.keep_entries(order_no, entries).await?;
                let elsewhere = TakenIn::Differs(RefundMismatch::OutTradeNo);
                return Ok(other?.map_or(TakenIn::Absent, |_| elsewhere));
            }
        };
        let amount = state.amount;
        Ok(match self.take_state(state, entries).await? {
            Some(Ok(settled)) => {
                settled.alarmed();
                TakenIn::Known(amount)
            }
            Some(Err(why)) => TakenIn::Differs(why),
            None => TakenIn::Absent,
        })
    }

    /// The attempt of this number, as it is on disk.
    ///
    /// # Errors
    /// Store errors.
    pub(super) async fn attempt_of(
        &self,
        number: &OutTradeNo,
    ) -> Result<Option<Attempt>, ShopError> {
        let wanted = number.clone();
        let read = self
            .store
            .read(move |view| attempts::attempt(view, &wanted).map_err(ShopError::from));
        read.await
    }
}

#[cfg(test)]
#[path = "bill_refunds_tests.rs"]
mod tests;
