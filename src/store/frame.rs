//! The bytes of the journal: a segment's header, its frames, and the check that chains them.
//!
//! Pure. A frame's check covers the segment's random salt, the frame's place in the file, the check
//! of the frame before it and the frame itself: neither a stale frame on a reused block nor one
//! that a buyer wrote into a remark can pass.

use super::read::is_cache;
use super::tx::{Change, Overlay};

/// The most that one closure may change, in bytes of keys and values.
pub(super) const MAX_CLOSURE_BYTES: usize = 4 << 20;
/// The longest frame, in bytes.
pub(super) const MAX_FRAME_BYTES: usize = 8 << 20;
/// The length of a segment's header, in bytes.
pub(super) const HEADER_BYTES: usize = 64;
/// The layout that this program writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"ZGJRNL\r\n";
/// Length, commit, time, kind.
const HEAD_BYTES: usize = 4 + 8 + 8 + 1;
const CHECK_BYTES: usize = 4;

/// A commit and the check of its frame: what the next frame is chained to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// The number of the commit; the first is 1, and 0 stands before it.
    pub(super) commit: u64,
    /// The check of its frame.
    pub(super) check: u32,
}

/// Whether frames are bound to their place and to the frame before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    /// They are.
    Checked,
    /// A planted break: a property test must notice it.
    #[cfg(test)]
    Broken,
}

/// The head of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The store that wrote it.
    pub(super) instance: [u8; 16],
    /// Random bytes that every check in the segment covers.
    pub(super) salt: [u8; 16],
    /// The frame before the segment's first.
    pub(super) before: Link,
}

/// Why a segment's head cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// Not a whole header with a good check.
    Damaged,
    /// A newer program wrote it, in this layout.
    Newer(u32),
}

impl Header {
    /// The header's bytes.
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..28].copy_from_slice(&self.instance);
        bytes[28..44].copy_from_slice(&self.salt);
        bytes[44..52].copy_from_slice(&self.before.commit.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.before.check.to_le_bytes());
        let check = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// Reads the header at the start of a segment.
    ///
    /// # Errors
    /// [`BadHeader`].
    pub(super) fn decode(segment: &[u8]) -> Result<Self, BadHeader> {
        let bytes = segment.get(..HEADER_BYTES).ok_or(BadHeader::Damaged)?;
        let check = crc32c::crc32c(&bytes[..60]);
        if bytes[..8] != *MAGIC || u32_at(bytes, 60) != Some(check) {
            return Err(BadHeader::Damaged);
        }
        match u32_at(bytes, 8) {
            Some(VERSION) => {}
            Some(version) => return Err(BadHeader::Newer(version)),
            None => return Err(BadHeader::Damaged),
        }
        let sixteen = |at: usize| bytes[at..at + 16].try_into().ok();
        let header = || {
            Some(Self {
                instance: sixteen(12)?,
                salt: sixteen(28)?,
                before: Link {
                    commit: u64_at(bytes, 44)?,
                    check: u32_at(bytes, 52)?,
                },
            })
        };
        header().ok_or(BadHeader::Damaged)
    }
}

/// Where a frame stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The salt of its segment.
    pub(super) salt: [u8; 16],
    /// Its first byte in the file.
    pub(super) offset: u64,
    /// The check of the frame before it.
    pub(super) before: u32,
    /// Whether the three above are covered.
    pub(super) chain: Chain,
}

impl Place {
    /// The check of the bytes of `frame` here.
    pub(super) fn check(&self, frame: &[u8]) -> u32 {
        match self.chain {
            Chain::Checked => {
                let seed = crc32c::crc32c(&self.salt);
                let seed = crc32c::crc32c_append(seed, &self.offset.to_le_bytes());
                let seed = crc32c::crc32c_append(seed, &self.before.to_le_bytes());
                crc32c::crc32c_append(seed, frame)
            }
            #[cfg(test)]
            Chain::Broken => crc32c::crc32c(frame),
        }
    }
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The changes of one group.
    Group,
    /// The segment ends here, on purpose. Its commit is that of the frame before it.
    Seal,
}

/// A frame without its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'b> {
    /// The number of the commit.
    pub(super) commit: u64,
    /// When it was written, in milliseconds since 1970.
    pub(super) time_ms: i64,
    /// What it says.
    pub(super) kind: Kind,
    /// The changes, see [`encode_changes`].
    pub(super) body: &'b [u8],
}

