//! How much may go back, from what, how often, how late, and when the next part may go.

use proptest::prelude::*;

use super::*;
use crate::base::RefundNo;
use crate::model::refund::{LastError, NewRefund, RefundKind};
use crate::model::refund_request::{RefundRequest, RequestStatus};
use crate::model::refund_samples::{at, attempt, new, order};

type Row = (u16, RefundKind, u64, RefundStatus);

/// One refund a row: attempt, kind, amount, status; the second attempt was paid with 70.
fn refunds(rows: &[Row]) -> Vec<Refund> {
    let made = rows
        .iter()
        .zip(0..)
        .map(|((number, kind, amount, status), n)| {
            let refund_no = RefundNo::new(1_767_196_830_000, n);
            let new = NewRefund {
                refund_no,
                ..new(*kind, *amount)
            };
            let paid = attempt(*number, if *number == 1 { 100 } else { 70 });
            let opened = Refund::open(new, &paid).unwrap();
            Refund {
                status: *status,
                ..opened
            }
        });
    made.collect()
}

use RefundKind::{External, Late, Merchant, Surplus};
use RefundStatus::{Abnormal, Closed, Processing, Success};

#[test]
fn everything_but_a_closed_refund_of_the_counted_payment_takes_room() {
    let order = order(OrderStatus::Paid);
    let table: [(&[Row], u64, u64); 7] = [
        (&[], 100, 70),
        (&[(1, Merchant, 30, Processing)], 70, 70),
        (
            &[(1, Merchant, 30, Abnormal), (1, Merchant, 20, Success)],
            50,
            70,
        ),
        (&[(1, Merchant, 30, Closed)], 100, 70),
        (
            &[(1, External, 30, Success), (1, Late, 10, Processing)],
            60,
            70,
        ),
        (&[(2, Surplus, 70, Processing)], 100, 0),
        (
            &[(2, Surplus, 70, Closed), (2, External, 20, Success)],
            100,
            50,
        ),
    ];
    for (rows, of_order, of_second) in table {
        let refunds = refunds(rows);
        let room = Room::new(&order, &refunds);
        assert_eq!(room.left(&attempt(1, 100)).get(), of_order, "{rows:?}");
        assert_eq!(room.left_of(&attempt(2, 70)).get(), of_second, "{rows:?}");
    }
}

#[test]
fn one_fen_more_than_is_left_is_refused_and_says_what_is_left() {
    let order = order(OrderStatus::Paid);
    let refunds = refunds(&[(1, Merchant, 30, Processing), (2, Surplus, 60, Processing)]);
    let room = Room::new(&order, &refunds);
    let table = [
        (1, 100, 70, Ok(())),
        (1, 100, 71, Err(70)),
        (2, 70, 10, Ok(())),
        (2, 70, 11, Err(10)),
    ];
    for (number, paid, amount, wanted) in table {
        let checked = room.check(&attempt(number, paid), Fen::new(amount), at(99));
        let left = |left| Refusal::RefundExceeds {
            left: Fen::new(left),
        };
        assert_eq!(checked, wanted.map_err(left), "{number} {amount}");
    }
    let dearer = room.check(&attempt(1, 500), Fen::new(71), at(99));
    assert!(
        matches!(dearer, Err(Refusal::RefundExceeds { .. })),
        "never above the order's total"
    );
}

#[test]
fn a_payment_older_than_a_year_and_a_fifty_first_part_are_refused_before_any_call() {
    let order = order(OrderStatus::Paid);
    let paid = attempt(1, 100);
    let check = |refunds: &[Refund], at| Room::new(&order, refunds).check(&paid, Fen::new(1), at);
    let year = at(9).plus(REFUNDABLE_FOR);
    assert_eq!(check(&[], year), Ok(()));
    assert_eq!(
        check(&[], year.plus(Duration::from_secs(1))),
        Err(Refusal::RefundTooOld)
    );
    let mut parts = refunds(&[(1, Merchant, 1, Success); 49]);
    parts.extend(refunds(&[
        (1, Merchant, 1, Closed),
        (2, Surplus, 1, Success),
    ]));
    assert_eq!(check(&parts, at(99)), Ok(()));
    parts.extend(refunds(&[(1, Merchant, 1, Abnormal)]));
    assert_eq!(check(&parts, at(99)), Err(Refusal::RefundTooManyParts));
}

#[test]
fn the_next_refund_of_an_order_waits_a_minute_after_the_last_other_one() {
    let order = order(OrderStatus::Paid);
    let mut refunds = refunds(&[(1, Merchant, 1, Success), (1, Merchant, 1, Processing)]);
    let mine = refunds[1].clone();
    assert_eq!(Room::new(&order, &refunds).slot(&mine, at(50)), at(50));
    refunds[1].sent_at = Some(at(45));
    assert_eq!(
        Room::new(&order, &refunds).slot(&mine, at(50)),
        at(50),
        "its own does not count"
    );
    refunds[0].sent_at = Some(at(40));
    assert_eq!(Room::new(&order, &refunds).slot(&mine, at(50)), at(100));
    assert_eq!(Room::new(&order, &refunds).slot(&mine, at(100)), at(100));
    assert_eq!(Room::new(&order, &refunds).slot(&mine, at(101)), at(101));
}

#[test]
fn stock_returns_only_when_the_last_fen_went_back_of_an_order_that_was_not_so_before() {
    for before in OrderStatus::ALL {
        for after in OrderStatus::ALL {
            let wholly = before != OrderStatus::Refunded && after == OrderStatus::Refunded;
            let (before, after) = (order(before), order(after));
            assert_eq!(stock_returns(&before, &after, Restock::Yes), wholly);
            assert!(!stock_returns(&before, &after, Restock::No));
        }
    }
}

