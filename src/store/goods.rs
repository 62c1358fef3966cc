//! Goods and their stock. The stock is a record of its own, because every order changes it.

use super::answers::number_cursor;
use super::codec::{self, collect};
use super::counters::{self, Counter};
use super::records::{GoodsRecord, NumberRecord};
use super::{Failure, KeyRange, Page, PageWanted, Read, StoreError, Tx, keys};
use crate::base::GoodsId;
use crate::model::order::StockLeft;
use crate::model::{Goods, Line, Refusal};

/// The id of the next goods; ids of deleted goods never come back.
///
/// # Errors
/// [`StoreError`].
pub fn next_id(tx: &mut Tx<'_>) -> Result<GoodsId, StoreError> {
    counters::next(tx, Counter::Goods).map(GoodsId::new)
}

/// The goods of this id.
///
/// # Errors
/// [`StoreError`].
pub fn goods(read: &impl Read, id: GoodsId) -> Result<Option<Goods>, StoreError> {
    let record = codec::get::<GoodsRecord>(read, &keys::goods(id))?;
    Ok(record.map(|GoodsRecord::V1(goods)| goods))
}

/// The goods of this id, which must be there.
///
/// # Errors
/// [`Refusal::GoodsNotFound`]; or [`StoreError`].
pub fn require_goods(read: &impl Read, id: GoodsId) -> Result<Goods, Failure> {
    goods(read, id)?.ok_or(Failure::Refused(Refusal::GoodsNotFound(id)))
}

/// How many pieces are left; none of deleted goods.
///
/// # Errors
/// [`StoreError`].
pub fn stock(read: &impl Read, id: GoodsId) -> Result<u64, StoreError> {
    Ok(counters::number(read, &keys::stock(id))?.unwrap_or(0))
}

/// One page of all goods with their stock, newest first, on sale or not.
///
/// # Errors
/// [`Refusal::FieldInvalid`] naming `cursor`; or [`StoreError`].
pub fn list(read: &impl Read, wanted: &PageWanted) -> Result<Page<(Goods, u64)>, Failure> {
    let mut range = KeyRange::prefix(&[keys::GOODS]).descending();
    if let Some(last) = wanted.number()? {
        range.to = keys::goods(GoodsId::new(last));
    }
    let mut items = vec![];
    for (key, value) in collect(read, &range, wanted.limit.saturating_add(1))? {
        let GoodsRecord::V1(goods) = codec::decode(read, &key, &value)?;
        let stock = stock(read, goods.id)?;
        items.push((goods, stock));
    }
    let cursor = |(goods, _): &(Goods, u64)| number_cursor(goods.id.get());
    Ok(Page::of(items, wanted.limit, cursor))
}

/// Keeps goods, new or changed. Their stock is set by [`set_stock`].
///
/// # Errors
/// [`StoreError`].
pub fn put(tx: &mut Tx<'_>, goods: &Goods) -> Result<(), StoreError> {
    let record = GoodsRecord::V1(goods.clone());
    codec::put(tx, keys::goods(goods.id), &record)
}

/// Sets how many pieces are left.
///
/// # Errors
/// [`StoreError`].
pub fn set_stock(tx: &mut Tx<'_>, id: GoodsId, stock: u64) -> Result<(), StoreError> {
    codec::put(tx, keys::stock(id), &NumberRecord::V1(stock))
}

/// Deletes goods and their stock. Orders keep their lines.
///
/// # Errors
/// [`Refusal::GoodsNotFound`]; or [`StoreError`].
pub fn delete(tx: &mut Tx<'_>, id: GoodsId) -> Result<(), Failure> {
    require_goods(tx, id)?;
    codec::delete::<GoodsRecord>(tx, keys::goods(id))?;
    codec::delete::<NumberRecord>(tx, keys::stock(id))?;
    Ok(())
}

/// Takes the pieces of all lines, or none. Lines that the merchant priced name no goods.
///
/// # Errors
/// [`Refusal::OutOfStock`] for the first goods that run short; or [`StoreError`].
pub fn take_stock(tx: &mut Tx<'_>, lines: &[Line]) -> Result<(), Failure> {
    let mut left = vec![];
    for (goods_id, count) in pieces(lines) {
        let stock = stock(tx, goods_id)?;
        let rest = stock.checked_sub(count);
        let rest = rest.ok_or(Refusal::OutOfStock { goods_id, stock })?;
        left.push((goods_id, rest));
    }
    for (goods_id, rest) in left {
        set_stock(tx, goods_id, rest)?;
    }
    Ok(())
}

/// Whether [`take_stock`] would succeed now.
///
/// # Errors
/// [`StoreError`].
pub fn stock_left(read: &impl Read, lines: &[Line]) -> Result<StockLeft, StoreError> {
    for (goods_id, count) in pieces(lines) {
        if stock(read, goods_id)? < count {
            return Ok(StockLeft::Short);
        }
    }
    Ok(StockLeft::Enough)
}

/// Puts the pieces of all lines back. Goods deleted meanwhile have no stock to return to.
///
/// # Errors
/// [`StoreError`].
pub fn return_stock(tx: &mut Tx<'_>, lines: &[Line]) -> Result<(), StoreError> {
    for (goods_id, count) in pieces(lines) {
        if let Some(stock) = counters::number(tx, &keys::stock(goods_id))? {
            set_stock(tx, goods_id, stock.saturating_add(count))?;
        }
    }
    Ok(())
}

/// How many pieces of each goods the lines hold, however many lines name the same.
fn pieces(lines: &[Line]) -> Vec<(GoodsId, u64)> {
    let mut pieces: Vec<(GoodsId, u64)> = Vec::with_capacity(lines.len());
    for line in lines {
        let Some(goods_id) = line.goods_id else {
            continue;
        };
        let count = u64::from(line.count);
        match pieces.iter_mut().find(|(id, _)| *id == goods_id) {
            Some((_, sum)) => *sum = sum.saturating_add(count),
            None => pieces.push((goods_id, count)),
        }
    }
    pieces
}

#[cfg(test)]
#[path = "goods_tests.rs"]
mod tests;
