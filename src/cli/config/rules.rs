//! Whether one value keeps its key's rule. Pure, but for the PEM files it is asked to read.

use std::net::{IpAddr, SocketAddr};

use data_encoding::BASE64;

use super::fault::unreadable;
use super::keys::{Pem, Rule};
use crate::base::rsa::{PrivateKey, PublicKey};
use crate::base::{AppId, MchId, Secret};
use crate::shop::subscribe::Field;

/// A value as it stands in the file or the environment.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Text; of a PEM rule: what its file holds.
    Text(Secret<String>),
    /// A whole number.
    Number(u64),
    /// A list of text.
    List(Vec<String>),
}

/// Why a value breaks its rule; the words come from [`Rule::wanted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// Text, number or list where another was wanted.
    Type(&'static str),
    /// The right type, but not allowed.
    Range,
    /// A file that cannot be read or holds something else, in Chinese.
    File(String),
}

impl Rule {
    /// What the rule asks for, in Chinese: the remedy of every message about it.
    pub(super) fn wanted(self) -> String {
        match self {
            Self::Number(min, max) => format!("写 {min} 到 {max} 之间的整数"),
            Self::Text(0, max) => format!("写不超过 {max} 字节的文字，用引号括起"),
            Self::Text(min, max) => format!("写 {min} 到 {max} 字节的文字，用引号括起"),
            Self::Alphanumeric(length) => format!("写 {length} 位字母或数字，或留空"),
            Self::Choice(words) => format!("写 {} 之一，用引号括起", words.join("、")),
            Self::Listen => "写 IP 地址和端口，如 \"127.0.0.1:8080\"".to_owned(),
            Self::ListenOrEmpty => "写 IP 地址和端口，如 \"127.0.0.1:8081\"，或留空".to_owned(),
            Self::PublicUrl | Self::ApiBase | Self::ApiBaseOrEmpty => {
                "写 https://域名，不带查询串；仅本机地址可用 http://".to_owned()
            }
            Self::Networks => "写网段列表，如 [\"10.0.0.0/8\"]".to_owned(),
            Self::Domains => "写域名列表，如 [\"shop.example.com\"]，不带通配符和端口".to_owned(),
            Self::HttpListen => "写 \"auto\"、IP 地址和端口如 \"0.0.0.0:80\"，或留空".to_owned(),
            Self::Email => "写邮箱地址，不超过 254 字节，或留空".to_owned(),
            Self::MessageFields => {
                "写「模板字段=来源」的列表，如 [\"thing1=title\", \"amount2=total\"]".to_owned()
            }
            Self::Page => "写小程序页面，如 \"pages/order/order\"，开头没有 /，或留空".to_owned(),
            Self::Key32 => "写 32 字节密钥的 base64（openssl rand -base64 32）".to_owned(),
            Self::Bytes32 => "写 32 字节的 APIv3 密钥，或留空".to_owned(),
            Self::Serial => "写 40 位十六进制的商户证书序列号，或留空".to_owned(),
            Self::AppId => "写小程序后台「开发设置」里的 AppID，如 \"wx…\"".to_owned(),
            Self::MchId => "写商户平台里的商户号（数字），或留空".to_owned(),
            Self::Path => "写路径，用引号括起".to_owned(),
            Self::Pem(kind) => format!("写 {} 文件的路径", kind.label()),
        }
    }

    /// Reads a value written as text (environment, default, secret file).
    pub(super) fn read(self, text: &str) -> Result<Value, Broken> {
        match self {
            Self::Number(..) => {
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let number = text.parse().ok().filter(|_| digits);
                number.map(Value::Number).ok_or(Broken::Type("不是整数"))
            }
            Self::Networks | Self::Domains | Self::MessageFields => {
                let words = text.split(',').map(str::trim).filter(|w| !w.is_empty());
                Ok(Value::List(words.map(str::to_owned).collect()))
            }
            _ => Ok(Value::Text(text.into())),
        }
    }

    /// The value if it keeps the rule; of a PEM rule, what its file holds.
    pub(super) fn check(self, value: Value) -> Result<Value, Broken> {
        match &value {
            Value::Number(number) => self.check_number(*number)?,
            Value::List(words) => self.check_list(words)?,
            Value::Text(text) => match self {
                Self::Pem(kind) => return pem(kind, text.reveal()),
                _ => self.check_text(text.reveal())?,
            },
        }
        Ok(value)
    }

