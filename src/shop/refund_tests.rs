//! Refunds from the merchant's wish to the money's return, against a scripted WeChat.

use super::fake_wechat::Fault;
use super::notify::Heard;
use super::refunds::RefundWanted;
use super::stand::{STOCK, Stand};
use super::{Shop, ShopError};
use crate::base::{Fen, RefundNo};
use crate::model::{OrderStatus, Refund, RefundStatus, Refusal, Restock};
use crate::store::idempotency::{Claim, Usage};
use crate::wechat::SignatureHeaders;

/// A stand whose one order is paid.
pub(super) async fn paid() -> Stand {
    let stand = Stand::open().await;
    stand.pay().await.unwrap();
    let id = stand.wechat.pays(&stand.number(1)).unwrap();
    assert_eq!(stand.notified(1, &id).await, Heard::Applied);
    stand
}

pub(super) fn wanted(amount: u64) -> RefundWanted {
    RefundWanted {
        amount: Fen::new(amount),
        reason: "不想要了".to_owned(),
        restock: None,
        claim: None,
    }
}

pub(super) async fn refund(stand: &Stand, amount: u64) -> Result<Refund, Refusal> {
    let asked = stand.shop.refund(stand.order_no.clone(), wanted(amount));
    asked.await.map_err(refusal)
}

pub(super) fn refusal(error: ShopError) -> Refusal {
    match error {
        ShopError::Refused(refusal) => refusal,
        other => panic!("{other}"),
    }
}

pub(super) async fn retry(stand: &Stand, refund_no: &RefundNo) -> Result<Refund, Refusal> {
    let asked = stand
        .shop
        .retry_refund(stand.order_no.clone(), refund_no.clone());
    asked.await.map_err(refusal)
}

pub(super) async fn kept(stand: &Stand) -> Vec<Refund> {
    stand.shop.refunds(stand.order_no.clone()).await.unwrap()
}

pub(super) async fn notice(shop: &Shop, body: &str) -> Heard {
    let none = SignatureHeaders::read(|_| None);
    let now = shop.clock().now();
    shop.take_refund_notify(&none, body.as_bytes(), now).await
}

/// The refund calls that WeChat heard, in order.
pub(super) fn calls(stand: &Stand) -> Vec<String> {
    let heard = stand.wechat.heard().into_iter();
    heard.filter(|call| call.starts_with("refund ")).collect()
}

#[tokio::test]
async fn a_whole_refund_is_asked_about_until_its_money_is_back_and_returns_the_stock() {
    let stand = paid().await;
    let refunded = refund(&stand, 394).await.unwrap();
    assert_eq!(
        (refunded.status, refunded.last_error),
        (RefundStatus::Processing, None)
    );
    let told = stand.told().await;
    assert_eq!(
        (told.order.status, told.order.refunded),
        (OrderStatus::Paid, Fen::ZERO)
    );
    stand.pass(61).await;
    assert_eq!(kept(&stand).await[0].status, RefundStatus::Processing);
    stand.wechat.refunds_end("SUCCESS");
    stand.pass(125).await;
    let told = stand.told().await;
    assert_eq!(
        (told.order.status, told.order.refunded.get()),
        (OrderStatus::Refunded, 394)
    );
    assert_eq!(stand.stock().await, STOCK);
    assert_eq!(
        kept(&stand).await[0].next_at,
        None,
        "nobody asks about it any more"
    );
    for kind in [
        "refund.opened",
        "wechat.refund",
        "wechat.refund_query",
        "refund.success",
    ] {
        assert!(!stand.lines(kind).await.is_empty(), "{kind}");
    }
    assert_eq!(
        refund(&stand, 1).await,
        Err(Refusal::RefundExceeds { left: Fen::ZERO })
    );
}

