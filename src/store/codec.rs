//! How a record becomes bytes under a key, and back: layout byte, bincode, CRC32C over key and
//! bytes. What the records are is in `records`; what the keys are is in `keys`.
//!
//! No value exceeds [`VALUE_MAX`]: a longer record is laid down in pieces under keys of their own.

use std::ops::ControlFlow;
use std::time::Duration;

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{KeyRange, Read, StoreError, Tx, keys};

/// The most bytes of record that one value holds (sled wants values of at most 4 KiB).
pub(super) const VALUE_MAX: usize = 3584;

/// Room for a record as records usually are.
const RECORD_USUAL: usize = 512;

/// A record in one value: this byte, the record, the check.
const WHOLE: u8 = 1;
/// The first part of a long record: this byte, how many pieces follow, the check of the whole
/// record, the part, the check.
const HEAD: u8 = 2;
/// A further part: this byte, the check of the whole record, the part, the check.
const PIECE: u8 = 3;

/// How often a long record is read again when a commit falls between its pieces: keys are written
/// one by one, so the writer may have been put aside between two. The pauses double from 1 ms.
const TRIES: u32 = 8;

/// What is kept under one kind of key: an append-only enum whose variants are its versions.
pub(super) trait Record: Serialize + DeserializeOwned {
    /// The kind, for messages.
    const KIND: &'static str;
    /// Whether it can outgrow one value.
    const LONG: bool = false;
}

/// The record under `key`, if there is one.
pub(super) fn get<R: Record>(read: &impl Read, key: &[u8]) -> Result<Option<R>, StoreError> {
    match read.get(key)? {
        Some(value) => decode(read, key, &value).map(Some),
        None => Ok(None),
    }
}

/// The record that `value`, found under `key`, holds.
pub(super) fn decode<R: Record>(
    read: &impl Read,
    key: &[u8],
    value: &[u8],
) -> Result<R, StoreError> {
    let damaged = || damaged::<R>(read, key);
    match open(key, value).ok_or_else(damaged)? {
        (WHOLE, body) => from_bytes(body).ok_or_else(damaged),
        (HEAD, head) if R::LONG => match gather(read, key, head)? {
            Some(body) => from_bytes(&body).ok_or_else(damaged),
            None => gather_again(read, key),
        },
        (_, _) => Err(damaged()),
    }
}

/// Sets `key` to `record`, in pieces when it is long.
pub(super) fn put<R: Record>(tx: &mut Tx<'_>, key: Vec<u8>, record: &R) -> Result<(), StoreError> {
    if R::LONG {
        remove_pieces(tx, &key)?;
    }
    put_new(tx, key, record);
    Ok(())
}

/// Sets `key`, under which nothing is kept yet, to `record`, in pieces when it is long.
pub(super) fn put_new<R: Record>(tx: &mut Tx<'_>, key: Vec<u8>, record: &R) {
    let whole = laid_down(record);
    let body = &whole[1..];
    if body.len() <= VALUE_MAX {
        let value = checked(&key, whole);
        tx.put(key, value);
        return;
    }
    assert!(R::LONG, "{} outgrew one value", R::KIND);
    let version = crc32c::crc32c(body).to_be_bytes();
    let (first, rest) = body.split_at(VALUE_MAX);
    let mut count = 0;
    for part in rest.chunks(VALUE_MAX) {
        let piece = keys::piece(&key, count);
        let value = seal(&piece, &[&[PIECE], &version, part]);
        tx.put(piece, value);
        count += 1;
    }
    let value = seal(&key, &[&[HEAD, count], &version, first]);
    tx.put(key, value);
}

/// Removes `key` and what belongs to it.
pub(super) fn delete<R: Record>(tx: &mut Tx<'_>, key: Vec<u8>) -> Result<(), StoreError> {
    if R::LONG {
        remove_pieces(tx, &key)?;
    }
    tx.delete(key);
    Ok(())
}

/// The value of a record that never outgrows it, for writes that do not go through a [`Tx`].
pub(super) fn value<R: Record>(key: &[u8], record: &R) -> Vec<u8> {
    checked(key, laid_down(record))
}

/// Called with each key and its record; `Break` ends the visit.
pub(super) type VisitRecord<'v, R> = dyn FnMut(&[u8], R) -> ControlFlow<()> + 'v;

/// Visits the records of `range` in its order until `visit` breaks.
///
/// `visit` must not read: the scan is still under way. It ends before a long record, whose pieces
/// are read then, and goes on behind it.
pub(super) fn visit<R: Record>(
    read: &impl Read,
    range: KeyRange,
    visit: &mut VisitRecord<'_, R>,
) -> Result<(), StoreError> {
    let mut range = range;
    loop {
        let mut long = None;
        read.scan(&range, &mut |key, value| match whole(key, value) {
            Some(record) => visit(key, record),
            None => {
                long = Some((key.to_vec(), value.to_vec()));
                ControlFlow::Break(())
            }
        })?;
        let Some((key, value)) = long else {
            return Ok(());
        };
        if visit(&key, decode(read, &key, &value)?).is_break() {
            return Ok(());
        }
        range = range.behind(key);
    }
}

