//! What is paid or refunded here and does not stand in the bill.
//!
//! The bill's numbers are held as sorted digests of 64 bits, two million at most; a longer bill is
//! gone through part by part. Around midnight WeChat may count another day than we do, so the bills
//! of the days beside are looked into before anything is called missing.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::reconcile::{Bill, Compared, Run, batches, next_batch, ready_at};
use super::truth::Found;
use super::{Shop, ShopError};
use crate::base::blocking::blocking;
use crate::base::{Day, Timestamp, hash};
use crate::model::reconcile::{BillRow, Class};
use crate::store::day_scan::{Expected, Scan};
use crate::store::reconciliations::{DayRow, RowKind};
use crate::wechat::{Fetched, Trace};
use std::sync::Mutex;

/// How many numbers of a bill are held at a time: 16 MiB.
const PART_ROWS: u64 = 2_000_000;
/// How many payments are looked for in the bills beside; more than that is no matter of midnight.
const STRAYS_MAX: usize = 1000;
/// How near to midnight a payment may fall into the next day's bill.
const EDGE: Duration = Duration::from_secs(600);

/// Sixty-four bits of a number's SHA-256; which of two million collide is not worth a thought.
fn digest(out_trade_no: &str, refund_no: &str) -> u64 {
    // A refund goes by its own number alone.
    let text = match refund_no {
        "" => out_trade_no.to_owned(),
        number => format!("\n{number}"),
    };
    let [a, b, c, d, e, f, g, h, ..] = hash::sha256(text.as_bytes());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn digest_of(row: &BillRow) -> u64 {
    match row {
        BillRow::Payment(payment) => digest(&payment.out_trade_no, ""),
        BillRow::Refund(refund) => digest(&refund.out_trade_no, &refund.refund_no),
    }
}

impl Expected {
    fn digest(&self) -> u64 {
        digest(&self.out_trade_no, &self.refund_no)
    }
}

/// The numbers of a part of the bill.
struct Part {
    at: u64,
    of: u64,
    digests: Vec<u64>,
}

impl Part {
    /// Whether `one` belongs to this part, and is not in the bill.
    fn misses(&self, one: &Expected) -> bool {
        let digest = one.digest();
        digest % self.of == self.at && self.digests.binary_search(&digest).is_err()
    }
}

impl Shop {
    /// Keeps every payment and refund of the day that is not in the bill.
    pub(super) async fn find_missing(
        &self,
        run: Run,
        bill: Option<&Bill>,
        compared: &mut Compared,
    ) -> Result<(), ShopError> {
        let of = compared.bill_rows.div_ceil(PART_ROWS).max(1);
        let mut strays = BTreeMap::new();
        for at in 0..of {
            let part = Part {
                at,
                of,
                digests: part_digests(bill, at, of).await?,
            };
            let part = Arc::new(part);
            let mut scan = Some(Scan::of(run.day));
            while let Some(from) = scan {
                let part = Arc::clone(&part);
                let read = self.store.read(move |view| {
                    let (mut found, next) = from.next(view)?;
                    found.retain(|one| part.misses(one));
                    Ok::<_, ShopError>((found, next))
                });
                let (found, next) = read.await?;
                scan = next;
                let mut many = vec![];
                for one in found {
                    if strays.len() < STRAYS_MAX {
                        strays.insert(one.digest(), one);
                    } else {
                        many.push(missing(one, run));
                    }
                }
                self.keep_rows(run, many).await?;
            }
        }
        self.look_beside(run, &mut strays).await?;
        let rows = strays.into_values().map(|one| missing(one, run));
        self.keep_rows(run, rows.collect()).await
    }

    /// Takes out of `strays` what stands in the bill of the day before or after, and what was paid
    /// just before midnight and is confirmed by WeChat while the next bill is not there.
    async fn look_beside(
        &self,
        run: Run,
        strays: &mut BTreeMap<u64, Expected>,
    ) -> Result<(), ShopError> {
        let (before, after) = (run.day.before(1), run.day.after(1));
        if !strays.is_empty() {
            self.look_into(before, strays).await?;
        }
        if self.clock.now() >= ready_at(after) {
            if !strays.is_empty() {
                self.look_into(after, strays).await?;
            }
            return Ok(());
        }
        let late = |at: Timestamp| run.day.end().since(at) <= EDGE;
        let payment = |one: &&Expected| one.refund_no.is_empty() && late(one.at);
        let late: Vec<Expected> = strays.values().filter(payment).cloned().collect();
        for one in late {
            let Ok(number) = one.out_trade_no.parse() else {
                continue;
            };
            match self.ask_about(&number).await {
                Ok(Some(Found::Paid)) => {
                    strays.remove(&one.digest());
                }
                Ok(_) | Err(ShopError::Wechat(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn look_into(
        &self,
        day: Day,
        strays: &mut BTreeMap<u64, Expected>,
    ) -> Result<(), ShopError> {
        let trace = Trace::new(&self.clock);
        let spool = &self.settings.spool;
        // A bill beside that cannot be had clears nobody; the failed call is in the log.
        let Ok(Fetched::Bill(fetched)) = self.wechat.bill(day, spool, &trace).await else {
            return Ok(());
        };
        let mut rows = batches(&Arc::new(Mutex::new(fetched.file)));
        while let Some(batch) = next_batch(&mut rows).await? {
            for row in batch {
                strays.remove(&digest_of(&row));
            }
        }
        Ok(())
    }
}

/// The digests of the `at`-th of `of` parts of a bill, sorted.
async fn part_digests(bill: Option<&Bill>, at: u64, of: u64) -> Result<Vec<u64>, ShopError> {
    let Some(bill) = bill.map(Arc::clone) else {
        return Ok(vec![]);
    };
    let read = blocking(move || {
        let mut digests = vec![];
        let mut file = bill.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file.rows(&mut |row| {
            let digest = digest_of(&row);
            if digest % of == at {
                digests.push(digest);
            }
            true
        });
        digests.sort_unstable();
        read.map(|()| digests)
    });
    read.await
        .map_err(|fault| crate::wechat::WechatError::Unknown(fault.to_string()).into())
}

fn missing(one: Expected, run: Run) -> DayRow {
    let (kind, reason) = if one.refund_no.is_empty() {
        (RowKind::Payment, "本系统记为已付，微信账单里没有")
    } else {
        (RowKind::Refund, "本系统记为已退，微信账单里没有")
    };
    DayRow {
        class: Class::MissingWechat,
        kind,
        out_trade_no: one.out_trade_no,
        transaction_id: one.transaction_id,
        refund_no: one.refund_no,
        ours: Some(one.order_no),
        local: Some(one.amount),
        wechat: None,
        at: Some(one.at),
        reason: reason.to_owned(),
        settled: None,
        run: run.number,
    }
}
