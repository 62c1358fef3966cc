//! Refunds inside one transaction: opened, told of, refused, counted. No call is made here.

use super::ShopError;
use super::effects::Desk;
#[cfg(test)]
use crate::base::trial::{self, Planted};
use crate::base::{Fen, RefundNo, Timestamp, TransactionId};
use crate::model::refund::{Claimed, NewRefund, RefundEffect, RefundMismatch, Told};
use crate::model::refund_room::{Room, counts, stock_returns, wait, wait_of};
use crate::model::{Attempt, Effect, LastError, Order, OrderEvent, Refund, RefundKind, Restock};
use crate::store::orders::{self, Owner};
use crate::store::unmatched::{self, Unmatched};
use crate::store::{StoreError, attempts, refunds};
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

/// Opens the refund of money that must go back, all that is left of `attempt`, which is paid; due
/// work sends it. Nothing is left when it went back some other way.
///
/// # Errors
/// Store errors.
pub(super) fn open_in(
    desk: &mut Desk<'_, '_>,
    order: &Order,
    attempt: &Attempt,
    kind: RefundKind,
) -> Result<Option<RefundNo>, ShopError> {
    let others = refunds::of_order(desk.tx, &order.order_no)?;
    let room = Room::new(order, &others);
    let amount = room.left_of(attempt);
    let Some(paid) = attempt
        .transaction_id
        .as_ref()
        .filter(|_| amount > Fen::ZERO)
    else {
        return Ok(None);
    };
    let of_attempt = |refund: &&Refund| refund.out_trade_no == attempt.out_trade_no;
    let nth = others.iter().filter(of_attempt).count();
    let reason = match kind {
        RefundKind::Surplus if order.paid_by.is_none() => "付款与订单不符，退回付款",
        RefundKind::Surplus => "订单重复支付，退回多付的钱",
        RefundKind::Late => "订单已关闭，退回付款",
        RefundKind::Merchant | RefundKind::External => "退款",
    };
    let new = NewRefund {
        refund_no: RefundNo::owed(paid, order.created_at, nth),
        kind,
        amount,
        reason: reason.to_owned(),
        restock: Restock::No,
        now: desk.now,
    };
    let Some(refund) = Refund::open(new, attempt) else {
        return Ok(None);
    };
    let at = room.slot(&refund, desk.now);
    let text = format!("{reason}：自动退款 {}，{amount} 元", refund.refund_no);
    desk.note(order, "refund.opened", text)?;
    Ok(Some(refunds::plan(desk.tx, refund, at, 0)?.refund_no))
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

    /// What was paid too much, and WeChat closed the refund of: a new refund.
    pub(super) fn owe_again(
        &mut self,
        order: &Order,
        attempt: &Attempt,
    ) -> Result<Refund, ShopError> {
        let opened = open_in(self, order, attempt, RefundKind::Surplus)?;
        let refund = opened.map(|no| refunds::refund(self.tx, &no)).transpose()?;
        let what = "这笔多付的钱已经全部退回";
        Ok(refund
            .flatten()
            .ok_or(crate::model::Refusal::RefundManual { what })?)
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
            Ok((after, effects)) => self.settle(after, effects, step).map(Ok),
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

    fn still_owed(&mut self, order: &Order, refund: &Refund) -> Result<String, ShopError> {
        let text = format!(
            "应退的 {} 元没有退成（{}），须由商家处理",
            refund.amount, refund.refund_no
        );
        self.keep_odd(refund, &text)?;
        self.note(order, "refund.still_owed", text.as_str())?;
        Ok(text)
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
