//! The layout of a frame.

/// The most that one closure may change, in bytes of keys and values.
pub(super) const MAX_CLOSURE_BYTES: usize = 4 << 20;
