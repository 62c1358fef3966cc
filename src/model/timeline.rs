//! The timeline of an order: what happened, when, and why, in the merchant's language.

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;

/// One line of an order's timeline. Never holds a secret, a phone or a whole openid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it happened.
    pub at: Timestamp,
    /// What, as a word for programs: `order.paid`, `payment.prepay`, `notify.refused`, …
    pub kind: String,
    /// What and why, one sentence in Chinese.
    pub text: String,
}

impl Entry {
    /// An entry of `kind` at `at`.
    pub fn new(at: Timestamp, kind: &str, text: impl Into<String>) -> Self {
        Self {
            at,
            kind: kind.to_owned(),
            text: text.into(),
        }
    }
}
