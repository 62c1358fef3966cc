//! Answers on WeChat's own paths: has a request judged, plays the fault, notes the verdict.
//!
//! The calls of paying are read in `gate_v2` and `gate_v3`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::Sandbox;
use super::faults::UpstreamFault;
use super::login::{BUSY, Errcode, LoginQuery, Session};
use super::verdicts::{Seen, Verdict};
use crate::base::Timestamp;
use crate::base::secret::random_text;
use crate::web::{self, Anyone, Outcome, Req, Response, StatusCode};

/// Longer than any caller waits for WeChat.
const NEVER: Duration = Duration::from_secs(60);
const SLOWLY: Duration = Duration::from_secs(3);

/// An answer and what is noted about it.
pub(super) struct Judged {
    pub(super) answer: Response,
    pub(super) verdict: Verdict,
}

/// `GET /sns/jscode2session`
pub(super) async fn login(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let query = LoginQuery {
        appid: req.query("appid"),
        secret: req.query("secret"),
        js_code: req.query("js_code"),
        grant_type: req.query("grant_type"),
    };
    let judge = |fault| {
        let busy = (fault == UpstreamFault::SystemError).then_some(BUSY);
        judged_login(busy.map_or_else(|| sandbox.log_in(&query, req.at), Err))
    };
    Ok(sandbox.answer(&req, judge).await)
}

impl Sandbox {
    /// Takes the next fault, has the request judged, notes the verdict, plays the fault.
    pub(super) async fn answer(
        &self,
        req: &Req,
        judge: impl FnOnce(UpstreamFault) -> Judged,
    ) -> Response {
        let fault = self.book().faults.next_answer(req.pattern());
        let judged = match before_judgement(fault) {
            Some(judged) => judged,
            None => judge(fault),
        };
        self.book().verdicts.push(Seen {
            at: req.at.rfc3339(),
            method: req.method().to_string(),
            path: req.pattern(),
            verdict: judged.verdict,
            fault,
        });
        match fault {
            UpstreamFault::Timeout | UpstreamFault::TimeoutBefore => self.wait(NEVER).await,
            UpstreamFault::Slow => self.wait(SLOWLY).await,
            UpstreamFault::Normal
            | UpstreamFault::Http500
            | UpstreamFault::Http502
            | UpstreamFault::SystemError
            | UpstreamFault::BadSign
            | UpstreamFault::RateLimited
            | UpstreamFault::Accepted
            | UpstreamFault::Probe
            | UpstreamFault::Refuse
            | UpstreamFault::BadHash
            | UpstreamFault::Cut => {}
        }
        judged.answer
    }

    /// Waits so long, or until the simulator stops.
    async fn wait(&self, so_long: Duration) {
        let mut stopping = self.stopping.subscribe();
        // Either end of the wait is right: the time is over, or the simulator is.
        let _ = tokio::time::timeout(so_long, stopping.wait_for(|stopping| *stopping)).await;
    }

    fn log_in(&self, query: &LoginQuery, now: Timestamp) -> Result<Session, Errcode> {
        let code = query.check(&self.credentials)?;
        self.book().logins.redeem(code, now)
    }
}

/// The faults that come before anything is judged or done.
fn before_judgement(fault: UpstreamFault) -> Option<Judged> {
    let (status, name) = match fault {
        UpstreamFault::Http500 => (StatusCode::INTERNAL_SERVER_ERROR, "http_500"),
        UpstreamFault::Http502 => (StatusCode::BAD_GATEWAY, "http_502"),
        UpstreamFault::TimeoutBefore => (StatusCode::GATEWAY_TIMEOUT, "timeout_before"),
        UpstreamFault::Normal
        | UpstreamFault::Timeout
        | UpstreamFault::SystemError
        | UpstreamFault::BadSign
        | UpstreamFault::Slow
        | UpstreamFault::RateLimited
        | UpstreamFault::Accepted
        | UpstreamFault::Probe
        | UpstreamFault::Refuse
        | UpstreamFault::BadHash
        | UpstreamFault::Cut => return None,
    };
    Some(Judged {
        answer: web::empty(status),
        verdict: Verdict::fault(name),
    })
}

/// WeChat sends the JSON of this interface as `text/plain`.
fn judged_login(session: Result<Session, Errcode>) -> Judged {
    let (body, verdict) = match session {
        Ok(session) => (
            json!({"openid": session.openid, "session_key": session.session_key}),
            Verdict::ok(),
        ),
        Err(Errcode { errcode, errmsg }) => (
            json!({"errcode": errcode, "errmsg": format!("{errmsg}, rid: {}", rid())}),
            Verdict::new(errcode.to_string(), errmsg),
        ),
    };
    Judged {
        answer: web::text(StatusCode::OK, "text/plain", body.to_string().into_bytes()),
        verdict,
    }
}

pub(super) fn rid() -> String {
    let [a, b, c] = [random_text(8), random_text(8), random_text(8)];
    format!("{a}-{b}-{c}").to_ascii_lowercase()
}
