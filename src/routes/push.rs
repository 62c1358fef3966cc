//! WeChat's message push: the check of our address, and what it tells, in every mode and format.

use std::sync::Arc;

use crate::shop::Shop;
use crate::shop::push::{Asked, PushHeard};
use crate::web::{Anyone, HttpError, Outcome, Req, Response, StatusCode, text};

const PLAIN: &str = "text/plain; charset=utf-8";

fn asked(req: &Req) -> Asked {
    let value = |name: &str| req.query(name).unwrap_or_default();
    Asked {
        timestamp: value("timestamp"),
        nonce: value("nonce"),
        signature: value("signature"),
        msg_signature: value("msg_signature"),
    }
}

fn forged() -> HttpError {
    let said = "消息推送验签不通过";
    HttpError::new(StatusCode::FORBIDDEN, "FORBIDDEN", said)
}

/// `GET /wx/message`: the check of the address, answered with the text it brings, unchanged.
///
/// Source: 小程序 · 消息推送 · 第二步：验证消息的确来自微信服务器.
pub(super) async fn check(shop: Arc<Shop>, _: Anyone, req: Req) -> Outcome {
    let checked = shop.check_push_url(&asked(&req));
    checked.map_err(|_| forged())?;
    let echo = req.query("echostr").unwrap_or_default();
    Ok(text(StatusCode::OK, PLAIN, echo))
}

/// `POST /wx/message`: answered when what it caused is on disk.
pub(super) async fn take(shop: Arc<Shop>, _: Anyone, mut req: Req) -> Outcome {
    let (asked, at) = (asked(&req), req.at);
    let body = req.body().await?;
    match shop.take_push(&asked, &body, at).await? {
        PushHeard::Taken => Ok(success()),
        PushHeard::Refused(_) => Err(forged()),
    }
}

fn success() -> Response {
    text(StatusCode::OK, PLAIN, "success")
}
