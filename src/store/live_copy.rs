//! The promise about copies: whatever a tool copies while the journal is written, in any order and
//! however slowly, the copy comes up with all that was acknowledged before the copying began.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::Disk;
use super::frame::Chain;
use super::journal::{Journal, Setup};
use super::recover::{Home, Recovered, Source, recover};
use super::sim_disk::SimDisk;
use super::tx::{Change, Overlay};

const DIR: &str = "/journal";

/// A store that is written to, and a tool that copies it at the same time.
struct Scene {
    disk: SimDisk,
    random: u64,
    journal: Option<Journal>,
    commits: u64,
}

/// A file on its way to the copy.
struct Copying {
    name: String,
    bytes: Vec<u8>,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut scene = Self {
            disk: SimDisk::new(seed),
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            journal: None,
            commits: 0,
        };
        scene.start();
        scene
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 11).expect("64 bits") % bound
    }

    /// Starts the program, after a kill or for the first time.
    fn start(&mut self) {
        let (recovered, _) = come_up(&self.disk, Home::Ours).expect("nothing is missing");
        let setup = Setup {
            disk: Arc::new(self.disk.clone()),
            dir: PathBuf::from(DIR),
            chain: Chain::Checked,
            instance: [7; 16],
            segment_bytes: 400,
        };
        self.journal = Journal::begin(setup, &recovered.start()).ok();
    }

    /// Writes a commit; sometimes after a clean stop, a kill or a full segment.
    fn write(&mut self) {
        match self.below(12) {
            0 => self.start(),
            1 => {
                let mut journal = self.journal.take().expect("started");
                journal.seal(0).expect("no fault");
                self.start();
            }
            _ => {}
        }
        let mut journal = self.journal.take().expect("started");
        if journal.is_full() {
            journal = journal.rotate(0).expect("no fault");
        }
        self.commits += 1;
        let mut changes = Overlay::default();
        let key = [&b"k"[..], &self.commits.to_be_bytes()].concat();
        let value = vec![1; [20, 90, 200][self.below(3)]];
        changes.set(key, Change::Put(value));
        journal.write(0, &changes).expect("no fault");
        journal.sync().expect("no fault");
        self.journal = Some(journal);
    }

    /// Copies the journal piece by piece while it is written; the copy. Some tools look again for
    /// files that have come since.
    fn copy(&mut self) -> SimDisk {
        let copy = SimDisk::new(1);
        let (mut left, mut seen) = (vec![], BTreeSet::new());
        self.look(&mut left, &mut seen);
        while !left.is_empty() {
            let at = self.below(left.len());
            let piece = 1 + self.below(300);
            let there = self.disk.read(&Path::new(DIR).join(&left[at].name));
            // What was renamed since is not copied.
            let there = there.unwrap_or_default();
            let file = &mut left[at];
            let from = file.bytes.len().min(there.len());
            file.bytes.extend(there[from..].iter().take(piece));
            if file.bytes.len() >= there.len() {
                let Copying { name, bytes } = left.swap_remove(at);
                let mut file = copy.create(&Path::new(DIR).join(name)).expect("no fault");
                file.write_at(&bytes, 0).expect("no fault");
            }
            match self.below(24) {
                0..8 => self.write(),
                8 => self.look(&mut left, &mut seen),
                _ => {}
            }
        }
        copy
    }

    fn look(&self, left: &mut Vec<Copying>, seen: &mut BTreeSet<String>) {
        for name in self.disk.list(Path::new(DIR)).expect("a directory") {
            if seen.insert(name.clone()) {
                let bytes = vec![];
                left.push(Copying { name, bytes });
            }
        }
    }
}

/// Reads a journal: what it says, and the commits in it.
fn come_up(disk: &SimDisk, home: Home) -> Result<(Recovered, Vec<u64>), String> {
    let source = Source {
        disk,
        dir: Path::new(DIR),
        chain: Chain::Checked,
        home,
        instance: None,
        base: None,
        before_serial: None,
        progress: &|_| (),
    };
    let mut commits = BTreeMap::new();
    let recovered = recover(&source, &mut |key, _| {
        let commit = u64::from_be_bytes(key[1..].try_into().expect("a commit"));
        commits.insert(commit, ());
    });
    let recovered = recovered.map_err(|fault| fault.to_string())?;
    Ok((recovered, commits.into_keys().collect()))
}

#[test]
fn a_copy_made_while_the_journal_is_written_holds_all_from_before_it_began() {
    let (mut later, mut left_out) = (0, 0);
    for seed in 1..=600 {
        let mut scene = Scene::new(seed);
        for _ in 0..scene.below(40) {
            scene.write();
        }
        let before = scene.commits;
        let copy = scene.copy();
        let (recovered, commits) =
            come_up(&copy, Home::Copy).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        let end = recovered.end.commit;
        assert_eq!(commits, (1..=end).collect::<Vec<_>>(), "seed {seed}: a gap");
        assert!(end >= before, "seed {seed}: {end} of {before}");
        assert!(end <= scene.commits, "seed {seed}: more than was written");
        later += u32::from(end > before);
        left_out += u32::from(!recovered.left_out.is_empty());
    }
    assert!(
        later > 50,
        "{later} copies hold commits from while they were made"
    );
    assert!(left_out > 10, "{left_out} copies end at a gap");
}
