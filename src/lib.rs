//! 掌柜 (zhanggui): the till of a WeChat mini-program in one binary, one TOML file, one data
//! directory.
//!
//! The house has six floors; imports go down only, never up, never sideways.
//!
//! ```text
//! 5   cli                       arguments, config, wiring, signals, exit codes
//! 4   routes         sandbox    the contract          | WeChat's side of it: the simulator
//! 3   shop                      use cases: what a merchant does; background ticks
//! 2   store          wechat     journal + sled        | WeChat's protocols
//! 1   web            model      hyper, reqwest, TLS   | the lives of an order and an attempt
//! 0   base                      fen, seconds, ids, secrets, ciphers, flat XML
//! ```
//!
//! Three rules carry the rest: `model` decides and `store` keeps; `sandbox` never imports
//! `wechat`; an outside crate has one home. `tests/it/tidy.rs` holds the floors.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod base;
pub mod cli;
pub mod model;
pub mod routes;
pub mod sandbox;
pub mod shop;
#[cfg(test)]
mod sim;
pub mod store;
pub mod web;
pub mod wechat;
