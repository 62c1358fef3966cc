//! Verifying what WeChat signed: answers and notifications of v3. Pure.

use std::fmt;

use crate::base::Timestamp;
use crate::base::rsa::PublicKey;

use super::certificates::PlatformCertificate;

/// How far a signed timestamp may be from our clock, in seconds; this much is too far.
const WINDOW_S: u64 = 300;

/// The start of a signature that WeChat made wrong on purpose.
const PROBE: &str = "WECHATPAY/SIGNTEST/";

/// The one signature scheme of RSA merchants.
const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";

/// Why a signed message is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// The named header is missing or empty.
    #[error("缺少签名头 {0}")]
    MissingHeader(&'static str),
    /// Another scheme than RSA with SHA-256.
    #[error("不支持的签名类型")]
    SignatureType,
    /// The timestamp is no number, or five minutes or more from our clock.
    #[error("时间戳与本机时钟相差 5 分钟以上")]
    Timestamp,
    /// Signed with a key we do not have.
    #[error("未知的微信支付公钥或平台证书序列号")]
    UnknownSerial,
    /// The signature does not verify.
    #[error("签名不对")]
    BadSignature,
    /// The signature does not verify, and WeChat made it so, to see whether we look.
    #[error("微信支付的签名探测")]
    Probe,
}

/// The headers that WeChat signs with. Source: 微信支付 APIv3 · 如何验证签名.
#[derive(Clone, Copy, Debug)]
pub struct SignatureHeaders<'a> {
    timestamp: Option<&'a str>,
    nonce: Option<&'a str>,
    serial: Option<&'a str>,
    signature: Option<&'a str>,
    signature_type: Option<&'a str>,
}

impl<'a> SignatureHeaders<'a> {
    /// Takes the headers from `get`, which looks a header up without regard to case.
    pub fn read(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let get = |name| get(name).filter(|value| !value.is_empty());
        Self {
            timestamp: get("wechatpay-timestamp"),
            nonce: get("wechatpay-nonce"),
            serial: get("wechatpay-serial"),
            signature: get("wechatpay-signature"),
            signature_type: get("wechatpay-signature-type"),
        }
    }

    /// The serial of the key it is signed with.
    pub fn serial(&self) -> Option<&'a str> {
        self.serial
    }

    /// Whether everything that a signature needs is there.
    pub fn are_whole(&self) -> bool {
        let all = [self.timestamp, self.nonce, self.serial, self.signature];
        all.iter().all(Option::is_some)
    }

    /// Verifies that WeChat signed `body`, the exact bytes, now or a little while ago.
    ///
    /// The key is the one that the serial names; no other is tried.
    ///
    /// # Errors
    /// [`SignatureFault`], by the first check that fails, in the order of the variants.
    ///
    /// Source: 微信支付 APIv3 · 如何验证签名.
    pub fn verify(
        &self,
        body: &[u8],
        keys: &Keyring,
        now: Timestamp,
    ) -> Result<(), SignatureFault> {
        let missing = SignatureFault::MissingHeader;
        let timestamp = self.timestamp.ok_or(missing("Wechatpay-Timestamp"))?;
        let nonce = self.nonce.ok_or(missing("Wechatpay-Nonce"))?;
        let serial = self.serial.ok_or(missing("Wechatpay-Serial"))?;
        let signature = self.signature.ok_or(missing("Wechatpay-Signature"))?;
        if self.signature_type.is_some_and(|scheme| scheme != SCHEME) {
            return Err(SignatureFault::SignatureType);
        }
        if !is_fresh(timestamp, now) {
            return Err(SignatureFault::Timestamp);
        }
        let found = keys.find(serial, now);
        let key = found.ok_or(SignatureFault::UnknownSerial)?;
        let text = [
            timestamp.as_bytes(),
            b"\n",
            nonce.as_bytes(),
            b"\n",
            body,
            b"\n",
        ]
        .concat();
        if key.verifies(&text, signature) {
            Ok(())
        } else if signature.starts_with(PROBE) {
            Err(SignatureFault::Probe)
        } else {
            Err(SignatureFault::BadSignature)
        }
    }
}

fn is_fresh(timestamp: &str, now: Timestamp) -> bool {
    let digits = timestamp.bytes().all(|b| b.is_ascii_digit());
    match timestamp.parse::<i64>() {
        Ok(at) if digits => at.abs_diff(now.unix()) < WINDOW_S,
        _ => false,
    }
}

/// The keys with which WeChat may sign, each under its serial: the configured public key, and
/// platform certificates. Both kinds may be in use at once, while a merchant switches.
///
/// Source: 微信支付 APIv3 · 如何从平台证书切换成微信支付公钥.
#[derive(Clone, Default)]
pub struct Keyring {
    public_key: Option<(String, PublicKey)>,
    /// By the moment they start, the newest last.
    certificates: Vec<PlatformCertificate>,
}

impl Keyring {
    /// The same ring with WeChat Pay's public key (微信支付公钥) under its `PUB_KEY_ID_…`.
    #[must_use]
    pub fn with_public_key(mut self, id: &str, key: PublicKey) -> Self {
        self.public_key = Some((id.to_owned(), key));
        self
    }

