//! The buyer's orders: placing, looking, paying, cancelling, receiving.

use std::sync::Arc;

use serde::Deserialize;

use super::Buyer;
use super::buyer::NewAddress;
use super::catalogue::page_wanted;
use super::claims::claim;
use super::views::{OrderView, OrdersView};
use crate::base::{GoodsId, OrderNo};
use crate::model::{LineWanted, Order, OrderStatus, Refusal};
use crate::shop::beside::Beside;
use crate::shop::checkout::{Basket, Placing};
use crate::shop::{Shop, ShopError};
use crate::web::{HttpError, Outcome, Req, StatusCode, json, long_json, no_store, read_json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLine {
    goods_id: u64,
    count: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOrder {
    lines: Vec<NewLine>,
    remark: Option<String>,
    address: Option<NewAddress>,
}

/// `POST /api/v1/orders`
pub(super) async fn place(shop: Arc<Shop>, buyer: Buyer, mut req: Req) -> Outcome {
    let body = req.body().await?;
    let new: NewOrder = read_json(&body)?;
    let placing = Placing {
        uid: buyer.uid(),
        openid: buyer.openid().clone(),
        basket: Basket {
            lines: new.lines.iter().map(wanted).collect(),
            remark: new.remark.unwrap_or_default(),
            address: new.address.map(Into::into),
        },
        claim: {
            let caller = format!("uid {}", buyer.uid());
            claim(&req, &caller, "POST /api/v1/orders", &body)?
        },
        now: req.at,
    };
    let order = shop.place(placing).await?;
    let nothing = Beside::default();
    let view = OrderView::new(&order, &nothing);
    Ok(no_store(json(StatusCode::CREATED, &view)))
}

/// An order as its buyer sees it.
pub(super) async fn shown(shop: &Shop, order: Order) -> Outcome {
    let after = shop.beside(&order).await?;
    let view = OrderView::new(&order, &after);
    Ok(no_store(json(StatusCode::OK, &view)))
}

fn wanted(line: &NewLine) -> LineWanted {
    LineWanted {
        goods_id: GoodsId::new(line.goods_id),
        count: line.count,
    }
}

/// The order named in the path; a number that cannot exist is one that does not.
pub(super) fn order_no(req: &Req) -> Result<OrderNo, HttpError> {
    let order_no = req.param_text("order_no").parse();
    order_no.map_err(|_| ShopError::from(Refusal::OrderNotFound).into())
}

/// `?status=`, one of the contract's words.
pub(super) fn status_wanted(req: &Req) -> Result<Option<OrderStatus>, HttpError> {
    let Some(word) = req.query("status") else {
        return Ok(None);
    };
    let rule = "参数 \"status\" 必须是 pending、paid、shipped、completed、closed 或 refunded";
    OrderStatus::from_word(&word)
        .map(Some)
        .ok_or_else(|| HttpError::invalid(rule))
}

/// What an ordinary order takes as JSON.
const ORDER_BYTES: usize = 768;

/// `GET /api/v1/orders`
pub(super) async fn list(shop: Arc<Shop>, buyer: Buyer, req: Req) -> Outcome {
    let status = status_wanted(&req)?;
    let page = shop
        .list_orders(buyer.uid(), status, page_wanted(&req)?)
        .await?;
    let (view, bytes) = (OrdersView::from(&page), page.items.len() * ORDER_BYTES + 64);
    Ok(no_store(long_json(StatusCode::OK, &view, bytes)))
}

/// `GET /api/v1/orders/{order_no}`
pub(super) async fn show(shop: Arc<Shop>, buyer: Buyer, req: Req) -> Outcome {
    let order = shop.order(buyer.uid(), order_no(&req)?).await?;
    shown(&shop, order).await
}

/// `POST /api/v1/orders/{order_no}/pay`: the five fields for `wx.requestPayment`.
pub(super) async fn pay(shop: Arc<Shop>, buyer: Buyer, req: Req) -> Outcome {
    let (order_no, from) = (order_no(&req)?, req.client_addr);
    no_fields(req).await?;
    let params = shop.pay(buyer.uid(), order_no, from).await?;
    Ok(no_store(json(StatusCode::OK, &params)))
}

/// `POST /api/v1/orders/{order_no}/cancel`
pub(super) async fn cancel(shop: Arc<Shop>, buyer: Buyer, req: Req) -> Outcome {
    let (order_no, at) = (order_no(&req)?, req.at);
    no_fields(req).await?;
    let order = shop.cancel(buyer.uid(), order_no, at).await?;
    shown(&shop, order).await
}

/// `POST /api/v1/orders/{order_no}/sync`: asks WeChat for the truth.
pub(super) async fn sync(shop: Arc<Shop>, buyer: Buyer, req: Req) -> Outcome {
    let order_no = order_no(&req)?;
    no_fields(req).await?;
    let order = shop.sync(buyer.uid(), order_no).await?;
    shown(&shop, order).await
}

/// `POST /api/v1/orders/{order_no}/receive`
pub(super) async fn receive(shop: Arc<Shop>, buyer: Buyer, req: Req) -> Outcome {
    let (order_no, at) = (order_no(&req)?, req.at);
    no_fields(req).await?;
    let order = shop.receive(buyer.uid(), order_no, at).await?;
    shown(&shop, order).await
}

/// A body without any field: the route needs none, so an empty body is as good as `{}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoFields {}

pub(super) async fn no_fields(mut req: Req) -> Result<(), HttpError> {
    let body = req.body().await?;
    if !body.is_empty() {
        let NoFields {} = read_json(&body)?;
    }
    Ok(())
}
