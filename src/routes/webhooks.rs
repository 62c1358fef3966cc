//! The merchant's webhook endpoints.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Merchant;
use super::views::At;
use crate::shop::Shop;
use crate::store::webhooks::Endpoint;
use crate::web::{HttpError, Outcome, Req, StatusCode, empty, json, no_store};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookPosted {
    url: String,
    events: Vec<String>,
}

#[derive(Serialize)]
struct WebhookView<'a> {
    id: u64,
    url: &'a str,
    events: &'a [String],
    /// Shown once, when it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    status: &'static str,
    problem: Option<&'a str>,
    created_at: At,
}

impl<'a> WebhookView<'a> {
    fn new(endpoint: &'a Endpoint, secret: Option<&'a str>) -> Self {
        let status = match (&endpoint.state.dead, endpoint.state.failures) {
            (Some(_), _) => "dead",
            (None, 0) => "active",
            (None, _) => "failing",
        };
        Self {
            id: endpoint.id,
            url: &endpoint.url,
            events: &endpoint.events,
            secret,
            status,
            problem: endpoint.state.dead.as_deref(),
            created_at: At(endpoint.created_at),
        }
    }
}

#[derive(Serialize)]
struct WebhooksView<'a> {
    webhooks: Vec<WebhookView<'a>>,
    next_cursor: Option<&'a str>,
}

/// `POST /admin/v1/webhooks`
pub(super) async fn create(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let at = req.at;
    let WebhookPosted { url, events } = req.json().await?;
    let made = shop.create_webhook(url, events, at).await?;
    let view = WebhookView::new(&made.endpoint, Some(made.secret.reveal()));
    Ok(no_store(json(StatusCode::CREATED, &view)))
}

/// `GET /admin/v1/webhooks`: all of them, there are few.
pub(super) async fn list(shop: Arc<Shop>, _: Merchant, _: Req) -> Outcome {
    let all = shop.webhooks().await?;
    let view = WebhooksView {
        webhooks: all.iter().map(|one| WebhookView::new(one, None)).collect(),
        next_cursor: None,
    };
    Ok(no_store(json(StatusCode::OK, &view)))
}

/// `DELETE /admin/v1/webhooks/{id}`
pub(super) async fn delete(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let id = req.param::<u64>("id")?;
    match shop.remove_webhook(id, req.at).await? {
        true => Ok(empty(StatusCode::NO_CONTENT)),
        false => {
            let said = "没有这个 webhook 端点";
            Err(HttpError::new(StatusCode::NOT_FOUND, "NOT_FOUND", said))
        }
    }
}
