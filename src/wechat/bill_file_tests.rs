use std::io::Cursor;

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::*;
use crate::base::Fen;
use crate::base::hash::sha1_hex;
use crate::wechat::bill_rows::tests::{BILLS, expected};
use crate::wechat::vectors::{self, text};

const GZIPPED: &[u8] = include_bytes!("../../tests/golden/bills/all.csv.gz");

fn file(bytes: impl Into<Vec<u8>>) -> BillFile<Cursor<Vec<u8>>> {
    BillFile::new(Cursor::new(bytes.into()))
}

fn rows(bill: &mut BillFile<Cursor<Vec<u8>>>) -> Result<Vec<BillRow>, BillFault> {
    let mut rows = vec![];
    bill.rows(&mut |row| {
        rows.push(row);
        true
    })?;
    Ok(rows)
}

/// All cells by their columns, of rows and summary.
fn cells(bill: &mut BillFile<Cursor<Vec<u8>>>) -> (Vec<Value>, Value) {
    let (mut rows, mut summary) = (vec![], json!(null));
    let mut plain = bill.plain().unwrap();
    let named = |row: &Row<'_>| -> Value {
        let pairs = row.columns().iter().zip(row.cells());
        pairs
            .map(|(name, cell)| (name.clone(), json!(cell)))
            .collect()
    };
    let read = each_line(&mut plain, &mut |line, _| {
        match line {
            Line::Header => {}
            Line::Row(row) => rows.push(named(&row)),
            Line::Summary(row) => summary = named(&row),
        }
        Ok(true)
    });
    read.unwrap();
    (rows, summary)
}

/// The amounts of a row as the vectors name them.
fn fen(row: &BillRow) -> Value {
    let (total, refund) = match row {
        BillRow::Payment(payment) => (payment.amount, Fen::ZERO),
        BillRow::Refund(refund) => (Fen::ZERO, refund.amount),
    };
    json!([row.out_trade_no(), total, refund])
}

#[test]
fn every_bill_vector_is_taken_or_refused_as_it_says() {
    let all = vectors::v3("bill_file");
    assert_eq!(all.len(), 5);
    for vector in &all {
        let id = text(vector, "id");
        let mut bill = file(
            BASE64
                .decode(text(vector, "file_base64").as_bytes())
                .unwrap(),
        );
        let expected = &vector["expected"];
        let verified = bill.verify(Some(text(vector, "hash_value")));
        if expected["result"] == "reject" {
            assert_eq!(expected["reason"], "hash", "{id}");
            assert!(
                matches!(verified, Err(BillFault::Hash)),
                "{id} {verified:?}"
            );
            continue;
        }
        let (read, summary) = cells(&mut bill);
        assert_eq!(json!(read), expected["rows"], "{id}");
        assert_eq!(summary, expected["summary"], "{id}");
        if vector["bill"] == "fundflow" {
            // Another kind of bill: its hash holds, and it is not taken for trades.
            assert!(
                matches!(verified, Err(BillFault::Bad(BadBill::Column(_)))),
                "{id}"
            );
            continue;
        }
        assert_eq!(verified.unwrap(), 3, "{id}");
        let found: Vec<Value> = rows(&mut bill).unwrap().iter().map(fen).collect();
        let named = |of: &Value| json!([of["out_trade_no"], of["total"], of["refund_requested"]]);
        let wanted = expected["fen"].as_array().unwrap().iter().map(named);
        assert_eq!(found, wanted.collect::<Vec<_>>(), "{id}");
    }
}

#[test]
fn a_gzipped_bill_reads_like_a_plain_one_also_in_several_members() {
    let plain = BILLS[0].1.as_bytes();
    let mut gzipped = file(GZIPPED);
    assert_eq!(gzipped.verify(Some(&sha1_hex(plain))).unwrap(), 3);
    for _ in 0..2 {
        assert_eq!(rows(&mut gzipped).unwrap(), expected(true, true));
    }
    let gzip = |part: &[u8]| {
        let mut into = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        std::io::Write::write_all(&mut into, part).unwrap();
        into.finish().unwrap()
    };
    let (head, tail) = plain.split_at(700);
    let mut members = file([gzip(head), gzip(tail)].concat());
    assert_eq!(members.verify(Some(&sha1_hex(plain))).unwrap(), 3);
    assert_eq!(rows(&mut members).unwrap(), expected(true, true));
}

#[test]
fn a_bill_with_another_hash_or_cut_anywhere_is_not_used() {
    let plain = BILLS[0].1.as_bytes();
    let hash = sha1_hex(plain);
    let mut altered = plain.to_vec();
    let at = plain.iter().position(|byte| *byte == b'8').unwrap();
    altered[at] = b'9';
    assert!(matches!(
        file(altered).verify(Some(&hash)),
        Err(BillFault::Hash)
    ));
    for cut in [0, 1, 100, plain.len() / 2, plain.len() - 1] {
        let verified = file(&plain[..cut]).verify(Some(&hash));
        assert!(
            matches!(verified, Err(BillFault::Hash)),
            "{cut} {verified:?}"
        );
    }
    for cut in [3, 100, GZIPPED.len() - 1] {
        assert!(file(&GZIPPED[..cut]).verify(Some(&hash)).is_err(), "{cut}");
        assert!(file(&GZIPPED[..cut]).verify(None).is_err(), "{cut}");
    }
}

#[test]
fn a_bill_or_a_line_without_end_is_not_read_to_its_end() {
    let mut long = file(BILLS[0].1);
    long.plain_max_bytes = 500;
    assert!(matches!(long.verify(None), Err(BillFault::Unreadable(_))));
    let line = "x".repeat(70 * 1024);
    let endless = file(line).verify(None);
    assert!(
        matches!(endless, Err(BillFault::Bad(BadBill::Long(1)))),
        "{endless:?}"
    );
}

#[test]
fn a_refusal_is_found_in_gzip_too_and_a_bill_is_none() {
    let xml = "<xml><return_msg>No Bill Exist</return_msg></xml>";
    assert_eq!(file(xml).refusal().unwrap(), Some(NoBill::Empty));
    let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, xml.as_bytes()).unwrap();
    assert_eq!(
        file(gzip.finish().unwrap()).refusal().unwrap(),
        Some(NoBill::Empty)
    );
    assert_eq!(file(GZIPPED).refusal().unwrap(), None);
}

#[test]
fn whoever_wants_no_more_rows_gets_no_more() {
    let mut seen = 0;
    let stopped = file(BILLS[0].1).rows(&mut |_| {
        seen += 1;
        false
    });
    assert!(matches!(stopped, Err(BillFault::Stopped)) && seen == 1);
}
