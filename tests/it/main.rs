//! The one integration crate: the real binary against the simulator, and the rules of the house.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod source;
mod tidy;
mod tidy_imports;
mod tidy_rules;
