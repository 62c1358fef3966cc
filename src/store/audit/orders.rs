//! Orders and goods: their indexes, their sums, their timelines, their parcels.

use super::Auditor;
use crate::base::{Fen, OrderNo};
use crate::model::{Line, OrderStatus};
use crate::store::codec;
use crate::store::orders::Indexed;
use crate::store::records::{EntryRecord, GoodsRecord, NumberRecord};
use crate::store::records::{OrderRecord, OrderV1, OwnerRecord};
use crate::store::shipments::{ReportRecord, SettlementRecord, ShipmentRecord};
use crate::store::{Read, StoreError, keys};

impl<R: Read> Auditor<'_, R> {
    pub(super) fn goods(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let GoodsRecord::V1(goods) = self.decoded(value)?;
        self.numbers.goods = self.numbers.goods.max(goods.id.get());
        if keys::goods(goods.id) != self.key {
            self.fault("记的是另一件商品");
        }
        if !self.has(&keys::stock(goods.id))? {
            self.fault("商品没有库存记录");
        }
        Ok(())
    }

    pub(super) fn stock(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let NumberRecord::V1(pieces) = self.decoded(value)?;
        let sums = &mut self.found.sums;
        sums.pieces_in_stock = sums.pieces_in_stock.saturating_add(pieces);
        let goods = [&[keys::GOODS], &self.key[1..]].concat();
        if !self.has(&goods)? {
            self.fault("库存没有对应的商品");
        }
        Ok(())
    }

    pub(super) fn order(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let OrderRecord::V1(order) = self.decoded(value)?;
        if keys::order(order.uid, &order.order_no) != self.key {
            self.fault("记的是另一张订单");
        }
        for (index, kept) in Indexed::from(&order).keys() {
            if self.read.get(&index)? != Some(kept) {
                self.fault(format!("订单没有索引 {}", index.escape_ascii()));
            }
        }
        if !self.has(&keys::user(order.uid))? {
            self.fault("订单的用户不存在");
        }
        self.amounts(&order);
        self.standing(&order);
        self.money_of(&order)?;
        self.sum_up(&order);
        Ok(())
    }

    /// Lines come to the goods' price, and that with freight and discount to the total.
    fn amounts(&mut self, order: &OrderV1) {
        let add =
            |sum: Option<Fen>, line: &Line| sum?.checked_add(line.price.checked_mul(line.count)?);
        if order.lines.iter().fold(Some(Fen::ZERO), add) != Some(order.goods) {
            self.fault("各行合计不等于商品金额");
        }
        let total = order.goods.checked_add(order.freight);
        if total.and_then(|sum| sum.checked_sub(order.discount)) != Some(order.total) {
            self.fault("商品金额 + 运费 − 优惠 不等于应付金额");
        }
        if order.refunded > order.total {
            self.fault("已退金额大于应付金额");
        }
    }

    /// The moments that its status asks for are there, and no other.
    fn standing(&mut self, order: &OrderV1) {
        let paid = order.paid_by.is_some();
        if paid != order.paid_at.is_some() || paid != order.transaction_id.is_some() {
            self.fault("付款的时间、交易号、支付单没有一起记下");
        }
        let wholly = order.refunded == order.total;
        let (holds, rule) = match order.status {
            OrderStatus::Pending => (!paid, "待付款的订单却记有付款"),
            OrderStatus::Paid => (paid && !wholly, "已付款的订单没有付款，或已全退"),
            OrderStatus::Shipped => (
                paid && !wholly && order.shipped_at.is_some(),
                "已发货的订单没有付款或发货时间，或已全退",
            ),
            OrderStatus::Completed => (
                paid && !wholly && order.completed_at.is_some(),
                "已完成的订单没有付款或完成时间，或已全退",
            ),
            OrderStatus::Refunded => (paid && wholly, "已退款的订单没有付款，或没有全退"),
            OrderStatus::Closed => (order.closed_at.is_some(), "已关闭的订单没有关闭时间"),
        };
        if !holds {
            self.fault(rule);
        }
        if order.closing_since.is_some() && order.status != OrderStatus::Pending {
            self.fault("订单已有结局，却还在等待关闭");
        }
    }

    fn sum_up(&mut self, order: &OrderV1) {
        let sums = &mut self.found.sums;
        *sums.orders.entry(order.status.as_str()).or_default() += 1;
        let most = Fen::new(u64::MAX);
        if order.paid_by.is_some() {
            sums.paid = sums.paid.checked_add(order.total).unwrap_or(most);
            sums.refunded = sums.refunded.checked_add(order.refunded).unwrap_or(most);
        }
        if order.status == OrderStatus::Pending {
            let goods = order.lines.iter().filter(|line| line.goods_id.is_some());
            let pieces = goods.map(|line| u64::from(line.count));
            sums.pieces_reserved = pieces.fold(sums.pieces_reserved, u64::saturating_add);
        }
    }

    /// An index of orders names an order that it is an index of.
    pub(super) fn order_index(&mut self, value: &[u8], at: usize) -> Result<(), StoreError> {
        let OwnerRecord::V1(_) = self.decoded(value)?;
        if !self.indexes_an_order(at)? {
            self.fault("索引指向的订单不存在，或状态已不同");
        }
        Ok(())
    }

    pub(super) fn indexes_an_order(&self, at: usize) -> Result<bool, StoreError> {
        let Some(order_no) = self.order_no(at) else {
            return Ok(false);
        };
        let order = self.order_of(&order_no)?;
        let keys = order.map(|order| Indexed::from(&order).keys());
        Ok(keys.is_some_and(|keys| keys.iter().any(|(key, _)| *key == self.key)))
    }

    pub(super) fn order_of(&self, order_no: &OrderNo) -> Result<Option<OrderV1>, StoreError> {
        let Some(OwnerRecord::V1(uid)) = codec::get(self.read, &keys::order_owner(order_no))?
        else {
            return Ok(None);
        };
        let record = codec::get::<OrderRecord>(self.read, &keys::order(uid, order_no))?;
        Ok(record.map(|OrderRecord::V1(order)| order))
    }

    /// The order whose number begins behind the key's first byte; a fault when it is not there.
    pub(super) fn own_order(&mut self) -> Result<Option<OrderV1>, StoreError> {
        let order = match self.order_no(1) {
            Some(order_no) => self.order_of(&order_no)?,
            None => None,
        };
        if order.is_none() {
            self.fault("所属的订单不存在");
        }
        Ok(order)
    }

    pub(super) fn entry(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let EntryRecord::V1(entry) = self.decoded(value)?;
        if let Some(order) = self.own_order()? {
            let number = self
                .key
                .last_chunk::<4>()
                .map(|last| u32::from_be_bytes(*last));
            if keys::entry(&order.order_no, entry.at, number.unwrap_or(0)) != self.key {
                self.fault("经过记在了别的时刻下");
            }
        }
        Ok(())
    }

    pub(super) fn shipment(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let ShipmentRecord::V1(_) = self.decoded(value)?;
        if let Some(order) = self.own_order()? {
            let number = self
                .key
                .last_chunk::<2>()
                .map(|last| u16::from_be_bytes(*last));
            let before = number.and_then(|number| number.checked_sub(1));
            let follows = match before {
                Some(0) => true,
                Some(before) => self.has(&keys::shipment(&order.order_no, before))?,
                None => false,
            };
            if !follows || order.shipped_at.is_none() {
                self.fault("包裹的编号不连续，或订单没有发货时间");
            }
        }
        Ok(())
    }

    pub(super) fn shipping(&mut self, value: &[u8]) -> Result<(), StoreError> {
        match self.key.last() {
            Some(b'r') => {
                let ReportRecord::V1(_) = self.decoded(value)?;
            }
            Some(_) | None => {
                let SettlementRecord::V1(_) = self.decoded(value)?;
            }
        }
        self.own_order().map(drop)
    }
}
