//! What WeChat sends us: payment and refund results, in the protocol of the attempt they are about.

use std::sync::Arc;

use serde::Serialize;

use crate::shop::Shop;
use crate::shop::notify::Heard;
use crate::web::{Anyone, Outcome, Req, Response, StatusCode, empty, forged, json, text};
use crate::wechat::{SignatureHeaders, v2};

/// `POST /wx/pay/notify`: v2 by its XML, v3 by its JSON. A success is answered only when it is
/// on disk.
pub(super) async fn pay_notify(shop: Arc<Shop>, _: Anyone, mut req: Req) -> Outcome {
    let at = req.at;
    // A body that is too large or too slow is not WeChat's: it gets the contract's error.
    let body = req.body().await?;
    let headers = SignatureHeaders::read(|name| req.header(name));
    let heard = shop.take_pay_notify(&headers, &body, at).await;
    Ok(answer(&body, &heard))
}

/// `POST /wx/refund/notify`: the same for refund results.
pub(super) async fn refund_notify(shop: Arc<Shop>, _: Anyone, mut req: Req) -> Outcome {
    let at = req.at;
    let body = req.body().await?;
    let headers = SignatureHeaders::read(|name| req.header(name));
    let heard = shop.take_refund_notify(&headers, &body, at).await;
    Ok(answer(&body, &heard))
}

fn answer(body: &[u8], heard: &Heard) -> Response {
    // What is neither must not get a 200: to APIv3 that means success.
    let xml = [&b"<"[..], "\u{feff}".as_bytes()];
    let is_v2 = xml
        .iter()
        .any(|start| body.trim_ascii_start().starts_with(start));
    let answer = if is_v2 {
        v2_answer(heard)
    } else {
        v3_answer(heard)
    };
    match heard {
        Heard::Refused(_) => forged(answer),
        Heard::Applied
        | Heard::NotOurs
        | Heard::Unknown
        | Heard::Mismatched(_)
        | Heard::RefundDiffers(_)
        | Heard::Unavailable => answer,
    }
}

/// Source: 微信支付 APIv2 · 支付结果通知: 200, and the verdict in the XML.
fn v2_answer(heard: &Heard) -> Response {
    let reply = match heard {
        Heard::Applied | Heard::NotOurs => v2::notify::success(),
        Heard::Refused(_) => v2::notify::fail("REFUSED"),
        Heard::Unknown => v2::notify::fail("UNKNOWN ORDER"),
        Heard::Mismatched(_) | Heard::RefundDiffers(_) => v2::notify::fail("MISMATCH"),
        Heard::Unavailable => v2::notify::fail("TRY AGAIN"),
    };
    text(StatusCode::OK, "text/xml; charset=utf-8", reply)
}

#[derive(Serialize)]
struct Fail {
    code: &'static str,
    message: &'static str,
}

/// Source: 微信支付 APIv3 · 支付成功回调通知: 204, or 4xx/5xx with a reason.
fn v3_answer(heard: &Heard) -> Response {
    let (status, message) = match heard {
        Heard::Applied | Heard::NotOurs => return empty(StatusCode::NO_CONTENT),
        Heard::Refused(_) => (StatusCode::UNAUTHORIZED, "验签或内容不通过"),
        Heard::Unknown => (StatusCode::NOT_FOUND, "没有这个商户订单号"),
        Heard::Mismatched(_) => (StatusCode::CONFLICT, "与支付单不符"),
        Heard::RefundDiffers(_) => (StatusCode::CONFLICT, "与退款单不符"),
        Heard::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "暂时不能处理"),
    };
    json(
        status,
        &Fail {
            code: "FAIL",
            message,
        },
    )
}
