//! What the rows of a trade bill say, read by the names of their columns, and their sums. Pure.
//!
//! Which columns there are varies with the bill's kind and the merchant's age; what a row must
//! have is the state, the merchant's number and WeChat's.
//!
//! Source: 微信支付 APIv2 · 下载交易账单; APIv3 · 交易账单详细说明.

use super::bill::{BadBill, Row};
use crate::base::{Fen, Timestamp};
use crate::model::reconcile::{BillPayment, BillRefund, BillRow};

/// The columns of a trade bill whose sums its last line repeats: of a row, of the summary. The
/// first names are today's, those in the second place what old merchants have instead.
const SUMS: [(&str, &[&str]); 7] = [
    ("应结订单金额", &["应结订单总金额"]),
    ("总金额", &["总交易额"]),
    ("退款金额", &["退款总金额", "总退款金额"]),
    ("充值券退款金额", &["充值券退款总金额"]),
    (
        "企业红包退款金额",
        &["总企业红包退款金额", "总代金券或立减优惠退款金额"],
    ),
    ("订单金额", &["订单总金额"]),
    ("申请退款金额", &["申请退款总金额"]),
];

/// Where the columns stand in one bill. A bill's columns do not change between its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    state: usize,
    out_trade_no: usize,
    transaction_id: usize,
    paid_at: Option<usize>,
    refunded_at: Option<usize>,
    total: Option<usize>,
    refund_no: Option<usize>,
    refund: Option<usize>,
    summed: [Option<usize>; SUMS.len()],
}

impl Layout {
    /// Finds the columns by their names.
    ///
    /// # Errors
    /// [`BadBill::Column`] naming one that a trade bill cannot be read without.
    pub fn of(columns: &[String]) -> Result<Self, BadBill> {
        let at = |name: &str| columns.iter().position(|column| column == name);
        let first = |names: &[&str]| names.iter().find_map(|name| at(name));
        let must = |name: &'static str| at(name).ok_or(BadBill::Column(name));
        Ok(Self {
            state: must("交易状态")?,
            out_trade_no: must("商户订单号")?,
            transaction_id: must("微信订单号")?,
            paid_at: at("交易时间"),
            refunded_at: first(&["退款申请时间", "交易时间"]),
            total: first(&["订单金额", "总金额", "应结订单金额"]),
            refund_no: at("商户退款单号"),
            refund: first(&["申请退款金额", "退款金额"]),
            summed: SUMS.map(|(name, _)| at(name)),
        })
    }

    /// What `row`, in line `line`, says.
    ///
    /// # Errors
    /// [`BadBill::Cell`] for an amount or a state that cannot be read, [`BadBill::Column`] for a
    /// column that a row of this kind cannot do without.
    pub fn read(&self, row: &Row<'_>, line: u64) -> Result<BillRow, BadBill> {
        let cells = row.cells();
        let text = |at: usize| cells.get(at).copied().unwrap_or_default().trim();
        let out_trade_no = text(self.out_trade_no).to_owned();
        let transaction_id = text(self.transaction_id).to_owned();
        match text(self.state) {
            "SUCCESS" => {
                let total = self.total.ok_or(BadBill::Column("订单金额"))?;
                Ok(BillRow::Payment(BillPayment {
                    out_trade_no,
                    transaction_id,
                    amount: fen(text(total), line)?,
                    at: self.paid_at.and_then(|at| moment(text(at))),
                }))
            }
            "REFUND" | "REVOKED" => {
                let refund = self.refund.ok_or(BadBill::Column("退款金额"))?;
                let number = self.refund_no.map(text).unwrap_or_default();
                Ok(BillRow::Refund(BillRefund {
                    out_trade_no,
                    transaction_id,
                    refund_no: given(number).to_owned(),
                    amount: fen(text(refund), line)?,
                    at: self.refunded_at.and_then(|at| moment(text(at))),
                }))
            }
            _ => Err(BadBill::Cell(line)),
        }
    }
}

/// An id, or nothing: WeChat writes none as `0` or leaves it empty.
fn given(id: &str) -> &str {
    if id == "0" { "" } else { id }
}

fn fen(yuan: &str, line: u64) -> Result<Fen, BadBill> {
    Fen::from_yuan(yuan).ok_or(BadBill::Cell(line))
}

/// `2026-01-01 12:30:00`, Beijing time.
fn moment(text: &str) -> Option<Timestamp> {
    let (day, time) = text.split_once(' ')?;
    Timestamp::from_rfc3339(&format!("{day}T{time}+08:00"))
}

/// The rows of a bill added up, to be compared with its summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    rows: u64,
    columns: [Fen; SUMS.len()],
}

impl Sums {
    /// How many rows there were.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds the amounts of `row`, in line `line`.
    ///
    /// # Errors
    /// [`BadBill::Cell`] for an amount that cannot be read, or a sum that does not fit.
    pub fn add(&mut self, layout: &Layout, row: &Row<'_>, line: u64) -> Result<(), BadBill> {
        self.rows = self.rows.saturating_add(1);
        for (sum, at) in self.columns.iter_mut().zip(layout.summed) {
            let cell = at.and_then(|at| row.cells().get(at).copied());
            let Some(cell) = cell.map(str::trim).filter(|cell| !cell.is_empty()) else {
                continue;
            };
            let more = sum.checked_add(fen(cell, line)?);
            *sum = more.ok_or(BadBill::Cell(line))?;
        }
        Ok(())
    }

    /// Whether the bill's own summary says the same; a bill without rows has no layout. What is
    /// not on both sides is not compared.
    ///
    /// # Errors
    /// [`BadBill::Summary`] naming the first column that differs.
    pub fn check(&self, layout: Option<&Layout>, summary: &Row<'_>) -> Result<(), BadBill> {
        const COUNT: &str = "总交易单数";
        // Counts may print as `45.0`.
        let count = summary.get(COUNT).map(str::trim);
        let count = count.map(|text| text.strip_suffix(".0").unwrap_or(text));
        if count.is_some_and(|text| text.parse() != Ok(self.rows)) {
            return Err(BadBill::Summary(COUNT));
        }
        for (at, (column, totals)) in SUMS.iter().enumerate() {
            let added = layout.is_none_or(|layout| layout.summed[at].is_some());
            let total = totals.iter().find_map(|name| summary.get(name));
            let Some(total) = total.filter(|_| added) else {
                continue;
            };
            if Fen::from_yuan(total.trim()) != Some(self.columns[at]) {
                return Err(BadBill::Summary(column));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "bill_rows_tests.rs"]
pub(crate) mod tests;
