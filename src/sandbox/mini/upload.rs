//! The form of `upload_shipping_info`: every field's rule and the errcode that names it. Pure.
//!
//! Source: 小程序 · 发货信息录入 (upload_shipping_info), 请求参数, 错误码.

use serde::Deserialize;

use super::express::{self, SF};
use crate::base::Timestamp;
use crate::sandbox::login::{Errcode, err};

pub(super) const BAD_PARAMETER: Errcode = err(10_060_014, "参数错误");
const BAD_LOGISTICS: Errcode = err(10_060_005, "物流类型有误");
const SPLIT_WITHOUT_COURIER: Errcode = err(10_060_006, "非快递发货时不允许分拆发货");
const NO_ALL_DELIVERED: Errcode = err(10_060_007, "分拆发货模式下必须填写 is_all_delivered");
const ITEM_EMPTY: Errcode = err(10_060_008, "商品描述 item_desc 字段不能为空");
const ITEM_LONG: Errcode = err(10_060_009, "商品描述 item_desc 太长");
const NO_ITEMS: Errcode = err(10_060_020, "商品描述 item_desc 全部未填");
pub(super) const TOO_MANY: Errcode = err(10_060_024, "物流单数量超过上限");
const COMPANY_LONG: Errcode = err(10_060_025, "物流公司编码太长");
const TRACKING_LONG: Errcode = err(10_060_026, "物流单号太长");
const BAD_KEY_TYPE: Errcode = err(268_485_194, "order_number_type 有误");
const NO_TRANSACTION: Errcode = err(268_485_195, "transaction_id 为空");
const NO_MCHID: Errcode = err(268_485_196, "mchid 为空");
const NO_OUT_TRADE_NO: Errcode = err(268_485_197, "out_trade_no 为空");
const BAD_TIME: Errcode = err(268_485_216, "upload_time 不是 RFC 3339 格式");
const BAD_MODE: Errcode = err(268_485_224, "发货模式 delivery_mode 有误");
const NO_TRACKING: Errcode = err(268_485_226, "快递发货时 tracking_no 必填");
const NO_COMPANY: Errcode = err(268_485_227, "快递发货时 express_company 必填");
const NOT_ONE: Errcode = err(268_485_228, "统一发货模式下物流单数量必须为 1");
const NO_CONTACT: Errcode = err(10_060_014, "顺丰快递必须填写收件人或寄件人联系方式");
const NOT_MASKED: Errcode = err(10_060_014, "联系方式应为掩码，末 4 位不打码");
const UNKNOWN_COMPANY: Errcode = err(10_060_014, "物流公司编码不在运力列表中");

/// The most parcels of one payment.
pub(super) const MOST_PARCELS: usize = 15;

