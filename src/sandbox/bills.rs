//! The trade bill of a day, built from the simulator's trades and refunds, with planted errors.
//!
//! Source: 微信支付 APIv3 · 申请交易账单, 交易账单详细说明; 微信支付 APIv2 · 下载交易账单.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Book;
use super::bill_print::printed;
use super::credentials::Credentials;
use super::refunds::{Refund, Status};
use super::shelf::Shelf;
use super::trades::Trade;
use crate::base::{Fen, Timestamp};

/// A day's bill is there from 10:00 of the next day on.
const READY_AFTER: Duration = Duration::from_secs((24 + 10) * 3600);
/// Bills are kept for three months.
const KEPT_FOR: Duration = Duration::from_secs(92 * 86_400);
/// How long a download_url is good.
pub(super) const URL_LIFE: Duration = Duration::from_secs(5 * 60);
/// How many files wait for their download.
const FILES: usize = 64;

/// Which rows a bill has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BillType {
    All,
    Success,
    Refund,
}

impl BillType {
    /// Reads `bill_type`; left out it is ALL.
    pub(super) fn read(text: &str) -> Option<Self> {
        match text {
            "" | "ALL" => Some(Self::All),
            "SUCCESS" => Some(Self::Success),
            "REFUND" => Some(Self::Refund),
            _ => None,
        }
    }
}

/// Why there is no bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoBill {
    /// Not a day of the last three months.
    Day,
    Creating,
    Empty,
}

/// How a planted row differs from the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PlantKind {
    Missing,
    Extra,
    Amount,
}

/// A planted difference; with `out_refund_no` it is one of a refund.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plant {
    kind: PlantKind,
    out_trade_no: Option<String>,
    out_refund_no: Option<String>,
    fen: Option<Fen>,
}

/// The body of `PUT /sandbox/bills`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Planted {
    date: String,
    plant: Vec<Plant>,
}

/// A file that waits for its download.
#[derive(Clone)]
pub(super) struct BillFile {
    pub(super) body: Vec<u8>,
    pub(super) made_at: Timestamp,
}

/// What is planted, by day, and the files that can be downloaded, by token.
pub(super) struct Bills {
    planted: BTreeMap<String, Vec<Plant>>,
    pub(super) files: Shelf<BillFile>,
}

impl Bills {
    pub(super) fn new() -> Self {
        Self {
            planted: BTreeMap::new(),
            files: Shelf::new(FILES),
        }
    }

    /// Plants differences; `None` when the date is none.
    pub(super) fn plant(&mut self, planted: &Planted) -> Option<()> {
        day_start(&planted.date)?;
        let date = planted.date.clone();
        self.planted.insert(date, planted.plant.clone());
        Some(())
    }
}

/// The first second of a `YYYY-MM-DD`, in Beijing.
fn day_start(date: &str) -> Option<Timestamp> {
    let dashed = date.len() == 10 && date.is_ascii();
    let start = Timestamp::from_rfc3339(&format!("{date}T00:00:00+08:00"))?;
    dashed.then_some(start)
}

/// One row, whatever its columns.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) at: Timestamp,
    pub(super) transaction_id: String,
    pub(super) out_trade_no: String,
    pub(super) openid: String,
    /// The order's total, or the refund's amount.
    pub(super) amount: Fen,
    pub(super) refund: Option<RefundCells>,
    pub(super) description: String,
    pub(super) attach: String,
}

/// What a row of a refund has more.
#[derive(Clone, Debug)]
pub(super) struct RefundCells {
    pub(super) refund_id: String,
    pub(super) out_refund_no: String,
    pub(super) status: &'static str,
    pub(super) asked_at: Timestamp,
    pub(super) success_at: Option<Timestamp>,
}

