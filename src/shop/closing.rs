//! Closing an order: every attempt asked about and closed at WeChat, confirmed, then stock back.
//!
//! The wish is on disk first, with the due work that carries it to its end; whoever wished may see
//! it done at once, but nothing depends on that.

use std::collections::HashSet;
use std::time::Duration;

use super::effects::Desk;
use super::trace::clock_time;
use super::truth::Closing;
use super::{Shop, ShopError};
use crate::base::{OrderNo, Timestamp, Uid};
use crate::model::order::Closer;
use crate::model::{
    Attempt, AttemptState, Entry, Order, OrderEvent, OrderStatus, Protocol, Refusal,
};
use crate::store::due::{self, Due, Work, WorkKind};
use crate::store::orders::{self, Owner};
use crate::store::{Tx, attempts};

/// How long the background leaves an order to the one who is closing it.
const HEAD_START: Duration = Duration::from_secs(5);
/// The longest pause between two tries: with a call's own time it keeps within the 60 s that
/// CONTRACT §7 gives from the moment WeChat is able to close.
const LONGEST: Duration = Duration::from_secs(30);
/// How long someone who closes waits for the order's turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// How young WeChat's v2 does not close an order.
///
/// Source: 微信支付 APIv2 · 关闭订单.
pub(super) const V2_CLOSES_AFTER: Duration = Duration::from_secs(300);

/// The pause after the close was tried `step` times before: 5, 10, 20, 30, 30 … s.
fn pause(step: u16) -> Duration {
    let doubled = 1_u32.checked_shl(u32::from(step.min(16)));
    HEAD_START
        .saturating_mul(doubled.unwrap_or(u32::MAX))
        .min(LONGEST)
}

/// Whether a try after so many is told in the timeline when it changes nothing: the first ten
/// minutes each, then one in ten minutes. WeChat may be away for days.
fn is_told(step: u16) -> bool {
    step < 20 || step.is_multiple_of(20)
}

/// Keeps that someone wants `order` closed. Where WeChat must confirm it, that becomes due work.
///
/// # Errors
/// [`Refusal::OrderPaid`]; store errors.
pub(super) fn want_closed(
    desk: &mut Desk<'_, '_>,
    order: &Order,
    closer: Closer,
) -> Result<Order, ShopError> {
    let after = desk.decide(order, OrderEvent::CloseWanted(closer))?;
    if order.closing_since.is_none() && after.closing_since.is_some() {
        let at = match closer {
            Closer::Buyer | Closer::Merchant => desk.now.plus(HEAD_START),
            Closer::Expiry => desk.now,
        };
        due::schedule(desk.tx, at, &Work::Close(order.order_no.clone()), 0);
    }
    Ok(after)
}

impl Shop {
    /// The buyer's wish to cancel: closed, or pending with `closing_since` until WeChat confirms.
    ///
    /// # Errors
    /// [`Refusal::OrderNotFound`]; [`Refusal::OrderPaid`], also when WeChat has the money that we
    /// had not heard of; store errors.
    pub async fn cancel(
        &self,
        uid: Uid,
        order_no: OrderNo,
        now: Timestamp,
    ) -> Result<Order, ShopError> {
        let wish = Wish {
            owner: Owner::Of(uid),
            closer: Closer::Buyer,
        };
        self.close_as(wish, order_no, now).await
    }

    /// The merchant closes any order that is not paid, as [`Shop::cancel`] does.
    ///
    /// # Errors
    /// As [`Shop::cancel`].
    pub async fn close(&self, order_no: OrderNo, now: Timestamp) -> Result<Order, ShopError> {
        let wish = Wish {
            owner: Owner::Any,
            closer: Closer::Merchant,
        };
        self.close_as(wish, order_no, now).await
    }

