//! What the merchant may change on an order, and what a payment at an older price makes of it.

use super::goods::check_text;
use super::{Address, Order, OrderStatus, Refusal};
use crate::base::Fen;

/// A change by the merchant; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderChange {
    /// Freight in fen, while the order waits to be paid.
    pub freight: Option<Fen>,
    /// Discount in fen, while the order waits to be paid.
    pub discount: Option<Fen>,
    /// Where it goes, until it is shipped.
    pub address: Option<Address>,
    /// For the merchant's eyes only, at most 200 characters; at any time.
    pub merchant_note: Option<String>,
}

impl Order {
    /// The order with `change` made to it: all of it, or nothing.
    ///
    /// # Errors
    /// [`Refusal::OrderState`] for amounts once it is paid, closed or closing, and for the address
    /// once it is shipped or closed; [`Refusal::AmountInvalid`] when the total would leave its
    /// range; [`Refusal::FieldInvalid`] for a text that is too long.
    pub fn amended(self, change: OrderChange) -> Result<Self, Refusal> {
        let mut order = self;
        if change.freight.is_some() || change.discount.is_some() {
            order = order.repriced(change.freight, change.discount)?;
        }
        if let Some(address) = change.address {
            order = order.readdressed(address)?;
        }
        if let Some(note) = change.merchant_note {
            check_text("merchant_note", &note, 200, "最多 200 个字符")?;
            order.merchant_note = note;
        }
        Ok(order)
    }

    fn repriced(self, freight: Option<Fen>, discount: Option<Fen>) -> Result<Self, Refusal> {
        match self.status {
            OrderStatus::Pending if self.closing_since.is_none() => {}
            OrderStatus::Pending
            | OrderStatus::Paid
            | OrderStatus::Shipped
            | OrderStatus::Completed
            | OrderStatus::Closed
            | OrderStatus::Refunded => return Err(Refusal::OrderState),
        }
        let (freight, discount) = (
            freight.unwrap_or(self.freight),
            discount.unwrap_or(self.discount),
        );
        let sum = self.goods.checked_add(freight);
        let total = sum.and_then(|sum| sum.checked_sub(discount));
        let total = total.filter(|total| *total > Fen::ZERO && *total <= Fen::ORDER_MAX);
        let total = total.ok_or(Refusal::AmountInvalid {
            field: "total_fen",
            rule: "商品、运费相加减去优惠，必须在 1 到 1000000000 分之间",
        })?;
        Ok(Self {
            freight,
            discount,
            total,
            ..self
        })
    }

    fn readdressed(self, address: Address) -> Result<Self, Refusal> {
        match self.status {
            OrderStatus::Pending | OrderStatus::Paid => {}
            OrderStatus::Shipped
            | OrderStatus::Completed
            | OrderStatus::Closed
            | OrderStatus::Refunded => return Err(Refusal::OrderState),
        }
        let address = Some(address.checked()?);
        Ok(Self { address, ..self })
    }

