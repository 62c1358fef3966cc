//! A payment result from WeChat: verified, matched with its attempt, applied once, on disk.

use super::effects::Desk;
use super::metrics::verdict;
use super::subscribe::tell_paid;
use super::{Shop, ShopError};
#[cfg(test)]
use crate::base::trial::{self, Planted};
use crate::base::{OutTradeNo, Timestamp};
use crate::model::attempt::{Counted, Mismatch};
use crate::model::order::Paid;
use crate::model::refund::RefundMismatch;
use crate::model::{Attempt, AttemptState, Entry, Order, OrderEvent, Payment};
use crate::store::orders::{self, Owner};
use crate::store::unmatched::{self, Unmatched};
use crate::store::{StoreError, Tally, Tx, alerts, attempts, goods};
use crate::wechat::{NotifyRefusal, Opened, SignatureHeaders, Trace};

/// What became of a notification. Only the first two are acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Applied now, or known before: it is on disk.
    Applied,
    /// Genuine, of an event that is nothing of ours: acknowledged, so that it is not repeated.
    NotOurs,
    /// Not genuine, not readable, or stale. Nothing changed.
    Refused(NotifyRefusal),
    /// Genuine, but no attempt has this number. Written down, alarmed, not acknowledged.
    Unknown,
    /// Genuine, but not what its attempt waits for. Written down, alarmed, not acknowledged.
    Mismatched(Mismatch),
    /// Genuine, but not as the refund it names. Written down, alarmed, not acknowledged.
    RefundDiffers(RefundMismatch),
    /// The store cannot write now: WeChat must tell us again.
    Unavailable,
}

/// What the transaction found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// The money was new to us.
    Now,
    /// It was counted before.
    Before,
    /// No attempt has this number.
    Unknown,
    /// It is not what its attempt waits for.
    Mismatched(Mismatch),
}

/// Who told of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Teller {
    /// WeChat, by itself.
    Notify,
    /// WeChat, when asked; the exchange is in the timeline already.
    Query,
}

impl Shop {
    /// Takes a payment result in either protocol.
    pub async fn take_pay_notify(
        &self,
        headers: &SignatureHeaders<'_>,
        body: &[u8],
        now: Timestamp,
    ) -> Heard {
        let heard = match self.hear(headers, body, now).await {
            Ok(heard) => {
                log_heard(&heard);
                heard
            }
            Err(error) => {
                tracing::error!(%error, "支付通知未能处理，等微信再次通知");
                Heard::Unavailable
            }
        };
        self.metrics.notified("pay", verdict(&heard));
        heard
    }

    async fn hear(
        &self,
        headers: &SignatureHeaders<'_>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Heard, ShopError> {
        let trace = Trace::new(&self.clock);
        self.wechat.learn_key(headers.serial(), &trace).await;
        match self.wechat.open_notify(headers, body, now) {
            Ok(Opened::Paid(paid)) => {
                let payment = paid.payment(now);
                let attempt = self.attempt(&payment.out_trade_no).await?;
                self.count(attempt, payment, now).await
            }
            Ok(Opened::Unverified(notice)) => {
                // A v2 notice is verified with the sign type of its own attempt.
                let attempt = self.attempt(notice.out_trade_no()).await?;
                let protocol = attempt.as_ref().map(|attempt| attempt.protocol);
                match self.wechat.verify_notify(notice, protocol) {
                    Ok(paid) => self.count(attempt, paid.payment(now), now).await,
                    Err(refusal) => self.refuse(attempt, refusal).await,
                }
            }
            Ok(Opened::Other { event_type }) if event_type.starts_with("REFUND") => {
                Ok(self.hear_refund(headers, body, now).await)
            }
            Ok(Opened::Other { event_type }) => {
                tracing::warn!(event_type, "收到支付与退款以外的微信通知");
                Ok(Heard::NotOurs)
            }
            Err(refusal) => Ok(Heard::Refused(refusal)),
        }
    }

    /// The attempt of a number that a notice names, which may be anything.
    async fn attempt(&self, out_trade_no: &str) -> Result<Option<Attempt>, ShopError> {
        let Ok(number) = out_trade_no.parse::<OutTradeNo>() else {
            return Ok(None);
        };
        let read = self
            .store
            .read(move |view| attempts::attempt(view, &number).map_err(ShopError::from));
        read.await
    }

    /// Applies a genuine payment to its attempt and order, once. What `known`, the attempt as it
    /// was just read, says to be on disk already is not written again.
    async fn count(
        &self,
        known: Option<Attempt>,
        payment: Payment,
        now: Timestamp,
    ) -> Result<Heard, ShopError> {
        #[cfg(test)]
        if trial::is(Planted::PaymentForgotten) {
            return Ok(Heard::Applied);
        }
        let known = known.filter(|attempt| attempt.state == AttemptState::Paid);
        if let Some(attempt) = known.filter(|attempt| attempt.check(&payment).is_ok()) {
            self.end_silence().await?;
            let text = format!("{}；此前已入账", told(&payment));
            self.note_verdict(&attempt, "notify.repeated", text).await?;
            return Ok(Heard::Applied);
        }
        let (key, tells) = (self.field_key(), self.settings.messages.paid.is_some());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut desk = Desk { tx, key: &key, now };
            let applied = apply(&mut desk, &payment, Teller::Notify)?;
            if tells {
                tell_paid(&mut desk, &payment, &applied)?;
            }
            Ok::<_, ShopError>(applied)
        });
        Ok(match write.await? {
            Applied::Now | Applied::Before => Heard::Applied,
            Applied::Unknown => Heard::Unknown,
            Applied::Mismatched(why) => Heard::Mismatched(why),
        })
    }

    /// A notify that is not genuine changes nothing; that it came is told once a minute and order.
    async fn refuse(
        &self,
        attempt: Option<Attempt>,
        refusal: NotifyRefusal,
    ) -> Result<Heard, ShopError> {
        if let Some(attempt) = attempt {
            let text = format!("拒绝一条自称是这笔支付的通知，什么都没有改变：{refusal}");
            self.note_verdict(&attempt, "notify.refused", text).await?;
        }
        Ok(Heard::Refused(refusal))
    }

    /// Writes what strangers could cause again and again into the timeline, at most once a minute.
    async fn note_verdict(
        &self,
        attempt: &Attempt,
        kind: &'static str,
        text: String,
    ) -> Result<(), ShopError> {
        let order_no = attempt.out_trade_no.order_no();
        if !self.turns.may_note(order_no, kind, self.clock.now_ms()) {
            return Ok(());
        }
        let entry = Entry::new(self.clock.now(), kind, text);
        self.keep_entries(order_no.clone(), vec![entry]).await
    }
}

