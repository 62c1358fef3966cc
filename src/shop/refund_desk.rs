//! Refunds inside one transaction: opened, told of, refused, counted. No call is made here.

use super::ShopError;
use super::effects::Desk;
use super::happening::Happening;
#[cfg(test)]
use crate::base::trial::{self, Planted};
use crate::base::{Fen, RefundNo, Timestamp, TransactionId};
use crate::model::refund::{Claimed, NewRefund, RefundEffect, RefundMismatch, Told};
use crate::model::refund_room::{Room, counts, stock_returns, wait, wait_of};
use crate::model::{Attempt, Effect, LastError, Order, OrderEvent, Refund, RefundKind, Restock};
use crate::store::orders::{self, Owner};
use crate::store::unmatched::{self, Unmatched};
use crate::store::{StoreError, Tally, attempts, refunds};
use crate::wechat::RefundState;

/// What a refund became, and what the operator has to hear of it once it is on disk.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    /// The refund as kept.
    pub(super) refund: Refund,
    /// One sentence each, in Chinese.
    pub(super) alarms: Vec<String>,
}

impl Settled {
    /// Tells the operator, after the transaction.
    pub(super) fn alarmed(self) -> Refund {
        for alarm in &self.alarms {
            let refund_no = &self.refund.refund_no;
            tracing::error!(alarm = true, %refund_no, "{alarm}");
        }
        self.refund
    }
}

impl Desk<'_, '_> {
    /// Opens a refund that the merchant wants, if there is room; the buyer's wish is met by it.
    pub(super) fn open_refund(
        &mut self,
        order: &Order,
        attempt: &Attempt,
        new: NewRefund,
    ) -> Result<Refund, ShopError> {
        let others = refunds::of_order(self.tx, &order.order_no)?;
        let room = Room::new(order, &others);
        room.check(attempt, new.amount, self.now)?;
        let state = crate::model::Refusal::OrderState;
        let refund = Refund::open(new, attempt).ok_or(state)?;
        let at = room.slot(&refund, self.now);
        let text = format!(
            "商家退款 {}，{} 元：{}",
            refund.refund_no, refund.amount, refund.reason
        );
        self.note(order, "refund.opened", text)?;
        if let Some(wish) = refunds::request(self.tx, &order.order_no)? {
            let wish = wish.approved(&refund.refund_no);
            refunds::put_request(self.tx, &order.order_no, &wish)?;
        }
        Ok(refunds::plan(self.tx, refund, at, 0)?)
    }

    /// A refund that WeChat refused is tried again under its number, if there is still room.
    pub(super) fn reopen(
        &mut self,
        order: &Order,
        attempt: &Attempt,
        refund: Refund,
    ) -> Result<Refund, ShopError> {
        let others = refunds::of_order(self.tx, &order.order_no)?;
        Room::new(order, &others).check(attempt, refund.amount, self.now)?;
        let text = format!("商家再试被拒的退款 {}", refund.refund_no);
        self.note(order, "refund.reopened", text)?;
        Ok(refunds::plan(self.tx, refund, self.now, 0)?)
    }

    /// Keeps what WeChat told of `refund`, which was read in this transaction; `step` says how
    /// often it was looked at before.
    pub(super) fn take_told(
        &mut self,
        refund: Refund,
        state: &RefundState,
        step: u16,
    ) -> Result<Result<Settled, RefundMismatch>, ShopError> {
        if let Err(why) = refund.check(&claimed(state)) {
            return Ok(Err(why));
        }
        let told = Told {
            refund_id: state.refund_id.clone(),
            status: state.status,
            success_at: state.success_at,
        };
        match refund.told(&told, self.now) {
            Ok((after, effects)) => {
                let settled = self.settle(after, effects, step)?;
                if settled.refund.kind == RefundKind::External {
                    self.owe_the_rest(&settled.refund)?;
                }
                Ok(Ok(settled))
            }
            Err(why) => Ok(Err(why)),
        }
    }

    /// Keeps that `refund` is tried again later, and why.
    pub(super) fn defer(
        &mut self,
        refund: Refund,
        error: LastError,
        step: u16,
    ) -> Result<Settled, ShopError> {
        let (after, effects) = refund.deferred(error);
        self.settle(after, effects, step)
    }

