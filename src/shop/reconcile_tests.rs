//! Days whose bill and whose orders agree, or do not, against a scripted WeChat.

use super::*;
use crate::base::OutTradeNo;
use crate::model::attempt::Counted;
use crate::model::reconcile::Class;
use crate::model::{AttemptState, OrderStatus, Payment};
use crate::shop::fake_wechat::Fault;
use crate::shop::settling::ToldDay;
use crate::shop::stand::{Stand, another};
use crate::store::attempts;
use crate::store::reconciliations::Settling;

pub(in crate::shop) const NOON: Duration = Duration::from_secs(12 * 3600);

/// A bill of payments `(number, transaction, yuan)` and refunds `(number, refund_no, yuan)`.
pub(in crate::shop) fn bill(
    payments: &[(&str, &str, &str)],
    refunds: &[(&str, &str, &str)],
) -> String {
    let mut text =
        "交易时间,微信订单号,商户订单号,交易状态,商户退款单号,订单金额,申请退款金额\n".to_owned();
    for (number, id, yuan) in payments {
        let time = "2026-01-01 12:00:00";
        text.push_str(&format!(
            "`{time},`{id},`{number},`SUCCESS,`0,`{yuan},`0.00\n"
        ));
    }
    for (number, refund_no, yuan) in refunds {
        let time = "2026-01-01 13:00:00";
        text.push_str(&format!(
            "`{time},`4200,`{number},`REFUND,`{refund_no},`0.00,`{yuan}\n"
        ));
    }
    let count = payments.len() + refunds.len();
    text.push_str(&format!("总交易单数\n`{count}\n"));
    text
}

/// An order whose buyer was asked to pay today, and the number of its attempt.
pub(in crate::shop) async fn asked() -> (Stand, String, Day) {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    let number = stand.number(1);
    let day = Day::of(stand.told().await.order.created_at);
    (stand, number, day)
}

/// The time comes at which the bill of `day` is there.
pub(in crate::shop) fn morning_after(stand: &Stand, day: Day) {
    let wait = ready_at(day).unix() - stand.now().unix();
    stand.shop.clock().advance(wait.max(0));
}

/// We know since `at` that this transaction paid the order's attempt.
pub(in crate::shop) async fn paid_here(stand: &Stand, transaction_id: &str, at: Timestamp) {
    let number: OutTradeNo = stand.number(1).parse().unwrap();
    let id = transaction_id.parse().unwrap();
    let write = stand.shop.store.write(move |tx: &mut Tx<'_>| {
        let attempt = attempts::attempt(tx, &number)?.unwrap();
        let payment = Payment {
            protocol: attempt.protocol,
            appid: attempt.appid.to_string(),
            mchid: attempt.mchid.to_string(),
            out_trade_no: number.to_string(),
            transaction_id: crate::base::TransactionId::clone(&id),
            amount: attempt.amount,
            currency: "CNY".to_owned(),
            paid_at: at,
        };
        let paid = attempt.paid(&payment, Counted::PaysTheOrder);
        Ok::<_, ShopError>(attempts::put(tx, &paid)?)
    });
    write.await.unwrap();
}

pub(in crate::shop) async fn told(stand: &Stand, day: Day) -> ToldDay {
    stand.shop.told_day(day, 100).await.unwrap().unwrap()
}

/// The differences of a day: class, number, whether settled.
pub(in crate::shop) async fn listed(
    stand: &Stand,
    day: Day,
) -> Vec<(Class, String, Option<Settling>)> {
    let told = told(stand, day).await;
    let counted = told
        .rows
        .each_ref()
        .map(|rows| u64::try_from(rows.len()).unwrap());
    assert_eq!(told.known.rows, counted, "the counts are not the rows'");
    let rows = told.rows.into_iter().flatten();
    let one = |row: DayRow| (row.class, row.out_trade_no, row.settled.map(|s| s.how));
    rows.map(one).collect()
}

