//! How an order goes out: parcels and their rules. Pure.
//!
//! Not the report of them to WeChat: that is [`super::shipping_report`].
//! Source: 小程序 · 发货信息管理服务 · 发货信息录入, 运营规范.

use serde::{Deserialize, Serialize};

use super::goods::check_text;
use super::{Line, Refusal};
use crate::base::Timestamp;

/// The most parcels of one order. Source: 小程序 · 发货信息录入 (`shipping_list`).
pub const PARCELS_MAX: usize = 15;
/// The most characters of a parcel's description.
pub const ITEM_DESC_MAX: usize = 120;
/// The most bytes of a company's id and of a tracking number.
const NUMBER_MAX_BYTES: usize = 128;

/// How goods reach the buyer. Source: 小程序 · 发货信息录入 (`logistics_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Logistics {
    /// 快递: a courier with a tracking number.
    Courier,
    /// 同城配送
    SameCity,
    /// 虚拟商品
    Virtual,
    /// 用户自提
    PickUp,
}

impl Logistics {
    /// Every way, for tables.
    pub const ALL: [Self; 4] = [Self::Courier, Self::SameCity, Self::Virtual, Self::PickUp];

    /// WeChat's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Courier => 1,
            Self::SameCity => 2,
            Self::Virtual => 3,
            Self::PickUp => 4,
        }
    }

    /// The way of WeChat's number.
    pub fn from_number(number: u64) -> Option<Self> {
        let same = |way: &Self| u64::from(way.number()) == number;
        Self::ALL.into_iter().find(same)
    }
}

/// One parcel, or the one hand-over of what needs none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipment {
    /// How it goes.
    pub logistics: Logistics,
    /// WeChat's id of the courier, such as `SF`; empty without a courier.
    pub express_company: String,
    /// The courier's number; empty without a courier.
    pub tracking_no: String,
    /// What is in it, at most 120 characters.
    pub item_desc: String,
    /// When the merchant said so.
    pub shipped_at: Timestamp,
}

impl Shipment {
    /// Whether both say the same thing about the same goods, whenever they said it.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let shipped_at = other.shipped_at;
        let dated = Self {
            shipped_at,
            ..self.clone()
        };
        dated == *other
    }
}

/// A parcel as the merchant enters it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    /// WeChat's id of the courier.
    pub express_company: Option<String>,
    /// The courier's number.
    pub tracking_no: Option<String>,
    /// What is in it; the order's lines when it is not said.
    pub item_desc: Option<String>,
}

/// Whether the parcels of one call are all there are.
///
/// Source: 小程序 · 发货信息录入 (`delivery_mode`, `is_all_delivered`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// One parcel, everything in it (统一发货).
    Whole,
    /// Some of several parcels; more will come (分拆发货).
    Part,
    /// The last of several parcels: the buyer is told now.
    AllDelivered,
}

impl Delivery {
    /// Whether no further parcel is expected.
    pub const fn is_complete(self) -> bool {
        match self {
            Self::Whole | Self::AllDelivered => true,
            Self::Part => false,
        }
    }

    /// WeChat's number of the mode. Source: 小程序 · 发货信息录入 (`delivery_mode`).
    pub const fn mode(self) -> u8 {
        match self {
            Self::Whole => 1,
            Self::Part | Self::AllDelivered => 2,
        }
    }
}

/// What the merchant says went out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShipWanted {
    /// WeChat's number of the way, 1 to 4.
    pub logistics_type: u64,
    /// The parcels of this call.
    pub parcels: Vec<Parcel>,
    /// Whether they are all.
    pub delivery: Delivery,
}

