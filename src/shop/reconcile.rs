//! The daily comparison with WeChat's bill: fetched, gone through row by row, kept difference by
//! difference.
//!
//! Nothing here holds more than a batch of rows: a bill has as many as the shop has customers.
//! What is done about a difference by hand is in `settling`.

use std::fs::File;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Shop, ShopError};
#[cfg(test)]
use crate::base::trial::{self, Planted};
use crate::base::{Day, Timestamp};
use crate::model::Refusal;
use crate::model::reconcile::BillRow;
use crate::store::reconciliations::{self, DayRow, DayStatus, Reconciliation};
use crate::store::{StoreError, Tx};
use crate::wechat::bill_file::{BillFault, BillFile};
use crate::wechat::{Fetched, Trace, WechatError};

/// How many rows are compared at a time.
const BATCH: usize = 256;
/// How many rows of trades that are not ours are listed for a day.
const FOREIGN_MAX: u64 = if cfg!(test) { 20 } else { 50_000 };
/// When the bill of the day before is there. Source: 微信支付 APIv2, APIv3 · 账单 (10:00).
const READY: Duration = Duration::from_secs(10 * 3600);

/// One comparison of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) day: Day,
    pub(super) number: u32,
    pub(super) at: Timestamp,
}

/// A verified bill, read in turns by those who hold it.
pub(super) type Bill = Arc<Mutex<BillFile<File>>>;

/// What going through a bill came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) bill_rows: u64,
    pub(super) matched: u64,
    /// Payments and refunds that WeChat could not be asked about: the day is tried again for them.
    pub(super) unasked: u64,
    /// Rows of trades that are not ours and are listed.
    pub(super) foreign: u64,
    /// Those behind the last that is listed.
    pub(super) unlisted: u64,
}

impl Compared {
    /// Whether one more row of a trade that is not ours is listed; else it is only counted. Where
    /// a merchant number is shared, a bill may be full of them.
    pub(super) fn lists_foreign(&mut self) -> bool {
        let lists = self.foreign < FOREIGN_MAX;
        let count = if lists {
            &mut self.foreign
        } else {
            &mut self.unlisted
        };
        *count = count.saturating_add(1);
        lists
    }
}

/// When the bill of `day` can be had.
pub(super) fn ready_at(day: Day) -> Timestamp {
    day.after(1).at(READY)
}

impl Shop {
    /// Compares the bill of `day` with what is known here, and keeps what differs. One day at a
    /// time; others wait.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] for today or later; [`ShopError::Wechat`] when the bill could not
    /// be had or not be used, which is kept as the day's status; store errors.
    pub async fn reconcile(&self, day: Day) -> Result<Reconciliation, ShopError> {
        self.may_reconcile(day)?;
        let _turn = self.reconciling.lock().await;
        let run = self.begin(day).await?;
        match self.compare(run).await {
            Ok(compared) => self.end(run, compared).await,
            Err(ShopError::Wechat(error)) => {
                let reason = format!("账单取不到或不可用：{error}");
                tracing::error!(alarm = true, %day, "{reason}");
                self.keep_status(run, DayStatus::Failed, reason).await?;
                Err(error.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether `day` can be reconciled at all.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] for today or later; [`ShopError::PayNotConfigured`].
    pub fn may_reconcile(&self, day: Day) -> Result<(), ShopError> {
        if self.settings.mchid.is_none() {
            return Err(ShopError::PayNotConfigured);
        }
        if day >= Day::of(self.clock.now()) {
            let (field, rule) = ("date", "只能对昨天或更早的账");
            return Err(Refusal::FieldInvalid { field, rule }.into());
        }
        Ok(())
    }

    /// Whether a day is being compared now.
    pub fn is_reconciling(&self) -> bool {
        self.reconciling.try_lock().is_err()
    }

    async fn begin(&self, day: Day) -> Result<Run, ShopError> {
        let at = self.clock.now();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let known = reconciliations::of_day(tx, day)?;
            let mut known = known.unwrap_or_else(|| Reconciliation::new(day, at));
            known.run = known.run.saturating_add(1);
            known.at = at;
            known.status = DayStatus::Waiting;
            known.reason = "对账尚未做完".to_owned();
            reconciliations::put(tx, &known)?;
            let number = known.run;
            Ok::<_, ShopError>(Run { day, number, at })
        });
        write.await
    }

    /// `None` when there is no bill yet.
    async fn compare(&self, run: Run) -> Result<Option<Compared>, ShopError> {
        let trace = Trace::new(&self.clock);
        let spool = &self.settings.spool;
        let (mut compared, bill) = match self.wechat.bill(run.day, spool, &trace).await? {
            Fetched::NotReady => return Ok(None),
            Fetched::Empty => (Compared::default(), None),
            Fetched::Bill(fetched) => {
                let bill = Arc::new(Mutex::new(fetched.file));
                let mut compared = self.judge_bill(run, &bill).await?;
                compared.bill_rows = fetched.rows;
                (compared, Some(bill))
            }
        };
        self.find_missing(run, bill.as_ref(), &mut compared).await?;
        self.drop_stale(run).await?;
        Ok(Some(compared))
    }

    async fn drop_stale(&self, run: Run) -> Result<(), ShopError> {
        let mut after = None;
        loop {
            let from = after.take();
            let write = self.store.write(move |tx: &mut Tx<'_>| {
                let mut known = require(tx, run.day)?;
                reconciliations::drop_stale(tx, &mut known, from.clone(), BATCH)
            });
            match write.await.map_err(ShopError::from)? {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    async fn end(&self, run: Run, compared: Option<Compared>) -> Result<Reconciliation, ShopError> {
        let Some(compared) = compared else {
            let reason = "微信还没有生成这一天的账单，半小时后再取".to_owned();
            return self.keep_status(run, DayStatus::Waiting, reason).await;
        };
        let (status, reason) = match compared.unasked {
            0 => (DayStatus::Done, String::new()),
            n => {
                let reason = format!("账单上有 {n} 笔本地没有的收款或退款未能向微信查询，稍后再对");
                (DayStatus::Failed, reason)
            }
        };
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut known = require(tx, run.day)?;
            known.status = status;
            known.reason.clone_from(&reason);
            known.bill_rows = compared.bill_rows;
            known.matched = compared.matched;
            known.unlisted = compared.unlisted;
            reconciliations::put(tx, &known)?;
            Ok::<_, ShopError>(known)
        });
        let known = write.await?;
        tell(&known);
        Ok(known)
    }

    async fn keep_status(
        &self,
        run: Run,
        status: DayStatus,
        reason: String,
    ) -> Result<Reconciliation, ShopError> {
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut known = require(tx, run.day)?;
            known.status = status;
            known.reason.clone_from(&reason);
            reconciliations::put(tx, &known)?;
            Ok::<_, ShopError>(known)
        });
        write.await
    }

    /// Keeps differences that this run found.
    pub(super) async fn keep_rows(&self, run: Run, rows: Vec<DayRow>) -> Result<(), ShopError> {
        #[cfg(test)]
        let rows = match trial::is(Planted::DifferencesDropped) {
            true => vec![],
            false => rows,
        };
        if rows.is_empty() {
            return Ok(());
        }
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut known = require(tx, run.day)?;
            Ok::<_, ShopError>(reconciliations::put_rows(tx, &mut known, &rows)?)
        });
        write.await
    }
}

