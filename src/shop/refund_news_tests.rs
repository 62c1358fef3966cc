//! What WeChat tells of refunds: late money, notices, the merchant platform; and buyers' wishes.

use super::fake_wechat::Fault;
use super::notify::Heard;
use super::refund_tests::{kept, notice, paid, refund, refusal};
use super::stand::{STOCK, Stand, another};
use crate::base::{Fen, GoodsId};
use crate::model::goods::GoodsChange;
use crate::model::refund::RefundMismatch;
use crate::model::refund_request::RequestStatus;
use crate::model::{OrderStatus, RefundKind, RefundStatus, Refusal};

/// A closed order without stock, for which money arrives.
pub(super) async fn late() -> Stand {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    assert_eq!(stand.cancel().await.unwrap().status, OrderStatus::Closed);
    let none = stand
        .shop
        .change_goods(GoodsId::new(1), GoodsChange::default(), Some(0));
    none.await.unwrap();
    stand.wechat.knows(&stand.number(1), "SUCCESS", "394");
    let id = stand.wechat.held(&stand.number(1)).unwrap().transaction_id;
    assert_eq!(stand.notified(1, &id).await, Heard::Applied);
    stand
}

#[tokio::test]
async fn late_money_without_stock_goes_back_by_itself_and_the_order_stays_closed() {
    let stand = late().await;
    stand.work().await;
    let refund = &kept(&stand).await[0];
    assert_eq!((refund.kind, refund.amount.get()), (RefundKind::Late, 394));
    assert!(refund.refund_id.is_some());
    stand.wechat.refunds_end("SUCCESS");
    stand.pass(61).await;
    let order = stand.told().await.order;
    assert_eq!(
        (order.status, order.refunded.get()),
        (OrderStatus::Closed, 394)
    );
    assert!(order.paid_at.is_some() && order.transaction_id.is_some());
    assert_eq!(
        stand.stock().await,
        0,
        "nothing was reserved, so nothing returns"
    );
}

#[tokio::test]
async fn what_is_owed_does_not_end_with_a_refusal_and_is_listed_for_the_merchant() {
    let stand = late().await;
    stand.wechat.refuses_refunds(Some("ERROR"));
    stand.work().await;
    let refund = kept(&stand).await.remove(0);
    assert_eq!(refund.status, RefundStatus::Abnormal);
    assert!(refund.last_error.is_some() && refund.next_at.is_some());
    assert_eq!(stand.unmatched().await.len(), 1);
    stand.wechat.refuses_refunds(None);
    stand.pass(4000).await;
    assert!(kept(&stand).await[0].refund_id.is_some());
}

#[tokio::test]
async fn a_v2_notice_moves_nothing_until_wechat_confirms_it() {
    let stand = paid().await;
    let open = refund(&stand, 394).await.unwrap();
    let held = stand.wechat.refunds()[open.refund_no.as_str()].clone();
    let claims = held.notice(open.refund_no.as_str(), "SUCCESS");
    assert_eq!(notice(&stand.shop, &claims).await, Heard::Applied);
    assert_eq!(
        stand.told().await.order.refunded,
        Fen::ZERO,
        "the query says: processing"
    );
    stand.wechat.refunds_end("SUCCESS");
    stand.wechat.fault(Some(Fault::Down));
    assert_eq!(notice(&stand.shop, &claims).await, Heard::Unavailable);
    assert_eq!(stand.told().await.order.refunded, Fen::ZERO);
    stand.wechat.fault(None);
    for _ in 0..3 {
        assert_eq!(notice(&stand.shop, &claims).await, Heard::Applied);
    }
    let order = stand.told().await.order;
    assert_eq!(
        (order.status, order.refunded.get()),
        (OrderStatus::Refunded, 394)
    );
    assert_eq!(stand.stock().await, STOCK);
    let strange = held.notice("R20260101000000AAAAAAAAAAAA", "SUCCESS");
    let absent = Heard::RefundDiffers(RefundMismatch::Absent);
    assert_eq!(notice(&stand.shop, &strange).await, absent);
    assert_eq!(kept(&stand).await.len(), 1);
    assert_eq!(stand.unmatched().await.len(), 1);
}

