//! What an opened store has to say of the start.

use std::path::PathBuf;

use super::migrate::Upgraded;

/// What was found in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: the store is new.
    Nothing,
    /// The store, where it was left.
    Store,
    /// A copy of a store, which lives here from now on.
    Copy,
}

/// How the working set came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkingSet {
    /// As it was closed.
    Opened,
    /// Built anew from the journal.
    Rebuilt {
        /// Its keys.
        keys: usize,
    },
}

/// What an opened store has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// What was found.
    pub found: Found,
    /// The last commit.
    pub commit: u64,
    /// The commit of the base that was read from; `None`: from the journal's beginning.
    pub base: Option<u64>,
    /// Journal segments read.
    pub segments: usize,
    /// Bytes of a frame that was being written when the power went; nobody had been told of it.
    pub torn_bytes: usize,
    /// Segments behind the end of a copy, where they are now.
    pub left_out: Vec<PathBuf>,
    /// How the working set came up.
    pub working_set: WorkingSet,
    /// What was done to a directory of an older format.
    pub upgraded: Option<Upgraded>,
}
