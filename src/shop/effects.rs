//! Carries out what follows from a decision, in the transaction that keeps the decision.

use super::ShopError;
use crate::base::cipher::FieldKey;
#[cfg(test)]
use crate::base::trial::{self, Planted};
use crate::base::{OutTradeNo, Timestamp, TransactionId};
use crate::model::{Effect, Entry, Order, OrderEvent};
use crate::store::unmatched::{self, Unmatched};
use crate::store::{StoreError, Tx, attempts, goods, orders};

/// Where and when a decision is carried out.
pub struct Desk<'d, 't> {
    /// The transaction.
    pub tx: &'d mut Tx<'t>,
    /// Seals what is personal.
    pub key: &'d FieldKey,
    /// The time of the decision.
    pub now: Timestamp,
}

impl Desk<'_, '_> {
    /// Applies `event` to `order`, keeps the result and all that follows, and gives the order back.
    ///
    /// # Errors
    /// [`ShopError::Refused`] when the event is not allowed; store errors.
    pub fn decide(&mut self, order: &Order, event: OrderEvent) -> Result<Order, ShopError> {
        let (after, effects) = order.clone().apply(event, self.now)?;
        if after != *order {
            orders::update(self.tx, self.key, order, &after)?;
        }
        for effect in effects {
            self.carry_out(&after, effect)?;
        }
        Ok(after)
    }

    fn carry_out(&mut self, order: &Order, effect: Effect) -> Result<(), ShopError> {
        #[cfg(test)]
        match effect {
            Effect::ReturnStock if trial::is(Planted::StockReturnedTwice) => {
                goods::return_stock(self.tx, &order.lines)?;
            }
            Effect::Note { .. } if trial::is(Planted::Untold) => return Ok(()),
            _ => {}
        }
        match effect {
            Effect::TakeStock => Ok(goods::take_stock(self.tx, &order.lines)?),
            Effect::ReturnStock => Ok(goods::return_stock(self.tx, &order.lines)?),
            Effect::RefundSurplus {
                attempt,
                transaction_id,
            } => Ok(self.owe(
                order,
                attempt,
                transaction_id,
                "订单已支付过，这笔多付的钱须退回",
            )?),
            Effect::RefundLate => {
                let Some(id) = order.transaction_id.clone() else {
                    return Ok(());
                };
                let attempt = order.paid_by.unwrap_or(1);
                Ok(self.owe(order, attempt, id, "订单已关闭且库存不足，这笔钱须退回")?)
            }
            Effect::Note { kind, text } => Ok(self.note(order, kind, text)?),
        }
    }

    /// Writes one line into the timeline of `order`.
    ///
    /// # Errors
    /// Store errors.
    pub fn note(
        &mut self,
        order: &Order,
        kind: &str,
        text: impl Into<String>,
    ) -> Result<(), StoreError> {
        orders::note(self.tx, &order.order_no, Entry::new(self.now, kind, text))
    }

    /// Writes down that money must go back, where the merchant finds it until it has gone.
    fn owe(
        &mut self,
        order: &Order,
        attempt: u16,
        transaction_id: TransactionId,
        reason: &str,
    ) -> Result<(), StoreError> {
        let out_trade_no = OutTradeNo::new(order.order_no.clone(), attempt);
        let paid = attempts::attempt(self.tx, &out_trade_no)?;
        let owed = Unmatched {
            out_trade_no: out_trade_no.to_string(),
            transaction_id,
            amount: paid.map_or(order.total, |attempt| attempt.amount),
            reason: reason.to_owned(),
            first_at: self.now,
            last_at: self.now,
            times: 1,
        };
        unmatched::put(self.tx, &owed)
    }
}
