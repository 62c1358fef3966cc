//! Floor 2: a journal that is the truth, sled that is the working set. It keeps; it does not decide.
