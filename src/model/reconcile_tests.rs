use proptest::prelude::*;

use super::*;
use crate::base::OrderNo;

const OURS: &str = "20260101ABCDEF";

fn number() -> OutTradeNo {
    OutTradeNo::new(OURS.parse::<OrderNo>().unwrap(), 1)
}

fn bill(amount: u64, transaction_id: &str) -> BillPayment {
    BillPayment {
        out_trade_no: OURS.to_owned(),
        transaction_id: transaction_id.to_owned(),
        amount: Fen::new(amount),
        at: None,
    }
}

fn local(amount: u64, paid: Option<&str>) -> LocalPayment {
    LocalPayment {
        out_trade_no: number(),
        amount: Fen::new(amount),
        paid: paid.map(str::to_owned),
    }
}

fn class(verdict: &Verdict) -> Option<Class> {
    match verdict {
        Verdict::Differs(class, _) => Some(*class),
        Verdict::Matched | Verdict::Unpaid(_) | Verdict::ForeignRefund(_) => None,
    }
}

#[test]
fn a_payment_matches_only_with_its_amount_and_its_transaction() {
    let row = bill(100, "T1");
    assert_eq!(
        judge_payment(&row, Some(&local(100, Some("T1")))),
        Verdict::Matched
    );
    let unpaid = judge_payment(&row, Some(&local(100, None)));
    assert_eq!(unpaid, Verdict::Unpaid(number()));
    let table = [
        (None, Class::MissingLocal),
        (Some(local(100, Some("T2"))), Class::MissingLocal),
        (Some(local(101, Some("T1"))), Class::AmountDiffers),
        (Some(local(101, None)), Class::AmountDiffers),
    ];
    for (local, expected) in table {
        assert_eq!(
            class(&judge_payment(&row, local.as_ref())),
            Some(expected),
            "{local:?}"
        );
    }
}

#[test]
fn a_refund_is_compared_by_its_number_its_payment_and_its_amount() {
    let row = BillRefund {
        out_trade_no: OURS.to_owned(),
        transaction_id: "T1".to_owned(),
        refund_no: "R1".to_owned(),
        amount: Fen::new(30),
        at: None,
    };
    let refund = |out_trade_no: &str, amount| LocalRefund {
        out_trade_no: out_trade_no.to_owned(),
        amount: Fen::new(amount),
    };
    let payment = local(100, Some("T1"));
    let judged = |local: Option<LocalRefund>, payment| judge_refund(&row, local.as_ref(), payment);
    assert_eq!(
        judged(Some(refund(OURS, 30)), Some(&payment)),
        Verdict::Matched
    );
    assert_eq!(
        judged(None, Some(&payment)),
        Verdict::ForeignRefund(number())
    );
    let table = [
        (Some(refund(OURS, 31)), Some(&payment), Class::AmountDiffers),
        (
            Some(refund("another", 30)),
            Some(&payment),
            Class::MissingLocal,
        ),
        (None, None, Class::MissingLocal),
    ];
    for (local, payment, expected) in table {
        assert_eq!(
            class(&judged(local.clone(), payment)),
            Some(expected),
            "{local:?}"
        );
    }
}

proptest! {
    /// The rules again, said the other way round: matched means that nothing differs, and nothing
    /// is left out of the classes or in two of them.
    #[test]
    fn any_row_comes_to_one_class_and_matches_only_when_nothing_differs(
        bill_fen in 1_u64..4,
        local_fen in 1_u64..4,
        known in any::<bool>(),
        paid in proptest::option::of(0_u8..3),
        there in 0_u8..3,
    ) {
        let row = bill(bill_fen, &there.to_string());
        let paid = paid.map(|id| id.to_string());
        let ours = local(local_fen, paid.as_deref());
        let verdict = judge_payment(&row, known.then_some(&ours));
        let same_money = known && bill_fen == local_fen;
        let same_trade = paid == Some(there.to_string());
        prop_assert_eq!(verdict == Verdict::Matched, same_money && same_trade);
        let asks = matches!(verdict, Verdict::Unpaid(_));
        prop_assert_eq!(asks, same_money && paid.is_none());
        let differs = class(&verdict) == Some(Class::AmountDiffers);
        prop_assert_eq!(differs, known && bill_fen != local_fen);
        let missing = class(&verdict) == Some(Class::MissingLocal);
        prop_assert_eq!(missing, !known || (same_money && paid.is_some() && !same_trade));
    }
}
