//! Makes base files in the background and takes away what they replace.
//!
//! Its work blocks nobody: it reads sealed segments and the last base, which no one changes. When
//! it fails the store goes on, for the journal is still whole; the failure can be asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::bases::{self, Base, Bases, Making};
use super::bureau::{BasePlan, BaseState, Bureau};
use super::disk::Disk;
use super::frame::Chain;
use super::phase::{Beside, PhaseFile};
use super::recover::{Home, JournalFault, Recovered, Source, recover, segment_names};
use super::retention::kept;
use super::segment::SegmentName;
use super::sorted::{BadSorted, Head};
use super::truth::{Runs, Truth};
use super::writer::Message;
use crate::base::{Clock, Timestamp};

/// How often it looks whether a base is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it lets a failure rest.
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// How long it rests after each block, so that the till has the disk.
const REST: Duration = Duration::from_micros(500);

/// Since when a base is known.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// It was there when the maker began: its own time counts.
    Before,
    /// Since then.
    Since(Instant),
}

/// The maker of base files of one open store.
pub(super) struct BaseMaker {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) data_dir: PathBuf,
    pub(super) instance: [u8; 16],
    pub(super) chain: Chain,
    pub(super) clock: Clock,
    pub(super) plan: BasePlan,
    pub(super) bureau: Arc<Bureau>,
    pub(super) phase: PhaseFile,
}

/// The files as they are now.
struct Files {
    bases: Bases,
    segments: Vec<SegmentName>,
    /// The length of each segment.
    lengths: Vec<u64>,
}

/// Why a base is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// The sealed segments are large.
    Size,
    /// The last one is old: the segment that is being written is to be sealed too.
    Time,
}

impl BaseMaker {
    /// Works in a thread of its own until it is stopped; `writer` is asked to end segments.
    pub(super) fn start(self, writer: Sender<Message>) -> std::io::Result<JoinHandle<()>> {
        let thread = std::thread::Builder::new().name("store-base".to_owned());
        thread.spawn(move || self.run(&writer))
    }

    fn run(&self, writer: &Sender<Message>) {
        let began = Instant::now();
        let mut seen: BTreeMap<u64, Seen> = BTreeMap::new();
        let mut pause = LOOK_EVERY;
        let mut first = true;
        while !self.bureau.wait(pause) {
            pause = LOOK_EVERY;
            let looked = self.turn(writer, began, &mut |bases, maker| {
                for base in &bases.good {
                    let now = if first {
                        Seen::Before
                    } else {
                        Seen::Since(Instant::now())
                    };
                    seen.entry(base.head.end.commit).or_insert(now);
                }
                first = false;
                let old = |base: &Base| maker.is_old(base, seen.get(&base.head.end.commit));
                bases.good.iter().map(old).collect()
            });
            if let Err(why) = looked
                && !self.bureau.is_stopped()
            {
                tracing::error!(%why, "基线文件没有做成；账本仍然完整，稍后再试");
                self.bureau.fail(why);
                pause = AFTER_FAILURE;
            }
            self.phase.beside(Beside::Nothing);
        }
    }

    fn is_old(&self, base: &Base, seen: Option<&Seen>) -> bool {
        match seen {
            None => false,
            Some(Seen::Since(at)) => at.elapsed() >= self.plan.keep,
            Some(Seen::Before) => {
                let age_ms = self.clock.now_ms().saturating_sub(base.head.time_ms);
                u128::try_from(age_ms).is_ok_and(|age| age >= self.plan.keep.as_millis())
            }
        }
    }

    /// Looks once, makes a base when one is due, and takes away what is no longer needed.
    fn turn(
        &self,
        writer: &Sender<Message>,
        began: Instant,
        old: &mut dyn FnMut(&Bases, &Self) -> Vec<bool>,
    ) -> Result<(), String> {
        let mut files = self.look().map_err(|error| error.to_string())?;
        let due = self.due(&files, began.elapsed());
        if due == Some(Due::Time) {
            let (sealed, wait) = channel();
            let sent = writer.send(Message::Rotate(sealed));
            if sent.is_err() || wait.recv().is_err() {
                return Err("the writer has ended".to_owned());
            }
            files = self.look().map_err(|error| error.to_string())?;
        }
        if due.is_some() {
            self.phase.beside(Beside::Base);
            self.make(&files)?;
            files = self.look().map_err(|error| error.to_string())?;
        }
        let old = old(&files.bases, self);
        self.retire(&files, &old)?;
        self.note(&files);
        Ok(())
    }

    fn journal_dir(&self) -> PathBuf {
        self.data_dir.join("journal")
    }

    fn base_dir(&self) -> PathBuf {
        bases::dir(&self.data_dir)
    }

    fn look(&self) -> std::io::Result<Files> {
        let journal = self.journal_dir();
        let segments = segment_names(&*self.disk, &journal)?;
        let length = |name: &SegmentName| {
            let path = journal.join(name.to_string());
            self.disk.open(&path)?.length()
        };
        Ok(Files {
            bases: Bases::look(&*self.disk, &self.base_dir())?,
            lengths: segments.iter().map(length).collect::<Result<_, _>>()?,
            segments,
        })
    }

    fn note(&self, files: &Files) {
        let newest = files.bases.good.first();
        self.bureau.note(BaseState {
            commit: newest.map_or(0, |base| base.head.end.commit),
            at: newest.map(|base| Timestamp::from_unix(base.head.time_ms.div_euclid(1000))),
            bytes: newest.map_or(0, |base| base.bytes),
            journal_bytes: files.lengths.iter().sum(),
            segments: files.segments.len(),
            every: self.plan.every,
            failure: None,
        });
    }