    /// Keeps that WeChat refused `refund` for good; a wish that it met is open again.
    pub(super) fn refuse(
        &mut self,
        refund: Refund,
        error: LastError,
        step: u16,
    ) -> Result<Settled, ShopError> {
        if self.no_longer_fits(&refund)? {
            let refund = self.replace(refund, error)?;
            let alarms = vec![];
            return Ok(Settled { refund, alarms });
        }
        let (after, effects) = refund.refused(error);
        if let Some(wish) = refunds::request(self.tx, &after.order_no)?
            && !after.holds()
        {
            let wish = wish.reopened(&after.refund_no);
            refunds::put_request(self.tx, &after.order_no, &wish)?;
        }
        self.settle(after, effects, step)
    }

    /// Carries out what follows and plans the next look, unless it has ended.
    pub(super) fn settle(
        &mut self,
        refund: Refund,
        effects: Vec<RefundEffect>,
        step: u16,
    ) -> Result<Settled, ShopError> {
        let order_no = &refund.order_no;
        let order = orders::require_order(self.tx, self.key, order_no, Owner::Any)?;
        let mut alarms = vec![];
        #[cfg(test)]
        let effects = match trial::is(Planted::RefundMiscounted) {
            true if effects.contains(&RefundEffect::Count) => {
                let amount = Fen::new(refund.amount.get().saturating_sub(1));
                let less = Refund {
                    amount,
                    ..refund.clone()
                };
                self.count_refund(&order, &less)?;
                let others = effects.into_iter();
                others
                    .filter(|other| *other != RefundEffect::Count)
                    .collect()
            }
            true | false => effects,
        };
        for effect in effects {
            match effect {
                RefundEffect::Count => alarms.extend(self.count_refund(&order, &refund)?),
                RefundEffect::StillOwed => alarms.push(self.still_owed(&order, &refund)?),
                RefundEffect::Note { kind, text } => self.note(&order, kind, text)?,
            }
        }
        let refund = if refund.is_final() {
            refunds::end(self.tx, refund)?
        } else {
            let at = self.now.plus(wait(wait_of(&refund), step));
            refunds::plan(self.tx, refund, at, step.saturating_add(1))?
        };
        Ok(Settled { refund, alarms })
    }

    /// The money of `refund` is back: the order counts it, stock returns when all of it is back.
    fn count_refund(
        &mut self,
        order: &Order,
        refund: &Refund,
    ) -> Result<Option<String>, ShopError> {
        let text = format!("退款 {} 已到账，{} 元", refund.refund_no, refund.amount);
        self.note(order, "refund.arrived", text)?;
        self.tx.count(Tally::RefundedFen, refund.amount.get());
        self.happened(order, Happening::RefundSucceeded(refund))?;
        if !counts(order, refund) {
            return Ok(None);
        }
        let others = refunds::of_order(self.tx, &order.order_no)?;
        let amount = Room::new(order, &others).countable(refund);
        let after = self.decide(order, OrderEvent::Refunded(amount))?;
        if stock_returns(order, &after, refund.restock) {
            self.carry_out(&after, Effect::ReturnStock)?;
            self.note(&after, "refund.restocked", "订单已全额退款，库存已归还")?;
        }
        if amount == refund.amount {
            return Ok(None);
        }
        let text = "退款合计超过订单已付金额，超出的部分未计入，请核对";
        self.keep_odd(refund, text)?;
        self.note(&after, "refund.exceeds", text)?;
        Ok(Some(text.to_owned()))
    }

    /// Lists a refund for the merchant beside the notifies that match nothing.
    pub(super) fn keep_odd(&mut self, refund: &Refund, reason: &str) -> Result<(), StoreError> {
        let odd = Odd {
            out_trade_no: refund.out_trade_no.to_string(),
            transaction_id: refund.transaction_id.clone(),
            amount: refund.amount,
        };
        odd.keep(self, reason)
    }

