//! When to ask the authority for a certificate: late enough, early enough, and never too often.
//!
//! Pure. What is decided here is kept on disk, so that a restart does not ask again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::base::hash::sha256;

/// How an authority may look whether a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Way {
    /// By a handshake on the TLS port. Source: RFC 8737.
    TlsAlpn01,
    /// By a plain request. Source: RFC 8555 · 8.3.
    Http01,
}

/// Why there is no certificate, as far as it says when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setback {
    /// Nobody answered: costs the authority nothing.
    Unreachable,
    /// It answered no, or saw something else than it asked to see.
    Refused,
    /// It said that we ask too often, and when to come back.
    Limited(Option<Timestamp>),
}

/// The waits after one failure, two, and so on; the last repeats.
///
/// An attempt may be two failed looks. Source: Let's Encrypt · Rate Limits (5 failed validations
/// an hour, name and account).
const AFTER_REFUSED_MIN: [u64; 5] = [20, 60, 180, 360, 720];
const AFTER_UNREACHABLE_MIN: [u64; 5] = [1, 5, 15, 30, 60];

/// How long one who asks too often stays away when nothing was said about it.
const AFTER_LIMITED: Duration = Duration::from_secs(3600);
/// However long it said: a wrong clock on its side is not for ever.
const LIMITED_AT_MOST: Duration = Duration::from_secs(8 * 86_400);

/// What is remembered of attempts between runs of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Attempts {
    /// Failures since the last success.
    pub(super) failures: usize,
    /// Nothing is tried before.
    pub(super) next_try_at: Option<Timestamp>,
    /// Whether the authority itself said when to come back.
    pub(super) is_limited: bool,
    /// Why the last one failed.
    pub(super) last_error: Option<String>,
    /// The way that worked last.
    pub(super) way: Option<Way>,
}

impl Attempts {
    /// After a failure at `now`; `chance` (any number) spreads those who failed together.
    pub(super) fn failed(&mut self, now: Timestamp, setback: (Setback, String), chance: u64) {
        let (setback, why) = setback;
        let step = |minutes: [u64; 5]| {
            let minutes = minutes[self.failures.min(minutes.len() - 1)];
            let seconds = minutes * 60;
            now.plus(Duration::from_secs(seconds + chance % (seconds / 10 + 1)))
        };
        let next = match setback {
            Setback::Unreachable => step(AFTER_UNREACHABLE_MIN),
            Setback::Refused => step(AFTER_REFUSED_MIN),
            Setback::Limited(until) => {
                let until = until.unwrap_or(now.plus(AFTER_LIMITED));
                let most = now.plus(LIMITED_AT_MOST);
                until.clamp(step(AFTER_REFUSED_MIN), most)
            }
        };
        self.is_limited = matches!(setback, Setback::Limited(_));
        self.failures = self.failures.saturating_add(1);
        self.next_try_at = Some(next);
        self.last_error = Some(why);
    }

    /// After a certificate that is valid for `life` was got by `way` at `now`.
    ///
    /// With a clock that is far ahead each new certificate looks old at once: none is asked for
    /// in the first third of the last one's life, whatever the clock says.
    pub(super) fn succeeded(&mut self, way: Way, now: Timestamp, life: Duration) {
        *self = Self {
            way: Some(way),
            next_try_at: Some(now.plus(life / 3)),
            ..Self::default()
        };
    }
}

/// When to renew a certificate valid from `starts` until `ends`: at two thirds of its life, up to
/// a twentieth of it earlier, by what is in it (`salt`), so that not all shops ask in one hour.
pub(super) fn renewal_at(starts: Timestamp, ends: Timestamp, salt: &[u8]) -> Timestamp {
    let life = ends.since(starts);
    let [low, high, ..] = sha256(salt);
    let share = u32::from(u16::from_le_bytes([low, high]));
    let earlier = life / 20 * share / u32::from(u16::MAX);
    starts.plus((life * 2 / 3).saturating_sub(earlier))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: i64 = 86_400;

    fn now() -> Timestamp {
        Timestamp::from_unix(1_800_000_000)
    }

    fn waits(setback: Setback, times: usize) -> Vec<i64> {
        let (mut attempts, mut now, mut waits) = (Attempts::default(), now(), vec![]);
        for _ in 0..times {
            attempts.failed(now, (setback, String::new()), 0);
            let next = attempts.next_try_at.expect("a failure waits");
            waits.push((next.unix() - now.unix()) / 60);
            now = next;
        }
        waits
    }

    #[test]
    fn each_failure_waits_longer_than_the_one_before_and_no_longer_than_half_a_day() {
        let refused = waits(Setback::Refused, 6);
        assert_eq!(refused, [20, 60, 180, 360, 720, 720]);
        assert_eq!(waits(Setback::Unreachable, 6), [1, 5, 15, 30, 60, 60]);
    }

    #[test]
    fn an_hour_never_sees_more_failed_looks_than_lets_encrypt_allows() {
        let mut begins = vec![0];
        for wait in waits(Setback::Refused, 20) {
            begins.push(begins[begins.len() - 1] + wait);
        }
        for from in &begins {
            let within = begins.iter().filter(|at| (*from..from + 60).contains(at));
            assert!(within.count() * 2 <= 5, "{begins:?}");
        }
    }

    #[test]
    fn one_who_asks_too_often_stays_away_as_long_as_it_is_told() {
        let told = |until: Option<i64>| {
            let mut attempts = Attempts::default();
            let until = until.map(|days| Timestamp::from_unix(now().unix() + days * DAY_S));
            attempts.failed(now(), (Setback::Limited(until), String::new()), 0);
            attempts.next_try_at.expect("a failure waits").unix() - now().unix()
        };
        assert_eq!(told(Some(3)), 3 * DAY_S);
        assert_eq!(told(Some(-3)), 20 * 60);
        assert_eq!(told(Some(300)), 8 * DAY_S);
        assert_eq!(told(None), 3600);
    }

    #[test]
    fn chance_adds_at_most_a_tenth() {
        for chance in [0, 1, 119, 120, 121, u64::MAX] {
            let mut attempts = Attempts::default();
            attempts.failed(now(), (Setback::Refused, String::new()), chance);
            let wait = attempts.next_try_at.expect("a failure waits").since(now());
            assert!((1200..=1320).contains(&wait.as_secs()), "{wait:?}");
        }
    }

    #[test]
    fn a_certificate_is_renewed_before_two_thirds_of_its_life_and_after_six_tenths() {
        let ends = Timestamp::from_unix(now().unix() + 90 * DAY_S);
        let mut seen = std::collections::BTreeSet::new();
        for salt in 0..50_u8 {
            let days = renewal_at(now(), ends, &[salt]).since(now()).as_secs() / 86_400;
            assert!((55..=60).contains(&days), "{days}");
            seen.insert(renewal_at(now(), ends, &[salt]));
        }
        assert!(seen.len() > 40, "they are spread");
    }
}
