//! A file of sorted keys, written once and read from front to back in constant memory: what base
//! files are, and the runs that a large merge is spilled to.
//!
//! Header, blocks, trailer. A block's check covers the check of the block before it, so blocks can
//! be neither changed nor left out nor swapped; the trailer says how many keys there are and ends
//! the file. Nothing else vouches for a file: a half-written one has no good trailer.

use std::io;
use std::path::Path;

use super::disk::{Disk, DiskFile, DiskReader};
use super::frame::Link;

/// The layout that this program writes, and the newest that it reads.
const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"ZGBASE\r\n";
/// Magic, version, instance, end, before, time, check.
const HEADER_BYTES: usize = 8 + 4 + 16 + 12 + 12 + 8 + 4;
/// Zero where a block's length stands, count, check of the last block, check.
const TRAILER_BYTES: usize = 4 + 8 + 4 + 4;
/// A block is closed when it holds this much.
const BLOCK_BYTES: usize = 64 << 10;
/// No block is longer: a record is within a frame.
const MAX_BLOCK_BYTES: u32 = 16 << 20;
/// The length that stands for "no value".
const GONE: u32 = u32::MAX;

/// What a file of sorted keys says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The store that wrote it.
    pub(super) instance: [u8; 16],
    /// The last commit in it.
    pub(super) end: Link,
    /// The commit before that.
    pub(super) before: Link,
    /// When it was made, in milliseconds since 1970.
    pub(super) time_ms: i64,
}

/// Why a file of sorted keys cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadSorted {
    /// The disk said so.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not whole, or not as it was written.
    #[error("第 {0} 字节处损坏或不完整")]
    Damaged(u64),
    /// A newer program wrote it.
    #[error("是更新版本的程序写的（格式 {0}）")]
    Newer(u32),
}

/// A key, and its value or that it is gone.
pub(super) type Entry = (Vec<u8>, Option<Vec<u8>>);

impl Head {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.instance);
        for link in [self.end, self.before] {
            bytes.extend_from_slice(&link.commit.to_le_bytes());
            bytes.extend_from_slice(&link.check.to_le_bytes());
        }
        bytes.extend_from_slice(&self.time_ms.to_le_bytes());
        let check = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&check.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, BadSorted> {
        let (said, check) = bytes.split_at(HEADER_BYTES - 4);
        if said[..8] != *MAGIC || crc32c::crc32c(said).to_le_bytes() != check {
            return Err(BadSorted::Damaged(0));
        }
        let mut rest = &said[8..];
        let version = u32::from_le_bytes(take(&mut rest));
        if version != VERSION {
            return Err(BadSorted::Newer(version));
        }
        let instance = take(&mut rest);
        let mut link = || Link {
            commit: u64::from_le_bytes(take(&mut rest)),
            check: u32::from_le_bytes(take(&mut rest)),
        };
        Ok(Self {
            instance,
            end: link(),
            before: link(),
            time_ms: i64::from_le_bytes(take(&mut rest)),
        })
    }
}

/// The next `N` bytes of what is known to be long enough.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (taken, behind) = rest.split_first_chunk().expect("the length is fixed");
    *rest = behind;
    *taken
}

/// Writes sorted keys, first to last.
pub(super) struct SortedWriter {
    file: Box<dyn DiskFile>,
    offset: u64,
    block: Vec<u8>,
    check: u32,
    count: u64,
}

impl SortedWriter {
    /// Begins the file at `path`, in place of any that was there.
    pub(super) fn create(disk: &dyn Disk, path: &Path, head: &Head) -> io::Result<Self> {
        let mut file = disk.create(path)?;
        let bytes = head.encode();
        file.write_at(&bytes, 0)?;
        Ok(Self {
            file,
            offset: bytes.len() as u64,
            check: crc32c::crc32c(&bytes),
            block: vec![],
            count: 0,
        })
    }

    /// Appends a key behind all that were appended before; true when a block went to the disk.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<bool> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        self.block.extend_from_slice(&length(key)?.to_le_bytes());
        let value_bytes = value.map_or(Ok(GONE), length)?;
        self.block.extend_from_slice(&value_bytes.to_le_bytes());
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(value.unwrap_or_default());
        self.count += 1;
        let full = self.block.len() >= BLOCK_BYTES;
        if full {
            self.write_block()?;
        }
        Ok(full)
    }

    fn write_block(&mut self) -> io::Result<()> {
        let length = u32::try_from(self.block.len()).map_err(io::Error::other)?;
        self.check = crc32c::crc32c_append(self.check, &self.block);
        let mut bytes = Vec::with_capacity(self.block.len() + 8);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&self.check.to_le_bytes());
        bytes.append(&mut self.block);
        self.file.write_at(&bytes, self.offset)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Ends the file and makes it durable; its length in bytes.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        if !self.block.is_empty() {
            self.write_block()?;
        }
        let mut trailer = 0_u32.to_le_bytes().to_vec();
        trailer.extend_from_slice(&self.count.to_le_bytes());
        trailer.extend_from_slice(&self.check.to_le_bytes());
        let check = crc32c::crc32c_append(self.check, &trailer);
        trailer.extend_from_slice(&check.to_le_bytes());
        self.file.write_at(&trailer, self.offset)?;
        self.file.sync()?;
        Ok(self.offset + trailer.len() as u64)
    }
}

