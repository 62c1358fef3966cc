//! Subscribe messages and mini-program codes: the calls, and the buyer's side of them.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::calls::{called, judge_call, judged};
use super::subscribe::{Received, SendForm};
use super::wxacode::CodeForm;
use crate::base::OpenId;
use crate::base::secret::random_text;
use crate::sandbox::Sandbox;
use crate::sandbox::gateway::Judged;
use crate::sandbox::verdicts::Verdict;
use crate::web::{self, Anyone, HttpError, Outcome, Req, StatusCode};

/// `POST /cgi-bin/message/subscribe/send`
pub(super) async fn send(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let judge = |sandbox: &Sandbox, form: SendForm, now| {
        sandbox.book().mini.subscriptions.send(form, now)?;
        Ok(json!({"msgid": 0}))
    };
    called(&sandbox, req, judge).await
}

/// `POST /wxa/getwxacodeunlimit`: a picture, or an errcode in JSON.
pub(super) async fn code(sandbox: Arc<Sandbox>, _: Anyone, mut req: Req) -> Outcome {
    let body = req.body().await?;
    let judge = |fault| {
        let code = judge_call(&sandbox, (&req, &body), fault, |form: CodeForm| form.read());
        match code {
            Ok(code) => Judged {
                answer: web::text(StatusCode::OK, "image/png", code.png()),
                verdict: Verdict::ok(),
            },
            Err(why) => judged(Err(why)),
        }
    };
    Ok(sandbox.answer(&req, judge).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTemplate {
    template_id: Option<String>,
    /// Its keys, such as `thing1`.
    keys: Vec<String>,
}

/// `POST /sandbox/templates`: the console adds a template.
pub(super) async fn new_template(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let NewTemplate { template_id, keys } = req.json().await?;
    let template_id = template_id.unwrap_or_else(|| random_text(43));
    let made = json!({"template_id": template_id, "keys": keys});
    let mut book = sandbox.book();
    book.mini.subscriptions.add_template(&template_id, keys);
    Ok(web::json(StatusCode::OK, &made))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSubscription {
    openid: OpenId,
    template_id: String,
    /// How many messages; one, as a tap on "accept" allows, when it is left out.
    times: Option<u32>,
}

/// `POST /sandbox/subscriptions`: the buyer accepts a template.
pub(super) async fn accept(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let asked: NewSubscription = req.json().await?;
    let (openid, template_id) = (asked.openid.as_str(), &*asked.template_id);
    let mut book = sandbox.book();
    let subscriptions = &mut book.mini.subscriptions;
    match subscriptions.accept(openid, template_id, asked.times.unwrap_or(1)) {
        true => Ok(web::json(StatusCode::OK, &json!({"accept": template_id}))),
        false => Err(HttpError::new(
            StatusCode::NOT_FOUND,
            "TEMPLATE_UNKNOWN",
            "没有这个模板，请先 POST /sandbox/templates (no such template)",
        )),
    }
}

/// `GET /sandbox/inbox`: the messages buyers got, the newest first.
pub(super) async fn inbox(sandbox: Arc<Sandbox>, _: Anyone, _: Req) -> Outcome {
    let book = sandbox.book();
    let received: Vec<&Received> = book.mini.subscriptions.inbox.iter().rev().collect();
    let shown: Value = json!({ "messages": received });
    Ok(web::json(StatusCode::OK, &shown))
}
