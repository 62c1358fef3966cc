//! What callers send to the writer: closures whose types are forgotten, with the way back.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::StoreError;
use super::read::Read;
use super::tx::{Overlay, Tx};

/// A closure and its answer.
pub(super) trait Command: Send {
    /// Runs it over what is there; its changes join `group` only when it succeeds.
    fn run(&mut self, base: &dyn Read, group: &mut Overlay);
    /// Gives the answer, once what it says is on disk; it brings `rest` along.
    fn answer(self: Box<Self>, rest: Rest);
    /// Gives an error in place of the answer.
    fn fail(self: Box<Self>, error: StoreError);
}

/// How a closure ended.
pub(super) enum Ran<T, E> {
    /// It returned.
    Returned(Result<T, E>),
    /// It panicked; nothing was changed, and the panic goes on at the caller's.
    Panicked(Box<dyn Any + Send>),
}

/// The others of a group, answered when this is dropped.
///
/// The writer wakes one caller only, and that one wakes the others from inside the runtime: waking
/// 64 tasks from another thread costs three times as much, and the writer is the bottleneck. A
/// caller that was dropped drops this too, so nobody is left waiting.
#[derive(Default)]
pub(super) struct Rest(Vec<Box<dyn Command>>);

impl Rest {
    /// Answers a whole group.
    pub(super) fn answer_all(mut group: Vec<Box<dyn Command>>) {
        if !group.is_empty() {
            group.remove(0).answer(Self(group));
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        for command in self.0.drain(..) {
            command.answer(Self::default());
        }
    }
}

/// What a caller waits for.
pub(super) struct Reply<T, E> {
    /// How its closure ended.
    pub(super) ran: Ran<T, E>,
    /// The others of its group, to be dropped first.
    pub(super) rest: Rest,
}

/// A closure on its way.
pub(super) struct Closure<F, T, E> {
    f: F,
    ran: Option<Ran<T, E>>,
    reply: oneshot::Sender<Reply<T, E>>,
}

impl<F, T, E> Closure<F, T, E> {
    pub(super) fn new(f: F) -> (Self, oneshot::Receiver<Reply<T, E>>) {
        let (reply, answer) = oneshot::channel();
        let closure = Self {
            f,
            ran: None,
            reply,
        };
        (closure, answer)
    }
}

impl<F, T, E> Command for Closure<F, T, E>
where
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, base: &dyn Read, group: &mut Overlay) {
        let mut tx = Tx::new(base, group);
        let ran = catch_unwind(AssertUnwindSafe(|| (self.f)(&mut tx)));
        self.ran = Some(match ran {
            Ok(Ok(value)) => Ran::Returned(match tx.finish() {
                Ok(own) => {
                    group.absorb(own);
                    Ok(value)
                }
                Err(error) => Err(error.into()),
            }),
            Ok(Err(error)) => Ran::Returned(Err(error)),
            Err(panic) => Ran::Panicked(panic),
        });
    }

    fn answer(self: Box<Self>, rest: Rest) {
        let unanswered = || Ran::Returned(Err(StoreError::Unknown.into()));
        let ran = self.ran.unwrap_or_else(unanswered);
        // Nobody waits any more when the caller was dropped; what was done stays done.
        let _ = self.reply.send(Reply { ran, rest });
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let ran = Ran::Returned(Err(error.into()));
        let rest = Rest::default();
        let _ = self.reply.send(Reply { ran, rest });
    }
}
