//! How often one address may log in and one token may ask.

use std::net::IpAddr;
use std::time::Duration;

use super::ShopError;
use crate::base::{Household, Rate};
use crate::store::tokens::TokenHash;

/// The counters of this process. They are not kept: a restart forgives.
pub struct Limits {
    logins: Rate<Household>,
    requests: Rate<TokenHash>,
}

impl Limits {
    /// Counters for so many events a minute; zero counts as one.
    pub fn new(logins_per_minute: u32, requests_per_minute: u32) -> Self {
        Self {
            logins: Rate::per_minute(logins_per_minute),
            requests: Rate::per_minute(requests_per_minute),
        }
    }

    /// Counts a login from `from`.
    ///
    /// # Errors
    /// [`ShopError::RateLimited`].
    pub fn login(&self, from: IpAddr, now_ms: i64) -> Result<(), ShopError> {
        let taken = self.logins.take(Household::of(from), now_ms);
        taken.map_err(limited)
    }

    /// Counts a request made with the token of this hash.
    ///
    /// # Errors
    /// [`ShopError::RateLimited`].
    pub fn request(&self, token: TokenHash, now_ms: i64) -> Result<(), ShopError> {
        self.requests.take(token, now_ms).map_err(limited)
    }

    /// Forgets who has been quiet for a while.
    pub fn forget_quiet(&self, now_ms: i64) {
        self.logins.forget_quiet(now_ms);
        self.requests.forget_quiet(now_ms);
    }
}

fn limited(wait: Duration) -> ShopError {
    ShopError::RateLimited {
        retry_after_s: wait.as_secs().saturating_add(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_196_830_000;

    #[test]
    fn the_login_after_the_last_allowed_one_is_told_when_to_come_back() {
        let limits = Limits::new(3, 1);
        let from: IpAddr = "2001:db8::7".parse().unwrap();
        for _ in 0..3 {
            assert!(limits.login(from, NOW).is_ok());
        }
        let neighbour: IpAddr = "2001:db8::8".parse().unwrap();
        match limits.login(neighbour, NOW) {
            Err(ShopError::RateLimited { retry_after_s }) => assert_eq!(retry_after_s, 21),
            other => panic!("{other:?}"),
        }
        let other: IpAddr = "2001:db8:0:1::7".parse().unwrap();
        assert!(limits.login(other, NOW).is_ok());
    }

    #[test]
    fn one_token_does_not_use_up_anothers_requests() {
        let limits = Limits::new(1, 2);
        let (one, other) = (TokenHash::of("1"), TokenHash::of("2"));
        assert!(limits.request(one, NOW).is_ok() && limits.request(one, NOW).is_ok());
        assert!(limits.request(one, NOW).is_err());
        assert!(limits.request(other, NOW).is_ok());
    }
}
