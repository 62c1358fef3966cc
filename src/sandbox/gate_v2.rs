//! The v2 calls: reads a document, proves its sender, has the work done, signs the answer.

use std::sync::Arc;

use data_encoding::HEXUPPER;

use super::faults::UpstreamFault;
use super::gateway::Judged;
use super::notify::new_probe;
use super::sign_v2::SignType;
use super::talk_v2::{self, Refused};
use super::verdicts::Verdict;
use super::{Sandbox, calls_v2, order_v2, refunds_v2};
use crate::base::Timestamp;
use crate::base::secret::random;
use crate::base::xml::Fields;
use crate::web::{self, Anyone, Outcome, Req, StatusCode};

/// A request whose sender is proved.
pub(super) struct Asked<'a> {
    pub(super) fields: &'a Fields,
    pub(super) sign_type: SignType,
    pub(super) now: Timestamp,
}

/// `POST /pay/unifiedorder`
pub(super) async fn unified_order(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let work = |asked: &Asked<'_>| sandbox.open_unified_order(asked);
    sandbox.serve_v2(req, work).await
}

/// `POST /pay/orderquery`
pub(super) async fn query(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let work = |asked: &Asked<'_>| calls_v2::query(&sandbox.book().trades, asked);
    sandbox.serve_v2(req, work).await
}

/// `POST /pay/closeorder`
pub(super) async fn close(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let work = |asked: &Asked<'_>| calls_v2::close(&mut sandbox.book().trades, asked);
    sandbox.serve_v2(req, work).await
}

/// `POST /secapi/pay/refund`
pub(super) async fn refund(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let work = |asked: &Asked<'_>| refunds_v2::apply(&mut sandbox.book(), asked);
    sandbox.serve_v2(req, work).await
}

/// `POST /pay/refundquery`
pub(super) async fn refund_query(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let work = |asked: &Asked<'_>| refunds_v2::query(&mut sandbox.book(), asked);
    sandbox.serve_v2(req, work).await
}

impl Sandbox {
    async fn serve_v2(
        &self,
        mut req: Req,
        work: impl FnOnce(&Asked<'_>) -> Result<Fields, Refused>,
    ) -> Outcome {
        let body = req.body().await?;
        let judge = |fault| {
            let (at, method) = (req.at, req.method().as_str());
            self.judge_v2((method, &body), (at, fault), work)
        };
        Ok(self.answer(&req, judge).await)
    }

    fn judge_v2(
        &self,
        (method, body): (&str, &[u8]),
        (now, fault): (Timestamp, UpstreamFault),
        work: impl FnOnce(&Asked<'_>) -> Result<Fields, Refused>,
    ) -> Judged {
        let read = talk_v2::read(method, body);
        let asked = read.as_ref().cloned().unwrap_or_default();
        let judged = read.and_then(|fields| self.work_v2(&fields, (now, fault), work));
        let (mut fields, verdict) = match judged {
            Ok(answer) => (answer, Verdict::ok()),
            Err(refused) => (refused.answer(&self.credentials, &asked), refused.verdict()),
        };
        match fault {
            UpstreamFault::BadSign => spoil(&mut fields),
            UpstreamFault::Probe => fields.set("sign", new_probe()),
            _ => {}
        }
        let answer = web::text(
            StatusCode::OK,
            "text/xml; charset=utf-8",
            fields.to_xml().into_bytes(),
        );
        Judged { answer, verdict }
    }

    fn work_v2(
        &self,
        fields: &Fields,
        (now, fault): (Timestamp, UpstreamFault),
        work: impl FnOnce(&Asked<'_>) -> Result<Fields, Refused>,
    ) -> Result<Fields, Refused> {
        let sign_type = talk_v2::prove(&self.credentials, fields)?;
        talk_v2::check_appid(&self.credentials, fields, sign_type)?;
        if let Some(refused) = self.planned_v2(fault, sign_type) {
            return Err(refused);
        }
        let asked = Asked {
            fields,
            sign_type,
            now,
        };
        let result = work(&asked)?;
        Ok(talk_v2::done(&self.credentials, fields, &result, sign_type))
    }

    /// The refusal a fault asks for.
    fn planned_v2(&self, fault: UpstreamFault, sign_type: SignType) -> Option<Refused> {
        let refuse = |code, message: &str| Some(Refused::new(code, message, sign_type));
        match fault {
            UpstreamFault::SystemError => Some(talk_v2::busy(sign_type)),
            UpstreamFault::RateLimited => refuse("FREQUENCY_LIMITED", "频率限制"),
            UpstreamFault::Accepted => refuse("BIZERR_NEED_RETRY", "业务错误，请重试"),
            UpstreamFault::Refuse => {
                let (code, message) = self.book().faults.refusal();
                refuse(code.code(), &message)
            }
            _ => None,
        }
    }

    fn open_unified_order(&self, asked: &Asked<'_>) -> Result<Fields, Refused> {
        let sign_type = asked.sign_type;
        let knows = |openid: &_| self.book().logins.knows(openid);
        let order = order_v2::order(asked.fields, sign_type, &knows)?;
        let opened = self.book().trades.open(order, asked.now);
        let prepay_id = opened.map_err(|why| order_v2::not_opened(why, sign_type))?;
        Ok(order_v2::opened(&prepay_id))
    }
}

/// Puts a signature of the same form in place of the right one.
fn spoil(fields: &mut Fields) {
    let length = fields.text("sign").len();
    if length > 0 {
        let wrong = HEXUPPER.encode(&random::<32>());
        fields.set("sign", &wrong[..length.min(wrong.len())]);
    }
}
