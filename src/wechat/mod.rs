//! Floor 2: WeChat's protocols, from the client's side. The one home of its field names.
//!
//! Pure (no clock, random source or socket): [`v2`], [`v3`], [`mini`], [`message`], [`push`],
//! [`mini_user`], [`shipping`], [`shipping_order`], [`subscribe`], [`bill`], [`prepay`],
//! [`notify`], [`paid`], [`trade`], [`refund`], [`trace`]. They say what to send, how to read what
//! comes back, and whether to believe it. [`call`] makes a value of each, [`client`] sends it.

pub mod bill;
pub mod bill_call;
pub mod bill_file;
pub mod bill_rows;
pub mod call;
mod certificates;
pub mod client;
pub mod config;
pub mod error;
pub mod message;
mod metrics;
pub mod mini;
mod mini_calls;
mod mini_error;
pub mod mini_open;
pub mod mini_token;
pub mod mini_user;
pub mod notify;
pub mod paid;
pub mod pay_error;
pub mod prepay;
mod proving;
pub mod push;
pub mod refund;
mod refund_error;
mod refunds;
mod sending;
pub mod shipping;
pub mod shipping_order;
pub mod subscribe;
pub mod trace;
pub mod trade;
mod trades;
pub mod v2;
pub mod v3;

#[cfg(test)]
pub(crate) mod peer;
#[cfg(test)]
pub(crate) mod peer_certificates;
#[cfg(test)]
mod peer_hosts;
#[cfg(test)]
mod peer_mtls;
#[cfg(test)]
mod peer_refunds;
#[cfg(test)]
pub(crate) mod vectors;

pub use bill_call::{Fetched, FetchedBill};
pub use certificates::Refreshed;
pub use client::Wechat;
pub use config::{PayConfig, Version, WechatConfig};
pub use error::{Cause, Refused, WechatError};
pub use metrics::CallMetrics;
pub use mini::Session;
pub use notify::{NotifyRefusal, Opened, UnverifiedNotice};
pub use paid::PaidNotice;
pub use prepay::{PayParams, PrepayRequest, Protocol, Wanted};
pub use proving::Proof;
pub use refund::{AbnormalRefund, AbnormalTo, FromPlatform};
pub use refund::{RefundKey, RefundNotice, RefundOrder, RefundState};
pub use trace::{Exchange, Trace};
pub use trade::{CloseAnswer, Trade, TradeState};
pub use v2::{SignType, V2Keys};
pub use v3::{Keyring, PlatformCertificate, Trust, VerifyWith};
pub use v3::{SignatureFault, SignatureHeaders, V3Keys};