/// The text of a day's bill (`date` as `YYYY-MM-DD`).
pub(super) fn bill(
    book: &Book,
    credentials: &Credentials,
    (date, kind): (&str, BillType),
    now: Timestamp,
) -> Result<String, NoBill> {
    let start = day_start(date).ok_or(NoBill::Day)?;
    if start > now || now > start.plus(KEPT_FOR) {
        return Err(NoBill::Day);
    }
    if now < start.plus(READY_AFTER) {
        return Err(NoBill::Creating);
    }
    let mut rows = rows_of(book, date);
    for plant in book.bills.planted.get(date).into_iter().flatten() {
        planted(&mut rows, plant, start);
    }
    rows.retain(|row| match kind {
        BillType::All => true,
        BillType::Success => row.refund.is_none(),
        BillType::Refund => row.refund.is_some(),
    });
    if rows.is_empty() {
        return Err(NoBill::Empty);
    }
    Ok(printed(&rows, credentials, kind))
}

/// Every payment by its success and every refund by its acceptance, in the order of time.
fn rows_of(book: &Book, date: &str) -> Vec<Row> {
    let of_day = |at: Timestamp| at.rfc3339().starts_with(date);
    let mut rows = Vec::new();
    for trade in book.trades.newest_first() {
        let Some(payment) = &trade.payment else {
            continue;
        };
        if of_day(payment.success_at) {
            let id = payment.transaction_id.as_str();
            rows.push(row(trade, (id, payment.success_at), trade.order.total));
        }
        for refund in book.refunds.of(trade).filter(|r| of_day(r.created_at)) {
            let id = payment.transaction_id.as_str();
            let paid_part = row(trade, (id, refund.created_at), refund.wanted.amount);
            rows.push(Row {
                refund: Some(refund_cells(refund)),
                ..paid_part
            });
        }
    }
    rows.sort_by(|a, b| (a.at, &a.out_trade_no).cmp(&(b.at, &b.out_trade_no)));
    rows
}

fn row(trade: &Trade, (transaction_id, at): (&str, Timestamp), amount: Fen) -> Row {
    Row {
        at,
        transaction_id: transaction_id.to_owned(),
        out_trade_no: trade.order.out_trade_no.clone(),
        openid: trade.order.openid.to_string(),
        amount,
        refund: None,
        description: trade.order.description.clone(),
        attach: trade.order.attach.clone().unwrap_or_default(),
    }
}

fn refund_cells(refund: &Refund) -> RefundCells {
    RefundCells {
        refund_id: refund.refund_id.clone(),
        out_refund_no: refund.wanted.out_refund_no.clone(),
        status: match refund.status {
            Status::Processing => "PROCESSING",
            Status::Success => "SUCCESS",
            Status::Abnormal => "CHANGE",
            Status::Closed => "FAIL",
        },
        asked_at: refund.created_at,
        success_at: refund.success_at,
    }
}

fn planted(rows: &mut Vec<Row>, plant: &Plant, start: Timestamp) {
    let meant = |row: &Row| match (&plant.out_refund_no, &row.refund) {
        (Some(number), Some(refund)) => *number == refund.out_refund_no,
        (None, None) => plant.out_trade_no.as_ref() == Some(&row.out_trade_no),
        (Some(_), None) | (None, Some(_)) => false,
    };
    match plant.kind {
        PlantKind::Missing => rows.retain(|row| !meant(row)),
        PlantKind::Amount => {
            for row in rows.iter_mut().filter(|row| meant(row)) {
                row.amount = plant.fen.unwrap_or(row.amount);
            }
        }
        PlantKind::Extra => rows.push(extra(plant, start)),
    }
}

fn extra(plant: &Plant, start: Timestamp) -> Row {
    let number = plant.out_trade_no.clone();
    let noon = start.plus(Duration::from_secs(12 * 3600));
    let refund = plant
        .out_refund_no
        .clone()
        .map(|out_refund_no| RefundCells {
            refund_id: "50300000019999999999999999".to_owned(),
            out_refund_no,
            status: "SUCCESS",
            asked_at: noon,
            success_at: Some(noon),
        });
    Row {
        at: noon,
        transaction_id: "4200009999999999999999999999".to_owned(),
        out_trade_no: number.unwrap_or_else(|| "PLANTED00000001".to_owned()),
        openid: "oPlantedPlantedPlantedPlante".to_owned(),
        amount: plant.fen.unwrap_or(Fen::new(1)),
        refund,
        description: "别处的订单, 带逗号".to_owned(),
        attach: String::new(),
    }
}
