//! Cache changes on their way to the writer: they gather here, so that it is not woken for each.
//!
//! All that is sent to the writer is sent under this lock, and a transaction takes along what has
//! gathered before it. So the writer sees everything in the order in which it was sent.

use std::sync::mpsc::Sender;

use tokio::sync::oneshot;

use super::StoreError;
use super::command::Command;
use super::front::CacheChange;
use super::writer::Message;

/// Once this much has gathered it is sent, so that no group grows by more than that at once.
const SEND_BYTES: usize = 64 << 10;

/// Cache batches in their order.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) changes: Vec<CacheChange>,
    pub(super) batches: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Gathering {
    gathered: Gathered,
    bytes: usize,
    /// How many times what had gathered was taken.
    taken: u64,
    /// The number of the newest batch.
    newest: u64,
    closed: bool,
}

impl Gathering {
    /// Adds a batch; returns its number among all batches.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the writer is gone, or will be before it sees the batch.
    pub(super) fn add(
        &mut self,
        batch: Vec<CacheChange>,
        writer: &Sender<Message>,
    ) -> Result<u64, StoreError> {
        if self.closed {
            return Err(StoreError::Unavailable);
        }
        if self.gathered.batches == 0 {
            send(writer, Message::Gathering(self.taken))?;
        }
        let length = |(key, value): &CacheChange| key.len() + value.as_ref().map_or(0, Vec::len);
        self.bytes += batch.iter().map(length).sum::<usize>();
        self.gathered.changes.extend(batch);
        self.gathered.batches += 1;
        self.newest += 1;
        if self.bytes >= SEND_BYTES {
            let gathered = self.take();
            send(writer, Message::Cache(gathered))?;
        }
        Ok(self.newest)
    }

    /// Sends a transaction, behind what has gathered.
    pub(super) fn write(
        &mut self,
        command: Box<dyn Command>,
        writer: &Sender<Message>,
    ) -> Result<(), StoreError> {
        let before = self.take();
        send(writer, Message::Write(before, command))
    }

    /// Ends the writer, behind what has gathered.
    pub(super) fn close(
        &mut self,
        answer: oneshot::Sender<Result<(), StoreError>>,
        writer: &Sender<Message>,
    ) -> Result<(), StoreError> {
        self.closed = true;
        let before = self.take();
        send(writer, Message::Close(before, answer))
    }

    /// Takes what began to gather when `taken` times some had been taken.
    ///
    /// If some was taken since, that comes to the writer with a later message, and what gathers now
    /// belongs behind it.
    pub(super) fn take_after(&mut self, taken: u64) -> Gathered {
        if self.taken == taken {
            self.take()
        } else {
            Gathered::default()
        }
    }

    fn take(&mut self) -> Gathered {
        if self.gathered.batches > 0 {
            self.taken += 1;
        }
        self.bytes = 0;
        std::mem::take(&mut self.gathered)
    }
}

fn send(writer: &Sender<Message>, message: Message) -> Result<(), StoreError> {
    writer.send(message).map_err(|_| StoreError::Unavailable)
}
