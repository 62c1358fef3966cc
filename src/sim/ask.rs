//! Asking over a wire that may fail: the phone of a buyer, the shop towards WeChat, WeChat back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::weather::{Mishap, Wires};
use super::world::World;
use crate::web::{ClientError, Incoming, Method, Outgoing};

/// Longer than anyone waits.
const NEVER: Duration = Duration::from_secs(90);
/// How long a phone waits for its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer as a client of the shop sees it.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn of(answer: &Incoming) -> Self {
        Self {
            status: answer.status,
            body: serde_json::from_slice(&answer.body).unwrap_or(Value::Null),
        }
    }

    pub(super) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_default().to_owned()
    }

    /// `201`, or `409 ORDER_PAID`.
    pub(super) fn word(&self) -> String {
        match self.body["code"].as_str() {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }
}

/// What is asked of the shop.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) bearer: Option<String>,
    pub(super) idempotency_key: Option<String>,
    pub(super) body: Option<Value>,
}

impl Ask {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            bearer: None,
            idempotency_key: None,
            body: None,
        }
    }

    pub(super) fn by(self, bearer: &str) -> Self {
        Self {
            bearer: Some(bearer.to_owned()),
            ..self
        }
    }

    pub(super) fn with(self, body: Value) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    pub(super) fn outgoing(&self) -> Outgoing {
        let mut headers = vec![];
        if let Some(token) = &self.bearer {
            headers.push(("authorization", format!("Bearer {token}")));
        }
        if let Some(key) = &self.idempotency_key {
            headers.push(("idempotency-key", key.clone()));
        }
        Outgoing {
            method: self.method.clone(),
            url: format!("http://127.0.0.1:2{}", self.path),
            headers,
            body: self
                .body
                .as_ref()
                .map_or(vec![], |body| body.to_string().into_bytes()),
        }
    }
}

impl World {
    /// Asks the shop over the wire; `None` when no answer came.
    pub(super) async fn ask(self: &Arc<Self>, ask: &Ask) -> Option<Answer> {
        let request = ask.outgoing();
        let asking = self.travel(Wires::ToShop, request);
        let answer = tokio::time::timeout(PATIENCE, asking).await.ok()?.ok()?;
        Some(Answer::of(&answer))
    }

    /// Asks the shop beside the wire: nothing goes wrong on the way. For those who look on.
    ///
    /// # Errors
    /// That there is no shop now, or it ended meanwhile.
    pub(super) async fn look(self: &Arc<Self>, ask: &Ask) -> Result<Answer, String> {
        let life = self.life().ok_or("the shop is down")?;
        let answer = life.call(ask.outgoing()).await;
        Ok(Answer::of(&answer.map_err(|error| error.to_string())?))
    }

    /// Brings a request to where it goes, with what happens on the way.
    pub(super) async fn travel(
        self: &Arc<Self>,
        on: Wires,
        request: Outgoing,
    ) -> Result<Incoming, ClientError> {
        let mishap = self.mishap(on);
        if !matches!(mishap, Mishap::None(_)) {
            self.note(format!(
                "  wire {on:?} {}: {}",
                path(&request),
                mishap.word()
            ));
        }
        match mishap {
            Mishap::Refused => Err(ClientError::NotSent("refused".to_owned())),
            Mishap::LostBefore => never().await,
            Mishap::LostAfter => {
                self.set_off(on, request, Duration::ZERO);
                never().await
            }
            Mishap::Late(by) => {
                self.set_off(on, request, by);
                never().await
            }
            Mishap::Twice => {
                self.set_off(on, request.clone(), Duration::ZERO);
                self.arrive(on, request).await
            }
            Mishap::None(after) => {
                tokio::time::sleep(after).await;
                self.arrive(on, request).await
            }
        }
    }

    /// Sends a request whose answer nobody waits for.
    fn set_off(self: &Arc<Self>, on: Wires, request: Outgoing, after: Duration) {
        let world = Arc::downgrade(self);
        self.spawn(async move {
            tokio::time::sleep(after).await;
            if let Some(world) = world.upgrade() {
                // Whatever is answered is lost.
                let _ = world.arrive(on, request).await;
            }
        });
    }

    async fn arrive(
        self: &Arc<Self>,
        on: Wires,
        request: Outgoing,
    ) -> Result<Incoming, ClientError> {
        match on {
            Wires::ToShop | Wires::FromWechat => match self.life() {
                Some(life) => life.call(request).await,
                None => Err(ClientError::NotSent("refused".to_owned())),
            },
            Wires::ToWechat => Ok(self.to_wechat(request).await),
        }
    }
}

fn path(request: &Outgoing) -> &str {
    let url = request.url.as_str();
    let path = url
        .match_indices('/')
        .nth(2)
        .map_or("", |(at, _)| &url[at..]);
    path.split('?').next().unwrap_or("")
}

async fn never() -> Result<Incoming, ClientError> {
    tokio::time::sleep(NEVER).await;
    Err(ClientError::Timeout)
}
