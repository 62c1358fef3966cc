//! A disk for tests. At a power cut it forgets any part of what was not synced, and it can fail an
//! fdatasync while the page cache keeps the bytes as if they were clean: as Linux does.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::{Disk, DiskFile, DiskReader};

/// Small, so that one frame lies on several pages.
const PAGE: usize = 32;

/// What is under a name.
type Inode = usize;

#[derive(Default)]
struct File {
    cache: Vec<u8>,
    disk: Vec<u8>,
    /// Pages that an fdatasync has yet to write; failed ones are not among them.
    dirty: Vec<bool>,
}

enum NameChange {
    Set(PathBuf, Inode),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Default)]
struct State {
    files: Vec<File>,
    names: BTreeMap<PathBuf, Inode>,
    durable_names: BTreeMap<PathBuf, Inode>,
    unsynced_names: Vec<NameChange>,
    /// Contents that were once in the cache and never reached the disk.
    stale: Vec<Vec<u8>>,
    operations_left: Option<u64>,
    failing_syncs: u32,
    random: u64,
}

/// The simulated disk. Clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct SimDisk(Arc<Mutex<State>>);

struct SimFile {
    disk: SimDisk,
    inode: Inode,
}

impl SimDisk {
    /// An empty disk whose forgetting is under `seed`.
    pub(super) fn new(seed: u64) -> Self {
        let disk = Self::default();
        disk.state().random = seed.wrapping_mul(2).wrapping_add(1);
        disk
    }

    /// After this many more operations everything fails: the machine is off.
    pub(super) fn cut_after(&self, operations: u64) {
        self.state().operations_left = Some(operations);
    }

    /// The next fdatasync fails once; the cache keeps what it should have written.
    pub(super) fn fail_next_sync(&self) {
        self.state().failing_syncs = 1;
    }

    /// The program ended and starts again; the machine stayed on.
    pub(super) fn restart_program(&self) {
        let mut state = self.state();
        state.operations_left = None;
        state.failing_syncs = 0;
    }

    /// The power goes and comes back: of what was not synced any part is kept.
    pub(super) fn cut_power(&self) {
        let mut state = self.state();
        state.operations_left = None;
        state.failing_syncs = 0;
        state.forget_names();
        let mut files = std::mem::take(&mut state.files);
        for file in &mut files {
            state.forget_pages(file);
        }
        state.files = files;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic under this lock")
    }
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        match &mut self.operations_left {
            Some(0) => Err(io::Error::other("the power is off")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 11).expect("64 bits") % bound
    }

    fn forget_names(&mut self) {
        let changes = std::mem::take(&mut self.unsynced_names);
        let kept = self.below(changes.len() + 1);
        let mut names = std::mem::take(&mut self.durable_names);
        for change in changes.iter().take(kept) {
            change.make(&mut names);
        }
        self.durable_names.clone_from(&names);
        self.names = names;
    }

    fn forget_pages(&mut self, file: &mut File) {
        if file.cache == file.disk {
            return;
        }
        let whole = file.cache.clone();
        let stale = match self.below(2) {
            1 if !self.stale.is_empty() => {
                let pick = self.below(self.stale.len());
                self.stale[pick].clone()
            }
            _ => vec![],
        };
        let mut kept = file.disk.clone();
        let length = match self.below(2) {
            0 => whole.len(),
            _ => kept.len() + self.below(whole.len() - kept.len() + 1),
        };
        for at in kept.len()..length {
            kept.push(stale.get(at).copied().unwrap_or(0));
        }
        let lucky = self.below(4);
        for page in (0..file.dirty.len()).filter(|page| file.dirty[*page]) {
            let end = ((page + 1) * PAGE).min(length);
            if page * PAGE < end && self.below(4) < lucky {
                kept[page * PAGE..end].copy_from_slice(&whole[page * PAGE..end]);
            }
        }
        self.stale.push(whole);
        file.dirty.clear();
        file.cache.clone_from(&kept);
        file.disk = kept;
    }
}

impl NameChange {
    fn make(&self, names: &mut BTreeMap<PathBuf, Inode>) {
        match self {
            Self::Set(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.step()?;
        state.files.push(File::default());
        let inode = state.files.len() - 1;
        let change = NameChange::Set(path.to_owned(), inode);
        change.make(&mut state.names);
        state.unsynced_names.push(change);
        let disk = self.clone();
        Ok(Box::new(SimFile { disk, inode }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state();
        let inode = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.files[*inode].cache.clone())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let here = state.names.keys().filter(|path| path.parent() == Some(dir));
        let names = here.filter_map(|path| path.file_name()?.to_str());
        Ok(names.map(ToOwned::to_owned).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let change = NameChange::Rename(from.to_owned(), to.to_owned());
        change.make(&mut state.names);
        state.unsynced_names.push(change);
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskReader>> {
        let inode = *self
            .state()
            .names
            .get(path)
            .ok_or(io::ErrorKind::NotFound)?;
        let disk = self.clone();
        Ok(Box::new(SimFile { disk, inode }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let change = NameChange::Remove(path.to_owned());
        change.make(&mut state.names);
        state.unsynced_names.push(change);
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.unsynced_names.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }
}

impl DiskReader for SimFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.inode].cache.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.disk.state();
        let start = usize::try_from(offset).expect("small");
        let there = state.files[self.inode].cache.get(start..start + into.len());
        into.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        // A write may be cut short by the power like anything else; then part of it is cached.
        let cut = state.step();
        let part = match cut {
            Ok(()) => bytes.len(),
            Err(_) => state.below(bytes.len() + 1),
        };
        let start = usize::try_from(offset).expect("small");
        let end = start + part;
        let file = &mut state.files[self.inode];
        let length = file.cache.len().max(end);
        file.cache.resize(length, 0);
        file.cache[start..end].copy_from_slice(&bytes[..part]);
        file.dirty.resize(length.div_ceil(PAGE), false);
        if part > 0 {
            file.dirty[start / PAGE..end.div_ceil(PAGE)].fill(true);
        }
        cut
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.step()?;
        let failing = state.failing_syncs > 0;
        state.failing_syncs = 0;
        let file = &mut state.files[self.inode];
        if failing {
            file.dirty.fill(false);
            return Err(io::Error::other("the disk refused a page"));
        }
        let length = file.cache.len();
        file.disk.resize(length, 0);
        for page in 0..file.dirty.len() {
            let (start, end) = (page * PAGE, ((page + 1) * PAGE).min(length));
            if file.dirty[page] {
                file.disk[start..end].copy_from_slice(&file.cache[start..end]);
            }
        }
        file.dirty.fill(false);
        Ok(())
    }
}
