//! Calls to addresses that someone else chose: to the open internet only, never into our own
//! networks, whatever a name resolves to at the moment of the call.
//!
//! Plain http is for this machine alone. Nothing here follows a redirect or asks a proxy.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{GOOGLE, LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{Client, ClientError, Incoming, Outgoing};

/// Networks that are not the open internet.
///
/// Source: IANA · IPv4 and IPv6 Special-Purpose Address Registries.
const NOT_PUBLIC: [&str; 26] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

/// A client for addresses that someone else chose.
#[derive(Clone, Debug)]
pub struct Guarded {
    client: Client,
    rules: Arc<Rules>,
}

/// Why an address is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// It is no URL with a host.
    #[error("不是完整的网址")]
    NoUrl,
    /// It holds a user name, a password or a fragment.
    #[error("网址里不能有用户名、密码或 #")]
    Extra,
    /// It is not https, and does not lead to this machine.
    #[error("须以 https:// 开头；http:// 只许发往本机回环地址")]
    NotHttps,
    /// It leads into a network that is not the open internet.
    #[error("不能是内网地址；确需发往内网时，把网段写进 [webhooks] private_networks")]
    Private,
}

#[derive(Debug)]
struct Rules {
    allowed: Vec<IpNet>,
    not_public: Vec<IpNet>,
}

impl Rules {
    fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        within(&self.allowed) || !within(&self.not_public)
    }

    /// The host of a URL that may be called; its name is looked at when it is resolved.
    fn check(&self, url: &str) -> Result<(), BadTarget> {
        let url = Url::parse(url).map_err(|_| BadTarget::NoUrl)?;
        let host = url.host_str().ok_or(BadTarget::NoUrl)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let literal = bare.parse::<IpAddr>().ok();
        let extra = !url.username().is_empty() || url.password().is_some();
        if extra || url.fragment().is_some() {
            return Err(BadTarget::Extra);
        }
        let here = literal.is_some_and(|address| address.to_canonical().is_loopback());
        match (url.scheme(), literal) {
            ("http", _) if here => Ok(()),
            ("https", None) => Ok(()),
            ("https", Some(address)) if self.allow(address) => Ok(()),
            ("https", Some(_)) => Err(BadTarget::Private),
            _ => Err(BadTarget::NotHttps),
        }
    }
}

impl Guarded {
    /// A client that calls the open internet, and these networks beside it (CIDRs).
    ///
    /// # Errors
    /// [`ClientError::NotSent`] for what is no network, or when TLS cannot be set up.
    pub fn new<T: AsRef<str>>(allowed: &[T]) -> Result<Self, ClientError> {
        let networks = |texts: &mut dyn Iterator<Item = &str>| -> Option<Vec<IpNet>> {
            let net = |text: &str| {
                let bare = || text.parse::<IpAddr>().ok().map(IpNet::from);
                text.parse::<IpNet>().ok().or_else(bare)
            };
            texts.map(net).collect()
        };
        let allowed = networks(&mut allowed.iter().map(AsRef::as_ref));
        let rules = Rules {
            allowed: allowed.ok_or_else(|| ClientError::NotSent("网段有误".to_owned()))?,
            not_public: networks(&mut NOT_PUBLIC.into_iter()).expect("they are networks"),
        };
        let rules = Arc::new(rules);
        let client = Client::resolving(Resolver {
            rules: Arc::clone(&rules),
            resolver: OnceLock::new(),
        })?;
        Ok(Self { client, rules })
    }

    /// Whether `url` may be called, as far as it can be told without resolving its name.
    ///
    /// # Errors
    /// [`BadTarget`], by the first rule it breaks.
    pub fn check(&self, url: &str) -> Result<(), BadTarget> {
        self.rules.check(url)
    }

    /// Sends `request`, if it may be sent.
    ///
    /// # Errors
    /// Those of [`Client::send`]; `NotSent` also for what may not be called.
    pub async fn send(
        &self,
        request: Outgoing,
        deadline: Duration,
        limit_bytes: usize,
    ) -> Result<Incoming, ClientError> {
        let refused = |why: BadTarget| ClientError::NotSent(why.to_string());
        self.check(&request.url).map_err(refused)?;
        self.client.send(request, deadline, limit_bytes).await
    }
}

/// Finds names, and tells only of addresses that may be called.
struct Resolver {
    rules: Arc<Rules>,
    resolver: OnceLock<Result<Arc<TokioResolver>, String>>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, resolver) = (Arc::clone(&self.rules), self.resolver.get_or_init(system));
        let resolver = resolver.clone();
        Box::pin(async move {
            let found = resolver?.lookup_ip(name.as_str()).await?;
            let found: Vec<SocketAddr> = found
                .iter()
                .filter(|address| rules.allow(*address))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            match found.is_empty() {
                true => Err(BadTarget::Private.into()),
                false => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

/// The system's name servers; where none are named, public ones.
fn system() -> Result<Arc<TokioResolver>, String> {
    let built = || -> Result<TokioResolver, NetError> {
        let public = |_| {
            let servers = ResolverConfig::udp_and_tcp(&GOOGLE);
            TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default())
        };
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(public);
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
        builder.build()
    };
    built().map(Arc::new).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_open_internet_and_what_is_allowed_may_be_called() {
        use BadTarget::{Extra, NoUrl, NotHttps, Private};
        let guarded = Guarded::new(&["10.1.0.0/16", "fd00::5"]).unwrap();
        let table = [
            ("https://hooks.example.com/a?b=c", Ok(())),
            ("https://8.8.8.8/", Ok(())),
            ("https://[2606:4700::1111]/", Ok(())),
            ("https://10.1.2.3/", Ok(())),
            ("https://[fd00::5]/", Ok(())),
            ("http://127.0.0.1:8080/hook", Ok(())),
            ("http://[::1]:8080/hook", Ok(())),
            ("https://10.2.0.1/", Err(Private)),
            ("https://127.0.0.1/", Err(Private)),
            ("https://2130706433/", Err(Private)),
            ("https://0x7f.1/", Err(Private)),
            ("https://[::ffff:10.2.0.1]/", Err(Private)),
            ("https://[64:ff9b::a00:1]/", Err(Private)),
            ("https://169.254.169.254/latest", Err(Private)),
            ("https://100.64.0.1/", Err(Private)),
            ("https://[fd00::6]/", Err(Private)),
            ("https://[fe80::1]/", Err(Private)),
            ("https://0.0.0.0/", Err(Private)),
            ("http://hooks.example.com/", Err(NotHttps)),
            ("http://localhost:1/", Err(NotHttps)),
            ("http://10.1.2.3/", Err(NotHttps)),
            ("ftp://8.8.8.8/", Err(NotHttps)),
            ("https://a:b@hooks.example.com/", Err(Extra)),
            ("https://hooks.example.com/#x", Err(Extra)),
            ("hooks.example.com", Err(NoUrl)),
            ("", Err(NoUrl)),
        ];
        for (url, expected) in table {
            assert_eq!(guarded.check(url), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_into_our_own_network_is_not_called() {
        let guarded = Guarded::new::<&str>(&[]).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let request = Outgoing {
            method: hyper::Method::POST,
            url: format!("https://localhost:{port}/"),
            headers: vec![],
            body: vec![],
        };
        let sent = guarded.send(request, Duration::from_secs(10), 1024).await;
        assert!(matches!(sent, Err(ClientError::NotSent(_))), "{sent:?}");
        assert!(listener.accept().is_err(), "it was called");
    }
}
