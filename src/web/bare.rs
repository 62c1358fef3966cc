//! hyper answers by itself what it cannot read, bare. Here that gets the contract's shape and a
//! request id before it is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::HttpError;
use super::answer::Peer;
use super::id::Ids;
use super::response::shown;

/// A stream on which no bare answer is sent.
///
/// Every answer of ours has a request id, so a 4xx without one is hyper's, and the last on its
/// connection. One that shares a write with an answer of ours before it passes as it is.
pub(super) struct Shaped<'a, T> {
    pub(super) stream: T,
    pub(super) ids: &'a Ids,
    pub(super) peer: &'a Peer,
    /// Whether the next write begins an answer.
    at_start: bool,
    own: Option<Own>,
}

/// Our words in place of hyper's.
struct Own {
    text: Vec<u8>,
    sent: usize,
}

impl<'a, T> Shaped<'a, T> {
    pub(super) fn new(stream: T, ids: &'a Ids, peer: &'a Peer) -> Self {
        Self {
            stream,
            ids,
            peer,
            at_start: true,
            own: None,
        }
    }

    /// What is said instead of `theirs`, if that is bare.
    fn instead_of(&self, theirs: &[u8]) -> Option<Own> {
        let error = refusal(theirs).filter(|_| self.at_start)?;
        let id = self.ids.next();
        tracing::info!(
            target: "access",
            method = "-",
            path = "-",
            status = error.status.as_u16(),
            request_id = id.as_str(),
            client_addr = self.peer.text(),
        );
        let body = shown(&error, id);
        let head = format!(
            "HTTP/1.1 {}\r\ncontent-type: application/json\r\nx-request-id: {id}\r\n\
             x-content-type-options: nosniff\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            error.status,
            body.len(),
        );
        let text = [head.as_bytes(), &body].concat();
        Some(Own { text, sent: 0 })
    }
}

/// What hyper means by its bare answer.
fn refusal(theirs: &[u8]) -> Option<HttpError> {
    let code = theirs.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let error = match code {
        b"400" => HttpError::invalid("请求不是合法的 HTTP/1.1"),
        b"414" => HttpError::new(StatusCode::URI_TOO_LONG, "URI_TOO_LONG", "地址过长"),
        b"431" => HttpError::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "HEAD_TOO_LARGE",
            "请求头过长，或多于 100 个",
        ),
        _ => return None,
    };
    let named = theirs.windows(13).any(|part| part == b"x-request-id:");
    (!named).then_some(error)
}

impl<T: AsyncRead + Unpin> AsyncRead for Shaped<'_, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Shaped<'_, T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.own.is_none() {
            this.own = this.instead_of(from);
        }
        let Some(own) = &mut this.own else {
            let written = ready!(Pin::new(&mut this.stream).poll_write(cx, from))?;
            this.at_start = written == from.len();
            return Poll::Ready(Ok(written));
        };
        while own.sent < own.text.len() {
            let left = &own.text[own.sent..];
            let written = ready!(Pin::new(&mut this.stream).poll_write(cx, left))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            own.sent += written;
        }
        this.own = None;
        Poll::Ready(Ok(from.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_without_a_request_id_is_bare() {
        let bare = |text: &str| refusal(text.as_bytes()).map(|error| error.code);
        let bad = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
        assert_eq!(bare(bad), Some("INVALID_REQUEST"));
        assert_eq!(bare("HTTP/1.1 431 X\r\n\r\n"), Some("HEAD_TOO_LARGE"));
        assert_eq!(bare("HTTP/1.1 414 X\r\n\r\n"), Some("URI_TOO_LONG"));
        for ours in [
            "HTTP/1.1 400 Bad Request\r\nx-request-id: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 40",
            "",
        ] {
            assert_eq!(bare(ours), None, "{ours}");
        }
    }
}
