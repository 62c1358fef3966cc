//! The v3 calls: proves who calls, has the work done, signs what is answered.

use std::sync::Arc;

use data_encoding::HEXUPPER;
use serde_json::{Value, json};

use super::certificates::{Change, Platform, Signer};
use super::faults::UpstreamFault;
use super::gateway::Judged;
use super::notify::{probe, spoil};
use super::sign_v3::wechatpay_headers;
use super::talk_v3::{self, Call, Refused, refused};
use super::verdicts::Verdict;
use super::{Sandbox, calls_v3, order_v3, refunds_v3};
use crate::base::Timestamp;
use crate::base::rsa::PrivateKey;
use crate::base::secret::random;
use crate::web::header::HeaderName;
use crate::web::{self, Anyone, Outcome, Req, Response, StatusCode};

/// What a call that was done is answered with. Signed whatever it is.
pub(super) enum Answer {
    /// 200 with a body.
    Json(Value),
    /// 204.
    NoContent,
    /// 202: taken, not worked on.
    Accepted,
    /// 200 with a bill: the one answer that is never signed. Source: 微信支付 APIv3 · 下载账单.
    File(Vec<u8>),
}

/// `POST /v3/pay/transactions/jsapi`
pub(super) async fn prepay(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let work = |call: &Call<'_>, now| sandbox.open_prepay(call, now);
    sandbox.serve_v3(req, work).await
}

/// `GET /v3/pay/transactions/out-trade-no/{out_trade_no}`
pub(super) async fn query(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let number = req.param_text("out_trade_no").into_owned();
    let work = |call: &Call<'_>, now| {
        calls_v3::check_query(&sandbox.credentials, call)?;
        let book = sandbox.book();
        calls_v3::query(&sandbox.credentials, book.trades.get(&number), now)
    };
    sandbox.serve_v3(req, work).await
}

/// `GET /v3/pay/transactions/id/{transaction_id}`
pub(super) async fn query_by_id(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let id = req.param_text("transaction_id").into_owned();
    let work = |call: &Call<'_>, now| {
        calls_v3::check_query(&sandbox.credentials, call)?;
        let book = sandbox.book();
        calls_v3::query(&sandbox.credentials, book.trades.by_transaction(&id), now)
    };
    sandbox.serve_v3(req, work).await
}

/// `POST /v3/pay/transactions/out-trade-no/{out_trade_no}/close`
pub(super) async fn close(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let number = req.param_text("out_trade_no").into_owned();
    let work = |call: &Call<'_>, now| {
        calls_v3::check_close(&sandbox.credentials, call)?;
        calls_v3::close(&mut sandbox.book().trades, &number, now)
    };
    sandbox.serve_v3(req, work).await
}

/// `POST /v3/refund/domestic/refunds`
pub(super) async fn refund(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let work = |call: &Call<'_>, now| refunds_v3::apply(&mut sandbox.book(), call, now);
    sandbox.serve_v3(req, work).await
}

/// `GET /v3/refund/domestic/refunds/{out_refund_no}`
pub(super) async fn refund_query(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let number = req.param_text("out_refund_no").into_owned();
    let work = |call: &Call<'_>, now| {
        calls_v3::check_no_query(call)?;
        refunds_v3::query(&mut sandbox.book(), &number, now)
    };
    sandbox.serve_v3(req, work).await
}

/// `POST /v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund`
pub(super) async fn abnormal_refund(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let id = req.param_text("refund_id").into_owned();
    let work = |call: &Call<'_>, now| {
        let named = call.wechatpay_serial;
        let signer = named.and_then(|serial| sandbox.key_named(serial));
        let key = signer.as_ref().map(|signer| sandbox.key_of(signer).0);
        let opens = |sealed: &str| key.is_some_and(|key| key.open(sealed).is_ok());
        refunds_v3::take_up(&mut sandbox.book(), &id, call, (now, &opens))
    };
    sandbox.serve_v3(req, work).await
}

/// `GET /v3/certificates`
pub(super) async fn certificates(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let work = |call: &Call<'_>, _| {
        super::certificates::check_query(call.target)?;
        sandbox.book().certificates.list(&sandbox.credentials)
    };
    sandbox.serve_v3(req, work).await
}

impl Sandbox {
    /// The key that `Wechatpay-Serial` names.
    fn key_named(&self, serial: &str) -> Option<Signer> {
        let id = &self.credentials.wechat_key_id;
        self.book().certificates.key_named(serial, id)
    }

