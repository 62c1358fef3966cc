//! Floor 1: HTTP, in and out. The one home of hyper, reqwest and rustls.
//!
//! [`Router`] holds routes as rows of a table, [`Server`] carries requests to them, [`Client`]
//! calls others. Nothing here knows a business rule or a route of ours.

mod answer;
mod client;
mod connection;
mod decode;
#[cfg(test)]
pub(crate) mod demanding;
mod download;
mod guard;
mod id;
#[cfg(test)]
pub(crate) mod local;
mod metrics;
mod proxies;
mod reach;
mod request;
mod response;
mod router;
mod server;

pub use bytes::Bytes;
pub use hyper::header;
pub use hyper::{Method, StatusCode};

pub use client::{Client, ClientError, Incoming, Outgoing};
pub use decode::{percent_decoded, read_json};
pub use download::{DownloadLimits, Downloaded, Sink};
pub use guard::{BadTarget, Guarded};
pub use id::RequestId;
pub use metrics::HttpMetrics;
pub use proxies::TrustedProxies;
pub use reach::{Reach, Stage};
pub use request::Req;
pub use response::{HttpError, Outcome, Response};
pub use response::{empty, json, long_json, no_store, text, with_header};
pub use router::{Anyone, Caller, Route, Router, route};
pub use server::{Deadlines, Limits, Server};

#[cfg(test)]
mod tests;
