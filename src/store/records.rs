//! What is kept under each kind of key, version by version, and the sealing of what is personal.
//!
//! Variants are appended, never edited; `tests/golden/records` holds the bytes of each. Types of
//! `model` stand here while their shape is the stored one; when `model` moves on, the old shape
//! stays here under its version.

use serde::{Deserialize, Serialize};

use super::codec::Record;
use super::reconciliations::{Reconciliation, ReconciliationV1};
use super::sealed::{Place, Sealed};
use crate::base::cipher::{CannotOpen, FieldKey};
use crate::base::{AppId, Fen, OpenId, OrderNo, OutTradeNo, RefundNo};
use crate::base::{Timestamp, TransactionId, Uid};
use crate::model::{Attempt, Entry, Goods, Line, Order, OrderStatus, User};
use crate::model::{Refund, RefundRequest};

/// Ties a kind of record to its name; long ones may be laid down in pieces.
macro_rules! records {
    ($($record:ident $kind:literal $long:literal)*) => {$(
        impl Record for $record {
            const KIND: &'static str = $kind;
            const LONG: bool = $long;
        }
    )*};
}

records! {
    NumberRecord "number" false
    GoodsRecord "goods" true
    OrderRecord "order" true
    OwnerRecord "owner of an order" false
    EntryRecord "timeline entry" true
    AttemptRecord "payment attempt" true
    PaidByRecord "transaction" false
    UserRecord "user" true
    UidRecord "openid" false
    IdempotencyRecord "idempotency key" true
    UnmatchedRecord "unmatched notify" true
    RefundRecord "refund" true
    RefundIndexRecord "refund of an order" false
    RefundRequestRecord "refund request" true
    ReconciliationRecord "reconciliation" true
    DayRowRecord "difference of a day" true
    ApiKeyRecord "API key" true
    CertificateRecord "platform certificate" true
    TokenRecord "token" false
    UserTokensRecord "tokens of a user" false
}

/// A bare number: a counter, pieces in stock, where an unmatched notify is kept.
#[derive(Serialize, Deserialize)]
pub(super) enum NumberRecord {
    V1(u64),
}

#[derive(Serialize, Deserialize)]
pub(super) enum GoodsRecord {
    V1(Goods),
}

#[derive(Serialize, Deserialize)]
pub(super) enum OrderRecord {
    V1(OrderV1),
}

/// Whose order the key names, and so where it is kept.
#[derive(Serialize, Deserialize)]
pub(super) enum OwnerRecord {
    V1(Uid),
}

#[derive(Serialize, Deserialize)]
pub(super) enum EntryRecord {
    V1(Entry),
}

#[derive(Serialize, Deserialize)]
pub(super) enum AttemptRecord {
    V1(Attempt),
}

/// The attempt that a transaction paid.
#[derive(Serialize, Deserialize)]
pub(super) enum PaidByRecord {
    V1(OutTradeNo),
}

#[derive(Serialize, Deserialize)]
pub(super) enum UserRecord {
    V1(UserV1),
}

#[derive(Serialize, Deserialize)]
pub(super) enum UidRecord {
    V1(Uid),
}

#[derive(Serialize, Deserialize)]
pub(super) enum RefundRecord {
    V1(Refund),
}

/// The refund that the key names, because a refund_no may hold any sign of a key.
#[derive(Serialize, Deserialize)]
pub(super) enum RefundIndexRecord {
    V1(RefundNo),
}

#[derive(Serialize, Deserialize)]
pub(super) enum RefundRequestRecord {
    V1(RefundRequest),
}

/// The first answer to a key: an order, or a refund.
#[derive(Serialize, Deserialize)]
pub(super) enum IdempotencyRecord {
    V1(IdempotencyV1),
    V2(IdempotencyV2),
}

#[derive(Serialize, Deserialize)]
pub(super) enum UnmatchedRecord {
    V1(super::unmatched::Unmatched),
}

