//! Bases under power cuts and copying: machines that write, make bases and take files away, whose
//! power goes at any operation; and tools that copy meanwhile.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::*;
use crate::store::journal::{Journal, Setup};
use crate::store::sim_disk::SimDisk;
use crate::store::truth::Pair;
use crate::store::tx::{Change, Overlay};

const DATA: &str = "/";

/// What is broken on purpose, to see that the property notices it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Planted {
    Nothing,
    /// The journal goes before the base that replaces it is durable.
    DeletedFirst,
}

/// One machine: each commit sets a key to its number and removes an older one.
struct Machine {
    disk: SimDisk,
    planted: Planted,
    random: u64,
    acknowledged: u64,
    /// Whether the commit after these may be there.
    pending: bool,
    journal: Option<Journal>,
    bases_made: u32,
    segments_gone: u32,
    /// The newest base when a copy began.
    copying_from: u64,
}

/// What a start finds: the truth, and where the journal goes on.
struct Found {
    recovered: Recovered,
    keys: Vec<Pair>,
}

fn key(number: u64) -> Vec<u8> {
    [&b"k"[..], &number.to_be_bytes()].concat()
}

/// Commit `number` puts its key, and every third takes the key of `number / 2` away.
fn expected(commits: u64) -> Vec<Pair> {
    let gone: std::collections::BTreeSet<u64> = (1..=commits)
        .filter(|n| n % 3 == 0)
        .map(|n| n / 2)
        .collect();
    let there = (1..=commits).filter(|number| !gone.contains(number));
    there
        .map(|number| (key(number), number.to_be_bytes().to_vec()))
        .collect()
}

/// Opens base and journal as a start does.
fn come_up(disk: &SimDisk, home: Home) -> Result<Found, String> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let dir = Path::new("/base");
    let found = Bases::look(disk, dir).map_err(|error| error.to_string())?;
    let proven = |base: &&Base| bases::prove(disk, dir, base).is_ok();
    let base = found.good.iter().find(proven);
    let source = Source {
        disk,
        dir: Path::new("/journal"),
        chain: Chain::Checked,
        home,
        instance: None,
        base: base.map(|base| base.head),
        before_serial: None,
        progress: &|_| (),
    };
    let mut runs = Runs::new(shared, dir, "open").spilling_after(400);
    let recovered = recover(&source, &mut |key, value| runs.change(key, value));
    let recovered = recovered.map_err(|fault| format!("refused: {fault}"))?;
    let reader = base.map(|base| bases::reader(disk, dir, base).unwrap());
    let mut truth = runs.over(reader).map_err(|bad| bad.to_string())?;
    let mut keys = vec![];
    while let Some(entry) = truth.next().map_err(|bad| bad.to_string())? {
        keys.push(entry);
    }
    Ok(Found { recovered, keys })
}