#[tokio::test]
async fn parts_go_a_minute_apart_and_only_the_last_fen_returns_stock_if_wanted() {
    for (restock, stock) in [(Restock::Yes, STOCK), (Restock::No, STOCK - 1)] {
        let stand = paid().await;
        refund(&stand, 100).await.unwrap();
        let last = RefundWanted {
            restock: Some(restock),
            ..wanted(294)
        };
        let second = stand
            .shop
            .refund(stand.order_no.clone(), last)
            .await
            .unwrap();
        assert_eq!(
            (second.status, second.sent_at),
            (RefundStatus::Processing, None)
        );
        assert_eq!(calls(&stand).len(), 1, "less than a minute after the first");
        let exceeds = Err(Refusal::RefundExceeds { left: Fen::ZERO });
        assert_eq!(refund(&stand, 1).await, exceeds, "what waits is reserved");
        stand.wechat.refunds_end("SUCCESS");
        stand.pass(61).await;
        assert_eq!(calls(&stand).len(), 2);
        assert_eq!(stand.told().await.order.refunded.get(), 100);
        assert_eq!(
            (stand.status().await, stand.stock().await),
            (OrderStatus::Paid, STOCK - 1)
        );
        stand.wechat.refunds_end("SUCCESS");
        stand.pass(130).await;
        assert_eq!(
            (stand.status().await, stand.stock().await),
            (OrderStatus::Refunded, stock)
        );
    }
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_number_and_refunds_once() {
    for fault in [Fault::Mute, Fault::Down] {
        let stand = paid().await;
        stand.wechat.fault(Some(fault));
        let open = refund(&stand, 394).await.unwrap();
        assert_eq!(open.status, RefundStatus::Processing);
        assert_eq!(
            open.last_error.map(|error| error.code).as_deref(),
            Some("UNKNOWN")
        );
        stand.wechat.fault(None);
        stand.pass(61).await;
        let mut numbers = calls(&stand);
        assert!(numbers.len() > 1, "{numbers:?}");
        numbers.dedup();
        assert_eq!(numbers, [format!("refund {}", open.refund_no)]);
        let held = stand.wechat.refunds();
        assert_eq!(held.values().map(|held| held.amount).sum::<u64>(), 394);
        assert!(kept(&stand).await[0].refund_id.is_some());
    }
}

#[tokio::test]
async fn a_refund_written_down_before_a_crash_is_sent_by_the_next_process() {
    let stand = paid().await;
    stand.wechat.fault(Some(Fault::Down));
    refund(&stand, 394).await.unwrap();
    let next = stand.with_mchid("1900000109");
    next.wechat.fault(None);
    next.shop.clock().advance(61);
    next.work().await;
    assert_eq!(next.wechat.refunds().len(), 1);
}

#[tokio::test]
async fn a_definite_refusal_closes_the_refund_and_frees_what_it_held() {
    let stand = paid().await;
    stand.wechat.refuses_refunds(Some("USER_ACCOUNT_ABNORMAL"));
    let refused = refund(&stand, 394).await.unwrap_err();
    let Refusal::RefundRefused { code, said } = &refused else {
        panic!("{refused}");
    };
    assert_eq!(code, "USER_ACCOUNT_ABNORMAL");
    assert!(said.contains("付款人账户异常"), "{said}");
    let refused = &kept(&stand).await[0];
    assert_eq!(
        (refused.status, refused.next_at),
        (RefundStatus::Closed, None)
    );
    stand.wechat.refuses_refunds(None);
    let again = retry(&stand, &refused.refund_no).await.unwrap();
    assert_eq!(
        (again.status, &again.refund_no),
        (RefundStatus::Processing, &refused.refund_no)
    );
    stand.wechat.refunds_end("REFUNDCLOSE");
    let closed = retry(&stand, &refused.refund_no).await.unwrap();
    assert_eq!(closed.status, RefundStatus::Closed);
    let manual = retry(&stand, &refused.refund_no).await.unwrap_err();
    assert!(matches!(manual, Refusal::RefundManual { .. }), "{manual}");
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_is_believed_only_when_wechat_does_not_hold_it() {
    for (fault, status) in [
        (Fault::Mute, RefundStatus::Success),
        (Fault::Down, RefundStatus::Closed),
    ] {
        let stand = paid().await;
        stand.wechat.fault(Some(fault));
        refund(&stand, 394).await.unwrap();
        stand.wechat.fault(None);
        stand.wechat.refunds_end("SUCCESS");
        stand.wechat.refuses_refunds(Some("ERROR"));
        stand.pass(61).await;
        assert_eq!(kept(&stand).await[0].status, status, "{fault:?}");
        let back = stand.told().await.order.refunded.get();
        assert_eq!(
            back,
            if status == RefundStatus::Success {
                394
            } else {
                0
            }
        );
    }
}

#[tokio::test]
async fn an_empty_balance_waits_longer_and_a_merchant_who_filled_it_need_not_wait() {
    let stand = paid().await;
    stand.wechat.refuses_refunds(Some("NOTENOUGH"));
    let waits = refund(&stand, 394).await.unwrap();
    assert_eq!(waits.status, RefundStatus::Processing);
    let error = waits.last_error.clone().unwrap();
    assert!(error.message.contains("余额不足"), "{}", error.message);
    stand.pass(500).await;
    assert_eq!(calls(&stand).len(), 1);
    stand.wechat.refuses_refunds(None);
    let sent = retry(&stand, &waits.refund_no).await.unwrap();
    assert_eq!((sent.last_error, sent.refund_id.is_some()), (None, true));
    assert_eq!(stand.wechat.refunds().len(), 1);
}

#[tokio::test]
async fn an_abnormal_refund_says_what_to_do_and_ends_when_it_was_done() {
    let stand = paid().await;
    let open = refund(&stand, 394).await.unwrap();
    stand.wechat.refunds_end("CHANGE");
    let manual = retry(&stand, &open.refund_no).await.unwrap_err();
    assert!(manual.to_string().contains("商户平台"), "{manual}");
    let abnormal = &kept(&stand).await[0];
    assert_eq!(abnormal.status, RefundStatus::Abnormal);
    assert!(abnormal.next_at.is_some());
    assert_eq!(
        refund(&stand, 1).await,
        Err(Refusal::RefundExceeds { left: Fen::ZERO })
    );
    stand.wechat.refunds_end("SUCCESS");
    stand.pass(2 * 3600).await;
    assert_eq!(stand.status().await, OrderStatus::Refunded);
}

#[tokio::test]
async fn an_unpaid_order_and_a_bad_wish_are_refused_without_a_call() {
    let stand = Stand::open().await;
    assert_eq!(refund(&stand, 1).await, Err(Refusal::OrderState));
    let stand = paid().await;
    for (amount, reason) in [
        (0, "a".to_owned()),
        (1, String::new()),
        (1, "长".repeat(27)),
    ] {
        let wanted = RefundWanted {
            reason,
            ..wanted(amount)
        };
        let refused = stand.shop.refund(stand.order_no.clone(), wanted).await;
        assert!(matches!(
            refusal(refused.unwrap_err()),
            Refusal::FieldInvalid { .. }
        ));
    }
    let exceeds = Refusal::RefundExceeds {
        left: Fen::new(394),
    };
    assert_eq!(refund(&stand, 395).await, Err(exceeds));
    assert_eq!(calls(&stand), Vec::<String>::new());
}

fn claim(amount: u64) -> Option<Claim> {
    let (caller, route, key) = ("key 1", "POST refunds", "k");
    let body = serde_json::json!({ "amount_fen": amount });
    Some(Claim::new(Usage { caller, route, key }, &body))
}

#[tokio::test]
async fn the_same_key_refunds_once_also_at_once_and_a_refusal_is_not_remembered() {
    let stand = paid().await;
    let named = |amount| RefundWanted {
        claim: claim(amount),
        ..wanted(amount)
    };
    stand.wechat.refuses_refunds(Some("ERROR"));
    let order_no = || stand.order_no.clone();
    assert!(stand.shop.refund(order_no(), named(100)).await.is_err());
    stand.wechat.refuses_refunds(None);
    let ask = || stand.shop.refund(order_no(), named(100));
    stand.shop.clock().advance(60);
    let (one, two) = tokio::join!(ask(), ask());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one, two);
    assert!(one.refund_id.is_some(), "the first answer is given again");
    assert_eq!(stand.wechat.refunds().len(), 1);
    let other = stand.shop.refund(order_no(), named(101)).await;
    assert_eq!(refusal(other.unwrap_err()), Refusal::IdempotencyKeyReused);
}
