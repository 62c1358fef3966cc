//! The parcels of an order, their report to WeChat, and when their money is settled.
//!
//! Each is a fact under its own key: an order that was never shipped has none and costs no read.

use serde::{Deserialize, Serialize};

use super::codec::{self, Record, collect};
use super::{KeyRange, Read, StoreError, Tx, keys};
use crate::base::OrderNo;
use crate::model::{Order, Settlement, Shipment, ShippingReport};

/// A parcel.
#[derive(Serialize, Deserialize)]
pub(super) enum ShipmentRecord {
    V1(Shipment),
}

impl Record for ShipmentRecord {
    const KIND: &'static str = "shipment";
}

/// The report of an order's parcels.
#[derive(Serialize, Deserialize)]
pub(super) enum ReportRecord {
    V1(ShippingReport),
}

impl Record for ReportRecord {
    const KIND: &'static str = "shipping report";
    const LONG: bool = true;
}

/// What WeChat told about an order's money.
#[derive(Serialize, Deserialize)]
pub(super) enum SettlementRecord {
    V1(Settlement),
}

impl Record for SettlementRecord {
    const KIND: &'static str = "settlement";
}

/// What WeChat was told, and told, about an order's shipping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The report of its parcels.
    pub report: Option<ShippingReport>,
    /// When its money is, or was, settled.
    pub settlement: Option<Settlement>,
}

/// What WeChat was told, and told, about the shipping of `order`; nothing before it was paid.
///
/// # Errors
/// [`StoreError`].
pub fn reported(read: &impl Read, order: &Order) -> Result<Reported, StoreError> {
    if order.paid_at.is_none() {
        return Ok(Reported::default());
    }
    Ok(Reported {
        report: report(read, &order.order_no)?,
        settlement: settlement(read, &order.order_no)?,
    })
}

/// The parcels of `order`, in the order they were told.
///
/// # Errors
/// [`StoreError`].
pub fn of(read: &impl Read, order: &Order) -> Result<Vec<Shipment>, StoreError> {
    if order.shipped_at.is_none() {
        return Ok(vec![]);
    }
    let range = KeyRange::prefix(&keys::shipments(&order.order_no));
    let decode = |(key, value): (Vec<u8>, Vec<u8>)| {
        let ShipmentRecord::V1(shipment) = codec::decode(read, &key, &value)?;
        Ok(shipment)
    };
    let found = collect(read, &range, usize::MAX)?;
    found.into_iter().map(decode).collect()
}

/// Keeps `shipments` as all parcels of an order, in place of those kept before.
///
/// # Errors
/// [`StoreError`].
pub fn replace(
    tx: &mut Tx<'_>,
    order_no: &OrderNo,
    shipments: &[Shipment],
) -> Result<(), StoreError> {
    let range = KeyRange::prefix(&keys::shipments(order_no));
    for (key, _) in collect(tx, &range, usize::MAX)? {
        tx.delete(key);
    }
    for (number, shipment) in (1..).zip(shipments) {
        let record = ShipmentRecord::V1(shipment.clone());
        codec::put(tx, keys::shipment(order_no, number), &record)?;
    }
    Ok(())
}

/// The report of an order's parcels to WeChat.
///
/// # Errors
/// [`StoreError`].
pub fn report(read: &impl Read, order_no: &OrderNo) -> Result<Option<ShippingReport>, StoreError> {
    let record = codec::get::<ReportRecord>(read, &keys::shipping_report(order_no))?;
    Ok(record.map(|ReportRecord::V1(report)| report))
}

/// Keeps the report of an order's parcels.
///
/// # Errors
/// [`StoreError`].
pub fn put_report(
    tx: &mut Tx<'_>,
    order_no: &OrderNo,
    report: &ShippingReport,
) -> Result<(), StoreError> {
    let record = ReportRecord::V1(report.clone());
    codec::put(tx, keys::shipping_report(order_no), &record)
}

/// When the money of an order is, or was, settled.
///
/// # Errors
/// [`StoreError`].
pub fn settlement(read: &impl Read, order_no: &OrderNo) -> Result<Option<Settlement>, StoreError> {
    let record = codec::get::<SettlementRecord>(read, &keys::settlement(order_no))?;
    Ok(record.map(|SettlementRecord::V1(settlement)| settlement))
}

/// Keeps when the money of an order is, or was, settled.
///
/// # Errors
/// [`StoreError`].
pub fn put_settlement(
    tx: &mut Tx<'_>,
    order_no: &OrderNo,
    settlement: &Settlement,
) -> Result<(), StoreError> {
    let record = SettlementRecord::V1(settlement.clone());
    codec::put(tx, keys::settlement(order_no), &record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::samples::{at, order, parcel, report as sample, write};

    #[tokio::test]
    async fn parcels_come_back_in_their_order_and_others_take_their_place() {
        let store = Store::memory();
        let shipped = Order {
            shipped_at: Some(at(5)),
            paid_at: Some(at(4)),
            ..order(1, 0, 1)
        };
        let numbers = || {
            let order = shipped.clone();
            let read = store.read(move |view| of(view, &order));
            async move {
                let all = read.await.unwrap();
                all.into_iter().map(|s| s.tracking_no).collect::<Vec<_>>()
            }
        };
        for wanted in [vec!["3", "1", "2"], vec!["4"]] {
            let (order_no, parcels) = (shipped.order_no.clone(), wanted.clone());
            write(&store, move |tx| {
                let parcels: Vec<_> = parcels.iter().map(|number| parcel(number)).collect();
                Ok(replace(tx, &order_no, &parcels)?)
            })
            .await;
            assert_eq!(numbers().await, wanted);
        }
    }

    #[tokio::test]
    async fn report_and_settlement_are_kept_apart() {
        let store = Store::memory();
        let paid = Order {
            paid_at: Some(at(4)),
            ..order(1, 0, 1)
        };
        let news = Settlement {
            settled_at: Some(at(9)),
            ..Settlement::default()
        };
        let (number, kept) = (paid.order_no.clone(), news.clone());
        write(&store, move |tx| {
            put_settlement(tx, &number, &kept)?;
            Ok(put_report(tx, &number, &sample())?)
        })
        .await;
        let asked = paid.clone();
        let found = store.read(move |view| reported(view, &asked)).await;
        let want = Reported {
            report: Some(sample()),
            settlement: Some(news),
        };
        assert_eq!(found, Ok(want));
        let unpaid = Order {
            paid_at: None,
            ..paid
        };
        let found = store.read(move |view| reported(view, &unpaid)).await;
        assert_eq!(found, Ok(Reported::default()));
    }
}
