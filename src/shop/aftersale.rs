//! What came after an order's payment, read together with it: refunds, and the buyer's wish.

use super::{Shop, ShopError};
use crate::base::OrderNo;
use crate::model::{Order, Refund, RefundRequest};
use crate::store::{Read, StoreError, refunds};

/// The refunds of an order and the buyer's newest wish about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aftersale {
    /// Oldest first.
    pub refunds: Vec<Refund>,
    /// The newest wish to be refunded.
    pub request: Option<RefundRequest>,
}

impl Aftersale {
    /// Of `order`. One that never held money that counts has neither: nothing is read for it.
    ///
    /// # Errors
    /// Store errors.
    pub(super) fn of(read: &impl Read, order: &Order) -> Result<Self, StoreError> {
        if order.paid_by.is_none() {
            return Ok(Self::default());
        }
        Ok(Self {
            refunds: refunds::of_order(read, &order.order_no)?,
            request: refunds::request(read, &order.order_no)?,
        })
    }
}

impl Shop {
    /// What came after the payment of `order`, as it is now.
    ///
    /// # Errors
    /// Store errors.
    pub async fn aftersale(&self, order: &Order) -> Result<Aftersale, ShopError> {
        if order.paid_by.is_none() {
            return Ok(Aftersale::default());
        }
        let order_no: OrderNo = order.order_no.clone();
        let read = self.store.read(move |view| {
            Ok(Aftersale {
                refunds: refunds::of_order(view, &order_no)?,
                request: refunds::request(view, &order_no)?,
            })
        });
        read.await
    }
}
