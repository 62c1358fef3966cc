//! Money that nobody may keep: its refund, and the rest of it when a part went back another way.

use super::ShopError;
use super::effects::Desk;
use crate::base::{Fen, RefundNo};
use crate::model::refund::NewRefund;
use crate::model::refund_room::{Room, never_held};
use crate::model::{Attempt, LastError, Order, Refund, RefundKind, RefundStatus, Restock};
use crate::store::orders::{self, Owner};
use crate::store::{attempts, refunds};

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

    /// A refund of `external`'s payment was made or undone by others: what is owed of the payment
    /// is all of the rest, so a refund that WeChat does not hold is replaced by one that fits.
    pub(super) fn owe_the_rest(&mut self, external: &Refund) -> Result<(), ShopError> {
        let all = refunds::of_order(self.tx, &external.order_no)?;
        let of_attempt = all.into_iter();
        let owed: Vec<Refund> = of_attempt
            .filter(|refund| refund.out_trade_no == external.out_trade_no)
            .filter(|refund| refund.kind.is_owed())
            .collect();
        for refund in &owed {
            if never_held(refund) && self.no_longer_fits(refund)? {
                let error = refund.last_error.clone();
                let error = error.unwrap_or_else(|| LastError {
                    code: "REFUNDED_ELSEWHERE".to_owned(),
                    message: "这笔付款有一部分已由别处退回".to_owned(),
                    at: self.now,
                });
                self.replace(refund.clone(), error)?;
                return Ok(());
            }
        }
        // WeChat's own closing of what is owed needs a person; a closing of ours is not one.
        let closed_there =
            |refund: &Refund| refund.status == RefundStatus::Closed && refund.refund_id.is_some();
        match owed.first() {
            Some(first) if !external.holds() && !owed.iter().any(closed_there) => {
                let kind = first.kind;
                self.open_rest(first, kind)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether an owed refund is for more than is left of its payment beside all other refunds.
    pub(super) fn no_longer_fits(&self, refund: &Refund) -> Result<bool, ShopError> {
        if !refund.kind.is_owed() || refund.is_final() || refund.refund_id.is_some() {
            return Ok(false);
        }
        let Some(attempt) = attempts::attempt(self.tx, &refund.out_trade_no)? else {
            return Ok(false);
        };
        let order_no = &refund.order_no;
        let order = orders::require_order(self.tx, self.key, order_no, Owner::Any)?;
        let mut others = refunds::of_order(self.tx, order_no)?;
        others.retain(|other| other.refund_no != refund.refund_no);
        Ok(refund.amount > Room::new(&order, &others).left_of(&attempt))
    }

    /// Ends an owed refund that WeChat does not hold and will not take, and opens one of the rest.
    pub(super) fn replace(
        &mut self,
        refund: Refund,
        error: LastError,
    ) -> Result<Refund, ShopError> {
        let key = self.key;
        let order = orders::require_order(self.tx, key, &refund.order_no, Owner::Any)?;
        let text = format!(
            "这笔付款已有一部分由别处退回，退款 {} 的 {} 元退不了，改退余下的：{}",
            refund.refund_no, refund.amount, error.message
        );
        self.note(&order, "refund.replaced", text)?;
        let closed = Refund {
            status: RefundStatus::Closed,
            last_error: Some(error),
            ..refund
        };
        let closed = refunds::end(self.tx, closed)?;
        self.open_rest(&closed, closed.kind)?;
        Ok(closed)
    }

    fn open_rest(&mut self, of: &Refund, kind: RefundKind) -> Result<(), ShopError> {
        let order = orders::require_order(self.tx, self.key, &of.order_no, Owner::Any)?;
        if let Some(attempt) = attempts::attempt(self.tx, &of.out_trade_no)? {
            open_in(self, &order, &attempt, kind)?;
        }
        Ok(())
    }

    /// What is owed did not go back: listed for the merchant, and told.
    pub(super) fn still_owed(
        &mut self,
        order: &Order,
        refund: &Refund,
    ) -> Result<String, ShopError> {
        let text = format!(
            "应退的 {} 元没有退成（{}），须由商家处理",
            refund.amount, refund.refund_no
        );
        self.keep_odd(refund, &text)?;
        self.note(order, "refund.still_owed", text.as_str())?;
        Ok(text)
    }
}

#[cfg(test)]
#[path = "refund_owed_tests.rs"]
mod tests;
