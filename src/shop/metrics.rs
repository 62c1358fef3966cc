//! What is counted of the shop, and everything that `/metrics` tells.
//!
//! Counters are counted where things happen; what can be looked at is looked at when asked.

use super::notify::Heard;
use super::vitals::Vitals;
use super::{Shop, ShopError};
use crate::base::blocking::blocking;
use crate::base::metrics::{Counters, Gauge, Gauges, Registry, member};
use crate::base::{Secret, Timestamp};
use crate::store::due::{self, WorkKind};
use crate::store::{Footprint, Read, Store, StoreError};
use crate::web::{HttpMetrics, Tls};
use crate::wechat::Wechat;

/// Everything that is counted.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    registry: Registry,
    http: HttpMetrics,
    notifies: Counters,
    webhooks: Counters,
    due: Due,
    disk: Disk,
    backups: BackupGauges,
    certificates: Gauges,
    tokens: Gauge,
    resident_bytes: Gauge,
    open_files: Gauge,
    uptime_s: Gauge,
    pub(super) started_at: Timestamp,
}

/// Work that waits, by kind.
#[derive(Debug, Default)]
struct Due {
    next_s: Gauges,
    overdue_s: Gauges,
}

/// The store on its disk.
#[derive(Debug, Default)]
struct Disk {
    journal_bytes: Gauge,
    segments: Gauge,
    bases: Gauge,
    base_bytes: Gauge,
    base_at_s: Gauge,
    base_age_s: Gauge,
    working_set_bytes: Gauge,
    free_bytes: Gauge,
    disk_bytes: Gauge,
    low: Gauge,
    base_failed: Gauge,
}

/// Scheduled backups, and those that were asked for.
#[derive(Debug, Default)]
struct BackupGauges {
    succeeded_at_s: Gauge,
    failures: Gauge,
}

impl Metrics {
    /// Those of a shop that starts at `now`, the store's and WeChat's among them.
    pub(super) fn new(store: &Store, wechat: &Wechat, now: Timestamp) -> Self {
        let mut all = Self {
            started_at: now,
            ..Self::default()
        };
        let mut registry = Registry::default();
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.add_words("build", "This program", version);
        for result in ["ok", "failed", "gone"] {
            member(&all.webhooks, &[("result", result)]);
        }
        all.http.show(&mut registry);
        store.metrics().show(&mut registry);
        wechat.metrics().show(&mut registry);
        all.show(&mut registry);
        all.due.show(&mut registry);
        all.disk.show(&mut registry);
        all.backups.show(&mut registry);
        all.registry = registry;
        all
    }

    fn show(&self, registry: &mut Registry) {
        let help = "Messages from WeChat, by address and what became of them";
        registry.add("notifies", help, &self.notifies);
        let help = "Webhooks sent, by what became of them";
        registry.add("webhooks", help, &self.webhooks);
        let help = "Days until a certificate ends, by certificate; the last of a kind counts";
        registry.add("certificate_days", help, &self.certificates);
        let help = "Login tokens held in memory";
        registry.add("token_cache_entries", help, &self.tokens);
        let help = "Memory in use by this process";
        registry.add("process_resident_memory_bytes", help, &self.resident_bytes);
        let help = "Open file descriptors of this process";
        registry.add("process_open_fds", help, &self.open_files);
        let help = "Time since this process opened its store";
        registry.add("process_uptime_seconds", help, &self.uptime_s);
    }

    /// Counts a webhook that was sent.
    pub(super) fn webhook(&self, result: &'static str) {
        member(&self.webhooks, &[("result", result)]).inc();
    }

    /// Counts a message that came to the address of `kind`.
    pub(super) fn notified(&self, kind: &'static str, verdict: &'static str) {
        member(&self.notifies, &[("kind", kind), ("verdict", verdict)]).inc();
    }
}

impl Due {
    fn show(&self, registry: &mut Registry) {
        let help = "When the first work of a kind is due, since 1970; 0 when none waits";
        registry.add("due_next_timestamp_seconds", help, &self.next_s);
        let help = "How long the oldest work of a kind has been due; 0 when none is late";
        registry.add("due_overdue_seconds", help, &self.overdue_s);
    }
}

impl Disk {
    fn show(&self, registry: &mut Registry) {
        registry.add("journal_bytes", "Bytes of the journal", &self.journal_bytes);
        registry.add(
            "journal_segments",
            "Segments of the journal",
            &self.segments,
        );
        registry.add("base_files", "Base files", &self.bases);
        let help = "Bytes of the newest base file";
        registry.add("base_bytes", help, &self.base_bytes);
        let help = "When the newest base file was finished, since 1970; 0 when there is none";
        registry.add("base_timestamp_seconds", help, &self.base_at_s);
        let help = "Time since the newest base file was finished; 0 when there is none";
        registry.add("base_age_seconds", help, &self.base_age_s);
        let help = "Bytes of the working set";
        registry.add("working_set_bytes", help, &self.working_set_bytes);
        let help = "Bytes that may still be written on the data directory's disk";
        registry.add("disk_free_bytes", help, &self.free_bytes);
        registry.add("disk_bytes", "Bytes of that disk", &self.disk_bytes);
        let help = "1 while new orders are refused for want of room, else 0";
        registry.add("disk_low", help, &self.low);
        let help = "1 when the last base file could not be made, else 0";
        registry.add("base_failed", help, &self.base_failed);
    }

