//! Answers too large for memory: handed on piece by piece, as they come.
//!
//! The same client and the same rules as every other call; only the body is never whole here.

use std::io;
use std::time::Duration;

use super::client::not_answered;
use super::{Client, ClientError, Outgoing};

/// What a download may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadLimits {
    /// The longest that all of it may take.
    pub within: Duration,
    /// The longest that nothing may come.
    pub idle: Duration,
    /// The most bytes, as they come over the wire.
    pub limit_bytes: u64,
}

/// The end of a download whose body went to its sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// The HTTP status; the body of a refusal went to the sink too.
    pub status: u16,
    /// How many bytes came.
    pub bytes: u64,
}

/// Takes the pieces of a body in their order.
pub type Sink<'s> = dyn FnMut(&[u8]) -> io::Result<()> + Send + 's;

impl Client {
    /// Sends `request` and hands the body to `sink`, piece by piece.
    ///
    /// # Errors
    /// [`ClientError`]; after any of them, what the sink took is no whole body. A sink that fails
    /// ends the download as [`ClientError::Broken`].
    pub async fn download(
        &self,
        request: Outgoing,
        limits: DownloadLimits,
        sink: &mut Sink<'_>,
    ) -> Result<Downloaded, ClientError> {
        let all = self.pieces(request, limits, sink);
        let ended = tokio::time::timeout(limits.within, all).await;
        ended.unwrap_or(Err(ClientError::Timeout))
    }

    async fn pieces(
        &self,
        request: Outgoing,
        limits: DownloadLimits,
        sink: &mut Sink<'_>,
    ) -> Result<Downloaded, ClientError> {
        #[cfg(test)]
        if let Some(wire) = &self.wire {
            let answer = wire.carry(request).await?;
            sink(&answer.body).map_err(|why| ClientError::Broken(why.to_string()))?;
            let bytes = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
            let status = answer.status;
            return Ok(Downloaded { status, bytes });
        }
        let mut call = self.inner.request(request.method, request.url);
        for (name, value) in request.headers {
            call = call.header(name, value);
        }
        if !request.body.is_empty() {
            call = call.body(request.body);
        }
        let silent = |_| ClientError::Timeout;
        let head = tokio::time::timeout(limits.idle, call.send()).await;
        let mut answer = head.map_err(silent)?.map_err(not_answered)?;
        let mut bytes: u64 = 0;
        loop {
            let piece = tokio::time::timeout(limits.idle, answer.chunk()).await;
            let Some(piece) = piece.map_err(silent)?.map_err(not_answered)? else {
                break;
            };
            bytes = bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if bytes > limits.limit_bytes {
                return Err(ClientError::TooLarge);
            }
            sink(&piece).map_err(|why| ClientError::Broken(why.to_string()))?;
        }
        Ok(Downloaded {
            status: answer.status().as_u16(),
            bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::web::Method;

    const LIMITS: DownloadLimits = DownloadLimits {
        within: Duration::from_secs(20),
        idle: Duration::from_millis(300),
        limit_bytes: 1000,
    };

    /// A peer that sends `head`, then `pieces`, and keeps the connection open until it is left.
    fn peer(head: &'static str, pieces: Vec<Vec<u8>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/bill", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            for piece in pieces {
                // The client may have had enough.
                let _ = stream.write_all(&piece);
            }
            let _ = stream.read(&mut [0; 1]);
        });
        url
    }

    async fn download(
        url: String,
        limits: DownloadLimits,
        sink: &mut Sink<'_>,
    ) -> Result<Downloaded, ClientError> {
        let request = Outgoing {
            method: Method::GET,
            url,
            headers: vec![],
            body: vec![],
        };
        let client = Client::new().unwrap();
        client.download(request, limits, sink).await
    }

    #[tokio::test]
    async fn a_body_arrives_whole_and_in_order_with_the_status_of_a_refusal_too() {
        let head = "HTTP/1.1 404 X\r\ncontent-length: 900\r\n\r\n";
        let pieces = vec![vec![b'a'; 300], vec![b'b'; 600]];
        let mut got = vec![];
        let ended = download(peer(head, pieces.clone()), LIMITS, &mut |piece| {
            got.extend_from_slice(piece);
            Ok(())
        })
        .await;
        let (status, bytes) = (404, 900);
        assert_eq!(ended, Ok(Downloaded { status, bytes }));
        assert_eq!(got, pieces.concat());
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_or_stops_coming_or_breaks_off_is_an_error() {
        let long = "HTTP/1.1 200 X\r\ncontent-length: 5000\r\n\r\n";
        let mut taken = 0;
        let ended = download(peer(long, vec![vec![0; 5000]]), LIMITS, &mut |piece| {
            taken += piece.len();
            Ok(())
        })
        .await;
        assert_eq!(ended, Err(ClientError::TooLarge));
        assert!(taken <= 1000, "{taken}");
        let stalls = peer(long, vec![vec![0; 10]]);
        let ended = download(stalls, LIMITS, &mut |_| Ok(())).await;
        assert_eq!(ended, Err(ClientError::Timeout));
        let full = peer(long, vec![vec![0; 10]]);
        let ended = download(full, LIMITS, &mut |_| Err(io::Error::other("full"))).await;
        assert_eq!(ended, Err(ClientError::Broken("full".to_owned())));
    }

    #[tokio::test]
    async fn a_body_that_drips_for_ever_ends_at_the_deadline() {
        let head = "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n";
        let limits = DownloadLimits {
            within: Duration::from_millis(100),
            idle: Duration::from_secs(20),
            ..LIMITS
        };
        let ended = download(peer(head, vec![]), limits, &mut |_| Ok(())).await;
        assert_eq!(ended, Err(ClientError::Timeout));
    }
}