/// The body as it comes. What is of another JSON type is refused before this (47001).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    pub(super) order_key: KeyForm,
    logistics_type: Option<i64>,
    delivery_mode: Option<i64>,
    is_all_delivered: Option<bool>,
    shipping_list: Vec<ParcelForm>,
    upload_time: Option<String>,
    payer: PayerForm,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyForm {
    order_number_type: Option<i64>,
    transaction_id: Option<String>,
    mchid: Option<String>,
    out_trade_no: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ParcelForm {
    tracking_no: Option<String>,
    express_company: Option<String>,
    item_desc: Option<String>,
    contact: Option<Contact>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PayerForm {
    openid: Option<String>,
}

/// Phone numbers, masked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Contact {
    pub(super) consignor_contact: Option<String>,
    pub(super) receiver_contact: Option<String>,
}

/// Which payment is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OrderKey {
    Transaction(String),
    Merchant { mchid: String, out_trade_no: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logistics {
    Courier,
    SameCity,
    Virtual,
    PickUp,
}

impl Logistics {
    fn read(number: Option<i64>) -> Result<Self, Errcode> {
        match number {
            Some(1) => Ok(Self::Courier),
            Some(2) => Ok(Self::SameCity),
            Some(3) => Ok(Self::Virtual),
            Some(4) => Ok(Self::PickUp),
            _ => Err(BAD_LOGISTICS),
        }
    }

    pub(super) fn number(self) -> u8 {
        match self {
            Self::Courier => 1,
            Self::SameCity => 2,
            Self::Virtual => 3,
            Self::PickUp => 4,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Unified,
    Split { all_delivered: bool },
}

impl Mode {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Unified => 1,
            Self::Split { .. } => 2,
        }
    }

    /// Whether nothing more is to come.
    pub(super) fn completes(self) -> bool {
        matches!(
            self,
            Self::Unified
                | Self::Split {
                    all_delivered: true
                }
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    pub(super) tracking_no: String,
    pub(super) express_company: String,
    pub(super) item_desc: String,
    pub(super) contact: Option<Contact>,
}

/// When it was uploaded by the caller's account: whole seconds, then milliseconds.
pub(super) type Moment = (Timestamp, u16);

/// An upload whose form is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upload {
    pub(super) key: OrderKey,
    pub(super) logistics: Logistics,
    pub(super) mode: Mode,
    pub(super) parcels: Vec<Parcel>,
    pub(super) at: Moment,
    pub(super) openid: String,
}

impl KeyForm {
    fn read(&self) -> Result<OrderKey, Errcode> {
        match self.order_number_type {
            Some(1) => Ok(OrderKey::Merchant {
                mchid: filled(self.mchid.as_deref()).ok_or(NO_MCHID)?,
                out_trade_no: filled(self.out_trade_no.as_deref()).ok_or(NO_OUT_TRADE_NO)?,
            }),
            Some(2) => {
                let id = filled(self.transaction_id.as_deref()).ok_or(NO_TRANSACTION)?;
                Ok(OrderKey::Transaction(id))
            }
            _ => Err(BAD_KEY_TYPE),
        }
    }
}

impl Form {
    /// The upload, if every field keeps its rule.
    pub(super) fn read(self) -> Result<Upload, Errcode> {
        let key = self.order_key.read()?;
        let logistics = Logistics::read(self.logistics_type)?;
        let mode = self.mode(logistics)?;
        self.check_count(mode)?;
        let parcels = self.shipping_list.iter();
        let parcels = parcels.map(|parcel| parcel.read(logistics));
        let parcels = parcels.collect::<Result<Vec<_>, _>>()?;
        let at = self.upload_time.as_deref().and_then(moment);
        let openid = filled(self.payer.openid.as_deref()).ok_or(BAD_PARAMETER)?;
        Ok(Upload {
            key,
            logistics,
            mode,
            parcels,
            at: at.ok_or(BAD_TIME)?,
            openid,
        })
    }

    fn mode(&self, logistics: Logistics) -> Result<Mode, Errcode> {
        match (self.delivery_mode, logistics) {
            (Some(1), _) => Ok(Mode::Unified),
            (Some(2), Logistics::Courier) => {
                let all_delivered = self.is_all_delivered.ok_or(NO_ALL_DELIVERED)?;
                Ok(Mode::Split { all_delivered })
            }
            (Some(2), Logistics::SameCity | Logistics::Virtual | Logistics::PickUp) => {
                Err(SPLIT_WITHOUT_COURIER)
            }
            (_, _) => Err(BAD_MODE),
        }
    }

    fn check_count(&self, mode: Mode) -> Result<(), Errcode> {
        let parcels = &self.shipping_list;
        match (mode, parcels.len()) {
            (_, count) if count > MOST_PARCELS => return Err(TOO_MANY),
            (Mode::Unified, 1) => {}
            (Mode::Unified, _) => return Err(NOT_ONE),
            (Mode::Split { .. }, 0) => return Err(BAD_PARAMETER),
            (Mode::Split { .. }, _) => {}
        }
        match parcels.iter().all(|parcel| parcel.item_desc.is_none()) {
            true => Err(NO_ITEMS),
            false => Ok(()),
        }
    }
}

impl ParcelForm {
    fn read(&self, logistics: Logistics) -> Result<Parcel, Errcode> {
        let item_desc = filled(self.item_desc.as_deref()).ok_or(ITEM_EMPTY)?;
        if item_desc.chars().count() > 120 {
            return Err(ITEM_LONG);
        }
        let [tracking, company] = [&self.tracking_no, &self.express_company];
        let [tracking, company] = [tracking, company].map(|text| filled(text.as_deref()));
        if tracking.as_ref().is_some_and(|text| text.len() > 128) {
            return Err(TRACKING_LONG);
        }
        if company.as_ref().is_some_and(|text| text.len() > 128) {
            return Err(COMPANY_LONG);
        }
        if logistics == Logistics::Courier {
            tracking.as_ref().ok_or(NO_TRACKING)?;
            self.check_company(company.as_deref().ok_or(NO_COMPANY)?)?;
        }
        Ok(Parcel {
            tracking_no: tracking.unwrap_or_default(),
            express_company: company.unwrap_or_default(),
            item_desc,
            contact: self.contact.clone(),
        })
    }

    fn check_company(&self, company: &str) -> Result<(), Errcode> {
        if !express::carries(company) {
            return Err(UNKNOWN_COMPANY);
        }
        let contact = self.contact.clone().unwrap_or_default();
        let given = [contact.consignor_contact, contact.receiver_contact];
        let given: Vec<String> = given.into_iter().flatten().collect();
        if company == SF && given.iter().all(String::is_empty) {
            return Err(NO_CONTACT);
        }
        match given.iter().all(|contact| is_masked(contact)) {
            true => Ok(()),
            false => Err(NOT_MASKED),
        }
    }
}

/// Masked with `*`, the last four digits visible, as `+86-177****1234`.
fn is_masked(contact: &str) -> bool {
    let tail = contact.len().checked_sub(4);
    let tail = tail.and_then(|from| contact.as_bytes().get(from..));
    let visible = tail.is_some_and(|tail| tail.iter().all(u8::is_ascii_digit));
    contact.len() <= 1024 && visible && contact.contains('*')
}

/// RFC 3339 with an offset, as `2022-12-15T13:29:35.120+08:00`.
fn moment(text: &str) -> Option<Moment> {
    let seconds = Timestamp::from_rfc3339(text)?;
    let after = text
        .get(19..)
        .filter(|_| text.as_bytes().get(10) == Some(&b'T'))?;
    let digits = after.strip_prefix('.').unwrap_or("");
    let digits = digits.bytes().take_while(u8::is_ascii_digit).take(3);
    let ms = digits
        .zip([100, 10, 1])
        .map(|(digit, place)| u16::from(digit - b'0') * place);
    Some((seconds, ms.sum()))
}

/// The text, unless it is empty.
pub(super) fn filled(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}
