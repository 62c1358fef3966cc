//! Operations: is the process up, can the store write.

use std::sync::Arc;

use serde::Serialize;

use crate::shop::Shop;
use crate::store::StoreError;
use crate::web::{Anyone, HttpError, Outcome, Req, StatusCode, json};

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
