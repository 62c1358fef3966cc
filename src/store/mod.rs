//! Floor 2: the store. A journal on disk is the truth, sled is the working set behind it.
//!
//! The store keeps; it does not decide. Callers send closures over [`Tx`] and [`View`]; they never
//! see the journal or sled. What is kept under which key is in `keys` and `records`; the public
//! modules read and write it.

mod answers;
mod audit;
mod backup;
mod base_maker;
mod bases;
mod bureau;
mod care;
mod codec;
mod command;
mod compacting;
#[cfg(test)]
mod copy_tests;
mod copying;
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
mod group;
mod health;
#[cfg(test)]
mod histories;
mod journal;
mod keys;
mod keys_watch;
mod keywise;
#[cfg(test)]
mod live_copy;
mod manifest;
mod memory;
mod metrics;
mod migrate;
mod open;
mod open_error;
#[cfg(test)]
mod open_tests;
mod open_truth;
mod order_list;
mod phase;
#[cfg(test)]
mod power_cut;
mod read;
mod read_only;
mod reading;
mod rebuild;
mod records;
mod recover;
mod report;
mod reserve;
#[cfg(test)]
mod restart_tests;
mod restore;
mod retention;
#[cfg(test)]
mod samples;
mod seal;
mod sealed;
mod segment;
mod set;
#[cfg(test)]
#[allow(dead_code)]
mod sim_disk;
#[cfg(test)]
mod simulated;
mod sorted;
mod space;
mod starting;
mod tally;
#[cfg(test)]
mod test_home;
mod token_lists;
mod token_map;
mod truth;
mod tx;
mod verify;
mod watchdog;
mod working_set;
mod writer;
#[cfg(test)]
mod writer_tests;

pub mod alerts;
pub mod attempts;
pub mod certificates;
pub mod console;
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
pub use audit::{Audit, RecordFault, Sums, audit, audit_indexes};
pub use backup::{BackupOrder, Kept, back_up_stopped, kept, remove_kept, sweep_partials};
pub use bureau::{BasePlan, BaseState, Pin};
pub use compacting::{ask_rebuild, working_set_bytes};
pub use copying::{CopyError, Doing, FileFault, Onlooker, Reached};
pub use error::StoreError;
pub use footprint::Footprint;
pub use front::{CacheChange, CacheTicket, Store};
pub use manifest::{Listed, Manifest};
pub use metrics::StoreMetrics;
pub use migrate::Upgraded;
pub use open::StoreConfig;
pub use open_error::OpenError;
pub use phase::{Beside, Phase};
pub use read::{CACHE_KEYS, Direction, KeyRange, Read, View, Visit};
pub use reading::reached;
pub use rebuild::Progress;
pub use recover::JournalFault;
pub use report::{Found, OpenReport, WorkingSet};
pub use restore::{RestoreOrder, Restored, restore};
#[cfg(test)]
pub(crate) use simulated::{Machine, StartFault};
pub use sorted::BadSorted;
pub use space::{Space, SpaceConfig};
pub use tally::Tally;
pub use tx::Tx;
pub use verify::{DirKind, Verified, VerifyOrder, Wrong, verify};
