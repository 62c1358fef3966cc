//! What a run of many histories must have met: a tally that is zero is a test that tests nothing.

use std::collections::BTreeMap;

use crate::model::OrderStatus;

/// From so many histories on, everything must have been met.
pub(super) const ENOUGH: u64 = 1000;

/// The order's events, by the name in the tally.
const EVENTS: &[&str] = &[
    "Paid",
    "CloseWanted(Buyer)",
    "CloseWanted(Merchant)",
    "CloseWanted(Expiry)",
    "ClosedAtWechat",
    "Shipped",
    "Received(Buyer)",
    "Received(Time)",
    "Received(Wechat)",
    "Refunded",
];

/// What cannot happen, and why.
const NEVER: &[(&str, &str)] = &[
    (
        "pending Shipped",
        "only what is paid is shipped, which is asked before",
    ),
    ("pending Refunded", "what was never paid has no refund"),
    ("refunded Refunded", "nothing is left to go back"),
    ("CloseWanted(Expiry)", "expiry looks at pending orders only"),
    (
        "ClosedAtWechat",
        "the end of closing is told to pending orders only",
    ),
    ("Received(Time)", "time completes shipped orders only"),
    (
        "Received(Wechat)",
        "WeChat lets a receipt be confirmed once what was shipped is reported",
    ),
    ("Shipped", "shipping again or too early is refused before"),
];

const FAULTS: &[&str] = &[
    "Killed",
    "PowerCut",
    "outage",
    "notify drop",
    "notify duplicate",
    "notify delay",
    "notify bad_sign",
    "notify wrong_amount",
    "notify wrong_appid",
    "upstream timeout",
    "upstream http_500",
    "upstream system_error",
    "upstream bad_sign",
    "upstream slow",
    "payment notify none race none",
    "payment notify send race after_close",
    "payment notify none race after_close",
    "bill planted missing",
    "bill planted amount",
    "bill planted extra",
    "bill bad_hash",
    "bill cut",
    "bill http_500",
    "bill not ready",
    "forged altered",
    "forged another key",
    "forged replayed",
    "certificates announce",
    "certificates rotate",
    "certificates retire",
    "refund ABNORMAL",
    "refund CLOSED",
    "refund SUCCESS",
    "refund by hand",
    "power failing",
    "sync failing",
    "clock jump",
    "store failed",
];

const MISHAPS: &[&str] = &["refused", "lost-before", "lost-after", "twice", "late"];
const WIRES: &[&str] = &["to-shop", "to-wechat", "from-wechat"];

const OTHERS: &[&str] = &[
    "history verifies with public_key",
    "history verifies with certificate",
    "history verifies with both",
    "healed by a bill payment",
    "healed by a bill refund",
];

const INVARIANTS: &[&str] = &[
    "every day with trades is reconciled",
    "what a bill differs in is listed",
    "a forged notify is refused",
    "every decision is told",
    "money is at WeChat exactly when it is here",
    "money that buys nothing goes back",
    "no due work is forgotten",
    "no more goes back than came",
    "one key places one order",
    "refunds are here what they are at WeChat",
    "statuses change along allowed ways",
    "stock is conserved",
    "what pay answers is right for wx.requestPayment",
    "what was acknowledged is there",
];

/// Everything that must have been met.
fn required() -> Vec<String> {
    let mut all = vec![];
    for status in OrderStatus::ALL {
        for event in EVENTS {
            let pair = format!("{} {event}", status.as_str());
            if happens(status, event, &pair) {
                all.push(format!("event {pair}"));
            }
        }
    }
    all.extend(FAULTS.iter().map(|fault| format!("fault {fault}")));
    for wire in WIRES {
        all.extend(
            MISHAPS
                .iter()
                .map(|mishap| format!("fault wire {wire} {mishap}")),
        );
    }
    all.extend(OTHERS.iter().map(|&what| what.to_owned()));
    all.extend(INVARIANTS.iter().map(|what| format!("invariant {what}")));
    all
}

/// Whether an event can meet an order in this status.
fn happens(status: OrderStatus, event: &str, pair: &str) -> bool {
    let at_home = match event {
        "CloseWanted(Expiry)" | "ClosedAtWechat" => status == OrderStatus::Pending,
        "Received(Time)" | "Received(Wechat)" => status == OrderStatus::Shipped,
        "Shipped" => status == OrderStatus::Paid,
        _ => false,
    };
    at_home
        || NEVER
            .iter()
            .all(|(never, _)| *never != pair && *never != event)
}

/// What was never met and should have been.
pub(super) fn missing(met: &BTreeMap<String, u64>) -> Vec<String> {
    let unmet = |what: &String| met.get(what).is_none_or(|times| *times == 0);
    required().into_iter().filter(unmet).collect()
}
