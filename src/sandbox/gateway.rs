//! Answers on WeChat's own paths: reads the request, has it judged, plays the fault, answers.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXUPPER;
use serde_json::json;

use super::faults::UpstreamFault;
use super::login::{BUSY, Errcode, LoginQuery, Session};
use super::notify::spoil;
use super::order_v3::Call;
use super::sign_v3::wechatpay_headers;
use super::verdicts::{Seen, Verdict};
use super::{Sandbox, order_v2, order_v3};
use crate::base::secret::{random, random_text};
use crate::base::xml::Fields;
use crate::base::{PrepayId, Timestamp};
use crate::web::header::HeaderName;
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

/// `POST /pay/unifiedorder`
pub(super) async fn unified_order(sandbox: Arc<Sandbox>, _: Anyone, mut req: Req) -> Outcome {
    let body = req.body().await?;
    let judge = |fault| sandbox.judge_unified_order((req.method().as_str(), &body), req.at, fault);
    Ok(sandbox.answer(&req, judge).await)
}

/// `POST /v3/pay/transactions/jsapi`
pub(super) async fn prepay(sandbox: Arc<Sandbox>, _: Anyone, mut req: Req) -> Outcome {
    let body = req.body().await?;
    let call = Call {
        method: req.method().as_str(),
        target: req.target(),
        authorization: req.header("authorization"),
        accept: req.header("accept"),
        content_type: req.header("content-type"),
        user_agent: req.header("user-agent"),
        wechatpay_serial: req.header("wechatpay-serial"),
        body: &body,
    };
    let judge = |fault| sandbox.judge_prepay(&call, req.at, fault);
    Ok(sandbox.answer(&req, judge).await)
}

impl Sandbox {
    /// Takes the next fault, has the request judged, notes the verdict, plays the fault.
    pub(super) async fn answer(
        &self,
        req: &Req,
        judge: impl FnOnce(UpstreamFault) -> Judged,
    ) -> Response {
        let fault = self.book().faults.next_answer();
        let judged = if fault == UpstreamFault::Http500 {
            Judged {
                answer: web::empty(StatusCode::INTERNAL_SERVER_ERROR),
                verdict: Verdict::new("FAULT", "http_500"),
            }
        } else {
            judge(fault)
        };
        self.book().verdicts.push(Seen {
            at: req.at.rfc3339(),
            method: req.method().to_string(),
            path: req.pattern(),
            verdict: judged.verdict,
            fault,
        });
        match fault {
            UpstreamFault::Timeout => self.wait(NEVER).await,
            UpstreamFault::Slow => self.wait(SLOWLY).await,
            UpstreamFault::Normal
            | UpstreamFault::Http500
            | UpstreamFault::SystemError
            | UpstreamFault::BadSign => {}
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

    fn judge_unified_order(
        &self,
        (method, body): (&str, &[u8]),
        now: Timestamp,
        fault: UpstreamFault,
    ) -> Judged {
        let read = order_v2::read(method, body);
        let asked = read.as_ref().cloned().unwrap_or_default();
        let judged = read.and_then(|fields| self.open_unified_order(&fields, now, fault));
        let (mut fields, verdict) = match judged {
            Ok(answer) => (answer, Verdict::ok()),
            Err(refused) => (
                refused.answer(&self.credentials, &asked),
                Verdict::new(refused.code, &*refused.message),
            ),
        };
        if fault == UpstreamFault::BadSign {
            spoil_fields(&mut fields);
        }
        let answer = web::text(
            StatusCode::OK,
            "text/xml; charset=utf-8",
            fields.to_xml().into_bytes(),
        );
        Judged { answer, verdict }
    }

    fn open_unified_order(
        &self,
        asked: &Fields,
        now: Timestamp,
        fault: UpstreamFault,
    ) -> Result<Fields, order_v2::Refused> {
        let sign_type = order_v2::prove(&self.credentials, asked)?;
        order_v2::check_appid(&self.credentials, asked, sign_type)?;
        if fault == UpstreamFault::SystemError {
            return Err(order_v2::busy(sign_type));
        }
        let knows = |openid: &_| self.book().logins.knows(openid);
        let order = order_v2::order(asked, sign_type, &knows)?;
        let opened = self.book().trades.open(order, now);
        let prepay_id = opened.map_err(|why| order_v2::not_opened(why, sign_type))?;
        Ok(order_v2::opened(
            &self.credentials,
            asked,
            &prepay_id,
            sign_type,
        ))
    }

    fn judge_prepay(&self, call: &Call<'_>, now: Timestamp, fault: UpstreamFault) -> Judged {
        match self.open_prepay(call, now, fault) {
            Ok(prepay_id) => {
                let body = json!({"prepay_id": prepay_id}).to_string().into_bytes();
                let serial = &self.credentials.wechat_key_id;
                let mut headers = wechatpay_headers(&self.keys.wechat, serial, now, &body);
                if fault == UpstreamFault::BadSign {
                    spoil(&mut headers);
                }
                let answer = web::text(StatusCode::OK, "application/json", body);
                let answer = headers.iter().fold(answer, |answer, (name, value)| {
                    let name = HeaderName::from_bytes(name.as_bytes());
                    web::with_header(answer, name.expect("a header's name"), value)
                });
                Judged {
                    answer: with_request_id(answer, 0),
                    verdict: Verdict::ok(),
                }
            }
            Err(refused) => {
                let status = StatusCode::from_u16(refused.status).expect("a status of the table");
                Judged {
                    answer: with_request_id(web::json(status, &refused.body()), refused.suffix),
                    verdict: Verdict::new(refused.code, refused.message),
                }
            }
        }
    }

    fn open_prepay(
        &self,
        call: &Call<'_>,
        now: Timestamp,
        fault: UpstreamFault,
    ) -> Result<PrepayId, order_v3::Refused> {
        order_v3::prove((&self.credentials, &self.keys), call, now)?;
        order_v3::check_headers(&self.credentials, call)?;
        if fault == UpstreamFault::SystemError {
            return Err(order_v3::busy());
        }
        let knows = |openid: &_| self.book().logins.knows(openid);
        let order = order_v3::order(&self.credentials, call.body, &knows)?;
        let opened = self.book().trades.open(order, now);
        opened.map_err(order_v3::not_opened)
    }
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

fn with_request_id(answer: Response, suffix: u32) -> Response {
    let id = format!("{}-{suffix}", HEXUPPER.encode(&random::<20>()));
    web::with_header(answer, HeaderName::from_static("request-id"), &id)
}

/// Puts a signature of the same form in place of the right one.
fn spoil_fields(fields: &mut Fields) {
    let length = fields.text("sign").len();
    if length > 0 {
        let wrong = HEXUPPER.encode(&random::<32>());
        fields.set("sign", &wrong[..length.min(wrong.len())]);
    }
}
