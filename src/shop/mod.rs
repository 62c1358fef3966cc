//! Floor 3: the use cases, what a merchant does, and the background ticks.
//!
//! A use case orders the steps across store and WeChat. It asks `model` what follows, keeps it in
//! one transaction, and only then answers.

pub mod alerts;
mod amending;
pub mod asking;
mod backup_schedule;
pub mod backups;
pub mod beside;
mod bill_days;
mod bill_missing;
mod bill_refunds;
mod bill_rows;
mod certificates;
pub mod checkout;
pub mod closing;
pub mod console;
mod couriers;
mod deliver;
pub mod effects;
pub mod error;
pub mod export;
pub mod fulfil;
pub mod goods;
mod happening;
pub mod jobs;
pub mod limits;
pub mod lockout;
pub mod login;
mod metrics;
mod mini;
pub mod notify;
pub mod orders;
mod outbox;
mod passwords;
pub mod pay;
pub mod push;
pub mod reconcile;
mod refund_calls;
mod refund_desk;
#[cfg(test)]
mod refund_news_tests;
mod refund_notify;
mod refund_owed;
mod refund_requests;
#[cfg(test)]
mod refund_tests;
pub mod refunds;
mod remedies;
mod reports;
mod runner;
pub mod settling;
pub mod staff;
pub mod subscribe;
pub mod trace;
mod truth;
mod turns;
pub mod users;
mod vitals;
mod watch;
pub mod webhooks;

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use error::ShopError;

use crate::base::cipher::FieldKey;
use crate::base::{AppId, Clock, MchId, Secret, Timestamp};
use crate::store::tokens::Tokens;
use crate::store::{Space, Store};
use crate::web::{Guarded, Tls};
use crate::wechat::Wechat;

/// What a shop is told by its configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The mini program.
    pub appid: AppId,
    /// The merchant number, when payments are configured.
    pub mchid: Option<MchId>,
    /// Where WeChat sends payment results: `public_url` and the path of the route.
    pub notify_url: String,
    /// Where WeChat sends refund results.
    pub refund_notify_url: String,
    /// How long a buyer's token lives.
    pub token_ttl: Duration,
    /// Goes into every token.
    pub token_salt: Secret<String>,
    /// How long an order may be paid.
    pub pay_within: Duration,
    /// How often expired tokens are swept.
    pub sweep_interval: Duration,
    /// What the payer reads on the bill.
    pub order_body: String,
    /// `[limits] login_per_minute_per_ip`.
    pub login_per_minute_per_ip: u32,
    /// `[limits] requests_per_minute_per_token`.
    pub requests_per_minute_per_token: u32,
    /// How the console is guarded.
    pub console: console::ConsoleRule,
    /// How many days after shipping an order completes by itself.
    pub auto_complete_days: u64,
    /// What message push is verified and opened with.
    pub push: push::PushSettings,
    /// The templates of subscribe messages.
    pub messages: subscribe::Messages,
    /// Where a bill lies while it is compared, in a file without a name.
    pub spool: PathBuf,
    /// Scheduled backups.
    pub backup: backups::BackupSettings,
    /// Seals phones and session keys at rest.
    pub field_key: FieldKey,
    /// Who shows it may read `/metrics` from anywhere; empty: nobody.
    pub metrics_token: Secret<String>,
    /// What webhooks are sent through.
    pub hooks: Guarded,
    /// From when on something is an alert.
    pub alerts: alerts::AlertLimits,
    /// Until when the merchant's API certificate is valid, when its file is configured.
    pub merchant_certificate_ends: Option<Timestamp>,
}

/// The shop: everything a use case needs, once a process.
pub struct Shop {
    store: Store,
    tokens: Arc<Tokens>,
    wechat: Wechat,
    clock: Clock,
    settings: Settings,
    limits: limits::Limits,
    lockout: lockout::Lockout,
    passwords: passwords::Passwords,
    turns: turns::Turns,
    remembered: couriers::Remembered,
    gates: subscribe::Gates,
    backups: backups::Backups,
    reconciling: tokio::sync::Mutex<()>,
    last_tick: AtomicI64,
    metrics: metrics::Metrics,
    /// What the public listener shows, when it speaks TLS.
    tls: OnceLock<Tls>,
}

impl Shop {
    /// A shop over an open store.
    pub fn new(
        store: Store,
        tokens: Arc<Tokens>,
        wechat: Wechat,
        clock: Clock,
        settings: Settings,
    ) -> Arc<Self> {
        let limits = limits::Limits::new(
            settings.login_per_minute_per_ip,
            settings.requests_per_minute_per_token,
        );
        let lockout = lockout::Lockout::new(settings.console.lock);
        let metrics = metrics::Metrics::new(&store, &wechat, clock.now());
        Arc::new(Self {
            store,
            tokens,
            wechat,
            clock,
            settings,
            limits,
            lockout,
            passwords: passwords::Passwords::default(),
            turns: turns::Turns::default(),
            remembered: couriers::Remembered::default(),
            gates: subscribe::Gates::default(),
            backups: backups::Backups::default(),
            reconciling: tokio::sync::Mutex::default(),
            last_tick: AtomicI64::new(0),
            metrics,
            tls: OnceLock::new(),
        })
    }

    /// Has the certificate of the public listener watched.
    pub fn shows(&self, tls: Tls) {
        // There is one public listener: nobody says it twice.
        let _ = self.tls.set(tls);
    }

    /// A tick for a new order, later than any given before: numbers rise as orders come in.
    fn next_tick(&self) -> i64 {
        let now = self.clock.now_ticks();
        let later = |last: i64| Some(now.max(last.saturating_add(1)));
        let order = (Ordering::Relaxed, Ordering::Relaxed);
        let last = self.last_tick.fetch_update(order.0, order.1, later);
        now.max(last.unwrap_or_else(|last| last).saturating_add(1))
    }

    /// Whether the store can write.
    ///
    /// # Errors
    /// The reason, for the operator, why it cannot.
    pub fn health(&self) -> Result<(), String> {
        self.store.health()
    }

    /// Whether the store was opened to be read.
    pub fn is_read_only(&self) -> bool {
        self.store.is_read_only()
    }

    /// The room on the disk of the store, as it was some seconds ago; `None`: it has no disk.
    pub fn space(&self) -> Option<Space> {
        self.store.space()
    }

    /// A copy of the key that seals fields, for a transaction to own.
    fn field_key(&self) -> FieldKey {
        self.settings.field_key.clone()
    }

    /// Whether browsers reach the console by TLS only.
    pub fn is_behind_tls(&self) -> bool {
        self.settings.console.is_behind_tls
    }

    /// The clock of this shop.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

#[cfg(test)]
mod closing_tests;
#[cfg(test)]
mod fake_mini;
#[cfg(test)]
mod fake_refunds;
#[cfg(test)]
mod fake_wechat;
#[cfg(test)]
mod parcel_stand;
#[cfg(test)]
mod pay_tests;
#[cfg(test)]
mod race_tests;
#[cfg(test)]
mod stand;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth_tests;
