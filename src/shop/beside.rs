//! What is told beside an order, to its buyer and to the merchant, and is kept under its own keys.

use super::{Shop, ShopError};
use crate::model::{Order, Shipment};
use crate::store::{Read, StoreError, shipments};

/// What belongs to an order and is not in its record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Its parcels, in the order they were told.
    pub shipments: Vec<Shipment>,
}

/// What belongs to `order`. One that was never paid has nothing, and costs no read.
///
/// # Errors
/// [`StoreError`].
pub(super) fn beside(read: &impl Read, order: &Order) -> Result<Beside, StoreError> {
    Ok(Beside {
        shipments: shipments::of(read, order)?,
    })
}

impl Shop {
    /// What belongs to an order.
    ///
    /// # Errors
    /// Store errors.
    pub async fn beside(&self, order: &Order) -> Result<Beside, ShopError> {
        let all = self.beside_all(std::slice::from_ref(order)).await?;
        Ok(all.into_iter().next().unwrap_or_default())
    }

    /// What belongs to each of these orders, in their order.
    ///
    /// # Errors
    /// Store errors.
    pub async fn beside_all(&self, orders: &[Order]) -> Result<Vec<Beside>, ShopError> {
        if orders.iter().all(|order| order.paid_at.is_none()) {
            return Ok(vec![Beside::default(); orders.len()]);
        }
        let orders = orders.to_vec();
        let read = self.store.read(move |view| {
            let all = orders.iter().map(|order| beside(view, order));
            all.collect::<Result<_, _>>().map_err(ShopError::from)
        });
        read.await
    }
}
