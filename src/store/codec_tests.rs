use std::path::PathBuf;

use data_encoding::HEXLOWER;

use super::*;
use crate::base::{Secret, Timestamp};
use crate::model::Entry;
use crate::model::reconcile::Class;
use crate::store::console::ConsoleSessionRecord;
use crate::store::reconciliations::DayRow;
use crate::store::records::*;
use crate::store::samples::{self, at, field_key};
use crate::store::sealed::{Place, Sealed};
use crate::store::shipments::{ReportRecord, SettlementRecord, ShipmentRecord};
use crate::store::staff::{AdminRecord, AdminV1, AdminV2};
use crate::store::tokens::TokenHash;
use crate::store::{Store, View};

const KEY: &[u8] = b"k";

fn token() -> TokenV1 {
    let secret = Secret::from("tiihtNczf5v6AKRyjwEUhQ==");
    TokenV1 {
        appid: samples::login(1).appid,
        openid: samples::openid(1),
        session_key: Sealed::bytes(
            &field_key(),
            &Place("session key", b"o1"),
            secret.reveal().as_bytes(),
        ),
        uid: crate::base::Uid::new(1),
        scope: samples::SCOPE,
        issued_at: at(0),
        expires_at: at(7200),
        generation: 3,
    }
}

fn user_tokens() -> UserTokensV1 {
    UserTokensV1 {
        sweep_at: Some(at(7200)),
        tokens: vec![
            (TokenHash::of("one"), at(7200)),
            (TokenHash::of("two"), at(7260)),
        ],
    }
}

/// One value of each layout that was ever written, by name.
fn layouts() -> Vec<(&'static str, Vec<u8>)> {
    let order = || OrderRecord::seal(&samples::order(1, 0, 9), &field_key());
    let attempt = samples::attempt(&samples::order(1, 0, 9), 1);
    let paid = samples::paid(attempt.clone(), "4200000000202601010000000001");
    let first = IdempotencyV1 {
        body: [8; 32],
        created_at: at(0),
        answer: order(),
    };
    let refund = || samples::refund(&samples::order(1, 0, 9), 7);
    let second = IdempotencyV2 {
        body: [8; 32],
        created_at: at(0),
        answer: RefundRecord::V1(refund()),
    };
    let number = attempt.out_trade_no.clone();
    let mut layouts = vec![
        ("number_v1", value(KEY, &NumberRecord::V1(300))),
        ("goods_v1", value(KEY, &GoodsRecord::V1(samples::goods(1)))),
        ("order_v1", value(KEY, &order())),
        (
            "owner_v1",
            value(KEY, &OwnerRecord::V1(crate::base::Uid::new(7))),
        ),
        (
            "entry_v1",
            value(
                KEY,
                &EntryRecord::V1(Entry::new(at(1), "order.paid", "收到付款")),
            ),
        ),
        ("attempt_v1", value(KEY, &AttemptRecord::V1(attempt))),
        ("attempt_paid_v1", value(KEY, &AttemptRecord::V1(paid))),
        ("paid_by_v1", value(KEY, &PaidByRecord::V1(number))),
        (
            "user_v1",
            value(KEY, &UserRecord::seal(&samples::user(1), &field_key())),
        ),
        (
            "uid_v1",
            value(KEY, &UidRecord::V1(crate::base::Uid::new(7))),
        ),
        ("idempotency_v1", value(KEY, &IdempotencyRecord::V1(first))),
        ("idempotency_v2", value(KEY, &IdempotencyRecord::V2(second))),
        ("refund_v1", value(KEY, &RefundRecord::V1(refund()))),
        (
            "refund_index_v1",
            value(KEY, &RefundIndexRecord::V1(refund().refund_no)),
        ),
        (
            "refund_request_v1",
            value(KEY, &RefundRequestRecord::V1(samples::request("坏了"))),
        ),
        (
            "unmatched_v1",
            value(KEY, &UnmatchedRecord::V1(samples::unmatched())),
        ),
    ];
    layouts.extend(later_layouts());
    layouts
}