#[test]
fn only_an_order_that_holds_money_is_refundable_and_goods_that_left_do_not_come_back() {
    for status in OrderStatus::ALL {
        let paid = status != OrderStatus::Pending;
        assert_eq!(refundable(&order(status)).is_ok(), paid, "{status:?}");
        let unpaid = Order {
            paid_by: None,
            ..order(status)
        };
        assert_eq!(refundable(&unpaid), Err(Refusal::OrderState), "{status:?}");
        let here = status == OrderStatus::Paid || status == OrderStatus::Pending;
        let usual = if here { Restock::Yes } else { Restock::No };
        assert_eq!(Restock::usual(&order(status)), usual, "{status:?}");
    }
}

#[test]
fn a_reason_has_one_to_eighty_bytes() {
    let (longest, longer) = ("退".repeat(26) + "ab", "退".repeat(27));
    for (reason, good) in [
        ("", false),
        (" ", false),
        ("a", true),
        (&longest, true),
        (&longer, false),
    ] {
        assert_eq!(check_reason(reason).is_ok(), good, "{reason:?}");
    }
}

#[test]
fn waits_grow_from_a_minute_and_are_slower_for_an_empty_balance() {
    let table = [
        (Wait::Accepted, [60, 120, 240], 21_600),
        (Wait::Again, [60, 120, 240], 21_600),
        (Wait::Balance, [600, 1200, 2400], 21_600),
        (Wait::Person, [3600, 7200, 14_400], 86_400),
    ];
    for (kind, first, most) in table {
        let seconds = |step| wait(kind, step).as_secs();
        assert_eq!([0, 1, 2].map(seconds), first, "{kind:?}");
        assert_eq!([30, u16::MAX].map(seconds), [most, most], "{kind:?}");
    }
    let code = |code: &str| LastError {
        code: code.into(),
        message: String::new(),
        at: at(0),
    };
    let [mut refund] = <[Refund; 1]>::try_from(refunds(&[(1, Merchant, 1, Processing)])).unwrap();
    assert_eq!(wait_of(&refund), Wait::Again);
    for (said, wanted) in [
        ("NOT_ENOUGH", Wait::Balance),
        ("NOTENOUGH", Wait::Balance),
        ("UNKNOWN", Wait::Again),
    ] {
        refund.last_error = Some(code(said));
        assert_eq!(wait_of(&refund), wanted);
    }
    refund.refund_id = Some("5".into());
    assert_eq!(wait_of(&refund), Wait::Accepted);
    refund.status = Abnormal;
    assert_eq!(wait_of(&refund), Wait::Person);
}

#[test]
fn a_wish_is_open_once_and_ends_by_a_refund_or_a_reason() {
    let wish = |status, last: Option<&RefundRequest>| {
        RefundRequest::open(&order(status), last, "坏了", at(1))
    };
    for status in OrderStatus::ALL {
        let may = matches!(
            status,
            OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Completed
        );
        assert_eq!(wish(status, None).is_ok(), may, "{status:?}");
    }
    let open = wish(OrderStatus::Paid, None).unwrap();
    assert_eq!(
        wish(OrderStatus::Paid, Some(&open)),
        Err(Refusal::OrderState)
    );
    let refund_no = RefundNo::new(0, 1);
    let approved = open.clone().approved(&refund_no);
    assert_eq!(approved.status, RequestStatus::Approved);
    assert_eq!(approved.clone().declined("不"), Err(Refusal::OrderState));
    assert_eq!(approved.clone().reopened(&RefundNo::new(0, 2)), approved);
    assert_eq!(approved.clone().reopened(&refund_no), open);
    let declined = open.clone().declined("已拆封").unwrap();
    assert_eq!(declined.answer.as_deref(), Some("已拆封"));
    assert_eq!(declined.clone().approved(&refund_no), declined);
    for last in [approved, declined] {
        assert!(wish(OrderStatus::Paid, Some(&last)).is_ok());
    }
    for reason in ["", "  ", &"字".repeat(201), "\u{0}"] {
        assert!(RefundRequest::open(&order(OrderStatus::Paid), None, reason, at(1)).is_err());
        assert!(open.clone().declined(reason).is_err());
    }
    assert!(open.declined(&"字".repeat(200)).is_ok());
}

proptest! {
    #[test]
    fn what_is_checked_never_sums_above_what_was_paid(
        wishes in proptest::collection::vec((1..=2_u16, 0..90_u64, 0..4_usize), 0..20),
    ) {
        let order = order(OrderStatus::Paid);
        let mut made: Vec<Refund> = vec![];
        for (number, amount, end) in wishes {
            let paid = attempt(number, if number == 1 { 100 } else { 70 });
            let kind = if number == 1 { Merchant } else { Surplus };
            if Room::new(&order, &made).check(&paid, Fen::new(amount), at(99)).is_ok() {
                made.extend(refunds(&[(number, kind, amount, RefundStatus::ALL[end])]));
            }
            for (number, most) in [(1, 100), (2, 70)] {
                let of_attempt = made.iter().filter(|r| r.out_trade_no.attempt() == number);
                let sum: u64 = of_attempt.filter(|r| r.holds()).map(|r| r.amount.get()).sum();
                prop_assert!(sum <= most);
            }
        }
    }
}
