//! Floor 0: the words every other floor speaks: fen, seconds, ids, secrets, ciphers, flat XML.
//!
//! Nothing here knows a business rule. The clock is read only in [`time`], the random source only
//! in [`secret`].

pub(crate) mod blocking;
pub mod cipher;
pub mod day;
pub mod hash;
pub mod household;
pub mod id;
pub mod metrics;
pub mod money;
pub mod rate;
pub mod rsa;
pub mod secret;
pub mod time;
pub mod totp;
#[cfg(test)]
pub(crate) mod trial;
pub mod x509;
pub mod x509_issue;
pub mod xml;

pub use day::Day;
pub use household::Household;
pub use id::{AppId, GoodsId, MchId, OpenId, OrderNo, OutTradeNo, PrepayId, RefundNo};
pub use id::{TransactionId, Uid};
pub use money::Fen;
pub use rate::Rate;
pub use secret::Secret;
pub use time::{Clock, Timestamp};
