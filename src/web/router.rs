//! Routes as rows of a table, and the tree that finds the row of a request.
//!
//! A pattern's segment is fixed text or one `{name}`. Fixed text beats a name.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, StatusCode};

use super::gate::Toll;
use super::metrics::{HttpMetrics, RowMetrics};
use super::{HttpError, Outcome, Req, RequestId, Response};

/// Who may call a route: proved before its handler runs.
pub trait Caller<S>: Sized + Send {
    /// Whose allowance a request to a row with this caller uses up.
    const TOLL: Toll = Toll::Unproved;

    /// The caller of `req`; it may read the body, which stays readable for the handler.
    fn prove(state: &Arc<S>, req: &mut Req)
    -> impl Future<Output = Result<Self, HttpError>> + Send;
}

/// A caller of whom nothing is asked.
#[derive(Clone, Copy, Debug)]
pub struct Anyone;

impl<S: Send + Sync> Caller<S> for Anyone {
    const TOLL: Toll = Toll::Address;

    async fn prove(_: &Arc<S>, _: &mut Req) -> Result<Self, HttpError> {
        Ok(Self)
    }
}

pub(super) type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;
type Endpoint<S> = Box<dyn Fn(Arc<S>, Req) -> Running + Send + Sync>;

/// One row of the table: method, pattern, handler.
pub struct Route<S> {
    method: Method,
    pattern: &'static str,
    toll: Toll,
    endpoint: Endpoint<S>,
    pub(super) metrics: RowMetrics,
}

/// A row: `handler` is an `async fn(Arc<S>, C, Req) -> Outcome`, and `C` says who may call it.
pub fn route<S, C, F, Fut>(method: Method, pattern: &'static str, handler: F) -> Route<S>
where
    S: Send + Sync + 'static,
    C: Caller<S> + 'static,
    F: Fn(Arc<S>, C, Req) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    let endpoint = move |state: Arc<S>, mut req: Req| -> Running {
        let handler = handler.clone();
        Box::pin(async move {
            let caller = C::prove(&state, &mut req).await?;
            handler(state, caller, req).await
        })
    };
    Route {
        method,
        pattern,
        toll: C::TOLL,
        endpoint: Box::new(endpoint),
        metrics: RowMetrics::default(),
    }
}

impl<S> Route<S> {
    /// The path pattern, such as `/api/v1/orders/{order_no}`.
    pub fn pattern(&self) -> &'static str {
        self.pattern
    }

    /// The same row, for which messengers come: see [`Toll::Messenger`].
    #[must_use]
    pub fn for_messengers(self) -> Self {
        let toll = Toll::Messenger;
        Self { toll, ..self }
    }

    /// Whose allowance a request uses up.
    pub(super) fn toll(&self) -> Toll {
        self.toll
    }

    /// The method it answers.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The handler's future for one request.
    pub(super) fn call(&self, state: Arc<S>, req: Req) -> Running {
        (self.endpoint)(state, req)
    }
}

impl<S> fmt::Debug for Route<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.pattern)
    }
}

/// All rows, arranged for finding.
pub struct Router<S> {
    rows: Vec<Route<S>>,
    root: Node,
}

/// What is below one segment; `rows` are indexes into the router's.
#[derive(Default)]
struct Node {
    fixed: Vec<(&'static str, Node)>,
    named: Option<Box<Node>>,
    rows: Vec<usize>,
}

/// Why no row answers a request.
pub(super) enum Astray {
    TooLong,
    Refused(HttpError),
    UnknownPath,
    OtherMethods(HeaderValue),
}

impl<S> Router<S> {
    /// Arranges `rows`.
    ///
    /// # Panics
    /// When a pattern does not begin with `/`, or two rows have the same method and path.
    pub fn new(rows: Vec<Route<S>>) -> Self {
        let mut root = Node::default();
        for (index, row) in rows.iter().enumerate() {
            let node = root.place(segments(row.pattern));
            let twice = node.rows.iter().any(|&i| rows[i].method == row.method);
            assert!(!twice, "two rows for {row:?}");
            node.rows.push(index);
        }
        Self { rows, root }
    }

    /// Has the requests of each row counted in `metrics`.
    pub(super) fn count_in(&mut self, metrics: &HttpMetrics) {
        for row in &mut self.rows {
            row.metrics = metrics.row(&row.method, row.pattern);
        }
    }

    /// Method and pattern of every row, in the table's order.
    pub fn rows(&self) -> impl Iterator<Item = (&Method, &'static str)> {
        self.rows.iter().map(|row| (&row.method, row.pattern))
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Result<&Route<S>, Astray> {
        let Some(path) = path.strip_prefix('/') else {
            return Err(Astray::UnknownPath);
        };
        let Some(node) = self.root.find(Some(path)) else {
            return Err(Astray::UnknownPath);
        };
        let mut rows = node.rows.iter().map(|&index| &self.rows[index]);
        let found = rows.clone().find(|row| row.method == *method);
        found.ok_or_else(|| Astray::OtherMethods(allowed(&mut rows)))
    }
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.rows).finish()
    }
}

