//! What is counted of requests: by row of the table and class of status, never by path.

use std::time::Duration;

use hyper::{Method, StatusCode};

use crate::base::metrics::{Counter, Counters, Gauge, Registry, Timing, Timings, member};

/// The classes of status, `1xx` first.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What is counted of the requests and connections of all servers that share it.
#[derive(Clone, Debug, Default)]
pub struct HttpMetrics {
    requests: Counters,
    duration: Timings,
    /// Connections open now.
    pub(super) connections: Gauge,
}

impl HttpMetrics {
    /// Shows all of it to `registry`.
    pub fn show(&self, registry: &mut Registry) {
        let help = "Requests answered, by route pattern, method and class of status";
        registry.add("http_requests", help, &self.requests);
        let help = "Time from a request's head to its answer, by route pattern and method";
        registry.add("http_request_duration_seconds", help, &self.duration);
        let help = "Connections open now";
        registry.add("http_connections", help, &self.connections);
    }

    /// The counters of one row, looked up once.
    pub(super) fn row(&self, method: &Method, pattern: &'static str) -> RowMetrics {
        self.counters([("route", pattern), ("method", method_name(method))])
    }

    /// The counters of requests that no row answers.
    pub(super) fn astray(&self) -> RowMetrics {
        self.counters([("route", "none"), ("method", "any")])
    }

    fn counters(&self, named: [(&'static str, &'static str); 2]) -> RowMetrics {
        let counter = |class| member(&self.requests, &[named[0], named[1], ("status", class)]);
        RowMetrics {
            by_class: CLASSES.map(counter),
            duration: member(&self.duration, &named),
        }
    }
}

/// The counters of one row.
#[derive(Clone, Debug, Default)]
pub(super) struct RowMetrics {
    by_class: [Counter; 5],
    duration: Timing,
}

impl RowMetrics {
    /// Counts one answer.
    pub(super) fn answered(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.by_class.get(class) {
            counter.inc();
        }
        self.duration.took(took);
    }
}

/// Only the methods that rows have.
fn method_name(method: &Method) -> &'static str {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let found = known.into_iter().find(|name| *name == method.as_str());
    found.unwrap_or("other")
}
