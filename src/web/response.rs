//! Answers: JSON, text or nothing; and errors in the one shape of the contract.

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
};
use serde::Serialize;

use super::RequestId;
use super::body::{Body, whole};

/// An answer; all but long tables are whole in memory.
pub type Response = hyper::Response<Body>;

/// What a handler gives back.
pub type Outcome = Result<Response, HttpError>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why a request got no good answer, in the shape of the contract.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpError {
    /// The HTTP status, 4xx or 5xx.
    pub status: StatusCode,
    /// The contract's code, such as `TOKEN_INVALID`.
    pub code: &'static str,
    /// One Chinese sentence for whoever reads the answer.
    pub message: String,
    /// More for a program to act on.
    pub detail: Option<serde_json::Value>,
    /// Sent as `retry-after`, seconds.
    pub retry_after_s: Option<u64>,
}

impl HttpError {
    /// An error without detail.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            detail: None,
            retry_after_s: None,
        }
    }

    /// `400 INVALID_REQUEST`: the message names the field and the rule it breaks.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message)
    }

    pub(super) fn into_response(self, id: RequestId) -> Response {
        let shown = Shown {
            code: self.code,
            message: &self.message,
            request_id: id.as_str(),
            detail: self.detail.as_ref(),
        };
        let mut response = json(self.status, &shown);
        if let Some(seconds) = self.retry_after_s {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    code: &'a str,
    message: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a serde_json::Value>,
}

/// An answer whose body is `view` as JSON.
pub fn json(status: StatusCode, view: &impl Serialize) -> Response {
    long_json(status, view, 128)
}

/// The same for a `view` of about `bytes`: a list that grows by doubling is copied five times.
pub fn long_json(status: StatusCode, view: &impl Serialize, bytes: usize) -> Response {
    let mut body = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut body, view).expect("views have text keys and no failing fields");
    with_body(status, JSON, body.into())
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// An answer of any other content type, such as `text/xml; charset=utf-8`.
pub fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    with_body(status, HeaderValue::from_static(content_type), body.into())
}

/// An answer with 200 whose body is made while it is sent.
///
/// The connection ends with it: how long that takes is the reader's affair, and no deadline's.
pub fn made(content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// `response`, told to be kept in no cache: for answers about a user.
pub fn no_store(mut response: Response) -> Response {
    let value = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, value);
    response
}

/// `response` with one more header; a value that no header can hold is left out.
pub fn with_header(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

fn with_body(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response {
    let mut response = Response::new(whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