/// Reads sorted keys, first to last.
pub(super) struct SortedReader {
    file: Box<dyn DiskReader>,
    /// Where the next block begins, and where the trailer does.
    offset: u64,
    trailer_at: u64,
    block: Vec<u8>,
    /// The part of the block that was read.
    done: usize,
    check: u32,
    count: u64,
    last_check: u32,
    /// Keys that are still to come.
    left: u64,
    last_key: Vec<u8>,
}

impl SortedReader {
    /// Opens the file at `path`: its header and trailer are checked now, its blocks when read.
    ///
    /// # Errors
    /// [`BadSorted`].
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<(Head, Self), BadSorted> {
        let file = disk.open(path)?;
        let length = file.length()?;
        if length < (HEADER_BYTES + TRAILER_BYTES) as u64 {
            return Err(BadSorted::Damaged(0));
        }
        let mut header = [0; HEADER_BYTES];
        file.read_at(&mut header, 0)?;
        let head = Head::decode(&header)?;
        let trailer_at = length - TRAILER_BYTES as u64;
        let mut trailer = [0; TRAILER_BYTES];
        file.read_at(&mut trailer, trailer_at)?;
        let mut rest = &trailer[..];
        let zero = u32::from_le_bytes(take(&mut rest));
        let count = u64::from_le_bytes(take(&mut rest));
        let last_check = u32::from_le_bytes(take(&mut rest));
        let check = crc32c::crc32c_append(last_check, &trailer[..TRAILER_BYTES - 4]);
        if zero != 0 || u32::from_le_bytes(take(&mut rest)) != check {
            return Err(BadSorted::Damaged(trailer_at));
        }
        let reader = Self {
            file,
            offset: HEADER_BYTES as u64,
            trailer_at,
            block: vec![],
            done: 0,
            check: crc32c::crc32c(&header),
            count,
            last_check,
            left: count,
            last_key: vec![],
        };
        Ok((head, reader))
    }

    /// How many keys the file says it holds.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The next key; `None` behind the last, when everything was as it was written.
    ///
    /// # Errors
    /// [`BadSorted`].
    pub(super) fn next(&mut self) -> Result<Option<Entry>, BadSorted> {
        if self.done == self.block.len() {
            if self.offset == self.trailer_at {
                let whole = self.left == 0 && self.check == self.last_check;
                return match whole {
                    true => Ok(None),
                    false => Err(BadSorted::Damaged(self.offset)),
                };
            }
            self.read_block()?;
        }
        let at = self.offset;
        let entry = self.entry().ok_or(BadSorted::Damaged(at))?;
        self.left -= 1;
        self.last_key.clone_from(&entry.0);
        Ok(Some(entry))
    }

    fn read_block(&mut self) -> Result<(), BadSorted> {
        let at = self.offset;
        let damaged = || BadSorted::Damaged(at);
        let mut head = [0; 8];
        if at + 8 > self.trailer_at {
            return Err(damaged());
        }
        self.file.read_at(&mut head, at)?;
        let mut rest = &head[..];
        let length = u32::from_le_bytes(take(&mut rest));
        let check = u32::from_le_bytes(take(&mut rest));
        let end = at + 8 + u64::from(length);
        if length == 0 || length > MAX_BLOCK_BYTES || end > self.trailer_at {
            return Err(damaged());
        }
        self.block.resize(length as usize, 0);
        self.file.read_at(&mut self.block, at + 8)?;
        self.check = crc32c::crc32c_append(self.check, &self.block);
        if self.check != check {
            return Err(damaged());
        }
        (self.offset, self.done) = (end, 0);
        Ok(())
    }

    /// The next entry of the block; `None` when it is not made as described, or not in order.
    fn entry(&mut self) -> Option<Entry> {
        let mut rest = self.block.get(self.done..)?;
        let all = rest.len();
        let (lengths, behind) = rest.split_at_checked(8)?;
        rest = behind;
        let mut lengths = lengths;
        let key_bytes = u32::from_le_bytes(take(&mut lengths));
        let value_bytes = u32::from_le_bytes(take(&mut lengths));
        let (key, behind) = rest.split_at_checked(key_bytes as usize)?;
        rest = behind;
        let value = match value_bytes {
            GONE => None,
            bytes => {
                let (value, behind) = rest.split_at_checked(bytes as usize)?;
                rest = behind;
                Some(value.to_vec())
            }
        };
        if self.left == 0 || (self.left < self.count && key <= &self.last_key[..]) {
            return None;
        }
        let entry = (key.to_vec(), value);
        self.done += all - rest.len();
        Some(entry)
    }
}

#[cfg(test)]
#[path = "sorted_tests.rs"]
mod tests;
