//! Which day's bill is compared when: each morning, again while it is being made, and every day
//! that was missed while the server was off.

use std::time::Duration;

use super::reconcile::ready_at;
use super::{Shop, ShopError};
use crate::base::{Day, Timestamp};
use crate::model::Refusal;
use crate::store::due::{self, Due, Work, WorkKind};
use crate::store::reconciliations::DayStatus;
use crate::store::{Read, StoreError, Tx};

/// How soon a bill that is not there, or not to be used, is asked for again.
const AGAIN: Duration = Duration::from_secs(1800);
/// How far back a missed day is made up for. Source: 微信支付 APIv2, APIv3 · 账单 (three months).
const BACK_DAYS: u32 = 80;

impl Shop {
    /// Plans today's bill for tomorrow morning, when no bill is planned yet.
    ///
    /// # Errors
    /// Store errors.
    pub async fn plan_bills(&self) -> Result<(), ShopError> {
        if self.settings.mchid.is_none() {
            return Ok(());
        }
        let today = Day::of(self.clock.now());
        let planned = self
            .store
            .read(|view| Ok::<_, ShopError>(newest_planned(view)?.is_some()));
        if planned.await? {
            return Ok(());
        }
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            plan(tx, today, ready_at(today));
            Ok::<_, ShopError>(())
        });
        write.await
    }

    /// Compares a day's bill that is due, and plans the next day's, or this one's again.
    ///
    /// # Errors
    /// Store errors; it stays due.
    pub(super) async fn due_bill(&self, due: Due) -> Result<(), ShopError> {
        let Work::Bill(start) = due.work else {
            return Ok(());
        };
        let day = Day::of(start);
        let again = self.try_day(day).await?;
        let now = self.clock.now();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            due::unschedule(tx, due.at, &Work::Bill(start));
            if again {
                let step = due.step.saturating_add(1);
                due::schedule(tx, now.plus(AGAIN), &Work::Bill(start), step);
            }
            // The chain of days never breaks: the newest one plans its successor.
            if newest_planned(tx)?.is_none_or(|newest| newest <= day) {
                let oldest = Day::of(now).before(BACK_DAYS);
                let next = day.after(1).max(oldest);
                plan(tx, next, ready_at(next));
            }
            Ok::<_, ShopError>(())
        });
        write.await
    }

    /// Whether the day must be tried again.
    async fn try_day(&self, day: Day) -> Result<bool, ShopError> {
        if day < Day::of(self.clock.now()).before(BACK_DAYS) {
            tracing::error!(alarm = true, %day, "这一天的账单早已过了可取的期限，没有对账");
            return Ok(false);
        }
        match self.reconcile(day).await {
            Ok(known) => Ok(known.status != DayStatus::Done),
            Err(ShopError::Wechat(_) | ShopError::PayNotConfigured) => Ok(true),
            // A clock that was set back: the day is not over yet.
            Err(ShopError::Refused(Refusal::FieldInvalid { .. })) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

fn plan(tx: &mut Tx<'_>, day: Day, at: Timestamp) {
    due::schedule(tx, at, &Work::Bill(day.start()), 0);
}

/// The newest day whose bill is planned.
fn newest_planned(read: &impl Read) -> Result<Option<Day>, StoreError> {
    let ever = Timestamp::from_unix(i64::MAX);
    let planned = due::due_now(read, &[WorkKind::Bill], ever, usize::MAX)?;
    let days = planned.into_iter().filter_map(|due| match due.work {
        Work::Bill(start) => Some(Day::of(start)),
        _ => None,
    });
    Ok(days.max())
}
