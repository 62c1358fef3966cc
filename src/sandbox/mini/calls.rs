//! The calls of a merchant's server: token, body, judgement, answer.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::access::{Granted, TokenAsked};
use super::errcodes::{EMPTY_BODY, NOT_JSON};
use super::phone::PhoneAsked;
use crate::base::Timestamp;
use crate::sandbox::Sandbox;
use crate::sandbox::faults::UpstreamFault;
use crate::sandbox::gateway::{Judged, rid};
use crate::sandbox::login::{BUSY, Errcode};
use crate::sandbox::verdicts::Verdict;
use crate::web::{self, Anyone, Outcome, Req, StatusCode};

/// What a call is worth: the fields of its answer, or an errcode.
pub(super) type Answered = Result<Value, Errcode>;

/// `GET /cgi-bin/token`
pub(super) async fn token(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let asked = TokenAsked {
        grant_type: req.query("grant_type"),
        appid: req.query("appid"),
        secret: req.query("secret"),
        force_refresh: false,
    };
    let judge = |fault| {
        judged(sandbox.spared(&req, fault).and_then(|()| {
            let tokens = &mut sandbox.book().mini.tokens;
            tokens
                .legacy(&sandbox.credentials, &asked, req.at)
                .map(|granted| shown(&granted))
        }))
    };
    Ok(sandbox.answer(&req, judge).await)
}

/// `POST /cgi-bin/stable_token`
pub(super) async fn stable_token(sandbox: Arc<Sandbox>, _: Anyone, mut req: Req) -> Outcome {
    let body = req.body().await?;
    let judge = |fault| {
        judged(sandbox.spared(&req, fault).and_then(|()| {
            let asked: TokenAsked = read(&body)?;
            let tokens = &mut sandbox.book().mini.tokens;
            tokens
                .stable(&sandbox.credentials, &asked, req.at)
                .map(|granted| shown(&granted))
        }))
    };
    Ok(sandbox.answer(&req, judge).await)
}

fn shown(granted: &Granted) -> Value {
    json!({"access_token": granted.access_token, "expires_in": granted.expires_in})
}

/// `POST /wxa/business/getuserphonenumber`
pub(super) async fn phone_number(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let judge = |sandbox: &Sandbox, asked: PhoneAsked, now| {
        let appid = &sandbox.credentials.appid;
        sandbox.book().mini.phones.redeem(&asked, appid, now)
    };
    called(&sandbox, req, judge).await
}

/// A call that proves itself by an access token and carries JSON.
pub(super) async fn called<T: DeserializeOwned>(
    sandbox: &Sandbox,
    mut req: Req,
    judge: impl FnOnce(&Sandbox, T, Timestamp) -> Answered,
) -> Outcome {
    let body = req.body().await?;
    let judge = |fault| {
        let judge = |asked| judge(sandbox, asked, req.at);
        judged(judge_call(sandbox, (&req, &body), fault, judge))
    };
    Ok(sandbox.answer(&req, judge).await)
}

/// Fault, token, body; then `judge`.
pub(super) fn judge_call<T: DeserializeOwned, R>(
    sandbox: &Sandbox,
    (req, body): (&Req, &[u8]),
    fault: UpstreamFault,
    judge: impl FnOnce(T) -> Result<R, Errcode>,
) -> Result<R, Errcode> {
    sandbox.spared(req, fault)?;
    let token = req.query("access_token");
    sandbox.book().mini.tokens.check(token.as_deref(), req.at)?;
    judge(read(body)?)
}

impl Sandbox {
    /// The errors that come before any judgement: a planned errcode, a system that is busy.
    fn spared(&self, req: &Req, fault: UpstreamFault) -> Result<(), Errcode> {
        let planned = self.book().mini.planned.next(req.pattern());
        match (planned, fault) {
            (Some(errcode), _) => Err(errcode),
            (None, UpstreamFault::SystemError) => Err(BUSY),
            (None, _) => Ok(()),
        }
    }
}

/// Reads a body; fields that WeChat does not know are passed over, as it passes over them.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Errcode> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => Err(EMPTY_BODY),
        Some(b'{') => serde_json::from_slice(body).map_err(|_| NOT_JSON),
        Some(_) => Err(NOT_JSON),
    }
}

/// The answer to a call, and what is noted about it.
pub(super) fn judged(answered: Answered) -> Judged {
    let (body, verdict) = match answered {
        Ok(mut fields) => {
            if fields.get("access_token").is_none() {
                fields["errcode"] = json!(0);
                fields["errmsg"] = json!("ok");
            }
            (fields, Verdict::ok())
        }
        Err(Errcode { errcode, errmsg }) => (
            json!({"errcode": errcode, "errmsg": format!("{errmsg} rid: {}", rid())}),
            Verdict::new(errcode.to_string(), errmsg),
        ),
    };
    Judged {
        answer: web::json(StatusCode::OK, &body),
        verdict,
    }
}