/// The same of what joined orders, payments and refunds.
fn later_layouts() -> Vec<(&'static str, Vec<u8>)> {
    let admin = AdminV1 {
        name: "掌柜".to_owned(),
        password_hash: "$argon2id$".to_owned(),
        created_at: at(0),
    };
    let admin_v2 = AdminV2 {
        name: "掌柜".to_owned(),
        password_hash: "$argon2id$".to_owned(),
        created_at: at(0),
        generation: 3,
        totp_key: Some(Sealed::bytes(
            &field_key(),
            &Place("admin totp", "掌柜".as_bytes()),
            b"12345678901234567890",
        )),
        totp_step: 58_906_560,
    };
    let row = DayRow {
        settled: Some(samples::seen()),
        ..samples::day_row(Class::AmountDiffers, "20260101ABCDEF_2")
    };
    vec![
        (
            "shipment_v1",
            value(KEY, &ShipmentRecord::V1(samples::parcel("SF1"))),
        ),
        (
            "shipping_report_v1",
            value(KEY, &ReportRecord::V1(samples::report())),
        ),
        (
            "settlement_v1",
            value(KEY, &SettlementRecord::V1(samples::settlement())),
        ),
        (
            "reconciliation_v1",
            value(KEY, &ReconciliationRecord::V1(samples::reconciliation_v1())),
        ),
        (
            "reconciliation_v2",
            value(KEY, &ReconciliationRecord::V2(samples::reconciliation())),
        ),
        ("day_row_v1", value(KEY, &DayRowRecord::V1(row))),
        ("admin_v1", value(KEY, &AdminRecord::V1(admin))),
        ("admin_v2", value(KEY, &AdminRecord::V2(admin_v2))),
        (
            "console_session_v1",
            value(KEY, &ConsoleSessionRecord::V1(samples::console_session(3))),
        ),
        (
            "api_key_v1",
            value(KEY, &ApiKeyRecord::V1(samples::api_key())),
        ),
        (
            "certificate_v1",
            value(
                KEY,
                &CertificateRecord::V1("-----BEGIN CERTIFICATE-----".to_owned()),
            ),
        ),
        ("token_v1", value(KEY, &TokenRecord::V1(token()))),
        (
            "user_tokens_v1",
            value(KEY, &UserTokensRecord::V1(user_tokens())),
        ),
    ]
}

fn golden(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/records");
    folder.join(format!("{name}.hex"))
}

fn lines(hex: &str) -> String {
    let chunks = hex.as_bytes().chunks(96);
    let lines = chunks.map(|chunk| std::str::from_utf8(chunk).unwrap());
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn every_layout_is_written_as_its_golden_bytes() {
    for (name, bytes) in layouts() {
        let (path, text) = (golden(name), lines(&HEXLOWER.encode(&bytes)));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap_or_default(),
            text,
            "{name}"
        );
    }
}

fn again<R: Record>(name: &str, view: &View<'_>) {
    let text = std::fs::read_to_string(golden(name)).unwrap();
    let bytes = HEXLOWER.decode(text.replace('\n', "").as_bytes()).unwrap();
    let record: R = decode(view, KEY, &bytes).unwrap();
    assert_eq!(value(KEY, &record), bytes, "{name}");
}

#[tokio::test]
async fn golden_bytes_are_read_back_as_what_was_written() {
    let store = Store::memory();
    let read = store.read(|view| -> Result<(), StoreError> {
        again::<NumberRecord>("number_v1", view);
        again::<GoodsRecord>("goods_v1", view);
        again::<OrderRecord>("order_v1", view);
        again::<OwnerRecord>("owner_v1", view);
        again::<EntryRecord>("entry_v1", view);
        again::<AttemptRecord>("attempt_v1", view);
        again::<AttemptRecord>("attempt_paid_v1", view);
        again::<PaidByRecord>("paid_by_v1", view);
        again::<UserRecord>("user_v1", view);
        again::<UidRecord>("uid_v1", view);
        again::<IdempotencyRecord>("idempotency_v1", view);
        again::<IdempotencyRecord>("idempotency_v2", view);
        again::<RefundRecord>("refund_v1", view);
        again::<RefundIndexRecord>("refund_index_v1", view);
        again::<RefundRequestRecord>("refund_request_v1", view);
        again::<UnmatchedRecord>("unmatched_v1", view);
        again::<ShipmentRecord>("shipment_v1", view);
        again::<ReportRecord>("shipping_report_v1", view);
        again::<SettlementRecord>("settlement_v1", view);
        again::<ReconciliationRecord>("reconciliation_v1", view);
        again::<DayRowRecord>("day_row_v1", view);
        again::<AdminRecord>("admin_v1", view);
        again::<AdminRecord>("admin_v2", view);
        again::<ConsoleSessionRecord>("console_session_v1", view);
        again::<ApiKeyRecord>("api_key_v1", view);
        again::<CertificateRecord>("certificate_v1", view);
        again::<TokenRecord>("token_v1", view);
        again::<UserTokensRecord>("user_tokens_v1", view);
        Ok(())
    });
    read.await.unwrap();
}