    /// A signer's private key and the name it goes by.
    pub(super) fn key_of<'a>(&'a self, signer: &'a Signer) -> (&'a PrivateKey, &'a str) {
        match signer {
            Signer::PublicKey => (&self.keys.wechat, &self.credentials.wechat_key_id),
            Signer::Platform(platform) => (&platform.key, &platform.serial),
        }
    }

    /// Makes the first platform certificate when certificates are in use.
    pub(super) fn ensure_certificate(&self, now: Timestamp) {
        let lacks = self.book().certificates.lacks(&Change::default());
        if lacks {
            self.change_certificates(&Change::default(), now);
        }
    }

    /// Changes what the control route asks, making what it needs.
    pub(super) fn change_certificates(&self, change: &Change, now: Timestamp) {
        let lacks = self.book().certificates.lacks(change);
        let made = lacks.then(|| Platform::new(now));
        let mut book = self.book();
        if let Some(made) = made {
            book.certificates.add(made);
        }
        book.certificates.apply(change);
    }

    async fn serve_v3(
        &self,
        req: Req,
        work: impl FnOnce(&Call<'_>, Timestamp) -> Result<Answer, Refused>,
    ) -> Outcome {
        self.serve_v3_faulty(req, |call, (now, _)| work(call, now))
            .await
    }

    /// The same for work that plays a fault of its own.
    pub(super) async fn serve_v3_faulty(
        &self,
        mut req: Req,
        work: impl FnOnce(&Call<'_>, (Timestamp, UpstreamFault)) -> Result<Answer, Refused>,
    ) -> Outcome {
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
        let judge = |fault| self.judge_v3(&call, (req.at, fault), work);
        Ok(self.answer(&req, judge).await)
    }

    fn judge_v3(
        &self,
        call: &Call<'_>,
        (now, fault): (Timestamp, UpstreamFault),
        work: impl FnOnce(&Call<'_>, (Timestamp, UpstreamFault)) -> Result<Answer, Refused>,
    ) -> Judged {
        match self.work_v3(call, (now, fault), work) {
            Ok(answer) => Judged {
                answer: self.signed(answer, (call, now), fault),
                verdict: Verdict::ok(),
            },
            Err(refused) => Judged {
                answer: self.refusal(&refused, (call, now), fault),
                verdict: refused.verdict(),
            },
        }
    }

    fn work_v3(
        &self,
        call: &Call<'_>,
        (now, fault): (Timestamp, UpstreamFault),
        work: impl FnOnce(&Call<'_>, (Timestamp, UpstreamFault)) -> Result<Answer, Refused>,
    ) -> Result<Answer, Refused> {
        talk_v3::prove((&self.credentials, &self.keys), call, now)?;
        self.ensure_certificate(now);
        let known = |serial: &str| self.key_named(serial).is_some();
        talk_v3::check_headers(call, &known)?;
        match fault {
            UpstreamFault::SystemError => Err(talk_v3::busy()),
            UpstreamFault::RateLimited => {
                let message = "请求过于频繁";
                Err(refused(429, "FREQUENCY_LIMITED", message, 268_447_840))
            }
            UpstreamFault::Refuse => {
                let (code, message) = self.book().faults.refusal();
                // A number that says no more than the code does.
                Err(refused(code.status(), code.code(), &message, 268_435_456))
            }
            UpstreamFault::Accepted => Ok(Answer::Accepted),
            _ => work(call, (now, fault)),
        }
    }

    /// A refusal, signed too, unless it is not known whom it would be signed for.
    fn refusal(
        &self,
        refused: &Refused,
        (call, now): (&Call<'_>, Timestamp),
        fault: UpstreamFault,
    ) -> Response {
        let status = StatusCode::from_u16(refused.status).expect("a status of the table");
        let body = refused.body().to_string().into_bytes();
        let answer = web::text(status, "application/json", body.clone());
        let answer = match refused.status {
            401 => answer,
            _ => self.stamped(answer, &body, (call, now, fault)),
        };
        with_request_id(answer, refused.suffix)
    }

    /// Signs every answer that says done, an empty one too.
    fn signed(
        &self,
        answer: Answer,
        (call, now): (&Call<'_>, Timestamp),
        fault: UpstreamFault,
    ) -> Response {
        let (body, answer) = match answer {
            Answer::File(body) => return web::text(StatusCode::OK, "text/plain", body),
            Answer::Json(value) => {
                let body = value.to_string().into_bytes();
                let answer = web::text(StatusCode::OK, "application/json", body.clone());
                (body, answer)
            }
            Answer::NoContent => (vec![], web::empty(StatusCode::NO_CONTENT)),
            Answer::Accepted => (vec![], web::empty(StatusCode::ACCEPTED)),
        };
        with_request_id(self.stamped(answer, &body, (call, now, fault)), 0)
    }

    /// The answer with WeChat's signature of its body, by the key that the call names.
    fn stamped(
        &self,
        answer: Response,
        body: &[u8],
        (call, now, fault): (&Call<'_>, Timestamp, UpstreamFault),
    ) -> Response {
        let id = &self.credentials.wechat_key_id;
        let signer = self.book().certificates.answers(call.wechatpay_serial, id);
        let (key, serial) = self.key_of(&signer);
        let mut headers = wechatpay_headers(key, serial, now, body);
        match fault {
            UpstreamFault::BadSign => spoil(&mut headers),
            UpstreamFault::Probe => probe(&mut headers),
            _ => {}
        }
        headers.iter().fold(answer, |answer, (name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes());
            web::with_header(answer, name.expect("a header's name"), value)
        })
    }

    fn open_prepay(&self, call: &Call<'_>, now: Timestamp) -> Result<Answer, Refused> {
        let knows = |openid: &_| self.book().logins.knows(openid);
        let order = order_v3::order(&self.credentials, call.body, &knows)?;
        let opened = self.book().trades.open(order, now);
        let prepay_id = opened.map_err(order_v3::not_opened)?;
        Ok(Answer::Json(json!({"prepay_id": prepay_id})))
    }
}

fn with_request_id(answer: Response, suffix: u32) -> Response {
    let id = format!("{}-{suffix}", HEXUPPER.encode(&random::<20>()));
    web::with_header(answer, HeaderName::from_static("request-id"), &id)
}