/// The record of a day that was begun.
fn require(tx: &Tx<'_>, day: Day) -> Result<Reconciliation, StoreError> {
    let known = reconciliations::of_day(tx, day)?;
    Ok(known.unwrap_or_else(|| Reconciliation::new(day, day.end())))
}

fn tell(known: &Reconciliation) {
    let [missing_local, missing_wechat, amount_differs] = known.rows;
    let (date, open, matched) = (known.day, known.open_rows(), known.matched);
    let unlisted = known.unlisted;
    if open == 0 {
        tracing::info!(%date, matched, "对账完成，没有未处理的差异");
        return;
    }
    tracing::error!(
        alarm = true,
        %date,
        open,
        matched,
        missing_local,
        missing_wechat,
        amount_differs,
        unlisted,
        "对账发现差异，请处理"
    );
}

/// The rows of a bill, a batch at a time, read beside everything else.
pub(super) fn batches(bill: &Bill) -> mpsc::Receiver<Result<Vec<BillRow>, BillFault>> {
    let bill = Arc::clone(bill);
    #[cfg(test)]
    if trial::is_seeded() {
        let (to, from) = mpsc::channel(BATCH);
        read_batches(&bill, |batch| to.try_send(batch).is_ok());
        return from;
    }
    let (to, from) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        read_batches(&bill, |batch| to.blocking_send(batch).is_ok());
    });
    from
}

/// Gives `to` the rows of a bill, until it takes no more: the comparison was given up.
fn read_batches(bill: &Bill, mut to: impl FnMut(Result<Vec<BillRow>, BillFault>) -> bool) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut file = bill.lock().unwrap_or_else(PoisonError::into_inner);
    let read = file.rows(&mut |row| {
        batch.push(row);
        batch.len() < BATCH || to(Ok(mem::take(&mut batch)))
    });
    to(read.map(|()| batch));
}

/// The next batch; `None` behind the last.
///
/// # Errors
/// [`WechatError::Unknown`] when the bill, verified before, cannot be read any more.
pub(super) async fn next_batch(
    rows: &mut mpsc::Receiver<Result<Vec<BillRow>, BillFault>>,
) -> Result<Option<Vec<BillRow>>, ShopError> {
    let unusable = |fault: BillFault| WechatError::Unknown(fault.to_string()).into();
    rows.recv().await.transpose().map_err(unusable)
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
pub(super) mod tests;