#[tokio::test]
async fn what_is_paid_on_both_sides_with_one_amount_is_matched_and_nothing_else() {
    let (stand, number, day) = asked().await;
    paid_here(&stand, "42001", day.at(NOON)).await;
    let date = day.compact();
    morning_after(&stand, day);
    stand
        .wechat
        .bill(&date, &bill(&[(&number, "42001", "3.94")], &[]));
    let known = stand.shop.reconcile(day).await.unwrap();
    assert_eq!(
        (known.status, known.matched, known.bill_rows),
        (DayStatus::Done, 1, 1)
    );
    assert_eq!(listed(&stand, day).await, []);
    let table = [
        (("42001", "3.95"), Class::AmountDiffers),
        (("42002", "3.94"), Class::MissingLocal),
    ];
    for ((id, yuan), class) in table {
        stand.wechat.bill(&date, &bill(&[(&number, id, yuan)], &[]));
        let known = stand.shop.reconcile(day).await.unwrap();
        assert_eq!((known.matched, known.open_rows()), (0, 1), "{id} {yuan}");
        assert_eq!(listed(&stand, day).await, [(class, number.clone(), None)]);
    }
    stand
        .wechat
        .bill(&date, &bill(&[(&number, "42001", "3.94")], &[]));
    assert_eq!(stand.shop.reconcile(day).await.unwrap().open_rows(), 0);
    assert_eq!(
        listed(&stand, day).await,
        [],
        "a difference that is gone is still listed"
    );
}

#[tokio::test]
async fn a_payment_whose_notify_was_lost_is_healed_by_a_query() {
    let (stand, number, day) = asked().await;
    let id = stand.wechat.pays(&number).unwrap();
    morning_after(&stand, day);
    stand
        .wechat
        .bill(&day.compact(), &bill(&[(&number, &id, "3.94")], &[]));
    let known = stand.shop.reconcile(day).await.unwrap();
    assert_eq!((known.status, known.open_rows()), (DayStatus::Done, 0));
    assert_eq!(stand.status().await, OrderStatus::Paid);
    let healed = (Class::MissingLocal, number, Some(Settling::Healed));
    assert_eq!(listed(&stand, day).await, std::slice::from_ref(&healed));
    assert_eq!(stand.shop.reconcile(day).await.unwrap().matched, 1);
    assert_eq!(
        listed(&stand, day).await,
        [healed],
        "what was settled stays visible"
    );
}

#[tokio::test]
async fn a_bill_alone_pays_no_order() {
    let (stand, number, day) = asked().await;
    morning_after(&stand, day);
    stand
        .wechat
        .bill(&day.compact(), &bill(&[(&number, "42001", "3.94")], &[]));
    let known = stand.shop.reconcile(day).await.unwrap();
    assert_eq!((known.status, known.open_rows()), (DayStatus::Done, 1));
    assert_eq!(stand.status().await, OrderStatus::Pending);
    assert_eq!(stand.attempts().await, [AttemptState::Open]);
    // And one whose amount is not the order's is not even asked about.
    let heard = stand.wechat.heard().len();
    stand
        .wechat
        .bill(&day.compact(), &bill(&[(&number, "42001", "3.93")], &[]));
    stand.shop.reconcile(day).await.unwrap();
    let asked = stand.wechat.heard().split_off(heard);
    assert!(
        asked.iter().all(|call| !call.starts_with("orderquery")),
        "{asked:?}"
    );
    assert_eq!(
        listed(&stand, day).await,
        [(Class::AmountDiffers, number, None)]
    );
}

#[tokio::test]
async fn a_day_whose_payments_could_not_be_asked_about_is_tried_again() {
    let (stand, number, day) = asked().await;
    stand.wechat.pays(&number).unwrap();
    morning_after(&stand, day);
    stand
        .wechat
        .bill(&day.compact(), &bill(&[(&number, "42001", "3.94")], &[]));
    stand.wechat.fault(Some(Fault::Mute));
    let known = stand.shop.reconcile(day).await.unwrap();
    assert_eq!((known.status, known.open_rows()), (DayStatus::Failed, 1));
    stand.wechat.fault(None);
    let known = stand.shop.reconcile(day).await.unwrap();
    assert_eq!((known.status, known.open_rows()), (DayStatus::Done, 0));
}

