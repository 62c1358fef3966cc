//! Due work, planned queries, idempotency keys: each is about something that is there.

use super::Auditor;
use crate::base::{OrderNo, OutTradeNo, Timestamp};
use crate::store::due::{self, Due, Work};
use crate::store::idempotency;
use crate::store::records::{IdempotencyRecord, NumberRecord, OrderRecord, RefundRecord};
use crate::store::{Read, StoreError, keys, keys_watch, queries, refunds};

impl<R: Read> Auditor<'_, R> {
    pub(super) fn due(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let Some(due) = due::read_entry(&self.key, value) else {
            self.fault("到期任务看不懂");
            return Ok(());
        };
        if !self.is_about_something(&due)? {
            self.fault("到期任务说的对象不存在，或不再需要它");
        }
        Ok(())
    }

    fn is_about_something(&self, due: &Due) -> Result<bool, StoreError> {
        Ok(match &due.work {
            Work::Expire(_) => self.indexes_an_order(10)?,
            Work::Query(number) => queries::next(self.read, number)? == Some(due.at),
            Work::Refund(refund_no) => {
                let refund = refunds::refund(self.read, refund_no)?;
                refund.is_some_and(|refund| refund.next_at == Some(due.at))
            }
            Work::Report(order_no) => self.has(&keys::shipping_report(order_no))?,
            Work::Close(order_no) | Work::Message(_, order_no) | Work::Complete(order_no) => {
                self.is_order(order_no)?
            }
            Work::Webhook(id) => self.has(&keys_watch::webhook(*id))?,
            Work::Bill(_) => true,
        })
    }

    fn is_order(&self, order_no: &OrderNo) -> Result<bool, StoreError> {
        self.has(&keys::order_owner(order_no))
    }

    pub(super) fn next_query(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let NumberRecord::V1(at) = self.decoded(value)?;
        let at = Timestamp::from_unix(i64::try_from(at).unwrap_or(i64::MAX));
        let attempt = self
            .key
            .last_chunk::<2>()
            .map(|last| u16::from_be_bytes(*last));
        let (Some(order_no), Some(attempt)) = (self.order_no(1), attempt) else {
            self.fault("查询计划的支付单号看不懂");
            return Ok(());
        };
        let number = OutTradeNo::new(order_no, attempt);
        if !self.has(&keys::attempt(&number))? {
            self.fault("查询计划的支付单不存在");
        }
        if !self.has(&due::key(at, &Work::Query(number)))? {
            self.fault("查询计划说何时再问微信，到期任务里却没有");
        }
        Ok(())
    }

    pub(super) fn idempotency(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let record: IdempotencyRecord = self.decoded(value)?;
        let (created_at, there) = match record {
            IdempotencyRecord::V1(first) => {
                let OrderRecord::V1(order) = first.answer;
                (first.created_at, self.is_order(&order.order_no)?)
            }
            IdempotencyRecord::V2(first) => {
                let RefundRecord::V1(refund) = first.answer;
                (
                    first.created_at,
                    self.has(&keys::refund(&refund.refund_no))?,
                )
            }
        };
        if !there {
            self.fault("记住的回答说的订单或退款不存在");
        }
        let digest = self.key.last_chunk::<32>().copied().unwrap_or_default();
        if keys::idempotency(idempotency::day(created_at), &digest) != self.key {
            self.fault("幂等键记在了别的日子下");
        }
        Ok(())
    }
}
