//! Where a kill is to fall, and where it fell: read from the two bytes of the phase file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use zhanggui::base::secret::random_u64;
use zhanggui::store::{Beside, Phase};

/// When a kill is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    /// After so many milliseconds of load.
    After(u64),
    /// In this phase, under load.
    In(Phase),
    /// While a base file is made, under load.
    Base,
    /// While the server starts.
    Starting,
    /// While the working set is built anew after another kill.
    Rebuilding,
}

/// Every phase is aimed at; the rest falls where it falls.
pub(crate) fn aim(kill: usize) -> Aim {
    match kill {
        1 | 7 => Aim::Starting,
        2 => Aim::In(Phase::Group),
        3 => Aim::In(Phase::Apply),
        4 => Aim::In(Phase::Rotation),
        5 => Aim::In(Phase::Idle),
        6 => Aim::In(Phase::Fdatasync),
        8 => Aim::Base,
        9 => Aim::Rebuilding,
        _ => Aim::After(30 + random_u64() % 250),
    }
}

/// The place of a kill, as one letter.
const PLACES: [(u8, &str); 8] = [
    (Phase::Open.byte(), "open"),
    (Phase::Rebuild.byte(), "rebuild"),
    (Phase::Idle.byte(), "idle"),
    (Phase::Group.byte(), "group"),
    (Phase::Fdatasync.byte(), "fdatasync"),
    (Phase::Apply.byte(), "apply"),
    (Phase::Rotation.byte(), "rotation"),
    (Beside::Base.byte(), "base"),
];

/// What the store is doing: the writer's phase, unless a base file is made beside it.
pub(crate) fn place(file: &Path) -> char {
    let bytes = fs::read(file).unwrap_or_default();
    match bytes.get(1) {
        Some(beside) if *beside == Beside::Base.byte() => char::from(*beside),
        _ => bytes.first().map_or('?', |byte| char::from(*byte)),
    }
}

/// Where kills fell, and how often.
#[derive(Default)]
pub(crate) struct Fell(BTreeMap<char, usize>);

impl Fell {
    pub(crate) fn count(&mut self, place: char) {
        *self.0.entry(place).or_default() += 1;
    }

    pub(crate) fn add(&mut self, others: &Self) {
        for (place, count) in &others.0 {
            *self.0.entry(*place).or_default() += count;
        }
    }

    /// Kills while the server served.
    pub(crate) fn loaded(&self) -> usize {
        let starts = [Phase::Open, Phase::Rebuild].map(|phase| char::from(phase.byte()));
        let loaded = self.0.iter().filter(|(place, _)| !starts.contains(place));
        loaded.map(|(_, count)| count).sum()
    }

    /// Each place was hit at least so often.
    #[track_caller]
    pub(crate) fn hit_each(&self, least: usize) {
        for (byte, name) in PLACES {
            let hits = self.0.get(&char::from(byte)).copied().unwrap_or(0);
            assert!(
                hits >= least,
                "{hits} kills fell in {name}: {}",
                self.told()
            );
        }
    }

    pub(crate) fn told(&self) -> String {
        let each = self.0.iter();
        let told = each.map(|(place, count)| format!("{} {count}", name(*place)));
        told.collect::<Vec<_>>().join(", ")
    }
}

/// The name of a place.
pub(crate) fn name(place: char) -> String {
    let known = PLACES.iter().find(|(byte, _)| char::from(*byte) == place);
    known.map_or(format!("{place:?}"), |(_, name)| (*name).to_owned())
}
