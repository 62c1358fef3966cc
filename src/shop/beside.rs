//! What is told beside an order, to its buyer and to the merchant, and is kept under its own keys.

use super::{Shop, ShopError};
use crate::model::{Order, Refund, RefundRequest, Shipment};
use crate::store::{Read, StoreError, refunds, shipments};

/// What belongs to an order and is not in its record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Its parcels, in the order they were told.
    pub shipments: Vec<Shipment>,
    /// Its refunds, oldest first.
    pub refunds: Vec<Refund>,
    /// The newest wish to be refunded.
    pub request: Option<RefundRequest>,
}

impl Beside {
    /// Of `order`. One that never held money that counts has nothing, and costs no read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn of(read: &impl Read, order: &Order) -> Result<Self, StoreError> {
        if order.paid_by.is_none() {
            return Ok(Self::default());
        }
        Ok(Self {
            shipments: shipments::of(read, order)?,
            refunds: refunds::of_order(read, &order.order_no)?,
            request: refunds::request(read, &order.order_no)?,
        })
    }
}

impl Shop {
    /// What belongs to an order, as it is now.
    ///
    /// # Errors
    /// Store errors.
    pub async fn beside(&self, order: &Order) -> Result<Beside, ShopError> {
        if order.paid_by.is_none() {
            return Ok(Beside::default());
        }
        let order = order.clone();
        let read = self
            .store
            .read(move |view| Beside::of(view, &order).map_err(ShopError::from));
        read.await
    }
}
