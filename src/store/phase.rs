//! What the store is doing, as two bytes in a file that outlives a SIGKILL: the writer's [`Phase`],
//! then what goes on [`Beside`] it. So a crash test can say where each kill fell. It costs nothing
//! when no file is named.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::disk::create_private;

/// What the writer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Opening the store.
    Open,
    /// Building the working set anew, a part of opening.
    Rebuild,
    /// Waiting for something to do.
    Idle,
    /// Running closures and writing their frame.
    Group,
    /// Waiting for the disk.
    Fdatasync,
    /// Changing the working set.
    Apply,
    /// Ending one journal segment and beginning the next.
    Rotation,
}

impl Phase {
    /// The byte that stands for it.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Open => b'o',
            Self::Rebuild => b'b',
            Self::Idle => b'i',
            Self::Group => b'g',
            Self::Fdatasync => b'f',
            Self::Apply => b'a',
            Self::Rotation => b'r',
        }
    }
}

/// What goes on beside the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// A base file is made.
    Base,
}

impl Beside {
    /// The byte that stands for it.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Nothing => b'-',
            Self::Base => b'B',
        }
    }
}

/// The file that holds both, if one is wanted.
#[derive(Debug)]
pub(super) struct PhaseFile(Option<File>);

impl PhaseFile {
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        path.map(create_private).transpose().map(Self)
    }

    pub(super) fn enter(&self, phase: Phase) {
        if let Some(file) = &self.0 {
            // It is a test's eye, not part of the store: if it is blind the store goes on.
            let _ = file.write_all_at(&[phase.byte()], 0);
        }
    }

    pub(super) fn beside(&self, beside: Beside) {
        if let Some(file) = &self.0 {
            // As above.
            let _ = file.write_all_at(&[beside.byte()], 1);
        }
    }

    /// The same file once more, for another thread.
    pub(super) fn another(&self) -> io::Result<Self> {
        self.0.as_ref().map(File::try_clone).transpose().map(Self)
    }
}
