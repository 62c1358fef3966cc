//! A request as a handler sees it: when, from whom, which path, and its body on demand.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, EXPECT, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::decode::{check_depth, percent_decoded, read_json};
use super::{HttpError, Limits, RequestId};
use crate::base::Timestamp;

/// One request. Its body is read when it is asked for, within the server's limits.
pub struct Req {
    /// When it arrived.
    pub at: Timestamp,
    /// When it arrived, in milliseconds since 1970.
    pub at_ms: i64,
    /// Its name, as in the answer's `x-request-id`.
    pub id: RequestId,
    /// Who sent it: the peer, or whom a trusted proxy names.
    pub client_addr: IpAddr,
    pub(super) secure: bool,
    pub(super) head: Parts,
    pub(super) pattern: &'static str,
    pub(super) payload: Payload,
}

/// What a request carries, before and after it was read.
pub(super) enum Payload {
    Waiting(Waiting),
    Read(Bytes),
}

/// A body that was not read yet, and what it may cost.
pub(super) struct Waiting {
    incoming: Incoming,
    limit_bytes: usize,
    json_depth: usize,
    pace: BodyPace,
}

/// How fast a body must come.
#[derive(Clone, Copy)]
struct BodyPace {
    within: Duration,
    min_bytes_per_s: u64,
}

/// How long nothing is asked of a body's pace.
const BODY_GRACE: Duration = Duration::from_secs(5);

impl BodyPace {
    /// When a body that began at `from` and of which `read` bytes are here must go on or be done.
    fn deadline(self, from: Instant, read: usize) -> Instant {
        let earned = u64::try_from(read).unwrap_or(u64::MAX) / self.min_bytes_per_s.max(1);
        let earned = BODY_GRACE.saturating_add(Duration::from_secs(earned));
        from + earned.min(self.within)
    }
}

impl Req {
    /// The method.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// The path as it was sent, without the query.
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// Path and query as they were sent: what a signature covers.
    pub fn target(&self) -> &str {
        let target = self.head.uri.path_and_query();
        target.map_or("/", |target| target.as_str())
    }

    /// The row's pattern, such as `/api/v1/orders/{order_no}`.
    pub fn pattern(&self) -> &'static str {
        self.pattern
    }

    /// Whether nobody between the client and us could read it: TLS here, or at a trusted proxy.
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The first header of this name, in any case, if it is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The token of `Authorization: Bearer …`.
    pub fn bearer(&self) -> Option<&str> {
        let value = self.head.headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_at_checked("Bearer ".len())?;
        scheme
            .eq_ignore_ascii_case("Bearer ")
            .then(|| token.trim_matches(' '))
    }

    /// The first query parameter of this name, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.head.uri.query()?;
        let mut pairs = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (_, value) = pairs.find(|(key, _)| form_decoded(key) == name)?;
        Some(form_decoded(value).into_owned())
    }

    /// The decoded text that stands for `{name}` in the row's pattern.
    pub fn param_text(&self, name: &str) -> Cow<'_, str> {
        let mut places = self.pattern.split('/').zip(self.path().split('/'));
        let named = |place: &str| {
            let inner = place
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            inner == Some(name)
        };
        let found = places.find(|(place, _)| named(place));
        let (_, text) = found.expect("a handler asks for names of its own pattern");
        percent_decoded(text)
    }

    /// The value that stands for `{name}` in the row's pattern.
    ///
    /// # Errors
    /// `400 INVALID_REQUEST` when the text is not such a value.
    pub fn param<T: FromStr>(&self, name: &str) -> Result<T, HttpError> {
        let invalid = |_| HttpError::invalid(format!("路径中的 \"{name}\" 不合规则"));
        self.param_text(name).parse().map_err(invalid)
    }

    /// The whole body; read once, then kept.
    ///
    /// # Errors
    /// `413 BODY_TOO_LARGE`, `408 REQUEST_TIMEOUT`, or `400 INVALID_REQUEST` when it broke off or
    /// is JSON that lies too deep.
    pub async fn body(&mut self) -> Result<Bytes, HttpError> {
        let continues = self.head.headers.contains_key(EXPECT);
        if let Payload::Waiting(waiting) = &mut self.payload {
            let body = waiting.read(continues).await?;
            check_depth(&body, waiting.json_depth)?;
            self.payload = Payload::Read(body);
        }
        match &self.payload {
            Payload::Read(body) => Ok(body.clone()),
            Payload::Waiting(_) => Err(HttpError::invalid("请求体没有传完")),
        }
    }

    /// The body as a `T`, from JSON.
    ///
    /// # Errors
    /// Those of [`Req::body`]; `400 INVALID_REQUEST` naming the field that is wrong and its rule.
    pub async fn json<T: DeserializeOwned>(mut self) -> Result<T, HttpError> {
        read_json(&self.body().await?)
    }
}

impl fmt::Debug for Req {
    /// Neither headers nor query: they carry tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, head, .. } = self;
        write!(f, "Req({id} {} {})", head.method, self.path())
    }
}

impl Waiting {
    pub(super) fn new(incoming: Incoming, limits: &Limits) -> Self {
        Self {
            incoming,
            limit_bytes: limits.max_body_bytes,
            json_depth: limits.max_json_depth,
            pace: BodyPace {
                within: limits.deadlines.body,
                min_bytes_per_s: limits.min_body_bytes_per_s,
            },
        }
    }

    async fn read(&mut self, continues: bool) -> Result<Bytes, HttpError> {
        let announced = self.incoming.size_hint().lower();
        let limit = u64::try_from(self.limit_bytes).unwrap_or(u64::MAX);
        if announced > limit && continues {
            return Err(too_large(self.limit_bytes));
        }
        let (parts, read) = self.collect().await?;
        if read > self.limit_bytes {
            return Err(too_large(self.limit_bytes));
        }
        let mut parts = parts;
        Ok(match parts.len() {
            1 => parts.swap_remove(0),
            _ => parts.concat().into(),
        })
    }

    /// Reads to the end: the parts, and how many bytes there were. What is past the limit is
    /// dropped, but read: a socket closed with unread bytes resets the connection, and the client
    /// would never see the 413.
    async fn collect(&mut self) -> Result<(Vec<Bytes>, usize), HttpError> {
        let (from, most) = (Instant::now(), self.limit_bytes.saturating_mul(4));
        let (mut parts, mut read) = (Vec::new(), 0_usize);
        loop {
            let deadline = self.pace.deadline(from, read);
            let frame = tokio::time::timeout_at(deadline, self.incoming.frame()).await;
            let Some(frame) = frame.map_err(|_| too_late())? else {
                return Ok((parts, read));
            };
            let frame = frame.map_err(|_| HttpError::invalid("请求体没有传完"))?;
            let Ok(part) = frame.into_data() else {
                continue;
            };
            read = read.saturating_add(part.len());
            if read > most {
                return Ok((parts, read));
            }
            parts.push(part);
            if read > self.limit_bytes {
                parts.clear();
            }
        }
    }
}

fn too_late() -> HttpError {
    let said = "请求体传得太慢，没有在期限内传完";
    HttpError::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", said)
}

fn too_large(limit_bytes: usize) -> HttpError {
    HttpError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "BODY_TOO_LARGE",
        format!("请求体超过 {limit_bytes} 字节"),
    )
}

/// A name or value of a query, in which `+` is a blank.
fn form_decoded(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decoded(&spaced).into_owned());
    }
    percent_decoded(text)
}
