//! The last requests on WeChat's paths, each with its verdict. Secrets are never kept.

use std::collections::VecDeque;

use serde::Serialize;

use super::faults::UpstreamFault;

/// How many requests are remembered (CONTRACT §6).
const KEPT: usize = 1000;

/// What a verdict says about the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Nothing was wrong.
    Ok,
    /// A right request that the state of a trade, a refund or a day does not allow: part of
    /// ordinary business, such as closing what was paid a moment before.
    Business,
    /// A request that a correct merchant never sends.
    Protocol,
    /// A fault came before any judgement.
    Fault,
}

/// Codes that a correct merchant meets too. Source: 微信支付 APIv2, APIv3 · 错误码.
const BUSINESS: [&str; 16] = [
    "NO_STATEMENT_EXIST",
    "STATEMENT_CREATING",
    "No Bill Exist",
    "Bill Creating",
    "FREQUENCY_LIMITED",
    "NOTENOUGH",
    "NOT_ENOUGH",
    "ORDERCLOSED",
    "ORDERNOTEXIST",
    "ORDERPAID",
    "ORDER_CLOSED",
    "ORDER_NOT_EXIST",
    "REFUNDNOTEXIST",
    "RESOURCE_NOT_EXISTS",
    "TRADE_OVERDUE",
    "TRADE_STATE_ERROR",
];

impl Kind {
    /// The kind of a refusal by its code alone.
    pub(super) fn of(code: &str) -> Self {
        match BUSINESS.contains(&code) {
            true => Self::Business,
            false => Self::Protocol,
        }
    }
}

/// What was thought of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    /// `OK`, WeChat's code, or `FAULT` when a fault came before any judgement.
    pub(super) verdict: String,
    pub(super) message: String,
    pub(super) kind: Kind,
}

impl Verdict {
    pub(super) fn ok() -> Self {
        Self {
            kind: Kind::Ok,
            ..Self::new("OK", "")
        }
    }

    /// A refusal; its kind follows from its code.
    pub(super) fn new(verdict: impl Into<String>, message: impl Into<String>) -> Self {
        let verdict = verdict.into();
        Self {
            kind: Kind::of(&verdict),
            message: message.into(),
            verdict,
        }
    }

    /// What a fault did before anything was judged.
    pub(super) fn fault(message: &str) -> Self {
        Self {
            kind: Kind::Fault,
            ..Self::new("FAULT", message)
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
