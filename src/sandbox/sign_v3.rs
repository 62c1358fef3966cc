//! The v3 strings as WeChat builds them and the `Authorization` header, from the documents alone.
//!
//! Nothing here judges an order; see `order_v3`.

use crate::base::Timestamp;
use crate::base::rsa::PrivateKey;
use crate::base::secret::random_text;

/// The only scheme there is. Source: 微信支付 APIv3 · 签名生成.
pub(super) const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";

/// The five items of an `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authorization<'a> {
    pub(super) mchid: &'a str,
    pub(super) serial_no: &'a str,
    pub(super) nonce_str: &'a str,
    pub(super) timestamp: &'a str,
    pub(super) signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads the header: the scheme, then five quoted items in any order, each exactly once.
    ///
    /// Source: 微信支付 APIv3 · 签名生成, 设置HTTP头.
    pub(super) fn read(header: &'a str) -> Option<Self> {
        let items = header.strip_prefix(SCHEME)?.strip_prefix(' ')?;
        let names = ["mchid", "serial_no", "nonce_str", "timestamp", "signature"];
        let mut found: [Option<&str>; 5] = [None; 5];
        for item in items.split(',') {
            let (name, quoted) = item.trim().split_once('=')?;
            let at = names.iter().position(|known| *known == name)?;
            let value = quoted.strip_prefix('"')?.strip_suffix('"')?;
            if value.is_empty() || value.contains('"') || found[at].replace(value).is_some() {
                return None;
            }
        }
        let [mchid, serial_no, nonce_str, timestamp, signature] = found;
        Some(Self {
            mchid: mchid?,
            serial_no: serial_no?,
            nonce_str: nonce_str?,
            timestamp: timestamp?,
            signature: signature?,
        })
    }

    /// The header's moment: seconds in plain digits.
    pub(super) fn at(&self) -> Option<Timestamp> {
        let digits = self.timestamp.bytes().all(|b| b.is_ascii_digit());
        let seconds = self.timestamp.parse().ok().filter(|_| digits)?;
        Some(Timestamp::from_unix(seconds))
    }
}

/// Lines, each ended by LF, the last one too.
pub(super) fn lines(parts: &[&[u8]]) -> Vec<u8> {
    let mut text = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for part in parts {
        text.extend_from_slice(part);
        text.push(b'\n');
    }
    text
}

/// What a request signs: method, raw target, timestamp, nonce, raw body.
///
/// Source: 微信支付 APIv3 · 签名生成.
pub(super) fn request_string(
    (method, target): (&str, &str),
    authorization: &Authorization<'_>,
    body: &[u8],
) -> Vec<u8> {
    lines(&[
        method.as_bytes(),
        target.as_bytes(),
        authorization.timestamp.as_bytes(),
        authorization.nonce_str.as_bytes(),
        body,
    ])
}

/// What an answer or a notify signs: timestamp, nonce, raw body. Source: 微信支付 APIv3 · 签名验证.
pub(super) fn answer_string(timestamp: &str, nonce: &str, body: &[u8]) -> Vec<u8> {
    lines(&[timestamp.as_bytes(), nonce.as_bytes(), body])
}

/// What `paySign` signs: appid, timeStamp, nonceStr, package. Source: 微信支付 APIv3 · 小程序调起支付.
pub(super) fn pay_string(appid: &str, time_stamp: &str, nonce: &str, package: &str) -> Vec<u8> {
    let parts = [appid, time_stamp, nonce, package];
    lines(&parts.map(str::as_bytes))
}

/// The `Wechatpay-*` headers of one answer or notify.
pub(super) fn wechatpay_headers(
    key: &PrivateKey,
    serial: &str,
    now: Timestamp,
    body: &[u8],
) -> Vec<(&'static str, String)> {
    let (timestamp, nonce) = (now.unix().to_string(), random_text(32));
    let signature = key.sign(&answer_string(&timestamp, &nonce, body));
    vec![
        ("Wechatpay-Timestamp", timestamp),
        ("Wechatpay-Nonce", nonce),
        ("Wechatpay-Serial", serial.to_owned()),
        ("Wechatpay-Signature", signature),
        ("Wechatpay-Signature-Type", SCHEME.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_in_any_order_and_only_when_whole() {
        let good = "WECHATPAY2-SHA256-RSA2048 serial_no=\"S\",mchid=\"M\",nonce_str=\"N\",\
                    timestamp=\"1767196830\",signature=\"a/b+c==\"";
        let read = Authorization::read(good).expect("whole");
        assert_eq!(
            (read.mchid, read.serial_no, read.nonce_str),
            ("M", "S", "N")
        );
        assert_eq!(read.signature, "a/b+c==");
        assert_eq!(read.at(), Some(Timestamp::from_unix(1_767_196_830)));
        let bad = [
            String::new(),
            good.replace("WECHATPAY2-SHA256-RSA2048 ", ""),
            good.replace("RSA2048 ", "RSA2048"),
            good.replace("SHA256", "SM2"),
            good.replace("mchid=\"M\",", ""),
            good.replace("\"M\"", "M"),
            good.replace("\"M\"", "\"\""),
            format!("{good},mchid=\"M\""),
            format!("{good},more=\"1\""),
        ];
        for header in bad {
            assert_eq!(Authorization::read(&header), None, "{header}");
        }
    }

    #[test]
    fn a_timestamp_that_is_not_plain_seconds_has_no_moment() {
        let header = "WECHATPAY2-SHA256-RSA2048 serial_no=\"S\",mchid=\"M\",nonce_str=\"N\",\
                      timestamp=\"T\",signature=\"x\"";
        for text in ["-1", "+1767196830", "1767196830.5", "now", " 1767196830"] {
            let header = header.replace("\"T\"", &format!("\"{text}\""));
            let at = Authorization::read(&header).and_then(|read| read.at());
            assert_eq!(at, None, "{text}");
        }
    }
}