impl Machine {
    fn new(seed: u64, planted: Planted) -> Self {
        Self {
            disk: SimDisk::new(seed),
            planted,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            acknowledged: 0,
            pending: false,
            journal: None,
            bases_made: 0,
            segments_gone: 0,
            copying_from: 0,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % bound
    }

    fn maker(&self) -> BaseMaker {
        let plan = BasePlan {
            every: Duration::from_secs(1 << 30),
            journal_bytes: 900,
            keep: Duration::ZERO,
        };
        BaseMaker {
            disk: Arc::new(self.disk.clone()),
            data_dir: DATA.into(),
            instance: [7; 16],
            chain: Chain::Checked,
            clock: Clock::system(),
            plan,
            bureau: Arc::default(),
            phase: PhaseFile::open(None).unwrap(),
        }
    }

    /// Starts; the journal is open then, unless the power went again.
    fn start(&mut self) -> Result<(), String> {
        let Found { recovered, keys } = come_up(&self.disk, Home::Ours)?;
        let end = recovered.end.commit;
        let most = self.acknowledged + u64::from(self.pending);
        if end < self.acknowledged || end > most {
            return Err(format!("{end} came back of {}", self.acknowledged));
        }
        if keys != expected(end) {
            return Err(format!("the keys at {end} are not right"));
        }
        let begun = Journal::begin(self.setup(), &recovered.start());
        if let Ok(journal) = begun {
            (self.acknowledged, self.pending) = (end, false);
            self.journal = Some(journal);
        }
        Ok(())
    }

    fn setup(&self) -> Setup {
        Setup {
            disk: Arc::new(self.disk.clone()),
            dir: "/journal".into(),
            chain: Chain::Checked,
            instance: [7; 16],
            segment_bytes: 400,
        }
    }

    /// Writes one commit; `None` once the power is off.
    fn write(&mut self) -> Option<()> {
        let mut journal = self.journal.take()?;
        if journal.is_full() {
            journal = journal.rotate(0).ok()?;
        }
        let number = self.acknowledged + 1;
        let mut changes = Overlay::default();
        if number.is_multiple_of(3) {
            changes.set(key(number / 2), Change::Delete);
        }
        let value = number.to_be_bytes().to_vec();
        changes.set(key(number), Change::Put(value));
        self.pending = true;
        journal.write(0, &changes).ok()?;
        journal.sync().ok()?;
        (self.acknowledged, self.pending) = (number, false);
        self.journal = Some(journal);
        Some(())
    }

    /// Makes a base when one is due and retires what is not needed, as the thread does.
    fn tend(&mut self) -> Option<()> {
        let maker = self.maker();
        let mut files = maker.look().ok()?;
        if self.planted == Planted::DeletedFirst {
            let behind = files.segments.iter().rev().skip(2);
            for name in behind {
                self.disk
                    .remove(&Path::new("/journal").join(name.to_string()))
                    .ok()?;
            }
            self.disk.sync_dir(Path::new("/journal")).ok()?;
        }
        if maker.due(&files, Duration::ZERO).is_some() {
            maker.make(&files).ok()?;
            self.bases_made += 1;
            files = maker.look().ok()?;
        }
        let old = vec![true; files.bases.good.len()];
        maker.retire(&files, &old).ok()?;
        let left = maker.look().ok()?.segments.len();
        self.segments_gone += u32::try_from(files.segments.len() - left).unwrap();
        Some(())
    }

    /// Lives once: until it ends by itself or the power goes.
    fn live(&mut self) -> Result<(), String> {
        self.start()?;
        if self.below(4) != 0 {
            let operations = self.below(120);
            self.disk.cut_after(operations);
        }
        for _ in 0..self.below(40) {
            let went_on = match self.below(5) {
                0 => self.tend(),
                _ => self.write(),
            };
            if went_on.is_none() {
                break;
            }
        }
        self.journal = None;
        match self.below(4) {
            0 => self.disk.restart_program(),
            _ => self.disk.cut_power(),
        }
        Ok(())
    }
}

/// Runs machines through many lives; bases made and segments taken away, or what broke.
fn run(machines: u64, planted: Planted) -> Result<(u32, u32), String> {
    let (mut made, mut gone) = (0, 0);
    for seed in 1..=machines {
        let mut machine = Machine::new(seed, planted);
        for life in 0..8 {
            let lived = machine.live();
            lived.map_err(|broken| format!("seed {seed}, life {life}: {broken}"))?;
        }
        let ended = machine.start();
        ended.map_err(|broken| format!("seed {seed}, at the end: {broken}"))?;
        made += machine.bases_made;
        gone += machine.segments_gone;
    }
    Ok((made, gone))
}

#[test]
fn after_any_of_thousands_of_cuts_base_and_journal_hold_all_that_was_acknowledged() {
    let (made, gone) = run(400, Planted::Nothing).expect("the promise holds");
    assert!(made > 500, "{made} bases");
    assert!(gone > 500, "{gone} segments taken away");
}

#[test]
fn the_property_notices_a_journal_that_went_before_its_base() {
    run(400, Planted::DeletedFirst).expect_err("it must notice");
}

/// A tool that copies base and journal piece by piece, in any order, and looks again or not.
fn copy(machine: &mut Machine) -> SimDisk {
    let copy = SimDisk::new(1);
    let mut left: Vec<(PathBuf, Vec<u8>)> = vec![];
    for dir in ["/base", "/journal"] {
        for name in machine.disk.list(Path::new(dir)).unwrap() {
            left.push((Path::new(dir).join(name), vec![]));
        }
    }
    while !left.is_empty() {
        let at = usize::try_from(machine.below(left.len() as u64)).unwrap();
        let piece = 1 + usize::try_from(machine.below(400)).unwrap();
        let there = machine.disk.read(&left[at].0).unwrap_or_default();
        let (path, bytes) = &mut left[at];
        let from = bytes.len().min(there.len());
        bytes.extend(there[from..].iter().take(piece));
        if bytes.len() >= there.len() {
            let gone = there.is_empty();
            let (path, bytes) = (path.clone(), std::mem::take(bytes));
            left.swap_remove(at);
            if !gone {
                copy.create(&path).unwrap().write_at(&bytes, 0).unwrap();
            }
        }
        match machine.below(10) {
            0..5 => machine.write(),
            5 => machine.tend_keeping(),
            _ => Some(()),
        }
        .unwrap();
    }
    copy
}

impl Machine {
    /// As [`Machine::tend`], with a copy on its way: what was there before it is not old yet.
    fn tend_keeping(&mut self) -> Option<()> {
        let maker = self.maker();
        let mut files = maker.look().ok()?;
        let before = self.copying_from;
        if maker.due(&files, Duration::ZERO).is_some() {
            maker.make(&files).ok()?;
            files = maker.look().ok()?;
        }
        let commits = files.bases.good.iter().map(|base| base.head.end.commit);
        let old: Vec<bool> = commits.map(|commit| commit <= before).collect();
        maker.retire(&files, &old).ok()
    }
}

#[test]
fn a_copy_made_while_bases_are_made_and_journal_goes_holds_all_from_before_it_began() {
    let (mut from_base, mut spanned) = (0, 0);
    for seed in 1..=600 {
        let mut machine = Machine::new(seed, Planted::Nothing);
        machine.start().unwrap();
        for _ in 0..machine.below(120) {
            machine.write().unwrap();
            if machine.below(6) == 0 {
                machine.tend().unwrap();
            }
        }
        let before = machine.acknowledged;
        let files = machine.maker().look().unwrap();
        let newest = files.bases.good.first();
        machine.copying_from = newest.map_or(0, |base| base.head.end.commit);
        let copied = copy(&mut machine);
        let after = machine.maker().look().unwrap();
        let found = come_up(&copied, Home::Copy);
        let found = found.unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        let end = found.recovered.end.commit;
        assert!(end >= before, "seed {seed}: {end} of {before}");
        assert!(
            end <= machine.acknowledged,
            "seed {seed}: more than was written"
        );
        assert_eq!(found.keys, expected(end), "seed {seed}");
        from_base += u32::from(found.recovered.base.is_some());
        let gone = files.segments.first() != after.segments.first();
        let made = files.bases.good.first() != after.bases.good.first();
        spanned += u32::from(gone && made);
    }
    assert!(from_base > 200, "{from_base} copies came up from a base");
    assert!(
        spanned > 20,
        "{spanned} copies spanned a new base and a deletion"
    );
}

#[test]
fn a_pinned_file_is_not_taken_away() {
    let mut machine = Machine::new(1, Planted::Nothing);
    machine.start().unwrap();
    let maker = machine.maker();
    for _ in 0..200 {
        machine.write().unwrap();
    }
    for _ in 0..3 {
        maker.make(&maker.look().unwrap()).unwrap();
        for _ in 0..40 {
            machine.write().unwrap();
        }
    }
    let files = maker.look().unwrap();
    let old = vec![true; files.bases.good.len()];
    let pin = maker.bureau.pin();
    maker.retire(&files, &old).unwrap();
    assert_eq!(maker.look().unwrap().segments, files.segments);
    drop(pin);
    maker.retire(&files, &old).unwrap();
    assert!(maker.look().unwrap().segments.len() < files.segments.len());
}
