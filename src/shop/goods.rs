//! The catalogue: what the merchant sells and how many pieces are left.

use super::{Shop, ShopError};
use crate::base::{Fen, GoodsId, Timestamp};
use crate::model::Goods;
use crate::model::goods::{GoodsChange, check_stock};
use crate::store::{Page, PageWanted, goods};

/// Goods as the merchant enters them.
#[derive(Clone, Debug)]
pub struct NewGoods {
    /// 1 to 64 characters.
    pub title: String,
    /// At least 1 fen.
    pub price: Fen,
    /// Pieces in stock.
    pub stock: u64,
    /// Everything that has a default.
    pub more: GoodsChange,
}

impl Shop {
    /// Enters goods; gives them back with their stock.
    ///
    /// # Errors
    /// [`crate::model::Refusal::FieldInvalid`]; store errors.
    pub async fn create_goods(
        &self,
        new: NewGoods,
        now: Timestamp,
    ) -> Result<(Goods, u64), ShopError> {
        let stock = check_stock(new.stock)?;
        let write = self.store.write(move |tx| {
            let id = goods::next_id(tx)?;
            let made = Goods::new(id, &new.title, new.price, now)?.changed(new.more.clone())?;
            goods::put(tx, &made)?;
            goods::set_stock(tx, id, stock)?;
            Ok::<_, ShopError>((made, stock))
        });
        write.await
    }

    /// Changes goods, for orders from now on; `stock` replaces what is left.
    ///
    /// # Errors
    /// [`crate::model::Refusal::GoodsNotFound`], [`crate::model::Refusal::FieldInvalid`]; store errors.
    pub async fn change_goods(
        &self,
        id: GoodsId,
        change: GoodsChange,
        stock: Option<u64>,
    ) -> Result<(Goods, u64), ShopError> {
        let stock = stock.map(check_stock).transpose()?;
        let write = self.store.write(move |tx| {
            let before = goods::require_goods(tx, id)?;
            let after = before.changed(change.clone())?;
            goods::put(tx, &after)?;
            if let Some(stock) = stock {
                goods::set_stock(tx, id, stock)?;
            }
            Ok((after, goods::stock(tx, id)?))
        });
        write.await
    }

    /// Takes goods out of the catalogue. Orders keep their lines.
    ///
    /// # Errors
    /// [`crate::model::Refusal::GoodsNotFound`]; store errors.
    pub async fn delete_goods(&self, id: GoodsId) -> Result<(), ShopError> {
        let write = self
            .store
            .write(move |tx| Ok::<_, ShopError>(goods::delete(tx, id)?));
        write.await
    }

    /// Goods with the pieces that are left.
    ///
    /// # Errors
    /// [`crate::model::Refusal::GoodsNotFound`]; store errors.
    pub async fn goods(&self, id: GoodsId) -> Result<(Goods, u64), ShopError> {
        let read = self.store.read(move |view| {
            let found = goods::require_goods(view, id)?;
            Ok((found, goods::stock(view, id)?))
        });
        read.await
    }

    /// A page of goods with their stock, newest first.
    ///
    /// # Errors
    /// [`crate::model::Refusal::FieldInvalid`] naming `cursor`; store errors.
    pub async fn list_goods(&self, page: PageWanted) -> Result<Page<(Goods, u64)>, ShopError> {
        self.store
            .read(move |view| Ok(goods::list(view, &page)?))
            .await
    }
}
