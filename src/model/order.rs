//! The life of an order: one pure, total function from (status, event) to what follows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use super::order_event::{Closer, Effect, OrderEvent, OrderStatus, Paid, Receiver, StockLeft};
use super::{Address, Line, Refusal, price};
#[cfg(test)]
use crate::base::trial::{self, Planted};
use crate::base::{AppId, Fen, OpenId, OrderNo, Timestamp, TransactionId, Uid};

/// An order as kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its number, and the first attempt's out_trade_no.
    pub order_no: OrderNo,
    /// Whose it is.
    pub uid: Uid,
    /// The mini program it was placed in.
    pub appid: AppId,
    /// The payer's openid in that mini program.
    pub openid: OpenId,
    /// Where it stands.
    pub status: OrderStatus,
    /// The sum of its lines.
    pub goods: Fen,
    /// Freight, set by the merchant.
    pub freight: Fen,
    /// Discount, set by the merchant.
    pub discount: Fen,
    /// `goods + freight - discount`: what is to be paid.
    pub total: Fen,
    /// What has gone back, late money included, surplus not.
    pub refunded: Fen,
    /// What was ordered.
    pub lines: Vec<Line>,
    /// The buyer's remark, at most 200 characters.
    pub remark: String,
    /// Where it goes.
    pub address: Option<Address>,
    /// When it was placed.
    pub created_at: Timestamp,
    /// Until when it may be paid.
    pub expires_at: Timestamp,
    /// When WeChat took the money.
    pub paid_at: Option<Timestamp>,
    /// When it was shipped.
    pub shipped_at: Option<Timestamp>,
    /// When it was received.
    pub completed_at: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// Since when a close is wanted that WeChat has not confirmed.
    pub closing_since: Option<Timestamp>,
    /// WeChat's number of the payment that counts.
    pub transaction_id: Option<TransactionId>,
    /// The number of the attempt whose payment counts.
    pub paid_by: Option<u16>,
    /// How many payment attempts were opened.
    pub attempts: u16,
    /// For the merchant's eyes only, at most 200 characters.
    pub merchant_note: String,
}

/// What a new order is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Its number.
    pub order_no: OrderNo,
    /// Whose it is.
    pub uid: Uid,
    /// The mini program.
    pub appid: AppId,
    /// The payer.
    pub openid: OpenId,
    /// The priced lines.
    pub lines: Vec<Line>,
    /// The buyer's remark.
    pub remark: String,
    /// Where it goes.
    pub address: Option<Address>,
    /// When it is placed.
    pub now: Timestamp,
    /// How long it may be paid.
    pub pay_within: Duration,
}

type Decision = Result<(Order, Vec<Effect>), Refusal>;

impl Order {
    /// A new order, waiting to be paid.
    ///
    /// # Errors
    /// [`Refusal::AmountInvalid`] when the total is out of range.
    pub fn place(new: NewOrder) -> Result<Self, Refusal> {
        let goods = price::total(&new.lines)?;
        Ok(Self {
            order_no: new.order_no,
            uid: new.uid,
            appid: new.appid,
            openid: new.openid,
            status: OrderStatus::Pending,
            goods,
            freight: Fen::ZERO,
            discount: Fen::ZERO,
            total: goods,
            refunded: Fen::ZERO,
            lines: new.lines,
            remark: new.remark,
            address: new.address,
            created_at: new.now,
            expires_at: new.now.plus(new.pay_within),
            paid_at: None,
            shipped_at: None,
            completed_at: None,
            closed_at: None,
            closing_since: None,
            transaction_id: None,
            paid_by: None,
            attempts: 0,
            merchant_note: String::new(),
        })
    }

    /// The order after `event` at `now`, with what follows from it.
    ///
    /// Told twice is told once: an event that already happened changes nothing and is no error.
    ///
    /// # Errors
    /// [`Refusal::OrderPaid`] to close a paid order; [`Refusal::OrderState`] for what the status
    /// does not allow; [`Refusal::AmountInvalid`] for more refunded than paid.
    pub fn apply(self, event: OrderEvent, now: Timestamp) -> Decision {
        #[cfg(test)]
        trial::met(format!("event {} {}", self.status.as_str(), event.word()));
        match event {
            OrderEvent::Paid(paid) => Ok(self.paid(paid)),
            OrderEvent::CloseWanted(closer) => self.close_wanted(closer, now),
            OrderEvent::ClosedAtWechat => self.closed_at_wechat(now),
            OrderEvent::Shipped => self.shipped(now),
            OrderEvent::Received(receiver) => self.received(receiver, now),
            OrderEvent::Refunded(amount) => self.refunded(amount),
        }
    }

    fn paid(self, paid: Paid) -> (Self, Vec<Effect>) {
        match self.paid_by {
            Some(attempt) if attempt == paid.attempt => return (self, vec![]),
            Some(_) => return (self, vec![surplus(paid), note_surplus()]),
            None => {}
        }
        let order = Self {
            paid_at: Some(paid.paid_at),
            transaction_id: Some(paid.transaction_id),
            paid_by: Some(paid.attempt),
            closing_since: None,
            ..self
        };
        match (order.status, paid.stock) {
            (OrderStatus::Closed, StockLeft::Short) => {
                let text = "订单关闭后收到付款，库存已不足，自动退款";
                (
                    order,
                    vec![Effect::RefundLate, note("order.paid_late", text)],
                )
            }
            (OrderStatus::Closed, StockLeft::Enough) => {
                let order = Self {
                    status: OrderStatus::Paid,
                    closed_at: None,
                    ..order
                };
                let text = "订单关闭后收到付款，已重新占用库存";
                (order, vec![Effect::TakeStock, note("order.paid", text)])
            }
            (OrderStatus::Pending, _) => {
                let order = Self {
                    status: OrderStatus::Paid,
                    ..order
                };
                (order, vec![note("order.paid", "收到付款")])
            }
            // A paid order always knows which attempt paid it, so these cannot be reached unpaid.
            (OrderStatus::Paid | OrderStatus::Shipped, _)
            | (OrderStatus::Completed | OrderStatus::Refunded, _) => {
                (order, vec![note("order.paid", "补记付款")])
            }
        }
    }

