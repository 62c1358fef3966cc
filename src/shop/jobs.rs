//! Background work: expired orders, forgotten idempotency keys, the sweep of tokens.
//!
//! Work to be done is a key ordered by its due time, so a restart needs no code: the next tick
//! finds what is due.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::effects::Desk;
use super::{Shop, ShopError};
use crate::base::OrderNo;
use crate::base::Timestamp;
#[cfg(test)]
use crate::base::trial::{self, Planted};
use crate::model::order::Closer;
use crate::model::{OrderEvent, OrderStatus};
use crate::store::due::{self, Work, WorkKind};
use crate::store::tokens::SWEEP_MAX;
use crate::store::{StoreError, Tx, idempotency, orders};

/// How often due work is looked for.
const TICK: Duration = Duration::from_millis(500);
/// What lies between two chunks of a sweep, so that payments never wait for it.
const CHUNK_PAUSE: Duration = Duration::from_millis(100);
/// How much due work one tick takes.
const BATCH: usize = 64;

/// Whether more is due now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// Come again at once.
    Now,
    /// Come again later.
    Later,
}

/// Runs all background work until `shutdown` resolves.
pub async fn run(shop: Arc<Shop>, shutdown: impl Future<Output = ()>) {
    tokio::pin!(shutdown);
    let sweep = tokio::spawn(sweep(Arc::clone(&shop)));
    loop {
        let pause = match shop.tick(shop.clock.now()).await {
            Ok(More::Now) => Duration::ZERO,
            Ok(More::Later) => TICK,
            Err(error) => {
                tracing::error!(%error, "后台任务出错，稍后重试");
                TICK * 10
            }
        };
        tokio::select! {
            () = &mut shutdown => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    sweep.abort();
}

/// Sweeps expired tokens and forgets old idempotency keys, a chunk each 100 ms at most.
async fn sweep(shop: Arc<Shop>) {
    loop {
        tokio::time::sleep(shop.settings.sweep_interval).await;
        shop.limits.forget_quiet();
        if let Err(error) = shop.sweep_all().await {
            tracing::error!(%error, "清理过期登录凭证出错，稍后重试");
        }
    }
}

impl Shop {
    /// Does what is due at `now`, oldest first.
    ///
    /// # Errors
    /// Store errors; what was not done stays due.
    pub async fn tick(&self, now: Timestamp) -> Result<More, ShopError> {
        let found = self.store.read(move |view| {
            due::due_now(view, &[WorkKind::Expire], now, BATCH).map_err(ShopError::from)
        });
        let found = found.await?;
        let more = if found.len() == BATCH {
            More::Now
        } else {
            More::Later
        };
        for (_, work) in found {
            self.carry_out(work, now).await?;
        }
        Ok(more)
    }

    async fn carry_out(&self, work: Work, now: Timestamp) -> Result<(), ShopError> {
        match work {
            Work::Expire(order_no) => self.expire(order_no, now).await,
            // Closing at WeChat and asking it are work of a later version; it stays due until then.
            Work::Close(_) | Work::Query(_) => Ok(()),
        }
    }

    /// Closes an order whose time is up; one with a payment attempt is only marked as closing.
    async fn expire(&self, order_no: OrderNo, now: Timestamp) -> Result<(), ShopError> {
        #[cfg(test)]
        if trial::is(Planted::ExpiryForgotten) {
            return Ok(());
        }
        let key = self.field_key();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let Some(order) = orders::order(tx, &key, &order_no)? else {
                return Ok(());
            };
            if order.status != OrderStatus::Pending || now < order.expires_at {
                return Ok(());
            }
            let event = OrderEvent::CloseWanted(Closer::Expiry);
            Desk { tx, key: &key, now }
                .decide(&order, event)
                .map(|_| ())
        });
        write.await
    }

    /// Removes all tokens that are expired and all idempotency keys that are honoured no more.
    async fn sweep_all(&self) -> Result<(), ShopError> {
        while self.tokens.sweep(self.clock.now()).await? == SWEEP_MAX {
            tokio::time::sleep(CHUNK_PAUSE).await;
        }
        while self.forget_keys(self.clock.now()).await? == More::Now {
            tokio::time::sleep(CHUNK_PAUSE).await;
        }
        Ok(())
    }

    /// Forgets idempotency keys that are honoured no more.
    ///
    /// # Errors
    /// Store errors.
    pub async fn forget_keys(&self, now: Timestamp) -> Result<More, ShopError> {
        let write = self
            .store
            .write(move |tx: &mut Tx<'_>| -> Result<usize, StoreError> {
                idempotency::forget(tx, now, BATCH)
            });
        Ok(if write.await? == BATCH {
            More::Now
        } else {
            More::Later
        })
    }
}
