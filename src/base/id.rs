//! The names of things: one type each, checked when read, never a bare string past the routes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::Timestamp;

/// Why a text is not the id it was read as.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be {rule}")]
pub struct BadId {
    /// The field's standard name, such as `openid`.
    pub kind: &'static str,
    /// The rule that the text breaks.
    pub rule: &'static str,
}

/// Declares one text id: its name, its rule in words, and the rule itself.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let ok: fn(&str) -> bool = $ok;
                match ok(text) {
                    true => Ok(Self(text.to_owned())),
                    false => Err(BadId { kind: $kind, rule: $rule }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

fn visible(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn alphanumeric(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

text_id!(
    /// The mini program's AppID.
    AppId, "appid", "1 to 32 letters or digits", |t| alphanumeric(t, 1, 32)
);
text_id!(
    /// The merchant number at WeChat Pay. Source: pay-v3.md §1.
    MchId, "mchid", "1 to 32 letters or digits", |t| alphanumeric(t, 1, 32)
);
text_id!(
    /// A user's id within one mini program. Source: mini-program.md §1.
    OpenId, "openid", "1 to 128 visible ASCII characters", |t| visible(t, 128)
);
text_id!(
    /// WeChat's number of a payment (微信支付订单号). Source: pay-v2.md §4.
    TransactionId, "transaction_id", "1 to 32 visible ASCII characters", |t| visible(t, 32)
);
text_id!(
    /// WeChat's number of an opened payment, good for two hours. Source: pay-v2.md §5.
    PrepayId, "prepay_id", "1 to 64 visible ASCII characters", |t| visible(t, 64)
);
text_id!(
    /// The number of a refund (商户退款单号), ours or the merchant platform's: at most 64 of
    /// `[0-9A-Za-z_-|*@]`. Source: 微信支付 APIv2 · 申请退款.
    RefundNo, "refund_no", "1 to 64 of letters, digits and _-|*@", |t| {
        visible(t, 64) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-|*@".contains(&b))
    }
);
text_id!(
    /// Our number of an order: 12 to 28 letters and digits (CONTRACT §1).
    OrderNo, "order_no", "12 to 28 letters or digits", |t| alphanumeric(t, 12, 28)
);

/// Crockford's base 32: its order is ASCII's, and case carries nothing.
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

fn push_base32(text: &mut String, value: u64, digits: u32) {
    for digit in (0..digits).rev() {
        let five = usize::try_from(value >> (5 * digit) & 31).expect("five bits");
        text.push(char::from(BASE32[five]));
    }
}

impl OrderNo {
    /// The number of an order placed at `now_ms`, milliseconds since 1970.
    pub fn new(now_ms: i64, entropy: u64) -> Self {
        Self::at_tick(now_ms.saturating_mul(10), entropy)
    }

    /// The number made of a tick, a tenth of a millisecond since 1970, and 60 bits of `entropy`:
    /// the Beijing day, the tick of that day, the entropy; 26 characters.
    ///
    /// Numbers rise with their ticks; whoever places orders gives each a tick of its own.
    pub fn at_tick(tick: i64, entropy: u64) -> Self {
        const DAY: i64 = 864_000_000;
        let day = Timestamp::from_unix(tick.div_euclid(10_000)).compact();
        let tick_of_day = tick.saturating_add(DAY / 3).rem_euclid(DAY);
        let mut text = day[..8].to_owned();
        push_base32(&mut text, u64::try_from(tick_of_day).unwrap_or(0), 6);
        push_base32(&mut text, entropy, 12);
        Self(text)
    }
}

impl RefundNo {
    /// The number of a refund written down at `now_ms`, milliseconds since 1970: `R`, the Beijing
    /// second, and 60 bits of `entropy`. 27 characters; never given out again, not even by an
    /// older copy of the store, because nothing that is stored goes into it.
    pub fn new(now_ms: i64, entropy: u64) -> Self {
        let second = Timestamp::from_unix(now_ms.div_euclid(1000)).compact();
        let mut text = format!("R{second}");
        push_base32(&mut text, entropy, 12);
        Self(text)
    }
}

impl RefundNo {
    /// The number of the `nth` refund of money that must go back: made of the payment alone, so
    /// that a store that forgot it, being an older copy, asks WeChat for the same refund again.
    pub fn owed(paid: &TransactionId, placed_at: Timestamp, nth: usize) -> Self {
        let digest = super::hash::sha256(format!("{nth} {paid}").as_bytes());
        let entropy = digest
            .first_chunk()
            .map_or(0, |first| u64::from_be_bytes(*first));
        Self::new(placed_at.unix().saturating_mul(1000), entropy)
    }
}

/// The number of one payment attempt at WeChat: `<order_no>`, then `<order_no>_2`, `_3`, …
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OutTradeNo {
    order_no: OrderNo,
    attempt: u16,
}

impl OutTradeNo {
    /// The number of the `attempt`-th attempt (from 1) of an order.
    pub fn new(order_no: OrderNo, attempt: u16) -> Self {
        Self {
            order_no,
            attempt: attempt.max(1),
        }
    }

    /// The order that this attempt pays.
    pub fn order_no(&self) -> &OrderNo {
        &self.order_no
    }

    /// Which attempt of the order this is, from 1.
    pub fn attempt(&self) -> u16 {
        self.attempt
    }
}

impl fmt::Display for OutTradeNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempt {
            1 => write!(f, "{}", self.order_no),
            n => write!(f, "{}_{n}", self.order_no),
        }
    }
}

impl FromStr for OutTradeNo {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = BadId {
            kind: "out_trade_no",
            rule: "an order_no, or an order_no and _2, _3, …",
        };
        let Some((order_no, attempt)) = text.split_once('_') else {
            return Ok(Self::new(text.parse()?, 1));
        };
        let attempt: u16 = attempt.parse().map_err(|_| bad.clone())?;
        let number = Self::new(order_no.parse()?, attempt);
        // One text a number: `_1`, `_02` and `_+2` are not ours.
        if number.to_string() == text {
            Ok(number)
        } else {
            Err(bad)
        }
    }
}

/// Declares one number id, counted from 1.
macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The id with this number.
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// The bare number.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let bad = BadId { kind: $kind, rule: "a whole number from 1" };
                let digits = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
                match text.parse() {
                    Ok(number) if digits => Ok(Self(number)),
                    _ => Err(bad),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number_id!(
    /// A user, numbered from 1 and never again.
    Uid, "uid"
);
number_id!(
    /// A kind of goods, numbered from 1 and never again.
    GoodsId, "goods_id"
);

#[cfg(test)]
mod tests {
    use super::*;

    const BASE_MS: i64 = 1_767_196_830_000;

    #[test]
    fn an_order_number_is_legal_rises_and_holds_sixty_random_bits() {
        let a = OrderNo::new(BASE_MS, 0);
        let b = OrderNo::new(BASE_MS + 1, 0);
        assert_eq!(a.as_str(), "202601010094Z0000000000000");
        assert!(a < b, "{a} {b}");
        let tick = OrderNo::at_tick(BASE_MS * 10 + 1, 0);
        assert!(OrderNo::new(BASE_MS, u64::MAX) < tick && tick < b, "{tick}");
        assert!(
            OrderNo::new(BASE_MS + 86_400_000, 0) > OrderNo::new(BASE_MS + 3_600_000, u64::MAX)
        );
        assert!(
            OrderNo::new(BASE_MS, u64::MAX)
                .as_str()
                .ends_with("ZZZZZZZZZZZZ")
        );
        assert_eq!(a.as_str().parse::<OrderNo>(), Ok(a));
    }

    #[test]
    fn a_refund_number_is_legal_and_differs_in_every_one_of_sixty_bits() {
        let zero = RefundNo::new(BASE_MS, 0);
        assert_eq!(zero.as_str(), "R20260101000030000000000000");
        assert_eq!(zero.as_str().parse::<RefundNo>(), Ok(zero.clone()));
        for bit in 0..60 {
            assert_ne!(RefundNo::new(BASE_MS, 1 << bit), zero, "{bit}");
        }
        for text in ["", "a b", "a/b", &"1".repeat(65)] {
            assert!(text.parse::<RefundNo>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_refund_of_owed_money_has_one_number_for_each_payment_and_turn() {
        let at = Timestamp::from_unix(BASE_MS / 1000);
        let paid = |n: u32| format!("4200{n}").parse().unwrap();
        let first = RefundNo::owed(&paid(1), at, 0);
        assert_eq!(RefundNo::owed(&paid(1), at, 0), first);
        assert_ne!(RefundNo::owed(&paid(2), at, 0), first);
        assert_ne!(RefundNo::owed(&paid(1), at, 1), first);
        assert!(first.as_str().starts_with("R20260101000030"), "{first}");
    }

    #[test]
    fn an_attempt_number_reads_back_in_one_spelling_only() {
        let order_no = OrderNo::new(BASE_MS, 7);
        for attempt in [1, 2, 31, u16::MAX] {
            let number = OutTradeNo::new(order_no.clone(), attempt);
            assert_eq!(number.to_string().parse(), Ok(number.clone()));
            assert!(number.to_string().len() <= 32);
        }
        for tail in ["_1", "_0", "_02", "_+2", "_", "_2_2", "_x", "_65536"] {
            assert!(
                format!("{order_no}{tail}").parse::<OutTradeNo>().is_err(),
                "{tail}"
            );
        }
    }

    #[test]
    fn ids_refuse_what_breaks_their_rule() {
        assert!("o".repeat(129).parse::<OpenId>().is_err());
        assert!("has blank".parse::<OpenId>().is_err());
        assert!("".parse::<TransactionId>().is_err());
        assert!("short".parse::<OrderNo>().is_err());
        assert!("20260101-0000-0000".parse::<OrderNo>().is_err());
        for text in ["0", "01", "-1", "+1", "", "1.0", "99999999999999999999"] {
            assert!(text.parse::<GoodsId>().is_err(), "{text:?}");
        }
    }
}
