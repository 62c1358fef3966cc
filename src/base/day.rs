//! A calendar day in Beijing: bills are made by it. Not a moment, and no clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// Seconds of a day; Beijing has no summer time.
const DAY_S: i64 = 86_400;
/// How far Beijing is ahead of UTC.
const AHEAD_S: i64 = 8 * 3600;

/// A day in Beijing, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(u32);

/// A text that is not a day, or not in the one form `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a day is written YYYY-MM-DD")]
pub struct BadDay;

impl Day {
    /// The day in which `at` lies.
    pub fn of(at: Timestamp) -> Self {
        let days = at.unix().saturating_add(AHEAD_S).div_euclid(DAY_S);
        Self(u32::try_from(days).unwrap_or(0))
    }

    /// Its number, from 0 for 1970-01-01.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The day of this number.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Its first second (that of 1970-01-01 is cut to 08:00).
    pub fn start(self) -> Timestamp {
        let days = i64::from(self.0);
        Timestamp::from_unix(days.saturating_mul(DAY_S).saturating_sub(AHEAD_S))
    }

    /// The first second behind it.
    pub fn end(self) -> Timestamp {
        self.after(1).start()
    }

    /// Whether `at` lies in it.
    pub fn holds(self, at: Timestamp) -> bool {
        Self::of(at) == self
    }

    /// The day `days` later.
    #[must_use]
    pub fn after(self, days: u32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// The day `days` earlier, never before 1970-01-01.
    #[must_use]
    pub fn before(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// The moment `span` after its midnight.
    pub fn at(self, span: Duration) -> Timestamp {
        self.start().plus(span)
    }

    /// `20260101`: APIv2's form.
    pub fn compact(self) -> String {
        self.start().compact()[..8].to_owned()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.start().rfc3339()[..10])
    }
}

impl FromStr for Day {
    type Err = BadDay;

    fn from_str(text: &str) -> Result<Self, BadDay> {
        let midnight = Timestamp::from_rfc3339(&format!("{text}T00:00:00+08:00"));
        let day = midnight.map(Self::of);
        day.filter(|day| day.to_string() == text).ok_or(BadDay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_and_ends_at_midnight_in_beijing() {
        let day: Day = "2026-01-01".parse().unwrap();
        assert_eq!(day.start().rfc3339(), "2026-01-01T00:00:00+08:00");
        assert_eq!(day.end().rfc3339(), "2026-01-02T00:00:00+08:00");
        assert_eq!(
            (day.to_string(), day.compact()),
            ("2026-01-01".into(), "20260101".into())
        );
        assert_eq!(day.before(1).to_string(), "2025-12-31");
        for (at, holds) in [(day.start(), true), (day.end(), false)] {
            assert_eq!(day.holds(at), holds);
        }
        let last = Timestamp::from_unix(day.end().unix() - 1);
        assert!(day.holds(last) && !day.holds(Timestamp::from_unix(day.start().unix() - 1)));
        assert_eq!(Day::from_number(day.number()), day);
    }

    #[test]
    fn only_one_spelling_of_a_real_day_is_read() {
        for text in [
            "",
            "2026-1-1",
            "20260101",
            "2026-02-30",
            "2026-01-01 ",
            "+002026-01-01",
        ] {
            assert_eq!(text.parse::<Day>(), Err(BadDay), "{text:?}");
        }
        assert!("2024-02-29".parse::<Day>().is_ok());
    }
}
