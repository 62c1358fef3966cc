//! The name of one request: in its answer, in its log line, in what a customer reads out to us.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::HeaderValue;

use crate::base::secret;

const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 16;

/// 16 characters of Crockford's base 32, unique within a process; never taken from the client.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; LENGTH]);

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base 32 is ASCII")
    }

    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("base 32 is legal in a header")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where request ids come from: a random name of this run, and a scrambled count.
#[derive(Debug)]
pub(super) struct Ids {
    instance: [u8; LENGTH / 2],
    count: AtomicU64,
}

impl Ids {
    pub(super) fn new() -> Self {
        Self {
            instance: base32(secret::random_u64()),
            count: AtomicU64::new(secret::random_u64()),
        }
    }

    pub(super) fn next(&self) -> RequestId {
        // An odd factor permutes the 2^40 numbers that 8 characters hold: scrambled, yet unique.
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut id = [0; LENGTH];
        id[..LENGTH / 2].copy_from_slice(&self.instance);
        id[LENGTH / 2..].copy_from_slice(&base32(count.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        RequestId(id)
    }
}

/// The low 40 bits of `value`.
fn base32(value: u64) -> [u8; LENGTH / 2] {
    let mut text = [0; LENGTH / 2];
    for (place, digit) in text.iter_mut().rev().enumerate() {
        let five = usize::try_from(value >> (5 * place) & 31).expect("five bits");
        *digit = BASE32[five];
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_do_not_repeat_within_a_process_and_differ_between_two() {
        let (ids, others) = (Ids::new(), Ids::new());
        let seen: HashSet<RequestId> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(seen.len(), 10_000);
        assert!(!seen.contains(&others.next()));
        assert!(seen.iter().all(|id| id.as_str().len() == LENGTH));
    }
}
