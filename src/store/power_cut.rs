//! The journal under power cuts: whatever part of the unsynced pages a cut keeps, what comes back
//! is a prefix that holds all that was acknowledged, over many cuts in a row.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{Chain, Link};
use super::journal::{Journal, Setup};
use super::recover::{Home, Recovered, Source, recover};
use super::sim_disk::SimDisk;
use super::tx::{Change, Overlay};

/// What is broken on purpose, to see that the property notices it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// Frames are not bound to their place and predecessor.
    BrokenChain,
    /// The last frame is not written again before others lean on it.
    NotCarried,
}

/// One machine, its disk, and what it has promised.
struct Machine {
    disk: SimDisk,
    planted: Planted,
    random: u64,
    /// The content of each commit, first to last, that was acknowledged.
    acknowledged: Vec<Vec<u8>>,
    /// The commit after these, whose outcome is unknown.
    pending: Option<Vec<u8>>,
    written: u64,
    cuts: u32,
}

impl Machine {
    fn new(seed: u64, planted: Planted) -> Self {
        Self {
            disk: SimDisk::new(seed),
            planted,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            acknowledged: vec![],
            pending: None,
            written: 0,
            cuts: 0,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % bound
    }

    fn chain(&self) -> Chain {
        match self.planted {
            Planted::BrokenChain => Chain::Broken,
            Planted::Nothing | Planted::NotCarried => Chain::Checked,
        }
    }

    /// Starts, writes and ends in some way, `generations` times.
    fn live(&mut self, generations: u32) -> Result<(), String> {
        for _ in 0..generations {
            let recovered = self.come_up()?;
            if self.below(4) != 0 {
                let operations = self.below(24);
                self.disk.cut_after(operations);
            }
            // An error here is the cut or the planted fault; the promise is checked next time.
            let _ = self.write_some(&recovered);
            match self.below(4) {
                0 => self.disk.restart_program(),
                _ => {
                    self.disk.cut_power();
                    self.cuts += 1;
                }
            }
        }
        self.come_up().map(|_| ())
    }

    /// Reads the journal and holds it against what was promised.
    fn come_up(&mut self) -> Result<Recovered, String> {
        let source = Source {
            disk: &self.disk,
            dir: Path::new("/journal"),
            chain: self.chain(),
            home: Home::Ours,
            instance: None,
            base: None,
            before_serial: None,
            progress: &|_| (),
        };
        let mut commits: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        let recovered = recover(&source, &mut |key, value| {
            let commit = u64::from_be_bytes(key[1..].try_into().expect("a commit"));
            commits.insert(commit, value.expect("only puts").to_vec());
        });
        let recovered = recovered.map_err(|fault| format!("refused: {fault}"))?;
        let came_back: Vec<Vec<u8>> = commits.into_values().collect();
        if came_back.len() as u64 != recovered.end.commit {
            return Err("the numbers have a gap".to_owned());
        }
        let promised = self.acknowledged.len();
        if came_back.get(..promised) != Some(&self.acknowledged[..]) {
            return Err("something acknowledged is not there".to_owned());
        }
        match &came_back[promised..] {
            [] => Ok(recovered),
            [one] if Some(one) == self.pending.as_ref() => Ok(recovered),
            _ => Err("something came back that was never written there".to_owned()),
        }
    }

    fn write_some(&mut self, recovered: &Recovered) -> std::io::Result<()> {
        let setup = Setup {
            disk: Arc::new(self.disk.clone()),
            dir: PathBuf::from("/journal"),
            chain: self.chain(),
            instance: [7; 16],
            segment_bytes: 500,
        };
        let mut start = recovered.start();
        if self.planted == Planted::NotCarried {
            (start.before, start.carried) = (recovered.end, None);
        }
        let mut journal = Journal::begin(setup, &start)?;
        let came_back = recovered.end.commit > self.acknowledged.len() as u64;
        if let (true, Some(commit)) = (came_back, self.pending.take()) {
            self.acknowledged.push(commit);
        }
        self.pending = None;
        for _ in 0..self.below(7) {
            if journal.is_full() {
                journal = journal.rotate(0)?;
            }
            self.write_one(&mut journal)?;
        }
        match self.below(3) {
            0 => journal.seal(0),
            _ => Ok(()),
        }
    }

    fn write_one(&mut self, journal: &mut Journal) -> std::io::Result<()> {
        if self.below(12) == 0 {
            self.disk.fail_next_sync();
        }
        self.written += 1;
        let mut value = self.written.to_be_bytes().to_vec();
        value.resize(
            [20, 20, 20, 90, 300][usize::try_from(self.below(5)).expect("small")],
            1,
        );
        let commit = self.acknowledged.len() as u64 + 1;
        self.pending = Some(value.clone());
        let mut changes = Overlay::default();
        changes.set(
            [&b"k"[..], &commit.to_be_bytes()].concat(),
            Change::Put(value),
        );
        journal.write(0, &changes)?;
        journal.sync()?;
        assert_eq!(
            journal.end(),
            Link {
                commit,
                ..journal.end()
            }
        );
        self.acknowledged.extend(self.pending.take());
        Ok(())
    }
}

/// Runs `machines` of them; how many cuts there were, or what was broken first.
fn run(machines: u64, planted: Planted) -> Result<u32, String> {
    let mut cuts = 0;
    for seed in 1..=machines {
        let mut machine = Machine::new(seed, planted);
        machine
            .live(12)
            .map_err(|broken| format!("seed {seed}: {broken}"))?;
        cuts += machine.cuts;
    }
    Ok(cuts)
}

#[test]
fn after_any_cut_what_comes_back_is_a_prefix_that_holds_all_that_was_acknowledged() {
    let cuts = run(1000, Planted::Nothing).expect("the promise holds");
    assert!(cuts > 8000, "{cuts} cuts");
}

#[test]
fn the_property_notices_a_broken_chain() {
    run(1000, Planted::BrokenChain).expect_err("it must notice");
}

#[test]
fn the_property_notices_that_the_last_frame_is_not_written_again() {
    run(1000, Planted::NotCarried).expect_err("it must notice");
}
