//! The catalogue as anyone may read it.

use std::sync::Arc;

use super::views::{GoodsListView, GoodsView};
use crate::base::GoodsId;
use crate::model::Refusal;
use crate::shop::{Shop, ShopError};
use crate::store::PageWanted;
use crate::web::{Anyone, HttpError, Outcome, Req, StatusCode, json};

/// `?limit=` (1..=100, default 20) and `?cursor=` of a list.
pub(super) fn page_wanted(req: &Req) -> Result<PageWanted, HttpError> {
    let limit = match req.query("limit") {
        None => 20,
        Some(text) => text
            .parse()
            .ok()
            .filter(|n| (1..=100).contains(n))
            .ok_or_else(|| HttpError::invalid("参数 \"limit\" 必须是 1 到 100 的整数"))?,
    };
    Ok(PageWanted {
        limit,
        cursor: req.query("cursor"),
    })
}

/// The goods named in the path; an id that cannot exist is an id that does not.
pub(super) fn goods_id(req: &Req) -> Result<GoodsId, HttpError> {
    let id = req.param_text("id").parse();
    id.map_err(|_| ShopError::from(Refusal::GoodsNotFound(GoodsId::new(0))).into())
}

/// `GET /api/v1/goods`
pub(super) async fn list(shop: Arc<Shop>, _: Anyone, req: Req) -> Outcome {
    let page = shop.list_goods(page_wanted(&req)?).await?;
    Ok(json(StatusCode::OK, &GoodsListView::from(&page)))
}

/// `GET /api/v1/goods/{id}`
pub(super) async fn show(shop: Arc<Shop>, _: Anyone, req: Req) -> Outcome {
    let (goods, stock) = shop.goods(goods_id(&req)?).await?;
    Ok(json(StatusCode::OK, &GoodsView::new(&goods, stock)))
}
