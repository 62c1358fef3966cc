//! The one integration crate: the real binary against the simulator, and the rules of the house.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod bad_input;
mod bad_values;
mod bills;
mod certificates;
mod clock;
mod contract;
mod crash;
mod doctor;
mod endings;
mod endings_books;
mod endings_kill;
mod endings_paid;
mod endings_refund;
mod endings_till;
mod endings_unpaid;
mod fulfil;
mod goods;
mod http;
mod login;
mod mini;
mod notifications;
mod notify;
mod orders;
mod paying;
mod people;
mod phone;
mod probes;
mod program;
mod purchase;
mod reconcile;
mod redaction;
mod refunds;
mod running;
mod source;
mod stage;
mod systemd;
mod tap;
mod tidy;
mod tidy_imports;
mod tidy_rules;
mod truth;
mod upgrade;
mod wait;
mod world;
