//! What base and journal come to, key by key in order, in bounded memory: changes gather in memory,
//! are spilled to sorted runs when there are many, and are merged over the base at the end.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, btree_map};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::Disk;
use super::read::is_cache;
use super::sorted::{BadSorted, Entry, Head, SortedReader, SortedWriter};

/// So much gathers in memory before a run is spilled, in bytes of keys and values.
const RUN_BYTES: usize = 32 << 20;
/// What a key costs in memory beside its bytes.
const KEY_COST: usize = 100;

/// Changes on their way to being merged.
pub(super) struct Runs {
    disk: Arc<dyn Disk>,
    /// Runs are files of this directory, named so.
    dir: PathBuf,
    name: &'static str,
    limit_bytes: usize,
    newest: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
    spilled: Vec<PathBuf>,
    keys: u64,
    /// Once a spill has failed everything stays in memory: a full disk must not end a start.
    failed: bool,
}

impl Runs {
    /// Nothing yet. Runs will be files of `dir` whose names begin with `name`.
    pub(super) fn new(disk: Arc<dyn Disk>, dir: &Path, name: &'static str) -> Self {
        Self {
            disk,
            dir: dir.to_owned(),
            name,
            limit_bytes: RUN_BYTES,
            newest: BTreeMap::new(),
            bytes: 0,
            spilled: vec![],
            keys: 0,
            failed: false,
        }
    }

    /// The same, spilling after so many bytes.
    #[cfg(test)]
    pub(super) fn spilling_after(mut self, limit_bytes: usize) -> Self {
        self.limit_bytes = limit_bytes;
        self
    }

    /// Takes over one change; a cache key counts as gone.
    pub(super) fn change(&mut self, key: &[u8], value: Option<&[u8]>) {
        let value = value.filter(|_| !is_cache(key)).map(<[u8]>::to_vec);
        self.bytes += KEY_COST + key.len() + value.as_ref().map_or(0, Vec::len);
        self.newest.insert(key.to_vec(), value);
        if self.bytes >= self.limit_bytes
            && !self.failed
            && let Err(error) = self.spill()
        {
            tracing::warn!(%error, "排序用的临时文件写不下，改在内存里做");
            self.failed = true;
        }
    }

    fn spill(&mut self) -> io::Result<()> {
        let name = format!("{}-{:04}.run", self.name, self.spilled.len());
        let path = self.dir.join(name);
        let mut writer = SortedWriter::create(&*self.disk, &path, &Head::default())?;
        for (key, value) in &self.newest {
            writer.push(key, value.as_deref())?;
        }
        writer.finish()?;
        self.spilled.push(path);
        self.keys += self.newest.len() as u64;
        self.newest.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Everything in order: the changes over `base`.
    ///
    /// # Errors
    /// [`BadSorted`].
    pub(super) fn over(mut self, base: Option<SortedReader>) -> Result<Truth, BadSorted> {
        let newest = std::mem::take(&mut self.newest);
        let mut keys = self.keys + newest.len() as u64;
        let mut sources = vec![];
        if let Some(base) = base {
            keys += base.count();
            sources.push(Source::File(Box::new(base)));
        }
        for path in &self.spilled {
            let (_, reader) = SortedReader::open(&*self.disk, path)?;
            sources.push(Source::File(Box::new(reader)));
        }
        sources.push(Source::Memory(newest.into_iter()));
        Truth::new(sources, keys, self)
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        for path in &self.spilled {
            // What stays is taken away by the next start.
            let _ = self.disk.remove(path);
        }
    }
}

enum Source {
    File(Box<SortedReader>),
    Memory(btree_map::IntoIter<Vec<u8>, Option<Vec<u8>>>),
}

impl Source {
    fn next(&mut self) -> Result<Option<Entry>, BadSorted> {
        match self {
            Self::File(reader) => reader.next(),
            Self::Memory(entries) => Ok(entries.next()),
        }
    }
}

/// A key and its value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// The head of a source: by key, and of one key the newest source first.
type Candidate = Reverse<(Vec<u8>, Reverse<usize>)>;

/// All keys and values, sorted, each once.
pub(super) struct Truth {
    /// Oldest first.
    sources: Vec<Source>,
    heads: BinaryHeap<Candidate>,
    /// The values that belong to the heads, by source.
    values: Vec<Option<Vec<u8>>>,
    keys_at_most: u64,
    _runs: Runs,
}

impl Truth {
    fn new(sources: Vec<Source>, keys_at_most: u64, runs: Runs) -> Result<Self, BadSorted> {
        let count = sources.len();
        let mut truth = Self {
            sources,
            heads: BinaryHeap::new(),
            values: vec![None; count],
            keys_at_most,
            _runs: runs,
        };
        for source in 0..count {
            truth.advance(source)?;
        }
        Ok(truth)
    }

