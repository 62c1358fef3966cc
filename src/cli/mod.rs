//! Floor 5: arguments, config, wiring, signals, exit codes.

pub mod log;