#[tokio::test]
async fn what_is_paid_here_only_is_missing_there_unless_a_bill_beside_has_it() {
    let (stand, number, day) = asked().await;
    paid_here(&stand, "42001", day.at(NOON)).await;
    morning_after(&stand, day.after(1));
    let known = stand.shop.reconcile(day).await.unwrap();
    assert_eq!((known.status, known.matched), (DayStatus::Done, 0));
    assert_eq!(
        listed(&stand, day).await,
        [(Class::MissingWechat, number.clone(), None)]
    );
    let row = bill(&[(&number, "42001", "3.94")], &[]);
    for beside in [day.before(1), day.after(1)] {
        stand.wechat.bill(&beside.compact(), &row);
        stand.shop.reconcile(day).await.unwrap();
        assert_eq!(listed(&stand, day).await, [], "{beside}");
        stand.wechat.bill(&beside.compact(), &bill(&[], &[]));
    }
    // There the row is no difference either, though our record is of another day.
    stand.wechat.bill(&day.after(1).compact(), &row);
    let beside = stand.shop.reconcile(day.after(1)).await.unwrap();
    assert_eq!((beside.matched, beside.open_rows()), (1, 0));
}

#[tokio::test]
async fn a_payment_just_before_midnight_waits_for_the_next_bill_when_wechat_confirms_it() {
    let (stand, number, day) = asked().await;
    let late = Timestamp::from_unix(day.end().unix() - 5);
    let id = stand.wechat.pays(&number).unwrap();
    paid_here(&stand, &id, late).await;
    morning_after(&stand, day);
    stand.shop.reconcile(day).await.unwrap();
    assert_eq!(listed(&stand, day).await, []);
    stand.wechat.knows(&number, "NOTPAY", "394");
    stand.shop.reconcile(day).await.unwrap();
    assert_eq!(
        listed(&stand, day).await,
        [(Class::MissingWechat, number, None)]
    );
}

