//! What can happen in a history, how often, and what it does.

use std::sync::Arc;

use serde_json::json;

use super::ask::Ask;
use super::driver::End;
use super::merchant::Deed;
use super::random::Random;
use super::world::World;
use crate::base::trial;
use crate::sandbox::VerifyMode;
use crate::web::Method;

/// What happens next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// Somebody does something, and takes their time.
    Person(Act),
    /// Something goes wrong, or right again.
    Blow(Blow),
}

/// What people do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    LogsIn,
    Orders,
    Pays,
    PaysAnything,
    PaysTwice,
    IsToldAgain,
    Cancels,
    Receives,
    LooksAround,
    PriceChanges,
    Syncs,
    WantsRefund,
    ReceivesAtWechat,
    Forges,
    Merchant(Deed),
    WechatRefunds,
    WechatRefundsByHand,
}

/// What the world does to them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blow {
    NotifyFault,
    AnswerFault,
    RefundPlan,
    Weather,
    Outage,
    Dies,
    PowerWillFail,
    SyncWillFail,
    ClockJumps,
    Certificates,
}

/// How often each of them happens, relative to the others.
const HAPPENINGS: &[(u64, Happening)] = &[
    (2, Happening::Person(Act::LogsIn)),
    (18, Happening::Person(Act::Orders)),
    (24, Happening::Person(Act::Pays)),
    (12, Happening::Person(Act::PaysAnything)),
    (8, Happening::Person(Act::PaysTwice)),
    (4, Happening::Person(Act::IsToldAgain)),
    (6, Happening::Person(Act::Cancels)),
    (4, Happening::Person(Act::Receives)),
    (4, Happening::Person(Act::ReceivesAtWechat)),
    (4, Happening::Person(Act::Forges)),
    (4, Happening::Person(Act::LooksAround)),
    (3, Happening::Person(Act::PriceChanges)),
    (4, Happening::Person(Act::Syncs)),
    (3, Happening::Person(Act::WantsRefund)),
    (4, Happening::Person(Act::Merchant(Deed::Closes))),
    (2, Happening::Person(Act::Merchant(Deed::Syncs))),
    (5, Happening::Person(Act::Merchant(Deed::ChangesAmounts))),
    (6, Happening::Person(Act::Merchant(Deed::Ships))),
    (9, Happening::Person(Act::Merchant(Deed::Refunds))),
    (4, Happening::Person(Act::Merchant(Deed::TriesRefundAgain))),
    (2, Happening::Person(Act::Merchant(Deed::Declines))),
    (2, Happening::Person(Act::Merchant(Deed::Reconciles))),
    (6, Happening::Person(Act::WechatRefunds)),
    (4, Happening::Person(Act::WechatRefundsByHand)),
    (2, Happening::Blow(Blow::RefundPlan)),
    (5, Happening::Blow(Blow::NotifyFault)),
    (5, Happening::Blow(Blow::AnswerFault)),
    (3, Happening::Blow(Blow::Weather)),
    (2, Happening::Blow(Blow::Outage)),
    (1, Happening::Blow(Blow::Dies)),
    (1, Happening::Blow(Blow::PowerWillFail)),
    (1, Happening::Blow(Blow::SyncWillFail)),
    (7, Happening::Blow(Blow::ClockJumps)),
    (2, Happening::Blow(Blow::Certificates)),
];

const NOTIFY_FAULTS: &[&str] = &[
    "drop",
    "duplicate",
    "delay",
    "bad_sign",
    "wrong_amount",
    "wrong_appid",
];
const ANSWER_FAULTS: &[&str] = &["timeout", "http_500", "system_error", "bad_sign", "slow"];
/// How far the clock jumps, seconds.
const JUMPS_S: &[u64] = &[5, 40, 40, 120, 320, 320, 900, 1900, 7300];

/// Draws what happens next.
pub(super) fn draw(random: &mut Random) -> Happening {
    let all: u64 = HAPPENINGS.iter().map(|(weight, _)| weight).sum();
    let mut at = random.below(all);
    for (weight, happening) in HAPPENINGS {
        if at < *weight {
            return *happening;
        }
        at -= weight;
    }
    HAPPENINGS[0].1
}

