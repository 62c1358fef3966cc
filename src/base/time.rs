//! Time as whole seconds, printed in Beijing's offset; and the one place that reads the clock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::tz;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// Measures how long something takes, whatever happens to the clock meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Begins now.
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time since it began.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A moment: seconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// The offset of Beijing time, in which the contract and WeChat write times.
const BEIJING: tz::Offset = tz::Offset::constant(8);

impl Timestamp {
    /// The moment `seconds` after 1970-01-01T00:00:00Z, held within years 1970..=9999.
    pub fn from_unix(seconds: i64) -> Self {
        Self(seconds.clamp(0, 253_402_200_000))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// The moment `span` later (whole seconds), never past the year 9999.
    pub fn plus(self, span: Duration) -> Self {
        let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        Self::from_unix(self.0.saturating_add(seconds))
    }

    /// The moment `span` earlier (whole seconds), never before 1970.
    pub fn minus(self, span: Duration) -> Self {
        let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        Self::from_unix(self.0.saturating_sub(seconds))
    }

    /// How long `self` is after `earlier`; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `2026-01-01T00:00:30+08:00`: the contract's and APIv3's form.
    pub fn rfc3339(self) -> String {
        let mut text = String::with_capacity(25);
        for (part, after) in self
            .parts()
            .into_iter()
            .zip(["-", "-", "T", ":", ":", "+08:00"])
        {
            push_digits(&mut text, part);
            text.push_str(after);
        }
        text
    }

    /// `20260101000030`, Beijing time: APIv2's form.
    pub fn compact(self) -> String {
        let mut text = String::with_capacity(14);
        self.parts()
            .into_iter()
            .for_each(|part| push_digits(&mut text, part));
        text
    }

    /// Reads RFC 3339 with any offset; a fraction of a second is dropped.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let at: jiff::Timestamp = text.parse().ok()?;
        (at.as_second() >= 0).then(|| Self::from_unix(at.as_second()))
    }

    /// Reads the form of HTTP's `Date` header: `Thu, 01 Jan 2026 00:00:30 GMT`.
    pub fn from_http_date(text: &str) -> Option<Self> {
        let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        (at.as_second() >= 0).then(|| Self::from_unix(at.as_second()))
    }

    /// Reads APIv2's `yyyyMMddHHmmss`, Beijing time.
    pub fn from_compact(text: &str) -> Option<Self> {
        if text.len() != 14 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let part = |from: usize, to: usize| text[from..to].parse::<i8>().ok();
        let year = text[..4].parse::<i16>().ok()?;
        let (month, day) = (part(4, 6)?, part(6, 8)?);
        let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
        let civil = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        let at = BEIJING.to_timestamp(civil).ok()?;
        (at.as_second() >= 0).then(|| Self::from_unix(at.as_second()))
    }

    /// Year, month, day, hour, minute, second, each with how many digits it has.
    fn parts(self) -> [(i16, u32); 6] {
        let t = self.beijing();
        let two = |part: i8| (i16::from(part), 2);
        let year = (t.year(), 4);
        [
            year,
            two(t.month()),
            two(t.day()),
            two(t.hour()),
            two(t.minute()),
            two(t.second()),
        ]
    }

    fn beijing(self) -> DateTime {
        let at = jiff::Timestamp::from_second(self.0).expect("held within range by from_unix");
        BEIJING.to_datetime(at)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// Writes a part of a time with its leading zeros. A list of orders prints a hundred times:
/// this costs a tenth of what `format!` does.
fn push_digits(text: &mut String, (part, digits): (i16, u32)) {
    for place in (0..digits).rev() {
        let digit = part / 10_i16.pow(place) % 10;
        text.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
    }
}

/// The clock of this process. Clones share one offset, so that a demo or a test can move it.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset: Arc<Offset>,
    #[cfg(test)]
    simulated: Option<Simulated>,
}

/// Time under a simulation: the runtime's own, which stands still while there is work to do.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
struct Simulated {
    began: tokio::time::Instant,
    at: Timestamp,
}

/// How far a clock is ahead of the system's, and the call that wakes who sleeps by it.
#[derive(Debug, Default)]
struct Offset {
    seconds: AtomicI64,
    moved: Notify,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that begins at `at` and moves with the timers of this runtime, never by itself.
    #[cfg(test)]
    pub(crate) fn simulated(at: Timestamp) -> Self {
        let began = tokio::time::Instant::now();
        Self {
            simulated: Some(Simulated { began, at }),
            ..Self::default()
        }
    }

    /// How long it is since 1970, unmoved.
    fn since_1970(&self) -> Duration {
        #[cfg(test)]
        if let Some(Simulated { began, at }) = self.simulated {
            return began.elapsed() + at.since(Timestamp::default());
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.unwrap_or_default()
    }

    /// Now, in whole seconds.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.now_ms().div_euclid(1000))
    }

