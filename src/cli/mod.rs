//! Floor 5: arguments, config, wiring, signals, exit codes.

pub mod args;
pub mod check;
pub mod config;
pub mod exit;
pub mod init;
pub mod log;
pub mod socket;
pub mod tempdir;
pub mod term;
