//! What the merchant does about a difference: asks WeChat, gives the money back, or has seen it.
//!
//! What the first two do to an order is in `remedies`.

use super::{Shop, ShopError};
use crate::base::Day;
use crate::model::Refusal;
use crate::model::reconcile::Class;
use crate::store::reconciliations::{self, DayRow, Reconciliation, Settled, Settling, put_rows};
use crate::store::{Page, PageWanted, Tx};

/// What is to be done about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Ask WeChat, and apply what it says to the order it belongs to.
    Adopt,
    /// Give the money back.
    Refund,
    /// Nothing; somebody looked.
    Seen,
}

/// Whose difference is settled, and by whom.
#[derive(Clone, Debug)]
pub struct Settle {
    /// The day in whose list it stands.
    pub day: Day,
    /// The payment it is about.
    pub out_trade_no: String,
    /// What to do.
    pub remedy: Remedy,
    /// Who wants it.
    pub by: String,
}

/// A day with its differences, as many of each class as are wanted.
#[derive(Clone, Debug)]
pub struct ToldDay {
    /// The day.
    pub known: Reconciliation,
    /// The differences, in the order of [`Class::ALL`].
    pub rows: [Vec<DayRow>; 3],
}

impl Shop {
    /// A day with at most `limit` differences of each class; `None` when it was never compared.
    ///
    /// # Errors
    /// Store errors.
    pub async fn told_day(&self, day: Day, limit: usize) -> Result<Option<ToldDay>, ShopError> {
        let read = self.store.read(move |view| {
            let Some(known) = reconciliations::of_day(view, day)? else {
                return Ok(None);
            };
            let [a, b, c] = Class::ALL;
            let rows = |class| reconciliations::rows(view, day, class, limit);
            let rows = [rows(a)?, rows(b)?, rows(c)?];
            Ok(Some(ToldDay { known, rows }))
        });
        read.await
    }

    /// A page of days, newest first, each with at most `limit` differences of each class.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] naming `cursor`; store errors.
    pub async fn list_days(
        &self,
        page: PageWanted,
        limit: usize,
    ) -> Result<Page<ToldDay>, ShopError> {
        let read = self
            .store
            .read(move |view| Ok::<_, ShopError>(reconciliations::list(view, &page)?));
        let found = read.await?;
        let mut items = Vec::with_capacity(found.items.len());
        for known in found.items {
            items.extend(self.told_day(known.day, limit).await?);
        }
        Ok(Page {
            items,
            next_cursor: found.next_cursor,
        })
    }

    /// Settles what is open about one payment in the list of a day; gives its rows back. What was
    /// settled before stays as it was.
    ///
    /// # Errors
    /// [`Refusal::RowNotFound`]; [`Refusal::RowStays`] with why it cannot be settled this way;
    /// [`Refusal::RefundManual`] for money that only the merchant platform can give back;
    /// [`ShopError::Wechat`]; store errors.
    pub async fn settle(&self, wanted: Settle) -> Result<Vec<DayRow>, ShopError> {
        let _turn = self.reconciling.lock().await;
        let (day, number) = (wanted.day, wanted.out_trade_no.clone());
        let read = self
            .store
            .read(move |view| Ok::<_, ShopError>(reconciliations::rows_of(view, day, &number)?));
        let rows = read.await?;
        if rows.is_empty() {
            return Err(Refusal::RowNotFound.into());
        }
        let open = rows.iter().filter(|row| row.settled.is_none());
        let open: Vec<DayRow> = open.cloned().collect();
        if open.is_empty() {
            return Ok(rows);
        }
        let how = match wanted.remedy {
            Remedy::Seen => Settling::Seen,
            Remedy::Adopt => self.adopt(&open).await?,
            Remedy::Refund => self.give_back(&open).await?,
        };
        self.mark(wanted, how, open).await
    }

    async fn mark(
        &self,
        wanted: Settle,
        how: Settling,
        open: Vec<DayRow>,
    ) -> Result<Vec<DayRow>, ShopError> {
        let settled = Settled {
            how,
            by: wanted.by,
            at: self.clock.now(),
        };
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let Some(mut known) = reconciliations::of_day(tx, wanted.day)? else {
                return Err(Refusal::RowNotFound.into());
            };
            let done = open.iter().cloned().map(|row| DayRow {
                settled: Some(settled.clone()),
                ..row
            });
            put_rows(tx, &mut known, &done.collect::<Vec<_>>())?;
            let rows = reconciliations::rows_of(tx, wanted.day, &wanted.out_trade_no)?;
            Ok::<_, ShopError>(rows)
        });
        write.await
    }
}

#[cfg(test)]
#[path = "settling_tests.rs"]
pub(super) mod tests;