    async fn close_as(
        &self,
        wish: Wish,
        order_no: OrderNo,
        now: Timestamp,
    ) -> Result<Order, ShopError> {
        let (key, number) = (self.field_key(), order_no.clone());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let order = orders::require_order(tx, &key, &number, wish.owner)?;
            let after = want_closed(&mut Desk { tx, key: &key, now }, &order, wish.closer)?;
            Ok::<_, ShopError>((order.closing_since, after))
        });
        let (wished_before, order) = write.await?;
        let in_haste =
            wished_before.is_some() && !self.turns.may_ask(&order_no, self.clock.now_ms());
        if order.closing_since.is_none() || in_haste {
            return Ok(order);
        }
        let Some(_turn) = self.turns.wait(&order_no, TURN_WITHIN).await else {
            return Ok(order);
        };
        let next = now.plus(HEAD_START);
        self.close_out(&order_no, next).await?;
        let order = self.order_of(Owner::Any, order_no).await?;
        match order.status {
            OrderStatus::Pending | OrderStatus::Closed => Ok(order),
            OrderStatus::Paid
            | OrderStatus::Shipped
            | OrderStatus::Completed
            | OrderStatus::Refunded => Err(Refusal::OrderPaid.into()),
        }
    }

    /// Carries a wished close on, its turn held; `next` is when it will be tried again.
    async fn close_out(&self, order_no: &OrderNo, next: Timestamp) -> Result<(), ShopError> {
        for attempt in self.attempts_of(order_no.clone()).await? {
            if attempt.state != AttemptState::Open {
                continue;
            }
            match self.close_attempt(&attempt).await? {
                Closing::Closed => {}
                Closing::Paid => return Ok(()),
                not_yet @ (Closing::NotYet(_) | Closing::Failed(_) | Closing::Strange(_)) => {
                    let text = reason(&attempt, &not_yet, next, self.clock.now());
                    let entry = Entry::new(self.clock.now(), "order.not_closed", text);
                    return self.keep_entries(order_no.clone(), vec![entry]).await;
                }
            }
        }
        self.finish_closing(order_no.clone()).await
    }

    /// Ends a wished close when no attempt is open any more, in one transaction with that check.
    ///
    /// # Errors
    /// Store errors.
    pub(super) async fn finish_closing(&self, order_no: OrderNo) -> Result<(), ShopError> {
        let (key, now) = (self.field_key(), self.clock.now());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let order = orders::require_order(tx, &key, &order_no, Owner::Any)?;
            if order.status != OrderStatus::Pending || order.closing_since.is_none() {
                return Ok::<_, ShopError>(());
            }
            let all = attempts::all(tx, &order_no)?;
            if all.iter().all(is_over) {
                let mut desk = Desk { tx, key: &key, now };
                desk.decide(&order, OrderEvent::ClosedAtWechat)?;
            }
            Ok(())
        });
        write.await
    }

    /// Tries again to close an order, and says when it will be tried next.
    ///
    /// # Errors
    /// Store errors; it stays due.
    pub(super) async fn due_close(&self, due: Due) -> Result<(), ShopError> {
        let Work::Close(order_no) = due.work.clone() else {
            return Ok(());
        };
        let Some(_turn) = self.turns.now(&order_no) else {
            return self.leave().await;
        };
        if self.waits_for_close(&order_no).await? {
            if is_told(due.step) {
                self.turns.speak(&order_no);
            } else {
                self.turns.hush(&order_no);
            }
            let next = self.clock.now().plus(pause(due.step));
            let tried = self.close_out(&order_no, next).await;
            self.turns.speak(&order_no);
            tried?;
        }
        let (waits, now) = (self.waits_for_close(&order_no).await?, self.clock.now());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            due::unschedule(tx, due.at, &due.work);
            if waits {
                let at = now.plus(pause(due.step));
                due::schedule(tx, at, &due.work, due.step.saturating_add(1));
            }
            Ok::<_, ShopError>(())
        });
        write.await
    }

    async fn waits_for_close(&self, order_no: &OrderNo) -> Result<bool, ShopError> {
        let (order_no, key) = (order_no.clone(), self.field_key());
        let read = self.store.read(move |view| {
            let order = orders::order(view, &key, &order_no)?;
            Ok::<_, ShopError>(order.is_some_and(|order| {
                order.status == OrderStatus::Pending && order.closing_since.is_some()
            }))
        });
        read.await
    }

    /// Gives every close that is wished due work, also one that an older version left without.
    ///
    /// # Errors
    /// Store errors.
    pub(super) async fn take_up_closes(&self) -> Result<usize, ShopError> {
        let (key, now) = (self.field_key(), self.clock.now());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let end_of_time = Timestamp::from_unix(i64::MAX);
            let planned = due::due_now(tx, &[WorkKind::Close], end_of_time, usize::MAX)?;
            let planned: HashSet<Work> = planned.into_iter().map(|due| due.work).collect();
            let mut taken = 0;
            for order_no in orders::closing(tx, &key)? {
                let work = Work::Close(order_no);
                if !planned.contains(&work) {
                    due::schedule(tx, now, &work, 0);
                    taken += 1;
                }
            }
            Ok::<_, ShopError>(taken)
        });
        write.await
    }

    /// Closes an order whose time is up: at once without an attempt, else by due work.
    ///
    /// # Errors
    /// Store errors; it stays due.
    pub(super) async fn expire(&self, order_no: OrderNo, now: Timestamp) -> Result<(), ShopError> {
        let key = self.field_key();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let Some(order) = orders::order(tx, &key, &order_no)? else {
                return Ok(());
            };
            if order.status != OrderStatus::Pending || now < order.expires_at {
                return Ok(());
            }
            let mut desk = Desk { tx, key: &key, now };
            want_closed(&mut desk, &order, Closer::Expiry).map(|_| ())
        });
        write.await
    }
}

