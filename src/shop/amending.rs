//! Changes of an order that are no events of its life: its price, its address, the merchant's note.

use super::ShopError;
use super::effects::Desk;
use crate::base::{Fen, OutTradeNo};
use crate::model::{AttemptState, Order};
use crate::store::{StoreError, attempts, orders};

impl Desk<'_, '_> {
    /// Keeps what the merchant changed. An open attempt at another price is asked about at once.
    ///
    /// # Errors
    /// Store errors.
    pub(super) fn amend(&mut self, before: &Order, after: &Order) -> Result<(), ShopError> {
        if before == after {
            return Ok(());
        }
        orders::update(self.tx, self.key, before, after)?;
        self.note(after, "order.amended", changes(before, after))?;
        if before.total == after.total {
            return Ok(());
        }
        let newest = attempts::newest(self.tx, after)?;
        let open = newest.filter(|attempt| attempt.state == AttemptState::Open);
        if let Some(attempt) = open {
            self.ask_now(&attempt.out_trade_no)?;
        }
        Ok(())
    }

    /// The order as it was paid: at the price its payer saw, when the merchant changed it since.
    ///
    /// # Errors
    /// Store errors.
    pub(super) fn priced_at(&mut self, order: Order, paid: Fen) -> Result<Order, StoreError> {
        if order.paid_by.is_some() || order.total == paid {
            return Ok(order);
        }
        let text = format!(
            "买家付的是改价前的 {paid} 元（改后 {} 元），订单金额以实付为准",
            order.total
        );
        let after = order.clone().priced_at(paid);
        orders::update(self.tx, self.key, &order, &after)?;
        self.note(&after, "order.repriced", text)?;
        Ok(after)
    }
}

/// What changed, for the timeline; an address is personal and not repeated there.
fn changes(before: &Order, after: &Order) -> String {
    let mut changes = vec![];
    if (before.freight, before.discount) != (after.freight, after.discount) {
        changes.push(format!(
            "改价：运费 {} 元，优惠 {} 元，应付 {} 元（原 {} 元）",
            after.freight, after.discount, after.total, before.total
        ));
    }
    if before.address != after.address {
        changes.push("修改收货地址".to_owned());
    }
    if before.merchant_note != after.merchant_note {
        changes.push("修改商家备注".to_owned());
    }
    let number = OutTradeNo::new(after.order_no.clone(), after.attempts.max(1));
    if after.attempts > 0 && before.total != after.total {
        changes.push(format!(
            "{number} 若未付款将被关闭，再付款时用新的商户订单号"
        ));
    }
    changes.join("；")
}
