//! Refunds at WeChat: sent, asked about, taken up. Each step is on disk before the next one.
//!
//! Who calls anything here holds the order's turn ([`super::turns`]).

use std::time::Duration;

use super::effects::Desk;
use super::refund_desk::{Settled, own_error};
use super::trace::exchange_entries;
use super::{Shop, ShopError};
use crate::base::{OrderNo, RefundNo, Timestamp};
use crate::model::refund_room::{Room, wait, wait_of};
use crate::model::{Attempt, Entry, LastError, Protocol, Refund, RefundKind};
use crate::store::orders::{self, Owner};
use crate::store::{Tx, attempts, refunds};
use crate::wechat::{Cause, RefundKey, RefundOrder, RefundState, Trace, WechatError};

/// How long after a payment WeChat's refund service may not have heard of it yet.
///
/// Source: 微信支付 APIv3 · 退款申请 (RESOURCE_NOT_EXISTS right after the payment).
const FRESH: Duration = Duration::from_secs(3600);

/// What a refund that WeChat was not glad to take becomes.
enum Verdict {
    /// Unknown or deferred: again later, with the same number.
    Later(LastError),
    /// WeChat said no, for good.
    No(LastError),
}

/// A refund whose turn to be sent has come; that it is being sent is on disk.
struct Going {
    refund: Refund,
    attempt: Attempt,
    /// Whether an earlier call of unknown outcome may have been taken.
    sent_before: bool,
}

/// What the transaction before a call found.
enum Next {
    Send(Box<Going>),
    /// Another refund of the order was sent less than a minute ago, or this one has ended.
    Stay(Box<Refund>),
}

impl Shop {
    /// Sends a refund, unless another one of its order was sent less than a minute ago; gives it
    /// as it is then. `step` says how often that was tried before.
    ///
    /// # Errors
    /// Store errors.
    pub(super) async fn send_refund(
        &self,
        refund_no: RefundNo,
        step: u16,
    ) -> Result<Refund, ShopError> {
        let going = match self.begin_refund(refund_no, step).await? {
            Next::Stay(refund) => return Ok(*refund),
            Next::Send(going) => going,
        };
        let trace = Trace::new(&self.clock);
        let sent = self.wechat.refund(&asked(&going.refund), &trace).await;
        let entries = exchange_entries("wechat.refund", &trace);
        let refund_no = going.refund.refund_no.clone();
        let refused = match sent {
            Ok(state) => return self.keep_told(refund_no, state, entries, step).await,
            Err(error) => judge(&error, &going.attempt, self.clock.now()),
        };
        match refused {
            Verdict::Later(error) => self.keep_deferred(refund_no, error, entries, step).await,
            Verdict::No(error) if going.sent_before => {
                self.keep_entries(going.refund.order_no.clone(), entries)
                    .await?;
                self.refused_again(&going.refund, error, step).await
            }
            Verdict::No(error) => {
                let refund = self.keep_refused(refund_no, error, entries, step).await?;
                self.learn_refunds(&going.attempt).await?;
                Ok(refund)
            }
        }
    }

