//! How a trade bill is written: BOM, CRLF, back-ticks, columns by kind, summary. Pure.
//!
//! Source: 微信支付 APIv3 · 交易账单详细说明.

use super::bills::{BillType, Row};
use super::credentials::Credentials;
use crate::base::{Fen, Timestamp};

/// Source: 微信支付 APIv3 · 交易账单详细说明, ALL.
const COLUMNS: [&str; 27] = [
    "交易时间",
    "公众账号ID",
    "商户号",
    "特约商户号",
    "设备号",
    "微信订单号",
    "商户订单号",
    "用户标识",
    "交易类型",
    "交易状态",
    "付款银行",
    "货币种类",
    "应结订单金额",
    "代金券金额",
    "微信退款单号",
    "商户退款单号",
    "退款金额",
    "充值券退款金额",
    "退款类型",
    "退款状态",
    "商品名称",
    "商户数据包",
    "手续费",
    "费率",
    "订单金额",
    "申请退款金额",
    "费率备注",
];
/// The columns of refunds, which a SUCCESS bill does not have.
const REFUND_COLUMNS: [usize; 7] = [14, 15, 16, 17, 18, 19, 25];
const SUMMARY: &str = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,\
                       申请退款总金额";

/// 0.60 % in whole fen, rounded.
fn fee(amount: Fen) -> u64 {
    amount.get().saturating_mul(6).saturating_add(500) / 1000
}

fn signed_fee(row: &Row) -> String {
    let sign = if row.refund.is_some() { "-" } else { "" };
    format!("{sign}{}000", Fen::new(fee(row.amount)))
}

fn spaced(at: Timestamp) -> String {
    at.rfc3339()[..19].replace('T', " ")
}

/// The cells of an ALL bill.
fn cells(row: &Row, credentials: &Credentials) -> Vec<String> {
    let (amount, none) = (row.amount.to_string(), || "0.00".to_owned());
    let refund = row.refund.as_ref();
    let text = |cell: Option<&str>, without: &str| cell.unwrap_or(without).to_owned();
    let (paid, refunded) = match refund {
        None => (amount, none()),
        Some(_) => (none(), amount),
    };
    vec![
        spaced(row.at),
        credentials.appid.to_string(),
        credentials.mchid.to_string(),
        "0".to_owned(),
        String::new(),
        row.transaction_id.clone(),
        row.out_trade_no.clone(),
        row.openid.clone(),
        "JSAPI".to_owned(),
        text(refund.map(|_| "REFUND"), "SUCCESS"),
        "OTHERS".to_owned(),
        "CNY".to_owned(),
        paid.clone(),
        none(),
        text(refund.map(|r| &*r.refund_id), "0"),
        text(refund.map(|r| &*r.out_refund_no), "0"),
        refunded.clone(),
        none(),
        text(refund.map(|_| "ORIGINAL"), ""),
        text(refund.map(|r| r.status), ""),
        row.description.clone(),
        row.attach.clone(),
        signed_fee(row),
        "0.60%".to_owned(),
        paid,
        refunded,
        String::new(),
    ]
}

/// The columns of a bill's kind out of those of ALL.
fn chosen(kind: BillType, all: Vec<String>, times: [String; 2]) -> Vec<String> {
    match kind {
        BillType::All => all,
        BillType::Success => {
            let kept = all.into_iter().enumerate();
            kept.filter(|(at, _)| !REFUND_COLUMNS.contains(at))
                .map(|(_, cell)| cell)
                .collect()
        }
        BillType::Refund => {
            let mut cells = all;
            cells.splice(14..14, times);
            cells
        }
    }
}

/// A bill as it is downloaded.
pub(super) fn printed(rows: &[Row], credentials: &Credentials, kind: BillType) -> String {
    let names = COLUMNS.map(str::to_owned).to_vec();
    let times = ["退款申请时间".to_owned(), "退款成功时间".to_owned()];
    let mut text = format!("\u{feff}{}\r\n", chosen(kind, names, times).join(","));
    for row in rows {
        let times = row.refund.as_ref().map_or_else(Default::default, |refund| {
            let success = refund.success_at.map(spaced).unwrap_or_default();
            [spaced(refund.asked_at), success]
        });
        text += &line(&chosen(kind, cells(row, credentials), times));
    }
    text += SUMMARY;
    text += "\r\n";
    text + &line(&summary(rows))
}

fn line(cells: &[String]) -> String {
    let plain = |cell: &String| format!("`{}", cell.replace(['\r', '\n'], " "));
    let cells: Vec<_> = cells.iter().map(plain).collect();
    cells.join(",") + "\r\n"
}

fn summary(rows: &[Row]) -> Vec<String> {
    let sum = |part: &dyn Fn(&&Row) -> bool, of: &dyn Fn(Fen) -> u64| {
        let amounts = rows.iter().filter(part).map(|row| of(row.amount));
        amounts.fold(0_u64, u64::saturating_add)
    };
    let (is_paid, is_refund) = (|r: &&Row| r.refund.is_none(), |r: &&Row| r.refund.is_some());
    let paid = Fen::new(sum(&is_paid, &Fen::get)).to_string();
    let refunded = Fen::new(sum(&is_refund, &Fen::get)).to_string();
    let (gained, lost) = (sum(&is_paid, &fee), sum(&is_refund, &fee));
    let sign = if lost > gained { "-" } else { "" };
    let fees = format!("{sign}{}000", Fen::new(gained.abs_diff(lost)));
    let none = "0.00".to_owned();
    let count = rows.len().to_string();
    vec![
        count,
        paid.clone(),
        refunded.clone(),
        none,
        fees,
        paid,
        refunded,
    ]
}
