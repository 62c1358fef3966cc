//! The body of an answer: whole in memory, or made piece by piece while it is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Frame, SizeHint};
use tokio::sync::mpsc;

/// How long a peer may take for one piece: slower, and the answer breaks off.
const PIECE_WITHIN: Duration = Duration::from_secs(60);

/// What an answer carries.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    Whole(Full<Bytes>),
    Made(mpsc::Receiver<io::Result<Bytes>>),
}

impl Body {
    /// A body that is there.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(Full::new(bytes)))
    }

    /// A body that is made while it is sent, and where its pieces are put.
    pub fn made() -> (Pieces, Self) {
        let (sender, receiver) = mpsc::channel(1);
        (Pieces(sender), Self(Kind::Made(receiver)))
    }

    /// Whether nothing has to be made any more.
    pub(super) fn is_whole(&self) -> bool {
        match self.0 {
            Kind::Whole(_) => true,
            Kind::Made(_) => false,
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::whole(Bytes::new())
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
        let sent = self.0.send_timeout(Ok(piece.into()), PIECE_WITHIN);
        sent.await.map_err(|_| NobodyReads)
    }

    /// Breaks the answer off, so that nobody takes what was sent for all of it.
    pub async fn break_off(self, why: &str) {
        let broken = io::Error::other(why.to_owned());
        // Nobody is left to be told when this fails.
        let _ = self.0.send_timeout(Err(broken), PIECE_WITHIN).await;
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(full) => Pin::new(full)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Kind::Made(pieces) => pieces
                .poll_recv(cx)
                .map(|next| next.map(|p| p.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(full) => full.is_end_stream(),
            Kind::Made(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(full) => full.size_hint(),
            Kind::Made(_) => SizeHint::default(),
        }
    }
}
