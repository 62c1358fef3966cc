//! Writes X.509 certificates: for the simulator, which plays the authority that signs them.
//!
//! Only what such a certificate needs: an RSA key, one name, SHA-256.

use data_encoding::BASE64;

use super::Timestamp;
use super::rsa::{PrivateKey, PublicKey, pem};
use std::time::Duration;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTF8_STRING: u8 = 0x0c;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const GENERALIZED_TIME: u8 = 0x18;
const UTC_TIME: u8 = 0x17;
const VERSION: u8 = 0xa0;
/// `sha256WithRSAEncryption` (1.2.840.113549.1.1.11) and no parameters.
const SHA256_WITH_RSA: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00,
];
/// `commonName` (2.5.4.3).
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
/// How far Beijing's clock is ahead of UTC.
const BEIJING_AHEAD: Duration = Duration::from_secs(8 * 3600);

/// What a certificate says beside its key.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// Big-endian; its first byte is 1..=127, so that its hexadecimal form is unique.
    pub serial: [u8; 20],
    /// The common name of the owner.
    pub name: &'a str,
    /// From when it is valid.
    pub starts_at: Timestamp,
    /// Until when it is valid.
    pub ends_at: Timestamp,
}

/// A certificate of `owner`'s key, signed by `issuer`, as PEM.
pub fn issue(said: &Said<'_>, owner: &PublicKey, issuer: &PrivateKey) -> String {
    let version = wrap(VERSION, &[&[INTEGER, 1, 2]]);
    let serial = wrap(INTEGER, &[&said.serial]);
    let validity = wrap(SEQUENCE, &[&time(said.starts_at), &time(said.ends_at)]);
    let body = wrap(
        SEQUENCE,
        &[
            &version,
            &serial,
            &SHA256_WITH_RSA,
            &name("掌柜模拟器 (simulator)"),
            &validity,
            &name(said.name),
            owner.spki(),
        ],
    );
    let signature = BASE64.decode(issuer.sign(&body).as_bytes());
    let signature = signature.expect("a signature is base64");
    let bits = wrap(BIT_STRING, &[&[0], &signature]);
    pem(
        "CERTIFICATE",
        &wrap(SEQUENCE, &[&body, &SHA256_WITH_RSA, &bits]),
    )
}

fn name(text: &str) -> Vec<u8> {
    let value = wrap(UTF8_STRING, &[text.as_bytes()]);
    let pair = wrap(SEQUENCE, &[&COMMON_NAME, &value]);
    wrap(SEQUENCE, &[&wrap(SET, &[&pair])])
}

/// Two digits of the year before 2050, four from then on, as the standard wants.
fn time(at: Timestamp) -> Vec<u8> {
    let digits = at.minus(BEIJING_AHEAD).compact() + "Z";
    match digits.as_str() < "2050" {
        true => wrap(UTC_TIME, &[&digits.as_bytes()[2..]]),
        false => wrap(GENERALIZED_TIME, &[digits.as_bytes()]),
    }
}

/// A tag, the length of the parts together, the parts.
fn wrap(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut der = vec![tag];
    let length = u16::try_from(content.len()).expect("a certificate is small");
    match length.to_be_bytes() {
        [0, short] if short < 128 => der.push(short),
        [0, low] => der.extend([0x81, low]),
        [high, low] => der.extend([0x82, high, low]),
    }
    der.extend(content);
    der
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::x509::Certificate;

    #[test]
    fn what_is_issued_reads_back_with_its_serial_dates_and_key() {
        let issuer = PrivateKey::generate();
        for (starts, ends) in [(1_767_196_830, 1_924_876_830), (946_684_799, 4_102_444_800)] {
            let said = Said {
                serial: [0x1a; 20],
                name: "Tenpay.com",
                starts_at: Timestamp::from_unix(starts),
                ends_at: Timestamp::from_unix(ends),
            };
            let owner = issuer.public();
            let read = Certificate::from_pem(&issue(&said, &owner, &issuer)).expect("ours");
            assert_eq!(read.serial, "1A".repeat(20));
            assert_eq!(
                (read.starts_at, read.ends_at),
                (said.starts_at, said.ends_at)
            );
            assert_eq!(read.key.to_pem(), owner.to_pem());
        }
    }
}