    /// The order as its payer paid it: `paid` is what the attempt asked for, before a change of
    /// price that the payer did not see. The money is the truth, so the sums follow it.
    #[must_use]
    pub fn priced_at(self, paid: Fen) -> Self {
        let sum = self.goods.checked_add(self.freight);
        match sum.and_then(|sum| sum.checked_sub(paid)) {
            Some(discount) => Self {
                discount,
                total: paid,
                ..self
            },
            // More than goods and freight: the freight was higher then.
            None => Self {
                freight: paid.checked_sub(self.goods).unwrap_or(self.freight),
                discount: Fen::ZERO,
                total: paid,
                ..self
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::{OrderNo, Timestamp, Uid};
    use crate::model::Line;
    use crate::model::order::NewOrder;
    use proptest::prelude::*;

    fn order(price: u64) -> Order {
        let line = Line {
            goods_id: None,
            title: "茶".into(),
            spec: String::new(),
            price: Fen::new(price),
            count: 1,
        };
        let new = NewOrder {
            order_no: OrderNo::new(1_767_196_830_000, 1),
            uid: Uid::new(1),
            appid: "wx0123456789abcdef".parse().unwrap(),
            openid: "o1".parse().unwrap(),
            lines: vec![line],
            remark: String::new(),
            address: None,
            now: Timestamp::from_unix(1_767_196_830),
            pay_within: Duration::from_secs(1800),
        };
        Order::place(new).unwrap()
    }

    fn amounts(freight: Option<u64>, discount: Option<u64>) -> OrderChange {
        OrderChange {
            freight: freight.map(Fen::new),
            discount: discount.map(Fen::new),
            ..OrderChange::default()
        }
    }

    #[test]
    fn amounts_change_only_while_the_order_waits_to_be_paid() {
        for status in OrderStatus::ALL {
            let before = Order {
                status,
                ..order(100)
            };
            let after = before.amended(amounts(Some(20), Some(30)));
            let want = if status == OrderStatus::Pending {
                Ok(Fen::new(90))
            } else {
                Err(Refusal::OrderState)
            };
            assert_eq!(after.map(|after| after.total), want, "{status:?}");
        }
        let closing = Order {
            closing_since: Some(Timestamp::from_unix(0)),
            ..order(100)
        };
        let refused = closing.amended(amounts(Some(1), None));
        assert_eq!(refused, Err(Refusal::OrderState));
    }

    #[test]
    fn a_total_out_of_range_is_refused_and_an_amount_not_named_stays() {
        let table = [
            (amounts(None, Some(100)), None),
            (amounts(None, Some(101)), None),
            (amounts(Some(999_999_901), None), None),
            (amounts(Some(u64::MAX), None), None),
            (amounts(Some(999_999_900), None), Some(1_000_000_000)),
            (amounts(None, Some(99)), Some(1)),
        ];
        for (change, total) in table {
            let after = order(100).amended(change.clone());
            let got = after.map(|after| after.total.get()).ok();
            assert_eq!(got, total, "{change:?}");
        }
        let once = order(100).amended(amounts(Some(7), Some(5))).unwrap();
        let twice = once.amended(amounts(None, Some(6))).unwrap();
        assert_eq!((twice.freight.get(), twice.total.get()), (7, 101));
    }

    #[test]
    fn the_address_changes_until_it_is_shipped_and_the_note_always() {
        let address = Address {
            name: "张三".to_owned(),
            phone: "13800000000".to_owned(),
            province: "广东省".to_owned(),
            city: "深圳市".to_owned(),
            district: "南山区".to_owned(),
            detail: "科技园路 1 号".to_owned(),
        };
        for status in OrderStatus::ALL {
            let before = Order {
                status,
                ..order(100)
            };
            let change = OrderChange {
                address: Some(address.clone()),
                ..OrderChange::default()
            };
            let moved = before.clone().amended(change);
            let may = matches!(status, OrderStatus::Pending | OrderStatus::Paid);
            assert_eq!(moved.is_ok(), may, "{status:?}");
            let change = OrderChange {
                merchant_note: Some("急".to_owned()),
                ..OrderChange::default()
            };
            assert_eq!(before.amended(change).unwrap().merchant_note, "急");
        }
        let long = OrderChange {
            merchant_note: Some("急".repeat(201)),
            freight: Some(Fen::new(1)),
            ..OrderChange::default()
        };
        assert!(matches!(
            order(100).amended(long),
            Err(Refusal::FieldInvalid { .. })
        ));
    }

    proptest! {
        #[test]
        fn an_order_paid_at_an_older_price_still_adds_up(
            goods in 1u64..1000, freight in 0u64..1000, discount in 0u64..1000, paid in 1u64..3000,
        ) {
            let paid = Fen::new(paid);
            let Ok(order) = order(goods).amended(amounts(Some(freight), Some(discount))) else {
                return Ok(());
            };
            let after = order.priced_at(paid);
            prop_assert_eq!(after.total, paid);
            let sum = after.goods.checked_add(after.freight).unwrap();
            prop_assert_eq!(sum.checked_sub(after.discount), Some(paid));
        }
    }
}