    async fn begin_refund(&self, refund_no: RefundNo, step: u16) -> Result<Next, ShopError> {
        let (key, now) = (self.field_key(), self.clock.now());
        let notify_url = self.settings.refund_notify_url.clone();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let Some(refund) = refunds::refund(tx, &refund_no)? else {
                return Err(crate::model::Refusal::RefundNotFound.into());
            };
            if refund.is_final() || refund.kind == RefundKind::External {
                return Ok(Next::Stay(Box::new(refund)));
            }
            let order = orders::require_order(tx, &key, &refund.order_no, Owner::Any)?;
            let attempt = attempts::attempt(tx, &refund.out_trade_no)?;
            let attempt = attempt.ok_or(crate::model::Refusal::RefundNotFound)?;
            let others = refunds::of_order(tx, &order.order_no)?;
            let slot = Room::new(&order, &others).slot(&refund, now);
            if slot > now {
                let refund = refunds::plan(tx, refund, slot, step)?;
                return Ok(Next::Stay(Box::new(refund)));
            }
            let sent_before = refund.sent_at.is_some();
            let refund = refund.sent(&notify_url, now);
            // Should the process end before the answer is kept, due work goes on from here.
            let at = now.plus(wait(wait_of(&refund), step));
            let refund = refunds::plan(tx, refund, at, step.saturating_add(1))?;
            Ok::<_, ShopError>(Next::Send(Box::new(Going {
                refund,
                attempt,
                sent_before,
            })))
        });
        write.await
    }

    /// WeChat refuses what an earlier call may have brought it: it is asked before it is believed.
    async fn refused_again(
        &self,
        refund: &Refund,
        error: LastError,
        step: u16,
    ) -> Result<Refund, ShopError> {
        let refund_no = refund.refund_no.clone();
        let trace = Trace::new(&self.clock);
        let asked = self.wechat.query_refund(&key_of(refund), &trace).await;
        let entries = exchange_entries("wechat.refund_query", &trace);
        match asked {
            Ok(Some(state)) => self.keep_told(refund_no, state, entries, step).await,
            Ok(None) => self.keep_refused(refund_no, error, entries, step).await,
            Err(_) => self.keep_deferred(refund_no, error, entries, step).await,
        }
    }

    /// Asks WeChat where a refund stands, and keeps it.
    ///
    /// # Errors
    /// [`ShopError::Wechat`] when WeChat gave no truth; store errors.
    pub(super) async fn ask_refund(&self, refund: &Refund, step: u16) -> Result<Refund, ShopError> {
        let refund_no = refund.refund_no.clone();
        let trace = Trace::new(&self.clock);
        let asked = self.wechat.query_refund(&key_of(refund), &trace).await;
        let entries = exchange_entries("wechat.refund_query", &trace);
        match asked {
            Ok(Some(state)) => self.keep_told(refund_no, state, entries, step).await,
            Ok(None) => self.change(refund_no, entries, step, Refund::absent).await,
            Err(error) => {
                self.change(refund_no, entries, step, |refund| refund)
                    .await?;
                Err(error.into())
            }
        }
    }

    /// One step of a refund: sent when WeChat is not known to hold it, else asked about.
    ///
    /// # Errors
    /// Store errors.
    pub(super) async fn step_refund(&self, refund: Refund, step: u16) -> Result<Refund, ShopError> {
        if refund.is_final() {
            return Ok(refund);
        }
        if refund.refund_id.is_none() && refund.kind != RefundKind::External {
            return self.send_refund(refund.refund_no, step).await;
        }
        match self.ask_refund(&refund, step).await {
            Err(ShopError::Wechat(_)) => Ok(refund),
            asked => asked,
        }
    }

    /// Settles all refunds of an order as far as WeChat lets it be done now, and takes in those
    /// that it knows and we do not.
    ///
    /// # Errors
    /// Store errors.
    pub async fn settle_refunds(&self, order_no: &OrderNo) -> Result<(), ShopError> {
        let number = order_no.clone();
        let read = self.store.read(move |view| {
            let all = refunds::of_order(view, &number)?;
            Ok::<_, ShopError>((all, attempts::all(view, &number)?))
        });
        let (all, attempts) = read.await?;
        for refund in all {
            self.step_refund(refund, 0).await?;
        }
        for attempt in attempts.iter().filter(|a| a.transaction_id.is_some()) {
            self.learn_refunds(attempt).await?;
        }
        Ok(())
    }

    /// Takes in the refunds of a v2 attempt that WeChat knows and we do not; v3 lists none.
    async fn learn_refunds(&self, attempt: &Attempt) -> Result<(), ShopError> {
        let trace = Trace::new(&self.clock);
        let found = self.wechat.refunds_of(attempt, &trace).await;
        let entries = exchange_entries("wechat.refund_query", &trace);
        let order_no = attempt.out_trade_no.order_no().clone();
        self.keep_entries(order_no, entries).await?;
        for state in found.unwrap_or_default() {
            self.take_refund_state(state).await?;
        }
        Ok(())
    }

    /// Money that had gone back before we heard that it came in: its refunds are not ours.
    ///
    /// # Errors
    /// Store errors.
    pub(super) async fn learn_gone_back(&self, attempt: &Attempt) -> Result<(), ShopError> {
        if attempt.protocol != Protocol::V3 {
            return self.learn_refunds(attempt).await;
        }
        let text = "微信说这笔付款已有退款，而退款不是由本店发起的；v3 不能按订单查退款，\
                    等退款通知，或由退款当天的账单得知";
        let entry = Entry::new(self.clock.now(), "refund.unknown", text);
        let order_no = attempt.out_trade_no.order_no().clone();
        self.keep_entries(order_no, vec![entry]).await
    }

    /// Keeps what WeChat told of a refund; what does not fit is alarmed and looked at again.
    pub(super) async fn keep_told(
        &self,
        refund_no: RefundNo,
        state: RefundState,
        entries: Vec<Entry>,
        step: u16,
    ) -> Result<Refund, ShopError> {
        let keep = self.keep_after(refund_no, entries, move |desk, refund| {
            match desk.take_told(refund.clone(), &state, step)? {
                Ok(settled) => Ok(settled),
                Err(why) => {
                    let number = &refund.refund_no;
                    let text = format!("微信说的退款 {number} 与本店的不符：{why}");
                    desk.keep_odd(&refund, &text)?;
                    let error = own_error("MISMATCH", text.clone(), desk.now);
                    let settled = desk.defer(refund, error, step)?;
                    let alarms = vec![text];
                    Ok(Settled { alarms, ..settled })
                }
            }
        });
        keep.await
    }

    /// Keeps that a refund's outcome is unknown or put off: it is sent again later.
    pub(super) async fn keep_deferred(
        &self,
        refund_no: RefundNo,
        error: LastError,
        entries: Vec<Entry>,
        step: u16,
    ) -> Result<Refund, ShopError> {
        let keep = self.keep_after(refund_no, entries, move |desk, refund| {
            desk.defer(refund, error.clone(), step)
        });
        keep.await
    }

    /// Keeps that WeChat said no for good.
    async fn keep_refused(
        &self,
        refund_no: RefundNo,
        error: LastError,
        entries: Vec<Entry>,
        step: u16,
    ) -> Result<Refund, ShopError> {
        let keep = self.keep_after(refund_no, entries, move |desk, refund| {
            desk.refuse(refund, error.clone(), step)
        });
        keep.await
    }

    /// Keeps `change` of a refund, which has no other effect, and plans the next look.
    async fn change(
        &self,
        refund_no: RefundNo,
        entries: Vec<Entry>,
        step: u16,
        change: fn(Refund) -> Refund,
    ) -> Result<Refund, ShopError> {
        let keep = self.keep_after(refund_no, entries, move |desk, refund| {
            desk.settle(change(refund), vec![], step)
        });
        keep.await
    }

    /// Keeps what follows from a call about a refund, as it is on disk now, and what was said.
    async fn keep_after(
        &self,
        refund_no: RefundNo,
        entries: Vec<Entry>,
        follow: impl Fn(&mut Desk<'_, '_>, Refund) -> Result<Settled, ShopError> + Send + 'static,
    ) -> Result<Refund, ShopError> {
        let (key, now) = (self.field_key(), self.clock.now());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut desk = Desk { tx, key: &key, now };
            let refund = required(&desk, &refund_no)?;
            desk.note_all(&refund.order_no, &entries)?;
            follow(&mut desk, refund)
        });
        write.await.map(Settled::alarmed)
    }
}

