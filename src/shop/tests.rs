//! A shop to test use cases on.

use super::*;
use crate::web::Client;
use crate::wechat::{PayConfig, SignType, V2Keys, Version, WechatConfig};

/// A shop of `appid` over a store in memory, with v2 keys and nobody to talk to.
pub(super) fn shop_of(appid: AppId) -> Arc<Shop> {
    shop_at(appid, "http://127.0.0.1:1", Store::memory())
}

/// A shop of `appid` over `store`, with v2 keys, whose WeChat is at `base`.
pub(super) fn shop_at(appid: AppId, base: &str, store: Store) -> Arc<Shop> {
    shop_with(appid, base, store, "1900000109".parse().ok())
}

/// A shop of this merchant number.
pub(super) fn shop_with(appid: AppId, base: &str, store: Store, mchid: Option<MchId>) -> Arc<Shop> {
    shop_from(settings(appid, mchid), base, "http://127.0.0.1:1", store)
}

/// What a test's shop is told when it is told nothing else.
pub(super) fn settings(appid: AppId, mchid: Option<MchId>) -> Settings {
    Settings {
        appid,
        mchid,
        notify_url: "http://127.0.0.1/wx/pay/notify".into(),
        refund_notify_url: "http://127.0.0.1/wx/refund/notify".into(),
        token_ttl: Duration::from_secs(7200),
        token_salt: Secret::from("salt"),
        pay_within: Duration::from_secs(1800),
        sweep_interval: Duration::from_secs(60),
        order_body: "商城订单".into(),
        login_per_minute_per_ip: 1000,
        requests_per_minute_per_token: 1000,
        console: console::ConsoleRule {
            ttl: Duration::from_secs(43_200),
            lock: lockout::LockRule {
                failures: 5,
                lock: Duration::from_secs(60),
            },
            is_behind_tls: false,
        },
        auto_complete_days: 10,
        push: push::PushSettings::default(),
        messages: subscribe::Messages::default(),
        spool: std::env::temp_dir(),
        backup: super::backups::BackupSettings {
            dir: None,
            every: Duration::from_secs(86_400),
            keep: 1,
            data_dir: std::env::temp_dir(),
        },
        field_key: FieldKey::new([7; 32]),
        metrics_token: Secret::default(),
        hooks: Guarded::new::<&str>(&[]).unwrap(),
        alerts: alerts::AlertLimits::default(),
        merchant_certificate_ends: None,
    }
}

/// A shop of these settings, whose WeChat Pay is at `base` and whose mini program at `mini`.
pub(super) fn shop_from(settings: Settings, base: &str, mini: &str, store: Store) -> Arc<Shop> {
    let keys = V2Keys {
        key: Secret::from("0123456789abcdefghijklmnopqrstuv"),
        sign_type: SignType::Md5,
    };
    let wechat = WechatConfig {
        appid: settings.appid.clone(),
        secret: Secret::from("secret"),
        mini_base: mini.to_owned(),
        pay: PayConfig {
            mchid: settings.mchid.clone(),
            base: base.to_owned(),
            base_2: None,
            version: Version::V2,
            v2: Some(keys),
            v2_client: Some(Client::new().unwrap()),
            v3: None,
        },
    };
    let tokens = Arc::new(Tokens::new(store.clone(), settings.field_key.clone()));
    let wechat = Wechat::new(Client::new().unwrap(), wechat);
    Shop::new(store, tokens, wechat, Clock::system(), settings)
}

/// The settings of a shop of `appid` that has a merchant number.
pub(super) fn settings_of(appid: AppId) -> Settings {
    settings(appid, "1900000109".parse().ok())
}
