//! Watching over the shop: once a minute what is known becomes alerts, and what is new of them is
//! told in the log and to webhooks.

use std::sync::Arc;
use std::time::Duration;

use super::alerts::{Chore, Facts, News, decide, found, unknown};
use super::metrics::first_due;
use super::{Shop, ShopError, outbox};
use crate::base::Timestamp;
use crate::store::alerts as kept;
use crate::store::{PageWanted, Read, Tx, reconciliations, webhooks};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(60);
/// How many days of bills are looked at.
const DAYS: usize = 30;

/// Looks for as long as it is let.
pub(super) async fn keep(shop: Arc<Shop>) {
    loop {
        shop.clock.sleep(EVERY).await;
        if let Err(error) = shop.watch(shop.clock.now()).await {
            tracing::error!(%error, "巡检出错，稍后再看");
        }
    }
}

impl Shop {
    /// Looks once, and tells what is new.
    ///
    /// # Errors
    /// Store errors; nothing was told then.
    pub(super) async fn watch(&self, now: Timestamp) -> Result<(), ShopError> {
        let facts = self.facts(now).await?;
        let (alerts, blind) = (found(&facts, &self.settings.alerts, now), unknown(&facts));
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut standing = kept::standing(tx)?;
            standing.retain(|alert| !blind.contains(&alert.name));
            let news = decide(&standing, &alerts, now);
            for one in &news {
                keep_news(tx, one)?;
                outbox::tell_alert(tx, one, now)?;
            }
            Ok::<_, ShopError>(news)
        });
        // Nothing is told that a restart would tell again.
        for one in write.await? {
            log_news(&one);
        }
        Ok(())
    }

    /// What is known at `now`.
    async fn facts(&self, now: Timestamp) -> Result<Facts, ShopError> {
        let read = self.store.read(move |view| kept_facts(view, now));
        let kept = read.await?;
        let footprint = self.store.footprint().await;
        let disk = footprint.filter(|found| found.disk_bytes > 0);
        Ok(Facts {
            certificates: self.certificate_ends(),
            disk_free_bytes: disk.map(|found| found.free_bytes),
            skew_s: self.wechat.metrics().skew_s(),
            backup: self.backup_chore().await,
            base: self.base_chore(),
            ..kept
        })
    }

    /// How scheduled backups go, when there are any.
    async fn backup_chore(&self) -> Option<Chore> {
        let state = self.backup_state().await;
        state.scheduled.then(|| Chore {
            well_at: state.last_success_at.unwrap_or(self.metrics.started_at),
            every: self.settings.backup.every,
            failure: state.last_failure.map(|(_, why)| why),
        })
    }

    /// How base files go; nothing until the maker has looked once.
    fn base_chore(&self) -> Option<Chore> {
        let state = self.store.base_state();
        let known = state.failure.is_some() || !state.every.is_zero();
        // A store that is started more often than bases are due needs none: its journal is short.
        let started_at = self.metrics.started_at;
        known.then(|| Chore {
            well_at: state.at.map_or(started_at, |at| at.max(started_at)),
            every: state.every,
            failure: state.failure,
        })
    }

    /// Notes that a notify came which held, if there was silence before it.
    pub(super) async fn end_silence(&self) -> Result<(), ShopError> {
        let read = self
            .store
            .read(|view| kept::silence(view).map_err(ShopError::from));
        if read.await?.is_none() {
            return Ok(());
        }
        let write = self
            .store
            .write(|tx: &mut Tx<'_>| kept::told_by_notify(tx).map_err(ShopError::from));
        write.await
    }
}

/// What the store knows.
fn kept_facts(read: &impl Read, now: Timestamp) -> Result<Facts, ShopError> {
    let page = PageWanted {
        cursor: None,
        limit: DAYS,
    };
    let endpoints = webhooks::endpoints(read)?.into_iter();
    let dead = endpoints.filter_map(|endpoint| Some((endpoint.id, endpoint.state.dead?)));
    let days = reconciliations::list(read, &page)?.items;
    let open = days.iter().map(|day| (day.day, day.open_rows()));
    let due = first_due(read)?.into_iter();
    let late = due.filter_map(|(kind, at)| Some((kind, at.filter(|at| *at < now)?)));
    Ok(Facts {
        silence: kept::silence(read)?,
        differing: open.filter(|(_, open)| *open > 0).collect(),
        due: late.collect(),
        dead_webhooks: dead.collect(),
        ..Facts::default()
    })
}

fn keep_news(tx: &mut Tx<'_>, news: &News) -> Result<(), ShopError> {
    match news {
        News::Raised(standing) | News::Lasting(standing) => kept::put(tx, standing)?,
        News::Cleared(standing) => kept::end(tx, &standing.name)?,
    }
    Ok(())
}

fn log_news(news: &News) {
    let (state, standing) = news.parts();
    let (name, said) = (&standing.name, &standing.said);
    let (alert, about) = name.split_once(':').unwrap_or((name, ""));
    let since = standing.since.rfc3339();
    match news {
        News::Raised(_) | News::Lasting(_) => {
            tracing::error!(alert, about, state, since, "告警：{said}");
        }
        News::Cleared(_) => tracing::info!(alert, about, state, since, "告警解除：{said}"),
    }
}