    /// No more keys than this will come.
    pub(super) fn keys_at_most(&self) -> u64 {
        self.keys_at_most
    }

    fn advance(&mut self, source: usize) -> Result<(), BadSorted> {
        if let Some((key, value)) = self.sources[source].next()? {
            self.values[source] = value;
            self.heads.push(Reverse((key, Reverse(source))));
        }
        Ok(())
    }

    /// The next key with its value; `None` behind the last.
    ///
    /// # Errors
    /// [`BadSorted`]: then nothing that came before is to be relied on either.
    pub(super) fn next(&mut self) -> Result<Option<Pair>, BadSorted> {
        loop {
            let Some(Reverse((key, Reverse(source)))) = self.heads.pop() else {
                return Ok(None);
            };
            let value = self.values[source].take();
            self.advance(source)?;
            while let Some(Reverse((same, _))) = self.heads.peek()
                && *same == key
            {
                let Some(Reverse((_, Reverse(older)))) = self.heads.pop() else {
                    break;
                };
                self.advance(older)?;
            }
            if let Some(value) = value {
                return Ok(Some((key, value)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::sim_disk::SimDisk;

    fn all(mut truth: Truth) -> Vec<Pair> {
        let mut found = vec![];
        while let Some(entry) = truth.next().unwrap() {
            found.push(entry);
        }
        found
    }

    /// Changes of a few keys, many times over, and what they come to.
    fn random_changes(seed: u64) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut random = seed | 1;
        let mut below = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 11) % bound
        };
        let change = |_| {
            let key = vec![b'k', u8::try_from(below(40)).unwrap()];
            let value = (below(4) != 0).then(|| below(1 << 40).to_be_bytes().to_vec());
            (key, value)
        };
        (0..400).map(change).collect()
    }

    #[test]
    fn base_and_spilled_runs_come_to_what_the_changes_one_by_one_come_to() {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
        let dir = Path::new("/base");
        for seed in 1..40 {
            let mut plain = BTreeMap::new();
            let mut runs = Runs::new(Arc::clone(&disk), dir, "test").spilling_after(2000);
            let path = dir.join("x.zgb");
            let mut base = SortedWriter::create(&*disk, &path, &Head::default()).unwrap();
            for number in 0..30 {
                let key = vec![b'k', number];
                base.push(&key, Some(b"base")).unwrap();
                plain.insert(key, b"base".to_vec());
            }
            base.finish().unwrap();
            for (key, value) in random_changes(seed) {
                runs.change(&key, value.as_deref());
                match value {
                    Some(value) => plain.insert(key, value),
                    None => plain.remove(&key),
                };
            }
            assert!(runs.spilled.len() > 3, "{} runs", runs.spilled.len());
            let (_, base) = SortedReader::open(&*disk, &path).unwrap();
            let truth = runs.over(Some(base)).unwrap();
            assert!(truth.keys_at_most() >= plain.len() as u64);
            assert_eq!(all(truth), plain.into_iter().collect::<Vec<_>>());
            let left = disk.list(dir).unwrap();
            assert_eq!(left, ["x.zgb"], "runs are left behind");
        }
    }

    #[test]
    fn a_cache_key_is_no_part_of_the_truth() {
        let mut runs = Runs::new(Arc::new(SimDisk::new(1)), Path::new("/base"), "test");
        runs.change(&[0xF0, 1], Some(b"token"));
        runs.change(b"k", Some(b"kept"));
        let found = all(runs.over(None).unwrap());
        assert_eq!(found, [(b"k".to_vec(), b"kept".to_vec())]);
    }

    #[test]
    fn what_cannot_be_spilled_stays_in_memory() {
        let disk = SimDisk::new(1);
        disk.cut_after(0);
        let mut runs = Runs::new(Arc::new(disk), Path::new("/base"), "test").spilling_after(300);
        for number in 0..50 {
            runs.change(&[b'k', number], Some(b"kept"));
        }
        assert!(runs.failed);
        assert_eq!(all(runs.over(None).unwrap()).len(), 50);
    }
}
