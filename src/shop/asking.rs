//! When the truth is asked for: on request, and by itself at growing intervals after `pay`.

use std::time::Duration;

use super::effects::Desk;
use super::truth::{Closing, Found};
use super::{Shop, ShopError};
use crate::base::{OrderNo, OutTradeNo, Timestamp, Uid};
use crate::model::{Attempt, AttemptState, Order, OrderStatus};
use crate::store::due::{Due, Work};
use crate::store::orders::{self, Owner};
use crate::store::{StoreError, Tx, attempts, queries};

/// The pause before the first query after `pay`; it doubles (CONTRACT §7: at most 30 s).
///
/// Source: 微信支付 · 支付回调和查单实现指引: query when no notify came, at growing intervals.
const FIRST: Duration = Duration::from_secs(20);
/// The longest pause between two queries of an open attempt.
const LONGEST: Duration = Duration::from_secs(600);
/// Steps from here on are looks back at a closed attempt.
pub(super) const LOOK_BACK: u16 = 1000;
/// The pauses before the looks back: after the close, and after the first of them.
pub(super) const LOOKS: [Duration; 2] = [Duration::from_secs(300), Duration::from_secs(3300)];
/// How soon a look back is tried again that came to nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(300);
/// How long someone who asks waits for the order's turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);

/// The pause after a query that was tried `step` times before.
fn pause(step: u16) -> Duration {
    let doubled = 1_u32.checked_shl(u32::from(step.min(16)));
    FIRST
        .saturating_mul(doubled.unwrap_or(u32::MAX))
        .min(LONGEST)
}

/// Plans the first query of an attempt that the buyer is about to pay.
///
/// # Errors
/// Store errors.
pub(super) fn plan_first(
    tx: &mut Tx<'_>,
    number: &OutTradeNo,
    now: Timestamp,
) -> Result<(), StoreError> {
    queries::plan(tx, number, now.plus(pause(0)), 0)
}

/// What a due query found in the store.
struct Standing {
    order: Order,
    attempt: Attempt,
}

impl Shop {
    /// The buyer asks for the truth about their order.
    ///
    /// # Errors
    /// [`crate::model::Refusal::OrderNotFound`]; [`ShopError::Wechat`]; store errors.
    pub async fn sync(&self, uid: Uid, order_no: OrderNo) -> Result<Order, ShopError> {
        self.sync_as(Owner::Of(uid), order_no).await
    }

    /// The merchant asks for the truth about any order.
    ///
    /// # Errors
    /// [`crate::model::Refusal::OrderNotFound`]; [`ShopError::Wechat`]; store errors.
    pub async fn sync_any(&self, order_no: OrderNo) -> Result<Order, ShopError> {
        self.sync_as(Owner::Any, order_no).await
    }

    /// Asked too often, or while someone else asks, it answers the order as it is (CONTRACT §7).
    async fn sync_as(&self, owner: Owner, order_no: OrderNo) -> Result<Order, ShopError> {
        let order = self.order_of(owner, order_no.clone()).await?;
        if !self.turns.may_ask(&order_no, self.clock.now_ms()) {
            return Ok(order);
        }
        let Some(_turn) = self.turns.wait(&order_no, TURN_WITHIN).await else {
            return Ok(order);
        };
        for attempt in self.attempts_of(order_no.clone()).await? {
            match attempt.state {
                AttemptState::Open | AttemptState::Closed => {
                    self.ask(&attempt).await?;
                }
                AttemptState::Paid => {}
            }
        }
        self.finish_closing(order_no.clone()).await?;
        self.settle_refunds(&order_no).await?;
        self.order_of(owner, order_no).await
    }

    pub(super) async fn order_of(
        &self,
        owner: Owner,
        order_no: OrderNo,
    ) -> Result<Order, ShopError> {
        let key = self.field_key();
        let read = self.store.read(move |view| {
            orders::require_order(view, &key, &order_no, owner).map_err(ShopError::from)
        });
        read.await
    }

    pub(super) async fn attempts_of(&self, order_no: OrderNo) -> Result<Vec<Attempt>, ShopError> {
        let read = self
            .store
            .read(move |view| attempts::all(view, &order_no).map_err(ShopError::from));
        read.await
    }

