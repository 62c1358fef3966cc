//! Floor 1: HTTP, in and out. The one home of hyper, reqwest and rustls.
//!
//! [`Router`] holds routes as rows of a table, [`Server`] carries requests to them, [`Client`]
//! calls others. Nothing here knows a business rule or a route of ours.

mod acme;
mod acme_client;
mod acme_kept;
mod acme_order;
mod acme_plan;
mod answer;
mod bare;
mod body;
mod client;
mod connection;
mod connection_h2;
mod decode;
#[cfg(test)]
pub(crate) mod demanding;
mod download;
mod gate;
mod guard;
mod id;
mod limits;
#[cfg(test)]
pub(crate) mod local;
mod metrics;
mod pace;
mod plain;
mod proxies;
mod reach;
mod request;
mod response;
mod router;
mod seats;
mod server;
mod tls;
mod tls_identity;
mod tls_keys;

pub use bytes::Bytes;
pub use hyper::header;
pub use hyper::{Method, StatusCode};

pub use acme::{Acme, AcmeConfig, BadAcme};
pub use body::{Arriving, Body, NobodyReads, Pieces, in_pieces};
pub use client::{Client, ClientError, Incoming, Outgoing};
pub use decode::{percent_decoded, read_json};
pub use download::{DownloadLimits, Downloaded, Sink};
pub use gate::{Toll, forged};
pub use guard::{BadTarget, Guarded};
pub use id::RequestId;
pub use limits::{Deadlines, Limits, PerAddress};
pub use metrics::HttpMetrics;
pub use plain::{OurNames, PlainListener};
pub use proxies::TrustedProxies;
pub use reach::{Reach, Stage};
pub use request::Req;
pub use response::{HttpError, Outcome, Response};
pub use response::{empty, json, long_json, made, no_store, text, with_header};
pub use router::{Anyone, Caller, Route, Router, route};
pub use server::Server;
pub use tls::Tls;
pub use tls_identity::{BadIdentity, Identity};
pub use tls_keys::Standing;

#[cfg(test)]
mod tests;
