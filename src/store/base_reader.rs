//! Reading a base or a run, block by block, each proven before anything in it is told.

use std::path::Path;

use super::base_file::{BadBase, BaseHead, BaseHeader, Content, GONE, HEADER_BYTES};
use super::base_file::{MAX_BLOCK_BYTES, TRAILER_BYTES};
use super::disk::{Disk, DiskRead};
use super::frame::{u32_at, u64_at};

/// A key and its value; `None` says, in a run, that the key is gone.
pub(super) type Entry<'r> = (&'r [u8], Option<&'r [u8]>);

/// A base or a run that is being read.
pub(super) struct BaseReader {
    file: Box<dyn DiskRead>,
    head: BaseHead,
    /// The entries of one block.
    block: Vec<u8>,
    /// Where in the block the next entry is.
    at: usize,
    /// Where in the file the block begins.
    block_offset: u64,
    /// Where in the file the next block begins.
    offset: u64,
    before: u32,
    seen: u64,
    last: Vec<u8>,
}

impl BaseReader {
    /// Opens a base; header and trailer are proven, the blocks not yet.
    ///
    /// # Errors
    /// [`BadBase`].
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, BadBase> {
        Self::of(disk, path, Content::Base)
    }

    /// Opens a run.
    ///
    /// # Errors
    /// [`BadBase`].
    pub(super) fn open_run(disk: &dyn Disk, path: &Path) -> Result<Self, BadBase> {
        Self::of(disk, path, Content::Run)
    }

    /// Reads all of a base and proves every byte of it.
    ///
    /// # Errors
    /// [`BadBase`].
    pub(super) fn prove(disk: &dyn Disk, path: &Path) -> Result<BaseHead, BadBase> {
        let mut reader = Self::open(disk, path)?;
        while reader.next()?.is_some() {}
        Ok(reader.head)
    }

    /// What the base says of itself.
    pub(super) fn head(&self) -> &BaseHead {
        &self.head
    }

    /// The next entry, in the order of the keys; `None` behind the last, when all was proven.
    ///
    /// # Errors
    /// [`BadBase`].
    pub(super) fn next(&mut self) -> Result<Option<Entry<'_>>, BadBase> {
        if self.at == self.block.len() && !self.next_block()? {
            return Ok(None);
        }
        let damaged = BadBase::Damaged(self.block_offset);
        match self.entry() {
            Some((key, value)) => {
                let key_at = self.at + 8;
                let value_at = key_at + key;
                self.at = value_at + value.unwrap_or(0);
                self.seen += 1;
                let key = &self.block[key_at..value_at];
                key.clone_into(&mut self.last);
                Ok(Some((key, value.map(|_| &self.block[value_at..self.at]))))
            }
            None => Err(damaged),
        }
    }

    fn of(disk: &dyn Disk, path: &Path, content: Content) -> Result<Self, BadBase> {
        let file = disk.open(path)?;
        let bytes = file.length()?;
        let least = (HEADER_BYTES + TRAILER_BYTES) as u64;
        if bytes < least {
            return Err(BadBase::Damaged(bytes));
        }
        let mut header = [0; HEADER_BYTES];
        file.read_at(&mut header, 0)?;
        let header = BaseHeader::decode(&header)?;
        if header.content != content {
            return Err(BadBase::Damaged(0));
        }
        let mut trailer = [0; TRAILER_BYTES];
        file.read_at(&mut trailer, bytes - TRAILER_BYTES as u64)?;
        let count = trailer_count(&header, &trailer, bytes);
        let count = count.ok_or(BadBase::Damaged(bytes - TRAILER_BYTES as u64))?;
        Ok(Self {
            file,
            head: BaseHead {
                header,
                count,
                bytes,
            },
            block: vec![],
            at: 0,
            block_offset: 0,
            offset: HEADER_BYTES as u64,
            before: header.first_check(),
            seen: 0,
            last: vec![],
        })
    }

    /// Reads and proves the next block; `false` at a trailer that fits what came before it.
    fn next_block(&mut self) -> Result<bool, BadBase> {
        let trailer_at = self.head.bytes - TRAILER_BYTES as u64;
        self.block_offset = self.offset;
        let damaged = || BadBase::Damaged(self.block_offset);
        if self.offset == trailer_at {
            let mut last = [0; 4];
            self.file.read_at(&mut last, trailer_at + 12)?;
            let whole = self.seen == self.head.count && u32::from_le_bytes(last) == self.before;
            return whole.then_some(false).ok_or_else(damaged);
        }
        let mut length = [0; 4];
        self.file.read_at(&mut length, self.offset)?;
        let length = u32::from_le_bytes(length) as usize;
        let behind = self.offset + length as u64 + 8;
        if length == 0 || length > MAX_BLOCK_BYTES || behind > trailer_at {
            return Err(damaged());
        }
        let mut part = std::mem::take(&mut self.block);
        part.resize(length + 8, 0);
        self.file.read_at(&mut part, self.offset)?;
        let place = self.head.header.place(self.offset, self.before);
        let check = place.check(&part[..length + 4]);
        if u32_at(&part, length + 4) != Some(check) {
            return Err(damaged());
        }
        part.truncate(length + 4);
        (self.block, self.at) = (part, 4);
        (self.offset, self.before) = (behind, check);
        Ok(true)
    }

    /// The lengths of the next entry's key and value, when it stands as it should.
    fn entry(&self) -> Option<(usize, Option<usize>)> {
        let key = u32_at(&self.block, self.at)? as usize;
        let value = u32_at(&self.block, self.at + 4)?;
        let value = match (value, self.head.header.content) {
            (GONE, Content::Run) => None,
            (length, _) => Some(length as usize),
        };
        let key_at = self.at + 8;
        let behind = key_at.checked_add(key)?.checked_add(value.unwrap_or(0))?;
        let next = self.block.get(key_at..key_at.checked_add(key)?)?;
        let ascends = self.seen == 0 || self.last.as_slice() < next;
        (behind <= self.block.len() && ascends).then_some((key, value))
    }
}

/// The count in a trailer that is good by itself.
fn trailer_count(header: &BaseHeader, trailer: &[u8; TRAILER_BYTES], bytes: u64) -> Option<u64> {
    let before = u32_at(trailer, 12)?;
    let place = header.place(bytes - TRAILER_BYTES as u64, before);
    let good =
        u32_at(trailer, 0) == Some(0) && u32_at(trailer, 16) == Some(place.check(&trailer[..16]));
    u64_at(trailer, 4).filter(|_| good)
}
