//! Background work: what is due, forgotten idempotency keys, the sweep of tokens.
//!
//! Work to be done is a key ordered by its due time, so a restart needs no code: the next tick
//! finds what is due.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::runner::{Ended, Runner};
use super::{Shop, ShopError, backup_schedule, certificates, watch};
use crate::base::Timestamp;
#[cfg(test)]
use crate::base::trial::{self, Planted};
use crate::store::console::SweepFrom;
use crate::store::due::{self, Due, Work, WorkKind};
use crate::store::tokens::SWEEP_MAX;
use crate::store::{StoreError, Tx, idempotency};

/// How often due work is looked for.
const TICK: Duration = Duration::from_millis(500);
/// What lies between two chunks of a sweep, so that payments never wait for it.
const CHUNK_PAUSE: Duration = Duration::from_millis(100);
/// How much due work one tick takes.
const BATCH: usize = 64;
/// How long what runs may take after the shutdown began.
const LAST_WORK: Duration = Duration::from_secs(8);
/// The kinds of work that are looked for.
const KINDS: [WorkKind; 9] = [
    WorkKind::Expire,
    WorkKind::Close,
    WorkKind::Query,
    WorkKind::Refund,
    WorkKind::Report,
    WorkKind::Message,
    WorkKind::Complete,
    WorkKind::Bill,
    WorkKind::Webhook,
];

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
    let certificates = tokio::spawn(certificates::keep(Arc::clone(&shop)));
    let watch = tokio::spawn(watch::keep(Arc::clone(&shop)));
    let backups = tokio::spawn(backup_schedule::keep(Arc::clone(&shop)));
    let mut runner = Runner::default();
    match shop.take_up_closes().await {
        Ok(0) => {}
        Ok(taken) => tracing::info!(taken, "继续完成尚未得到微信确认的关单"),
        Err(error) => tracing::error!(%error, "查找未完成的关单出错，下次启动再查"),
    }
    loop {
        let mut pause = TICK;
        if runner.room() > 0 {
            match shop.start_due(&mut runner).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(%error, "读取到期任务出错，稍后重试");
                    pause = TICK * 10;
                }
            }
        }
        tokio::select! {
            () = &mut shutdown => break,
            ended = runner.ended() => {
                // What failed is still due: without a pause it would fail again at once.
                if ended == Ended::Badly {
                    tokio::select! {
                        () = &mut shutdown => break,
                        () = shop.clock.sleep(TICK * 10) => {}
                    }
                }
            }
            () = shop.clock.sleep(pause) => {}
        }
    }
    sweep.abort();
    certificates.abort();
    watch.abort();
    backups.abort();
    shop.backups.stop();
    runner.finish(LAST_WORK).await;
}

/// Plans the daily bill, sweeps expired tokens and forgets old idempotency keys, a chunk each
/// 100 ms at most.
async fn sweep(shop: Arc<Shop>) {
    loop {
        if let Err(error) = shop.plan_bills().await {
            tracing::error!(%error, "安排对账出错，稍后重试");
        }
        shop.clock.sleep(shop.settings.sweep_interval).await;
        shop.limits.forget_quiet(shop.clock.now_ms());
        shop.lockout.forget_quiet(shop.clock.now());
        shop.turns.forget_quiet(shop.clock.now_ms());
        if let Err(error) = shop.sweep_all().await {
            tracing::error!(%error, "清理过期登录凭证出错，稍后重试");
        }
    }
}

impl Shop {
    /// Does what is due at `now` and waits until all of it has ended.
    ///
    /// # Errors
    /// Store errors of looking for it; what was not done stays due.
    pub async fn tick(self: &Arc<Self>, now: Timestamp) -> Result<More, ShopError> {
        let mut due = self.due(now).await?;
        let more = if due.len() >= BATCH {
            More::Now
        } else {
            More::Later
        };
        let mut runner = Runner::default();
        runner.start(self, &mut due, now);
        while !runner.is_idle() {
            runner.ended().await;
            runner.start(self, &mut due, now);
        }
        Ok(more)
    }

    /// Starts what is due and there is room for.
    async fn start_due(self: &Arc<Self>, runner: &mut Runner) -> Result<(), ShopError> {
        let now = self.clock.now();
        let mut due = self.due(now).await?;
        runner.start(self, &mut due, now);
        Ok(())
    }

    /// What is due at `now`, the oldest first whatever its kind.
    async fn due(&self, now: Timestamp) -> Result<VecDeque<Due>, ShopError> {
        let read = self
            .store
            .read(move |view| due::due_now(view, &KINDS, now, BATCH).map_err(ShopError::from));
        let mut found = read.await?;
        found.sort_by_key(|due| due.at);
        Ok(found.into())
    }

    /// One piece of work: a row a kind. Each takes its own entry out, or plans it anew.
    pub(super) async fn carry_out(&self, due: Due, now: Timestamp) -> Result<(), ShopError> {
        #[cfg(test)]
        if trial::is(Planted::DueForgotten) {
            tokio::time::sleep(TICK).await;
            return Ok(());
        }
        match &due.work {
            Work::Expire(order_no) => self.expire(order_no.clone(), now).await,
            Work::Close(_) => self.due_close(due).await,
            Work::Query(_) => self.due_query(due).await,
            Work::Refund(_) => self.due_refund(due).await,
            Work::Report(_) => self.due_report(due).await,
            Work::Message(..) => self.due_message(due).await,
            Work::Complete(_) => self.due_complete(due).await,
            Work::Bill(_) => self.due_bill(due).await,
            Work::Webhook(_) => self.due_webhook(due).await,
        }
    }

    /// Removes all tokens and sessions that are expired and all idempotency keys that are honoured
    /// no more.
    async fn sweep_all(&self) -> Result<(), ShopError> {
        while self.tokens.sweep(self.clock.now()).await? == SWEEP_MAX {
            tokio::time::sleep(CHUNK_PAUSE).await;
        }
        while self.forget_keys(self.clock.now()).await? == More::Now {
            tokio::time::sleep(CHUNK_PAUSE).await;
        }
        let mut from = SweepFrom::default();
        loop {
            from = self.sweep_console(from, self.clock.now()).await?;
            if from == SweepFrom::default() {
                break;
            }
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
