//! Fields that are kept sealed: phones, addresses, session keys.
//!
//! The ciphers are `base`'s; here is only the form in which a record holds what they give.

use std::fmt;

use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::codec::{from_bytes, to_bytes};
use crate::base::cipher::{CannotOpen, FieldKey};

/// Bytes that only the field key opens, and only for the place they were sealed for.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Sealed(Vec<u8>);

impl Sealed {
    /// `text`, sealed.
    pub(super) fn bytes(key: &FieldKey, place: &Place<'_>, text: &[u8]) -> Self {
        Self(key.seal(&place.bytes(), text))
    }

    /// The text that was sealed for `place`.
    pub(super) fn open_bytes(
        &self,
        key: &FieldKey,
        place: &Place<'_>,
    ) -> Result<Vec<u8>, CannotOpen> {
        key.open(&place.bytes(), &self.0)
    }

    /// `value` in the records' form, sealed.
    pub(super) fn of(key: &FieldKey, place: &Place<'_>, value: &impl Serialize) -> Self {
        Self::bytes(key, place, &to_bytes(value))
    }

    /// The value that was sealed for `place`.
    pub(super) fn open<T: DeserializeOwned>(
        &self,
        key: &FieldKey,
        place: &Place<'_>,
    ) -> Result<T, CannotOpen> {
        from_bytes(&self.open_bytes(key, place)?).ok_or(CannotOpen)
    }
}

/// The place that a sealed field is bound to: what it is, and whose.
pub(super) struct Place<'a>(pub(super) &'static str, pub(super) &'a [u8]);

impl Place<'_> {
    fn bytes(&self) -> Vec<u8> {
        [self.0.as_bytes(), b" ", self.1].concat()
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_byte_buf(SealedBytes)
    }
}

struct SealedBytes;

impl Visitor<'_> for SealedBytes {
    type Value = Sealed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sealed bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Sealed, E> {
        Ok(Sealed(bytes.to_vec()))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Sealed, E> {
        Ok(Sealed(bytes))
    }
}