#[tokio::test]
async fn a_record_with_one_byte_changed_cut_or_moved_is_refused_naming_kind_and_key() {
    let store = Store::memory();
    let read = store.read(|view| -> Result<(), StoreError> {
        let record = OrderRecord::seal(&samples::order(1, 0, 9), &field_key());
        let good = value(b"oA", &record);
        let refused = |key: &[u8], value: &[u8]| match decode::<OrderRecord>(view, key, value) {
            Err(StoreError::Corrupt(what)) => what == format!("order {}", key.escape_ascii()),
            Err(_) | Ok(_) => false,
        };
        for place in 0..good.len() {
            let mut altered = good.clone();
            altered[place] ^= 0x10;
            assert!(refused(b"oA", &altered), "byte {place}");
            assert!(refused(b"oA", &good[..place]), "cut at {place}");
        }
        assert!(refused(b"oB", &good), "another key's record");
        let longer = seal(b"oA", &[&[WHOLE], &to_bytes(&record), &[0]]);
        assert!(refused(b"oA", &longer), "a trailing byte");
        let unknown = seal(b"oA", &[&[9], &to_bytes(&record)]);
        assert!(refused(b"oA", &unknown), "an unknown layout");
        assert!(decode::<OrderRecord>(view, b"oA", &good).is_ok());
        Ok(())
    });
    read.await.unwrap();
}

fn entry(bytes: usize) -> EntryRecord {
    EntryRecord::V1(Entry::new(
        Timestamp::from_unix(0),
        "x",
        "长".repeat(bytes / 3),
    ))
}

#[tokio::test]
async fn a_long_record_lies_in_values_of_at_most_4_kib_and_leaves_none_behind() {
    let store = Store::memory();
    let all = KeyRange::prefix(&[keys::PIECE]);
    for (bytes, values) in [(90, 0), (30_000, 8), (3_600, 1), (9_000, 2), (0, 0)] {
        let all = all.clone();
        let written = store.write(move |tx| -> Result<usize, StoreError> {
            put(tx, b"l1".to_vec(), &entry(bytes))?;
            let EntryRecord::V1(read) = get(tx, b"l1")?.unwrap();
            assert_eq!(read.text.len(), bytes);
            let pieces = collect(tx, &all, usize::MAX)?;
            assert!(pieces.iter().all(|(_, value)| value.len() <= 4096));
            assert!(tx.get(b"l1")?.unwrap().len() <= 4096);
            Ok(pieces.len())
        });
        assert_eq!(written.await, Ok(values), "{bytes}");
    }
    let deleted = store.write(move |tx| -> Result<usize, StoreError> {
        put(tx, b"l1".to_vec(), &entry(30_000))?;
        delete::<EntryRecord>(tx, b"l1".to_vec())?;
        Ok(collect(tx, &KeyRange::prefix(&[keys::PIECE]), 1)?.len())
    });
    assert_eq!(deleted.await, Ok(0));
}

#[tokio::test]
async fn a_piece_of_another_version_is_never_read_as_part_of_the_record() {
    let store = Store::memory();
    let written = store.write(|tx| -> Result<(), StoreError> {
        put(tx, b"l1".to_vec(), &entry(9_000))?;
        let old = tx.get(&keys::piece(b"l1", 0))?.unwrap();
        put(tx, b"l1".to_vec(), &entry(9_030))?;
        tx.put(keys::piece(b"l1", 0), old);
        assert!(matches!(
            get::<EntryRecord>(tx, b"l1"),
            Err(StoreError::Corrupt(_))
        ));
        tx.delete(keys::piece(b"l1", 0));
        assert!(matches!(
            get::<EntryRecord>(tx, b"l1"),
            Err(StoreError::Corrupt(_))
        ));
        Ok(())
    });
    written.await.unwrap();
}
