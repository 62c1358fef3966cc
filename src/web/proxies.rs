//! Whom a request is from when it came through proxies.

use std::net::IpAddr;

use hyper::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The networks whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Reads CIDRs such as `10.0.0.0/8`, or bare addresses.
    ///
    /// # Errors
    /// The first text that is neither.
    pub fn parse<T: AsRef<str>>(cidrs: &[T]) -> Result<Self, String> {
        let nets = cidrs.iter().map(|cidr| {
            let cidr = cidr.as_ref();
            let net = cidr.parse::<IpNet>().ok();
            net.or_else(|| cidr.parse::<IpAddr>().ok().map(IpNet::from))
                .ok_or_else(|| cidr.to_owned())
        });
        nets.collect::<Result<_, _>>().map(Self)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }

    /// Whether a trusted proxy says that it was reached over TLS; of a chain the outermost counts.
    pub(super) fn says_https(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let said = headers
            .get(X_FORWARDED_PROTO)
            .and_then(|line| line.to_str().ok());
        let outermost = said.and_then(|line| line.split(',').next()).unwrap_or("");
        !self.0.is_empty()
            && self.trusts(peer.to_canonical())
            && outermost.trim().eq_ignore_ascii_case("https")
    }

    /// The rightmost address that is not a trusted proxy: what lies left of it anyone may write.
    pub(super) fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if self.0.is_empty() || !self.trusts(client) {
            return client;
        }
        let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
        let hops = lines.flat_map(|line| line.to_str().unwrap_or("").rsplit(','));
        for hop in hops {
            let Some(address) = address_of(hop) else {
                return client;
            };
            client = address;
            if !self.trusts(client) {
                return client;
            }
        }
        client
    }
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn address_of(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let bare = bare.map_or(hop, |(inside, _)| inside);
    let address = bare.parse::<IpAddr>().ok();
    let with_port = || Some(bare.parse::<std::net::SocketAddr>().ok()?.ip());
    address.or_else(with_port).map(|a| a.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_client_is_the_rightmost_address_that_is_no_trusted_proxy() {
        let trusted = ["10.0.0.0/8", "127.0.0.1", "fd00::/8"];
        let cases: &[(&str, &[&str], &str)] = &[
            ("203.0.113.9", &["1.1.1.1"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["1.1.1.1, 10.2.3.4"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6", "1.1.1.1,10.9.9.9"], "1.1.1.1"),
            ("10.0.0.1", &["1.1.1.1, 10.2.3.4", "10.5.5.5"], "1.1.1.1"),
            ("10.0.0.1", &["10.8.8.8, 10.2.3.4"], "10.8.8.8"),
            ("10.0.0.1", &["1.1.1.1, junk, 10.2.3.4"], "10.2.3.4"),
            ("10.0.0.1", &["junk"], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1:4711"], "1.1.1.1"),
            ("fd00::1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("::ffff:10.0.0.1", &["::ffff:1.1.1.1"], "1.1.1.1"),
            ("::ffff:203.0.113.9", &["1.1.1.1"], "203.0.113.9"),
        ];
        let proxies = TrustedProxies::parse(&trusted).unwrap();
        for (peer, lines, client) in cases {
            let mut headers = HeaderMap::new();
            for line in *lines {
                headers.append(X_FORWARDED_FOR, line.parse().unwrap());
            }
            let found = proxies.client_of(peer.parse().unwrap(), &headers);
            assert_eq!(found.to_string(), *client, "{peer} {lines:?}");
        }
    }

    #[test]
    fn nobody_is_believed_unless_named() {
        let mut headers = HeaderMap::new();
        headers.append(X_FORWARDED_FOR, "1.1.1.1".parse().unwrap());
        let peer = "127.0.0.1".parse().unwrap();
        assert_eq!(TrustedProxies::default().client_of(peer, &headers), peer);
    }

    #[test]
    fn only_a_trusted_proxy_can_say_that_it_was_reached_over_tls() {
        let cases = [
            ("10.0.0.1", Some("https"), true),
            ("10.0.0.1", Some("HTTPS, http"), true),
            ("10.0.0.1", Some("http"), false),
            ("10.0.0.1", None, false),
            ("203.0.113.9", Some("https"), false),
        ];
        let proxies = TrustedProxies::parse(&["10.0.0.0/8"]).unwrap();
        for (peer, line, wanted) in cases {
            let mut headers = HeaderMap::new();
            line.map(|line| headers.append(X_FORWARDED_PROTO, line.parse().unwrap()));
            let found = proxies.says_https(peer.parse().unwrap(), &headers);
            assert_eq!(found, wanted, "{peer} {line:?}");
        }
    }

    #[test]
    fn what_is_no_network_is_named() {
        let wrong = TrustedProxies::parse(&["10.0.0.0/8", "10.0.0.0/33"]);
        assert_eq!(wrong, Err("10.0.0.0/33".to_owned()));
    }
}