    fn close_wanted(self, closer: Closer, now: Timestamp) -> Decision {
        #[cfg(test)]
        if trial::is(Planted::PaidCloses) && self.status == OrderStatus::Paid {
            return Ok(self.closed(now, closer));
        }
        match self.status {
            OrderStatus::Pending if self.attempts == 0 => Ok(self.closed(now, closer)),
            OrderStatus::Pending if self.closing_since.is_some() => Ok((self, vec![])),
            OrderStatus::Pending => {
                let text = match closer {
                    Closer::Buyer => "买家取消：已发起过支付，须先经微信确认未付款才能关闭",
                    Closer::Merchant => "商家关闭：已发起过支付，须先经微信确认未付款才能关闭",
                    Closer::Expiry => "超时：已发起过支付，须先经微信确认未付款才能关闭",
                };
                let order = Self {
                    closing_since: Some(now),
                    ..self
                };
                Ok((order, vec![note("order.closing", text)]))
            }
            OrderStatus::Closed => Ok((self, vec![])),
            OrderStatus::Paid
            | OrderStatus::Shipped
            | OrderStatus::Completed
            | OrderStatus::Refunded => Err(Refusal::OrderPaid),
        }
    }

    fn closed(self, now: Timestamp, closer: Closer) -> (Self, Vec<Effect>) {
        let text = match closer {
            Closer::Buyer => "买家取消，库存已归还",
            Closer::Merchant => "商家关闭，库存已归还",
            Closer::Expiry => "超时未支付，已关闭，库存已归还",
        };
        (
            self.ended_unpaid(now),
            vec![Effect::ReturnStock, note("order.closed", text)],
        )
    }

    fn ended_unpaid(self, now: Timestamp) -> Self {
        let closing_since = None;
        Self {
            status: OrderStatus::Closed,
            closed_at: Some(now),
            closing_since,
            ..self
        }
    }

    fn closed_at_wechat(self, now: Timestamp) -> Decision {
        match self.status {
            OrderStatus::Pending => {
                let text = "微信已确认关闭，库存已归还";
                Ok((
                    self.ended_unpaid(now),
                    vec![Effect::ReturnStock, note("order.closed", text)],
                ))
            }
            OrderStatus::Closed => Ok((self, vec![])),
            OrderStatus::Paid
            | OrderStatus::Shipped
            | OrderStatus::Completed
            | OrderStatus::Refunded => Err(Refusal::OrderPaid),
        }
    }

    fn shipped(self, now: Timestamp) -> Decision {
        match self.status {
            OrderStatus::Paid => {
                let order = Self {
                    status: OrderStatus::Shipped,
                    shipped_at: Some(now),
                    ..self
                };
                Ok((order, vec![note("order.shipped", "商家已发货")]))
            }
            OrderStatus::Pending
            | OrderStatus::Shipped
            | OrderStatus::Completed
            | OrderStatus::Closed
            | OrderStatus::Refunded => Err(Refusal::OrderState),
        }
    }

    fn received(self, receiver: Receiver, now: Timestamp) -> Decision {
        match self.status {
            OrderStatus::Shipped => {
                let completed_at = Some(now);
                let order = Self {
                    status: OrderStatus::Completed,
                    completed_at,
                    ..self
                };
                let text = match receiver {
                    Receiver::Buyer => "买家确认收货",
                    Receiver::Wechat => "微信确认：买家已收货",
                    Receiver::Time => "发货后到期，自动确认收货",
                };
                Ok((order, vec![note("order.completed", text)]))
            }
            OrderStatus::Completed => Ok((self, vec![])),
            OrderStatus::Pending
            | OrderStatus::Paid
            | OrderStatus::Closed
            | OrderStatus::Refunded => Err(Refusal::OrderState),
        }
    }

    fn refunded(self, amount: Fen) -> Decision {
        let rule = "退款合计不能超过已付金额";
        let exceeds = Refusal::AmountInvalid {
            field: "amount_fen",
            rule,
        };
        let refunded = self.refunded.checked_add(amount).ok_or(exceeds.clone())?;
        if self.paid_by.is_none() {
            return Err(Refusal::OrderState);
        }
        if refunded > self.total {
            return Err(exceeds);
        }
        let status = match self.status {
            // A closed order whose late money went back stays closed.
            OrderStatus::Closed => OrderStatus::Closed,
            OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Completed
                if refunded == self.total =>
            {
                OrderStatus::Refunded
            }
            OrderStatus::Pending
            | OrderStatus::Paid
            | OrderStatus::Shipped
            | OrderStatus::Completed
            | OrderStatus::Refunded => self.status,
        };
        Ok((
            Self {
                refunded,
                status,
                ..self
            },
            vec![note("refund.success", "退款成功")],
        ))
    }
}

fn surplus(paid: Paid) -> Effect {
    Effect::RefundSurplus {
        attempt: paid.attempt,
        transaction_id: paid.transaction_id,
    }
}

fn note_surplus() -> Effect {
    note("payment.surplus", "订单已支付过，多付的钱自动退回")
}

fn note(kind: &'static str, text: &'static str) -> Effect {
    Effect::Note { kind, text }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
