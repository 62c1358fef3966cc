//! One journal file: its name, and its frames up to where they stop being good.

use std::fmt;

use super::frame::{BadHeader, Chain, Frame, HEADER_BYTES, Header, Kind, Link, MAX_FRAME_BYTES};
use super::frame::{Place, good_frame_behind, visit_changes};

/// The name of a segment: its first commit, and its place in the order of all segments.
///
/// The commit alone does not order them: each start begins a segment with the last frame again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentName {
    /// The first commit in it.
    pub(super) first: u64,
    /// Counts segments, from 1.
    pub(super) serial: u64,
}

impl SegmentName {
    /// Reads a file name; `None` for what is not a segment.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (first, serial) = name.strip_suffix(".zgj")?.split_once('-')?;
        let parsed = Self {
            first: first.parse().ok()?,
            serial: serial.parse().ok()?,
        };
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}-{:08}.zgj", self.first, self.serial)
    }
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a seal.
    Sealed,
    /// After a good frame, without a seal.
    Open,
    /// With a frame that was being written: this many bytes.
    Torn(usize),
    /// With a bad frame that was whole once, at this offset.
    Damaged(u64),
}

/// A segment that was read.
pub(super) struct Segment<'b> {
    /// Its header.
    pub(super) header: Header,
    /// Its groups, in order, each with its check.
    pub(super) frames: Vec<(Frame<'b>, u32)>,
    /// How it ends.
    pub(super) ending: Ending,
}

impl<'b> Segment<'b> {
    /// Reads all of a segment.
    ///
    /// # Errors
    /// [`BadHeader`].
    pub(super) fn read(bytes: &'b [u8], chain: Chain) -> Result<Self, BadHeader> {
        let header = Header::decode(bytes)?;
        let mut frames = vec![];
        let mut last = header.before;
        let mut place = Place {
            salt: header.salt,
            offset: HEADER_BYTES as u64,
            before: last.check,
            chain,
        };
        let ending = loop {
            let next = Frame::decode(bytes, &place).filter(|(frame, _)| follows(frame, last));
            let Some((frame, check)) = next else {
                break ending(bytes, &place, last);
            };
            place.offset += frame.bytes() as u64;
            place.before = check;
            if frame.kind == Kind::Seal {
                break match place.offset == bytes.len() as u64 {
                    true => Ending::Sealed,
                    false => Ending::Damaged(place.offset),
                };
            }
            last = Link {
                commit: frame.commit,
                check,
            };
            frames.push((frame, check));
        };
        Ok(Self {
            header,
            frames,
            ending,
        })
    }
}

fn follows(frame: &Frame<'_>, last: Link) -> bool {
    match frame.kind {
        Kind::Group => {
            last.commit.checked_add(1) == Some(frame.commit)
                && visit_changes(frame.body, &mut |_, _| ()).is_some()
        }
        Kind::Seal => frame.commit == last.commit,
    }
}

fn ending(bytes: &[u8], place: &Place, last: Link) -> Ending {
    let offset = usize::try_from(place.offset).unwrap_or(usize::MAX);
    let rest = bytes.len().saturating_sub(offset);
    if rest == 0 {
        Ending::Open
    } else if rest > MAX_FRAME_BYTES || good_frame_behind(bytes, place, last.commit) {
        Ending::Damaged(place.offset)
    } else {
        Ending::Torn(rest)
    }
}