    fn due(&self, files: &Files, up: Duration) -> Option<Due> {
        let newest = files.bases.good.first();
        let floor = newest.map_or(0, |base| base.head.end.commit);
        let sealed = files.segments.len().saturating_sub(1);
        let since = files.segments.iter().zip(&files.lengths).take(sealed);
        let since = since.filter(|(name, _)| name.first > floor);
        let bytes: u64 = since.map(|(_, length)| length).sum();
        let least = newest.map_or(0, |base| base.bytes);
        if bytes >= self.plan.journal_bytes.max(least) {
            return Some(Due::Size);
        }
        let age = match newest {
            None => up,
            Some(base) => {
                let age_ms = self.clock.now_ms().saturating_sub(base.head.time_ms);
                Duration::from_millis(u64::try_from(age_ms).unwrap_or(0))
            }
        };
        (age >= self.plan.every).then_some(Due::Time)
    }

    /// Makes the next base out of the newest one that is whole, or out of the journal alone.
    fn make(&self, files: &Files) -> Result<(), String> {
        let mut why = None;
        let good = files.bases.good.iter().map(Some);
        for base in good.chain([None]) {
            match self.make_from(files, base) {
                Ok(()) => return Ok(()),
                Err(NotMade::Stopped) => return Err("stopped".to_owned()),
                Err(NotMade::Base(bad)) => {
                    let name = base.map_or("", |base| &base.name);
                    tracing::error!(file = name, %bad, "基线文件损坏，改用更早的一个");
                    why.get_or_insert(bad.to_string());
                }
                Err(NotMade::Journal(fault)) => return Err(why.unwrap_or(fault.to_string())),
            }
        }
        Err(why.unwrap_or_default())
    }

    fn make_from(&self, files: &Files, base: Option<&Base>) -> Result<(), NotMade> {
        let dir = self.base_dir();
        let mut runs = Runs::new(Arc::clone(&self.disk), &dir, "make");
        let recovered = self.read(files, base, &mut runs)?;
        let floor = base.map_or(0, |base| base.head.end.commit);
        if recovered.end.commit == floor {
            return Ok(());
        }
        let reader = base.map(|base| bases::reader(&*self.disk, &dir, base));
        let truth: Truth = runs.over(reader.transpose()?)?;
        let head = Head {
            instance: self.instance,
            end: recovered.end,
            before: recovered.before,
            time_ms: self.clock.now_ms(),
        };
        let making = Making {
            disk: &self.disk,
            dir: &dir,
            pace: &|| self.pace(),
        };
        let made = making.write(&head, truth);
        let made = made.map_err(|bad| match self.bureau.is_stopped() {
            true => NotMade::Stopped,
            false => NotMade::Base(bad),
        })?;
        tracing::info!(
            commit = made.head.end.commit,
            bytes = made.bytes,
            "基线文件已做好"
        );
        Ok(())
    }

    fn pace(&self) -> Result<(), BadSorted> {
        if self.bureau.is_stopped() {
            return Err(BadSorted::Io(std::io::ErrorKind::Interrupted.into()));
        }
        std::thread::sleep(REST);
        Ok(())
    }

    /// Reads the sealed segments behind `base`.
    fn read(
        &self,
        files: &Files,
        base: Option<&Base>,
        runs: &mut Runs,
    ) -> Result<Recovered, JournalFault> {
        let source = Source {
            disk: &*self.disk,
            dir: &self.journal_dir(),
            chain: self.chain,
            home: Home::Ours,
            instance: Some(self.instance),
            base: base.map(|base| base.head),
            before_serial: files.segments.last().map(|name| name.serial),
            progress: &|_| (),
        };
        recover(&source, &mut |key, value| runs.change(key, value))
    }

    /// Takes away the bases and segments that nothing needs any more, unless files are pinned.
    fn retire(&self, files: &Files, old: &[bool]) -> Result<(), String> {
        let commits: Vec<u64> = (files.bases.good.iter())
            .map(|base| base.head.end.commit)
            .collect();
        let kept = kept(&commits, old);
        let unneeded = |base: &&Base| !kept.bases.contains(&base.head.end.commit);
        let bases: Vec<&Base> = files.bases.good.iter().filter(unneeded).collect();
        let behind = files.segments.iter().skip(1);
        let segments: Vec<&SegmentName> = (files.segments.iter().zip(behind))
            .take_while(|(_, next)| next.first <= kept.journal_from)
            .map(|(name, _)| name)
            .collect();
        if bases.is_empty() && segments.is_empty() {
            return Ok(());
        }
        let bad = |bad: BadSorted| bad.to_string();
        for base in &files.bases.good {
            if kept.bases.contains(&base.head.end.commit) {
                bases::prove(&*self.disk, &self.base_dir(), base).map_err(bad)?;
            }
        }
        let remove = || -> std::io::Result<()> {
            for base in bases.iter().rev() {
                self.disk.remove(&self.base_dir().join(&base.name))?;
            }
            self.disk.sync_dir(&self.base_dir())?;
            for name in segments {
                self.disk
                    .remove(&self.journal_dir().join(name.to_string()))?;
            }
            self.disk.sync_dir(&self.journal_dir())
        };
        let removed = self.bureau.unless_pinned(remove);
        removed.unwrap_or(Ok(())).map_err(|error| error.to_string())
    }
}

/// Why a base was not made.
enum NotMade {
    Stopped,
    Base(BadSorted),
    Journal(JournalFault),
}

impl From<BadSorted> for NotMade {
    fn from(bad: BadSorted) -> Self {
        Self::Base(bad)
    }
}

impl From<JournalFault> for NotMade {
    fn from(fault: JournalFault) -> Self {
        Self::Journal(fault)
    }
}

#[cfg(test)]
#[path = "base_maker_tests.rs"]
mod tests;
