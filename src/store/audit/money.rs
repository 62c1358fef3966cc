//! Payment attempts, transactions and refunds: each found both ways, and no more back than paid.

use super::Auditor;
use crate::base::{Fen, OutTradeNo};
use crate::model::refund::Refund;
use crate::model::{Attempt, AttemptState, RefundStatus};
use crate::store::codec;
use crate::store::due::{self, Work};
use crate::store::records::{AttemptRecord, OrderV1, PaidByRecord, RefundIndexRecord};
use crate::store::records::{RefundRecord, RefundRequestRecord};
use crate::store::{Read, StoreError, attempts, keys, refunds};

impl<R: Read> Auditor<'_, R> {
    /// The attempts and refunds of an order agree with it.
    pub(super) fn money_of(&mut self, order: &OrderV1) -> Result<(), StoreError> {
        let number = |n: u16| OutTradeNo::new(order.order_no.clone(), n);
        for n in 1..=order.attempts {
            if !self.has(&keys::attempt(&number(n)))? {
                self.fault(format!("订单的支付单 {} 不存在", number(n)));
            }
        }
        let Some(paid_by) = order.paid_by else {
            return Ok(());
        };
        match attempts::attempt(self.read, &number(paid_by))? {
            Some(attempt) if pays(&attempt, order) => {}
            Some(_) | None => self.fault("付款的支付单不存在，或与订单的付款不符"),
        }
        let refunds = refunds::of_order(self.read, &order.order_no)?;
        let counted = refunds.iter().filter(|refund| {
            refund.status == RefundStatus::Success && refund.out_trade_no.attempt() == paid_by
        });
        if sum(counted).min(order.total) != order.refunded {
            self.fault("已退金额不等于各笔成功退款之和");
        }
        Ok(())
    }

    pub(super) fn attempt(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let AttemptRecord::V1(attempt) = self.decoded(value)?;
        let number = &attempt.out_trade_no;
        if keys::attempt(number) != self.key {
            self.fault("记的是另一张支付单");
        }
        let paid = attempt.state == AttemptState::Paid;
        if paid != attempt.transaction_id.is_some() || paid != attempt.paid_at.is_some() {
            self.fault("支付单的状态与微信交易号、付款时间不符");
        }
        if let Some(id) = &attempt.transaction_id
            && attempts::by_transaction(self.read, id)?.as_ref() != Some(number)
        {
            self.fault("按微信交易号找不到这张支付单");
        }
        let Some(order) = self.order_of(number.order_no())? else {
            self.fault("所属的订单不存在");
            return Ok(());
        };
        if number.attempt() > order.attempts {
            self.fault("订单不知道这张支付单");
        }
        if attempt.counted != (order.paid_by == Some(number.attempt())) {
            self.fault("支付单是否入账，与订单记的不一致");
        }
        let all = refunds::of_order(self.read, number.order_no())?;
        let held = all
            .iter()
            .filter(|refund| refund.out_trade_no == *number && refund.holds());
        if sum(held) > attempt.amount {
            self.fault("退款合计大于这张支付单收到的钱");
        }
        Ok(())
    }

    pub(super) fn transaction(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let PaidByRecord::V1(number) = self.decoded(value)?;
        let attempt = attempts::attempt(self.read, &number)?;
        let id = attempt.and_then(|attempt| attempt.transaction_id);
        if id.map(|id| keys::transaction(&id)).as_ref() != Some(&self.key) {
            self.fault("索引指向的支付单没有这笔微信交易");
        }
        Ok(())
    }

    pub(super) fn refund(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let RefundRecord::V1(refund) = self.decoded(value)?;
        if keys::refund(&refund.refund_no) != self.key {
            self.fault("记的是另一笔退款");
        }
        if !self.has(&keys::order_refund(&refund.order_no, &refund.refund_no))? {
            self.fault("按订单找不到这笔退款");
        }
        if self.order_of(&refund.order_no)?.is_none() {
            self.fault("所属的订单不存在");
        }
        match attempts::attempt(self.read, &refund.out_trade_no)? {
            Some(attempt) if is_of(&refund, &attempt) => {}
            Some(_) | None => self.fault("退款对应的付款不存在，或与付款不符"),
        }
        if refund.next_at.is_none() && !refund.is_final() {
            self.fault("退款没有结局，却没有安排再看它");
        }
        if let Some(at) = refund.next_at {
            let work = Work::Refund(refund.refund_no.clone());
            if !self.has(&due::key(at, &work))? {
                self.fault("退款说何时再看，到期任务里却没有");
            }
        }
        Ok(())
    }

    pub(super) fn refund_index(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let RefundIndexRecord::V1(refund_no) = self.decoded(value)?;
        let refund = refunds::refund(self.read, &refund_no)?;
        let own = refund.map(|refund| keys::order_refund(&refund.order_no, &refund_no));
        if own.as_ref() != Some(&self.key) {
            self.fault("索引指向的退款不存在，或属于别的订单");
        }
        Ok(())
    }

    pub(super) fn refund_request(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let RefundRequestRecord::V1(request) = self.decoded(value)?;
        self.own_order()?;
        if let Some(refund_no) = &request.refund_no
            && codec::get::<RefundRecord>(self.read, &keys::refund(refund_no))?.is_none()
        {
            self.fault("申请引出的退款不存在");
        }
        Ok(())
    }
}

fn pays(attempt: &Attempt, order: &OrderV1) -> bool {
    attempt.counted
        && attempt.amount == order.total
        && attempt.transaction_id == order.transaction_id
        && attempt.paid_at == order.paid_at
}

fn is_of(refund: &Refund, attempt: &Attempt) -> bool {
    refund.out_trade_no.order_no() == &refund.order_no
        && attempt.transaction_id.as_ref() == Some(&refund.transaction_id)
        && attempt.amount == refund.total
        && refund.amount <= refund.total
}

fn sum<'r>(refunds: impl Iterator<Item = &'r Refund>) -> Fen {
    let most = Fen::new(u64::MAX);
    refunds.fold(Fen::ZERO, |sum, refund| {
        sum.checked_add(refund.amount).unwrap_or(most)
    })
}