impl World {
    pub(super) async fn act(self: &Arc<Self>, act: Act, buyer: usize) {
        match act {
            Act::LogsIn => _ = self.log_in(buyer).await,
            Act::Orders => self.place(buyer).await,
            Act::Pays => self.pay().await,
            Act::PaysAnything => self.pay_any().await,
            Act::PaysTwice => self.pay_twice(buyer).await,
            Act::IsToldAgain => self.tell_again().await,
            Act::Cancels => self.with_order("cancel", None).await,
            Act::Receives => self.with_order("receive", None).await,
            Act::LooksAround => self.look_at_orders(buyer).await,
            Act::PriceChanges => self.change_price().await,
            Act::Syncs => self.with_order("sync", None).await,
            Act::WantsRefund => {
                let reason = json!({ "reason": "changed my mind" });
                self.with_order("refund-request", Some(reason)).await;
            }
            Act::ReceivesAtWechat => self.receive_at_wechat().await,
            Act::Forges => self.forge().await,
            Act::Merchant(deed) => self.serve(deed).await,
            Act::WechatRefunds => self.end_refund().await,
            Act::WechatRefundsByHand => self.refund_by_hand().await,
        }
    }

    async fn change_price(self: &Arc<Self>) {
        let (id, price_fen) = {
            let mut random = self.random();
            let ids: Vec<u64> = self.ledger().stock.keys().copied().collect();
            (*random.pick(&ids), 1 + random.below(5000))
        };
        let ask = Ask::new(Method::PATCH, format!("/admin/v1/goods/{id}"));
        let ask = ask.with(json!({ "price_fen": price_fen }));
        self.as_merchant("changes a price", ask).await;
    }

    pub(super) async fn strike(self: &Arc<Self>, blow: Blow) {
        match blow {
            Blow::NotifyFault => self.set_fault("notify", NOTIFY_FAULTS).await,
            Blow::AnswerFault => self.set_fault("upstream", ANSWER_FAULTS).await,
            Blow::RefundPlan => self.plan_refunds().await,
            Blow::Weather => {
                let percent = *self.random().pick(&[0, 6, 6, 25]);
                self.note(format!("{percent} % of messages meet with a mishap"));
                self.weather().rough_percent = percent;
            }
            Blow::Outage => {
                let messages = 1 + self.random().below(8);
                trial::met("fault outage");
                self.weather().outage = messages;
                self.note(format!("WeChat is out for {messages} messages"));
            }
            Blow::Dies => {
                let end = *self.random().pick(&[End::Killed, End::PowerCut]);
                self.die(end).await;
            }
            Blow::PowerWillFail => {
                let operations = self.random().below(40);
                self.machine.cut_after(operations);
                trial::met("fault power failing");
                self.note(format!(
                    "the power fails after {operations} more operations"
                ));
            }
            Blow::SyncWillFail => {
                self.machine.fail_next_sync();
                trial::met("fault sync failing");
                self.note("the next fdatasync fails");
            }
            Blow::Certificates => self.change_certificates().await,
            Blow::ClockJumps => {
                let by = *self.random().pick(JUMPS_S);
                trial::met("fault clock jump");
                self.clock.advance(i64::try_from(by).expect("small"));
                self.note(format!("the clock jumps by {by} s"));
            }
        }
    }

    /// WeChat announces a platform certificate, signs with it, or takes the old one away.
    async fn change_certificates(self: &Arc<Self>) {
        if self.verifies == VerifyMode::PublicKey {
            return;
        }
        let change = *self.random().pick(&["announce", "rotate", "retire"]);
        trial::met(format!("fault certificates {change}"));
        self.note(format!("WeChat's certificates: {change}"));
        self.at_wechat(
            Method::PUT,
            "/sandbox/certificates",
            &json!({ change: true }),
        )
        .await;
    }

    async fn set_fault(self: &Arc<Self>, kind: &str, faults: &[&str]) {
        let (fault, times) = {
            let mut random = self.random();
            (*random.pick(faults), 1 + random.below(3))
        };
        trial::met(format!("fault {kind} {fault}"));
        self.note(format!("fault {kind} {fault} {times} times"));
        let faults = json!({ kind: fault, "times": times });
        self.at_wechat(Method::PUT, "/sandbox/faults", &faults)
            .await;
    }
}
