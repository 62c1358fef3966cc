//! The control routes (CONTRACT §6): what a test, a demo or a newcomer does to the simulator.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::certificates::Change;
use super::codes::call_name;
use super::delivery::{Delivered, Subject};
use super::faults::{Faults, Pending};
use super::login::planned;
use super::pay_params::{self, PayParams, Wrong};
use super::trades::{NotPayable, Protocol, Trade};
use super::{Sandbox, pay_params::wrong, routes};
use crate::base::{OpenId, Timestamp, TransactionId};
use crate::web::{self, Anyone, HttpError, Outcome, Req, Response, StatusCode};

/// How many trades are listed.
const LISTED: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLoginCode {
    openid: Option<OpenId>,
    /// The errcode its exchange fails with: -1, 40226 or 45011.
    errcode: Option<i64>,
}

/// `POST /sandbox/login-codes`
pub(super) async fn new_login_code(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let at = req.at;
    let NewLoginCode { openid, errcode } = req.json().await?;
    let fails_with = match errcode {
        Some(errcode) => Some(planned(errcode).ok_or_else(|| {
            HttpError::invalid("errcode 只能是 -1、40226、45011 (errcode must be one of these)")
        })?),
        None => None,
    };
    let mut book = sandbox.book();
    let openid = openid.unwrap_or_else(|| book.logins.new_openid());
    let code = book.logins.new_code(openid.clone(), fails_with, at);
    let made = json!({"code": code, "openid": openid});
    Ok(web::json(StatusCode::OK, &made))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pay {
    prepay_id: String,
    #[serde(default)]
    notify: Tell,
    #[serde(default)]
    race: Race,
}

/// Whether the payment is told to the merchant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tell {
    /// At once, and again on WeChat's schedule.
    #[default]
    Send,
    /// Never: only a query finds it.
    None,
}

/// Whether the payment wins a race against the order's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Race {
    #[default]
    None,
    /// The cashier was open before the order was closed or its time was over.
    AfterClose,
}

#[derive(Serialize)]
struct Paid {
    transaction_id: Option<TransactionId>,
    out_trade_no: String,
    #[serde(flatten)]
    delivered: Delivered,
}

/// `POST /sandbox/payments`
pub(super) async fn pay(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let at = req.at;
    let pay: Pay = req.json().await?;
    let paid = match pay.race {
        Race::None => sandbox.book().trades.pay(&pay.prepay_id, at),
        Race::AfterClose => sandbox.book().trades.pay_after_close(&pay.prepay_id, at),
    };
    let trade = paid.map_err(refuse_payment)?;
    match pay.notify {
        Tell::Send => delivered(&sandbox, trade).await,
        Tell::None => Ok(shown(trade, Delivered::not("none"))),
    }
}

fn refuse_payment(why: NotPayable) -> HttpError {
    let (status, code) = match why {
        NotPayable::Unknown => (StatusCode::NOT_FOUND, "PREPAY_ID_UNKNOWN"),
        NotPayable::Expired => (StatusCode::CONFLICT, "PREPAY_ID_EXPIRED"),
        NotPayable::Paid => (StatusCode::CONFLICT, "ORDERPAID"),
        NotPayable::Closed => (StatusCode::CONFLICT, "ORDERCLOSED"),
    };
    HttpError::new(status, code, pay_params::not_payable(why).why)
}

/// `POST /sandbox/notifies/{out_trade_no}/resend`: the same notify once more.
pub(super) async fn resend(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let out_trade_no = req.param_text("out_trade_no").into_owned();
    let trade = sandbox.book().trades.get(&out_trade_no).cloned();
    match trade.filter(|trade| trade.payment.is_some()) {
        Some(trade) => delivered(&sandbox, trade).await,
        None => Err(HttpError::new(
            StatusCode::NOT_FOUND,
            "ORDERNOTEXIST",
            "没有这个已支付的订单 (no such paid trade)",
        )),
    }
}

async fn delivered(sandbox: &Sandbox, trade: Trade) -> Outcome {
    let subject = Subject::Payment(trade.order.out_trade_no.clone());
    let delivered = sandbox.deliver(&subject).await;
    Ok(shown(trade, delivered))
}

fn shown(trade: Trade, delivered: Delivered) -> Response {
    let paid = Paid {
        delivered,
        transaction_id: trade.payment.map(|payment| payment.transaction_id),
        out_trade_no: trade.order.out_trade_no,
    };
    web::json(StatusCode::OK, &paid)
}

