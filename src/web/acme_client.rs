//! How the ACME crate reaches an authority: through our own client, deadlines and size limits.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, USER_AGENT};
use hyper::{Request, StatusCode};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use super::client::{Client, ClientError, Outgoing};
use crate::base::{Clock, Timestamp};

const WITHIN: Duration = Duration::from_secs(30);
const LIMIT_BYTES: usize = 1024 * 1024;

/// The headers that the crate sets.
const CARRIED: [HeaderName; 2] = [CONTENT_TYPE, USER_AGENT];

/// A client of one authority. Clones remember together.
#[derive(Clone)]
pub(super) struct Wire {
    client: Client,
    clock: Clock,
    /// When we were last told to come back, and by which answer.
    told: Arc<Mutex<Option<Timestamp>>>,
}

impl Wire {
    pub(super) fn new(client: Client, clock: Clock) -> Self {
        Self {
            client,
            clock,
            told: Arc::default(),
        }
    }

    /// When the authority wants to see us again, if it last said that it is too much.
    pub(super) fn told(&self) -> Option<Timestamp> {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets it: a new attempt begins.
    pub(super) fn forget(&self) {
        self.hear(None);
    }

    fn hear(&self, until: Option<Timestamp>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    async fn pass(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(other)?.to_bytes();
        let carried = CARRIED.iter().filter_map(|name| {
            let value = head.headers.get(name)?.to_str().ok()?;
            Some((name, value.to_owned()))
        });
        let headers = carried.map(|(name, value)| match *name {
            CONTENT_TYPE => ("content-type", value),
            _ => ("user-agent", value),
        });
        let outgoing = Outgoing {
            method: head.method,
            url: head.uri.to_string(),
            headers: headers.collect(),
            body: body.to_vec(),
        };
        let answer = self.client.send(outgoing, WITHIN, LIMIT_BYTES).await;
        let answer = answer.map_err(other)?;
        let busy = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        if busy.iter().any(|status| status.as_u16() == answer.status) {
            let said = answer.header(RETRY_AFTER.as_str());
            self.hear(said.and_then(|said| until(said, self.clock.now())));
        }
        let mut response = hyper::Response::builder().status(answer.status);
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(&answer.headers);
        }
        Ok(BytesResponse::from(response.body(Full::new(answer.body))?))
    }
}

/// Reads `Retry-After`: seconds, or a date.
fn until(said: &str, now: Timestamp) -> Option<Timestamp> {
    match said.parse() {
        Ok(seconds) => Some(now.plus(Duration::from_secs(seconds))),
        Err(_) => Timestamp::from_http_date(said),
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Other(Box::new(error))
}

/// Whether `error` is that nobody answered.
pub(super) fn is_unreachable(error: &Error) -> bool {
    match error {
        Error::Other(inner) => inner.is::<ClientError>(),
        _ => false,
    }
}

impl HttpClient for Wire {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().pass(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_its_forms() {
        let now = Timestamp::from_unix(784_111_777);
        assert_eq!(until("120", now), Some(now.plus(Duration::from_secs(120))));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(until(date, now), Some(now));
        assert_eq!(until("soon", now), None);
    }
}