#[tokio::test]
async fn a_refund_of_the_merchant_platform_is_taken_in_and_counted() {
    let stand = paid().await;
    stand.wechat.refunds_by_hand("50*1", 94, &stand.number(1));
    let held = stand.wechat.refunds()["50*1"].clone();
    let claims = held.notice("50*1", "SUCCESS");
    for _ in 0..2 {
        assert_eq!(notice(&stand.shop, &claims).await, Heard::Applied);
    }
    let told = stand.told().await;
    assert_eq!(
        (told.order.status, told.order.refunded.get()),
        (OrderStatus::Paid, 94)
    );
    assert_eq!(told.beside.refunds[0].kind, RefundKind::External);
    assert_eq!(
        refund(&stand, 301).await,
        Err(Refusal::RefundExceeds {
            left: Fen::new(300)
        })
    );
    assert!(stand.unmatched().await.is_empty());
}

#[tokio::test]
async fn a_platform_refund_of_what_is_reserved_here_is_alarmed_and_never_counted_too_high() {
    let stand = paid().await;
    stand.wechat.fault(Some(Fault::Down));
    let ours = refund(&stand, 394).await.unwrap();
    stand.wechat.fault(None);
    stand.wechat.refunds_by_hand("501", 394, &stand.number(1));
    stand.pass(61).await;
    let refunds = kept(&stand).await;
    let status = |no: &str| {
        refunds
            .iter()
            .find(|r| r.refund_no.as_str() == no)
            .unwrap()
            .status
    };
    assert_eq!(status(ours.refund_no.as_str()), RefundStatus::Closed);
    stand.sync().await.unwrap();
    let order = stand.told().await.order;
    assert_eq!(
        (order.status, order.refunded.get()),
        (OrderStatus::Refunded, 394)
    );
}

#[tokio::test]
async fn a_restored_copy_learns_of_refunds_that_it_forgot_when_wechat_refuses_another() {
    let stand = paid().await;
    stand
        .wechat
        .refunds_by_hand("R20260101000000AAAAAAAAAAAA", 394, &stand.number(1));
    let refused = refund(&stand, 394).await.unwrap_err();
    assert!(
        matches!(refused, Refusal::RefundRefused { .. }),
        "{refused}"
    );
    let order = stand.told().await.order;
    assert_eq!(
        (order.status, order.refunded.get()),
        (OrderStatus::Refunded, 394)
    );
}

#[tokio::test]
async fn a_wish_is_approved_by_a_refund_opened_again_by_its_refusal_and_declined_by_a_reason() {
    let stand = paid().await;
    let order_no = || stand.order_no.clone();
    let wish = || {
        let reason = "坏了".to_owned();
        stand
            .shop
            .request_refund(crate::base::Uid::new(1), order_no(), reason, stand.now())
    };
    wish().await.unwrap();
    assert_eq!(refusal(wish().await.unwrap_err()), Refusal::OrderState);
    let status = || async { stand.told().await.beside.request.unwrap().status };
    stand.wechat.refuses_refunds(Some("ERROR"));
    assert!(refund(&stand, 1).await.is_err());
    assert_eq!(status().await, RequestStatus::Open);
    stand.wechat.refuses_refunds(None);
    stand.shop.clock().advance(61);
    refund(&stand, 1).await.unwrap();
    assert_eq!(status().await, RequestStatus::Approved);
    wish().await.unwrap();
    let no = stand
        .shop
        .decline_refund(order_no(), "已拆封".to_owned(), stand.now());
    no.await.unwrap();
    let wish = stand.told().await.beside.request.unwrap();
    assert_eq!(
        (wish.status, wish.answer.as_deref()),
        (RequestStatus::Declined, Some("已拆封"))
    );
    let stranger = another(&stand).await;
    let reason = "坏了".to_owned();
    let unpaid = stranger.shop.request_refund(
        crate::base::Uid::new(1),
        stranger.order_no.clone(),
        reason,
        stand.now(),
    );
    assert_eq!(refusal(unpaid.await.unwrap_err()), Refusal::OrderState);
}