    /// Now, in milliseconds since 1970-01-01T00:00:00Z: for order numbers and elapsed times.
    pub fn now_ms(&self) -> i64 {
        let ms = i64::try_from(self.since_1970().as_millis()).unwrap_or(i64::MAX);
        ms.saturating_add(self.advanced_s().saturating_mul(1000))
    }

    /// Now, in tenths of a millisecond since 1970: for the numbers of orders.
    pub fn now_ticks(&self) -> i64 {
        let ticks = i64::try_from(self.since_1970().as_micros() / 100).unwrap_or(i64::MAX);
        ticks.saturating_add(self.advanced_s().saturating_mul(10_000))
    }

    /// How many seconds it is ahead of the system's clock (behind when negative).
    pub fn advanced_s(&self) -> i64 {
        self.offset.seconds.load(Ordering::Relaxed)
    }

    /// Moves this clock and all its clones forward by `seconds` (back when negative).
    pub fn advance(&self, seconds: i64) {
        self.offset.seconds.fetch_add(seconds, Ordering::Relaxed);
        self.offset.moved.notify_waiters();
    }

    /// Puts it and all its clones so many seconds ahead of the system's clock.
    pub fn set_advanced(&self, seconds: i64) {
        self.offset.seconds.store(seconds, Ordering::Relaxed);
        self.offset.moved.notify_waiters();
    }

    /// Waits until somebody moves this clock away from being `seconds` ahead.
    pub async fn moved_from(&self, seconds: i64) {
        loop {
            // Made before the look: who moves the clock after it wakes this one.
            let moved = self.offset.moved.notified();
            if self.advanced_s() != seconds {
                return;
            }
            moved.await;
        }
    }

    /// Waits until `span` has passed by this clock: at once when it is moved so far.
    pub async fn sleep(&self, span: Duration) {
        let start = self.now_ms();
        loop {
            let moved = self.offset.moved.notified();
            let passed = u64::try_from(self.now_ms().saturating_sub(start)).unwrap_or(0);
            let left = span.saturating_sub(Duration::from_millis(passed));
            tokio::select! {
                () = tokio::time::sleep(left) => return,
                () = moved => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: i64 = 1_767_196_830;

    #[test]
    fn prints_beijing_time_in_both_forms() {
        let at = Timestamp::from_unix(BASE);
        assert_eq!(at.rfc3339(), "2026-01-01T00:00:30+08:00");
        assert_eq!(at.compact(), "20260101000030");
    }

    #[test]
    fn reads_back_what_it_prints_and_other_offsets() {
        let at = Timestamp::from_unix(BASE);
        assert_eq!(
            Timestamp::from_rfc3339("2026-01-01T00:00:30+08:00"),
            Some(at)
        );
        assert_eq!(Timestamp::from_rfc3339("2025-12-31T16:00:30Z"), Some(at));
        assert_eq!(
            Timestamp::from_rfc3339("2025-12-31T16:00:30.120Z"),
            Some(at)
        );
        assert_eq!(Timestamp::from_compact("20260101000030"), Some(at));
    }

    #[test]
    fn refuses_what_is_not_a_moment() {
        for text in [
            "",
            "2026-01-01",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00:30",
        ] {
            assert_eq!(Timestamp::from_rfc3339(text), None, "{text:?}");
        }
        for text in ["", "2026010100003", "20261301000030", "2026010100003x"] {
            assert_eq!(Timestamp::from_compact(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_advanced_clock_moves_its_clones() {
        let clock = Clock::system();
        let other = clock.clone();
        let before = other.now();
        clock.advance(3600);
        assert!(other.now().since(before) >= Duration::from_secs(3600));
    }

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_moves_with_the_runtime_and_not_by_itself() {
        let clock = Clock::simulated(Timestamp::from_unix(BASE));
        assert_eq!(clock.now_ms(), BASE * 1000);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        clock.clone().advance(60);
        assert_eq!(clock.now_ms(), (BASE + 61) * 1000 + 500);
        assert_eq!(clock.now_ticks(), (BASE + 61) * 10_000 + 5000);
    }

    #[tokio::test]
    async fn who_sleeps_by_a_clock_wakes_when_it_is_moved_so_far_and_not_before() {
        let clock = Clock::system();
        let day = Duration::from_secs(86_400);
        let sleeping = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(day).await }
        });
        tokio::task::yield_now().await;
        let half = Duration::from_millis(20);
        clock.advance(86_000);
        tokio::time::sleep(half).await;
        assert!(!sleeping.is_finished());
        clock.advance(400);
        let woken = tokio::time::timeout(Duration::from_secs(10), sleeping);
        assert!(woken.await.is_ok_and(|slept| slept.is_ok()));
    }
}
