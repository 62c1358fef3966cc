//! The merchant's routes: the catalogue, and orders with their timelines.

use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::Merchant;
use super::catalogue::{goods_id, page_wanted};
use super::orders::status_wanted;
use super::views::{GoodsListView, GoodsView, MerchantOrderView, MerchantOrdersView};
use crate::base::{Fen, Timestamp};
use crate::model::goods::GoodsChange;
use crate::shop::Shop;
use crate::shop::goods::NewGoods;
use crate::store::orders::OrderQuery;
use crate::web::{HttpError, Outcome, Req, StatusCode, empty, json, no_store};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoodsPosted {
    title: String,
    price_fen: u64,
    stock: u64,
    image_url: Option<String>,
    description: Option<String>,
    on_sale: Option<bool>,
    group_id: Option<u64>,
    spec: Option<String>,
}

/// `POST /admin/v1/goods`
pub(super) async fn create_goods(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let at = req.at;
    let new: GoodsPosted = req.json().await?;
    let more = GoodsChange {
        image_url: new.image_url,
        description: new.description,
        on_sale: new.on_sale,
        group_id: new.group_id.map(Some),
        spec: new.spec,
        ..GoodsChange::default()
    };
    let price = Fen::new(new.price_fen);
    let wanted = NewGoods {
        title: new.title,
        price,
        stock: new.stock,
        more,
    };
    let (goods, stock) = shop.create_goods(wanted, at).await?;
    Ok(json(StatusCode::CREATED, &GoodsView::new(&goods, stock)))
}

/// `GET /admin/v1/goods`
pub(super) async fn list_goods(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let page = shop.list_goods(page_wanted(&req)?).await?;
    Ok(json(StatusCode::OK, &GoodsListView::from(&page)))
}

/// `GET /admin/v1/goods/{id}`
pub(super) async fn show_goods(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let (goods, stock) = shop.goods(goods_id(&req)?).await?;
    Ok(json(StatusCode::OK, &GoodsView::new(&goods, stock)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoodsPatched {
    title: Option<String>,
    price_fen: Option<u64>,
    stock: Option<u64>,
    image_url: Option<String>,
    description: Option<String>,
    on_sale: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    group_id: Option<Option<u64>>,
    spec: Option<String>,
}

/// Tells `"group_id": null` (out of any group) from a field that is not there.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// `PATCH /admin/v1/goods/{id}`
pub(super) async fn change_goods(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let id = goods_id(&req)?;
    let patch: GoodsPatched = req.json().await?;
    let change = GoodsChange {
        title: patch.title,
        price: patch.price_fen.map(Fen::new),
        image_url: patch.image_url,
        description: patch.description,
        on_sale: patch.on_sale,
        group_id: patch.group_id,
        spec: patch.spec,
    };
    let (goods, stock) = shop.change_goods(id, change, patch.stock).await?;
    Ok(json(StatusCode::OK, &GoodsView::new(&goods, stock)))
}

/// `DELETE /admin/v1/goods/{id}`
pub(super) async fn delete_goods(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    shop.delete_goods(goods_id(&req)?).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `GET /admin/v1/orders`
pub(super) async fn list_orders(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let query = OrderQuery {
        status: status_wanted(&req)?,
        from: day(&req, "from")?,
        to: day(&req, "to")?.map(|start| start.plus(DAY)),
        q: req.query("q").filter(|q| !q.is_empty()),
        uid: uid_wanted(&req)?,
    };
    let page = shop.search_orders(query, page_wanted(&req)?).await?;
    let told = page.items.iter();
    let told = told.map(MerchantOrderView::new);
    let view = MerchantOrdersView {
        orders: told.collect(),
        next_cursor: page.next_cursor.as_deref(),
    };
    Ok(no_store(json(StatusCode::OK, &view)))
}

pub(super) const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// The start of a Beijing day given as `YYYY-MM-DD`.
pub(super) fn day(req: &Req, name: &str) -> Result<Option<Timestamp>, HttpError> {
    let Some(text) = req.query(name) else {
        return Ok(None);
    };
    let start = Timestamp::from_rfc3339(&format!("{text}T00:00:00+08:00"));
    let start = start.filter(|_| text.len() == 10);
    let rule = || HttpError::invalid(format!("参数 \"{name}\" 必须是 YYYY-MM-DD"));
    start.map(Some).ok_or_else(rule)
}

fn uid_wanted(req: &Req) -> Result<Option<crate::base::Uid>, HttpError> {
    let Some(text) = req.query("uid") else {
        return Ok(None);
    };
    let rule = |_| HttpError::invalid("参数 \"uid\" 必须是从 1 开始的整数");
    text.parse().map(Some).map_err(rule)
}