    fn check_number(self, number: u64) -> Result<(), Broken> {
        match self {
            Self::Number(min, max) if (min..=max).contains(&number) => Ok(()),
            Self::Number(..) => Err(Broken::Range),
            Self::Networks | Self::Domains | Self::MessageFields => {
                Err(Broken::Type("是数字，应是列表"))
            }
            _ => Err(Broken::Type("是数字，应是文字")),
        }
    }

    fn check_list(self, words: &[String]) -> Result<(), Broken> {
        match self {
            Self::Networks => in_range(words.iter().all(|w| network(w))),
            Self::Domains => in_range(words.iter().all(|w| is_domain(w))),
            Self::MessageFields => in_range(words.iter().all(|w| w.parse::<Field>().is_ok())),
            Self::Number(..) => Err(Broken::Type("是列表，应是整数")),
            _ => Err(Broken::Type("是列表，应是文字")),
        }
    }

    fn check_text(self, text: &str) -> Result<(), Broken> {
        match self {
            Self::Number(..) => Err(Broken::Type("是文字，应是整数（不加引号）")),
            Self::Networks | Self::Domains | Self::MessageFields => {
                Err(Broken::Type("是文字，应是列表"))
            }
            _ => in_range(!text.contains(char::is_control) && self.allows(text)),
        }
    }

    fn allows(self, text: &str) -> bool {
        match self {
            Self::Text(min, max) => (min..=max).contains(&text.len()),
            Self::Alphanumeric(length) => text.is_empty() || alphanumeric(text, length),
            Self::Choice(words) => words.contains(&text),
            Self::Listen => text.parse::<SocketAddr>().is_ok(),
            Self::ListenOrEmpty => text.is_empty() || text.parse::<SocketAddr>().is_ok(),
            Self::HttpListen => matches!(text, "" | "auto") || text.parse::<SocketAddr>().is_ok(),
            Self::Email => text.is_empty() || (text.len() <= 254 && is_email(text)),
            Self::PublicUrl | Self::ApiBaseOrEmpty => text.is_empty() || url(text),
            Self::ApiBase => url(text),
            Self::Key32 => BASE64.decode(text.as_bytes()).is_ok_and(|k| k.len() == 32),
            Self::Bytes32 => text.is_empty() || text.len() == 32,
            Self::Serial => {
                let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
                text.is_empty() || (text.len() == 40 && hex)
            }
            Self::AppId => text.parse::<AppId>().is_ok(),
            Self::MchId => text.is_empty() || text.parse::<MchId>().is_ok(),
            Self::Path => true,
            Self::Page => text.len() <= 1024 && !text.starts_with('/') && page(text),
            Self::Number(..) | Self::Networks | Self::Domains => false,
            Self::MessageFields | Self::Pem(_) => false,
        }
    }
}

/// A host name that an authority can look up: at least two labels, no wildcard, no address.
///
/// Source: RFC 1123 · 2.1.
pub fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let inner = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let named = text.contains('.') && !last.bytes().all(|b| b.is_ascii_digit());
    named && text.len() <= 253 && text.split('.').all(is_label)
}

/// Only what would break out of `mailto:` is refused: the authority knows better.
fn is_email(text: &str) -> bool {
    let odd = |c: char| !c.is_ascii_graphic() || "?#,;<>\"\\".contains(c);
    let parts = text.split_once('@');
    !text.contains(odd) && parts.is_some_and(|(who, host)| !who.is_empty() && is_domain(host))
}

/// A page and its query; `{order_no}` becomes the order's number.
fn page(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

fn in_range(kept: bool) -> Result<(), Broken> {
    if kept { Ok(()) } else { Err(Broken::Range) }
}

fn alphanumeric(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn network(text: &str) -> bool {
    let (address, bits) = text
        .split_once('/')
        .map_or((text, None), |(a, b)| (a, Some(b)));
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= most))
}

/// `https://host[:port][/path]`, no user, query or fragment; plain http for loopback hosts only.
///
/// WeChat takes a notify address of at most 256 bytes without a query: 200 leaves room for ours.
/// Source: 微信支付 APIv3 · JSAPI 下单 (`notify_url`).
fn url(text: &str) -> bool {
    let odd = |c: char| !c.is_ascii_graphic() || "?#@\\\"<>".contains(c);
    if text.len() > 200 || text.contains(odd) {
        return false;
    }
    match text.split_once("://") {
        Some(("https", rest)) => host(rest).is_some(),
        Some(("http", rest)) => host(rest).is_some_and(loopback),
        _ => false,
    }
}

