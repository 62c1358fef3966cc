//! The demo's HTTP: plays the mini program and the merchant's backend, sharing nothing of the shop.

use std::time::Duration;

use serde_json::Value;

use crate::web::{Client, Method, Outgoing};

const WITHIN: Duration = Duration::from_secs(30);
const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// A request of the demo.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) bearer: Option<&'a str>,
    pub(super) body: Option<Value>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl<'a> Ask<'a> {
    pub(super) fn get(url: String) -> Self {
        Self {
            method: Method::GET,
            url,
            bearer: None,
            body: None,
        }
    }

    pub(super) fn post(url: String) -> Self {
        Self {
            method: Method::POST,
            ..Self::get(url)
        }
    }

    pub(super) fn put(url: String) -> Self {
        Self {
            method: Method::PUT,
            ..Self::get(url)
        }
    }

    pub(super) fn with(self, body: Value) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    pub(super) fn by(self, token: &'a str) -> Self {
        Self {
            bearer: Some(token),
            ..self
        }
    }

    /// Sends it.
    ///
    /// # Errors
    /// Why there is no JSON answer, in Chinese.
    pub(super) async fn send(&self, client: &Client) -> Result<Answer, String> {
        let mut headers = vec![];
        if let Some(token) = self.bearer {
            headers.push(("authorization", format!("Bearer {token}")));
        }
        if self.body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let body = self
            .body
            .as_ref()
            .map_or(vec![], |body| body.to_string().into_bytes());
        let (method, url) = (self.method.clone(), self.url.clone());
        let outgoing = Outgoing {
            method,
            url,
            headers,
            body,
        };
        let answer = client.send(outgoing, WITHIN, ANSWER_MAX_BYTES).await;
        let answer = answer.map_err(|why| format!("{} 没有回答：{why}", self.url))?;
        let body = serde_json::from_slice(&answer.body);
        let body = body.map_err(|_| format!("{} 的回答不是 JSON", self.url))?;
        Ok(Answer {
            status: answer.status,
            body,
        })
    }
}
