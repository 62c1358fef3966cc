//! What is owed and partly went back by hand: the rest goes back, and no fen twice.

use crate::base::Fen;
use crate::model::{Refund, RefundKind, RefundStatus};
use crate::shop::refund_news_tests::late;
use crate::shop::refund_tests::kept;
use crate::shop::stand::Stand;

fn held(all: &[Refund]) -> Vec<(RefundKind, u64)> {
    let held = all.iter().filter(|refund| refund.holds());
    let mut held: Vec<_> = held.map(|r| (r.kind, r.amount.get())).collect();
    held.sort_by_key(|(_, amount)| *amount);
    held
}

async fn refunded_by_hand() -> Stand {
    let stand = late().await;
    stand.wechat.refunds_by_hand("R1", 100, &stand.number(1));
    stand
}

#[tokio::test]
async fn late_money_partly_refunded_by_hand_goes_back_to_the_last_fen() {
    let stand = refunded_by_hand().await;
    stand.work().await;
    stand.pass(130).await;
    let all = kept(&stand).await;
    let wanted = [(RefundKind::External, 100), (RefundKind::Late, 294)];
    assert_eq!(held(&all), wanted, "{all:#?}");
    stand.wechat.refunds_end("SUCCESS");
    stand.pass(4000).await;
    let all = kept(&stand).await;
    assert_eq!(held(&all), wanted);
    let open = all
        .iter()
        .any(|r| r.holds() && r.status != RefundStatus::Success);
    assert!(!open, "{all:#?}");
    assert_eq!(stand.told().await.order.refunded, Fen::new(394));
    assert_eq!(stand.lines("refund.replaced").await.len(), 1);
}