    fn set(&self, found: &Footprint, now: Timestamp) {
        let age = found.base_at.map_or(0, |at| now.since(at).as_secs());
        self.journal_bytes.set(whole(found.journal_bytes));
        self.segments.set(whole(found.segments));
        self.bases.set(whole(found.bases));
        self.base_bytes.set(whole(found.base_bytes));
        self.base_at_s.set(found.base_at.map_or(0, Timestamp::unix));
        self.base_age_s.set(whole(age));
        self.working_set_bytes.set(whole(found.working_set_bytes));
        self.free_bytes.set(whole(found.free_bytes));
        self.disk_bytes.set(whole(found.disk_bytes));
    }
}

impl BackupGauges {
    fn show(&self, registry: &mut Registry) {
        let help = "When the newest whole backup was begun, since 1970; 0 when none is known";
        registry.add("backup_timestamp_seconds", help, &self.succeeded_at_s);
        let help = "Backups that failed since the start";
        registry.add("backup_failures", help, &self.failures);
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What became of a notify, in one word.
pub(super) fn verdict(heard: &Heard) -> &'static str {
    match heard {
        Heard::Applied => "applied",
        Heard::NotOurs => "not_ours",
        Heard::Refused(refusal) if refusal.is_probe() => "probe",
        Heard::Refused(_) => "refused",
        Heard::Unknown => "unknown",
        Heard::Mismatched(_) => "mismatched",
        Heard::RefundDiffers(_) => "refund_differs",
        Heard::Unavailable => "unavailable",
    }
}

/// When the first work of each kind is due.
pub(super) fn first_due(
    read: &impl Read,
) -> Result<Vec<(&'static str, Option<Timestamp>)>, StoreError> {
    let first = |(kind, word)| Ok((word, due::first(read, kind)?));
    WorkKind::ALL.into_iter().map(first).collect()
}

impl Shop {
    /// Where the requests of this shop's servers are counted.
    pub fn http_metrics(&self) -> &HttpMetrics {
        &self.metrics.http
    }

    /// What opens `/metrics` from anywhere; empty: nothing does.
    pub fn metrics_token(&self) -> &Secret<String> {
        &self.settings.metrics_token
    }

    /// Everything that is counted, as it is at `now`.
    ///
    /// # Errors
    /// Store errors: what waits cannot be read.
    pub async fn metrics_text(&self, now: Timestamp) -> Result<String, ShopError> {
        self.look_at_due(now).await?;
        if let Some(found) = self.store.footprint().await {
            self.metrics.disk.set(&found, now);
        }
        let low = self.store.space().is_some_and(|space| space.is_low());
        self.metrics.disk.low.set(i64::from(low));
        let failed = self.store.base_state().failure.is_some();
        self.metrics.disk.base_failed.set(i64::from(failed));
        let backups = self.backup_state().await;
        let at = backups.last_success_at.map_or(0, Timestamp::unix);
        self.metrics.backups.succeeded_at_s.set(at);
        self.metrics.backups.failures.set(whole(backups.failures));
        self.look_at_certificates(now);
        let vitals = blocking(Vitals::now).await;
        let metrics = &self.metrics;
        metrics.resident_bytes.set(whole(vitals.resident_bytes));
        metrics.open_files.set(whole(vitals.open_files));
        let uptime = now.since(metrics.started_at).as_secs();
        metrics.uptime_s.set(whole(uptime));
        let tokens = u64::try_from(self.tokens.hot()).unwrap_or(u64::MAX);
        metrics.tokens.set(whole(tokens));
        Ok(metrics.registry.text())
    }

    async fn look_at_due(&self, now: Timestamp) -> Result<(), ShopError> {
        let read = self
            .store
            .read(|view| first_due(view).map_err(ShopError::from));
        for (word, at) in read.await? {
            let (labels, due) = ([("kind", word)], &self.metrics.due);
            let late = at.map_or(0, |at| now.since(at).as_secs());
            member(&due.next_s, &labels).set(at.map_or(0, Timestamp::unix));
            member(&due.overdue_s, &labels).set(whole(late));
        }
        Ok(())
    }

    fn look_at_certificates(&self, now: Timestamp) {
        for (kind, ends_at) in self.certificate_ends() {
            let Some(ends_at) = ends_at else { continue };
            let left = ends_at.unix().saturating_sub(now.unix()).div_euclid(86_400);
            member(&self.metrics.certificates, &[("certificate", kind)]).set(left);
        }
    }

    /// Until when the certificates we lean on are valid, by kind; `None` while that is not known.
    pub(super) fn certificate_ends(&self) -> Vec<(&'static str, Option<Timestamp>)> {
        let platform = self.wechat.platform_certificates();
        // While WeChat changes them there are two, and the later one is what counts.
        let platform = platform.iter().map(|certificate| certificate.ends_at).max();
        let merchant = self.settings.merchant_certificate_ends;
        let tls = self.tls.get().map(Tls::standing);
        let all = [
            (
                "wechat_platform",
                platform,
                self.wechat.wants_certificates(),
            ),
            ("merchant_api", merchant, merchant.is_some()),
            (
                "tls",
                tls.as_ref().and_then(|shown| shown.ends_at),
                tls.is_some(),
            ),
        ];
        let used = all.into_iter().filter(|(_, _, used)| *used);
        used.map(|(kind, at, _)| (kind, at)).collect()
    }
}
