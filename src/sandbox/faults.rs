//! What goes wrong on purpose: faults of the next notifies and the next answers.

use serde::{Deserialize, Serialize};

use super::codes;
use super::codes::PlannedCode;

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
    /// Rightly signed, but of another mini program (a v3 refund: of another merchant).
    WrongAppid,
    /// A signature probe: `WECHATPAY/SIGNTEST/…`. Source: 微信支付 APIv3 · 签名探测.
    Probe,
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
    /// Nothing is done, and the answer never comes.
    TimeoutBefore,
    /// A bare 502; nothing is done.
    #[serde(rename = "http_502")]
    Http502,
    /// Too often: v3 429, v2 FREQUENCY_LIMITED; nothing is done.
    RateLimited,
    /// Taken, not yet worked on: v3 202, v2 BIZERR_NEED_RETRY; nothing is done.
    Accepted,
    /// The work is done, the answer's signature is a probe.
    Probe,
    /// Refused with `code`; nothing is done.
    Refuse,
    /// A bill's hash is of another file.
    BadHash,
    /// A bill's file ends in the middle.
    Cut,
}

/// The body of `PUT /sandbox/faults`. What is left out becomes normal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Faults {
    #[serde(default)]
    pub(super) notify: NotifyFault,
    #[serde(default)]
    pub(super) upstream: UpstreamFault,
    /// How many notifies and how many answers; without it, all until the next change.
    #[serde(default)]
    pub(super) times: Option<u32>,
    /// The call whose answers are hit, by its name (`codes::call_name`); without it, every call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
    /// What `refuse` refuses with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<PlannedCode>,
    /// In what words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
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
            notifies_left: faults.times,
            answers_left: faults.times,
            faults,
        }
    }

    /// The code and the words of `refuse`.
    pub(super) fn refusal(&self) -> (PlannedCode, String) {
        let code = self.faults.code.unwrap_or_default();
        let words = self.faults.message.clone();
        (code, words.unwrap_or_else(|| "模拟的拒绝".to_owned()))
    }

    /// The fault of the next notify, used up by asking.
    pub(super) fn next_notify(&mut self) -> NotifyFault {
        match spend(&mut self.notifies_left) {
            Some(()) => self.faults.notify,
            None => NotifyFault::Normal,
        }
    }

    /// The fault of the next answer to a call of this pattern, used up by asking.
    pub(super) fn next_answer(&mut self, pattern: &str) -> UpstreamFault {
        let other = |path: &String| *path != codes::call_name(pattern) && path != pattern;
        if self.faults.path.as_ref().is_some_and(other) {
            return UpstreamFault::Normal;
        }
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
        let answers = [(); 3].map(|()| pending.next_answer("/pay/orderquery"));
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
        for name in notify.into_iter().chain(["wrong_appid", "probe"]) {
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
            "timeout_before",
            "http_502",
            "rate_limited",
            "accepted",
            "probe",
            "refuse",
            "bad_hash",
            "cut",
        ] {
            let body = format!("{{\"upstream\":\"{name}\"}}");
            assert!(serde_json::from_str::<Faults>(&body).is_ok(), "{name}");
        }
        assert!(serde_json::from_str::<Faults>(r#"{"notify":"http_500"}"#).is_err());
        assert!(serde_json::from_str::<Faults>(r#"{"extra":1}"#).is_err());
    }

    #[test]
    fn a_fault_that_names_a_call_spares_the_others_and_is_not_used_up_by_them() {
        let asked = r#"{"upstream":"refuse","code":"NOT_ENOUGH","times":1,"path":"refund"}"#;
        let mut pending = Pending::new(serde_json::from_str(asked).expect("known names"));
        let calls = [
            "/pay/refundquery",
            "/v3/refund/domestic/refunds",
            "/secapi/pay/refund",
        ];
        let answers = calls.map(|pattern| pending.next_answer(pattern));
        let (normal, refuse) = (UpstreamFault::Normal, UpstreamFault::Refuse);
        assert_eq!(answers, [normal, refuse, normal]);
        assert_eq!(pending.refusal().0.code(), "NOT_ENOUGH");
        let unknown = r#"{"upstream":"refuse","code":"NOT_A_CODE"}"#;
        assert!(serde_json::from_str::<Faults>(unknown).is_err());
    }
}
