//! WeChat Pay API v2: XML, signed with MD5 or HMAC-SHA256 under a shared key.
//!
//! Source: 微信支付 APIv2 · 协议规则.

pub mod answer;
pub mod notify;
pub mod order;
pub mod refund;
pub mod sign;
pub mod trade;

pub use sign::{SignType, V2Keys};

/// Path of 统一下单.
pub const UNIFIED_ORDER: &str = "/pay/unifiedorder";
/// Path of 查询订单.
pub const ORDER_QUERY: &str = "/pay/orderquery";
/// Path of 关闭订单.
pub const CLOSE_ORDER: &str = "/pay/closeorder";
