//! The parts of a shop, each made from its table of the configuration.

use std::net::SocketAddr;
use std::sync::Arc;

use super::bars::Bars;
use super::config::{Access, Config, Merchant, Pay};
use super::exit::Failure;
use super::{descriptors, systemd};
use crate::base::x509::Certificate;
use crate::base::{Clock, Timestamp};
use crate::shop::backups::BackupSettings;
use crate::shop::console::ConsoleRule;
use crate::shop::lockout::LockRule;
use crate::shop::push::PushSettings;
use crate::shop::{Settings, Shop};
use crate::store::tokens::Tokens;
use crate::store::{
    Found, OpenError, OpenReport, Progress, SpaceConfig, Store, StoreConfig, reached,
};
use crate::web::{Client, Guarded, Server, TrustedProxies};
use crate::wechat::message::PushKeys;
use crate::wechat::{PayConfig, Wechat, WechatConfig};

/// The route WeChat notifies payments to.
pub(super) const NOTIFY_PATH: &str = "/wx/pay/notify";
const REFUND_NOTIFY_PATH: &str = "/wx/refund/notify";
const MIB: u64 = 1024 * 1024;

/// Takes the address `listen` with the limits of `config`.
///
/// # Errors
/// [`Failure::Failed`] when the address cannot be taken.
pub(super) async fn bind(
    config: &Config,
    listen: SocketAddr,
    clock: Clock,
) -> Result<Server, Failure> {
    let mut limits = config.limits.web.clone();
    let listeners = 1 + usize::from(config.admin.listen.is_some());
    let room = descriptors::most_connections() / listeners;
    if room < limits.max_connections {
        tracing::warn!(
            room,
            wanted = limits.max_connections,
            "系统允许打开的文件数（ulimit -n）不够，最多同时打开的连接数已降低"
        );
        limits.max_connections = room;
    }
    let proxies = TrustedProxies::parse(&config.server.trusted_proxies);
    let proxies = proxies.map_err(|why| Failure::failed("[server] trusted_proxies 有误", why))?;
    let bound = Server::bind(listen, limits, proxies, clock).await;
    bound.map_err(|why| Failure::failed(&format!("无法监听 {listen}"), why))
}

/// Opens the store and sets the shop up over it.
///
/// # Errors
/// [`Failure::Wrong`] when `field_key` is not the store's, [`Failure::Failed`] for the rest.
pub(super) async fn shop(config: Config, clock: Clock) -> Result<(Arc<Shop>, Store), Failure> {
    let client = Client::new().map_err(|why| Failure::failed("无法建立 HTTP 客户端", why))?;
    let store = open(&config, clock.clone()).await?;
    Ok((over(store.clone(), client, config, clock)?, store))
}

/// The shop of `config` over an open store, which reaches WeChat through `client`.
///
/// # Errors
/// [`Failure::Failed`] when the keys of `config` cannot be set up.
pub(crate) fn over(
    store: Store,
    client: Client,
    config: Config,
    clock: Clock,
) -> Result<Arc<Shop>, Failure> {
    let hooks = Guarded::new(&config.webhook_networks);
    let hooks = hooks.map_err(|why| Failure::failed("[webhooks] private_networks 有误", why))?;
    let settings = settings(&config, hooks);
    let tokens = Arc::new(Tokens::new(store.clone(), config.store.field_key.clone()));
    let wechat = wechat(config)?;
    #[cfg(test)]
    let wechat = wechat.reached_by(&client);
    let wechat = Wechat::new(client, wechat);
    Ok(Shop::new(store, tokens, wechat, clock, settings))
}

/// Opens the store of `config`.
///
/// # Errors
/// As [`shop`].
pub(super) async fn open(config: &Config, clock: Clock) -> Result<Store, Failure> {
    let access = config.store.access.clone();
    let config = StoreConfig {
        data_dir: config.store.data_dir.clone(),
        cache_bytes: config.store.cache_mb * MIB,
        segment_bytes: config.store.segment_mb * MIB,
        bases: config.store.bases,
        field_key: config.store.field_key.clone(),
        clock,
        phase_file: config.store.phase_file.clone(),
        space: SpaceConfig {
            reserve_bytes: config.store.reserve_mb * MIB,
            min_free_bytes: config.store.min_free_mb * MIB,
        },
        stuck_after: config.store.stuck_after,
    };
    let open = move || {
        let bars = Bars::new();
        let progress = |progress| tell(&bars, progress);
        match access {
            Access::Whole => Store::open(&config, &progress),
            Access::ReadOnly { scratch } => Store::open_read_only(&config, &scratch, &progress),
        }
    };
    let opened = tokio::task::spawn_blocking(open).await;
    let opened = opened.map_err(|why| Failure::failed("打开存储时程序出错", why))?;
    let (store, report) = opened.map_err(|error| match error {
        OpenError::WrongFieldKey => Failure::Wrong(error.to_string()),
        error => Failure::Failed(error.to_string()),
    })?;
    say(&report);
    Ok(store)
}

