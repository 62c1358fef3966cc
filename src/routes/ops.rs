//! Operations: is the process up, can the store write.

use std::sync::Arc;

use serde::Serialize;

use crate::shop::Shop;
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

/// `GET /readyz`: the store can write.
pub(super) async fn readyz(shop: Arc<Shop>, _: Anyone, _: Req) -> Outcome {
    let unready = |why| HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE", why);
    shop.health().map_err(unready)?;
    Ok(json(StatusCode::OK, &HEALTH))
}
