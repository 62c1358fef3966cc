//! Brings notifies of payments and refunds to the merchant.
//!
//! What is not taken comes again, on WeChat's schedule.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;

use super::faults::NotifyFault;
use super::notify::{self, Notice, Telling, Whose};
use super::refund_notify;
use super::refunds::Refund;
use super::trades::{Payment, Protocol, Trade};
use super::{Book, Sandbox};
use crate::base::Timestamp;
use crate::web::ClientError;

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

/// What a notify is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// The payment of an out_trade_no.
    Payment(String),
    /// The end of an out_refund_no.
    Refund(String),
}

/// A notify's content at the moment it is sent.
enum Parcel {
    Payment(Box<Trade>, Payment),
    Refund(Box<Refund>),
}

impl Parcel {
    fn protocol(&self) -> Protocol {
        match self {
            Self::Payment(trade, _) => trade.order.protocol,
            Self::Refund(refund) => refund.wanted.protocol,
        }
    }

    fn notice(&self) -> &Notice {
        match self {
            Self::Payment(_, payment) => &payment.notice,
            Self::Refund(refund) => &refund.notice,
        }
    }
}

impl Book {
    fn parcel(&self, subject: &Subject) -> Option<Parcel> {
        match subject {
            Subject::Payment(number) => {
                let trade = self.trades.get(number)?.clone();
                let payment = trade.payment.clone()?;
                Some(Parcel::Payment(Box::new(trade), payment))
            }
            Subject::Refund(number) => {
                let refund = self.refunds.get(number)?.clone();
                Some(Parcel::Refund(Box::new(refund)))
            }
        }
    }

    fn notice_mut(&mut self, subject: &Subject) -> Option<&mut Notice> {
        match subject {
            Subject::Payment(number) => {
                let payment = self.trades.get_mut(number)?.payment.as_mut()?;
                Some(&mut payment.notice)
            }
            Subject::Refund(number) => Some(&mut self.refunds.get_mut(number)?.notice),
        }
    }

    /// Ends the refunds whose time has come; their notifies are due at once.
    pub(super) fn settle(&mut self, now: Timestamp) {
        for number in self.refunds.settle(now) {
            self.due.at(now, &Subject::Refund(number));
        }
    }
}

/// The notifies that are to be sent later, by time.
#[derive(Default)]
pub(super) struct Due(BTreeSet<(Timestamp, Subject)>);

impl Due {
    fn at(&mut self, when: Timestamp, subject: &Subject) {
        self.0.insert((when, subject.clone()));
    }

    /// Takes out what is due at `now`, at most [`AT_ONCE`].
    fn take(&mut self, now: Timestamp) -> Vec<Subject> {
        let mut subjects = Vec::new();
        while subjects.len() < AT_ONCE && self.0.first().is_some_and(|(when, _)| *when <= now) {
            subjects.extend(self.0.pop_first().map(|(_, subject)| subject));
        }
        subjects
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
    /// Delivers a notify once, with the fault that is pending.
    pub(super) async fn deliver(&self, subject: &Subject) -> Delivered {
        let now = self.now();
        let Some((fault, parcel)) = self.next_delivery(subject) else {
            return Delivered::not("没有可通知的内容 / nothing to tell");
        };
        let send = |telling| self.send(&parcel, telling, now);
        let delivered = match fault {
            NotifyFault::Drop => Delivered::not("drop"),
            NotifyFault::Delay if !parcel.notice().delayed => {
                self.delay(subject, now);
                return Delivered::not("delay");
            }
            NotifyFault::Duplicate => tokio::join!(send(Telling::Truth), send(Telling::Truth)).0,
            NotifyFault::Normal | NotifyFault::Delay => send(Telling::Truth).await,
            NotifyFault::BadSign => send(Telling::BadSign).await,
            NotifyFault::WrongAmount => send(Telling::WrongAmount).await,
            NotifyFault::WrongAppid => send(Telling::WrongAppid).await,
            NotifyFault::Probe => send(Telling::Probe).await,
        };
        self.record(subject, &delivered);
        delivered
    }

    fn next_delivery(&self, subject: &Subject) -> Option<(NotifyFault, Parcel)> {
        let mut book = self.book();
        let parcel = book.parcel(subject)?;
        Some((book.faults.next_notify(), parcel))
    }

    async fn send(&self, parcel: &Parcel, telling: Telling, now: Timestamp) -> Delivered {
        self.ensure_certificate(now);
        let signer = self.book().certificates.tells();
        let (key, serial) = self.key_of(&signer);
        let whose = &Whose {
            credentials: &self.credentials,
            key,
            serial,
        };
        let built = match parcel {
            Parcel::Payment(trade, payment) => {
                Some(notify::build(whose, (trade, payment), telling, now))
            }
            Parcel::Refund(refund) => refund_notify::build(whose, refund, telling, now),
        };
        let Some(outgoing) = built else {
            return Delivered::not("没有 notify_url / no notify_url");
        };
        match self.client.send(outgoing, DEADLINE, ANSWER_BYTES).await {
            Ok(answer) => Delivered {
                notify_status: Some(answer.status),
                notify_accepted: notify::is_accepted(parcel.protocol(), &answer),
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

    fn delay(&self, subject: &Subject, now: Timestamp) {
        let mut book = self.book();
        if let Some(notice) = book.notice_mut(subject) {
            notice.delayed = true;
            book.due.at(now.plus(DELAY), subject);
        }
    }

    /// Notes the outcome and, when the notify was never taken, plans the next delivery.
    fn record(&self, subject: &Subject, delivered: &Delivered) {
        let (now, mut book) = (self.now(), self.book());
        let Some(notice) = book.notice_mut(subject) else {
            return;
        };
        notice.last_status = delivered.notify_status.or(notice.last_status);
        if delivered.notify_accepted {
            notice.accepted_at.get_or_insert(now);
        }
        let gap = GAPS_S.get(notice.deliveries).copied();
        notice.deliveries += 1;
        if let (None, Some(gap)) = (notice.accepted_at, gap) {
            let when = now.plus(Duration::from_secs(gap));
            book.due.at(when, subject);
        }
    }

    /// Ends refunds and sends what is due by the simulator's clock.
    pub(super) async fn tick(self: &Arc<Self>) {
        let due = {
            let (now, mut book) = (self.now(), self.book());
            book.settle(now);
            book.due.take(now)
        };
        let mut sending = JoinSet::new();
        for subject in due {
            let sandbox = Arc::clone(self);
            sending.spawn(async move { sandbox.deliver_if_untaken(&subject).await });
        }
        sending.join_all().await;
    }

    async fn deliver_if_untaken(&self, subject: &Subject) {
        let untaken = |parcel: &Parcel| parcel.notice().accepted_at.is_none();
        let parcel = self.book().parcel(subject);
        if parcel.as_ref().is_some_and(untaken) {
            self.deliver(subject).await;
        }
    }
}
