//! Reading the journal back: every frame, number and link, and where a copy of it ends.
//!
//! It writes nothing. What it cannot vouch for it names, and refuses.

use std::io;
use std::path::Path;

use super::disk::Disk;
use super::frame::{BadHeader, Chain, Frame, Link, visit_changes};
use super::journal::{Carried, Start};
use super::rebuild::Progress;
use super::segment::{Ending, Segment, SegmentName};
use crate::base::Timestamp;

/// Whose directory the journal is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// The one it was written in: all that was written must be there.
    Ours,
    /// A copy, taken at any time: it may end earlier than the original.
    Copy,
}

/// A journal to be read.
pub(super) struct Source<'s> {
    /// The disk it is on.
    pub(super) disk: &'s dyn Disk,
    /// Its directory.
    pub(super) dir: &'s Path,
    /// Whether frames are chained.
    pub(super) chain: Chain,
    /// Whose directory it is.
    pub(super) home: Home,
    /// The store that wrote it, where that is known.
    pub(super) instance: Option<[u8; 16]>,
    /// Told of each segment.
    pub(super) progress: &'s dyn Fn(Progress),
}

/// What a journal says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// The last good frame.
    pub(super) end: Link,
    /// The frame before that.
    pub(super) before: Link,
    /// What the last good frame holds.
    pub(super) last: Option<Carried>,
    /// The store that wrote it; `None` when there is no segment.
    pub(super) instance: Option<[u8; 16]>,
    /// The segments read, in order.
    pub(super) segments: Vec<String>,
    /// Segments behind the end of a copy, in order.
    pub(super) left_out: Vec<String>,
    /// Bytes of a frame that was being written when the power went.
    pub(super) torn_bytes: usize,
    next_serial: u64,
}

impl Recovered {
    /// Where the next segment begins.
    pub(super) fn start(&self) -> Start {
        Start {
            serial: self.next_serial,
            before: match self.last {
                Some(_) => self.before,
                None => self.end,
            },
            carried: self.last.clone(),
        }
    }
}

/// Why a journal cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum JournalFault {
    /// It cannot be read.
    #[error("读取账本失败：{0}")]
    Io(#[from] io::Error),
    /// A newer program wrote it.
    #[error("账本文件 {file} 是更新版本的程序写的（格式 {version}），请用那个版本打开")]
    Newer {
        /// The segment.
        file: String,
        /// Its layout.
        version: u32,
    },
    /// Another store wrote it.
    #[error("账本文件 {0} 属于另一个存储，请把它移出 journal/")]
    Foreign(String),
    /// Bytes that were good once are not now.
    #[error(
        "账本文件 {file} 在第 {offset} 字节处损坏：此前最后一笔完好的提交是 {commit}（{at}）。\
         请从备份恢复（zhanggui restore），不要删除任何文件"
    )]
    Damaged {
        /// The segment.
        file: String,
        /// Where the bad bytes begin.
        offset: u64,
        /// The last good commit before them.
        commit: u64,
        /// When that was written.
        at: Timestamp,
    },
    /// Commits are not there that were.
    #[error(
        "账本缺少提交：{file} 之前应有提交 {wanted}，实际只到 {commit}（{at}）。\
         请找回缺少的账本文件，或从备份恢复（zhanggui restore）；\
         若确认接受丢失，用 cp -r 复制整个数据目录并在副本上启动"
    )]
    Missing {
        /// What proves that they were there.
        file: String,
        /// The commit that should be there.
        wanted: u64,
        /// The last commit that is.
        commit: u64,
        /// When that was written.
        at: Timestamp,
    },
}

impl JournalFault {
    /// The file it is about, where it is one.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Io(_) => None,
            Self::Foreign(file)
            | Self::Newer { file, .. }
            | Self::Damaged { file, .. }
            | Self::Missing { file, .. } => Some(file),
        }
    }
}

/// What a change does to a key.
pub(super) type OnChange<'c> = dyn FnMut(&[u8], Option<&[u8]>) + 'c;

