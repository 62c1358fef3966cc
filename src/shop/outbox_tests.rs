//! What is laid down for webhooks, and that it stands or falls with its cause.

use super::*;
use crate::model::{OrderEvent, OrderStatus, order_event::Closer};
use crate::shop::Shop;
use crate::shop::effects::Desk;
use crate::shop::stand::Stand;
use crate::store::due::{self, WorkKind};
use crate::store::orders::{self, Owner};

/// Enters an endpoint for `events`.
async fn listening(shop: &Shop, events: &[&str]) {
    let events = events.iter().map(ToString::to_string).collect();
    let url = "http://127.0.0.1:1/".to_owned();
    let now = shop.clock().now();
    shop.create_webhook(url, events, now).await.unwrap();
}

/// The events that wait for the first endpoint, and whether there is work to tell any.
async fn waiting(shop: &Shop) -> (Vec<String>, bool) {
    let read = shop.store.read(|view| {
        let waits = webhooks::waiting(view, 1, 99)?;
        let due = due::first(view, WorkKind::Webhook)?;
        Ok::<_, StoreError>((waits, due.is_some()))
    });
    let (waits, due) = read.await.unwrap();
    (
        waits.into_iter().map(|(_, entry)| entry.event).collect(),
        due,
    )
}

/// Closes the order in a transaction that ends as it is told.
async fn close(stand: &Stand, then: Result<(), ShopError>) -> Result<(), ShopError> {
    let (key, now, order_no) = (stand.shop.field_key(), stand.now(), stand.order_no.clone());
    let mut then = Some(then);
    let write = stand.shop.store.write(move |tx: &mut Tx<'_>| {
        let order = orders::require_order(tx, &key, &order_no, Owner::Any)?;
        let mut desk = Desk { tx, key: &key, now };
        let event = OrderEvent::CloseWanted(Closer::Merchant);
        let after = desk.decide(&order, event)?;
        assert_eq!(after.status, OrderStatus::Closed);
        then.take().unwrap()
    });
    write.await
}

#[tokio::test]
async fn an_event_is_laid_down_with_its_cause_or_not_at_all() {
    let stand = Stand::open().await;
    listening(&stand.shop, &["order.*"]).await;
    let refused = close(&stand, Err(ShopError::TokenInvalid)).await;
    assert!(refused.is_err());
    assert_eq!(waiting(&stand.shop).await, (vec![], false));
    close(&stand, Ok(())).await.unwrap();
    let told = vec!["order.closed".to_owned()];
    assert_eq!(waiting(&stand.shop).await, (told, true));
}

#[tokio::test]
async fn where_nobody_wants_to_hear_nothing_is_written() {
    let stand = Stand::open().await;
    close(&stand, Ok(())).await.unwrap();
    assert_eq!(waiting(&stand.shop).await, (vec![], false));
    let stand = Stand::open().await;
    listening(&stand.shop, &["refund.success", "order.paid"]).await;
    close(&stand, Ok(())).await.unwrap();
    assert_eq!(waiting(&stand.shop).await, (vec![], false));
}