/// A key and its value.
pub(super) type Found = (Vec<u8>, Vec<u8>);

/// The first `limit` keys and values of `range`, so that what is done with them may read again.
pub(super) fn collect(
    read: &impl Read,
    range: &KeyRange,
    limit: usize,
) -> Result<Vec<Found>, StoreError> {
    let mut found = vec![];
    if limit == 0 {
        return Ok(found);
    }
    read.scan(range, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        match found.len() < limit {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    Ok(found)
}

/// The error for a record of this kind that fails its check. It names the key, never the content.
pub(super) fn damaged<R: Record>(read: &impl Read, key: &[u8]) -> StoreError {
    read.corrupt(&format!("{} {}", R::KIND, key.escape_ascii()))
}

/// Whether a value of whatever record is as it was written, with all its pieces.
pub(super) fn is_intact(read: &impl Read, key: &[u8], value: &[u8]) -> Result<bool, StoreError> {
    Ok(match open(key, value) {
        Some((WHOLE | PIECE, _)) => true,
        Some((HEAD, head)) => gather(read, key, head)?.is_some(),
        Some(_) | None => false,
    })
}

/// `record` in the one fixed form of bincode.
pub(super) fn to_bytes<T: Serialize>(record: &T) -> Vec<u8> {
    let bytes = bincode::options().serialize(record);
    bytes.expect("records hold only what bincode can write")
}

/// What [`to_bytes`] wrote; trailing bytes are refused.
pub(super) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    bincode::options().deserialize(bytes).ok()
}

/// The layout byte of a record in one value, and the record, in one buffer.
fn laid_down<R: Record>(record: &R) -> Vec<u8> {
    let mut whole = Vec::with_capacity(RECORD_USUAL);
    whole.push(WHOLE);
    let written = bincode::options().serialize_into(&mut whole, record);
    written.expect("records hold only what bincode can write");
    whole
}

fn seal(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut value = Vec::with_capacity(4 + parts.iter().map(|part| part.len()).sum::<usize>());
    for part in parts {
        value.extend_from_slice(part);
    }
    checked(key, value)
}

/// `value` with its check behind it.
fn checked(key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    let check = crc32c::crc32c_append(crc32c::crc32c(key), &value);
    value.extend_from_slice(&check.to_be_bytes());
    value
}

/// The record in `value`, when it lies there whole and its check holds.
fn whole<R: Record>(key: &[u8], value: &[u8]) -> Option<R> {
    match open(key, value) {
        Some((WHOLE, body)) => from_bytes(body),
        Some(_) | None => None,
    }
}

/// The layout byte and what follows it, when the check holds.
fn open<'v>(key: &[u8], value: &'v [u8]) -> Option<(u8, &'v [u8])> {
    let (sealed, check) = value.split_last_chunk::<4>()?;
    let right = crc32c::crc32c_append(crc32c::crc32c(key), sealed).to_be_bytes();
    let (layout, body) = sealed.split_first()?;
    (right == *check).then_some((*layout, body))
}

/// How many pieces the value under `key` has beside it.
pub(super) fn pieces(key: &[u8], value: &[u8]) -> u8 {
    if value.first() != Some(&HEAD) {
        return 0;
    }
    match open(key, value) {
        Some((HEAD, [count, ..])) => *count,
        Some(_) | None => 0,
    }
}

fn remove_pieces(tx: &mut Tx<'_>, key: &[u8]) -> Result<(), StoreError> {
    let count = tx.get(key)?.map_or(0, |value| pieces(key, &value));
    for at in 0..count {
        tx.delete(keys::piece(key, at));
    }
    Ok(())
}

/// The whole record, or `None` when its pieces are not of one version.
fn gather(read: &impl Read, key: &[u8], head: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(([count, version @ ..], first)) = head.split_first_chunk::<5>() else {
        return Ok(None);
    };
    let mut body = first.to_vec();
    for at in 0..*count {
        let piece = keys::piece(key, at);
        let value = read.get(&piece)?.unwrap_or_default();
        match open(&piece, &value) {
            Some((PIECE, part)) if part.starts_with(version) => body.extend_from_slice(&part[4..]),
            Some(_) | None => return Ok(None),
        }
    }
    Ok((crc32c::crc32c(&body).to_be_bytes() == *version).then_some(body))
}

/// Reads a long record again whose pieces did not fit together: a commit may have come between.
fn gather_again<R: Record>(read: &impl Read, key: &[u8]) -> Result<R, StoreError> {
    for tried in 0..TRIES {
        std::thread::sleep(Duration::from_millis(1 << tried));
        let value = read.get(key)?.unwrap_or_default();
        let body = match open(key, &value) {
            Some((WHOLE, body)) => Some(body.to_vec()),
            Some((HEAD, head)) => gather(read, key, head)?,
            Some(_) | None => None,
        };
        if let Some(record) = body.and_then(|body| from_bytes(&body)) {
            return Ok(record);
        }
    }
    Err(damaged::<R>(read, key))
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
