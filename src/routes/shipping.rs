//! What the merchant does to have an order reach its buyer, and what is told about it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Merchant;
use super::merchant_orders::told;
use super::orders::order_no;
use super::views::{At, at};
use crate::model::{Delivery, Order, OrderStatus, Parcel, ShipWanted, Shipment};
use crate::model::{ReportStatus, Settlement, ShippingReport};
use crate::shop::Shop;
use crate::web::{HttpError, Outcome, Req, StatusCode, json, text};
use crate::wechat::shipping_order::Company;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParcelPosted {
    express_company: Option<String>,
    tracking_no: Option<String>,
    item_desc: Option<String>,
}

impl From<ParcelPosted> for Parcel {
    fn from(posted: ParcelPosted) -> Self {
        Self {
            express_company: posted.express_company,
            tracking_no: posted.tracking_no,
            item_desc: posted.item_desc,
        }
    }
}

/// One of two forms: the fields of one parcel, or `parcels` with `all_delivered`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShipPosted {
    logistics_type: u64,
    express_company: Option<String>,
    tracking_no: Option<String>,
    item_desc: Option<String>,
    parcels: Option<Vec<ParcelPosted>>,
    all_delivered: Option<bool>,
}

impl ShipPosted {
    fn wanted(self) -> Result<ShipWanted, HttpError> {
        let logistics_type = self.logistics_type;
        let one = Parcel {
            express_company: self.express_company,
            tracking_no: self.tracking_no,
            item_desc: self.item_desc,
        };
        let (parcels, delivery) = match (self.parcels, self.all_delivered) {
            (None, None) => (vec![one], Delivery::Whole),
            (None, Some(_)) => return Err(form("all_delivered", "只与 parcels 一起填写")),
            (Some(_), None) => return Err(form("all_delivered", "分包裹发货时必填")),
            (Some(_), Some(_)) if one != Parcel::default() => {
                let rule = "与 express_company、tracking_no、item_desc 只能填一种";
                return Err(form("parcels", rule));
            }
            (Some(parcels), Some(true)) => (parcels_of(parcels), Delivery::AllDelivered),
            (Some(parcels), Some(false)) => (parcels_of(parcels), Delivery::Part),
        };
        Ok(ShipWanted {
            logistics_type,
            parcels,
            delivery,
        })
    }
}

fn parcels_of(posted: Vec<ParcelPosted>) -> Vec<Parcel> {
    posted.into_iter().map(Parcel::from).collect()
}

fn form(field: &str, rule: &str) -> HttpError {
    HttpError::invalid(format!("字段 {field} 不合规则：{rule}"))
}

/// `POST /admin/v1/orders/{order_no}/ship`: whole or in parcels.
pub(super) async fn ship(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let (order_no, at) = (order_no(&req)?, req.at);
    let posted: ShipPosted = req.json().await?;
    told(&shop.ship(order_no, &posted.wanted()?, at).await?)
}

#[derive(Serialize)]
struct CompaniesView<'a> {
    companies: &'a [Company],
}

/// `GET /admin/v1/express-companies`: the couriers that `ship` takes.
pub(super) async fn express_companies(shop: Arc<Shop>, _: Merchant, _: Req) -> Outcome {
    let companies = shop.express_companies().await?;
    let companies = companies.as_slice();
    Ok(json(StatusCode::OK, &CompaniesView { companies }))
}

/// `GET /admin/v1/wxacode?scene=&page=`: the picture of a mini-program code.
pub(super) async fn wxacode(shop: Arc<Shop>, _: Merchant, req: Req) -> Outcome {
    let scene = req.query("scene").unwrap_or_default();
    let page = req.query("page").unwrap_or_default();
    let picture = shop.wxacode(&scene, &page).await?;
    Ok(text(StatusCode::OK, picture.content_type, picture.bytes))
}

/// `shipments` of CONTRACT §1.
#[derive(Serialize)]
pub(super) struct ShipmentView<'a> {
    logistics_type: u8,
    express_company: Option<&'a str>,
    tracking_no: Option<&'a str>,
    item_desc: &'a str,
    shipped_at: At,
}

impl<'a> From<&'a Shipment> for ShipmentView<'a> {
    fn from(shipment: &'a Shipment) -> Self {
        let told = |text: &'a str| (!text.is_empty()).then_some(text);
        Self {
            logistics_type: shipment.logistics.number(),
            express_company: told(&shipment.express_company),
            tracking_no: told(&shipment.tracking_no),
            item_desc: &shipment.item_desc,
            shipped_at: At(shipment.shipped_at),
        }
    }
}

/// `shipping_report` of CONTRACT §7.
#[derive(Serialize)]
pub(super) struct ReportView<'a> {
    status: &'static str,
    problem: Option<&'a str>,
}

impl<'a> From<&'a ShippingReport> for ReportView<'a> {
    fn from(report: &'a ShippingReport) -> Self {
        Self {
            status: report.status.as_str(),
            problem: report.problem.as_deref(),
        }
    }
}

/// The money of an order under WeChat's shipping management: what is still frozen, until when.
#[derive(Serialize)]
pub(super) struct SettlementView {
    frozen_fen: u64,
    estimated_at: Option<At>,
    settled_at: Option<At>,
    received_at: Option<At>,
    receive_method: Option<u64>,
}

impl SettlementView {
    /// `None` for an order that is not under shipping management, as far as we know.
    pub(super) fn of(
        order: &Order,
        report: Option<&ShippingReport>,
        told: Option<&Settlement>,
    ) -> Option<Self> {
        let reported = report.is_some_and(|report| report.status == ReportStatus::Reported);
        if !reported && told.is_none() {
            return None;
        }
        let known = told.cloned().unwrap_or_default();
        let kept = order.total.checked_sub(order.refunded).unwrap_or_default();
        let gone = known.settled_at.is_some() || order.status == OrderStatus::Refunded;
        Some(Self {
            frozen_fen: if gone { 0 } else { kept.get() },
            estimated_at: at(known.estimated_at),
            settled_at: at(known.settled_at),
            received_at: at(known.received_at),
            receive_method: known.receive_method,
        })
    }
}