fn required(desk: &Desk<'_, '_>, refund_no: &RefundNo) -> Result<Refund, ShopError> {
    let refund = refunds::refund(desk.tx, refund_no)?;
    refund.ok_or(crate::model::Refusal::RefundNotFound.into())
}

/// What WeChat is asked, the same every time.
fn asked(refund: &Refund) -> RefundOrder {
    RefundOrder {
        protocol: refund.protocol,
        refund_no: refund.refund_no.clone(),
        out_trade_no: refund.out_trade_no.clone(),
        transaction_id: refund.transaction_id.clone(),
        total: refund.total,
        amount: refund.amount,
        reason: refund.reason.clone(),
        notify_url: refund.notify_url.clone(),
    }
}

fn key_of(refund: &Refund) -> RefundKey<'_> {
    RefundKey {
        protocol: refund.protocol,
        refund_no: refund.refund_no.as_str(),
    }
}

/// What WeChat's answer to a refund means for it.
///
/// Source: 微信支付 APIv2 · 申请退款 · 错误码; APIv3 · 退款申请 · 业务错误码.
fn judge(error: &WechatError, attempt: &Attempt, now: Timestamp) -> Verdict {
    let refused = match error {
        WechatError::Unknown(_) => return Verdict::Later(named("UNKNOWN", error, now)),
        WechatError::NotSent(_) => return Verdict::Later(named("NOT_SENT", error, now)),
        WechatError::Refused(refused) => refused,
    };
    let fresh = attempt.paid_at.is_some_and(|at| now.since(at) < FRESH);
    let error = named(&refused.code, error, now);
    match refused.cause {
        Cause::MerchantBalance | Cause::RateLimited | Cause::Busy => Verdict::Later(error),
        Cause::OrderNotFound if fresh => Verdict::Later(error),
        Cause::OrderNotFound
        | Cause::CodeInvalid
        | Cause::UserBlocked
        | Cause::Config
        | Cause::NoPermission
        | Cause::OrderPaid
        | Cause::OrderClosed
        | Cause::ParamsChanged
        | Cause::OpenIdMismatch
        | Cause::NotEnough
        | Cause::PayerAccount
        | Cause::RuleLimit
        | Cause::RefundTooOld
        | Cause::TooManyParts
        | Cause::RefundExceeds
        | Cause::NotPossible
        | Cause::BadRequest => Verdict::No(error),
    }
}

/// `error` as the refund keeps it.
pub(super) fn named(code: &str, error: &WechatError, now: Timestamp) -> LastError {
    own_error(code, error.to_string(), now)
}