/// `POST /sandbox/verify-pay-params`
pub(super) async fn verify_pay_params(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let at = req.at;
    let object: Value = req.json().await?;
    match sandbox.judge_pay_params(&object, at) {
        Ok(accepted) => Ok(web::json(StatusCode::OK, &accepted)),
        Err(Wrong { field, why }) => Err(HttpError {
            detail: Some(json!({"field": field, "why": why})),
            ..HttpError::new(
                StatusCode::BAD_REQUEST,
                "PAY_PARAMS_INVALID",
                format!("{field}: {why}"),
            )
        }),
    }
}

impl Sandbox {
    /// Judges the object for `wx.requestPayment` at `now`.
    pub(super) fn judge_pay_params(&self, object: &Value, now: Timestamp) -> Result<Value, Wrong> {
        let object = object
            .as_object()
            .ok_or_else(|| wrong("", "应为 JSON 对象", "must be a JSON object"))?;
        let params = PayParams::read(object)?;
        let prepay_id = params.check_form()?;
        let trade = self.book().trades.payable(prepay_id, now).cloned();
        let trade = trade.map_err(pay_params::not_payable)?;
        params.check_sign(&trade, &self.credentials, &self.keys)?;
        Ok(pay_params::accepted(&trade))
    }
}

#[derive(Serialize)]
struct TradeView<'a> {
    protocol: &'static str,
    out_trade_no: &'a str,
    trade_state: &'static str,
    openid: &'a OpenId,
    total_fen: crate::base::Fen,
    prepay_id: &'a str,
    notify_url: &'a str,
    created_at: String,
    transaction_id: Option<&'a TransactionId>,
    success_at: Option<String>,
    deliveries: usize,
    last_status: Option<u16>,
    accepted_at: Option<String>,
}

fn view(trade: &Trade, now: Timestamp) -> TradeView<'_> {
    let payment = trade.payment.as_ref();
    TradeView {
        protocol: match trade.order.protocol {
            Protocol::V2(_) => "v2",
            Protocol::V3 => "v3",
        },
        out_trade_no: &trade.order.out_trade_no,
        trade_state: trade.state_at(now).name(),
        openid: &trade.order.openid,
        total_fen: trade.order.total,
        prepay_id: trade.prepay_id.as_str(),
        notify_url: &trade.order.notify_url,
        created_at: trade.created_at.rfc3339(),
        transaction_id: payment.map(|payment| &payment.transaction_id),
        success_at: payment.map(|payment| payment.success_at.rfc3339()),
        deliveries: payment.map_or(0, |payment| payment.notice.deliveries),
        last_status: payment.and_then(|payment| payment.notice.last_status),
        accepted_at: payment.and_then(|payment| payment.notice.accepted_at.map(Timestamp::rfc3339)),
    }
}

/// `GET /sandbox/trades`: the newest first, at most 1000.
pub(super) async fn trades(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let book = sandbox.book();
    let newest = book.trades.newest_first().take(LISTED);
    let trades: Vec<_> = newest.map(|trade| view(trade, req.at)).collect();
    Ok(web::json(StatusCode::OK, &json!({"trades": trades})))
}

/// `GET /sandbox/requests`: the last 1000 on WeChat's paths, the newest first.
pub(super) async fn requests(sandbox: Arc<Sandbox>, _: Anyone, _: Req) -> Outcome {
    let book = sandbox.book();
    let requests: Vec<_> = book.verdicts.newest_first().collect();
    Ok(web::json(StatusCode::OK, &json!({"requests": requests})))
}

/// `PUT /sandbox/faults`
pub(super) async fn set_faults(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let faults: Faults = req.json().await?;
    if let Some(path) = &faults.path
        && !routes()
            .iter()
            .any(|row| path == row.pattern() || path == call_name(row.pattern()))
    {
        return Err(HttpError::invalid(
            "path 不是一个调用的名字 (names no call)",
        ));
    }
    sandbox.book().faults = Pending::new(faults.clone());
    Ok(web::json(StatusCode::OK, &faults))
}

/// `PUT /sandbox/certificates`
pub(super) async fn set_certificates(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let at = req.at;
    let change: Change = req.json().await?;
    sandbox.change_certificates(&change, at);
    let view = sandbox.book().certificates.view();
    Ok(web::json(StatusCode::OK, &view))
}

/// `GET /sandbox/config`
pub(super) async fn config(sandbox: Arc<Sandbox>, _: Anyone, _: Req) -> Outcome {
    let toml = sandbox.config_toml().into_bytes();
    let answer = web::text(StatusCode::OK, "application/toml; charset=utf-8", toml);
    Ok(web::no_store(answer))
}
