//! Whom a request is from when it came through proxies.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
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

    /// Whether `address` is one of these proxies.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }

    /// The rightmost address that is not a trusted proxy: what lies left of it anyone may write.
    pub(super) fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if self.0.is_empty() || !self.trusts(client) {
            return client;
        }
        let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
        // What is no text is junk, not nothing: the walk ends there.
        let hops = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
        for hop in hops.map(str::trim).filter(|hop| !hop.is_empty()) {
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

    /// Whether `peer` is trusted and says that the client speaks https with it.
    pub(super) fn say_https(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        self.trusts(peer.to_canonical()) && all_say_https(headers)
    }
}

/// Whether the client came by https; every proxy on the way must agree, so that what a client
/// wrote itself can only make it less.
fn all_say_https(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(X_FORWARDED_PROTO).iter();
    let mut words = lines.flat_map(|line| line.to_str().unwrap_or("?").split(','));
    let mut said = false;
    words.all(|word| {
        said = true;
        word.trim().eq_ignore_ascii_case("https")
    }) && said
}

/// An address as proxies write it: bare, in brackets, with a port, an IPv6 one with its zone.
fn address_of(hop: &str) -> Option<IpAddr> {
    let address = match hop.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(bracketed) => {
            let (inside, port) = bracketed?;
            let is_port = port.is_empty() || port.strip_prefix(':')?.parse::<u16>().is_ok();
            IpAddr::V6(without_zone(inside).parse().ok().filter(|_| is_port)?)
        }
        None => {
            let bare = without_zone(hop).parse::<IpAddr>().ok();
            bare.or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()))?
        }
    };
    Some(address.to_canonical())
}

/// An IPv6 address without `%eth0`: a zone means something only where it was written.
fn without_zone(address: &str) -> &str {
    match address.split_once('%') {
        Some((bare, _)) if bare.contains(':') => bare,
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hyper::header::HeaderValue;

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
            ("10.0.0.1", &["6.6.6.6", "", " , 1.1.1.1 ,"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, unknown, 10.2.3.4"], "10.2.3.4"),
            ("10.0.0.1", &["6.6.6.6", "\u{e9}", "10.2.3.4"], "10.2.3.4"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1:x"], "10.0.0.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1:65536"], "10.0.0.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1%eth0"], "10.0.0.1"),
            ("10.0.0.1", &["6.6.6.6, [2001:db8::1]x"], "10.0.0.1"),
            ("10.0.0.1", &["6.6.6.6, [2001:db8::1"], "10.0.0.1"),
            ("10.0.0.1", &["6.6.6.6, 2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", &["6.6.6.6, fe80::1%eth0"], "fe80::1"),
            ("10.0.0.1", &["6.6.6.6, [fe80::1%25eth0]:80"], "fe80::1"),
            ("10.0.0.1", &["6.6.6.6, 010.0.0.1"], "10.0.0.1"),
            ("fd00::1", &["6.6.6.6, fd12:3456::7, fd00::2"], "6.6.6.6"),
        ];
        let proxies = TrustedProxies::parse(&trusted).unwrap();
        for (peer, lines, client) in cases {
            let mut headers = HeaderMap::new();
            for line in *lines {
                headers.append(X_FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
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
    fn https_is_believed_when_a_trusted_proxy_says_so_and_none_denies_it() {
        let cases: &[(&str, &[&str], bool)] = &[
            ("10.0.0.1", &["https"], true),
            ("::ffff:10.0.0.1", &["HTTPS "], true),
            ("10.0.0.1", &["https, https", "https"], true),
            ("10.0.0.1", &[], false),
            ("10.0.0.1", &["http"], false),
            ("10.0.0.1", &["https, http"], false),
            ("10.0.0.1", &["https", "http"], false),
            ("10.0.0.1", &["https, "], false),
            ("10.0.0.1", &["https\u{e9}"], false),
            ("203.0.113.9", &["https"], false),
        ];
        let proxies = TrustedProxies::parse(&["10.0.0.0/8"]).unwrap();
        for (peer, lines, secure) in cases {
            let mut headers = HeaderMap::new();
            for line in *lines {
                headers.append(X_FORWARDED_PROTO, HeaderValue::from_str(line).unwrap());
            }
            let said = proxies.say_https(peer.parse().unwrap(), &headers);
            assert_eq!(said, *secure, "{peer} {lines:?}");
        }
    }

    #[test]
    fn what_is_no_network_is_named() {
        let wrong = TrustedProxies::parse(&["10.0.0.0/8", "10.0.0.0/33"]);
        assert_eq!(wrong, Err("10.0.0.0/33".to_owned()));
    }
}