impl ShipWanted {
    /// The shipments of an order with `lines`, each field checked.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] naming the field.
    pub fn checked(&self, lines: &[Line], now: Timestamp) -> Result<Vec<Shipment>, Refusal> {
        let logistics = Logistics::from_number(self.logistics_type);
        let rule = "1 快递、2 同城配送、3 虚拟商品、4 用户自提";
        let logistics = logistics.ok_or_else(|| invalid("logistics_type", rule))?;
        let parcels = self.parcels.len();
        if !(1..=PARCELS_MAX).contains(&parcels) {
            return Err(invalid("parcels", "1 到 15 个包裹"));
        }
        if self.delivery != Delivery::Whole && logistics != Logistics::Courier {
            return Err(invalid(
                "parcels",
                "只有快递（logistics_type = 1）可以分包裹发货",
            ));
        }
        let shipments = self.parcels.iter().map(|parcel| Shipment {
            logistics,
            express_company: text(&parcel.express_company),
            tracking_no: text(&parcel.tracking_no),
            item_desc: described(parcel, lines),
            shipped_at: now,
        });
        let shipments: Vec<_> = shipments.collect();
        shipments.iter().try_for_each(check)?;
        Ok(shipments)
    }
}

pub(super) fn invalid(field: &'static str, rule: &'static str) -> Refusal {
    Refusal::FieldInvalid { field, rule }
}

fn text(text: &Option<String>) -> String {
    text.as_deref().unwrap_or("").trim().to_owned()
}

fn check(shipment: &Shipment) -> Result<(), Refusal> {
    let numbers = [
        ("express_company", &shipment.express_company),
        ("tracking_no", &shipment.tracking_no),
    ];
    for (field, number) in numbers {
        let visible = number.bytes().all(|b| b.is_ascii_graphic());
        if number.len() > NUMBER_MAX_BYTES || !visible {
            return Err(invalid(field, "最多 128 个字母、数字或符号"));
        }
        match shipment.logistics {
            Logistics::Courier if number.is_empty() => {
                return Err(invalid(field, "快递发货必须填写"));
            }
            Logistics::SameCity | Logistics::Virtual | Logistics::PickUp if !number.is_empty() => {
                return Err(invalid(field, "只有快递（logistics_type = 1）才能填写"));
            }
            Logistics::Courier | Logistics::SameCity | Logistics::Virtual | Logistics::PickUp => {}
        }
    }
    let rule = "1 到 120 个字符";
    check_text("item_desc", &shipment.item_desc, ITEM_DESC_MAX, rule)?;
    if shipment.item_desc.is_empty() {
        return Err(invalid("item_desc", rule));
    }
    Ok(())
}

fn described(parcel: &Parcel, lines: &[Line]) -> String {
    match &parcel.item_desc {
        Some(said) => said.trim().to_owned(),
        None => description(lines),
    }
}

/// `茶*2；杯*1`, cut to what WeChat takes.
pub fn description(lines: &[Line]) -> String {
    let each = lines.iter().map(|line| {
        let visible = |c: &char| !c.is_control() && u32::from(*c) <= 0xFFFF;
        let title: String = line.title.chars().filter(visible).collect();
        format!("{title}*{}", line.count)
    });
    let all = each.collect::<Vec<_>>().join("；");
    cut(&all, ITEM_DESC_MAX)
}

/// `text` of at most `chars` characters; what is cut off shows as `…`.
pub fn cut(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let kept = text.chars().take(chars.saturating_sub(1));
    kept.chain(std::iter::once('…')).collect()
}

/// A phone as SF Express wants it: the last four digits show.
///
/// `None` when fewer than four digits are left to show, or all would show.
/// Source: 小程序 · 发货信息录入 (`receiver_contact`: `+86-177****1234`).
pub fn masked_contact(phone: Option<&str>) -> Option<String> {
    let digits: String = phone?.chars().filter(char::is_ascii_digit).collect();
    let plain = match digits.strip_prefix("86") {
        Some(rest) if rest.len() == 11 => rest,
        Some(_) | None => &digits,
    };
    let shown = plain.len().checked_sub(4).filter(|hidden| *hidden >= 3)?;
    let (head, tail) = (plain.get(..3)?, plain.get(shown..)?);
    let mobile = plain.len() == 11 && plain.starts_with('1');
    Some(if mobile {
        format!("+86-{head}****{tail}")
    } else {
        format!("****{tail}")
    })
}

#[cfg(test)]
#[path = "shipping_tests.rs"]
mod tests;