/// Reads a journal whole; `on_change` sees every change in the order of the commits.
///
/// # Errors
/// [`JournalFault`].
pub(super) fn recover(
    source: &Source<'_>,
    on_change: &mut OnChange<'_>,
) -> Result<Recovered, JournalFault> {
    let names = segment_names(source)?;
    let mut recovered = Recovered {
        instance: source.instance,
        next_serial: names.last().map_or(1, |name| name.serial + 1),
        ..Recovered::default()
    };
    let mut ending = Ending::Open;
    for (at, name) in names.iter().enumerate() {
        let name = name.to_string();
        let bytes = source.disk.read(&source.dir.join(&name))?;
        let segment = read(source, &name, &bytes)?;
        if recovered
            .instance
            .is_some_and(|ours| ours != segment.header.instance)
        {
            return Err(JournalFault::Foreign(name));
        }
        recovered.instance = Some(segment.header.instance);
        if !recovered.is_followed_by(segment.header.before) {
            if at == 0 || source.home == Home::Ours || ending == Ending::Sealed {
                return Err(recovered.missing(name, segment.header.before.commit));
            }
            recovered.left_out = names[at..].iter().map(ToString::to_string).collect();
            break;
        }
        ending = segment.ending;
        recovered.take(name, &segment, on_change)?;
        (source.progress)(Progress::Reading {
            segments: at + 1,
            of: names.len(),
        });
    }
    Ok(recovered)
}

fn segment_names(source: &Source<'_>) -> io::Result<Vec<SegmentName>> {
    let files = source.disk.list(source.dir)?;
    let mut names: Vec<_> = files
        .iter()
        .filter_map(|name| SegmentName::parse(name))
        .collect();
    names.sort_by_key(|name| name.serial);
    Ok(names)
}

fn read<'b>(source: &Source<'_>, name: &str, bytes: &'b [u8]) -> Result<Segment<'b>, JournalFault> {
    Segment::read(bytes, source.chain).map_err(|bad| match bad {
        BadHeader::Newer(version) => JournalFault::Newer {
            file: name.to_owned(),
            version,
        },
        BadHeader::Damaged => JournalFault::Damaged {
            file: name.to_owned(),
            offset: 0,
            commit: SegmentName::parse(name).map_or(0, |name| name.first.saturating_sub(1)),
            at: Timestamp::default(),
        },
    })
}

impl Recovered {
    /// A segment goes on after the last frame, or writes that one again.
    fn is_followed_by(&self, before: Link) -> bool {
        before == self.end || (before == self.before && self.last.is_some())
    }

    fn take(
        &mut self,
        name: String,
        segment: &Segment<'_>,
        on_change: &mut OnChange<'_>,
    ) -> Result<(), JournalFault> {
        let mut before = segment.header.before;
        for (frame, check) in &segment.frames {
            // Checked when the segment was read, so it cannot break off here.
            let _ = visit_changes(frame.body, &mut |key, value| on_change(key, value));
            self.before = before;
            self.end = Link {
                commit: frame.commit,
                check: *check,
            };
            before = self.end;
        }
        if let Some((frame, _)) = segment.frames.last() {
            self.last = Some(carried(frame));
        }
        self.torn_bytes = match segment.ending {
            Ending::Sealed | Ending::Open => 0,
            Ending::Torn(bytes) => bytes,
            Ending::Damaged(offset) => {
                return Err(JournalFault::Damaged {
                    file: name,
                    offset,
                    commit: self.end.commit,
                    at: self.at(),
                });
            }
        };
        self.segments.push(name);
        Ok(())
    }

    /// The fault that `wanted` should be there, as `file` proves.
    pub(super) fn missing(&self, file: String, wanted: u64) -> JournalFault {
        JournalFault::Missing {
            file,
            wanted,
            commit: self.end.commit,
            at: self.at(),
        }
    }

    fn at(&self) -> Timestamp {
        let time_ms = self.last.as_ref().map_or(0, |last| last.time_ms);
        Timestamp::from_unix(time_ms.div_euclid(1000))
    }
}

fn carried(frame: &Frame<'_>) -> Carried {
    Carried {
        time_ms: frame.time_ms,
        body: frame.body.to_vec(),
    }
}