    /// Asks about an attempt that is due, and plans when to ask again.
    ///
    /// # Errors
    /// Store errors; it stays due.
    pub(super) async fn due_query(&self, due: Due) -> Result<(), ShopError> {
        let Work::Query(number) = due.work.clone() else {
            return Ok(());
        };
        let Some(_turn) = self.turns.now(number.order_no()) else {
            return self.leave().await;
        };
        let again = match self.query_standing(&number).await? {
            None => None,
            Some(Standing { order, attempt }) => match attempt.state {
                AttemptState::Paid => None,
                AttemptState::Open => self.ask_open(&order, &attempt, due.step).await?,
                AttemptState::Closed if due.step < LOOK_BACK => None,
                AttemptState::Closed => self.ask_closed(&attempt, due.step).await?,
            },
        };
        let now = self.clock.now();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            // What was planned meanwhile stands: a close plans its own look back.
            if queries::next(tx, &number)?.is_some_and(|at| at != due.at) {
                return queries::drop(tx, &number, &due);
            }
            match again {
                Some((pause, step)) => queries::plan(tx, &number, now.plus(pause), step),
                None => queries::drop(tx, &number, &due),
            }
        });
        Ok(write.await?)
    }

    async fn query_standing(&self, number: &OutTradeNo) -> Result<Option<Standing>, ShopError> {
        let (number, key) = (number.clone(), self.field_key());
        let read = self.store.read(move |view| {
            let Some(attempt) = attempts::attempt(view, &number)? else {
                return Ok::<_, ShopError>(None);
            };
            let order = orders::order(view, &key, number.order_no())?;
            Ok(order.map(|order| Standing { order, attempt }))
        });
        read.await
    }

    /// Asks about an open attempt; the pause and step of the next query, if one is needed.
    async fn ask_open(
        &self,
        order: &Order,
        attempt: &Attempt,
        step: u16,
    ) -> Result<Option<(Duration, u16)>, ShopError> {
        let next = step.saturating_add(1);
        let again = Some((pause(next), next));
        match self.ask(attempt).await {
            Ok(Found::Paid | Found::Closed) => Ok(None),
            Ok(Found::Strange(_)) | Err(ShopError::Wechat(_)) => Ok(again),
            Ok(Found::Unpaid | Found::Absent) if is_wanted(order, attempt) => Ok(again),
            Ok(Found::Unpaid | Found::Absent) => {
                let closing = self.close_there(attempt).await?;
                let ended = matches!(closing, Closing::Closed | Closing::Paid);
                Ok(if ended { None } else { again })
            }
            Err(error) => Err(error),
        }
    }

    /// Looks back at a closed attempt: the payment that won the race, its notify lost, is found.
    async fn ask_closed(
        &self,
        attempt: &Attempt,
        step: u16,
    ) -> Result<Option<(Duration, u16)>, ShopError> {
        let next = step.saturating_add(1);
        let later = LOOKS.get(usize::from(next - LOOK_BACK));
        match self.ask(attempt).await {
            Ok(Found::Paid | Found::Strange(_)) => Ok(None),
            Ok(Found::Closed | Found::Absent) => Ok(later.map(|pause| (*pause, next))),
            // Closed here, open there: the request that opened it arrived after the close.
            Ok(Found::Unpaid) => {
                self.close_there(attempt).await?;
                Ok(Some((LOOK_AGAIN, step)))
            }
            Err(ShopError::Wechat(_)) if self.clock.now() < last_look(attempt) => {
                Ok(Some((LOOK_AGAIN, step)))
            }
            Err(ShopError::Wechat(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets work wait whose order is being talked about.
    pub(super) async fn leave(&self) -> Result<(), ShopError> {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(())
    }
}

/// Until when a look back that fails is tried again: then the bill has the last word.
fn last_look(attempt: &Attempt) -> Timestamp {
    attempt.time_expire.plus(Duration::from_secs(2 * 86_400))
}

/// Whether the order still wants to be paid by this very attempt. Closing has its own due work.
fn is_wanted(order: &Order, attempt: &Attempt) -> bool {
    match order.status {
        OrderStatus::Pending => order.total == attempt.amount || order.closing_since.is_some(),
        OrderStatus::Paid
        | OrderStatus::Shipped
        | OrderStatus::Completed
        | OrderStatus::Closed
        | OrderStatus::Refunded => false,
    }
}

impl Desk<'_, '_> {
    /// Has WeChat asked about an attempt at once: what it asks for is no longer wanted.
    ///
    /// # Errors
    /// Store errors.
    pub(super) fn ask_now(&mut self, number: &OutTradeNo) -> Result<(), StoreError> {
        queries::plan(self.tx, number, self.now, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_query_comes_within_thirty_seconds_and_pauses_grow_to_ten_minutes() {
        let pauses: Vec<u64> = (0..8).map(|step| pause(step).as_secs()).collect();
        assert_eq!(pauses, [20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(pause(u16::MAX), LONGEST);
    }
}
