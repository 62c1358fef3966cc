//! What is counted of calls to WeChat: by call and how it ended, and how far our clocks differ.

use super::error::{Cause, WechatError};
use crate::base::metrics::{Counter, Counters, Gauge, Registry, Timings, member};
use crate::base::time::Stopwatch;
use crate::base::{Clock, Timestamp};
use crate::web::Incoming;

/// The counters of one WeChat.
#[derive(Clone, Debug, Default)]
pub struct CallMetrics {
    calls: Counters,
    duration: Timings,
    skew_s: Gauge,
    answers: Counter,
}

impl CallMetrics {
    /// Shows all of it to `registry`.
    pub fn show(&self, registry: &mut Registry) {
        let help = "Calls to WeChat that ended, by call and result";
        registry.add("wechat_calls", help, &self.calls);
        let help = "Time a call to WeChat took with its repeats";
        registry.add("wechat_call_duration_seconds", help, &self.duration);
        let help = "Our clock less WeChat's at its last answer";
        registry.add("wechat_clock_skew_seconds", help, &self.skew_s);
    }

    /// How many seconds our clock was ahead of WeChat's at its last answer; negative: behind.
    pub fn skew_s(&self) -> Option<i64> {
        (self.answers.get() > 0).then(|| self.skew_s.get())
    }

    /// Counts a call of `path` that ended.
    pub(super) fn ended<T>(&self, path: &str, began: Stopwatch, ended: &Result<T, WechatError>) {
        let call = ("call", name(path));
        let result = ("result", ended.as_ref().err().map_or("ok", word));
        member(&self.calls, &[call, result]).inc();
        member(&self.duration, &[call]).took(began.elapsed());
    }

    /// Notes what WeChat's clock said in an answer that came just now.
    pub(super) fn answered(&self, answer: &Incoming, clock: &Clock) {
        let theirs = answer.header("date").and_then(Timestamp::from_http_date);
        if let Some(theirs) = theirs {
            // A clock that a demo moved ahead is not wrong.
            let ours = clock.now().unix().saturating_sub(clock.advanced_s());
            self.answers.inc();
            self.skew_s.set(ours.saturating_sub(theirs.unix()));
        }
    }
}

/// How a call that failed ended, in one word.
fn word(error: &WechatError) -> &'static str {
    match error {
        WechatError::NotSent(_) => "not_sent",
        WechatError::Unknown(_) => "unknown",
        WechatError::Refused(refused) if refused.is_local() => "not_tried",
        WechatError::Refused(refused) => match refused.cause {
            Cause::OrderPaid | Cause::OrderClosed | Cause::OrderNotFound => "told",
            Cause::Busy | Cause::RateLimited => "busy",
            Cause::Config | Cause::NoPermission => "config",
            _ => "refused",
        },
    }
}

/// The call of a path, which may hold a number of ours.
fn name(path: &str) -> &'static str {
    let fixed = NAMES.iter().find(|(known, _)| *known == path);
    if let Some((_, name)) = fixed {
        return name;
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    match path {
        path if path.starts_with("/v3/pay/transactions/") && last == "close" => "close",
        path if path.starts_with("/v3/pay/transactions/") => "query",
        path if path.starts_with("/v3/refund/") && last == "apply-abnormal-refund" => {
            "refund_abnormal"
        }
        path if path.starts_with("/v3/refund/") => "refund_query",
        _ => "other",
    }
}

const NAMES: [(&str, &str); 18] = [
    (super::mini::CODE2SESSION, "login"),
    (super::mini_token::STABLE_TOKEN, "access_token"),
    (super::mini_user::PHONE, "phone"),
    (super::mini_user::WXACODE, "wxacode"),
    (super::shipping::UPLOAD, "shipping_upload"),
    (super::shipping_order::GET_ORDER, "shipping_order"),
    (super::shipping_order::IS_MANAGED, "shipping_managed"),
    (super::shipping_order::COMPANIES, "express_companies"),
    (super::subscribe::SEND, "subscribe_message"),
    (super::v2::UNIFIED_ORDER, "prepay"),
    (super::v2::ORDER_QUERY, "query"),
    (super::v2::CLOSE_ORDER, "close"),
    (super::v2::refund::REFUND, "refund"),
    (super::v2::refund::REFUND_QUERY, "refund_query"),
    (super::v3::PREPAY, "prepay"),
    (super::v3::refund::REFUNDS, "refund"),
    (super::v3::certificates::CERTIFICATES, "certificates"),
    ("/v3/bill/tradebill", "bill"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;
    use crate::wechat::trade::tests::attempt;
    use crate::wechat::v3;

    #[test]
    fn a_call_is_named_by_what_it_asks_and_never_by_a_number() {
        let paid = attempt(Protocol::V3);
        let query = v3::trade::query_path(&paid);
        let abnormal = v3::refund::abnormal_path("50000000382019052709732678859");
        let table = [
            ("/sns/jscode2session", "login"),
            ("/pay/unifiedorder", "prepay"),
            ("/v3/pay/transactions/jsapi", "prepay"),
            (
                query.split_once('?').map_or(&*query, |(path, _)| path),
                "query",
            ),
            (&v3::trade::close_path(&paid), "close"),
            (&v3::refund::query_path("R1"), "refund_query"),
            (&abnormal, "refund_abnormal"),
            ("/v3/refund/domestic/refunds", "refund"),
            ("/v3/certificates", "certificates"),
            ("/v3/else/1234567890", "other"),
        ];
        for (path, call) in table {
            assert_eq!(name(path), call, "{path}");
        }
    }
}
