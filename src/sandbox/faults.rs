//! What goes wrong on purpose: faults of the next notifies and the next answers.

use serde::{Deserialize, Serialize};

/// A fault of a notify (CONTRACT §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NotifyFault {
    /// Nothing is wrong.
    #[default]
    Normal,
    /// It is lost on the way; the retries follow.
    Drop,
    /// It comes twice at once.
    Duplicate,
    /// It comes 15 seconds later, by the simulator's clock.
    Delay,
    /// Its signature is of another text.
    BadSign,
    /// Rightly signed, but one fen more.
    WrongAmount,
    /// Rightly signed, but of another mini program.
    WrongAppid,
}

/// A fault of an answer to the merchant (CONTRACT §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum UpstreamFault {
    /// Nothing is wrong.
    #[default]
    Normal,
    /// The work is done, the answer never comes.
    Timeout,
    /// A bare 500; nothing is done.
    #[serde(rename = "http_500")]
    Http500,
    /// The protocol's own "system busy"; nothing is done.
    SystemError,
    /// The work is done, the answer's signature is wrong.
    BadSign,
    /// The work is done, the answer comes after three seconds.
    Slow,
}

/// The body of `PUT /sandbox/faults`. What is left out becomes normal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Faults {
    #[serde(default)]
    pub(super) notify: NotifyFault,
    #[serde(default)]
    pub(super) upstream: UpstreamFault,
    /// How many notifies and how many answers; without it, all until the next change.
    #[serde(default)]
    pub(super) times: Option<u32>,
}

/// The faults still to come.
#[derive(Debug, Default)]
pub(super) struct Pending {
    faults: Faults,
    notifies_left: Option<u32>,
    answers_left: Option<u32>,
}

impl Pending {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            faults,
            notifies_left: faults.times,
            answers_left: faults.times,
        }
    }

    /// The fault of the next notify, used up by asking.
    pub(super) fn next_notify(&mut self) -> NotifyFault {
        match spend(&mut self.notifies_left) {
            Some(()) => self.faults.notify,
            None => NotifyFault::Normal,
        }
    }

    /// The fault of the next answer, used up by asking.
    pub(super) fn next_answer(&mut self) -> UpstreamFault {
        match spend(&mut self.answers_left) {
            Some(()) => self.faults.upstream,
            None => UpstreamFault::Normal,
        }
    }
}

fn spend(left: &mut Option<u32>) -> Option<()> {
    match left {
        None => Some(()),
        Some(0) => None,
        Some(left) => {
            *left -= 1;
            Some(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_comes_as_often_as_asked_and_not_once_more() {
        let asked = serde_json::from_str(r#"{"notify":"drop","upstream":"http_500","times":2}"#);
        let mut pending = Pending::new(asked.expect("the contract's names"));
        let notifies = [(); 3].map(|()| pending.next_notify());
        assert_eq!(
            notifies,
            [NotifyFault::Drop, NotifyFault::Drop, NotifyFault::Normal]
        );
        let answers = [(); 3].map(|()| pending.next_answer());
        let wanted = [
            UpstreamFault::Http500,
            UpstreamFault::Http500,
            UpstreamFault::Normal,
        ];
        assert_eq!(answers, wanted);
    }

    #[test]
    fn every_name_of_the_contract_is_a_fault_and_no_other() {
        let notify = [
            "normal",
            "drop",
            "duplicate",
            "delay",
            "bad_sign",
            "wrong_amount",
        ];
        for name in notify.into_iter().chain(["wrong_appid"]) {
            let body = format!("{{\"notify\":\"{name}\"}}");
            assert!(serde_json::from_str::<Faults>(&body).is_ok(), "{name}");
        }
        for name in [
            "normal",
            "timeout",
            "http_500",
            "system_error",
            "bad_sign",
            "slow",
        ] {
            let body = format!("{{\"upstream\":\"{name}\"}}");
            assert!(serde_json::from_str::<Faults>(&body).is_ok(), "{name}");
        }
        assert!(serde_json::from_str::<Faults>(r#"{"notify":"http_500"}"#).is_err());
        assert!(serde_json::from_str::<Faults>(r#"{"extra":1}"#).is_err());
    }
}
