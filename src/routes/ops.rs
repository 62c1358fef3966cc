//! Operations: is the process up, can the store write, what is counted.

use std::sync::Arc;

use serde::Serialize;

use crate::base::metrics::CONTENT_TYPE;
use crate::shop::{Shop, ShopError};
use crate::store::StoreError;
use crate::web::{Anyone, Caller, HttpError, Outcome, Req, StatusCode, json, no_store, text};

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

const HEALTH: Health = Health {
    status: "ok",
    version: env!("CARGO_PKG_VERSION"),
};

/// `GET /healthz`: the process is up.
pub(super) async fn healthz(_: Arc<Shop>, _: Anyone, _: Req) -> Outcome {
    Ok(json(StatusCode::OK, &HEALTH))
}

/// Stands for every route that writes or calls WeChat, when the store is open to be read only.
pub(super) async fn refuse(_: Arc<Shop>, _: Anyone, _: Req) -> Outcome {
    Err(read_only())
}

fn read_only() -> HttpError {
    let said = StoreError::ReadOnly.to_string();
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "READ_ONLY", said)
}

/// `GET /readyz`: the store can write.
pub(super) async fn readyz(shop: Arc<Shop>, _: Anyone, _: Req) -> Outcome {
    if shop.is_read_only() {
        return Err(read_only());
    }
    let unready = |why| HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE", why);
    shop.health().map_err(unready)?;
    Ok(json(StatusCode::OK, &HEALTH))
}

/// Who may read `/metrics`: this machine itself, or who shows the token.
pub(super) struct Watcher;

/// What proxies add: with one of these a request comes from elsewhere, whatever its address.
const PROXIED: [&str; 7] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "x-client-ip",
];

impl Caller<Shop> for Watcher {
    async fn prove(shop: &Arc<Shop>, req: &mut Req) -> Result<Self, HttpError> {
        let token = shop.metrics_token();
        let proxied = PROXIED.iter().any(|name| req.headers().contains_key(*name));
        let shown = req.bearer().is_some_and(|shown| token.matches(shown));
        if (req.client_addr.is_loopback() && !proxied) || (shown && !token.is_empty()) {
            return Ok(Self);
        }
        if token.is_empty() {
            // Whoever may not read it need not know that it is there.
            let said = "没有这个地址";
            return Err(HttpError::new(StatusCode::NOT_FOUND, "NOT_FOUND", said));
        }
        Err(ShopError::Unauthenticated.into())
    }
}

/// `GET /metrics`: what is counted, for Prometheus.
pub(super) async fn metrics(shop: Arc<Shop>, _: Watcher, req: Req) -> Outcome {
    let told = shop.metrics_text(req.at).await?;
    Ok(no_store(text(StatusCode::OK, CONTENT_TYPE, told)))
}
