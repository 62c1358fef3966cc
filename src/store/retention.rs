//! Which bases and how much journal must stay.

use std::collections::BTreeSet;

/// What is not to be taken away.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// These bases, by commit,
    pub(super) bases: BTreeSet<u64>,
    /// and the journal from this commit on.
    pub(super) journal_from: u64,
}

/// What to keep of bases, newest first, of which some are old enough to be relied on: the newest
/// two; the newest old one with all journal since; and the one after it, which grows old. A copy
/// that began before the others were made finds that old one, and all that follows it.
pub(super) fn kept(commits: &[u64], old: &[bool]) -> Kept {
    let mut bases: BTreeSet<u64> = commits.iter().take(2).copied().collect();
    let relied_on = commits.iter().zip(old).find(|(_, old)| **old);
    let Some((relied_on, _)) = relied_on.filter(|_| commits.len() > 1) else {
        bases.extend(commits.last());
        let journal_from = 0;
        return Kept {
            bases,
            journal_from,
        };
    };
    bases.insert(*relied_on);
    // The next to be relied on must grow old first: of bases made every hour all others go.
    bases.extend(commits.iter().rev().find(|commit| *commit > relied_on));
    let journal_from = bases.first().copied().unwrap_or(0);
    Kept {
        bases,
        journal_from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_two_stay_and_the_newest_that_is_old_with_all_journal_since() {
        type Case = (&'static [u64], &'static [bool], &'static [u64], u64);
        let cases: [Case; 9] = [
            (&[], &[], &[], 0),
            (&[9], &[false], &[9], 0),
            // One base alone is not relied on.
            (&[9], &[true], &[9], 0),
            (&[9, 5], &[false, false], &[5, 9], 0),
            (&[9, 5], &[false, true], &[5, 9], 5),
            (&[9, 5], &[true, true], &[5, 9], 5),
            (
                &[9, 7, 5, 3],
                &[false, false, false, true],
                &[3, 5, 7, 9],
                3,
            ),
            (&[9, 7, 5, 3], &[false, false, true, true], &[5, 7, 9], 5),
            // None is old: the oldest stays, and the journal it was made from.
            (&[9, 7, 5, 3], &[false; 4], &[3, 7, 9], 0),
        ];
        for (commits, old, bases, journal_from) in cases {
            let wanted = Kept {
                bases: bases.iter().copied().collect(),
                journal_from,
            };
            assert_eq!(kept(commits, old), wanted, "{commits:?} {old:?}");
        }
    }

    #[test]
    fn with_a_base_every_hour_the_journal_kept_stays_within_two_days() {
        let mut there: Vec<u64> = vec![];
        for hour in 1..=500_u64 {
            there.insert(0, hour);
            let old: Vec<bool> = there.iter().map(|made| hour - made >= 24).collect();
            let Kept {
                bases,
                journal_from,
            } = kept(&there, &old);
            there.retain(|made| bases.contains(made));
            assert!(there.len() <= 4, "{there:?}");
            assert!(
                hour < 50 || hour - journal_from <= 50,
                "{hour}: {journal_from}"
            );
            assert!(journal_from == 0 || hour - journal_from >= 24, "{hour}");
        }
    }
}
