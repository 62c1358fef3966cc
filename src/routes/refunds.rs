//! Refunds: the merchant opens, lists and retries them; the buyer wishes, the merchant declines.

use std::sync::Arc;

use serde::Deserialize;

use super::claims::claim;
use super::merchant_orders::show_again;
use super::orders::{order_no, shown};
use super::refund_views::{RefundView, RefundsView};
use super::{Buyer, Merchant};
use crate::base::{Fen, RefundNo, Secret};
use crate::model::{Refusal, Restock};
use crate::shop::refunds::RefundWanted;
use crate::shop::{Shop, ShopError};
use crate::web::{HttpError, Outcome, Req, StatusCode, json, no_store, read_json};
use crate::wechat::AbnormalTo;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRefund {
    amount_fen: u64,
    reason: String,
    restock: Option<bool>,
}

/// `POST /admin/v1/orders/{order_no}/refunds`
pub(super) async fn create(shop: Arc<Shop>, merchant: Merchant, mut req: Req) -> Outcome {
    let order_no = order_no(&req)?;
    let body = req.body().await?;
    let new: NewRefund = read_json(&body)?;
    let caller = merchant.claimant();
    // The order is part of what is claimed: one key for two orders is two requests.
    let route = format!("POST /admin/v1/orders/{order_no}/refunds");
    let wanted = RefundWanted {
        amount: Fen::new(new.amount_fen),
        reason: new.reason,
        restock: new
            .restock
            .map(|yes| if yes { Restock::Yes } else { Restock::No }),
        claim: claim(&req, &caller, &route, &body)?,
    };
    let refund = shop.refund(order_no, wanted).await?;
    Ok(no_store(json(
        StatusCode::CREATED,
        &RefundView::from(&refund),
    )))
}

/// `GET /admin/v1/orders/{order_no}/refunds`: all of them, newest first.
pub(super) async fn list(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let refunds = shop.refunds(order_no(&req)?).await?;
    let view = RefundsView::new(&refunds);
    Ok(no_store(json(StatusCode::OK, &view)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    to: Option<String>,
    bank_type: Option<String>,
    bank_account: Option<String>,
    real_name: Option<String>,
}

impl Retry {
    /// Where the money shall go; `None` when nothing is said about it.
    fn to(self) -> Result<Option<AbnormalTo>, HttpError> {
        let card = (self.bank_type, self.bank_account, self.real_name);
        match (self.to.as_deref(), card) {
            (None, (None, None, None)) => Ok(None),
            (None, _) => Err(HttpError::invalid("给出银行卡时必须同时给出字段 \"to\"")),
            (Some("merchant_bank_card"), (None, None, None)) => Ok(Some(AbnormalTo::MerchantCard)),
            (Some("merchant_bank_card"), _) => Err(HttpError::invalid(
                "字段 \"to\" 为 merchant_bank_card 时不能带银行卡字段",
            )),
            (Some("user_bank_card"), (Some(bank_type), Some(account), Some(name))) => {
                Ok(Some(AbnormalTo::UserCard {
                    bank_type,
                    bank_account: Secret::new(account),
                    real_name: Secret::new(name),
                }))
            }
            (Some("user_bank_card"), _) => Err(HttpError::invalid(
                "退到顾客银行卡须有字段 \"bank_type\"、\"bank_account\" 和 \"real_name\"",
            )),
            (Some(_), _) => Err(HttpError::invalid(
                "字段 \"to\" 必须是 user_bank_card 或 merchant_bank_card",
            )),
        }
    }
}

/// `POST /admin/v1/orders/{order_no}/refunds/{refund_no}/retry`
pub(super) async fn retry(shop: Arc<Shop>, _: Merchant, mut req: Req) -> Outcome {
    let order_no = order_no(&req)?;
    let refund_no = req.param_text("refund_no").parse::<RefundNo>();
    let body = req.body().await?;
    let to = if body.is_empty() {
        None
    } else {
        read_json::<Retry>(&body)?.to()?
    };
    let Ok(refund_no) = refund_no else {
        // No order comes before no refund, whatever the number looks like.
        shop.refunds(order_no).await?;
        return Err(ShopError::from(Refusal::RefundNotFound).into());
    };
    let refund = match to {
        None => shop.retry_refund(order_no, refund_no).await?,
        Some(to) => shop.redirect_refund(order_no, refund_no, to).await?,
    };
    Ok(no_store(json(StatusCode::OK, &RefundView::from(&refund))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: String,
}

/// `POST /api/v1/orders/{order_no}/refund-request`
pub(super) async fn request(shop: Arc<Shop>, buyer: Buyer, req: Req) -> Outcome {
    let (order_no, at) = (order_no(&req)?, req.at);
    let Reason { reason } = req.json().await?;
    let order = shop
        .request_refund(buyer.uid(), order_no, reason, at)
        .await?;
    shown(&shop, order).await
}

/// `POST /admin/v1/orders/{order_no}/refund-request/decline`
pub(super) async fn decline(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let (order_no, at) = (order_no(&req)?, req.at);
    let Reason { reason } = req.json().await?;
    shop.decline_refund(order_no.clone(), reason, at).await?;
    show_again(&shop, order_no).await
}
