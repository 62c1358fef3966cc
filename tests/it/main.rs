//! The one integration crate: the real binary against the simulator, and the rules of the house.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod http;
mod notifications;
mod notify;
mod people;
mod program;
mod purchase;
mod source;
mod tap;
mod tidy;
mod tidy_imports;
mod tidy_rules;
mod wait;
mod world;