/// Applies a payment whose signature holds to its attempt and order, once, whoever told of it.
///
/// # Errors
/// Store errors.
pub(super) fn apply(
    desk: &mut Desk<'_, '_>,
    payment: &Payment,
    teller: Teller,
) -> Result<Applied, ShopError> {
    let number = payment.out_trade_no.parse::<OutTradeNo>().ok();
    let attempt = number
        .map(|number| attempts::attempt(desk.tx, &number))
        .transpose()?
        .flatten();
    let Some(attempt) = attempt else {
        keep_unmatched(desk, payment, "没有这个商户订单号的支付单")?;
        return Ok(Applied::Unknown);
    };
    let order_no = attempt.out_trade_no.order_no();
    let order = orders::require_order(desk.tx, desk.key, order_no, Owner::Any)?;
    if let Err(why) = attempt.check(payment) {
        keep_unmatched(desk, payment, &why.to_string())?;
        let (kind, text) = match teller {
            Teller::Notify => ("notify.mismatched", "收到真实的支付通知但不予承认"),
            Teller::Query => ("payment.mismatched", "微信说已支付但不予承认"),
        };
        desk.note(&order, kind, format!("{text}：{why}；已列入待对账"))?;
        return Ok(Applied::Mismatched(why));
    }
    if teller == Teller::Notify {
        alerts::told_by_notify(desk.tx)?;
    }
    if attempt.state == AttemptState::Paid {
        return Ok(Applied::Before);
    }
    if teller == Teller::Query {
        alerts::found_by_asking(desk.tx, desk.now)?;
    }
    if teller == Teller::Notify {
        let text = format!("{}；与支付单相符，入账", told(payment));
        desk.note(&order, "notify.paid", text)?;
    }
    count_in(desk, order, &attempt, payment)?;
    Ok(Applied::Now)
}

/// Counts money that is checked: for its order, or as too much.
///
/// # Errors
/// Store errors.
pub(super) fn count_in(
    desk: &mut Desk<'_, '_>,
    order: Order,
    attempt: &Attempt,
    payment: &Payment,
) -> Result<(), ShopError> {
    let order = desk.priced_at(order, attempt.amount)?;
    let number = attempt.out_trade_no.attempt();
    let paid = Paid {
        attempt: number,
        transaction_id: payment.transaction_id.clone(),
        paid_at: payment.paid_at,
        stock: goods::stock_left(desk.tx, &order.lines)?,
    };
    // The attempt first: what is owed back is written from it.
    let pays = order.paid_by.is_none_or(|by| by == number);
    let counted = if pays {
        Counted::PaysTheOrder
    } else {
        Counted::Surplus
    };
    attempts::put(desk.tx, &attempt.clone().paid(payment, counted))?;
    desk.tx.count(Tally::PaidFen, payment.amount.get());
    desk.decide(&order, OrderEvent::Paid(paid))?;
    Ok(())
}

/// One line about a genuine notify.
fn told(payment: &Payment) -> String {
    format!(
        "收到支付通知：{} 由微信交易 {} 支付 {} 元",
        payment.out_trade_no, payment.transaction_id, payment.amount
    )
}

fn keep_unmatched(
    desk: &mut Desk<'_, '_>,
    payment: &Payment,
    reason: &str,
) -> Result<(), StoreError> {
    let notify = Unmatched {
        out_trade_no: payment.out_trade_no.clone(),
        transaction_id: payment.transaction_id.clone(),
        amount: payment.amount,
        reason: reason.to_owned(),
        first_at: desk.now,
        last_at: desk.now,
        times: 1,
    };
    unmatched::put(desk.tx, &notify)
}

pub(super) fn log_heard(heard: &Heard) {
    match heard {
        Heard::Applied | Heard::NotOurs | Heard::Unavailable => {}
        Heard::Refused(refusal) if refusal.is_probe() => {
            tracing::debug!("微信签名探测，按签名错误拒绝");
        }
        Heard::Refused(refusal) => tracing::warn!(%refusal, "拒绝一条微信通知"),
        Heard::Unknown => {
            tracing::error!(alarm = true, "真实的微信通知找不到支付单，已列入待对账");
        }
        Heard::RefundDiffers(why) => {
            tracing::error!(alarm = true, %why, "微信说的退款与本店的不符，已列入待对账");
        }
        Heard::Mismatched(why) => {
            tracing::error!(alarm = true, %why, "真实的支付通知与支付单不符，已列入待对账");
        }
    }
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
