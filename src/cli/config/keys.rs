//! Every key of `config.toml` as one table: where it stands, what it may be, what it is by default.
//!
//! Reading, checking and the tests of `config.toml.example` all follow this table; a key that is
//! not in it does not exist.

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A whole number within these bounds, both inclusive.
    Number(u64, u64),
    /// Text of this many bytes at least and at most.
    Text(usize, usize),
    /// Exactly this many letters or digits, or empty.
    Alphanumeric(usize),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An IP address and a port.
    Listen,
    /// An IP address and a port, or empty.
    ListenOrEmpty,
    /// The address buyers and WeChat reach us at, or empty: https, plain http for loopback only.
    PublicUrl,
    /// The address of one of WeChat's hosts: https, plain http for loopback only.
    ApiBase,
    /// The same, or empty.
    ApiBaseOrEmpty,
    /// Addresses or networks, such as `10.0.0.0/8`.
    Networks,
    /// A list of words.
    Words,
    /// What stands in the slots of a message's template: `thing1=title`.
    MessageFields,
    /// A page of the mini program, or empty.
    Page,
    /// 32 bytes in standard base64.
    Key32,
    /// 32 bytes of text, or empty.
    Bytes32,
    /// 40 hexadecimal digits, or empty.
    Serial,
    /// A mini program's AppID.
    AppId,
    /// A merchant number, or empty.
    MchId,
    /// A path, not checked when loading.
    Path,
    /// A readable PEM file of this kind, or empty.
    Pem(Pem),
}

/// The kinds of PEM file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pem {
    /// PKCS#8, RSA (`BEGIN PRIVATE KEY`).
    PrivateKey,
    /// SPKI, RSA (`BEGIN PUBLIC KEY`).
    PublicKey,
    /// A certificate (`BEGIN CERTIFICATE`).
    Certificate,
    /// A private key of any algorithm, for TLS.
    TlsKey,
}

/// Whether a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// It may.
    Plain,
    /// It may not, and it may come from a file by the key with `_file`.
    Secret,
}

/// Whether the program can do anything without the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// There is a default, or other keys decide.
    Optional,
    /// Nothing starts without it.
    Required,
}

/// One key of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The table it stands in, such as `wechat.pay`.
    pub section: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What its value must be.
    pub rule: Rule,
    /// The default, as one would write it in the environment.
    pub default: &'static str,
    /// Whether its value may be shown.
    pub show: Show,
    /// Whether it must be set.
    pub need: Need,
}

impl Key {
    /// `[section] name`, as messages write it.
    pub fn title(&self) -> String {
        format!("[{}] {}", self.section, self.name)
    }

    /// The name of the key that gives a file to read the value from; only secrets have one.
    pub fn file_name(&self) -> Option<String> {
        match self.show {
            Show::Plain => None,
            Show::Secret => Some(format!("{}_file", self.name)),
        }
    }

    /// The environment variable of [`Key::file_name`].
    pub fn file_variable(&self) -> Option<String> {
        self.file_name().map(|name| variable(self.section, &name))
    }

    /// The environment variable of this key: `ZHANGGUI_WECHAT__PAY__MCHID`.
    pub fn variable(&self) -> String {
        variable(self.section, self.name)
    }
}

/// The environment variable for `name` in `section`.
pub fn variable(section: &str, name: &str) -> String {
    let dotted = format!("{section}.{name}");
    format!("{PREFIX}{}", dotted.replace('.', "__").to_uppercase())
}

/// What all our environment variables start with.
pub(super) const PREFIX: &str = "ZHANGGUI_";

const fn plain(
    section: &'static str,
    name: &'static str,
    rule: Rule,
    default: &'static str,
) -> Key {
    Key {
        section,
        name,
        rule,
        default,
        show: Show::Plain,
        need: Need::Optional,
    }
}

const fn secret(section: &'static str, name: &'static str, rule: Rule) -> Key {
    let show = Show::Secret;
    Key {
        show,
        ..plain(section, name, rule, "")
    }
}

const fn required(key: Key) -> Key {
    let need = Need::Required;
    Key { need, ..key }
}

