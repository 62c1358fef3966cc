//! From settled values to the typed configuration.

use std::time::Duration;

use data_encoding::BASE64;

use super::sections::{
    Access, Admin, Backup, Config, Limits, Log, Merchant, Order, Pay, Server, Store, Token, Wechat,
};
use super::settle::Settled;
use crate::base::Secret;
use crate::base::cipher::FieldKey;
use crate::base::rsa::{PrivateKey, PublicKey};
use crate::cli::log::LogFormat;
use crate::shop::alerts::AlertLimits;
use crate::shop::subscribe::{Messages, Template};
use crate::store::BasePlan;
use crate::web::{self, Deadlines, PerAddress};
use crate::wechat::subscribe::Release;
use crate::wechat::{SignType, Trust, V2Keys, V3Keys, VerifyWith, Version};

/// The configuration, or `None` when a key is at fault.
pub(super) fn config(settled: &Settled) -> Option<Config> {
    let table = |section| Table { settled, section };
    Some(Config {
        server: table("server").server()?,
        store: table("store").store()?,
        token: table("token").token()?,
        wechat: table("wechat").wechat()?,
        messages: table("wechat.messages").messages()?,
        pay: table("wechat.pay").pay()?,
        order: table("order").order()?,
        admin: table("admin").admin()?,
        limits: table("limits").limits()?,
        alerts: table("alerts").alerts()?,
        webhook_networks: settled.list("webhooks", "private_networks")?.to_vec(),
        backup: table("backup").backup()?,
        log: table("log").log()?,
    })
}

/// One table of settled values.
#[derive(Clone, Copy)]
struct Table<'a> {
    settled: &'a Settled,
    section: &'static str,
}

