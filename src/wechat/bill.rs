//! Reading a bill (账单), line by line, so that one of any length fits into memory.
//!
//! Columns are known by name: which there are varies with the merchant's age and the bill's kind.
//! Pure; not the comparison with our orders.
//!
//! Source: 微信支付 APIv2 · 下载交易账单; APIv3 · 交易账单详细说明, 资金账单详细说明.

use crate::base::xml::Fields;

/// Why a line is not what a bill has in its place. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBill {
    /// The line has another number of cells than its header.
    #[error("账单第 {0} 行的列数与表头不符")]
    Cells(u64),
    /// The line stands where none like it can stand.
    #[error("账单第 {0} 行的位置不对")]
    Order(u64),
    /// The line is longer than any can be.
    #[error("账单第 {0} 行过长")]
    Long(u64),
    /// An amount or a state in the line cannot be read.
    #[error("账单第 {0} 行的金额或状态读不懂")]
    Cell(u64),
    /// A column is missing that a bill of this kind must have.
    #[error("账单没有“{0}”这一列")]
    Column(&'static str),
    /// The summary is not the sum of the rows.
    #[error("账单汇总与明细之和不符：{0}")]
    Summary(&'static str),
    /// The bill ended before its summary: it was cut.
    #[error("账单不完整：没有汇总行")]
    Cut,
}

/// One line of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The names of columns, or an empty line.
    Header,
    /// One payment, refund or fund movement.
    Row(Row<'a>),
    /// The sums over all rows.
    Summary(Row<'a>),
}

/// Cells under their columns' names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    columns: &'a [String],
    cells: Vec<&'a str>,
}

impl<'a> Row<'a> {
    /// The cell under `column`; `None` when this bill has no such column.
    pub fn get(&self, column: &str) -> Option<&'a str> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.cells.get(at).copied()
    }

    /// All cells, in the bill's order.
    pub fn cells(&self) -> &[&'a str] {
        &self.cells
    }

    /// The names of the columns, in the bill's order.
    pub fn columns(&self) -> &'a [String] {
        self.columns
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    Rows,
    SummaryHeader,
    End,
}

/// Reads a bill that is handed to it line by line.
#[derive(Clone, Debug)]
pub struct BillReader {
    columns: Vec<String>,
    place: Place,
    line: u64,
}

impl Default for BillReader {
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            place: Place::Start,
            line: 0,
        }
    }
}

impl BillReader {
    /// A reader before the first line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next line, given without or with its line end.
    ///
    /// # Errors
    /// [`BadBill`] when the line does not fit what came before it.
    pub fn read<'a>(&'a mut self, line: &'a str) -> Result<Line<'a>, BadBill> {
        self.line = self.line.saturating_add(1);
        let line = line.trim_end_matches(['\r', '\n']);
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        if line.is_empty() {
            return Ok(Line::Header);
        }
        match (line.strip_prefix('`'), self.place) {
            (None, Place::Start) => self.header(line, Place::Rows),
            (None, Place::Rows) => self.header(line, Place::SummaryHeader),
            (Some(cells), Place::Rows) => self.row(cells).map(Line::Row),
            (Some(cells), Place::SummaryHeader) => {
                self.place = Place::End;
                self.row(cells).map(Line::Summary)
            }
            (None, Place::SummaryHeader | Place::End) | (Some(_), Place::Start | Place::End) => {
                Err(BadBill::Order(self.line))
            }
        }
    }

    /// Ends the bill.
    ///
    /// # Errors
    /// [`BadBill::Cut`] when its summary has not come.
    pub fn finish(self) -> Result<(), BadBill> {
        if self.place == Place::End {
            Ok(())
        } else {
            Err(BadBill::Cut)
        }
    }

    fn header(&mut self, line: &str, next: Place) -> Result<Line<'_>, BadBill> {
        self.columns = line.split(',').map(|name| name.trim().to_owned()).collect();
        self.place = next;
        Ok(Line::Header)
    }

    /// Texts may hold commas, so cells end at a comma and the next cell's back-tick.
    fn row<'a>(&'a self, line: &'a str) -> Result<Row<'a>, BadBill> {
        let mut ends: Vec<usize> = line.match_indices(",`").map(|(at, _)| at).collect();
        ends.push(line.len());
        self.mend(&mut ends);
        if ends.len() != self.columns.len() {
            return Err(BadBill::Cells(self.line));
        }
        let mut start = 0;
        let cut = |end| {
            let cell = &line[start..end];
            start = end + 2;
            cell
        };
        let cells = ends.into_iter().map(cut).collect();
        Ok(Row {
            columns: &self.columns,
            cells,
        })
    }

    /// A name of goods can hold a comma and a back-tick too. What is too much then belongs to the
    /// texts; the amounts before and behind them are found from both ends of the line.
    fn mend(&self, ends: &mut Vec<usize>) {
        let text = self.columns.iter().position(|name| name == "商品名称");
        let surplus = ends.len().checked_sub(self.columns.len());
        if let (Some(text), Some(surplus)) = (text, surplus) {
            ends.drain(text..text + surplus);
        }
    }
}

/// Why v2 sends XML in place of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoBill {
    /// Nothing was traded that day: an empty bill, not an error.
    Empty,
    /// It is still being made: ask again in half an hour.
    NotReady,
    /// WeChat refuses, or the answer is not readable.
    Refused {
        /// `error_code`, such as `20001`.
        code: String,
        /// `return_msg`.
        said: String,
    },
}

