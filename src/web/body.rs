//! The body of an answer: whole in memory, or made piece by piece while it is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use http_body_util::{Either, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use tokio::sync::mpsc;

/// How long a peer may take for one piece: slower, and the answer breaks off.
const PIECE_WITHIN: Duration = Duration::from_secs(60);

/// What an answer carries.
pub type Body = Either<Full<Bytes>, StreamBody<Arriving>>;

/// A body that is there.
pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Either::Left(Full::new(bytes.into()))
}

/// Whether nothing of `body` has to be made any more.
pub(super) fn is_whole(body: &Body) -> bool {
    match body {
        Either::Left(_) => true,
        Either::Right(_) => false,
    }
}

/// A body that is made while it is sent, and where its pieces are put.
pub fn in_pieces() -> (Pieces, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let arriving = StreamBody::new(Arriving(receiver));
    (Pieces(sender), Either::Right(arriving))
}

/// The pieces of a body on their way to the peer.
#[derive(Debug)]
pub struct Arriving(mpsc::Receiver<io::Result<Bytes>>);

impl Stream for Arriving {
    type Item = io::Result<Frame<Bytes>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.0.poll_recv(cx);
        next.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// Where the pieces of a body are put. Dropped, it ends the body well.
#[derive(Debug)]
pub struct Pieces(mpsc::Sender<io::Result<Bytes>>);

/// The one who asked is gone, or too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NobodyReads;

impl Pieces {
    /// Puts the next piece, once the one before it is on its way.
    ///
    /// # Errors
    /// [`NobodyReads`]: there is no use in going on.
    pub async fn put(&self, piece: impl Into<Bytes>) -> Result<(), NobodyReads> {
        let sent = tokio::time::timeout(PIECE_WITHIN, self.0.send(Ok(piece.into())));
        match sent.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(NobodyReads),
            Err(_) => {
                // It must not look whole to a peer that wakes up later.
                self.break_off("the peer is too slow").await;
                Err(NobodyReads)
            }
        }
    }

    /// Breaks the answer off, so that nobody takes what was sent for all of it.
    pub async fn break_off(&self, why: &str) {
        let broken = io::Error::other(why.to_owned());
        // A peer that never reads is cut off by its connection's own end.
        let _ = tokio::time::timeout(PIECE_WITHIN, self.0.send(Err(broken))).await;
    }
}
