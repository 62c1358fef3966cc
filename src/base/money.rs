//! Money as whole fen (分, 1/100 CNY). There is no float and no unchecked sum in this house.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount of money in fen. Never negative.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Fen(u64);

impl Fen {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// The largest total an order may have (CONTRACT §7, Goods): 10,000,000 yuan.
    pub const ORDER_MAX: Self = Self(1_000_000_000);

    /// An amount of `fen`.
    pub const fn new(fen: u64) -> Self {
        Self(fen)
    }

    /// The bare number of fen, for JSON and for WeChat's fields only.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum, or `None` when it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` when it would be negative.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The price of `count` pieces, or `None` when it does not fit.
    pub fn checked_mul(self, count: u32) -> Option<Self> {
        self.0.checked_mul(u64::from(count)).map(Self)
    }

    /// Reads WeChat's decimal text of whole fen: digits only, no sign, no blank, no leading zero.
    pub fn from_digits(text: &str) -> Option<Self> {
        let canonical = text == "0" || !text.starts_with('0');
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        (canonical && digits)
            .then(|| text.parse().ok().map(Self))
            .flatten()
    }

    /// Reads a bill's decimal yuan (`59.80`, at most two decimals) without any float.
    ///
    /// Source: 微信支付 APIv3 · 交易账单详细说明.
    pub fn from_yuan(text: &str) -> Option<Self> {
        let (yuan, cents) = text.split_once('.').unwrap_or((text, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if yuan.is_empty() || cents.len() > 2 || !all_digits(yuan) || !all_digits(cents) {
            return None;
        }
        let cents: u64 = format!("{cents:0<2}").parse().ok()?;
        yuan.parse::<u64>()
            .ok()?
            .checked_mul(100)?
            .checked_add(cents)
            .map(Self)
    }
}

/// Prints yuan with two decimals, for people: `59.80`.
impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_products_that_do_not_fit_are_none() {
        assert_eq!(Fen::new(2).checked_add(Fen::new(3)), Some(Fen::new(5)));
        assert_eq!(Fen::new(u64::MAX).checked_add(Fen::new(1)), None);
        assert_eq!(Fen::new(1).checked_sub(Fen::new(2)), None);
        assert_eq!(Fen::new(u64::MAX / 2).checked_mul(3), None);
        assert_eq!(Fen::new(199).checked_mul(3), Some(Fen::new(597)));
    }

    #[test]
    fn only_plain_digits_are_fen() {
        let table = [
            ("0", Some(0)),
            ("788", Some(788)),
            ("", None),
            ("-1", None),
            ("1.0", None),
        ];
        for (text, fen) in table {
            assert_eq!(Fen::from_digits(text), fen.map(Fen::new), "{text:?}");
        }
        for text in ["007", "+1", " 1", "1 ", "1e3", "١", "18446744073709551616"] {
            assert_eq!(Fen::from_digits(text), None, "{text:?}");
        }
    }

    #[test]
    fn yuan_becomes_fen_exactly() {
        let table = [
            ("59.80", 5980),
            ("59.8", 5980),
            ("0.01", 1),
            ("12", 1200),
            ("0.00", 0),
        ];
        for (text, fen) in table {
            assert_eq!(Fen::from_yuan(text), Some(Fen::new(fen)), "{text:?}");
        }
        for text in ["", ".5", "1.234", "-1.00", "1,000.00", "1.0a"] {
            assert_eq!(Fen::from_yuan(text), None, "{text:?}");
        }
        assert_eq!(Fen::new(5980).to_string(), "59.80");
    }
}