impl<'b> Frame<'b> {
    /// Appends the frame to `bytes` and returns its check.
    pub(super) fn encode(&self, place: &Place, bytes: &mut Vec<u8>) -> u32 {
        let start = bytes.len();
        let length = u32::try_from(self.body.len()).expect("a body is within MAX_FRAME_BYTES");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&self.commit.to_le_bytes());
        bytes.extend_from_slice(&self.time_ms.to_le_bytes());
        bytes.push(match self.kind {
            Kind::Group => 1,
            Kind::Seal => 2,
        });
        bytes.extend_from_slice(self.body);
        let check = place.check(&bytes[start..]);
        bytes.extend_from_slice(&check.to_le_bytes());
        check
    }

    /// Reads the frame at `place` of `segment`, with its check; `None` when it is not whole.
    pub(super) fn decode(segment: &'b [u8], place: &Place) -> Option<(Self, u32)> {
        let frame = segment.get(usize::try_from(place.offset).ok()?..)?;
        let length = usize::try_from(u32_at(frame, 0)?).ok()?;
        let end = HEAD_BYTES.checked_add(length)?;
        let check = u32_at(frame, end)?;
        if end > MAX_FRAME_BYTES - CHECK_BYTES || place.check(&frame[..end]) != check {
            return None;
        }
        let decoded = Self {
            commit: u64_at(frame, 4)?,
            time_ms: i64::from_le_bytes(frame[12..20].try_into().ok()?),
            kind: match frame[20] {
                1 => Kind::Group,
                2 => Kind::Seal,
                _ => return None,
            },
            body: &frame[HEAD_BYTES..end],
        };
        Some((decoded, check))
    }

    /// The frame's length in the file, in bytes.
    pub(super) fn bytes(&self) -> usize {
        HEAD_BYTES + self.body.len() + CHECK_BYTES
    }
}

/// Whether a whole frame with a commit after `last` stands anywhere behind `offset`.
///
/// At most one frame is ever unsynced, so a torn tail has no good frame behind it; damage has. The
/// check of the frame before a candidate is what stands in the four bytes before it.
pub(super) fn good_frame_behind(segment: &[u8], place: &Place, last: u64) -> bool {
    let from = usize::try_from(place.offset).unwrap_or(usize::MAX);
    let first = from.saturating_add(HEAD_BYTES + CHECK_BYTES);
    (first..segment.len()).any(|at| {
        // The commit is compared first: computing the check at every byte would take minutes.
        let near = u64_at(segment, at + 4).is_some_and(|c| c >= last && c - last <= 1 << 20);
        let candidate = Place {
            offset: at as u64,
            before: u32_at(segment, at - CHECK_BYTES).unwrap_or(0),
            ..*place
        };
        near && Frame::decode(segment, &candidate).is_some()
    })
}

/// Appends the changes that belong in the journal: counts, then puts, then deletes, by key.
pub(super) fn encode_changes(changes: &Overlay, bytes: &mut Vec<u8>) {
    let counts = bytes.len();
    bytes.extend_from_slice(&[0; 8]);
    let (mut puts, mut deletes) = (0_u32, 0_u32);
    for (key, change) in changes.iter() {
        if let (Change::Put(value), false) = (change, is_cache(key)) {
            puts += 1;
            push(bytes, key);
            push(bytes, value);
        }
    }
    for (key, change) in changes.iter() {
        if *change == Change::Delete {
            deletes += 1;
            push(bytes, key);
        }
    }
    bytes[counts..counts + 4].copy_from_slice(&puts.to_le_bytes());
    bytes[counts + 4..counts + 8].copy_from_slice(&deletes.to_le_bytes());
}

/// Visits the changes of a body, puts first; `None` when it is not made as described.
pub(super) fn visit_changes<'b>(
    body: &'b [u8],
    visit: &mut dyn FnMut(&'b [u8], Option<&'b [u8]>),
) -> Option<()> {
    let (puts, deletes) = (u32_at(body, 0)?, u32_at(body, 4)?);
    let mut rest = body.get(8..)?;
    for _ in 0..puts {
        let key = pull(&mut rest)?;
        let value = pull(&mut rest)?;
        visit(key, Some(value));
    }
    for _ in 0..deletes {
        visit(pull(&mut rest)?, None);
    }
    rest.is_empty().then_some(())
}

fn push(bytes: &mut Vec<u8>, text: &[u8]) {
    let length = u32::try_from(text.len()).expect("a closure is within MAX_CLOSURE_BYTES");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(text);
}

fn pull<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = usize::try_from(u32_at(rest, 0)?).ok()?;
    let (text, behind) = rest.get(4..)?.split_at_checked(length)?;
    *rest = behind;
    Some(text)
}

/// The number that stands at `at`, least byte first.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

/// The number that stands at `at`, least byte first.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(eight.try_into().ok()?))
}
