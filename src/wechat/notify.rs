//! A payment notification, whichever protocol it speaks: verified, or refused with the reason.
//!
//! Pure. A [`PaidNotice`] exists only when its signature was verified.

use crate::base::Timestamp;
use crate::base::xml::Fields;

use super::paid::PaidNotice;
use super::prepay::Protocol;
use super::refund::RefundNotice;
use super::v2::{self, SignType, V2Keys};
use super::v3::{self, SignatureFault, SignatureHeaders, V3Keys};

/// Why a notification is refused. None of them may change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotifyRefusal {
    /// The protocol it speaks has no key in the configuration.
    #[error("此协议的密钥没有配置")]
    NotConfigured,
    /// Not XML, not JSON, or the named field is missing or malformed.
    #[error("通知无法读取：{0}")]
    Unreadable(&'static str),
    /// The signature, or what surrounds it, is not WeChat's.
    #[error("{0}")]
    Signature(SignatureFault),
    /// The v2 signature is missing or wrong.
    #[error("签名不对")]
    BadSignature,
    /// `resource_type` is not `encrypt-resource`.
    #[error("resource_type 不是 encrypt-resource")]
    ResourceType,
    /// The cipher is not `AEAD_AES_256_GCM`.
    #[error("不支持的加密算法")]
    Algorithm,
    /// The sealed part does not open under our key.
    #[error("密文无法用本商户的密钥解开")]
    CannotOpen,
    /// A genuine message, but not of a successful payment.
    #[error("不是支付成功的通知")]
    NotPaid,
    /// A genuine message, but not of a refund.
    #[error("不是退款结果的通知")]
    NotARefund,
}

impl NotifyRefusal {
    /// Whether this is WeChat's own signature probe: refused like any bad signature, no alarm.
    ///
    /// Source: 微信支付 APIv3 · 回调通知注意事项 · 签名探测.
    pub fn is_probe(self) -> bool {
        self == Self::Signature(SignatureFault::Probe)
    }
}

/// A notification, opened as far as it can be without knowing its attempt.
#[derive(Clone, Debug)]
pub enum Opened {
    /// v3: verified and decrypted.
    Paid(PaidNotice),
    /// v2: only its number may be read, to find the attempt whose sign type verifies it.
    Unverified(UnverifiedNotice),
    /// Genuine, but of another event than a payment, such as `REFUND.SUCCESS`.
    Other {
        /// WeChat's name of the event; `REFUND` for a v2 refund.
        event_type: String,
    },
}

/// A v2 notification whose signature is not checked yet.
#[derive(Clone, Debug)]
pub struct UnverifiedNotice {
    fields: Fields,
}

impl UnverifiedNotice {
    /// The number it claims to pay. To look an attempt up by, and for nothing else.
    pub fn out_trade_no(&self) -> &str {
        self.fields.text("out_trade_no")
    }

    /// Verifies it with the protocol of its attempt. Without one, or with a v3 attempt, it is
    /// verified by itself, to tell a genuine notice that matches nothing from a forged one.
    ///
    /// # Errors
    /// [`NotifyRefusal`], by the first check that fails.
    ///
    /// Source: 微信支付 APIv2 · 签名算法, 支付结果通知.
    pub fn verify(
        self,
        attempt: Option<Protocol>,
        keys: Option<&V2Keys>,
    ) -> Result<PaidNotice, NotifyRefusal> {
        let keys = configured_v2(keys)?;
        let sign_type = match attempt.map(Protocol::sign_type) {
            Some(Some(sign_type)) => sign_type,
            // A v3 attempt, or none: whether it is genuine must be known all the same.
            Some(None) | None => self.signed_with(keys),
        };
        v2::notify::read_paid(&self.fields, &keys.key, sign_type)
    }

    /// The sign type it declares, or else the one that its signature holds in.
    fn signed_with(&self, keys: &V2Keys) -> SignType {
        let declared = self.fields.text("sign_type").parse().ok();
        let other = match keys.sign_type {
            SignType::Md5 => SignType::HmacSha256,
            SignType::HmacSha256 => SignType::Md5,
        };
        let holds = v2::sign::verifies(&self.fields, &keys.key, other);
        declared.unwrap_or(if holds { other } else { keys.sign_type })
    }
}

/// Our keys, as far as they are configured.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// v2's.
    pub v2: Option<&'a V2Keys>,
    /// v3's.
    pub v3: Option<&'a V3Keys>,
}

/// Opens a notification as far as it can be without its attempt.
///
/// # Errors
/// [`NotifyRefusal`], by the first check that fails.
pub fn open(
    headers: &SignatureHeaders<'_>,
    body: &[u8],
    keys: Keys<'_>,
    now: Timestamp,
) -> Result<Opened, NotifyRefusal> {
    if is_xml(body) {
        return open_v2(body, keys.v2);
    }
    v3::notify::open(headers, body, configured_v3(keys.v3)?, now)
}

/// Opens a notification of a refund, in either protocol.
///
/// # Errors
/// [`NotifyRefusal`], by the first check that fails.
///
/// Source: 微信支付 APIv2, APIv3 · 退款结果通知.
pub fn open_refund(
    headers: &SignatureHeaders<'_>,
    body: &[u8],
    keys: Keys<'_>,
    now: Timestamp,
) -> Result<RefundNotice, NotifyRefusal> {
    if is_xml(body) {
        return v2::notify::open_refund(body, configured_v2(keys.v2)?);
    }
    v3::notify::open_refund(headers, body, configured_v3(keys.v3)?, now)
}