/// Who wants what closed.
#[derive(Clone, Copy)]
struct Wish {
    owner: Owner,
    closer: Closer,
}

/// Whether nothing that counts can come in on `attempt` any more.
fn is_over(attempt: &Attempt) -> bool {
    match attempt.state {
        AttemptState::Open => false,
        AttemptState::Closed => true,
        AttemptState::Paid => !attempt.counted,
    }
}

/// Why the order is not closed, and when it is tried again.
fn reason(attempt: &Attempt, closing: &Closing, next: Timestamp, now: Timestamp) -> String {
    let next = clock_time(next);
    match closing {
        Closing::NotYet(said) => match young_until(attempt, now) {
            Some(old) => format!(
                "未关闭：微信要求下单 5 分钟后才能关单，即 {} 之后；{next} 再试（{said}）",
                clock_time(old)
            ),
            None => format!("未关闭：微信暂不允许关单，{next} 再试（{said}）"),
        },
        Closing::Failed(error) => format!("未关闭：未得到微信的确认，{next} 再试（{error}）"),
        Closing::Strange(why) => {
            format!("未关闭：微信说已支付但与支付单不符（{why}），请在对账中处理；{next} 再试")
        }
        Closing::Closed | Closing::Paid => String::new(),
    }
}

/// Until when v2 refuses to close `attempt` for its youth, as our clock has it.
pub(super) fn young_until(attempt: &Attempt, now: Timestamp) -> Option<Timestamp> {
    let old = attempt.created_at.plus(V2_CLOSES_AFTER);
    match attempt.protocol {
        Protocol::V2Md5 | Protocol::V2HmacSha256 if now < old => Some(old),
        Protocol::V2Md5 | Protocol::V2HmacSha256 | Protocol::V3 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_is_tried_again_so_soon_that_sixty_seconds_are_kept() {
        let pauses: Vec<u64> = (0..6).map(|step| pause(step).as_secs()).collect();
        assert_eq!(pauses, [5, 10, 20, 30, 30, 30]);
        // One call, with its repeats (CONTRACT §7).
        let call = Duration::from_secs(25);
        assert!(pause(u16::MAX) + call < Duration::from_secs(60));
    }
}
