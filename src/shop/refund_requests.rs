//! A buyer's wish to be refunded, and the merchant's no. Their yes is a refund.

use super::effects::Desk;
use super::{Shop, ShopError};
use crate::base::{OrderNo, Timestamp, Uid};
use crate::model::refund_request::check_said;
use crate::model::{Order, RefundRequest, Refusal};
use crate::store::orders::{self, Owner};
use crate::store::{Tx, refunds};

impl Shop {
    /// The buyer wants their money back.
    ///
    /// # Errors
    /// `OrderNotFound`, `OrderState` or `FieldInvalid` of [`Refusal`]; store errors.
    pub async fn request_refund(
        &self,
        uid: Uid,
        order_no: OrderNo,
        reason: String,
        now: Timestamp,
    ) -> Result<Order, ShopError> {
        let key = self.field_key();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let order = orders::require_order(tx, &key, &order_no, Owner::Of(uid))?;
            let last = refunds::request(tx, &order_no)?;
            let wish = RefundRequest::open(&order, last.as_ref(), &reason, now)?;
            refunds::put_request(tx, &order_no, &wish)?;
            let text = format!("买家申请退款：{reason}");
            Desk { tx, key: &key, now }.note(&order, "refund.requested", text)?;
            Ok::<_, ShopError>(order)
        });
        write.await
    }

    /// The merchant says no to a wish.
    ///
    /// # Errors
    /// `OrderNotFound`, `OrderState` or `FieldInvalid` of [`Refusal`]; store errors.
    pub async fn decline_refund(
        &self,
        order_no: OrderNo,
        answer: String,
        now: Timestamp,
    ) -> Result<Order, ShopError> {
        let key = self.field_key();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let order = orders::require_order(tx, &key, &order_no, Owner::Any)?;
            check_said(&answer)?;
            let open = refunds::request(tx, &order_no)?;
            let wish = open.ok_or(Refusal::OrderState)?.declined(&answer)?;
            refunds::put_request(tx, &order_no, &wish)?;
            let text = format!("商家拒绝退款申请：{answer}");
            Desk { tx, key: &key, now }.note(&order, "refund.declined", text)?;
            Ok::<_, ShopError>(order)
        });
        write.await
    }
}