impl Node {
    fn place(&mut self, mut segments: impl Iterator<Item = &'static str>) -> &mut Self {
        let Some(segment) = segments.next() else {
            return self;
        };
        if segment.starts_with('{') {
            return self.named.get_or_insert_default().place(segments);
        }
        let known = self.fixed.iter().position(|(text, _)| *text == segment);
        let index = known.unwrap_or_else(|| {
            self.fixed.push((segment, Self::default()));
            self.fixed.len() - 1
        });
        self.fixed[index].1.place(segments)
    }

    /// The node of `path`, which has lost its leading slash; `None` when it is used up.
    fn find(&self, path: Option<&str>) -> Option<&Self> {
        let Some(path) = path else {
            return (!self.rows.is_empty()).then_some(self);
        };
        // Segments are short: a plain loop beats the search that split_once starts.
        let (segment, rest) = match path.bytes().position(|byte| byte == b'/') {
            Some(end) => (&path[..end], Some(&path[end + 1..])),
            None => (path, None),
        };
        let fixed = self.fixed.iter().find(|(text, _)| *text == segment);
        let found = fixed.and_then(|(_, node)| node.find(rest));
        found.or_else(|| {
            let named = self.named.as_ref().filter(|_| !segment.is_empty())?;
            named.find(rest)
        })
    }
}

impl Astray {
    pub(super) fn into_response(self, id: RequestId) -> Response {
        match self {
            Self::TooLong => {
                let error = HttpError::new(StatusCode::URI_TOO_LONG, "URI_TOO_LONG", "地址过长");
                error.into_response(id)
            }
            Self::Refused(error) => error.into_response(id),
            Self::UnknownPath => {
                let error = HttpError::new(StatusCode::NOT_FOUND, "NOT_FOUND", "没有这个地址");
                error.into_response(id)
            }
            Self::OtherMethods(allowed) => {
                let status = StatusCode::METHOD_NOT_ALLOWED;
                let error = HttpError::new(status, "METHOD_NOT_ALLOWED", "这个地址不支持此方法");
                let mut response = error.into_response(id);
                response.headers_mut().insert(ALLOW, allowed);
                response
            }
        }
    }
}

fn segments(pattern: &'static str) -> impl Iterator<Item = &'static str> {
    let path = pattern.strip_prefix('/');
    path.expect("a pattern begins with a slash").split('/')
}

fn allowed<'a, S: 'a>(rows: &mut impl Iterator<Item = &'a Route<S>>) -> HeaderValue {
    let methods: Vec<&str> = rows.map(|row| row.method.as_str()).collect();
    HeaderValue::from_str(&methods.join(", ")).expect("methods are tokens")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::empty;

    async fn nothing(_: Arc<()>, _: Anyone, _: Req) -> Outcome {
        Ok(empty(StatusCode::NO_CONTENT))
    }

    fn router() -> Router<()> {
        Router::new(vec![
            route(Method::GET, "/", nothing),
            route(Method::GET, "/orders", nothing),
            route(Method::POST, "/orders", nothing),
            route(Method::GET, "/orders/{order_no}", nothing),
            route(Method::GET, "/orders/export", nothing),
            route(Method::POST, "/orders/{order_no}/pay", nothing),
            route(Method::POST, "/orders/export/now", nothing),
            route(Method::GET, "/console/", nothing),
        ])
    }

    #[test]
    fn a_path_finds_its_row_and_fixed_text_beats_a_name() {
        let router = router();
        let cases = [
            (Method::GET, "/", "/"),
            (Method::GET, "/orders", "/orders"),
            (Method::POST, "/orders", "/orders"),
            (Method::GET, "/orders/1", "/orders/{order_no}"),
            (Method::GET, "/orders/export", "/orders/export"),
            (Method::GET, "/orders/exports", "/orders/{order_no}"),
            (Method::POST, "/orders/export/pay", "/orders/{order_no}/pay"),
            (Method::POST, "/orders/export/now", "/orders/export/now"),
            (Method::GET, "/console/", "/console/"),
        ];
        for (method, path, pattern) in cases {
            let found = router.find(&method, path).ok().map(Route::pattern);
            assert_eq!(found, Some(pattern), "{method} {path}");
        }
    }

    #[test]
    fn an_unknown_path_has_no_row() {
        for path in [
            "",
            "*",
            "//",
            "/order",
            "/orders/",
            "/orders/1/",
            "/orders//pay",
            "/orders/1/pay/2",
            "/console",
            "/ORDERS",
        ] {
            let astray = router().find(&Method::POST, path).err();
            assert!(matches!(astray, Some(Astray::UnknownPath)), "{path}");
        }
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        let router = router();
        for (path, methods) in [("/orders", "GET, POST"), ("/orders/1/pay", "POST")] {
            match router.find(&Method::DELETE, path) {
                Err(Astray::OtherMethods(allowed)) => assert_eq!(allowed, methods, "{path}"),
                _ => panic!("{path} was not told its methods"),
            }
        }
    }

    #[test]
    fn the_rows_can_be_read_back_in_order() {
        let router = router();
        let rows: Vec<_> = router.rows().map(|(m, p)| format!("{m} {p}")).collect();
        assert_eq!(rows[..2], ["GET /", "GET /orders"]);
        assert_eq!(rows.len(), 8);
    }

    #[test]
    #[should_panic(expected = "two rows for POST /a/{y}")]
    fn two_rows_for_one_place_are_a_bug() {
        let first = route(Method::POST, "/a/{x}", nothing);
        Router::new(vec![first, route(Method::POST, "/a/{y}", nothing)]);
    }
}
