//! What a simulation holds of the thread it runs on: seeded randomness, faults planted on purpose,
//! and a tally of what was met. In tests only; the program itself knows nothing of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

thread_local! {
    static RANDOM: Cell<Option<u64>> = const { Cell::new(None) };
    static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) };
    static MET: RefCell<BTreeMap<String, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// A fault that is built in on purpose, to see that a simulation notices it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// A payment is acknowledged and not counted.
    PaymentForgotten,
    /// A closed order gives its stock back twice.
    StockReturnedTwice,
    /// What is acknowledged was never synced.
    NotSynced,
    /// What is due is passed over.
    DueForgotten,
    /// A paid order can be closed.
    PaidCloses,
    /// A decision is not written into the timeline.
    Untold,
    /// Money that buys nothing is kept.
    SurplusKept,
    /// What one key placed is placed again under it.
    KeyForgotten,
    /// A refund that succeeds is counted for a fen less.
    RefundMiscounted,
    /// A refund that WeChat closed is taken for one that succeeded.
    RefundMisheard,
    /// A payment that a query tells of is not believed.
    QueryUnheard,
    /// A payment is signed in the protocol of another.
    ParamsMixed,
    /// What only a bill has is not asked about.
    BillUnheeded,
    /// What a bill differs in is not kept.
    DifferencesDropped,
}

/// From now on this thread's random bytes follow from `seed`; `None` gives chance back.
pub(crate) fn seed(seed: Option<u64>) {
    RANDOM.set(seed.map(|seed| seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1));
}

/// Whether this thread's chance follows from a seed: a simulation runs on it.
pub(crate) fn is_seeded() -> bool {
    RANDOM.get().is_some()
}

/// Fills `bytes` from the seed, if there is one.
pub(crate) fn fill(bytes: &mut [u8]) -> bool {
    let Some(mut state) = RANDOM.get() else {
        return false;
    };
    for part in bytes.chunks_mut(8) {
        let word = next(&mut state).to_le_bytes();
        part.copy_from_slice(&word[..part.len()]);
    }
    RANDOM.set(Some(state));
    true
}

/// SplitMix64: the next number behind `state`.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Plants a fault in what runs on this thread, or none.
pub(crate) fn plant(planted: Option<Planted>) {
    PLANTED.set(planted);
}

/// Whether this fault is planted.
pub(crate) fn is(planted: Planted) -> bool {
    PLANTED.get() == Some(planted)
}

/// Counts that `what` was met.
pub(crate) fn met(what: impl Into<String>) {
    MET.with_borrow_mut(|met| *met.entry(what.into()).or_default() += 1);
}

/// Everything met on this thread since the last call.
pub(crate) fn take_met() -> BTreeMap<String, u64> {
    MET.take()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::random;

    #[test]
    fn a_seed_decides_every_byte_and_no_seed_none() {
        let draw = || (random::<3>(), random::<32>());
        seed(Some(7));
        let first = draw();
        seed(Some(7));
        assert_eq!(draw(), first);
        assert_ne!(draw(), first);
        seed(Some(8));
        assert_ne!(draw(), first);
        seed(None);
        assert_ne!(draw(), draw());
    }
}
