//! Floor 2: WeChat's protocols, from the client's side. The one home of its field names.
//!
//! Pure (no clock, random source or socket): [`v2`], [`v3`], [`mini`], [`message`], [`bill`],
//! [`prepay`], [`notify`], [`paid`]. They say what to send, how to read what comes back, and
//! whether to believe it.

pub mod bill;
pub mod error;
pub mod message;
pub mod mini;
pub mod mini_open;
pub mod notify;
pub mod paid;
pub mod pay_error;
pub mod prepay;
pub mod v2;
pub mod v3;

#[cfg(test)]
mod vectors;

pub use error::{Cause, Refused, WechatError};
pub use notify::{NotifyRefusal, Opened, UnverifiedNotice};
pub use paid::{Expected, Mismatch, PaidNotice};
pub use prepay::{PayParams, PrepayRequest, Protocol, Wanted};
pub use v2::{SignType, V2Keys};
pub use v3::{SignatureHeaders, V3Keys};
