//! Floor 2: the store. A journal on disk is the truth, sled is the working set behind it.
//!
//! The store keeps; it does not decide. Callers send closures over [`Tx`] and [`View`]; they never
//! see the journal or sled. What is kept under which key is in `keys` and `records`; the public
//! modules read and write it.

mod answers;
mod audit;
mod codec;
mod command;
#[cfg(test)]
mod copy_tests;
mod counters;
mod day_rows;
mod disk;
mod error;
mod floor;
#[cfg(test)]
mod floor_tests;
mod footprint;
mod format;
mod frame;
#[cfg(test)]
mod frame_tests;
mod front;
mod gather;
#[cfg(test)]
mod gather_tests;
mod health;
#[cfg(test)]
mod histories;
mod journal;
mod keys;
mod keys_watch;
#[cfg(test)]
mod live_copy;
mod memory;
mod metrics;
mod open;
mod open_error;
#[cfg(test)]
mod open_tests;
mod order_list;
mod phase;
#[cfg(test)]
mod power_cut;
mod read;
mod rebuild;
mod records;
mod recover;
#[cfg(test)]
mod restart_tests;
#[cfg(test)]
mod samples;
mod seal;
mod sealed;
mod segment;
mod set;
#[cfg(test)]
mod sim_disk;
#[cfg(test)]
mod simulated;
mod tally;
#[cfg(test)]
mod test_home;
mod token_lists;
mod token_map;
mod tx;
mod watchdog;
mod working_set;
mod writer;
#[cfg(test)]
mod writer_tests;

pub mod alerts;
pub mod attempts;
pub mod certificates;
pub mod day_scan;
pub mod due;
pub mod goods;
pub mod idempotency;
pub mod orders;
pub mod queries;
pub mod reconciliations;
pub mod refunds;
pub mod shipments;
pub mod staff;
pub mod tokens;
pub mod unmatched;
pub mod users;
pub mod webhooks;

pub use answers::{Failure, Page, PageWanted};
pub use audit::audit_indexes;
pub use error::StoreError;
pub use footprint::Footprint;
pub use front::{CacheChange, CacheTicket, Store};
pub use metrics::StoreMetrics;
pub use open::{Found, OpenReport, StoreConfig, WorkingSet};
pub use open_error::OpenError;
pub use phase::Phase;
pub use read::{CACHE_KEYS, Direction, KeyRange, Read, View, Visit};
pub use rebuild::Progress;
pub use recover::JournalFault;
#[cfg(test)]
pub(crate) use simulated::{Machine, StartFault};
pub use tally::Tally;
pub use tx::Tx;
