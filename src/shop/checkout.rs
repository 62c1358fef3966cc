//! Placing an order: server-side prices, stock reserved in the same transaction.

use super::effects::Desk;
use super::happening::Happening;
use super::{Shop, ShopError};
use crate::base::cipher::FieldKey;
#[cfg(test)]
use crate::base::trial::{self, Planted};
use crate::base::{GoodsId, OpenId, OrderNo, Timestamp, Uid, secret};
use crate::model::goods::check_text;
use crate::model::order::NewOrder;
use crate::model::price::{check_lines, line_of};
use crate::model::{Address, LineWanted, Order, Refusal};
use crate::store::idempotency::{self, Answer, Begun, Claim};
use crate::store::{Tx, goods, orders};

/// What a buyer wants to order.
#[derive(Clone, Debug)]
pub struct Basket {
    /// Goods and counts.
    pub lines: Vec<LineWanted>,
    /// At most 200 characters.
    pub remark: String,
    /// Where it goes.
    pub address: Option<Address>,
}

/// A basket on its way to becoming an order.
#[derive(Clone, Debug)]
pub struct Placing {
    /// Whose it is.
    pub uid: Uid,
    /// The payer.
    pub openid: OpenId,
    /// What they want.
    pub basket: Basket,
    /// What they named this request, with what it said.
    pub claim: Option<Claim>,
    /// When it arrived.
    pub now: Timestamp,
}

impl Shop {
    /// Places an order, or gives back the one that the same key placed before.
    ///
    /// # Errors
    /// [`Refusal`] by name: counts, goods, stock, total, reused key; store errors.
    pub async fn place(&self, placing: Placing) -> Result<Order, ShopError> {
        let lines = check_lines(&placing.basket.lines)?;
        check_text("remark", &placing.basket.remark, 200, "最多 200 个字符")?;
        let address = placing.basket.address.map(Address::checked).transpose()?;
        let new = NewOrder {
            order_no: OrderNo::at_tick(self.next_tick(), secret::random_u64()),
            uid: placing.uid,
            appid: self.settings.appid.clone(),
            openid: placing.openid,
            lines: Vec::new(),
            remark: placing.basket.remark,
            address,
            now: placing.now,
            pay_within: self.settings.pay_within,
        };
        let (claim, key) = (placing.claim, self.field_key());
        let room = self.store.has_room();
        #[cfg(test)]
        let claim = claim.filter(|_| !trial::is(Planted::KeyForgotten));
        let write = self.store.write(move |tx: &mut Tx<'_>| match &claim {
            None => {
                room.clone()?;
                place(tx, &key, &new, &lines)
            }
            Some(claim) => match idempotency::begin(tx, &key, claim, new.now)? {
                Begun::Again(Answer::Order(order)) => Ok(*order),
                // A key lies by its route, so a refund here is another use of it.
                Begun::Again(Answer::Refund(_)) | Begun::Reused => {
                    Err(Refusal::IdempotencyKeyReused.into())
                }
                Begun::Fresh => {
                    room.clone()?;
                    let order = place(tx, &key, &new, &lines)?;
                    idempotency::keep(tx, &key, claim, &order)?;
                    Ok(order)
                }
            },
        });
        write.await
    }
}

fn place(
    tx: &mut Tx<'_>,
    key: &FieldKey,
    new: &NewOrder,
    wanted: &[(GoodsId, u32)],
) -> Result<Order, ShopError> {
    let mut lines = Vec::with_capacity(wanted.len());
    for (id, count) in wanted {
        let found = goods::require_goods(tx, *id)?;
        lines.push(line_of(&found, *count)?);
    }
    let order = Order::place(NewOrder {
        lines,
        ..new.clone()
    })?;
    goods::take_stock(tx, &order.lines)?;
    orders::insert(tx, key, &order);
    let now = new.now;
    Desk { tx, key, now }.happened(&order, Happening::Created)?;
    Ok(order)
}
