//! The store as the floors above see it: closures in, answers out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::StoreError;
use super::memory::MemoryEngine;
use super::read::View;
use super::tx::{Change, Tx};

/// One change of a cache key: its new value, or `None` when it is gone.
pub type CacheChange = (Vec<u8>, Option<Vec<u8>>);

/// The place of a cache batch in the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheTicket(u64);

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    memory: Arc<MemoryEngine>,
    cache_batches: Arc<AtomicU64>,
}

impl Store {
    /// A store that lives in memory only, for simulation and tests.
    pub fn memory() -> Self {
        Self {
            memory: Arc::default(),
            cache_batches: Arc::default(),
        }
    }

    /// Runs `f` as one transaction; `Ok` means that its changes are on disk.
    ///
    /// `f` touches nothing but its [`Tx`] (no clock, no randomness, no IO): an `Err` drops its
    /// changes, and an engine may run it again. A panic of `f` drops them too and goes on here.
    ///
    /// # Errors
    /// What `f` returned; or [`StoreError`]: `Unknown` when the write may have happened,
    /// `Unavailable` and `TooLarge` when it did not.
    pub async fn write<T, E, F>(&self, mut f: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.memory.write(&mut f)
    }

    /// Runs `f` over what is on disk now.
    ///
    /// # Errors
    /// What `f` returned; or [`StoreError::Unavailable`] when the store is closed or has failed.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        F: FnOnce(&View<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        f(&View::new(&self.memory.set))
    }

    /// Changes cache keys ([`CACHE_KEYS`](super::CACHE_KEYS)) some time soon, in order with all
    /// other writes. It waits for nothing, is not journaled, and may be lost.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store is closed or has failed.
    pub fn cache_write(&self, batch: Vec<CacheChange>) -> Result<CacheTicket, StoreError> {
        let changes = batch.into_iter().map(|(key, value)| match value {
            Some(value) => (key, Change::Put(value)),
            None => (key, Change::Delete),
        });
        self.memory.set.apply(changes);
        Ok(CacheTicket(
            self.cache_batches.fetch_add(1, Ordering::Relaxed) + 1,
        ))
    }

    /// The newest cache batch that [`Store::read`] sees, and with it all before it.
    pub fn cache_applied(&self) -> CacheTicket {
        CacheTicket(self.cache_batches.load(Ordering::Relaxed))
    }

    /// Whether the store can write.
    ///
    /// # Errors
    /// The reason, for the operator, why it cannot.
    pub fn health(&self) -> Result<(), String> {
        Ok(())
    }

    /// Waits until the store fails for good and tells why; the program must then end, with a
    /// failure. It never returns from a store that is well.
    pub async fn failed(&self) -> String {
        std::future::pending().await
    }

    /// Answers what was sent before, makes all of it durable and ends the writer.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store had failed before or fails now.
    pub async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
