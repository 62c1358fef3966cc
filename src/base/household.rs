//! Whose address it is, as far as limits go: one IPv4 address, or one IPv6 network of 64 bits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who shares an allowance: a subscriber of IPv6 holds a whole /64, so that is what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Household(u64);

/// Marks IPv4 addresses: no IPv6 network that is handed out begins with `0:ffff`.
const FOUR: u64 = 0xffff << 32;

impl Household {
    /// The household of `address`; an IPv4 address in IPv6's clothes is the IPv4 address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(four) => Self(FOUR | u64::from(four.to_bits())),
            IpAddr::V6(six) => {
                let [a, b, c, d, ..] = six.segments();
                let network = [a, b, c, d].map(u64::from);
                Self(network.iter().fold(0, |bits, part| bits << 16 | part))
            }
        }
    }
}

impl fmt::Display for Household {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::try_from(self.0 & !FOUR) {
            Ok(four) if self.0 & FOUR == FOUR => write!(f, "{}", Ipv4Addr::from_bits(four)),
            _ => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(self.0) << 64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Household {
        Household::of(address.parse().unwrap())
    }

    #[test]
    fn a_whole_v6_network_counts_as_one_and_a_mapped_address_as_its_v4() {
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
        assert_ne!(of("192.0.2.7"), of("::1"));
        let shown = ["192.0.2.7", "2001:db8:0:1::9"].map(|text| of(text).to_string());
        assert_eq!(shown, ["192.0.2.7", "2001:db8:0:1::/64"]);
    }
}
