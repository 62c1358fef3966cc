//! How often one address may log in and one token may ask.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::ShopError;
use crate::store::tokens::TokenHash;

/// The counters of this process. They are not kept: a restart forgives.
pub struct Limits {
    logins: DefaultKeyedRateLimiter<IpAddr>,
    requests: DefaultKeyedRateLimiter<TokenHash>,
    clock: DefaultClock,
}

impl Limits {
    /// Counters for so many events a minute; zero counts as one.
    pub fn new(logins_per_minute: u32, requests_per_minute: u32) -> Self {
        let quota = |n: u32| Quota::per_minute(NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN));
        Self {
            logins: RateLimiter::keyed(quota(logins_per_minute)),
            requests: RateLimiter::keyed(quota(requests_per_minute)),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a login from `from`.
    ///
    /// # Errors
    /// [`ShopError::RateLimited`].
    pub fn login(&self, from: IpAddr) -> Result<(), ShopError> {
        let judged = self.logins.check_key(&household(from));
        judged.map_err(|until| self.limited(until.wait_time_from(self.clock.now())))
    }

    /// Counts a request made with the token of this hash.
    ///
    /// # Errors
    /// [`ShopError::RateLimited`].
    pub fn request(&self, token: TokenHash) -> Result<(), ShopError> {
        let judged = self.requests.check_key(&token);
        judged.map_err(|until| self.limited(until.wait_time_from(self.clock.now())))
    }

    /// Forgets who has been quiet for a while, so that memory stays bounded.
    pub fn forget_quiet(&self) {
        self.logins.retain_recent();
        self.requests.retain_recent();
    }

    fn limited(&self, wait: std::time::Duration) -> ShopError {
        ShopError::RateLimited {
            retry_after_s: wait.as_secs().saturating_add(1),
        }
    }
}

/// One subscriber of IPv6 holds a whole /64, so that is what is counted.
pub(super) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(four) => IpAddr::V4(four),
        IpAddr::V6(six) => {
            let network = six.to_bits() & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_after_the_last_allowed_one_is_told_when_to_come_back() {
        let limits = Limits::new(3, 1);
        let from: IpAddr = "192.0.2.7".parse().unwrap();
        for _ in 0..3 {
            assert!(limits.login(from).is_ok());
        }
        match limits.login(from) {
            Err(ShopError::RateLimited { retry_after_s }) => {
                assert!((1..=21).contains(&retry_after_s), "{retry_after_s}");
            }
            other => panic!("{other:?}"),
        }
        assert!(limits.login("192.0.2.8".parse().unwrap()).is_ok());
    }

    #[test]
    fn a_whole_v6_network_counts_as_one_and_a_mapped_address_as_its_v4() {
        let a = household("2001:db8::1".parse().unwrap());
        assert_eq!(a, household("2001:db8::ffff:1".parse().unwrap()));
        assert_ne!(a, household("2001:db8:0:1::1".parse().unwrap()));
        let four: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(household("::ffff:192.0.2.7".parse().unwrap()), four);
    }

    #[test]
    fn one_token_does_not_use_up_anothers_requests() {
        let limits = Limits::new(1, 2);
        let (one, other) = (TokenHash::of("1"), TokenHash::of("2"));
        assert!(limits.request(one).is_ok() && limits.request(one).is_ok());
        assert!(limits.request(one).is_err());
        assert!(limits.request(other).is_ok());
    }
}
