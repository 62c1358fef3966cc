use super::*;
use crate::wechat::bill::{BillReader, Line};

/// Every layout of bill, made by us after the documents: its name, its text, and whether it holds
/// the two payments and the refund that all of them are made of.
pub(crate) const BILLS: [(&str, &str, bool, bool); 6] = [
    (
        "all",
        include_str!("../../tests/golden/bills/all.csv"),
        true,
        true,
    ),
    (
        "all without coupons",
        include_str!("../../tests/golden/bills/all-without-coupons.csv"),
        true,
        true,
    ),
    (
        "success",
        include_str!("../../tests/golden/bills/success.csv"),
        true,
        false,
    ),
    (
        "refund",
        include_str!("../../tests/golden/bills/refund.csv"),
        false,
        true,
    ),
    (
        "old names",
        include_str!("../../tests/golden/bills/old-names.csv"),
        true,
        true,
    ),
    (
        "more columns",
        include_str!("../../tests/golden/bills/more-columns.csv"),
        true,
        true,
    ),
];

fn payment(number: u8, time: &str, amount: u64) -> BillRow {
    let tail = if number == 2 { "_2" } else { "" };
    BillRow::Payment(BillPayment {
        out_trade_no: format!("20260101ABCDEFGH000{number}{tail}"),
        transaction_id: format!("420000000020260101000000000{number}"),
        amount: Fen::new(amount),
        at: Timestamp::from_rfc3339(time),
    })
}

fn refund() -> BillRow {
    BillRow::Refund(BillRefund {
        out_trade_no: "20260101ABCDEFGH0001".to_owned(),
        transaction_id: "4200000000202601010000000001".to_owned(),
        refund_no: "R20260101000001".to_owned(),
        amount: Fen::new(1010),
        at: Timestamp::from_rfc3339("2026-01-01T15:00:00+08:00"),
    })
}

/// What the golden bills hold.
pub(crate) fn expected(payments: bool, refunds: bool) -> Vec<BillRow> {
    let noon = "2026-01-01T12:30:00+08:00";
    let mut rows = vec![];
    if payments {
        rows.extend([payment(1, noon, 8888), payment(2, noon, 1)]);
    }
    if refunds {
        rows.push(refund());
    }
    rows
}

/// Reads a whole bill: its rows, and what its sums come to.
fn read(text: &str) -> Result<Vec<BillRow>, BadBill> {
    let (mut reader, mut layout, mut sums, mut rows) =
        (BillReader::new(), None, Sums::default(), vec![]);
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let number = u64::try_from(at).unwrap() + 1;
        match reader.read(line)? {
            Line::Header => {}
            Line::Row(row) => {
                let layout = layout.get_or_insert(Layout::of(row.columns())?);
                sums.add(layout, &row, number)?;
                rows.push(layout.read(&row, number)?);
            }
            Line::Summary(row) => sums.check(layout.as_ref(), &row)?,
        }
    }
    reader.finish().map(|()| rows)
}

#[test]
fn every_layout_of_bill_says_the_same_of_the_same_trades() {
    for (name, text, payments, refunds) in BILLS {
        assert_eq!(read(text), Ok(expected(payments, refunds)), "{name}");
    }
    let empty = include_str!("../../tests/golden/bills/empty.csv");
    assert_eq!(read(empty), Ok(vec![]));
}

#[test]
fn a_summary_that_is_not_the_sum_of_the_rows_is_refused_by_its_name() {
    let all = BILLS[0].1;
    let table = [
        ("`3,`88.89,", "`4,`88.89,", "总交易单数"),
        ("`3,`88.89,", "`3,`88.88,", "应结订单金额"),
        ("`88.89,`10.10\r", "`88.90,`10.10\r", "订单金额"),
        ("`88.89,`10.10\r", "`88.89,`10.11\r", "申请退款金额"),
        ("`88.89,`10.10\r", "`88.89,`ten\r", "申请退款金额"),
    ];
    for (from, to, column) in table {
        assert!(all.contains(from), "{from}");
        let altered = all.replacen(from, to, 1);
        assert_eq!(read(&altered), Err(BadBill::Summary(column)), "{to}");
    }
    // A row that is not there: the bill was cut in its middle, and its summary tells.
    let row = all.lines().nth(2).unwrap();
    let cut = all.replacen(&format!("{row}\r\n"), "", 1);
    assert_eq!(read(&cut), Err(BadBill::Summary("总交易单数")));
}

#[test]
fn an_amount_a_state_or_a_column_that_is_not_one_is_refused_with_its_line() {
    let all = BILLS[0].1;
    for (from, to) in [
        ("`0.01,", "`0.001,"),
        ("`SUCCESS", "`USERPAYING"),
        ("`10.10,", "`-1,"),
    ] {
        let altered = all.replacen(from, to, 1);
        assert!(matches!(read(&altered), Err(BadBill::Cell(2..=4))), "{to}");
    }
    for column in ["商户订单号", "微信订单号", "交易状态"] {
        let altered = all.replacen(column, "别的", 1);
        assert_eq!(read(&altered), Err(BadBill::Column(column)));
    }
}

#[test]
fn no_id_is_written_as_nought_or_as_nothing() {
    let all = BILLS[0].1;
    let revoked = all.replacen("`R20260101000001", "`0", 1);
    let rows = read(&revoked).unwrap();
    let Some(BillRow::Refund(refund)) = rows.last() else {
        panic!("the last row is a refund");
    };
    assert_eq!(refund.refund_no, "");
}
