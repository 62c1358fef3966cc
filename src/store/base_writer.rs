//! Writing a base or a run: entries in the order of their keys, block by block.

use std::io;
use std::path::{Path, PathBuf};

use super::base_file::{BLOCK_BYTES, BaseHead, BaseHeader, BaseName, Content, GONE};
use super::disk::{Disk, DiskFile};

/// Where a base is written before it gets its name.
pub(super) const UNNAMED: &str = "next.new";
/// A base is synced each time this much was written: one sync at the end of a large file would
/// hold up the journal's.
const SYNC_BYTES: u64 = 8 << 20;

/// A base or a run that is being written.
pub(super) struct BaseWriter {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    header: BaseHeader,
    /// Four bytes for the length, then entries.
    block: Vec<u8>,
    offset: u64,
    synced: u64,
    before: u32,
    count: u64,
    last: Vec<u8>,
}

impl BaseWriter {
    /// Begins a file at `path`, in place of any that was there.
    ///
    /// # Errors
    /// What the disk said.
    pub(super) fn create(disk: &dyn Disk, path: &Path, header: &BaseHeader) -> io::Result<Self> {
        let mut file = disk.create(path)?;
        file.write_at(&header.encode(), 0)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            header: *header,
            block: vec![0; 4],
            offset: header.encode().len() as u64,
            synced: 0,
            before: header.first_check(),
            count: 0,
            last: vec![],
        })
    }

    /// Begins a base in `dir` under no name yet; [`publish`](Self::publish) gives it one.
    ///
    /// # Errors
    /// What the disk said.
    pub(super) fn begin(disk: &dyn Disk, dir: &Path, header: &BaseHeader) -> io::Result<Self> {
        Self::create(disk, &dir.join(UNNAMED), header)
    }

    /// Adds an entry; `None` says, in a run, that the key is gone. Returns whether that closed a
    /// block: a place to pause.
    ///
    /// # Errors
    /// What the disk said.
    ///
    /// # Panics
    /// When the keys do not ascend: a bug of the caller.
    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<bool> {
        assert!(
            self.count == 0 || self.last.as_slice() < key,
            "keys come sorted and once"
        );
        let length = |text: &[u8]| u32::try_from(text.len()).map_err(io::Error::other);
        let of_value = match (value, self.header.content) {
            (Some(value), _) => length(value)?,
            (None, Content::Run) => GONE,
            (None, Content::Base) => unreachable!("a base holds what is there"),
        };
        self.block.extend_from_slice(&length(key)?.to_le_bytes());
        self.block.extend_from_slice(&of_value.to_le_bytes());
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(value.unwrap_or_default());
        key.clone_into(&mut self.last);
        self.count += 1;
        let full = self.block.len() > BLOCK_BYTES;
        if full {
            self.close_block()?;
        }
        Ok(full)
    }

    /// Bytes written so far.
    pub(super) fn bytes(&self) -> u64 {
        self.offset
    }

    /// Ends the file with its trailer. A run is done with that; a base has yet to be published.
    ///
    /// # Errors
    /// What the disk said.
    pub(super) fn finish(&mut self) -> io::Result<BaseHead> {
        if self.block.len() > 4 {
            self.close_block()?;
        }
        let mut trailer = vec![0; 4];
        trailer.extend_from_slice(&self.count.to_le_bytes());
        trailer.extend_from_slice(&self.before.to_le_bytes());
        self.append(trailer)?;
        Ok(BaseHead {
            header: self.header,
            count: self.count,
            bytes: self.offset,
        })
    }

    /// Ends a base and gives it its name, all of it durable: content, then name.
    ///
    /// # Errors
    /// What the disk said; the base is there under its name only if it is whole.
    pub(super) fn publish(mut self, disk: &dyn Disk) -> io::Result<BaseHead> {
        let head = self.finish()?;
        self.file.sync()?;
        let dir = self.path.parent().unwrap_or(Path::new(""));
        let name = BaseName(head.header.link.commit).to_string();
        disk.rename(&self.path, &dir.join(name))?;
        disk.sync_dir(dir)?;
        Ok(head)
    }

    fn close_block(&mut self) -> io::Result<()> {
        let mut block = std::mem::replace(&mut self.block, vec![0; 4]);
        let length = u32::try_from(block.len() - 4).map_err(io::Error::other)?;
        block[..4].copy_from_slice(&length.to_le_bytes());
        self.append(block)?;
        if self.header.content == Content::Base && self.offset - self.synced >= SYNC_BYTES {
            self.file.sync()?;
            self.synced = self.offset;
        }
        Ok(())
    }

    fn append(&mut self, mut part: Vec<u8>) -> io::Result<()> {
        let place = self.header.place(self.offset, self.before);
        self.before = place.check(&part);
        part.extend_from_slice(&self.before.to_le_bytes());
        self.file.write_at(&part, self.offset)?;
        self.offset += part.len() as u64;
        Ok(())
    }
}
