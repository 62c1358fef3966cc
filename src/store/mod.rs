//! Floor 2: the store. A journal on disk is the truth, sled is the working set behind it.
//!
//! The store keeps; it does not decide. Callers send closures over [`Tx`] and [`View`]; they never
//! see the journal or sled.

mod error;
mod frame;
mod front;
mod memory;
mod read;
mod tx;

pub use error::StoreError;
pub use front::{CacheChange, CacheTicket, Store};
pub use read::{CACHE_KEYS, Direction, KeyRange, Read, View, Visit};
pub use tx::Tx;