/// Whether it is an `http` URL, which only a host of this machine may have.
pub fn is_loopback_url(text: &str) -> bool {
    text.starts_with("http://") && url(text)
}

/// The host of a URL that keeps the rule, without port and brackets.
pub fn host_of(url: &str) -> Option<&str> {
    host(url.split_once("://")?.1)
}

/// The host of `host[:port][/path]`, when it is well formed.
fn host(rest: &str) -> Option<&str> {
    let authority = rest
        .split_once('/')
        .map_or(rest, |(authority, _)| authority);
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, tail) = v6.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            let port = if tail.is_empty() {
                "80"
            } else {
                tail.strip_prefix(':')?
            };
            (host, port)
        }
        None => authority.split_once(':').unwrap_or((authority, "80")),
    };
    let named = !host.is_empty() && !host.starts_with(['.', '-']);
    (named && port.parse::<u16>().is_ok_and(|port| port > 0)).then_some(host)
}

fn loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Pem {
    /// What such a file is called where the merchant gets it.
    fn label(self) -> &'static str {
        match self {
            Self::PrivateKey => "商户 API 私钥（apiclient_key.pem，BEGIN PRIVATE KEY）",
            Self::PublicKey => "微信支付公钥（pub_key.pem，BEGIN PUBLIC KEY）",
            Self::Certificate => "证书（BEGIN CERTIFICATE）",
            Self::TlsKey => "私钥（BEGIN … PRIVATE KEY）",
        }
    }
}

fn pem(kind: Pem, path: &str) -> Result<Value, Broken> {
    if path.is_empty() {
        return Ok(Value::Text(Secret::default()));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| Broken::File(format!("{path}：{}", unreadable(&error))))?;
    let text = Secret::new(text);
    let good = match kind {
        Pem::PrivateKey => PrivateKey::from_pem(text.reveal()).is_ok(),
        Pem::PublicKey => PublicKey::from_pem(text.reveal()).is_ok(),
        Pem::Certificate => text.reveal().contains("-----BEGIN CERTIFICATE-----"),
        Pem::TlsKey => text.reveal().contains("PRIVATE KEY-----"),
    };
    if good {
        Ok(Value::Text(text))
    } else {
        Err(Broken::File(format!("{path}：里面不是需要的内容")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_a_name_that_an_authority_can_look_up() {
        for good in ["shop.example.com", "xn--fiq228c.cn", "A-1.b", "a.b.c.d.e"] {
            assert!(is_domain(good), "{good}");
        }
        let long = format!("{}.com", "a".repeat(64));
        for bad in [
            "",
            "shop",
            "*.example.com",
            "127.0.0.1",
            "a..b",
            ".a.b",
            "a.b.",
            "-a.b",
            "a-.b",
            "a b.c",
            "a.b:443",
            "掌柜.cn",
            "https://a.b",
            &long,
        ] {
            assert!(!is_domain(bad), "{bad}");
        }
        assert!(is_email("boss@example.com"));
        for bad in [
            "boss",
            "@example.com",
            "a@b?x",
            "a@b,c@d",
            "a b@c.d",
            "a@127.0.0.1",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn an_address_is_https_or_on_this_machine() {
        for good in [
            "https://shop.example.com",
            "https://shop.example.com:8443/till",
            "http://127.0.0.1:9090",
            "http://localhost",
            "http://[::1]:8080",
            "https://[2001:db8::1]",
        ] {
            assert!(url(good), "{good}");
        }
        for bad in [
            "",
            "shop.example.com",
            "ftp://shop.example.com",
            "http://shop.example.com",
            "http://127.0.0.1.example.com",
            "https://",
            "https://:443",
            "https://shop.example.com:0",
            "https://shop.example.com:99999",
            "https://user@shop.example.com",
            "https://shop.example.com/?a=1",
            "https://shop.example.com/#a",
            "https://shop example.com",
            "http://[::1",
            "http://[::2]",
        ] {
            assert!(!url(bad), "{bad}");
        }
    }

    #[test]
    fn a_network_has_an_address_and_no_more_bits_than_it_has() {
        for good in ["10.0.0.0/8", "127.0.0.1", "::1/128", "fd00::/8"] {
            assert!(network(good), "{good}");
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::1/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "all",
        ] {
            assert!(!network(bad), "{bad}");
        }
    }
}
