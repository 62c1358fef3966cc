//! HTTP without a network, for simulations: requests are calls, and a router answers them.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::{Request, header};

use super::id::Ids;
use super::request::Payload;
use super::{ClientError, Incoming, Outgoing, Req, Router};
use crate::base::{Clock, Timestamp};

type Carrying = Pin<Box<dyn Future<Output = Result<Incoming, ClientError>> + Send>>;

/// What carries the requests of a client in place of the network.
#[derive(Clone)]
pub(crate) struct Wire(Arc<dyn Fn(Outgoing) -> Carrying + Send + Sync>);

impl Wire {
    /// A wire at whose other end `answer` is.
    pub(crate) fn new<F>(answer: impl Fn(Outgoing) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Incoming, ClientError>> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(answer(request))))
    }

    pub(super) fn carry(&self, request: Outgoing) -> Carrying {
        (self.0)(request)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

/// A server that is called, not reached.
pub(crate) struct Local<S> {
    router: Router<S>,
    state: Arc<S>,
    clock: Clock,
    ids: Ids,
}

impl<S: Send + Sync + 'static> Local<S> {
    pub(crate) fn new(router: Router<S>, state: Arc<S>, clock: Clock) -> Self {
        let ids = Ids::new();
        Self {
            router,
            state,
            clock,
            ids,
        }
    }

    /// The answer to `request`, sent from `client_addr`.
    pub(crate) async fn call(&self, request: Outgoing, client_addr: IpAddr) -> Incoming {
        let id = self.ids.next();
        let host = request.url.split('/').nth(2).unwrap_or_default().to_owned();
        let mut head = Request::builder().method(request.method).uri(request.url);
        head = head.header(header::USER_AGENT, "simulated");
        head = head.header(header::HOST, host);
        for (name, value) in request.headers {
            head = head.header(name, value);
        }
        let (head, ()) = head.body(()).expect("a legal request").into_parts();
        let at_ms = self.clock.now_ms();
        let response = match self.router.find(&head.method, head.uri.path()) {
            Err(astray) => astray.into_response(id),
            Ok(row) => {
                let req = Req {
                    at: Timestamp::from_unix(at_ms.div_euclid(1000)),
                    at_ms,
                    id,
                    client_addr,
                    secure: true,
                    pattern: row.pattern(),
                    head,
                    payload: Payload::Read(request.body.into()),
                };
                let ended = row.call(Arc::clone(&self.state), req).await;
                ended.unwrap_or_else(|error| error.into_response(id))
            }
        };
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("an answer is in memory");
        Incoming {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.to_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use crate::web::{Anyone, Client, Method, Outcome, StatusCode, route, text};

    async fn echo(_: Arc<()>, _: Anyone, mut req: Req) -> Outcome {
        let body = req.body().await?;
        let told = format!("{} {:?}", req.param_text("name"), req.header("x-a"));
        Ok(text(
            StatusCode::OK,
            "text/plain",
            [told.as_bytes(), &body].concat(),
        ))
    }

    #[tokio::test]
    async fn a_request_on_the_wire_reaches_the_row_it_would_reach_over_a_network() {
        let router = Router::new(vec![route(Method::POST, "/echo/{name}", echo)]);
        let local = Local::new(router, Arc::new(()), Clock::system());
        let local = Arc::new(local);
        let client = Client::in_process(Wire::new(move |request| {
            let local = Arc::clone(&local);
            async move { Ok(local.call(request, "127.0.0.1".parse().unwrap()).await) }
        }));
        let send = |path: &str, limit| {
            let request = Outgoing {
                method: Method::POST,
                url: format!("http://nowhere.invalid{path}"),
                headers: vec![("X-A", "1".to_owned())],
                body: b"!".to_vec(),
            };
            client.send(request, Duration::from_secs(1), limit)
        };
        let answer = send("/echo/a%20b", 100).await.unwrap();
        assert_eq!(
            (answer.status, &answer.body[..]),
            (200, &b"a b Some(\"1\")!"[..])
        );
        assert_eq!(send("/echo", 100).await.unwrap().status, 404);
        assert_eq!(send("/echo/a", 3).await.err(), Some(ClientError::TooLarge));
    }
}