#[tokio::test]
async fn trades_and_refunds_that_are_not_ours_are_listed_without_an_order() {
    let (stand, number, day) = asked().await;
    paid_here(&stand, "42001", day.at(NOON)).await;
    morning_after(&stand, day);
    let payments = [
        (number.as_str(), "42001", "3.94"),
        ("SHOP-0001", "42009", "8.00"),
    ];
    let refunds = [(number.as_str(), "R1", "1.00"), ("SHOP-0001", "R2", "8.00")];
    stand
        .wechat
        .bill(&day.compact(), &bill(&payments, &refunds));
    let known = stand.shop.reconcile(day).await.unwrap();
    assert_eq!((known.matched, known.open_rows()), (1, 3));
    let [missing_local, ..] = told(&stand, day).await.rows;
    let told = |row: &DayRow| {
        (
            row.out_trade_no.clone(),
            row.refund_no.clone(),
            row.ours.is_some(),
        )
    };
    let rows: Vec<_> = missing_local.iter().map(told).collect();
    let row = |number: &str, refund: &str, ours| (number.to_owned(), refund.to_owned(), ours);
    let mut expected = [
        row(&number, "R1", true),
        row("SHOP-0001", "", false),
        row("SHOP-0001", "R2", false),
    ];
    expected.sort();
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_bill_that_is_late_lost_or_wrong_is_tried_again_until_it_is_compared() {
    let (stand, number, day) = asked().await;
    paid_here(&stand, "42001", day.at(NOON)).await;
    stand.shop.plan_bills().await.unwrap();
    stand.work().await;
    assert_eq!(
        stand
            .shop
            .told_day(day, 0)
            .await
            .unwrap()
            .map(|t| t.known.run),
        None
    );
    let creating = "<xml><return_msg>Bill Creating</return_msg></xml>";
    stand.wechat.bill(&day.compact(), creating);
    morning_after(&stand, day);
    stand.work().await;
    assert_eq!(told(&stand, day).await.known.status, DayStatus::Waiting);
    let good = bill(&[(&number, "42001", "3.94")], &[]);
    stand
        .wechat
        .bill(&day.compact(), &good.replace("`1\n", "`2\n"));
    stand.pass(1800).await;
    let known = told(&stand, day).await.known;
    assert_eq!(
        (known.status, known.run),
        (DayStatus::Failed, 2),
        "{}",
        known.reason
    );
    stand.wechat.fault(Some(Fault::Down));
    stand.pass(1800).await;
    assert_eq!(told(&stand, day).await.known.run, 3);
    stand.wechat.fault(None);
    stand.wechat.bill(&day.compact(), &good);
    stand.pass(1800).await;
    let known = told(&stand, day).await.known;
    assert_eq!(
        (known.status, known.matched, known.run),
        (DayStatus::Done, 1, 4)
    );
    stand.pass(7200).await;
    assert_eq!(
        told(&stand, day).await.known.run,
        4,
        "a day that is done was done again"
    );
}

#[tokio::test]
async fn days_missed_while_the_server_was_off_are_made_up_for_in_turn() {
    let (stand, _, day) = asked().await;
    stand.shop.plan_bills().await.unwrap();
    stand.shop.plan_bills().await.unwrap();
    morning_after(&stand, day.after(3));
    stand.work().await;
    for missed in 0..=3 {
        let known = told(&stand, day.after(missed)).await.known;
        assert_eq!(
            (known.status, known.run),
            (DayStatus::Done, 1),
            "day {missed}"
        );
    }
    assert!(
        stand
            .shop
            .told_day(day.after(4), 0)
            .await
            .unwrap()
            .is_none()
    );
    // After a year only what WeChat still has is asked for.
    stand.shop.clock().advance(365 * 86_400);
    stand.work().await;
    let asked = stand.wechat.heard().into_iter();
    let bills = asked.filter(|call| call.starts_with("downloadbill"));
    assert!(bills.count() < 100);
}

#[tokio::test]
async fn today_and_later_are_refused_and_a_failure_is_kept_with_its_reason() {
    let (stand, _, day) = asked().await;
    let today = Day::of(stand.now());
    for day in [today, today.after(1)] {
        let refused = stand.shop.reconcile(day).await;
        assert!(matches!(
            refused,
            Err(ShopError::Refused(Refusal::FieldInvalid { .. }))
        ));
    }
    stand.wechat.fault(Some(Fault::Down));
    morning_after(&stand, day);
    let failed = stand.shop.reconcile(day).await;
    assert!(matches!(failed, Err(ShopError::Wechat(_))), "{failed:?}");
    let known = told(&stand, day).await.known;
    assert!(known.status == DayStatus::Failed && !known.reason.is_empty());
}

#[tokio::test]
async fn each_day_is_listed_newest_first_and_two_orders_are_told_apart() {
    let (stand, number, day) = asked().await;
    let other = another(&stand).await;
    other.pay().await.unwrap();
    paid_here(&stand, "42001", day.at(NOON)).await;
    paid_here(&other, "42002", day.at(NOON)).await;
    morning_after(&stand, day.after(1));
    stand
        .wechat
        .bill(&day.compact(), &bill(&[(&number, "42001", "3.94")], &[]));
    stand.shop.reconcile(day).await.unwrap();
    stand.shop.reconcile(day.after(1)).await.unwrap();
    assert_eq!(
        listed(&stand, day).await,
        [(Class::MissingWechat, other.number(1), None)]
    );
    let page = |cursor| crate::store::PageWanted { cursor, limit: 1 };
    let first = stand.shop.list_days(page(None), 9).await.unwrap();
    assert_eq!(first.items[0].known.day, day.after(1));
    let second = stand
        .shop
        .list_days(page(first.next_cursor), 9)
        .await
        .unwrap();
    assert_eq!((second.items[0].known.day, second.next_cursor), (day, None));
}
