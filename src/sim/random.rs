//! The dice of one history: every choice follows from its seed.

use std::time::Duration;

use crate::base::trial;

/// Numbers that follow from a seed.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xD129_0D3B_7A5C_11E9) ^ 0x5DEE_CE66)
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        trial::next(&mut self.0) % bound
    }

    /// A place in something of `length`.
    pub(super) fn place(&mut self, length: usize) -> usize {
        let bound = u64::try_from(length).expect("64 bits");
        usize::try_from(self.below(bound)).expect("below a length")
    }

    /// True `percent` times out of a hundred.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.place(from.len())]
    }

    /// So many milliseconds, up to `most`.
    pub(super) fn within_ms(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.below(most + 1))
    }
}
