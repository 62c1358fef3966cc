//! Writing the journal: one frame after another, a new segment when one is full.
//!
//! Reading it back is in `recover`. At most one frame is ever written and not synced.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::frame::{Chain, Frame, HEADER_BYTES, Header, Kind, Link, Place, encode_changes};
use super::segment::SegmentName;
use super::tx::Overlay;
use crate::base::secret;
#[cfg(test)]
use crate::base::trial::{self, Planted};

/// Where and how a journal is written.
pub(super) struct Setup {
    /// The disk it is on.
    pub(super) disk: Arc<dyn Disk>,
    /// Its directory.
    pub(super) dir: PathBuf,
    /// Whether frames are chained.
    pub(super) chain: Chain,
    /// The store that writes it.
    pub(super) instance: [u8; 16],
    /// A segment of this many bytes is full.
    pub(super) segment_bytes: u64,
}

/// A frame that begins the next segment again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    /// When it was written first, in milliseconds since 1970.
    pub(super) time_ms: i64,
    /// Its changes.
    pub(super) body: Vec<u8>,
}

/// Where the next segment begins.
pub(super) struct Start {
    /// Its place in the order of all segments.
    pub(super) serial: u64,
    /// The frame before its first one.
    pub(super) before: Link,
    /// Its first frame, when it is one that is already there: the page cache may hold what the
    /// disk does not, so nothing may lean on that frame until it has been written again.
    pub(super) carried: Option<Carried>,
}

/// A journal open for writing.
pub(super) struct Journal {
    setup: Setup,
    file: Box<dyn DiskFile>,
    serial: u64,
    salt: [u8; 16],
    offset: u64,
    end: Link,
    body: Vec<u8>,
    bytes: Vec<u8>,
}

impl Journal {
    /// Begins a segment and makes it durable, name and all.
    pub(super) fn begin(setup: Setup, start: &Start) -> io::Result<Self> {
        let salt = secret::random();
        let mut segment = Header {
            instance: setup.instance,
            salt,
            before: start.before,
        }
        .encode()
        .to_vec();
        let mut end = start.before;
        if let Some(Carried { time_ms, body }) = &start.carried {
            end.commit += 1;
            let place = Place {
                salt,
                offset: HEADER_BYTES as u64,
                before: start.before.check,
                chain: setup.chain,
            };
            let frame = Frame {
                commit: end.commit,
                time_ms: *time_ms,
                kind: Kind::Group,
                body,
            };
            end.check = frame.encode(&place, &mut segment);
        }
        let name = SegmentName {
            first: start.before.commit + 1,
            serial: start.serial,
        };
        let file = publish(&setup, &name.to_string(), &segment)?;
        Ok(Self {
            setup,
            file,
            serial: start.serial,
            salt,
            offset: segment.len() as u64,
            end,
            body: vec![],
            bytes: vec![],
        })
    }

    /// The last frame.
    pub(super) fn end(&self) -> Link {
        self.end
    }

    /// Writes the next frame, not yet synced. After an error the journal is not to be used.
    pub(super) fn write(&mut self, time_ms: i64, changes: &Overlay) -> io::Result<()> {
        self.body.clear();
        encode_changes(changes, &mut self.body);
        let commit = self.end.commit + 1;
        let check = self.append(commit, time_ms, Kind::Group)?;
        self.end = Link { commit, check };
        Ok(())
    }

    /// Makes all that was written durable. After an error the journal is not to be used.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        #[cfg(test)]
        if trial::is(Planted::NotSynced) {
            return Ok(());
        }
        self.file.sync()
    }

    /// Whether the next frame belongs in a new segment.
    pub(super) fn is_full(&self) -> bool {
        self.offset >= self.setup.segment_bytes
    }

    /// Ends the segment with a seal. Nothing can be written after it but a new segment.
    pub(super) fn seal(&mut self, time_ms: i64) -> io::Result<()> {
        self.body.clear();
        self.append(self.end.commit, time_ms, Kind::Seal)?;
        self.sync()
    }

    /// Seals the segment and begins the next.
    pub(super) fn rotate(mut self, time_ms: i64) -> io::Result<Self> {
        self.seal(time_ms)?;
        let start = Start {
            serial: self.serial + 1,
            before: self.end,
            carried: None,
        };
        Self::begin(self.setup, &start)
    }

    fn append(&mut self, commit: u64, time_ms: i64, kind: Kind) -> io::Result<u32> {
        let place = Place {
            salt: self.salt,
            offset: self.offset,
            before: self.end.check,
            chain: self.setup.chain,
        };
        let frame = Frame {
            commit,
            time_ms,
            kind,
            body: &self.body,
        };
        self.bytes.clear();
        let check = frame.encode(&place, &mut self.bytes);
        self.file.write_at(&self.bytes, self.offset)?;
        self.offset += self.bytes.len() as u64;
        Ok(check)
    }
}

/// Gives a file its name only when its content is durable: a named segment has a whole header.
fn publish(setup: &Setup, name: &str, content: &[u8]) -> io::Result<Box<dyn DiskFile>> {
    let new = setup.dir.join("next.new");
    let mut file = setup.disk.create(&new)?;
    file.write_at(content, 0)?;
    file.sync()?;
    setup.disk.rename(&new, &setup.dir.join(name))?;
    setup.disk.sync_dir(&setup.dir)?;
    Ok(file)
}
