//! The merchant's routes of the daily comparison with WeChat's bill.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Merchant;
use super::catalogue::page_wanted;
use super::views::At;
use crate::base::{Day, Fen, OrderNo};
use crate::shop::Shop;
use crate::shop::settling::{Remedy, Settle, ToldDay};
use crate::store::reconciliations::{DayRow, DayStatus, RowKind, Settling};
use crate::web::{HttpError, Outcome, Req, StatusCode, json, no_store};

/// The most rows of each class in an answer about one day; the counts tell of all.
const ROWS_MAX: usize = 1000;
/// The most rows of each class for each day of a list.
const LISTED_MAX: usize = 100;

/// `reconciliation` of CONTRACT §7.
#[derive(Serialize)]
pub struct ReconciliationView {
    date: String,
    status: &'static str,
    reason: String,
    at: At,
    bill_rows: u64,
    matched: u64,
    missing_local: Vec<RowView>,
    missing_wechat: Vec<RowView>,
    amount_differs: Vec<RowView>,
    counts: Counts,
}

/// How many rows there are, when not all of them are in the answer.
#[derive(Serialize)]
struct Counts {
    missing_local: u64,
    missing_wechat: u64,
    amount_differs: u64,
    settled: u64,
    open: u64,
    /// Rows of trades that are not ours, beyond those that are listed.
    unlisted: u64,
}

/// `row` of CONTRACT §7.
#[derive(Serialize)]
struct RowView {
    out_trade_no: String,
    order_no: Option<String>,
    refund_no: Option<String>,
    local_fen: Option<u64>,
    wechat_fen: Option<u64>,
    transaction_id: String,
    kind: &'static str,
    reason: String,
    at: Option<At>,
    settled: Option<SettledView>,
}

#[derive(Serialize)]
struct SettledView {
    #[serde(rename = "do")]
    how: &'static str,
    by: String,
    at: At,
}

impl From<DayRow> for RowView {
    fn from(row: DayRow) -> Self {
        Self {
            out_trade_no: row.out_trade_no,
            order_no: row.ours.as_ref().map(OrderNo::to_string),
            refund_no: Some(row.refund_no).filter(|number| !number.is_empty()),
            local_fen: row.local.map(Fen::get),
            wechat_fen: row.wechat.map(Fen::get),
            transaction_id: row.transaction_id,
            kind: match row.kind {
                RowKind::Payment => "payment",
                RowKind::Refund => "refund",
                RowKind::Notify => "notify",
            },
            reason: row.reason,
            at: row.at.map(At),
            settled: row.settled.map(|settled| SettledView {
                how: match settled.how {
                    Settling::Healed => "healed",
                    Settling::Adopted => "adopt",
                    Settling::Refunded => "refund",
                    Settling::Seen => "seen",
                },
                by: settled.by,
                at: At(settled.at),
            }),
        }
    }
}

impl From<ToldDay> for ReconciliationView {
    fn from(told: ToldDay) -> Self {
        let (known, open) = (told.known.clone(), told.known.open_rows());
        let [missing_local, missing_wechat, amount_differs] = known.rows;
        let views = |rows: Vec<DayRow>| rows.into_iter().map(RowView::from).collect();
        let [local, wechat, differs] = told.rows.map(views);
        Self {
            date: known.day.to_string(),
            status: match known.status {
                DayStatus::Done => "done",
                DayStatus::Waiting => "waiting",
                DayStatus::Failed => "failed",
            },
            reason: known.reason,
            at: At(known.at),
            bill_rows: known.bill_rows,
            matched: known.matched,
            missing_local: local,
            missing_wechat: wechat,
            amount_differs: differs,
            counts: Counts {
                missing_local,
                missing_wechat,
                amount_differs,
                settled: known.settled,
                open,
                unlisted: known.unlisted,
            },
        }
    }
}

#[derive(Serialize)]
struct ReconciliationsView {
    reconciliations: Vec<ReconciliationView>,
    next_cursor: Option<String>,
}

/// `GET /admin/v1/reconciliations`
pub(super) async fn list(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let page = shop.list_days(page_wanted(&req)?, LISTED_MAX).await?;
    let view = ReconciliationsView {
        reconciliations: page
            .items
            .into_iter()
            .map(ReconciliationView::from)
            .collect(),
        next_cursor: page.next_cursor,
    };
    Ok(no_store(json(StatusCode::OK, &view)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DayPosted {
    date: String,
}

/// `POST /admin/v1/reconciliations`: 201 when done, 202 when the bill is not there yet.
pub(super) async fn create(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let DayPosted { date } = req.json().await?;
    let day = date.parse::<Day>();
    let day = day.map_err(|_| HttpError::invalid("字段 \"date\" 必须是 YYYY-MM-DD"))?;
    let status = match shop.reconcile(day).await?.status {
        DayStatus::Done => StatusCode::CREATED,
        DayStatus::Waiting | DayStatus::Failed => StatusCode::ACCEPTED,
    };
    let told = shop.told_day(day, ROWS_MAX).await?;
    let view = told.map(ReconciliationView::from);
    Ok(no_store(json(status, &view)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settlement {
    #[serde(rename = "do")]
    remedy: String,
}

#[derive(Serialize)]
struct RowsView {
    rows: Vec<RowView>,
}

/// `POST /admin/v1/reconciliations/{date}/rows/{out_trade_no}`
pub(super) async fn settle(shop: Arc<Shop>, caller: Merchant, req: Req) -> Outcome {
    let day = req.param::<Day>("date")?;
    let out_trade_no = req.param_text("out_trade_no").into_owned();
    let Settlement { remedy } = req.json().await?;
    let wanted = Settle {
        day,
        out_trade_no,
        remedy: remedy_of(&remedy)?,
        by: caller.title(),
    };
    let rows = shop.settle(wanted).await?.into_iter();
    let rows = rows.map(RowView::from).collect();
    Ok(no_store(json(StatusCode::OK, &RowsView { rows })))
}

fn remedy_of(word: &str) -> Result<Remedy, HttpError> {
    match word {
        "adopt" => Ok(Remedy::Adopt),
        "refund" => Ok(Remedy::Refund),
        "seen" => Ok(Remedy::Seen),
        _ => Err(HttpError::invalid(
            "字段 \"do\" 必须是 adopt、refund 或 seen",
        )),
    }
}
