//! When an order may be shipped, and how it ends.

use super::*;
use crate::shop::parcel_stand::Parcels;

fn refused<T>(outcome: Result<T, ShopError>) -> Refusal {
    match outcome {
        Err(ShopError::Refused(refusal)) => refusal,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    }
}

#[tokio::test]
async fn only_a_paid_order_is_shipped() {
    let parcels = Parcels::pending_with(|_| {}).await;
    let unpaid = parcels.ship("SF1", Delivery::Whole).await;
    assert_eq!(refused(unpaid), Refusal::OrderState);
    parcels.pay().await;
    parcels.ship("SF1", Delivery::Whole).await.unwrap();
    for status in [
        OrderStatus::Completed,
        OrderStatus::Refunded,
        OrderStatus::Closed,
    ] {
        let set: fn(Order) -> Order = match status {
            OrderStatus::Completed => |order| Order {
                status: OrderStatus::Completed,
                ..order
            },
            OrderStatus::Refunded => |order| Order {
                status: OrderStatus::Refunded,
                ..order
            },
            OrderStatus::Closed | OrderStatus::Pending | OrderStatus::Paid => |order| Order {
                status: OrderStatus::Closed,
                ..order
            },
            OrderStatus::Shipped => |order| order,
        };
        parcels.edit(set).await;
        let again = parcels.ship("SF2", Delivery::Whole).await;
        assert_eq!(refused(again), Refusal::OrderState, "{status:?}");
    }
}

#[tokio::test]
async fn a_courier_that_wechat_does_not_know_is_refused_while_it_tells() {
    let parcels = Parcels::paid().await;
    let wanted = |company: &str| ShipWanted {
        logistics_type: 1,
        parcels: vec![crate::model::Parcel {
            express_company: Some(company.to_owned()),
            tracking_no: Some("1".to_owned()),
            item_desc: None,
        }],
        delivery: Delivery::Whole,
    };
    let ship = async |company: &str| {
        let (shop, order_no) = (&parcels.stand.shop, parcels.stand.order_no.clone());
        shop.ship(order_no, &wanted(company), parcels.stand.now())
            .await
    };
    parcels.mini.refuses("get_delivery_list", &[-1]);
    assert!(parcels.stand.shop.express_companies().await.is_err());
    parcels.stand.shop.clock().advance(61);
    match refused(ship("NOPE").await) {
        Refusal::FieldInvalid { field, .. } => assert_eq!(field, "express_company"),
        other => panic!("{other}"),
    }
    assert_eq!(parcels.mini.heard("get_delivery_list").len(), 2);
    parcels.stand.shop.clock().advance(86_400);
    parcels.mini.refuses("get_delivery_list", &[-1]);
    ship("NOPE").await.unwrap();
    assert_eq!(parcels.mini.heard("get_delivery_list").len(), 3);
}

#[tokio::test]
async fn an_order_completes_by_itself_ten_days_after_its_last_parcel() {
    let parcels = Parcels::paid().await;
    let day = 86_400;
    parcels.ship("SF1", Delivery::Part).await.unwrap();
    parcels.stand.pass(11 * day).await;
    assert_eq!(parcels.stand.status().await, OrderStatus::Shipped);
    parcels.ship("SF2", Delivery::AllDelivered).await.unwrap();
    parcels.stand.pass(10 * day - 5).await;
    assert_eq!(parcels.stand.status().await, OrderStatus::Shipped);
    parcels.stand.pass(10).await;
    assert_eq!(parcels.stand.status().await, OrderStatus::Completed);
    let lines = parcels.stand.lines("order.completed").await;
    assert_eq!(lines, ["发货后到期，自动确认收货"]);
}

#[tokio::test]
async fn parcels_are_added_and_all_of_them_reported() {
    let parcels = Parcels::paid().await;
    parcels.ship("SF1", Delivery::Part).await.unwrap();
    parcels.stand.work().await;
    parcels.ship("SF2", Delivery::AllDelivered).await.unwrap();
    parcels.stand.pass(2).await;
    let uploads = parcels.uploads();
    let counts: Vec<_> = uploads
        .iter()
        .map(|u| {
            (
                u["shipping_list"].as_array().unwrap().len(),
                u["is_all_delivered"].clone(),
            )
        })
        .collect();
    assert_eq!(counts, [(1, false.into()), (2, true.into())]);
    assert_eq!(parcels.stand.told().await.beside.shipments.len(), 2);
    let lines = parcels.stand.lines("order.shipped").await;
    assert_eq!(lines.len(), 1, "shipped once");
}

#[tokio::test]
async fn an_order_that_the_buyer_received_is_not_completed_again() {
    let parcels = Parcels::paid().await;
    parcels.shipped("SF1").await;
    let (shop, order_no) = (&parcels.stand.shop, parcels.stand.order_no.clone());
    let uid = crate::base::Uid::new(1);
    shop.receive(uid, order_no, parcels.stand.now())
        .await
        .unwrap();
    parcels.stand.pass(11 * 86_400).await;
    let lines = parcels.stand.lines("order.completed").await;
    assert_eq!(lines, ["买家确认收货"]);
}