    /// The same ring with `found` added and without what is not valid any more.
    #[must_use]
    pub fn with_certificates(
        &self,
        found: impl IntoIterator<Item = PlatformCertificate>,
        now: Timestamp,
    ) -> Self {
        let mut ring = self.clone();
        for new in found {
            ring.certificates.retain(|known| known.serial != new.serial);
            ring.certificates.push(new);
        }
        ring.certificates.retain(|known| known.ends_at > now);
        ring.certificates.sort_by_key(|known| known.starts_at);
        ring
    }

    /// The platform certificates, the oldest first.
    pub fn platform(&self) -> &[PlatformCertificate] {
        &self.certificates
    }

    /// Every id and serial on the ring.
    pub fn serials(&self) -> Vec<&str> {
        let id = self.public_key.iter().map(|(id, _)| id.as_str());
        id.chain(self.certificates.iter().map(|known| known.serial.as_str()))
            .collect()
    }

    /// Whether a signature under `serial` can be verified now.
    pub fn knows(&self, serial: &str, now: Timestamp) -> bool {
        self.find(serial, now).is_some()
    }

    /// What a request names in `Wechatpay-Serial`: the key WeChat shall answer with.
    ///
    /// Source: 微信支付 APIv3 · 如何从平台证书切换成微信支付公钥.
    pub fn preferred_serial(&self, now: Timestamp) -> Option<&str> {
        self.sealing_key(now).map(|(serial, _)| serial)
    }

    /// The key that a request's sealed fields are sealed for, with the serial that names it: the
    /// public key, else that of the platform certificate which started last.
    ///
    /// Source: 微信支付 APIv3 · 敏感信息加解密, 平台证书更换.
    pub fn sealing_key(&self, now: Timestamp) -> Option<(&str, &PublicKey)> {
        if let Some((id, key)) = &self.public_key {
            return Some((id, key));
        }
        let mut newest_first = self.certificates.iter().rev();
        let newest = newest_first.find(|known| known.is_valid(now))?;
        Some((&newest.serial, &newest.key))
    }

    /// The key under exactly this serial. A public key's id is an opaque text; a certificate's
    /// serial is compared without regard to case and leading zeros, while it is valid.
    fn find(&self, serial: &str, now: Timestamp) -> Option<&PublicKey> {
        if let Some((id, key)) = &self.public_key
            && id == serial
        {
            return Some(key);
        }
        let serial = serial.trim_start_matches('0');
        let mut known = self.certificates.iter();
        let known = known.find(|known| known.serial.eq_ignore_ascii_case(serial))?;
        known.is_valid(now).then_some(&known.key)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.serials()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::base::rsa::PrivateKey;

    /// A certificate that is valid from second 1 to second 9.
    fn certificate(serial: &str, key: PublicKey) -> PlatformCertificate {
        PlatformCertificate {
            serial: serial.to_owned(),
            pem: String::new(),
            starts_at: Timestamp::from_unix(1),
            ends_at: Timestamp::from_unix(9),
            key,
        }
    }

    #[test]
    fn through_a_rotation_all_valid_serials_verify_and_the_last_started_one_seals() {
        let key = PrivateKey::generate().public();
        let at = Timestamp::from_unix;
        let dated = |serial: &str, starts: i64, ends: i64| PlatformCertificate {
            starts_at: at(starts),
            ends_at: at(ends),
            ..certificate(serial, key.clone())
        };
        let ring =
            Keyring::default().with_certificates([dated("B", 20, 40), dated("A", 1, 30)], at(1));
        for (second, a, b, seals) in [
            (0, false, false, None),
            (1, true, false, Some("A")),
            (20, true, true, Some("B")),
            (29, true, true, Some("B")),
            (30, false, true, Some("B")),
            (40, false, false, None),
        ] {
            assert_eq!(ring.knows("A", at(second)), a, "A {second}");
            assert_eq!(ring.knows("B", at(second)), b, "B {second}");
            assert_eq!(ring.preferred_serial(at(second)), seals, "{second}");
        }
        let later = ring.with_certificates([dated("C", 35, 50)], at(36));
        assert_eq!(later.serials(), ["B", "C"]);
    }

    #[test]
    fn a_serial_is_matched_whole_a_certificates_without_case_and_leading_zeros() {
        let (key, now) = (PrivateKey::generate().public(), Timestamp::from_unix(5));
        let ring = Keyring::default()
            .with_public_key("PUB_KEY_ID_01", key.clone())
            .with_certificates([certificate("A0B", key)], now);
        for known in ["PUB_KEY_ID_01", "A0B", "0a0b", "000A0B"] {
            assert!(ring.knows(known, now), "{known}");
        }
        for unknown in [
            "pub_key_id_01",
            "0PUB_KEY_ID_01",
            "PUB_KEY_ID_0",
            "A0B0",
            "",
            "0",
        ] {
            assert!(!ring.knows(unknown, now), "{unknown}");
        }
    }

    #[test]
    fn a_timestamp_is_fresh_below_five_minutes_either_way() {
        let now = Timestamp::from_unix(1_767_196_830);
        for (seconds, fresh) in [
            (0, true),
            (299, true),
            (300, false),
            (-299, true),
            (-300, false),
        ] {
            let text = (now.unix() + seconds).to_string();
            assert_eq!(is_fresh(&text, now), fresh, "{seconds}");
        }
        for text in [
            "+1767196830",
            "1767196830000",
            "",
            "-1",
            "99999999999999999999",
            "1e9",
        ] {
            assert!(!is_fresh(text, now), "{text}");
        }
    }
}
