//! The one place where an error becomes a status and a code. No `_` arm: a new error must be named.

use serde_json::json;

use crate::model::Refusal;
use crate::shop::ShopError;
use crate::shop::console::SecondFactor;
use crate::store::StoreError;
use crate::web::{HttpError, StatusCode};
use crate::wechat::{Cause, WechatError};

impl From<ShopError> for HttpError {
    fn from(error: ShopError) -> Self {
        let said = error.to_string();
        match error {
            ShopError::Refused(refusal) => refused(&refusal),
            ShopError::Store(error) => store_failed(&error),
            ShopError::Wechat(error) => wechat_failed(&error),
            ShopError::TokenInvalid => unauthorized("TOKEN_INVALID", said),
            ShopError::Unauthenticated => unauthorized("UNAUTHENTICATED", said),
            ShopError::LoginFailed => unauthorized("UNAUTHENTICATED", said),
            ShopError::SecondFactor(fault) => Self {
                detail: Some(json!({"totp": second_factor(fault)})),
                ..unauthorized("UNAUTHENTICATED", said)
            },
            ShopError::CsrfInvalid => Self::new(StatusCode::FORBIDDEN, "CSRF_INVALID", said),
            ShopError::RateLimited { retry_after_s } => {
                let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", said);
                Self {
                    retry_after_s: Some(retry_after_s),
                    ..error
                }
            }
            ShopError::DecryptFailed => Self::new(StatusCode::BAD_REQUEST, "DECRYPT_FAILED", said),
            ShopError::BackupRunning => Self::new(StatusCode::CONFLICT, "BACKUP_RUNNING", said),
            ShopError::BackupNotConfigured => {
                Self::new(StatusCode::CONFLICT, "BACKUP_NOT_CONFIGURED", said)
            }
            ShopError::PayNotConfigured => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "PAY_NOT_CONFIGURED", said)
            }
        }
    }
}

fn unauthorized(code: &'static str, said: String) -> HttpError {
    HttpError::new(StatusCode::UNAUTHORIZED, code, said)
}

fn second_factor(fault: SecondFactor) -> &'static str {
    match fault {
        SecondFactor::Required => "required",
        SecondFactor::Wrong => "wrong",
    }
}

