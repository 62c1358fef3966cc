//! The control routes of refunds (CONTRACT §6): decide one, start one by hand, plan their end.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Sandbox;
use super::control::Tell;
use super::delivery::{Delivered, Subject};
use super::refunds::{NotEnded, NotRefunded, Plan, Refund, Source, Status, Wanted};
use super::rules::{is_notify_url, is_out_refund_no};
use super::trades::Trade;
use crate::base::secret::random_u64;
use crate::base::{Fen, Timestamp, TransactionId};
use crate::web::{self, Anyone, HttpError, Outcome, Req, StatusCode};

/// How many refunds are listed.
const LISTED: usize = 1000;

#[derive(Serialize)]
struct RefundView<'a> {
    out_refund_no: &'a str,
    refund_id: &'a str,
    out_trade_no: &'a str,
    transaction_id: &'a TransactionId,
    amount_fen: Fen,
    total_fen: Fen,
    status: Status,
    created_at: String,
    success_at: Option<String>,
    notify_url: Option<&'a str>,
    deliveries: usize,
    last_status: Option<u16>,
    accepted_at: Option<String>,
}

fn view(refund: &Refund) -> RefundView<'_> {
    RefundView {
        out_refund_no: &refund.wanted.out_refund_no,
        refund_id: &refund.refund_id,
        out_trade_no: &refund.out_trade_no,
        transaction_id: &refund.transaction_id,
        amount_fen: refund.wanted.amount,
        total_fen: refund.wanted.total,
        status: refund.status,
        created_at: refund.created_at.rfc3339(),
        success_at: refund.success_at.map(Timestamp::rfc3339),
        notify_url: refund.wanted.notify_url.as_deref(),
        deliveries: refund.notice.deliveries,
        last_status: refund.notice.last_status,
        accepted_at: refund.notice.accepted_at.map(Timestamp::rfc3339),
    }
}

#[derive(Serialize)]
struct Ended<'a> {
    #[serde(flatten)]
    refund: RefundView<'a>,
    #[serde(flatten)]
    delivered: Delivered,
}

/// `GET /sandbox/refunds`: the newest first, at most 1000.
pub(super) async fn refunds(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let mut book = sandbox.book();
    book.settle(req.at);
    let newest = book.refunds.newest_first().take(LISTED);
    let refunds: Vec<_> = newest.map(view).collect();
    Ok(web::json(StatusCode::OK, &json!({"refunds": refunds})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finish {
    status: Status,
    #[serde(default)]
    notify: Tell,
}

/// `POST /sandbox/refunds/{refund_no}/finish`: decides a refund; the notify follows at once.
pub(super) async fn finish(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let (at, number) = (req.at, req.param_text("refund_no").into_owned());
    let Finish { status, notify } = req.json().await?;
    if status == Status::Processing {
        let message = "status 只能是 SUCCESS、ABNORMAL、CLOSED (must be one of these)";
        return Err(HttpError::invalid(message));
    }
    let ended = {
        let mut book = sandbox.book();
        book.settle(at);
        book.refunds.end(&number, status, at)
    };
    let refund = ended.map_err(not_ended)?;
    let delivered = match notify {
        Tell::Send => sandbox.deliver(&Subject::Refund(number)).await,
        Tell::None => Delivered::not("none"),
    };
    let refund = view(&refund);
    Ok(web::json(StatusCode::OK, &Ended { refund, delivered }))
}

fn not_ended(why: NotEnded) -> HttpError {
    match why {
        NotEnded::Unknown => HttpError::new(
            StatusCode::NOT_FOUND,
            "REFUNDNOTEXIST",
            "没有这个退款单 (no such refund)",
        ),
        NotEnded::Final => HttpError::new(
            StatusCode::CONFLICT,
            "REFUND_FINAL",
            "退款已结束 (the refund has ended)",
        ),
    }
}

/// `PUT /sandbox/refunds`: how refunds end when nobody decides them.
pub(super) async fn plan(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let plan: Plan = req.json().await?;
    sandbox.book().refunds.plan = plan;
    Ok(web::json(StatusCode::OK, &plan))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByHand {
    out_trade_no: String,
    amount_fen: Fen,
    out_refund_no: Option<String>,
    notify_url: Option<String>,
}

/// `POST /sandbox/refunds`: an operator refunds in the merchant platform.
pub(super) async fn by_hand(sandbox: Arc<Sandbox>, _: Anyone, req: Req) -> Outcome {
    let at = req.at;
    let asked: ByHand = req.json().await?;
    let url_fits = asked.notify_url.as_deref().is_none_or(is_notify_url);
    let number_fits = asked.out_refund_no.as_deref().is_none_or(is_out_refund_no);
    if !url_fits || !number_fits || asked.amount_fen == Fen::ZERO {
        let message = "amount_fen、out_refund_no 或 notify_url 无效 (is not valid)";
        return Err(HttpError::invalid(message));
    }
    let mut book = sandbox.book();
    let trade = book.trades.get(&asked.out_trade_no).cloned();
    let trade = trade.ok_or(NotRefunded::Unpaid).map_err(not_refunded)?;
    let platform_url = book.refunds.platform_url.clone();
    let wanted = wanted(asked, &trade, platform_url);
    let book = &mut *book;
    let refund = book.refunds.apply(&mut book.trades, wanted, at);
    let refund = refund.map_err(not_refunded)?;
    Ok(web::json(StatusCode::OK, &view(&refund)))
}

fn wanted(asked: ByHand, trade: &Trade, platform_url: Option<String>) -> Wanted {
    let beside_pay = || trade.order.notify_url.replace("/pay/", "/refund/");
    let own_number = || format!("1{:018}", random_u64() % 10_u64.pow(18));
    Wanted {
        protocol: trade.order.protocol,
        source: Source::Platform,
        transaction_id: None,
        out_refund_no: asked.out_refund_no.unwrap_or_else(own_number),
        total: trade.order.total,
        amount: asked.amount_fen,
        notify_url: asked
            .notify_url
            .or(platform_url)
            .or_else(|| Some(beside_pay())),
        out_trade_no: Some(asked.out_trade_no),
    }
}

fn not_refunded(why: NotRefunded) -> HttpError {
    let (code, message) = match why {
        NotRefunded::Unpaid => ("ORDERNOTEXIST", "没有这个已支付的订单 (no such paid trade)"),
        NotRefunded::Differs => ("REFUND_DIFFERS", "退款单号已被使用 (the number is used)"),
        NotRefunded::WrongTotal => ("REFUND_TOTAL", "订单金额不符 (another total)"),
        NotRefunded::TooOld => ("TRADE_OVERDUE", "已超过一年 (over a year)"),
        NotRefunded::TooMany => ("REFUND_PARTS", "部分退款已达 50 次 (50 parts)"),
        NotRefunded::TooSoon => ("FREQUENCY_LIMITED", "1 分钟内只能一次 (once a minute)"),
        NotRefunded::Exceeds(_) => ("REFUND_EXCEEDS", "超过可退金额 (more than is left)"),
    };
    let status = match why {
        NotRefunded::Unpaid => StatusCode::NOT_FOUND,
        NotRefunded::Differs
        | NotRefunded::WrongTotal
        | NotRefunded::TooOld
        | NotRefunded::TooMany
        | NotRefunded::TooSoon
        | NotRefunded::Exceeds(_) => StatusCode::CONFLICT,
    };
    HttpError::new(status, code, message)
}
