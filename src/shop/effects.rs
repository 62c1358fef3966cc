//! Carries out what follows from a decision, in the transaction that keeps the decision.

use super::happening::Happening;
use super::{ShopError, refund_owed};
use crate::base::cipher::FieldKey;
#[cfg(test)]
use crate::base::trial::{self, Planted};
use crate::base::{OutTradeNo, Timestamp, TransactionId};
use crate::model::{Attempt, Effect, Entry, Order, OrderEvent, RefundKind};
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
        if let Some(what) = Happening::between(order.status, after.status) {
            self.happened(&after, what)?;
        }
        Ok(after)
    }

    pub(super) fn carry_out(&mut self, order: &Order, effect: Effect) -> Result<(), ShopError> {
        #[cfg(test)]
        match effect {
            Effect::ReturnStock if trial::is(Planted::StockReturnedTwice) => {
                goods::return_stock(self.tx, &order.lines)?;
            }
            Effect::Note { .. } if trial::is(Planted::Untold) => return Ok(()),
            Effect::RefundSurplus { .. } | Effect::RefundLate
                if trial::is(Planted::SurplusKept) =>
            {
                return Ok(());
            }
            _ => {}
        }
        match effect {
            Effect::TakeStock => Ok(goods::take_stock(self.tx, &order.lines)?),
            Effect::ReturnStock => Ok(goods::return_stock(self.tx, &order.lines)?),
            Effect::RefundSurplus {
                attempt,
                transaction_id,
            } => self.owe(order, attempt, &transaction_id, RefundKind::Surplus),
            Effect::RefundLate => match (order.paid_by, order.transaction_id.clone()) {
                (Some(attempt), Some(id)) => self.owe(order, attempt, &id, RefundKind::Late),
                (None, _) | (_, None) => Ok(()),
            },
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

    /// Opens the refund of money that must go back, which the attempt's payment brought.
    fn owe(
        &mut self,
        order: &Order,
        attempt: u16,
        paid: &TransactionId,
        kind: RefundKind,
    ) -> Result<(), ShopError> {
        let number = OutTradeNo::new(order.order_no.clone(), attempt);
        let Some(attempt) = attempts::attempt(self.tx, &number)? else {
            return Ok(());
        };
        let paid = Attempt {
            transaction_id: Some(paid.clone()),
            ..attempt
        };
        refund_owed::open_in(self, order, &paid, kind).map(|_| ())
    }
}
