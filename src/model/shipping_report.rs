//! The report of an order's shipments that WeChat wants, and what it tells about the money. Pure.
//!
//! Source: 小程序 · 发货信息管理服务.

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::shipping::{Delivery, PARCELS_MAX, Shipment, invalid};
use crate::base::Timestamp;

/// How far the report to WeChat has come. CONTRACT §7 (`shipping_report`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportStatus {
    /// It will be uploaded, now or later.
    Queued,
    /// WeChat has it.
    Reported,
    /// WeChat refused it for good: the merchant must act.
    Failed,
    /// The mini program has no shipping management: nothing is uploaded.
    NotManaged,
}

impl ReportStatus {
    /// Every status, for tables.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Reported, Self::Failed, Self::NotManaged];

    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Reported => "reported",
            Self::Failed => "failed",
            Self::NotManaged => "not_managed",
        }
    }
}

/// The report of an order's shipments to WeChat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShippingReport {
    /// How far it has come.
    pub status: ReportStatus,
    /// What stands in the way, for the merchant, in Chinese.
    pub problem: Option<String>,
    /// Whether all parcels are there.
    pub delivery: Delivery,
    /// Raised by each change of the shipments: an answer counts for what it answers.
    pub revision: u32,
    /// How often shipments that were complete have been corrected.
    pub corrections: u32,
    /// The newest time told to WeChat; the next must be later.
    pub upload_time: Option<Timestamp>,
}

/// What a call of `ship` makes of an order's shipments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShipStep {
    /// All of it is known: nothing changes.
    Known,
    /// They are the first, further or corrected ones: what is kept from now on.
    Keep(Vec<Shipment>, ShippingReport),
}

/// What `fresh` shipments, told with `delivery`, make of `known` ones and their report.
///
/// WeChat takes one correction of shipments that are complete, so a second is refused.
///
/// # Errors
/// [`Refusal::OrderState`] when the one correction is used; [`Refusal::FieldInvalid`] for more
/// parcels than WeChat takes.
///
/// Source: 小程序 · 发货信息录入 · 重新发货.
pub fn ship_step(
    known: &[Shipment],
    report: Option<&ShippingReport>,
    fresh: Vec<Shipment>,
    delivery: Delivery,
) -> Result<ShipStep, Refusal> {
    let Some(report) = report else {
        return Ok(ShipStep::Keep(fresh, ShippingReport::first(delivery)));
    };
    let is_known = |parcel: &&Shipment| known.iter().any(|old| old.says_the_same(parcel));
    let new: Vec<_> = fresh.iter().filter(|p| !is_known(p)).cloned().collect();
    if report.delivery == delivery && new.is_empty() {
        return Ok(ShipStep::Known);
    }
    if report.delivery == Delivery::Part && delivery != Delivery::Whole {
        let all = [known, &new].concat();
        if all.len() > PARCELS_MAX {
            return Err(invalid("parcels", "一个订单最多 15 个包裹"));
        }
        return Ok(ShipStep::Keep(all, report.next(delivery)));
    }
    // What WeChat refused for good has not used up its one correction.
    let counts = u32::from(report.status != ReportStatus::Failed);
    if report.corrections + counts > 1 {
        return Err(Refusal::OrderState);
    }
    let corrections = report.corrections + counts;
    let report = ShippingReport {
        corrections,
        ..report.next(delivery)
    };
    Ok(ShipStep::Keep(fresh, report))
}

impl ShippingReport {
    fn first(delivery: Delivery) -> Self {
        Self {
            status: ReportStatus::Queued,
            problem: None,
            delivery,
            revision: 1,
            corrections: 0,
            upload_time: None,
        }
    }

    fn next(&self, delivery: Delivery) -> Self {
        Self {
            status: ReportStatus::Queued,
            problem: None,
            delivery,
            revision: self.revision.saturating_add(1),
            ..self.clone()
        }
    }

    /// The time to tell WeChat with an upload at `now`: later than the one before.
    ///
    /// Source: 小程序 · 发货信息录入 (`upload_time`).
    pub fn next_upload_time(&self, now: Timestamp) -> Timestamp {
        let second = std::time::Duration::from_secs(1);
        self.upload_time
            .map_or(now, |before| now.max(before.plus(second)))
    }
}

/// What WeChat told about the money of a shipped order: frozen until it is settled.
///
/// Source: 小程序 · 发货信息管理服务 · 订单将要结算或已经结算.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Until when WeChat expects to hold the money.
    pub estimated_at: Option<Timestamp>,
    /// When it let the money go.
    pub settled_at: Option<Timestamp>,
    /// When receipt was confirmed at WeChat.
    pub received_at: Option<Timestamp>,
    /// WeChat's number of the way receipt was confirmed. Its meaning is told both ways, so
    /// nothing is decided by it.
    pub receive_method: Option<u64>,
}

impl Settlement {
    /// What is known after `news`: what it tells replaces, what it does not tell stays.
    #[must_use]
    pub fn with(&self, news: &Self) -> Self {
        Self {
            estimated_at: news.estimated_at.or(self.estimated_at),
            settled_at: news.settled_at.or(self.settled_at),
            received_at: news.received_at.or(self.received_at),
            receive_method: news.receive_method.or(self.receive_method),
        }
    }
}

#[cfg(test)]
#[path = "shipping_report_tests.rs"]
mod tests;
