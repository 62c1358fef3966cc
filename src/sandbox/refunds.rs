//! The refunds of the simulated merchant: accepted, processing, ended. Rules of both protocols.
//!
//! What a refusal is called differs and is theirs to say; see `refunds_v2` and `refunds_v3`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::notify::Notice;
use super::shelf::Shelf;
use super::trades::{Payment, Protocol, Trade, Trades};
use crate::base::secret::random_u64;
use crate::base::{Fen, Timestamp, TransactionId};

/// Source: 微信支付 APIv3 · 申请退款: within one year of payment.
const REFUNDABLE: Duration = Duration::from_secs(365 * 86_400);
/// Source: 微信支付 APIv3 · 申请退款: at most 50 partial refunds of one order.
const MOST_PARTS: usize = 50;
/// Source: 微信支付 APIv3 · 申请退款: one request of one order in a minute.
const APART: Duration = Duration::from_secs(60);
/// How many refunds are remembered.
const KEPT: usize = 100_000;

/// What a refund is. Source: 微信支付 APIv3 · 查询单笔退款, status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Status {
    Processing,
    #[default]
    Success,
    Abnormal,
    Closed,
}

/// Who asked for a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Api,
    /// An operator, by hand in the merchant platform.
    Platform,
}

/// A refund as asked for, in rules common to both protocols.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) protocol: Protocol,
    pub(super) source: Source,
    /// WeChat's number of the payment; it wins over `out_trade_no`.
    pub(super) transaction_id: Option<String>,
    pub(super) out_trade_no: Option<String>,
    pub(super) out_refund_no: String,
    /// The total of the original order.
    pub(super) total: Fen,
    pub(super) amount: Fen,
    pub(super) notify_url: Option<String>,
}

/// Why a refund is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotRefunded {
    /// No such order, or nobody paid it.
    Unpaid,
    /// The refund number was used with other amounts or for another order.
    Differs,
    /// `total` is not the order's.
    WrongTotal,
    /// Paid more than a year ago.
    TooOld,
    /// Fifty parts are refunded already.
    TooMany,
    /// Less than a minute after the last one of this order.
    TooSoon,
    /// More than what is left.
    Exceeds(Whose),
}

/// By whose doing a refund exceeds what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The merchant's program asked for more than it may.
    Program,
    /// A part was refunded in the merchant platform, which the program may not know yet.
    Platform,
}

/// Why a refund cannot take this end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotEnded {
    Unknown,
    /// It has ended for good.
    Final,
}

/// One refund at WeChat.
#[derive(Clone, Debug)]
pub(super) struct Refund {
    pub(super) wanted: Wanted,
    pub(super) refund_id: String,
    pub(super) out_trade_no: String,
    pub(super) transaction_id: TransactionId,
    pub(super) created_at: Timestamp,
    pub(super) status: Status,
    pub(super) success_at: Option<Timestamp>,
    /// Where the money goes, in WeChat's words.
    pub(super) received_by: &'static str,
    pub(super) notice: Notice,
}

/// How a refund that is processing ends when nobody decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    /// Seconds by the simulator's clock; `null`: it waits for `finish`.
    pub(super) after_s: Option<u64>,
    #[serde(default)]
    pub(super) status: Status,
}

/// All refunds, found by the merchant's number and by WeChat's.
pub(super) struct Refunds {
    by_number: Shelf<Refund>,
    number_by_id: Shelf<String>,
    /// When each that is processing ends by itself.
    ending: BTreeSet<(Timestamp, String)>,
    pub(super) plan: Plan,
    /// Where the last refund was to be told: taken as the URL set in the merchant platform.
    pub(super) platform_url: Option<String>,
}

impl Refunds {
    pub(super) fn new() -> Self {
        Self {
            by_number: Shelf::new(KEPT),
            number_by_id: Shelf::new(KEPT),
            ending: BTreeSet::new(),
            plan: Plan {
                after_s: Some(60),
                status: Status::Success,
            },
            platform_url: None,
        }
    }

