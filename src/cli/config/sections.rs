//! The configuration as the program sees it: typed, checked, nothing left to ask.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::cipher::FieldKey;
use crate::base::{AppId, MchId, Secret};
use crate::cli::log::LogFormat;
use crate::shop::subscribe::Messages;
use crate::wechat::{V2Keys, V3Keys, Version};

/// The whole configuration.
#[derive(Debug)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[store]`
    pub store: Store,
    /// `[token]`
    pub token: Token,
    /// `[wechat]`
    pub wechat: Wechat,
    /// `[wechat.messages]`
    pub messages: Messages,
    /// `[wechat.pay]`
    pub pay: Pay,
    /// `[order]`
    pub order: Order,
    /// `[admin]`
    pub admin: Admin,
    /// `[limits]`
    pub limits: Limits,
    /// `[backup]`
    pub backup: Backup,
    /// `[log]`
    pub log: Log,
}

/// `[server]`: where we listen and how we are reached.
#[derive(Debug)]
pub struct Server {
    /// Where buyers' and WeChat's requests arrive.
    pub listen: SocketAddr,
    /// How WeChat reaches us, without a slash at its end; empty when nobody pays here.
    pub public_url: String,
    /// Addresses or networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// The bearer token of `/metrics`; empty: loopback only.
    pub metrics_token: Secret<String>,
}

/// `[store]`: the data directory.
#[derive(Debug)]
pub struct Store {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The memory of the working set's cache, in MiB.
    pub cache_mb: u64,
    /// The size of a journal segment, in MiB.
    pub segment_mb: u64,
    /// The time between base files.
    pub base_every: Duration,
    /// The key that seals phones and session keys at rest.
    pub field_key: FieldKey,
    /// Where the writer says what it is doing; no key of the file, `serve --phase-file` sets it.
    pub phase_file: Option<PathBuf>,
}

/// `[token]`: buyers' tokens.
#[derive(Debug)]
pub struct Token {
    /// How long a token lives.
    pub ttl: Duration,
    /// What goes into every token beside randomness and time.
    pub salt: Secret<String>,
    /// The time between sweeps of expired tokens.
    pub sweep_interval: Duration,
}

/// `[wechat]`: the mini program.
#[derive(Debug)]
pub struct Wechat {
    /// The mini program's AppID.
    pub appid: AppId,
    /// Its AppSecret.
    pub secret: Secret<String>,
    /// The host of the mini program's server calls, without a slash at its end.
    pub api_base: String,
    /// The token of message push; empty: every message is refused.
    pub message_token: Secret<String>,
    /// The key of encrypted message push; empty: every encrypted message is refused.
    pub message_aes_key: Secret<String>,
}

/// `[wechat.pay]`
#[derive(Debug)]
pub struct Pay {
    /// The protocol of new payment attempts.
    pub version: Version,
    /// The host of WeChat Pay's calls, without a slash at its end.
    pub api_base: String,
    /// The host of the second access point, without a slash at its end; `None`: there is none.
    pub api_base_2: Option<String>,
    /// Who is paid; `None`: everything but paying works.
    pub merchant: Option<Merchant>,
}

/// A merchant number and its keys; those of the chosen protocol are there.
#[derive(Debug)]
pub struct Merchant {
    /// The merchant number.
    pub mchid: MchId,
    /// APIv2's keys; `None`: v2 messages are refused.
    pub v2: Option<V2Keys>,
    /// The certificate (PEM) that v2 refunds show, and its key; `None`: no v2 refunds.
    pub v2_identity: Option<(String, Secret<String>)>,
    /// APIv3's keys; `None`: v3 messages are refused.
    pub v3: Option<V3Keys>,
}

/// `[order]`
#[derive(Debug)]
pub struct Order {
    /// How long an order may be paid.
    pub pay_within: Duration,
    /// What the buyer reads in WeChat beside the amount.
    pub body: String,
    /// How many days after shipping an order completes by itself.
    pub auto_complete_days: u64,
}

/// `[admin]`
#[derive(Debug)]
pub struct Admin {
    /// A listener of its own for the merchant's routes; `None`: they share the one of `[server]`.
    pub listen: Option<SocketAddr>,
    /// How long a console session lives.
    pub session_ttl: Duration,
}

/// `[limits]`
#[derive(Debug)]
pub struct Limits {
    /// How many connections may be open at once.
    pub max_connections: usize,
    /// How large a request's body may be, in bytes.
    pub max_body_bytes: usize,
    /// How many logins one address may try a minute.
    pub login_per_minute_per_ip: u32,
    /// How many requests one token may send a minute.
    pub requests_per_minute_per_token: u32,
    /// How many logins to the console may fail before the name waits.
    pub login_failures_before_lock: u32,
    /// How long the first wait is; each further one is twice as long, up to 64 times.
    pub lock: Duration,
}

/// `[backup]`
#[derive(Debug)]
pub struct Backup {
    /// Where scheduled backups go; `None`: there are none.
    pub dir: Option<PathBuf>,
    /// What lies between two of them.
    pub every: Duration,
    /// How many are kept.
    pub keep: usize,
}

/// `[log]`
#[derive(Debug)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}
