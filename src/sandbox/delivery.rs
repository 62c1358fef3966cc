//! Brings payment notifies to the merchant, and again on WeChat's schedule until they are taken.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;

use super::Sandbox;
use super::faults::NotifyFault;
use super::notify::{self, Telling};
use super::trades::{Payment, Trade};
use crate::base::Timestamp;
use crate::web::{ClientError, Outgoing};

/// How long the merchant has to answer. Source: 微信支付 APIv2 · 支付结果通知.
const DEADLINE: Duration = Duration::from_secs(5);
/// How much of an answer is read, bytes.
const ANSWER_BYTES: usize = 16 * 1024;
/// How late a delayed notify comes.
const DELAY: Duration = Duration::from_secs(15);
/// How many notifies one tick sends at once.
const AT_ONCE: usize = 64;

/// The gaps between deliveries, seconds. Source: 微信支付 APIv3 · 回调通知注意事项.
const GAPS_S: [u64; 15] = [
    15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10_800, 10_800, 10_800, 21_600, 21_600,
];

/// The notifies that are to be sent later, by time and out_trade_no.
#[derive(Default)]
pub(super) struct Due(BTreeSet<(Timestamp, String)>);

impl Due {
    fn at(&mut self, when: Timestamp, out_trade_no: &str) {
        self.0.insert((when, out_trade_no.to_owned()));
    }

    /// Takes out what is due at `now`, at most [`AT_ONCE`].
    fn take(&mut self, now: Timestamp) -> Vec<String> {
        let mut numbers = Vec::new();
        while numbers.len() < AT_ONCE && self.0.first().is_some_and(|(when, _)| *when <= now) {
            numbers.extend(self.0.pop_first().map(|(_, number)| number));
        }
        numbers
    }
}

/// How one delivery went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Delivered {
    /// The merchant's HTTP status; `null` when nothing was sent or nothing came back.
    pub(super) notify_status: Option<u16>,
    /// Whether the merchant took it (v2: the body must say SUCCESS too).
    pub(super) notify_accepted: bool,
    /// Why there is no status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) notify_problem: Option<String>,
}

impl Delivered {
    pub(super) fn not(why: impl Into<String>) -> Self {
        Self {
            notify_problem: Some(why.into()),
            ..Self::default()
        }
    }
}

impl Sandbox {
    /// Delivers the notify of a paid trade once, with the fault that is pending.
    pub(super) async fn deliver(&self, out_trade_no: &str) -> Delivered {
        let now = self.now();
        let Some((fault, trade, payment)) = self.next_delivery(out_trade_no) else {
            return Delivered::not("没有已支付的订单 / no paid trade");
        };
        let told = |telling| {
            let whose = (&self.credentials, &self.keys);
            notify::build(whose, (&trade, &payment), telling, now)
        };
        let delivered = match fault {
            NotifyFault::Drop => Delivered::not("drop"),
            NotifyFault::Delay if !payment.notice.delayed => {
                self.delay(out_trade_no, now);
                return Delivered::not("delay");
            }
            NotifyFault::Duplicate => {
                let twice = (
                    self.send(&trade, told(Telling::Truth)),
                    told(Telling::Truth),
                );
                tokio::join!(twice.0, self.send(&trade, twice.1)).0
            }
            NotifyFault::Normal | NotifyFault::Delay => {
                self.send(&trade, told(Telling::Truth)).await
            }
            NotifyFault::BadSign => self.send(&trade, told(Telling::BadSign)).await,
            NotifyFault::WrongAmount => self.send(&trade, told(Telling::WrongAmount)).await,
            NotifyFault::WrongAppid => self.send(&trade, told(Telling::WrongAppid)).await,
        };
        self.record(out_trade_no, &delivered);
        delivered
    }

    fn next_delivery(&self, out_trade_no: &str) -> Option<(NotifyFault, Trade, Payment)> {
        let mut book = self.book();
        let trade = book.trades.get(out_trade_no)?.clone();
        let payment = trade.payment.clone()?;
        Some((book.faults.next_notify(), trade, payment))
    }

    async fn send(&self, trade: &Trade, outgoing: Outgoing) -> Delivered {
        match self.client.send(outgoing, DEADLINE, ANSWER_BYTES).await {
            Ok(answer) => Delivered {
                notify_status: Some(answer.status),
                notify_accepted: notify::is_accepted(trade.order.protocol, &answer),
                notify_problem: None,
            },
            Err(
                error @ (ClientError::NotSent(_)
                | ClientError::Timeout
                | ClientError::Broken(_)
                | ClientError::TooLarge),
            ) => Delivered::not(error.to_string()),
        }
    }

    fn delay(&self, out_trade_no: &str, now: Timestamp) {
        let mut book = self.book();
        let trade = book.trades.get_mut(out_trade_no);
        if let Some(payment) = trade.and_then(|trade| trade.payment.as_mut()) {
            payment.notice.delayed = true;
            book.due.at(now.plus(DELAY), out_trade_no);
        }
    }

    /// Notes the outcome and, when the notify was never taken, plans the next delivery.
    fn record(&self, out_trade_no: &str, delivered: &Delivered) {
        let (now, mut book) = (self.now(), self.book());
        let trade = book.trades.get_mut(out_trade_no);
        let Some(payment) = trade.and_then(|trade| trade.payment.as_mut()) else {
            return;
        };
        let notice = &mut payment.notice;
        notice.last_status = delivered.notify_status.or(notice.last_status);
        if delivered.notify_accepted {
            notice.accepted_at.get_or_insert(now);
        }
        let gap = GAPS_S.get(notice.deliveries).copied();
        notice.deliveries += 1;
        if let (None, Some(gap)) = (notice.accepted_at, gap) {
            let when = now.plus(Duration::from_secs(gap));
            book.due.at(when, out_trade_no);
        }
    }

    /// Sends what is due by the simulator's clock.
    pub(super) async fn tick(self: &Arc<Self>) {
        let due = self.book().due.take(self.now());
        let mut sending = JoinSet::new();
        for out_trade_no in due {
            let sandbox = Arc::clone(self);
            sending.spawn(async move { sandbox.deliver_if_untaken(&out_trade_no).await });
        }
        sending.join_all().await;
    }

    async fn deliver_if_untaken(&self, out_trade_no: &str) {
        let taken = |payment: &Payment| payment.notice.accepted_at.is_some();
        let payment = self
            .book()
            .trades
            .get(out_trade_no)
            .and_then(|trade| trade.payment.clone());
        if payment.is_some_and(|payment| !taken(&payment)) {
            self.deliver(out_trade_no).await;
        }
    }
}
