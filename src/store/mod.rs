//! Floor 2: the store. A journal on disk is the truth, sled is the working set behind it.
//!
//! The store keeps; it does not decide. Callers send closures over [`Tx`] and [`View`]; they never
//! see the journal or sled.

mod answers;
mod audit;
mod codec;
mod counters;
mod error;
mod frame;
mod front;
#[cfg(test)]
mod histories;
mod keys;
mod memory;
mod order_list;
mod read;
mod records;
#[cfg(test)]
mod samples;
mod sealed;
mod token_map;
mod tx;

pub mod attempts;
pub mod due;
pub mod goods;
pub mod idempotency;
pub mod orders;
pub mod staff;
pub mod tokens;
pub mod unmatched;
pub mod users;

pub use answers::{Failure, Page, PageWanted};
pub use audit::audit_indexes;
pub use error::StoreError;
pub use front::{CacheChange, CacheTicket, Store};
pub use read::{CACHE_KEYS, Direction, KeyRange, Read, View, Visit};
pub use tx::Tx;