/// What a v2 download says when it is not a bill; `None` when it is one.
///
/// Source: 微信支付 APIv2 · 下载交易账单 · 错误码.
pub fn no_bill(body: &[u8]) -> Option<NoBill> {
    if body.trim_ascii_start().first() != Some(&b'<') {
        return None;
    }
    let fields = Fields::parse(body.trim_ascii_start(), "xml").unwrap_or_default();
    let said = fields.text("return_msg");
    Some(if said.eq_ignore_ascii_case("No Bill Exist") {
        NoBill::Empty
    } else if said.eq_ignore_ascii_case("Bill Creating") {
        NoBill::NotReady
    } else {
        NoBill::Refused {
            code: fields.text("error_code").to_owned(),
            said: said.to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::base::Fen;
    use crate::wechat::vectors::{self, text};

    #[test]
    fn the_bill_vector_reads_cell_for_cell() {
        let all = vectors::v2("bill_parse");
        assert_eq!(all.len(), 1);
        let vector = &all[0];
        let (mut reader, mut rows, mut fen) = (BillReader::new(), vec![], vec![]);
        let mut summary = json!(null);
        for line in text(vector, "text").lines() {
            match reader.read(line).unwrap() {
                Line::Header => {}
                Line::Row(row) => {
                    assert_eq!(json!(row.columns()), vector["expected_header"]);
                    fen.push(["订单金额", "退款金额"].map(|c| Fen::from_yuan(row.get(c).unwrap())));
                    rows.push(json!(row.cells()));
                }
                Line::Summary(row) => {
                    let pairs = row.columns().iter().zip(row.cells());
                    summary = pairs
                        .map(|(name, cell)| (name.clone(), json!(cell)))
                        .collect();
                    fen.push(
                        ["订单总金额", "申请退款总金额"]
                            .map(|c| Fen::from_yuan(row.get(c).unwrap())),
                    );
                }
            }
        }
        assert_eq!(reader.finish(), Ok(()));
        assert_eq!(json!(rows), vector["expected_rows"]);
        assert_eq!(summary, vector["expected_summary"]);
        let expected = &vector["expected_fen"];
        assert_eq!(json!(fen[0][0]), expected["row0_order_amount"]);
        assert_eq!(json!(fen[1][1]), expected["row1_refund"]);
        assert_eq!(json!(fen[2][0]), expected["summary_order_amount"]);
        assert_eq!(json!(fen[2][1]), expected["summary_refund_applied"]);
    }

    #[test]
    fn the_vector_without_a_bill_is_an_empty_day() {
        let all = vectors::v2("bill_error");
        assert_eq!(all.len(), 1);
        let body = text(&all[0], "text").as_bytes();
        let fields = Fields::parse(body, "xml").unwrap();
        let expected = vectors::fields(&all[0]["expected"]);
        assert_eq!(vectors::sorted(&fields), vectors::sorted(&expected));
        assert_eq!(no_bill(body), Some(NoBill::Empty));
    }

    #[test]
    fn an_xml_refusal_is_told_from_a_bill() {
        let xml = |said: &str| {
            Fields::new()
                .with("return_msg", said)
                .with("error_code", "20001")
                .to_xml()
        };
        assert_eq!(
            no_bill(xml("NO Bill Exist").as_bytes()),
            Some(NoBill::Empty)
        );
        assert_eq!(
            no_bill(xml("Bill Creating").as_bytes()),
            Some(NoBill::NotReady)
        );
        let refused = NoBill::Refused {
            code: "20001".to_owned(),
            said: "sign error".to_owned(),
        };
        assert_eq!(no_bill(xml("sign error").as_bytes()), Some(refused));
        assert!(matches!(no_bill(b"<html>"), Some(NoBill::Refused { .. })));
        assert_eq!(no_bill("\u{feff}交易时间,".as_bytes()), None);
    }

    fn read_all(lines: &[&str]) -> Result<(), BadBill> {
        let mut reader = BillReader::new();
        for line in lines {
            reader.read(line)?;
        }
        reader.finish()
    }

    #[test]
    fn a_cut_or_shuffled_bill_is_refused() {
        assert_eq!(read_all(&["a,b", "s", "`1"]), Ok(()));
        assert_eq!(
            read_all(&["a,b\r\n", "`1,`2\r\n", "s\r\n", "`1\r\n", "\r\n"]),
            Ok(())
        );
        assert_eq!(read_all(&[]), Err(BadBill::Cut));
        assert_eq!(read_all(&["a,b", "`1,`2"]), Err(BadBill::Cut));
        assert_eq!(read_all(&["a,b", "`1,`2", "s"]), Err(BadBill::Cut));
        assert_eq!(read_all(&["`1,`2"]), Err(BadBill::Order(1)));
        assert_eq!(read_all(&["a,b", "`1,`2,`3"]), Err(BadBill::Cells(2)));
        assert_eq!(read_all(&["a,b", "`1"]), Err(BadBill::Cells(2)));
        assert_eq!(read_all(&["a", "s", "s2"]), Err(BadBill::Order(3)));
        assert_eq!(read_all(&["a", "s", "`1", "`2"]), Err(BadBill::Order(4)));
    }
}