/// Told apart by content: XML starts with `<`, whatever `Content-Type` says.
fn is_xml(body: &[u8]) -> bool {
    let first = body.trim_ascii_start().first();
    first == Some(&b'<') || body.starts_with("\u{feff}".as_bytes())
}

fn open_v2(body: &[u8], keys: Option<&V2Keys>) -> Result<Opened, NotifyRefusal> {
    let keys = configured_v2(keys)?;
    let fields = Fields::parse(body, "xml").map_err(|_| NotifyRefusal::Unreadable("XML"))?;
    if let Some(req_info) = fields.get("req_info") {
        v2::notify::open_req_info(req_info, &keys.key)?;
        let event_type = "REFUND".to_owned();
        return Ok(Opened::Other { event_type });
    }
    Ok(Opened::Unverified(UnverifiedNotice { fields }))
}

fn configured_v2(keys: Option<&V2Keys>) -> Result<&V2Keys, NotifyRefusal> {
    keys.filter(|keys| !keys.key.is_empty())
        .ok_or(NotifyRefusal::NotConfigured)
}

fn configured_v3(keys: Option<&V3Keys>) -> Result<&V3Keys, NotifyRefusal> {
    keys.filter(|keys| !keys.api_key.is_empty())
        .ok_or(NotifyRefusal::NotConfigured)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::base::Secret;
    use crate::wechat::v2::sign::sign;
    use crate::wechat::vectors::{self, text};

    const KEY: &str = "0123456789abcdefghijklmnopqrstuv";

    fn keys(key: &str) -> V2Keys {
        V2Keys {
            key: Secret::from(key),
            sign_type: SignType::HmacSha256,
        }
    }

    fn message(sign_type: SignType, declared: bool) -> String {
        let mut fields = vectors::fields(&vectors::v2("xml_parse")[0]["expected"]);
        fields.remove("sign");
        if declared {
            fields.set("sign_type", sign_type.as_str());
        }
        let signature = sign(&fields, &keys(KEY).key, sign_type);
        fields.with("sign", signature).to_xml()
    }

    fn opened(body: &str, keys: &V2Keys) -> Result<Opened, NotifyRefusal> {
        let none = SignatureHeaders::read(|_| None);
        open(
            &none,
            body.as_bytes(),
            Keys {
                v2: Some(keys),
                v3: None,
            },
            Timestamp::from_unix(0),
        )
    }

    fn verified(body: &str, attempt: Option<Protocol>) -> Result<Protocol, NotifyRefusal> {
        let keys = keys(KEY);
        match opened(body, &keys)? {
            Opened::Unverified(notice) => {
                assert_eq!(notice.out_trade_no(), "T20260101000001");
                notice
                    .verify(attempt, Some(&keys))
                    .map(|paid| paid.protocol)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_v2_notice_is_believed_in_the_sign_type_of_its_own_attempt_only() {
        use Protocol::{V2HmacSha256, V2Md5, V3};
        let (md5, hmac) = (SignType::Md5, SignType::HmacSha256);
        let bad = Err(NotifyRefusal::BadSignature);
        let table = [
            (message(md5, false), Some(V2Md5), Ok(V2Md5)),
            (message(md5, true), Some(V2Md5), Ok(V2Md5)),
            (message(hmac, false), Some(V2HmacSha256), Ok(V2HmacSha256)),
            (message(md5, true), Some(V2HmacSha256), bad),
            (message(hmac, true), Some(V2Md5), bad),
            (message(md5, false), Some(V3), Ok(V2Md5)),
            (message(hmac, true), Some(V3), Ok(V2HmacSha256)),
            (message(md5, true), None, Ok(V2Md5)),
            (message(hmac, false), None, Ok(V2HmacSha256)),
            (message(md5, false), None, Ok(V2Md5)),
            (message(md5, false).replace("<sign>", "<sign>X"), None, bad),
            (message(md5, false).replace("788", "789"), None, bad),
            (message(md5, false).replace("788", "789"), Some(V3), bad),
        ];
        for (at, (body, attempt, want)) in table.into_iter().enumerate() {
            assert_eq!(verified(&body, attempt), want, "row {at}");
        }
    }

    #[test]
    fn a_protocol_without_key_refuses_every_message() {
        let refused = Err(NotifyRefusal::NotConfigured);
        let body = message(SignType::Md5, false);
        assert_eq!(opened(&body, &keys("")).map(|_| ()), refused);
        let none = SignatureHeaders::read(|_| None);
        let no_keys = Keys { v2: None, v3: None };
        for body in [body.as_bytes(), b"{}", b""] {
            assert_eq!(
                open(&none, body, no_keys, Timestamp::from_unix(0)).map(|_| ()),
                refused
            );
        }
    }

    #[test]
    fn a_v2_refund_notice_is_another_event_when_it_opens_and_refused_when_not() {
        let vector = &vectors::v2("refund_req_info")[0];
        let body = |req_info: &str| {
            Fields::new()
                .with("return_code", "SUCCESS")
                .with("req_info", req_info)
                .to_xml()
        };
        let genuine = opened(&body(text(vector, "req_info")), &keys(KEY));
        assert!(matches!(genuine, Ok(Opened::Other { event_type }) if event_type == "REFUND"));
        let forged = opened(&body("AAAA"), &keys(KEY));
        assert_eq!(forged.map(|_| ()), Err(NotifyRefusal::CannotOpen));
    }
}