    /// Takes in a refund of `attempt` that WeChat tells of under a number we do not know.
    pub(super) fn take_external(
        &mut self,
        attempt: &Attempt,
        state: &RefundState,
    ) -> Result<Result<Settled, RefundMismatch>, ShopError> {
        let order_no = attempt.out_trade_no.order_no();
        let order = orders::require_order(self.tx, self.key, order_no, Owner::Any)?;
        let paid = attempt.transaction_id.as_ref().map(TransactionId::as_str);
        if paid != Some(&state.transaction_id) {
            return Ok(Err(RefundMismatch::Transaction));
        }
        let Ok(refund_no) = state.refund_no.parse() else {
            return Ok(Err(RefundMismatch::Absent));
        };
        if state.amount == Fen::ZERO || state.amount > attempt.amount {
            return Ok(Err(RefundMismatch::Amount));
        }
        let others = refunds::of_order(self.tx, order_no)?;
        let exceeds = state.amount > Room::new(&order, &others).left_of(attempt);
        let new = NewRefund {
            refund_no,
            kind: RefundKind::External,
            amount: state.amount,
            reason: "在微信支付商户平台发起".to_owned(),
            restock: Restock::usual(&order),
            now: self.now,
        };
        let Some(refund) = Refund::open(new, attempt) else {
            return Ok(Err(RefundMismatch::Transaction));
        };
        let text = format!(
            "得知一笔不是由本店发起的退款 {}，{} 元",
            refund.refund_no, refund.amount
        );
        self.note(&order, "refund.external", text)?;
        let kept = refund.clone();
        let mut settled = match self.take_told(refund, state, 0)? {
            Ok(settled) => settled,
            Err(why) => return Ok(Err(why)),
        };
        if exceeds && settled.refund.holds() {
            let text = "商户平台发起的退款超过了这里还可退的金额，请核对本店正在处理的退款";
            self.keep_odd(&kept, text)?;
            settled.alarms.push(text.to_owned());
        }
        Ok(Ok(settled))
    }

    /// The refund that `state` is about, or the paid attempt that it takes money from.
    pub(super) fn known(&self, state: &RefundState) -> Result<Known, StoreError> {
        let refund_no = state.refund_no.parse::<RefundNo>().ok();
        let refund = refund_no
            .map(|no| refunds::refund(self.tx, &no))
            .transpose()?;
        if let Some(refund) = refund.flatten() {
            return Ok(Known::Refund(Box::new(refund)));
        }
        let number = state.out_trade_no.parse().ok();
        let attempt = number.map(|n| attempts::attempt(self.tx, &n)).transpose()?;
        Ok(match attempt.flatten() {
            Some(attempt) => Known::Attempt(Box::new(attempt)),
            None => Known::Nothing,
        })
    }
}

/// What is ours of a refund that WeChat tells of.
pub(super) enum Known {
    /// The refund itself.
    Refund(Box<Refund>),
    /// The attempt.
    Attempt(Box<Attempt>),
    /// Neither.
    Nothing,
}

/// Money that moved and fits nothing of ours.
pub(super) struct Odd {
    pub(super) out_trade_no: String,
    pub(super) transaction_id: TransactionId,
    pub(super) amount: Fen,
}

impl Odd {
    /// Of what WeChat tells; `None` when its transaction_id is none.
    pub(super) fn of(state: &RefundState) -> Option<Self> {
        Some(Self {
            out_trade_no: state.out_trade_no.clone(),
            transaction_id: state.transaction_id.parse().ok()?,
            amount: state.amount,
        })
    }

    /// Lists it for the merchant.
    pub(super) fn keep(self, desk: &mut Desk<'_, '_>, reason: &str) -> Result<(), StoreError> {
        let entry = Unmatched {
            out_trade_no: self.out_trade_no,
            transaction_id: self.transaction_id,
            amount: self.amount,
            reason: reason.to_owned(),
            first_at: desk.now,
            last_at: desk.now,
            times: 1,
        };
        unmatched::put(desk.tx, &entry)
    }
}

fn claimed(state: &RefundState) -> Claimed<'_> {
    Claimed {
        out_trade_no: &state.out_trade_no,
        transaction_id: &state.transaction_id,
        total: state.total,
        amount: state.amount,
    }
}

/// A [`LastError`] of ours at `at`.
pub(super) fn own_error(code: &str, message: String, at: Timestamp) -> LastError {
    let code = code.to_owned();
    LastError { code, message, at }
}