/// All keys, in the order of `config.toml.example`.
pub const KEYS: &[Key] = &[
    plain("server", "listen", Rule::Listen, "127.0.0.1:8080"),
    plain("server", "public_url", Rule::PublicUrl, ""),
    plain("server", "trusted_proxies", Rule::Networks, ""),
    secret("server", "metrics_token", Rule::Text(0, 256)),
    plain("server.tls", "mode", TLS_MODES, "off"),
    plain("server.tls", "cert_file", Rule::Pem(Pem::Certificate), ""),
    plain("server.tls", "key_file", Rule::Pem(Pem::TlsKey), ""),
    plain("server.tls", "acme_domains", Rule::Words, ""),
    plain("server.tls", "acme_email", Rule::Text(0, 254), ""),
    plain("server.tls", "acme_directory", Rule::Text(0, 1024), ""),
    plain("store", "data_dir", Rule::Path, "data"),
    plain("store", "cache_mb", Rule::Number(1, 65_536), "64"),
    plain("store", "segment_mb", Rule::Number(1, 1024), "64"),
    plain("store", "base_every_h", Rule::Number(1, 720), "24"),
    required(secret("store", "field_key", Rule::Key32)),
    plain("token", "ttl_s", Rule::Number(1, 31_536_000), "7200"),
    required(secret("token", "salt", Rule::Text(1, 256))),
    plain("token", "sweep_interval_s", Rule::Number(1, 3600), "60"),
    required(plain("wechat", "appid", Rule::AppId, "")),
    required(secret("wechat", "secret", Rule::Text(1, 128))),
    plain(
        "wechat",
        "api_base",
        Rule::ApiBase,
        "https://api.weixin.qq.com",
    ),
    secret("wechat", "message_token", Rule::Text(0, 32)),
    secret("wechat", "message_aes_key", Rule::Alphanumeric(43)),
    plain("wechat.messages", "paid_template", Rule::Text(0, 64), ""),
    plain("wechat.messages", "paid_page", Rule::Page, ""),
    plain("wechat.messages", "paid_fields", Rule::MessageFields, ""),
    plain("wechat.messages", "shipped_template", Rule::Text(0, 64), ""),
    plain("wechat.messages", "shipped_page", Rule::Page, ""),
    plain("wechat.messages", "shipped_fields", Rule::MessageFields, ""),
    plain("wechat.messages", "release", RELEASES, "formal"),
    plain("wechat.pay", "version", PAY_VERSIONS, "v3"),
    plain("wechat.pay", "mchid", Rule::MchId, ""),
    plain(
        "wechat.pay",
        "api_base",
        Rule::ApiBase,
        "https://api.mch.weixin.qq.com",
    ),
    plain("wechat.pay", "api_base_2", Rule::ApiBaseOrEmpty, ""),
    secret("wechat.pay", "v2_key", Rule::Alphanumeric(32)),
    plain("wechat.pay", "v2_sign_type", V2_SIGN_TYPES, "HMAC-SHA256"),
    plain(
        "wechat.pay",
        "v2_client_cert_file",
        Rule::Pem(Pem::Certificate),
        "",
    ),
    plain(
        "wechat.pay",
        "v2_client_key_file",
        Rule::Pem(Pem::TlsKey),
        "",
    ),
    secret("wechat.pay", "v3_key", Rule::Bytes32),
    plain("wechat.pay", "merchant_serial", Rule::Serial, ""),
    plain(
        "wechat.pay",
        "merchant_key_file",
        Rule::Pem(Pem::PrivateKey),
        "",
    ),
    plain("wechat.pay", "wechat_public_key_id", Rule::Text(0, 64), ""),
    plain(
        "wechat.pay",
        "wechat_public_key_file",
        Rule::Pem(Pem::PublicKey),
        "",
    ),
    plain("wechat.pay", "verify_with", VERIFIERS, "auto"),
    plain("order", "pay_within_s", Rule::Number(1, 604_800), "1800"),
    plain("order", "body", Rule::Text(1, 127), "商城订单"),
    plain("order", "auto_complete_days", Rule::Number(1, 365), "10"),
    plain("admin", "listen", Rule::ListenOrEmpty, ""),
    plain(
        "admin",
        "session_ttl_s",
        Rule::Number(60, 2_592_000),
        "43200",
    ),
    plain(
        "limits",
        "max_connections",
        Rule::Number(1, 1_000_000),
        "10000",
    ),
    plain("limits", "max_body_kb", Rule::Number(1, 16_384), "256"),
    plain("limits", "login_per_minute_per_ip", RATE, "30"),
    plain("limits", "requests_per_minute_per_token", RATE, "600"),
    plain("backup", "dir", Rule::Path, ""),
    plain("backup", "every_h", Rule::Number(1, 720), "24"),
    plain("backup", "keep", Rule::Number(1, 1000), "7"),
    plain("alerts", "silent_payments", Rule::Number(1, 1000), "3"),
    plain("alerts", "silent_s", Rule::Number(60, 86_400), "600"),
    plain(
        "alerts",
        "disk_free_mb",
        Rule::Number(0, 1_000_000_000),
        "2048",
    ),
    plain("alerts", "clock_skew_s", Rule::Number(5, 299), "60"),
    plain("alerts", "overdue_s", Rule::Number(60, 86_400), "900"),
    plain("webhooks", "private_networks", Rule::Networks, ""),
    plain("log", "format", Rule::Choice(&["pretty", "json"]), "pretty"),
    plain("log", "level", LOG_LEVELS, "info"),
];

const TLS_MODES: Rule = Rule::Choice(&["off", "files", "acme"]);
const RELEASES: Rule = Rule::Choice(&["formal", "trial", "developer"]);
const PAY_VERSIONS: Rule = Rule::Choice(&["v2", "v3"]);
const V2_SIGN_TYPES: Rule = Rule::Choice(&["HMAC-SHA256", "MD5"]);
const VERIFIERS: Rule = Rule::Choice(&["auto", "public_key", "certificate", "both"]);
const LOG_LEVELS: Rule = Rule::Choice(&["error", "warn", "info", "debug", "trace"]);
const RATE: Rule = Rule::Number(1, 1_000_000);
