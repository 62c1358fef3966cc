//! What the writer is doing, as one byte in a file that outlives a SIGKILL: so that a crash test
//! can say where each kill fell. It costs nothing when no file is named.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::disk::create_private;

/// What the writer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Opening the store, rebuilding the working set included.
    Open,
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
            Self::Idle => b'i',
            Self::Group => b'g',
            Self::Fdatasync => b'f',
            Self::Apply => b'a',
            Self::Rotation => b'r',
        }
    }
}

/// The file that holds the phase, if one is wanted.
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
}
