//! What is done about a difference by hand, and what stays as it is.

use super::*;
use crate::model::OrderStatus;
use crate::shop::reconcile::tests::{asked, bill, listed, morning_after, told};
use crate::shop::stand::Stand;
use crate::store::reconciliations::RowKind;

pub(in crate::shop) async fn settle(
    stand: &Stand,
    day: Day,
    number: &str,
    remedy: Remedy,
) -> Result<Vec<DayRow>, ShopError> {
    let wanted = Settle {
        day,
        out_trade_no: number.to_owned(),
        remedy,
        by: "API 密钥 1".to_owned(),
    };
    stand.shop.settle(wanted).await
}

#[tokio::test]
async fn a_genuine_notify_that_matched_nothing_is_listed_until_someone_has_seen_it() {
    let (stand, number, _) = asked().await;
    stand.wechat.knows(&number, "SUCCESS", "393");
    stand.notified(1, "42001").await;
    let day = Day::of(stand.now());
    let row = &told(&stand, day).await.rows[0][0];
    assert_eq!(
        (row.kind, row.run, row.ours.is_some()),
        (RowKind::Notify, 0, true)
    );
    assert_eq!(
        row.local.zip(row.wechat).map(|(a, b)| (a.get(), b.get())),
        Some((394, 393))
    );
    morning_after(&stand, day);
    stand.shop.reconcile(day).await.unwrap();
    assert_eq!(
        listed(&stand, day).await,
        [(Class::MissingLocal, number.clone(), None)]
    );
    // The bill says more of it than the notify did: one row a payment.
    stand
        .wechat
        .bill(&day.compact(), &bill(&[(&number, "42001", "3.93")], &[]));
    stand.shop.reconcile(day).await.unwrap();
    assert_eq!(
        listed(&stand, day).await,
        [(Class::AmountDiffers, number.clone(), None)]
    );
    let seen = settle(&stand, day, &number, Remedy::Seen).await.unwrap();
    let settled = seen[0].settled.clone().unwrap();
    assert_eq!(
        (settled.how, settled.by.as_str()),
        (Settling::Seen, "API 密钥 1")
    );
    assert_eq!(stand.shop.reconcile(day).await.unwrap().open_rows(), 0);
    let again = settle(&stand, day, &number, Remedy::Adopt).await.unwrap();
    assert_eq!(
        again[0].settled,
        Some(settled),
        "what is settled stays as it was settled"
    );
    let missing = settle(&stand, day, "SHOP-0001", Remedy::Seen).await;
    assert!(matches!(
        missing,
        Err(ShopError::Refused(Refusal::RowNotFound))
    ));
}

#[tokio::test]
async fn money_that_was_missing_here_is_adopted_when_wechat_confirms_it() {
    let (stand, number, day) = asked().await;
    morning_after(&stand, day);
    stand
        .wechat
        .bill(&day.compact(), &bill(&[(&number, "42001", "3.94")], &[]));
    stand.shop.reconcile(day).await.unwrap();
    let refused = settle(&stand, day, &number, Remedy::Adopt).await;
    assert!(matches!(
        refused,
        Err(ShopError::Refused(Refusal::RowStays { .. }))
    ));
    stand.wechat.knows(&number, "SUCCESS", "394");
    let adopted = settle(&stand, day, &number, Remedy::Adopt).await.unwrap();
    assert_eq!(
        adopted[0].settled.as_ref().map(|s| s.how),
        Some(Settling::Adopted)
    );
    assert_eq!(stand.status().await, OrderStatus::Paid);
    assert_eq!(told(&stand, day).await.known.open_rows(), 0);
}
