//! Message pushes on their way: the console's setting of the URL, the sending, the repeats.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::push::{self, Event, Forged, Format, Mode, Style};
use super::upload::OrderKey;
use crate::sandbox::Sandbox;
use crate::sandbox::rules::is_notify_url;
use crate::web::{self, Anyone, HttpError, Incoming, Method, Outcome, Outgoing, Req, StatusCode};

/// How long the server has to answer, and how often it is told. Source: 小程序 · 消息推送
/// (both unconfirmed for mini programs).
const DEADLINE: Duration = Duration::from_secs(5);
const TRIES: usize = 3;
const ANSWER_BYTES: usize = 16 * 1024;
/// How many pushes are remembered.
const KEPT: usize = 100;

/// Where pushes go, and how they are written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    url: String,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    format: Format,
}

/// How one push went.
#[derive(Clone, Debug, Serialize)]
struct Sent {
    event: String,
    /// The last status; `null` when no answer came.
    status: Option<u16>,
    /// 2xx, and nothing or `success` in the body.
    accepted: bool,
    tries: usize,
}

/// The pushes of the mini program.
#[derive(Default)]
pub(super) struct Pushes {
    target: Option<Target>,
    waiting: VecDeque<Event>,
    sent: VecDeque<Sent>,
}

impl Pushes {
    /// Puts an event in line; without a URL in the console there is nobody to tell.
    pub(super) fn announce(&mut self, event: Event) {
        if self.target.is_some() {
            self.waiting.push_back(event);
        }
    }
}

/// `PUT /sandbox/message-push`: the console's page. The URL is saved only if it answers the check.
pub(super) async fn set_target(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let at = req.at;
    let target: Target = req.json().await?;
    require_url(&target.url)?;
    let (query, echo) = push::url_check(&sandbox.credentials, at);
    let check = Outgoing {
        method: Method::GET,
        url: format!("{}?{query}", target.url),
        headers: vec![],
        body: vec![],
    };
    let answer = sandbox.client.send(check, DEADLINE, ANSWER_BYTES).await;
    let echoed = answer.is_ok_and(|answer| answer.status == 200 && answer.body == echo);
    if !echoed {
        return Err(HttpError::new(
            StatusCode::CONFLICT,
            "PUSH_URL_REFUSED",
            "Token 校验失败：没有原样回答 echostr (the URL did not echo)",
        ));
    }
    sandbox.book().mini.pushes.target = Some(target.clone());
    Ok(web::json(StatusCode::OK, &target))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    event: String,
    /// A paid order, whose numbers go into the message.
    out_trade_no: Option<String>,
    /// More fields, or others.
    #[serde(default)]
    fields: Map<String, Value>,
    /// Instead of the console's.
    url: Option<String>,
    mode: Option<Mode>,
    format: Option<Format>,
    #[serde(default)]
    forged: Forged,
}

/// `POST /sandbox/messages`: pushes one event now.
pub(super) async fn send(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let at = req.at;
    let asked: NewMessage = req.json().await?;
    let saved = sandbox.book().mini.pushes.target.clone();
    let url = asked.url.or_else(|| Some(saved.as_ref()?.url.clone()));
    let url = url.ok_or_else(|| HttpError::invalid("没有推送地址 url (no url)"))?;
    require_url(&url)?;
    let (mode, format) = saved.map_or_else(Default::default, |saved| (saved.mode, saved.format));
    let style = Style {
        mode: asked.mode.unwrap_or(mode),
        format: asked.format.unwrap_or(format),
        forged: asked.forged,
    };
    if style.mode == Mode::Plain && style.forged.needs_sealing() {
        return Err(HttpError::invalid(
            "明文模式没有这种伪造 (plain pushes have nothing sealed to forge)",
        ));
    }
    let mut fields = Map::new();
    if let Some(out_trade_no) = asked.out_trade_no {
        let mchid = sandbox.credentials.mchid.to_string();
        let key = OrderKey::Merchant {
            mchid,
            out_trade_no,
        };
        let paid = sandbox.paid(&sandbox.book(), &key, at);
        let paid = paid.map_err(|why| HttpError::invalid(why.errmsg))?;
        fields = paid.named_in_a_push(&sandbox.credentials);
    }
    fields.extend(asked.fields);
    let event = Event {
        name: asked.event,
        fields,
    };
    let sent = sandbox.push(&url, &event, style).await;
    Ok(web::json(StatusCode::OK, &sent))
}

/// `GET /sandbox/messages`: the last 100 pushes, the newest first.
pub(super) async fn sent(sandbox: Arc<Sandbox>, _: Anyone, _: Req) -> Outcome {
    let book = sandbox.book();
    let sent: Vec<&Sent> = book.mini.pushes.sent.iter().rev().collect();
    Ok(web::json(StatusCode::OK, &json!({ "messages": sent })))
}

fn require_url(url: &str) -> Result<(), HttpError> {
    match is_notify_url(url) {
        true => Ok(()),
        false => Err(HttpError::invalid("url 应为不带查询串的地址 (not a URL)")),
    }
}

impl Sandbox {
    /// Sends what is in line.
    pub(in crate::sandbox) async fn send_pushes(&self) {
        loop {
            let next = {
                let pushes = &mut self.book().mini.pushes;
                pushes.target.clone().zip(pushes.waiting.pop_front())
            };
            let Some((target, event)) = next else {
                return;
            };
            let style = Style {
                mode: target.mode,
                format: target.format,
                forged: Forged::Nothing,
            };
            self.push(&target.url, &event, style).await;
        }
    }

    /// Pushes `event`, again at once while nobody takes it, at most three times.
    async fn push(&self, url: &str, event: &Event, style: Style) -> Sent {
        let mut sent = Sent {
            event: event.name.clone(),
            status: None,
            accepted: false,
            tries: 0,
        };
        // A forged push is made by nobody who would repeat it.
        let tries = match style.forged {
            Forged::Nothing => TRIES,
            _ => 1,
        };
        while !sent.accepted && sent.tries < tries {
            let push = push::write(&self.credentials, event, style, self.now());
            let outgoing = Outgoing {
                method: Method::POST,
                url: format!("{url}?{}", push.query),
                headers: vec![("Content-Type", push.content_type.to_owned())],
                body: push.body.into_bytes(),
            };
            let answer = self.client.send(outgoing, DEADLINE, ANSWER_BYTES).await;
            sent.tries += 1;
            sent.status = answer.as_ref().ok().map(|answer| answer.status);
            sent.accepted = answer.is_ok_and(|answer| is_accepted(&answer));
        }
        let remembered = &mut self.book().mini.pushes.sent;
        remembered.push_back(sent.clone());
        if remembered.len() > KEPT {
            remembered.pop_front();
        }
        sent
    }
}

fn is_accepted(answer: &Incoming) -> bool {
    let body = answer.body.trim_ascii();
    (200..300).contains(&answer.status) && (body.is_empty() || body == b"success")
}
