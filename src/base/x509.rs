//! The little that is read from an X.509 certificate: serial, dates, RSA key.
//!
//! Nothing here says that a certificate is to be trusted: that is decided by how it came.

use data_encoding::HEXUPPER;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_cert::Certificate as X509;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

use super::Timestamp;
use super::rsa::PublicKey;

/// A certificate, read.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Its serial, upper-case hexadecimal without leading zeros.
    pub serial: String,
    /// From when it is valid.
    pub starts_at: Timestamp,
    /// Until when it is valid.
    pub ends_at: Timestamp,
    /// Its key.
    pub key: PublicKey,
}

/// Why a text is not a certificate we can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// Not a PEM block of a certificate.
    #[error("not a PEM block of a certificate")]
    Pem,
    /// A PEM block, but no X.509 certificate.
    #[error("not an X.509 certificate")]
    X509,
    /// Its key is not RSA of 2048 bits or more.
    #[error("its key is not RSA of 2048 bits or more")]
    Rsa,
}

impl Certificate {
    /// Reads PEM (`BEGIN CERTIFICATE`).
    ///
    /// # Errors
    /// [`BadCertificate`].
    pub fn from_pem(pem: &str) -> Result<Self, BadCertificate> {
        let der =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| BadCertificate::Pem)?;
        let read = X509::from_der(der.as_ref()).map_err(|_| BadCertificate::X509)?;
        let body = read.tbs_certificate();
        let spki = body.subject_public_key_info().to_der();
        let key = PublicKey::from_spki(&spki.map_err(|_| BadCertificate::X509)?);
        let serial = HEXUPPER.encode(body.serial_number().as_bytes());
        Ok(Self {
            serial: serial.trim_start_matches('0').to_owned(),
            starts_at: at(body.validity().not_before),
            ends_at: at(body.validity().not_after),
            key: key.map_err(|_| BadCertificate::Rsa)?,
        })
    }
}

/// What a certificate of any key says of whom it is for and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// From when it is valid.
    pub starts_at: Timestamp,
    /// Until when it is valid.
    pub ends_at: Timestamp,
    /// The host names it is for (`subjectAltName`), as written in it.
    pub names: Vec<String>,
}

impl Described {
    /// Reads DER.
    ///
    /// # Errors
    /// [`BadCertificate::X509`].
    pub fn from_der(der: &[u8]) -> Result<Self, BadCertificate> {
        let read = X509::from_der(der).map_err(|_| BadCertificate::X509)?;
        let body = read.tbs_certificate();
        let found = body.get_extension::<SubjectAltName>();
        let found = found.map_err(|_| BadCertificate::X509)?;
        let names = found.map_or_else(Vec::new, |(_, names)| names.0);
        let names = names.into_iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
            _ => None,
        });
        Ok(Self {
            starts_at: at(body.validity().not_before),
            ends_at: at(body.validity().not_after),
            names: names.collect(),
        })
    }
}

fn at(time: Time) -> Timestamp {
    let seconds = time.to_unix_duration().as_secs();
    Timestamp::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLATFORM: &str = include_str!("../../tests/golden/wechat/keys/platform_cert.pem");
    const KEY: &str = include_str!("../../tests/golden/wechat/keys/platform_pub.pem");

    #[test]
    fn serial_dates_and_key_are_the_certificates() {
        let read = Certificate::from_pem(PLATFORM).expect("a certificate");
        assert_eq!(read.serial, "35A8036F03BBB129471A896A6668A0AB10203969");
        assert_eq!(read.starts_at.rfc3339(), "2025-01-01T08:00:00+08:00");
        assert_eq!(read.ends_at.rfc3339(), "2045-01-01T08:00:00+08:00");
        assert_eq!(read.key.to_pem().trim(), KEY.trim());
    }

    #[test]
    fn what_is_no_certificate_is_named() {
        let read = |text: &str| Certificate::from_pem(text).err();
        assert_eq!(read("nothing"), Some(BadCertificate::Pem));
        assert_eq!(read(KEY), Some(BadCertificate::Pem));
        let junk = KEY.replace("PUBLIC KEY", "CERTIFICATE");
        assert_eq!(read(&junk), Some(BadCertificate::X509));
        let mut cut: Vec<_> = PLATFORM.lines().collect();
        cut.remove(5);
        assert_eq!(read(&cut.join("\n")), Some(BadCertificate::X509));
    }
}
