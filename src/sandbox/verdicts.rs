//! The last requests on WeChat's paths, each with its verdict. Secrets are never kept.

use std::collections::VecDeque;

use serde::Serialize;

use super::faults::UpstreamFault;

/// How many requests are remembered (CONTRACT §6).
const KEPT: usize = 1000;

/// What was thought of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    /// `OK`, WeChat's code, or `FAULT` when a fault came before any judgement.
    pub(super) verdict: String,
    pub(super) message: String,
}

impl Verdict {
    pub(super) fn ok() -> Self {
        Self::new("OK", "")
    }

    pub(super) fn new(verdict: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            verdict: verdict.into(),
            message: message.into(),
        }
    }
}

/// One request.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Seen {
    pub(super) at: String,
    pub(super) method: String,
    /// The row of the table: never the query, in which a login carries the AppSecret.
    pub(super) path: &'static str,
    #[serde(flatten)]
    pub(super) verdict: Verdict,
    /// The fault played on the answer.
    pub(super) fault: UpstreamFault,
}

/// The ring of requests.
#[derive(Default)]
pub(super) struct Verdicts(VecDeque<Seen>);

impl Verdicts {
    pub(super) fn push(&mut self, seen: Seen) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(seen);
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Seen> {
        self.0.iter().rev()
    }
}
