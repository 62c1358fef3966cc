//! `base/<commit>.zgb`: all keys but cache keys as they were at exactly one commit, sorted.
//!
//! A base stands for the journal up to that commit; it is made from an older one and the journal,
//! never from sled. This module is its layout; [`BaseWriter`](super::base_writer::BaseWriter) writes
//! one, [`BaseReader`](super::base_reader::BaseReader) reads one, both in constant memory. Numbers
//! are little-endian.
//!
//! | part | bytes |
//! |---|---|
//! | header | magic 8, layout 4, instance 16, salt 16, commit 8, check of its frame 4, time of that commit 8, time of making 8, content 4, CRC32C 4 |
//! | block | length of its entries 4 (never 0), entries, check 4 |
//! | entry | length of key 4, length of value 4, key, value |
//! | trailer | 0 (4), count of keys 8, check of the last block (of the header without any) 4, check 4 |
//!
//! A check is CRC32C over the salt, the place in the file, the check before and the bytes: a block
//! is good in its own place of its own file only. The trailer can be proven by itself.
//!
//! Runs, the sorted files of a merge under way, are the same with other content in the header; in
//! them a value of length `u32::MAX` says that the key is gone.

use std::fmt;
use std::io;

use super::frame::{Chain, Link, Place, u32_at, u64_at};

/// The layout that this program writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;
/// The length of a header, in bytes.
pub(super) const HEADER_BYTES: usize = 80;
/// The length of a trailer, in bytes.
pub(super) const TRAILER_BYTES: usize = 20;
/// A block is closed once its entries are this long; one entry may make it longer.
pub(super) const BLOCK_BYTES: usize = 64 << 10;
/// No block is longer than this; a larger length is damage.
pub(super) const MAX_BLOCK_BYTES: usize = 8 << 20;
/// The length of a value that says that the key is gone.
pub(super) const GONE: u32 = u32::MAX;

const MAGIC: &[u8; 8] = b"ZGBASE\r\n";

/// What a file of this layout holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// All keys and values of a commit.
    Base,
    /// Some changes on their way into a base or a working set; never durable.
    Run,
}

/// The head of a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BaseHeader {
    /// The store whose keys they are.
    pub(super) instance: [u8; 16],
    /// Random bytes that every check in the file covers.
    pub(super) salt: [u8; 16],
    /// The commit, and the check of its frame: the segment that goes on from here names both.
    pub(super) link: Link,
    /// When that commit was written, in milliseconds since 1970.
    pub(super) time_ms: i64,
    /// When the base was made, in milliseconds since 1970.
    pub(super) made_ms: i64,
    /// What the file holds.
    pub(super) content: Content,
}

/// What a base that was proven says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BaseHead {
    /// Its header.
    pub(super) header: BaseHeader,
    /// How many keys it holds.
    pub(super) count: u64,
    /// Its length in bytes.
    pub(super) bytes: u64,
}

/// Why a base cannot be read.
#[derive(Debug)]
pub(super) enum BadBase {
    /// The disk said so.
    Io(io::Error),
    /// A newer program wrote it, in this layout.
    Newer(u32),
    /// It is not whole: the bytes from this offset on are not what was written.
    Damaged(u64),
}

impl From<io::Error> for BadBase {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for BadBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "读取失败：{error}"),
            Self::Newer(version) => write!(f, "是更新版本的程序写的（格式 {version}）"),
            Self::Damaged(offset) => write!(f, "在第 {offset} 字节处损坏或不完整"),
        }
    }
}

impl BaseHeader {
    /// The header's bytes.
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..28].copy_from_slice(&self.instance);
        bytes[28..44].copy_from_slice(&self.salt);
        bytes[44..52].copy_from_slice(&self.link.commit.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.link.check.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.time_ms.to_le_bytes());
        bytes[64..72].copy_from_slice(&self.made_ms.to_le_bytes());
        let content: u32 = match self.content {
            Content::Base => 0,
            Content::Run => 1,
        };
        bytes[72..76].copy_from_slice(&content.to_le_bytes());
        let check = crc32c::crc32c(&bytes[..76]);
        bytes[76..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// Reads the header's bytes.
    ///
    /// # Errors
    /// [`BadBase`].
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, BadBase> {
        let damaged = || BadBase::Damaged(0);
        let check = crc32c::crc32c(&bytes[..76]);
        if bytes[..8] != *MAGIC || u32_at(bytes, 76) != Some(check) {
            return Err(damaged());
        }
        match u32_at(bytes, 8) {
            Some(VERSION) => Self::fields(bytes).ok_or_else(damaged),
            version => Err(version.map_or_else(damaged, BadBase::Newer)),
        }
    }

    fn fields(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let sixteen = |at: usize| bytes[at..at + 16].try_into().ok();
        let time = |at: usize| Some(i64::from_le_bytes(bytes[at..at + 8].try_into().ok()?));
        Some(Self {
            instance: sixteen(12)?,
            salt: sixteen(28)?,
            link: Link {
                commit: u64_at(bytes, 44)?,
                check: u32_at(bytes, 52)?,
            },
            time_ms: time(56)?,
            made_ms: time(64)?,
            content: match u32_at(bytes, 72)? {
                0 => Content::Base,
                1 => Content::Run,
                _ => return None,
            },
        })
    }

    /// The place of the part at `offset`, behind one with the check `before`.
    pub(super) fn place(&self, offset: u64, before: u32) -> Place {
        Place {
            salt: self.salt,
            offset,
            before,
            chain: Chain::Checked,
        }
    }

    /// The check that stands before the first block.
    pub(super) fn first_check(&self) -> u32 {
        crc32c::crc32c(&self.encode())
    }
}

/// The name of a base: its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BaseName(pub(super) u64);

impl BaseName {
    /// Reads a file name; `None` for what is not a base.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let parsed = Self(name.strip_suffix(".zgb")?.parse().ok()?);
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for BaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}.zgb", self.0)
    }
}
