//! Phone numbers: the codes of the `getPhoneNumber` button, good once, for five minutes.
//!
//! Source: 小程序 · 获取手机号.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::errcodes::INVALID_CODE;
use crate::base::secret::random_text;
use crate::base::{AppId, OpenId, Timestamp};
use crate::sandbox::login::Errcode;
use crate::sandbox::shelf::Shelf;

const CODE_LIFE: Duration = Duration::from_secs(5 * 60);
const KEPT: usize = 50_000;

/// The body of `getuserphonenumber`.
#[derive(Deserialize)]
pub(super) struct PhoneAsked {
    code: Option<String>,
    openid: Option<String>,
}

/// A number as a buyer gave it: `13812345678`, or abroad `+852-61234567`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phone {
    country: String,
    number: String,
}

impl Phone {
    /// Reads a number; `None` when it is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (country, number) = match text.strip_prefix('+') {
            Some(abroad) => abroad.split_once('-')?,
            None => ("86", text),
        };
        let digits = |text: &str, length: std::ops::RangeInclusive<usize>| {
            length.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        };
        let right = digits(country, 1..=4) && digits(number, 5..=15);
        right.then(|| Self {
            country: country.to_owned(),
            number: number.to_owned(),
        })
    }

    /// The number with its country code when it is foreign.
    fn whole(&self) -> String {
        match self.country.as_str() {
            "86" => self.number.clone(),
            country => format!("+{country}{}", self.number),
        }
    }
}

struct PhoneCode {
    openid: OpenId,
    phone: Phone,
    made_at: Timestamp,
    used: bool,
}

/// The codes given out.
pub(super) struct Phones(Shelf<PhoneCode>);

impl Phones {
    pub(super) fn new() -> Self {
        Self(Shelf::new(KEPT))
    }

    /// A fresh code, as the button would give it to the page.
    pub(super) fn new_code(&mut self, openid: OpenId, phone: Phone, now: Timestamp) -> String {
        let code = random_text(64);
        let made = PhoneCode {
            openid,
            phone,
            made_at: now,
            used: false,
        };
        self.0.put(code.clone(), made);
        code
    }

    /// Exchanges a code, which is spent by it.
    pub(super) fn redeem(
        &mut self,
        asked: &PhoneAsked,
        appid: &AppId,
        now: Timestamp,
    ) -> Result<Value, Errcode> {
        let code = asked.code.as_deref().and_then(|code| self.0.get_mut(code));
        let code = code.ok_or(INVALID_CODE)?;
        let other = |openid: &String| openid != code.openid.as_str();
        let stale = now.since(code.made_at) >= CODE_LIFE;
        if stale || code.used || asked.openid.as_ref().is_some_and(other) {
            return Err(INVALID_CODE);
        }
        code.used = true;
        Ok(json!({"phone_info": {
            "phoneNumber": code.phone.whole(),
            "purePhoneNumber": code.phone.number,
            "countryCode": code.phone.country,
            "watermark": {"timestamp": now.unix(), "appid": appid},
        }}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_number_is_told_with_its_country_and_a_bad_one_is_none() {
        let whole = |text: &str| Phone::read(text).map(|phone| phone.whole());
        assert_eq!(whole("13812345678").as_deref(), Some("13812345678"));
        assert_eq!(whole("+852-61234567").as_deref(), Some("+85261234567"));
        for bad in ["", "1381234567x", "+85261234567", "+-61234567", "1234"] {
            assert_eq!(whole(bad), None, "{bad}");
        }
    }
}
