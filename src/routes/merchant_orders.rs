//! What the merchant does with one order: look, ask WeChat, close, change.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::Merchant;
use super::buyer::NewAddress;
use super::orders::{no_fields, order_no};
use super::views::MerchantOrderView;
use crate::base::{Fen, OrderNo};
use crate::model::OrderChange;
use crate::shop::Shop;
use crate::shop::orders::ToldOrder;
use crate::web::{Outcome, Req, StatusCode, json, no_store};

pub(super) fn told(told: &ToldOrder) -> Outcome {
    let view = MerchantOrderView::new(told);
    Ok(no_store(json(StatusCode::OK, &view)))
}

/// An order as the merchant sees it, for a command.
pub fn order_json(told: &ToldOrder) -> Value {
    let view = MerchantOrderView::new(told);
    serde_json::to_value(view).unwrap_or_default()
}

pub(super) async fn show_again(shop: &Shop, order_no: OrderNo) -> Outcome {
    told(&shop.told_order(order_no).await?)
}

/// `GET /admin/v1/orders/{order_no}`: one order with its attempts and its timeline.
pub(super) async fn show(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    show_again(&shop, order_no(&req)?).await
}

/// `POST /admin/v1/orders/{order_no}/sync`: asks WeChat for the truth.
pub(super) async fn sync(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let order_no = order_no(&req)?;
    no_fields(req).await?;
    shop.sync_any(order_no.clone()).await?;
    show_again(&shop, order_no).await
}

/// `POST /admin/v1/orders/{order_no}/close`
pub(super) async fn close(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let (order_no, at) = (order_no(&req)?, req.at);
    no_fields(req).await?;
    shop.close(order_no.clone(), at).await?;
    show_again(&shop, order_no).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderPatched {
    freight_fen: Option<u64>,
    discount_fen: Option<u64>,
    address: Option<NewAddress>,
    merchant_note: Option<String>,
}

/// `PATCH /admin/v1/orders/{order_no}`: amounts while pending, the address before shipping.
pub(super) async fn change(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let (order_no, at) = (order_no(&req)?, req.at);
    let patch: OrderPatched = req.json().await?;
    let change = OrderChange {
        freight: patch.freight_fen.map(Fen::new),
        discount: patch.discount_fen.map(Fen::new),
        address: patch.address.map(Into::into),
        merchant_note: patch.merchant_note,
    };
    told(&shop.amend(order_no, change, at).await?)
}