fn refused(refusal: &Refusal) -> HttpError {
    use StatusCode as S;
    let said = refusal.to_string();
    let (status, code) = match refusal {
        Refusal::OrderNotFound => (S::NOT_FOUND, "ORDER_NOT_FOUND"),
        Refusal::OrderPaid => (S::CONFLICT, "ORDER_PAID"),
        Refusal::OrderClosed => (S::CONFLICT, "ORDER_CLOSED"),
        Refusal::OrderState => (S::CONFLICT, "ORDER_STATE"),
        Refusal::GoodsNotFound(_) => (S::NOT_FOUND, "GOODS_NOT_FOUND"),
        Refusal::GoodsOffSale(_) => (S::CONFLICT, "GOODS_OFF_SALE"),
        Refusal::OutOfStock { .. } => (S::CONFLICT, "OUT_OF_STOCK"),
        Refusal::AmountInvalid { .. } => (S::UNPROCESSABLE_ENTITY, "AMOUNT_INVALID"),
        Refusal::FieldInvalid { .. } => (S::BAD_REQUEST, "INVALID_REQUEST"),
        Refusal::UserBlocked => (S::FORBIDDEN, "USER_BLOCKED"),
        Refusal::PaymentBusy { .. } => (S::CONFLICT, "PAYMENT_BUSY"),
        Refusal::IdempotencyKeyReused => (S::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED"),
        Refusal::RowNotFound => (S::NOT_FOUND, "NOT_FOUND"),
        Refusal::RowStays { .. } => (S::CONFLICT, "ORDER_STATE"),
        Refusal::RefundNotFound => (S::NOT_FOUND, "NOT_FOUND"),
        Refusal::RefundExceeds { .. } => (S::CONFLICT, "REFUND_EXCEEDS"),
        Refusal::RefundTooOld | Refusal::RefundTooManyParts | Refusal::RefundRefused { .. } => {
            (S::CONFLICT, "REFUND_REFUSED")
        }
        Refusal::RefundManual { .. } => (S::CONFLICT, "REFUND_MANUAL"),
    };
    let detail = match refusal {
        Refusal::OutOfStock { goods_id, stock } => {
            Some(json!({"goods_id": goods_id.get(), "stock": stock}))
        }
        Refusal::AmountInvalid { field, .. } | Refusal::FieldInvalid { field, .. } => {
            Some(json!({"field": field}))
        }
        Refusal::PaymentBusy { retry_after_s } => Some(json!({"retry_after_s": retry_after_s})),
        Refusal::RefundExceeds { left } => Some(json!({"left_fen": left.get()})),
        Refusal::RefundRefused { code, .. } => Some(json!({"code": code})),
        Refusal::OrderNotFound
        | Refusal::OrderPaid
        | Refusal::OrderClosed
        | Refusal::OrderState
        | Refusal::GoodsNotFound(_)
        | Refusal::GoodsOffSale(_)
        | Refusal::UserBlocked
        | Refusal::RowNotFound
        | Refusal::RowStays { .. }
        | Refusal::IdempotencyKeyReused
        | Refusal::RefundNotFound
        | Refusal::RefundTooOld
        | Refusal::RefundTooManyParts
        | Refusal::RefundManual { .. } => None,
    };
    HttpError {
        detail,
        ..HttpError::new(status, code, said)
    }
}

/// An attempt younger than five minutes cannot be closed at WeChat, so that is when to come back.
///
/// Source: 微信支付 APIv2 · 关闭订单.
const PAYMENT_BUSY_RETRY_S: u64 = 300;

fn store_failed(error: &StoreError) -> HttpError {
    let said = error.to_string();
    match error {
        StoreError::Unknown | StoreError::Unavailable => {
            HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE", said)
        }
        StoreError::Corrupt(_) => {
            let said = "存储内容损坏，服务即将重启修复";
            HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE", said)
        }
        StoreError::TooLarge => {
            HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", said)
        }
    }
}

fn wechat_failed(error: &WechatError) -> HttpError {
    use StatusCode as S;
    let WechatError::Refused(refused) = error else {
        return HttpError::new(S::BAD_GATEWAY, "WECHAT_UNAVAILABLE", error.to_string());
    };
    // WeChat's own words are for the operator: the log has them, the buyer gets the advice.
    let said = refused.advice;
    match refused.cause {
        Cause::CodeInvalid => HttpError::new(S::BAD_REQUEST, "CODE_INVALID", said),
        Cause::UserBlocked => HttpError::new(S::FORBIDDEN, "USER_BLOCKED", said),
        Cause::RateLimited => {
            let error = HttpError::new(S::TOO_MANY_REQUESTS, "RATE_LIMITED", said);
            HttpError {
                retry_after_s: Some(60),
                ..error
            }
        }
        Cause::OrderPaid => HttpError::new(S::CONFLICT, "ORDER_PAID", said),
        Cause::OrderClosed => HttpError::new(S::CONFLICT, "ORDER_CLOSED", said),
        Cause::ParamsChanged => {
            let detail = Some(json!({"retry_after_s": PAYMENT_BUSY_RETRY_S}));
            HttpError {
                detail,
                ..HttpError::new(S::CONFLICT, "PAYMENT_BUSY", said)
            }
        }
        Cause::Busy
        | Cause::Config
        | Cause::NoPermission
        | Cause::OrderNotFound
        | Cause::OpenIdMismatch
        | Cause::NotEnough
        | Cause::PayerAccount
        | Cause::RuleLimit
        | Cause::MerchantBalance
        | Cause::RefundTooOld
        | Cause::TooManyParts
        | Cause::RefundExceeds
        | Cause::NotPossible
        | Cause::BadRequest => HttpError::new(S::BAD_GATEWAY, "WECHAT_UNAVAILABLE", said),
    }
}