#[derive(Serialize, Deserialize)]
pub(super) enum ReconciliationRecord {
    V1(ReconciliationV1),
    V2(Reconciliation),
}

#[derive(Serialize, Deserialize)]
pub(super) enum DayRowRecord {
    V1(super::reconciliations::DayRow),
}

#[derive(Serialize, Deserialize)]
pub(super) enum ApiKeyRecord {
    V1(super::staff::ApiKey),
}

/// A platform certificate of WeChat, as PEM.
#[derive(Serialize, Deserialize)]
pub(super) enum CertificateRecord {
    V1(String),
}

#[derive(Serialize, Deserialize)]
pub(super) enum TokenRecord {
    V1(TokenV1),
}

#[derive(Serialize, Deserialize)]
pub(super) enum UserTokensRecord {
    V1(UserTokensV1),
}

/// The first answer to an idempotency key.
#[derive(Serialize, Deserialize)]
pub(super) struct IdempotencyV1 {
    pub(super) body: [u8; 32],
    pub(super) created_at: Timestamp,
    pub(super) answer: OrderRecord,
}

/// The first answer to an idempotency key that opened a refund.
#[derive(Serialize, Deserialize)]
pub(super) struct IdempotencyV2 {
    pub(super) body: [u8; 32],
    pub(super) created_at: Timestamp,
    pub(super) answer: RefundRecord,
}

/// A login.
#[derive(Serialize, Deserialize)]
pub(super) struct TokenV1 {
    pub(super) appid: AppId,
    pub(super) openid: OpenId,
    pub(super) session_key: Sealed,
    pub(super) uid: Uid,
    pub(super) scope: super::tokens::Scope,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) generation: u64,
}

/// A user's tokens, newest last, each with its expiry; `sweep_at` says under which key of F1 they
/// wait for the sweep.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct UserTokensV1 {
    pub(super) sweep_at: Option<Timestamp>,
    pub(super) tokens: Vec<(super::tokens::TokenHash, Timestamp)>,
}

/// An order with its address sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct OrderV1 {
    pub(super) order_no: OrderNo,
    pub(super) uid: Uid,
    pub(super) appid: AppId,
    pub(super) openid: OpenId,
    pub(super) status: OrderStatus,
    pub(super) goods: Fen,
    pub(super) freight: Fen,
    pub(super) discount: Fen,
    pub(super) total: Fen,
    pub(super) refunded: Fen,
    pub(super) lines: Vec<Line>,
    pub(super) remark: String,
    pub(super) address: Option<Sealed>,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) paid_at: Option<Timestamp>,
    pub(super) shipped_at: Option<Timestamp>,
    pub(super) completed_at: Option<Timestamp>,
    pub(super) closed_at: Option<Timestamp>,
    pub(super) closing_since: Option<Timestamp>,
    pub(super) transaction_id: Option<TransactionId>,
    pub(super) paid_by: Option<u16>,
    pub(super) attempts: u16,
    pub(super) merchant_note: String,
}

fn order_address(order_no: &OrderNo) -> Place<'_> {
    Place("order address", order_no.as_str().as_bytes())
}

impl OrderRecord {
    /// The newest version of the record of `order`.
    pub(super) fn seal(order: &Order, key: &FieldKey) -> Self {
        let place = order_address(&order.order_no);
        let order = order.clone();
        let address = order
            .address
            .map(|address| Sealed::of(key, &place, &address));
        Self::V1(OrderV1 {
            order_no: order.order_no,
            uid: order.uid,
            appid: order.appid,
            openid: order.openid,
            status: order.status,
            goods: order.goods,
            freight: order.freight,
            discount: order.discount,
            total: order.total,
            refunded: order.refunded,
            lines: order.lines,
            remark: order.remark,
            address,
            created_at: order.created_at,
            expires_at: order.expires_at,
            paid_at: order.paid_at,
            shipped_at: order.shipped_at,
            completed_at: order.completed_at,
            closed_at: order.closed_at,
            closing_since: order.closing_since,
            transaction_id: order.transaction_id,
            paid_by: order.paid_by,
            attempts: order.attempts,
            merchant_note: order.merchant_note,
        })
    }