/// Tells what was found, and loudly what a merchant may not expect.
fn say(report: &OpenReport) {
    tracing::info!(
        commit = report.commit,
        segments = report.segments,
        found = ?report.found,
        working_set = ?report.working_set,
        "存储已打开"
    );
    for path in &report.left_out {
        tracing::error!(path = %path.display(), "这份副本在此之后的账本不连续，已移开、未使用");
    }
    match report.found {
        Found::Nothing => {
            tracing::warn!(
                "数据目录是空的，已新建存储；若这里本该有数据，请停下来检查 data_dir 和磁盘挂载"
            );
        }
        Found::Copy => tracing::warn!("这是一份副本或搬动过的数据目录：从现在起它是独立的存储"),
        Found::Store => {}
    }
    if report.torn_bytes > 0 {
        let bytes = report.torn_bytes;
        tracing::warn!(
            bytes,
            "账本末尾有一笔没写完的记录（断电时正在写），没有人得到过它的确认，已略过"
        );
    }
    if let Some(upgraded) = &report.upgraded {
        let (from, to, kept) = (upgraded.from, upgraded.to, upgraded.kept.display());
        tracing::warn!(from, to, %kept, "数据目录已升级到新格式；旧状态保留在 kept，确认无误后可以删除");
    }
}

/// Tells how far opening has come: a store that was killed takes a while.
fn tell(bars: &Bars, progress: Progress) {
    systemd::starting();
    if bars.are_seen() {
        return bars.show(reached(progress));
    }
    match progress {
        Progress::Reading { segments, of } => tracing::info!(segments, of, "正在核对账本"),
        Progress::Loading { keys, of } => tracing::info!(keys, of, "正在从账本重建工作集"),
    }
}

fn settings(config: &Config, hooks: Guarded) -> Settings {
    let merchant = config.pay.merchant.as_ref();
    Settings {
        appid: config.wechat.appid.clone(),
        mchid: merchant.map(|merchant| merchant.mchid.clone()),
        notify_url: format!("{}{NOTIFY_PATH}", config.server.public_url),
        refund_notify_url: format!("{}{REFUND_NOTIFY_PATH}", config.server.public_url),
        token_ttl: config.token.ttl,
        token_salt: config.token.salt.clone(),
        pay_within: config.order.pay_within,
        sweep_interval: config.token.sweep_interval,
        order_body: config.order.body.clone(),
        login_per_minute_per_ip: config.limits.login_per_minute_per_ip,
        requests_per_minute_per_token: config.limits.requests_per_minute_per_token,
        console: console(config),
        auto_complete_days: config.order.auto_complete_days,
        push: push(config),
        messages: config.messages.clone(),
        spool: config.store.data_dir.clone(),
        backup: BackupSettings {
            dir: config.backup.dir.clone(),
            every: config.backup.every,
            keep: config.backup.keep,
            data_dir: config.store.data_dir.clone(),
        },
        field_key: config.store.field_key.clone(),
        metrics_token: config.server.metrics_token.clone(),
        hooks,
        alerts: config.alerts,
        merchant_certificate_ends: merchant.and_then(certificate_ends),
    }
}

/// `public_url` tells how browsers come only where the console has no listener of its own.
fn console(config: &Config) -> ConsoleRule {
    let shared = config.admin.listen.is_none();
    ConsoleRule {
        ttl: config.admin.session_ttl,
        lock: LockRule {
            failures: config.limits.login_failures_before_lock,
            lock: config.limits.lock,
        },
        is_behind_tls: shared && config.server.public_url.starts_with("https://"),
    }
}

/// Until when the merchant's API certificate is valid, when its file is configured.
fn certificate_ends(merchant: &Merchant) -> Option<Timestamp> {
    let (chain, _) = merchant.v2_identity.as_ref()?;
    Some(Certificate::from_pem(chain).ok()?.ends_at)
}

/// A key that is empty leaves its mode closed.
fn push(config: &Config) -> PushSettings {
    let (token, appid) = (
        config.wechat.message_token.clone(),
        config.wechat.appid.clone(),
    );
    let keys = PushKeys::new(token.clone(), &config.wechat.message_aes_key, appid);
    PushSettings {
        token,
        keys: keys.ok(),
    }
}

/// WeChat's side of a configuration.
///
/// # Errors
/// [`Failure::Wrong`] when a key of it cannot be used.
pub(super) fn wechat(config: Config) -> Result<WechatConfig, Failure> {
    let Pay {
        version,
        api_base,
        api_base_2,
        merchant,
    } = config.pay;
    let (mchid, v2, v2_identity, v3) = match merchant {
        Some(Merchant {
            mchid,
            v2,
            v2_identity,
            v3,
        }) => (Some(mchid), v2, v2_identity, v3),
        None => (None, None, None, None),
    };
    let v2_client = v2_identity.map(|(chain, key)| Client::with_identity(&chain, &key));
    let v2_client = v2_client.transpose().map_err(|why| {
        let keys = "[wechat.pay] v2_client_cert_file 与 v2_client_key_file 有误";
        Failure::Wrong(format!("{keys}：{why}"))
    })?;
    Ok(WechatConfig {
        appid: config.wechat.appid,
        secret: config.wechat.secret,
        mini_base: config.wechat.api_base,
        pay: PayConfig {
            mchid,
            base: api_base,
            base_2: api_base_2,
            version,
            v2,
            v2_client,
            v3,
        },
    })
}
