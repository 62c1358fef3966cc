//! One group of the writer: what it took in, and whether it takes more.

use tokio::sync::oneshot;

use super::StoreError;
use super::command::Command;
use super::gather::Gathered;
use super::set::Set;
use super::tx::{Change, Overlay};
use super::writer::{Message, Shared};

/// A group takes no more closures than this.
const GROUP_CLOSURES: usize = 64;
/// A group takes no more closures once its changes are this large.
const GROUP_BYTES: usize = 256 << 10;

/// One group on its way.
#[derive(Default)]
pub(super) struct Group {
    pub(super) commands: Vec<Box<dyn Command>>,
    pub(super) changes: Overlay,
    pub(super) cache_batches: u64,
    pub(super) rotate: Vec<std::sync::mpsc::Sender<()>>,
    pub(super) close: Option<oneshot::Sender<Result<(), StoreError>>>,
}

impl Group {
    pub(super) fn takes_more(&self) -> bool {
        self.close.is_none()
            && self.rotate.is_empty()
            && self.commands.len() < GROUP_CLOSURES
            && self.changes.bytes() < GROUP_BYTES
    }

    pub(super) fn take_cache(&mut self, gathered: Gathered) {
        self.cache_batches += gathered.batches;
        for (key, value) in gathered.changes {
            let change = value.map_or(Change::Delete, Change::Put);
            self.changes.set_cache(key, change);
        }
    }
}

/// Takes one message into `group`: a closure is run, the rest is noted.
pub(super) fn take(message: Message, shared: &Shared, set: &Set, group: &mut Group) {
    match message {
        Message::Write(before, mut command) => {
            shared.metrics.queue.dec();
            group.take_cache(before);
            command.run(set, &mut group.changes);
            group.commands.push(command);
        }
        Message::Cache(gathered) => group.take_cache(gathered),
        Message::Gathering(taken) => {
            let gathered = shared.gathering().take_after(taken);
            group.take_cache(gathered);
        }
        Message::Rotate(asked) => group.rotate.push(asked),
        Message::Close(before, closed) => {
            group.take_cache(before);
            group.close = Some(closed);
        }
    }
}
