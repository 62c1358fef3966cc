//! Every step from every state of a refund, and that money is counted once on any path.

use proptest::prelude::*;

use super::*;
use crate::model::refund_samples::{at, attempt, new};

fn refund(status: RefundStatus, refund_id: Option<&str>, kind: RefundKind) -> Refund {
    let opened = Refund::open(new(kind, 30), &attempt(1, 100)).unwrap();
    Refund {
        status,
        refund_id: refund_id.map(str::to_owned),
        ..opened
    }
}

fn told(status: RefundStatus) -> Told {
    let success_at = (status == RefundStatus::Success).then(|| at(70));
    Told {
        refund_id: "5000".into(),
        status,
        success_at,
    }
}

fn error(code: &str) -> LastError {
    LastError {
        code: code.into(),
        message: "原因".into(),
        at: at(5),
    }
}

/// The kinds of notes, `count` and `owed`, in order.
fn names(effects: &[RefundEffect]) -> Vec<&'static str> {
    let name = |effect: &RefundEffect| match effect {
        RefundEffect::Count => "count",
        RefundEffect::StillOwed => "owed",
        RefundEffect::Note { kind, .. } => *kind,
    };
    effects.iter().map(name).collect()
}

#[test]
fn every_state_told_every_status_gives_what_the_table_says() {
    use RefundStatus::{Abnormal, Closed, Processing, Success};
    type Row = (RefundStatus, bool, [Option<&'static [&'static str]>; 4]);
    let (accepted, count) = (&["refund.accepted"][..], &["count"][..]);
    let (abnormal, closed) = (&["refund.abnormal"][..], &["refund.closed"][..]);
    let moves = [Some(accepted), Some(count), Some(abnormal), Some(closed)];
    let same = Some(&[][..]);
    let table: [Row; 7] = [
        (Processing, false, moves),
        (Processing, true, [same, moves[1], moves[2], moves[3]]),
        (Abnormal, false, moves),
        (Abnormal, true, [moves[0], moves[1], same, moves[3]]),
        (Success, true, [same, same, same, None]),
        (Closed, false, moves),
        (Closed, true, [same, None, same, same]),
    ];
    for (status, taken, row) in table {
        for (tells, wanted) in [Processing, Success, Abnormal, Closed].into_iter().zip(row) {
            let before = refund(status, taken.then_some("5000"), RefundKind::Merchant);
            let name = format!("{status:?} taken {taken} told {tells:?}");
            match (before.clone().told(&told(tells), at(90)), wanted) {
                (Err(why), None) => assert_eq!(why, RefundMismatch::Final, "{name}"),
                (Ok((after, effects)), Some(wanted)) => {
                    assert_eq!(names(&effects), wanted, "{name}");
                    let overtaken = before.is_final() && taken;
                    let status = if overtaken { status } else { tells };
                    assert_eq!(after.status, status, "{name}");
                    assert_eq!(after.refund_id.as_deref(), Some("5000"), "{name}");
                    let when = (tells == Success && !wanted.is_empty()).then(|| at(70));
                    assert_eq!(after.success_at, when.or(before.success_at), "{name}");
                }
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }
}

#[test]
fn a_success_without_its_time_is_of_now() {
    let silent = Told {
        success_at: None,
        ..told(RefundStatus::Success)
    };
    let before = refund(RefundStatus::Processing, None, RefundKind::Merchant);
    let (after, _) = before.told(&silent, at(90)).unwrap();
    assert_eq!(after.success_at, Some(at(90)));
}

#[test]
fn a_refusal_closes_what_the_merchant_wanted_and_leaves_open_what_is_owed() {
    use RefundStatus::{Abnormal, Closed, Processing, Success};
    let table = [
        (RefundKind::Merchant, Closed, &["refund.refused"][..]),
        (RefundKind::External, Closed, &["refund.refused"][..]),
        (
            RefundKind::Surplus,
            Abnormal,
            &["refund.refused", "owed"][..],
        ),
        (RefundKind::Late, Abnormal, &["refund.refused", "owed"][..]),
    ];
    for (kind, status, wanted) in table {
        let (after, effects) = refund(Processing, None, kind).refused(error("ERROR"));
        assert_eq!(
            (after.status, names(&effects)),
            (status, wanted.to_vec()),
            "{kind:?}"
        );
        assert_eq!(after.last_error, Some(error("ERROR")));
        assert_eq!(after.holds(), kind.is_owed(), "{kind:?}");
        for (status, id) in [
            (Processing, Some("5")),
            (Success, Some("5")),
            (Closed, None),
        ] {
            let before = refund(status, id, kind);
            assert_eq!(before.clone().refused(error("ERROR")), (before, vec![]));
        }
    }
}

#[test]
fn a_deferred_refund_keeps_its_state_and_number_and_says_why() {
    for status in [RefundStatus::Processing, RefundStatus::Abnormal] {
        let before = refund(status, None, RefundKind::Merchant);
        let (after, effects) = before.clone().deferred(error("NOTENOUGH"));
        assert_eq!(names(&effects), ["refund.deferred"]);
        let last_error = Some(error("NOTENOUGH"));
        assert_eq!(
            after,
            Refund {
                last_error,
                ..before
            }
        );
    }
    for status in [RefundStatus::Success, RefundStatus::Closed] {
        let before = refund(status, None, RefundKind::Merchant);
        assert_eq!(before.clone().deferred(error("X")), (before, vec![]));
    }
}

#[test]
fn what_wechat_closes_is_still_owed_when_it_was_nobodys_wish() {
    for kind in [RefundKind::Surplus, RefundKind::Late] {
        let before = refund(RefundStatus::Processing, Some("5000"), kind);
        let (after, effects) = before.told(&told(RefundStatus::Closed), at(90)).unwrap();
        assert_eq!(names(&effects), ["refund.closed", "owed"]);
        assert!(!after.holds());
    }
}

#[test]
fn a_refund_that_differs_in_any_point_is_not_ours() {
    let ours = refund(RefundStatus::Processing, None, RefundKind::Merchant);
    let number = ours.out_trade_no.to_string();
    let good = Claimed {
        out_trade_no: &number,
        transaction_id: "4200001",
        total: Fen::new(100),
        amount: Fen::new(30),
    };
    assert_eq!(ours.check(&good), Ok(()));
    let (no, id) = ("20260101000000A", "4200002");
    let (total, amount) = (Fen::new(101), Fen::new(31));
    let table = [
        (
            Claimed {
                out_trade_no: no,
                ..good.clone()
            },
            RefundMismatch::OutTradeNo,
        ),
        (
            Claimed {
                transaction_id: id,
                ..good.clone()
            },
            RefundMismatch::Transaction,
        ),
        (
            Claimed {
                total,
                ..good.clone()
            },
            RefundMismatch::Total,
        ),
        (
            Claimed {
                amount,
                ..good.clone()
            },
            RefundMismatch::Amount,
        ),
    ];
    for (claimed, why) in table {
        assert_eq!(ours.check(&claimed), Err(why));
    }
}

#[test]
fn what_wechat_closed_is_not_tried_again_and_what_it_refused_is_open_again() {
    for status in RefundStatus::ALL {
        for (id, kind) in [
            (Some("5"), RefundKind::Merchant),
            (None, RefundKind::External),
        ] {
            let refund = refund(status, id, kind);
            let open = status != RefundStatus::Closed;
            assert_eq!(refund.clone().taken_up().is_ok(), open, "{status:?}");
            assert!(!open || refund.clone().taken_up() == Ok(refund));
        }
    }
    let refused = refund(RefundStatus::Closed, None, RefundKind::Merchant);
    let status = RefundStatus::Processing;
    assert_eq!(refused.clone().taken_up(), Ok(Refund { status, ..refused }));
}

#[test]
fn where_the_end_is_told_is_fixed_by_the_first_sending() {
    let new = refund(RefundStatus::Processing, None, RefundKind::Merchant);
    let sent = new.sent("https://a/", at(1)).sent("https://b/", at(2));
    assert_eq!(
        (sent.notify_url.as_str(), sent.sent_at),
        ("https://a/", Some(at(2)))
    );
}

#[test]
fn an_unpaid_attempt_has_nothing_to_refund() {
    let unpaid = Attempt {
        transaction_id: None,
        ..attempt(1, 100)
    };
    assert_eq!(Refund::open(new(RefundKind::Merchant, 1), &unpaid), None);
}

#[derive(Clone, Debug)]
enum Step {
    Told(RefundStatus),
    Deferred,
    Refused,
    Absent,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        proptest::sample::select(RefundStatus::ALL.to_vec()).prop_map(Step::Told),
        Just(Step::Deferred),
        Just(Step::Refused),
        Just(Step::Absent),
    ];
    proptest::collection::vec(step, 0..12)
}

proptest! {
    #[test]
    fn money_is_counted_once_on_any_path_and_never_uncounted(
        path in steps(),
        kind in proptest::sample::select(vec![RefundKind::Merchant, RefundKind::Late]),
    ) {
        let mut refund = refund(RefundStatus::Processing, None, kind);
        let mut counted = 0;
        for step in path {
            let before = refund.clone();
            let (after, effects) = match step {
                Step::Told(status) => match refund.told(&told(status), at(90)) {
                    Ok(step) => step,
                    Err(_) => (before.clone(), vec![]),
                },
                Step::Deferred => refund.deferred(error("UNKNOWN")),
                Step::Refused => refund.refused(error("ERROR")),
                Step::Absent => (refund.absent(), vec![]),
            };
            counted += names(&effects).iter().filter(|name| **name == "count").count();
            prop_assert_eq!(after.status == RefundStatus::Success, counted == 1);
            prop_assert!(counted <= 1);
            prop_assert_eq!(&after.refund_no, &before.refund_no);
            prop_assert_eq!(after.amount, before.amount);
            refund = after;
        }
    }
}
