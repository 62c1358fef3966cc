//! Floor 1: the lives of an order and a payment attempt; goods and users as they are kept.
//!
//! Pure: no clock, no random source, no IO. `now` comes as an argument, what follows from a
//! decision goes back as [`Effect`]s, which the store carries out in the same transaction.

pub mod amend;
pub mod attempt;
pub mod goods;
pub mod order;
pub mod order_event;
pub mod price;
pub mod reconcile;
pub mod refund;
pub mod refund_request;
pub mod refund_room;
#[cfg(test)]
mod refund_samples;
pub mod refund_status;
pub mod refund_told;
pub mod refusal;
pub mod shipping;
pub mod shipping_report;
pub mod timeline;
pub mod user;

pub use amend::OrderChange;
pub use attempt::{Attempt, AttemptState, Payment, Protocol};
pub use goods::Goods;
pub use order::{Effect, Order, OrderEvent, OrderStatus};
pub use price::{Line, LineWanted};
pub use refund::{LastError, Refund, RefundKind, Restock};
pub use refund_request::RefundRequest;
pub use refund_status::RefundStatus;
pub use refusal::Refusal;
pub use shipping::{Delivery, Logistics, Parcel, ShipWanted, Shipment};
pub use shipping_report::{ReportStatus, Settlement, ShippingReport};
pub use timeline::Entry;
pub use user::{Address, User};