    /// The order that this record keeps, in whichever version.
    pub(super) fn open(self, key: &FieldKey) -> Result<Order, CannotOpen> {
        let Self::V1(order) = self;
        let place = order_address(&order.order_no);
        let address = order
            .address
            .as_ref()
            .map(|sealed| sealed.open(key, &place));
        let address = address.transpose()?;
        Ok(Order {
            order_no: order.order_no,
            uid: order.uid,
            appid: order.appid,
            openid: order.openid,
            status: order.status,
            goods: order.goods,
            freight: order.freight,
            discount: order.discount,
            total: order.total,
            refunded: order.refunded,
            lines: order.lines,
            remark: order.remark,
            address,
            created_at: order.created_at,
            expires_at: order.expires_at,
            paid_at: order.paid_at,
            shipped_at: order.shipped_at,
            completed_at: order.completed_at,
            closed_at: order.closed_at,
            closing_since: order.closing_since,
            transaction_id: order.transaction_id,
            paid_by: order.paid_by,
            attempts: order.attempts,
            merchant_note: order.merchant_note,
        })
    }
}

/// A user with phone and address sealed; the digest is the phone's index.
#[derive(Serialize, Deserialize)]
pub(super) struct UserV1 {
    pub(super) uid: Uid,
    pub(super) appid: AppId,
    pub(super) openid: OpenId,
    pub(super) unionid: Option<String>,
    pub(super) nickname: String,
    pub(super) avatar_url: String,
    pub(super) phone: Option<Sealed>,
    pub(super) phone_digest: Option<[u8; 16]>,
    pub(super) address: Option<Sealed>,
    pub(super) blocked: bool,
    pub(super) token_generation: u64,
    pub(super) created_at: Timestamp,
}

/// The digest by which a phone is found; an empty one is not indexed.
pub(super) fn phone_digest(key: &FieldKey, phone: &str) -> Option<[u8; 16]> {
    (!phone.is_empty()).then(|| key.index(phone.as_bytes()))
}

impl UserRecord {
    /// The newest version of the record of `user`.
    pub(super) fn seal(user: &User, key: &FieldKey) -> Self {
        let uid = user.uid.get().to_be_bytes();
        let phone = Place("user phone", &uid);
        let address = Place("user address", &uid);
        Self::V1(UserV1 {
            uid: user.uid,
            appid: user.appid.clone(),
            openid: user.openid.clone(),
            unionid: user.unionid.clone(),
            nickname: user.nickname.clone(),
            avatar_url: user.avatar_url.clone(),
            phone: (!user.phone.is_empty()).then(|| Sealed::of(key, &phone, &user.phone)),
            phone_digest: phone_digest(key, &user.phone),
            address: user.address.as_ref().map(|a| Sealed::of(key, &address, a)),
            blocked: user.blocked,
            token_generation: user.token_generation,
            created_at: user.created_at,
        })
    }

    /// The user that this record keeps, in whichever version.
    pub(super) fn open(self, key: &FieldKey) -> Result<User, CannotOpen> {
        let Self::V1(user) = self;
        let uid = user.uid.get().to_be_bytes();
        let phone = user
            .phone
            .map(|sealed| sealed.open(key, &Place("user phone", &uid)));
        let address = user
            .address
            .map(|sealed| sealed.open(key, &Place("user address", &uid)));
        Ok(User {
            uid: user.uid,
            appid: user.appid,
            openid: user.openid,
            unionid: user.unionid,
            nickname: user.nickname,
            avatar_url: user.avatar_url,
            phone: phone.transpose()?.unwrap_or_default(),
            address: address.transpose()?,
            blocked: user.blocked,
            token_generation: user.token_generation,
            created_at: user.created_at,
        })
    }
}