impl Table<'_> {
    fn secret(self, name: &str) -> Option<Secret<String>> {
        self.settled.text(self.section, name).cloned()
    }

    fn text(self, name: &str) -> Option<String> {
        self.settled
            .text(self.section, name)
            .map(|text| text.reveal().clone())
    }

    fn address(self, name: &str) -> Option<String> {
        self.text(name)
            .map(|text| text.trim_end_matches('/').to_owned())
    }

    fn number<N: TryFrom<u64>>(self, name: &str) -> Option<N> {
        self.settled.number(self.section, name)?.try_into().ok()
    }

    fn seconds(self, name: &str) -> Option<Duration> {
        self.number(name).map(Duration::from_secs)
    }

    fn server(self) -> Option<Server> {
        Some(Server {
            listen: self.text("listen")?.parse().ok()?,
            public_url: self.address("public_url")?,
            trusted_proxies: self.settled.list(self.section, "trusted_proxies")?.to_vec(),
            metrics_token: self.secret("metrics_token")?,
            tls: super::tls::section(self.settled)?,
            http_listen: super::tls::http_listen(self.settled)?,
        })
    }

    fn store(self) -> Option<Store> {
        let key = Secret::new(
            BASE64
                .decode(self.secret("field_key")?.reveal().as_bytes())
                .ok()?,
        );
        Some(Store {
            data_dir: self.text("data_dir")?.into(),
            cache_mb: self.number("cache_mb")?,
            segment_mb: self.number("segment_mb")?,
            bases: BasePlan {
                every: Duration::from_secs(self.number::<u64>("base_every_h")? * 3600),
                journal_bytes: self.number::<u64>("base_mb")? << 20,
                keep: Duration::from_secs(self.number("base_keep_s")?),
            },
            reserve_mb: self.number("reserve_mb")?,
            min_free_mb: self.number("min_free_mb")?,
            field_key: FieldKey::new(key.reveal().as_slice().try_into().ok()?),
            phase_file: None,
            stuck_after: Duration::from_secs(30),
            access: Access::Whole,
        })
    }

    fn token(self) -> Option<Token> {
        Some(Token {
            ttl: self.seconds("ttl_s")?,
            salt: self.secret("salt")?,
            sweep_interval: self.seconds("sweep_interval_s")?,
        })
    }

    fn wechat(self) -> Option<Wechat> {
        Some(Wechat {
            appid: self.text("appid")?.parse().ok()?,
            secret: self.secret("secret")?,
            api_base: self.address("api_base")?,
            message_token: self.secret("message_token")?,
            message_aes_key: self.secret("message_aes_key")?,
        })
    }

    fn messages(self) -> Option<Messages> {
        let template = |of: &str| -> Option<Option<Template>> {
            let id = self.text(&format!("{of}_template"))?;
            let fields = self.settled.list(self.section, &format!("{of}_fields"))?;
            let fields = fields.iter().map(|field| field.parse().ok());
            let template = Template {
                page: self.text(&format!("{of}_page"))?,
                fields: fields.collect::<Option<_>>()?,
                id,
            };
            Some((!template.id.is_empty()).then_some(template))
        };
        Some(Messages {
            paid: template("paid")?,
            shipped: template("shipped")?,
            release: match &*self.text("release")? {
                "trial" => Release::Trial,
                "developer" => Release::Developer,
                _ => Release::Formal,
            },
        })
    }

    fn pay(self) -> Option<Pay> {
        let mchid = self.text("mchid")?;
        Some(Pay {
            version: match &*self.text("version")? {
                "v2" => Version::V2,
                _ => Version::V3,
            },
            api_base_2: second(&self.address("api_base")?, self.address("api_base_2")?),
            api_base: self.address("api_base")?,
            merchant: if mchid.is_empty() {
                None
            } else {
                Some(self.merchant(&mchid)?)
            },
        })
    }

    fn merchant(self, mchid: &str) -> Option<Merchant> {
        let (v2_key, v3_key) = (self.secret("v2_key")?, self.secret("v3_key")?);
        Some(Merchant {
            mchid: mchid.parse().ok()?,
            v2: if v2_key.is_empty() {
                None
            } else {
                Some(self.v2(v2_key)?)
            },
            v2_identity: self.v2_identity()?,
            v3: if v3_key.is_empty() {
                None
            } else {
                Some(self.v3(v3_key)?)
            },
        })
    }

    fn v2(self, key: Secret<String>) -> Option<V2Keys> {
        let sign_type = match &*self.text("v2_sign_type")? {
            "MD5" => SignType::Md5,
            _ => SignType::HmacSha256,
        };
        Some(V2Keys { key, sign_type })
    }

    fn v2_identity(self) -> Option<Option<(String, Secret<String>)>> {
        let chain = self.text("v2_client_cert_file")?;
        let key = self.secret("v2_client_key_file")?;
        Some((!chain.is_empty() && !key.is_empty()).then_some((chain, key)))
    }

    fn v3(self, api_key: Secret<String>) -> Option<V3Keys> {
        let id = self.text("wechat_public_key_id")?;
        let pem = self.secret("wechat_public_key_file")?;
        let public_key = match (id.as_str(), pem.is_empty()) {
            ("", _) | (_, true) => None,
            (id, false) => Some((id, PublicKey::from_pem(pem.reveal()).ok()?)),
        };
        let verify_with = match &*self.text("verify_with")? {
            "public_key" => VerifyWith::PublicKey,
            "certificate" => VerifyWith::Certificate,
            "both" => VerifyWith::Both,
            _ if public_key.is_some() => VerifyWith::PublicKey,
            _ => VerifyWith::Certificate,
        };
        Some(V3Keys {
            api_key,
            merchant_serial: self.text("merchant_serial")?.to_ascii_uppercase(),
            merchant_key: PrivateKey::from_pem(self.secret("merchant_key_file")?.reveal()).ok()?,
            wechat_keys: Trust::new(verify_with, public_key),
        })
    }

    fn order(self) -> Option<Order> {
        Some(Order {
            pay_within: self.seconds("pay_within_s")?,
            body: self.text("body")?,
            auto_complete_days: self.number("auto_complete_days")?,
        })
    }

    fn admin(self) -> Option<Admin> {
        let listen = self.text("listen")?;
        Some(Admin {
            listen: if listen.is_empty() {
                None
            } else {
                Some(listen.parse().ok()?)
            },
            session_ttl: self.seconds("session_ttl_s")?,
        })
    }

    fn limits(self) -> Option<Limits> {
        let per_address = PerAddress {
            connections: self.number("max_connections_per_ip")?,
            running: self.number("max_running_per_ip")?,
            requests_per_minute: self.number("requests_per_minute_per_ip")?,
            messages_per_minute: self.number("notify_per_minute_per_ip")?,
            forged_per_minute: self.number("forged_notify_per_minute_per_ip")?,
        };
        let deadlines = Deadlines {
            handshake: self.seconds("head_s")?,
            head: self.seconds("head_s")?,
            body: self.seconds("body_s")?,
            idle: self.seconds("idle_s")?,
            ..Deadlines::default()
        };
        let web = web::Limits {
            max_body_bytes: self.number::<usize>("max_body_kb")? * 1024,
            min_body_bytes_per_s: self.number("min_body_bytes_per_s")?,
            max_json_depth: self.number("max_json_depth")?,
            max_url_bytes: self.number("max_url_bytes")?,
            max_head_bytes: self.number::<usize>("max_head_kb")? * 1024,
            max_connections: self.number("max_connections")?,
            per_address,
            deadlines,
        };
        Some(Limits {
            web,
            login_per_minute_per_ip: self.number("login_per_minute_per_ip")?,
            requests_per_minute_per_token: self.number("requests_per_minute_per_token")?,
            login_failures_before_lock: self.number("login_failures_before_lock")?,
            lock: self.seconds("lock_s")?,
        })
    }

    fn alerts(self) -> Option<AlertLimits> {
        Some(AlertLimits {
            silent_payments: self.number("silent_payments")?,
            silent_for: self.seconds("silent_s")?,
            disk_free_bytes: self.number::<u64>("disk_free_mb")? << 20,
            clock_skew: self.seconds("clock_skew_s")?,
            overdue: self.seconds("overdue_s")?,
        })
    }

    fn backup(self) -> Option<Backup> {
        let dir = self.text("dir")?;
        Some(Backup {
            dir: (!dir.is_empty()).then(|| dir.into()),
            every: Duration::from_secs(self.number::<u64>("every_h")? * 3600),
            keep: self.number("keep")?,
        })
    }

    fn log(self) -> Option<Log> {
        Some(Log {
            format: match &*self.text("format")? {
                "json" => LogFormat::Json,
                _ => LogFormat::Pretty,
            },
            level: self.text("level")?,
        })
    }
}

/// The second access point: the one that is configured, else WeChat's own behind its main one.
///
/// Source: 微信支付 APIv2, APIv3 · 接口规则 (跨城冗灾).
fn second(first: &str, configured: String) -> Option<String> {
    if !configured.is_empty() {
        return Some(configured);
    }
    let main = first == "https://api.mch.weixin.qq.com";
    main.then(|| "https://api2.mch.weixin.qq.com".to_owned())
}
