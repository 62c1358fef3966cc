//! What a payment is opened with, in words that both protocols understand.
//!
//! Pure. How v2 and v3 write it down is in [`super::v2::order`] and [`super::v3::prepay`].

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{AppId, Fen, MchId, OpenId, PrepayId, Timestamp};

use super::v2::SignType;

pub use crate::model::Protocol;

impl Protocol {
    /// The v2 protocol with this digest.
    pub const fn v2(sign_type: SignType) -> Self {
        match sign_type {
            SignType::Md5 => Self::V2Md5,
            SignType::HmacSha256 => Self::V2HmacSha256,
        }
    }

    /// The v2 digest; `None` for v3.
    pub const fn sign_type(self) -> Option<SignType> {
        match self {
            Self::V2Md5 => Some(SignType::Md5),
            Self::V2HmacSha256 => Some(SignType::HmacSha256),
            Self::V3 => None,
        }
    }

    /// A short stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2Md5 => "v2-md5",
            Self::V2HmacSha256 => "v2-hmac-sha256",
            Self::V3 => "v3",
        }
    }

    /// The shortest time a buyer must be given to pay.
    ///
    /// v2's servers refuse less than five minutes, v3 moves less than one minute out by itself;
    /// each with a minute to spare for the clocks. Source: 微信支付 APIv2, APIv3 · 下单 · `time_expire`.
    const fn shortest(self) -> Duration {
        match self {
            Self::V2Md5 | Self::V2HmacSha256 => Duration::from_secs(6 * 60),
            Self::V3 => Duration::from_secs(2 * 60),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        [Self::V2Md5, Self::V2HmacSha256, Self::V3]
            .into_iter()
            .find(|protocol| protocol.as_str() == text)
            .ok_or(UnknownProtocol)
    }
}

/// A name that is no [`Protocol`]'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a protocol")]
pub struct UnknownProtocol;

/// Who asks: the mini program and the merchant number bound to it.
#[derive(Clone, Copy, Debug)]
pub struct Payee<'a> {
    /// The mini program's AppID.
    pub appid: &'a AppId,
    /// The merchant number.
    pub mchid: &'a MchId,
}

/// A payment to be opened at WeChat.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The attempt's own number, 6 to 32 of `[0-9A-Za-z_-]`.
    pub out_trade_no: String,
    /// What is sold; cleaned by [`description`] before it is sent.
    pub description: String,
    /// The price.
    pub amount: Fen,
    /// Who pays.
    pub openid: OpenId,
    /// Where WeChat tells of the payment; no query string.
    pub notify_url: String,
    /// Until when the buyer may pay; moved out to what the protocol allows.
    pub time_expire: Timestamp,
    /// When this attempt is made.
    pub created_at: Timestamp,
    /// The buyer's address.
    pub client_ip: IpAddr,
}

impl Wanted {
    /// `time_expire`, or later where `protocol` demands more time than that.
    pub fn time_expire(&self, protocol: Protocol) -> Timestamp {
        self.time_expire
            .max(self.created_at.plus(protocol.shortest()))
    }
}

/// A payment to be opened, exactly as it is repeated: stored before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrepayRequest {
    /// How it is signed and where it goes.
    pub protocol: Protocol,
    /// v3: the exact JSON body. v2: the fields less `nonce_str` and `sign`, as XML.
    pub text: String,
    /// The `time_expire` inside `text`.
    pub time_expire: Timestamp,
}

/// The object for `wx.requestPayment`, with WeChat's names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayParams {
    /// Seconds since 1970, as text.
    #[serde(rename = "timeStamp")]
    pub time_stamp: String,
    /// A fresh random text.
    #[serde(rename = "nonceStr")]
    pub nonce_str: String,
    /// `prepay_id=…`.
    pub package: String,
    /// `MD5`, `HMAC-SHA256` or `RSA`.
    #[serde(rename = "signType")]
    pub sign_type: String,
    /// The second signature.
    #[serde(rename = "paySign")]
    pub pay_sign: String,
}

/// What the second signing is made of, beside the key.
#[derive(Clone, Debug)]
pub struct SecondSigning<'a> {
    /// The appid of the running mini program; signed, but not handed to the client.
    pub appid: &'a str,
    /// Now.
    pub now: Timestamp,
    /// A fresh random text, at most 32 characters.
    pub nonce_str: String,
    /// The opened payment.
    pub prepay_id: &'a PrepayId,
}

/// The most bytes of a description. Whether WeChat counts bytes or characters is not documented.
const DESCRIPTION_MAX_BYTES: usize = 127;

/// `text` as WeChat takes it: without characters beyond the BMP and without control characters,
/// cut at 127 bytes on a character boundary.
///
/// Source: 微信支付 APIv3 · 基本规则 (字符集), 下单 · `description`; APIv2 · 统一下单 · `body`.
pub fn description(text: &str) -> String {
    cut(text, DESCRIPTION_MAX_BYTES)
}

/// `text` without what WeChat does not take, cut at `max_bytes` on a character boundary.
pub(super) fn cut(text: &str, max_bytes: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(max_bytes));
    for c in text.chars().filter(|&c| is_sendable(c)) {
        if clean.len() + c.len_utf8() > max_bytes {
            break;
        }
        clean.push(c);
    }
    clean
}

/// Whether `c` may stand both in v3's JSON and in XML 1.0.
fn is_sendable(c: char) -> bool {
    !c.is_control() && c < '\u{fffe}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_loses_emoji_and_control_characters_and_is_cut_between_characters() {
        assert_eq!(
            description("红富士🍎苹果\r\n\u{0}5斤\u{ffff}"),
            "红富士苹果5斤"
        );
        let long = description(&"中".repeat(100));
        assert_eq!(long, "中".repeat(42));
        assert_eq!(description(&"a".repeat(200)).len(), 127);
        assert_eq!(description("🍎\u{7f}"), "");
    }

    #[test]
    fn the_expiry_is_moved_out_to_what_the_protocol_allows_and_no_further() {
        let created_at = Timestamp::from_unix(1_767_196_830);
        let after = |seconds| created_at.plus(Duration::from_secs(seconds));
        let table = [
            (Protocol::V2Md5, 1, 360),
            (Protocol::V2HmacSha256, 359, 360),
            (Protocol::V2Md5, 361, 361),
            (Protocol::V3, 1, 120),
            (Protocol::V3, 1800, 1800),
        ];
        for (protocol, asked, given) in table {
            let wanted = Wanted {
                time_expire: after(asked),
                ..crate::wechat::v2::order::tests::wanted(created_at)
            };
            assert_eq!(
                wanted.time_expire(protocol),
                after(given),
                "{protocol} {asked}"
            );
        }
    }

    #[test]
    fn a_protocol_reads_back_from_its_name() {
        for protocol in [Protocol::V2Md5, Protocol::V2HmacSha256, Protocol::V3] {
            assert_eq!(protocol.as_str().parse(), Ok(protocol));
        }
        assert_eq!("v4".parse::<Protocol>(), Err(UnknownProtocol));
    }
}