    /// Accepts a refund; the same number with the same amounts is the same refund.
    ///
    /// Source: 微信支付 APIv2 · 申请退款; 微信支付 APIv3 · 申请退款.
    pub(super) fn apply(
        &mut self,
        trades: &mut Trades,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Refund, NotRefunded> {
        let trade = match (&wanted.transaction_id, &wanted.out_trade_no) {
            (Some(id), _) => trades.by_transaction(id),
            (None, Some(number)) => trades.get(number),
            (None, None) => None,
        };
        let trade = trade.ok_or(NotRefunded::Unpaid)?;
        let payment = trade.payment.clone().ok_or(NotRefunded::Unpaid)?;
        let out_trade_no = trade.order.out_trade_no.clone();
        if let Some(refund) = self.by_number.get(&wanted.out_refund_no) {
            let same = refund.out_trade_no == out_trade_no
                && (refund.wanted.total, refund.wanted.amount) == (wanted.total, wanted.amount);
            return same.then(|| refund.clone()).ok_or(NotRefunded::Differs);
        }
        self.require_allowed(trade, (&payment, &wanted), now)?;
        if let Some(trade) = trades.get_mut(&out_trade_no) {
            trade.refunds.push(wanted.out_refund_no.clone());
        }
        Ok(self.accepted(wanted, (out_trade_no, payment.transaction_id), now))
    }

    fn require_allowed(
        &self,
        trade: &Trade,
        (payment, wanted): (&Payment, &Wanted),
        now: Timestamp,
    ) -> Result<(), NotRefunded> {
        if wanted.total != trade.order.total {
            return Err(NotRefunded::WrongTotal);
        }
        if now > payment.success_at.plus(REFUNDABLE) {
            return Err(NotRefunded::TooOld);
        }
        let former: Vec<_> = self.of(trade).collect();
        let living = || former.iter().filter(|r| r.status != Status::Closed);
        let refunded = living().try_fold(wanted.amount, |sum, r| sum.checked_add(r.wanted.amount));
        if refunded.is_none_or(|refunded| refunded > trade.order.total) {
            let by_hand = living().any(|r| r.wanted.source == Source::Platform);
            let whose = if by_hand {
                Whose::Platform
            } else {
                Whose::Program
            };
            return Err(NotRefunded::Exceeds(whose));
        }
        if living().count() >= MOST_PARTS {
            return Err(NotRefunded::TooMany);
        }
        let last = former.last().map(|r| r.created_at);
        let soon = last.is_some_and(|last| now.since(last) < APART);
        match wanted.source {
            Source::Api if soon => Err(NotRefunded::TooSoon),
            Source::Api | Source::Platform => Ok(()),
        }
    }

    fn accepted(
        &mut self,
        wanted: Wanted,
        (out_trade_no, transaction_id): (String, TransactionId),
        now: Timestamp,
    ) -> Refund {
        if wanted.source == Source::Api && wanted.notify_url.is_some() {
            self.platform_url.clone_from(&wanted.notify_url);
        }
        let refund = Refund {
            refund_id: new_refund_id(now),
            out_trade_no,
            transaction_id,
            created_at: now,
            status: Status::Processing,
            success_at: None,
            received_by: "支付用户零钱",
            notice: Notice::new(),
            wanted,
        };
        let number = refund.wanted.out_refund_no.clone();
        self.number_by_id
            .put(refund.refund_id.clone(), number.clone());
        self.plan_end(number.clone(), now);
        self.by_number.put(number, refund.clone());
        refund
    }

    fn plan_end(&mut self, number: String, now: Timestamp) {
        if let Some(after_s) = self.plan.after_s {
            let when = now.plus(Duration::from_secs(after_s));
            self.ending.insert((when, number));
        }
    }

    /// Ends what ends by itself by `now`; the numbers of those that did.
    pub(super) fn settle(&mut self, now: Timestamp) -> Vec<String> {
        let mut ended = Vec::new();
        while self.ending.first().is_some_and(|(when, _)| *when <= now) {
            let Some((when, number)) = self.ending.pop_first() else {
                break;
            };
            let processing = |refund: &Refund| refund.status == Status::Processing;
            if self.by_number.get(&number).is_some_and(processing)
                && self.end(&number, self.plan.status, when).is_ok()
            {
                ended.push(number);
            }
        }
        ended
    }

    /// Gives a refund its end; an abnormal one can still get another.
    pub(super) fn end(
        &mut self,
        number: &str,
        status: Status,
        now: Timestamp,
    ) -> Result<Refund, NotEnded> {
        let refund = self.by_number.get_mut(number).ok_or(NotEnded::Unknown)?;
        match refund.status {
            Status::Success | Status::Closed => return Err(NotEnded::Final),
            Status::Processing | Status::Abnormal => {}
        }
        refund.status = status;
        refund.success_at = (status == Status::Success).then_some(now);
        refund.notice = Notice::new();
        Ok(refund.clone())
    }

    /// Sends an abnormal refund on its way again, to another account.
    ///
    /// Source: 微信支付 APIv3 · 发起异常退款.
    pub(super) fn take_up(
        &mut self,
        number: &str,
        received_by: &'static str,
        now: Timestamp,
    ) -> Result<Refund, NotEnded> {
        let refund = self.by_number.get_mut(number).ok_or(NotEnded::Unknown)?;
        if refund.status != Status::Abnormal {
            return Err(NotEnded::Final);
        }
        refund.status = Status::Processing;
        refund.received_by = received_by;
        let refund = refund.clone();
        self.plan_end(number.to_owned(), now);
        Ok(refund)
    }

    pub(super) fn get(&self, number: &str) -> Option<&Refund> {
        self.by_number.get(number)
    }

    pub(super) fn get_mut(&mut self, number: &str) -> Option<&mut Refund> {
        self.by_number.get_mut(number)
    }

    pub(super) fn by_id(&self, refund_id: &str) -> Option<&Refund> {
        self.get(self.number_by_id.get(refund_id)?)
    }

    /// The refunds of a trade, the oldest first.
    pub(super) fn of<'a>(&'a self, trade: &'a Trade) -> impl Iterator<Item = &'a Refund> {
        trade.refunds.iter().filter_map(|number| self.get(number))
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Refund> {
        self.by_number.newest_first()
    }
}

fn new_refund_id(now: Timestamp) -> String {
    let day = &now.compact()[..8];
    let serial = random_u64() % 10_000_000_000;
    format!("5030000001{day}{serial:010}")
}
