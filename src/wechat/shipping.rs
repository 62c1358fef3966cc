//! Telling WeChat how an order was shipped: the request, and every error code. Pure.
//!
//! What WeChat knows beside that is [`super::shipping_order`].
//! Source: 小程序 · 小程序发货信息管理服务.

use serde::Serialize;

use crate::base::{OpenId, Timestamp, TransactionId};
use crate::model::shipping::Shipment;
use crate::model::{Delivery, Logistics};

use super::error::{Cause, Refused, WechatError};
use super::mini_error;

/// Path of 发货信息录入.
pub const UPLOAD: &str = "/wxa/sec/order/upload_shipping_info";

/// 顺丰速运, whose parcels are traced only with a contact.
const SF: &str = "SF";

/// What is told about one paid order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The payment that counts.
    pub transaction_id: TransactionId,
    /// Who paid.
    pub openid: OpenId,
    /// All parcels so far, 1 to 15.
    pub shipments: Vec<Shipment>,
    /// Whether they are all.
    pub delivery: Delivery,
    /// The receiver's phone, masked.
    pub contact: Option<String>,
    /// Later than that of the upload before.
    pub upload_time: Timestamp,
}

#[derive(Serialize)]
struct UploadBody<'a> {
    order_key: OrderKey<'a>,
    logistics_type: u8,
    delivery_mode: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_all_delivered: Option<bool>,
    shipping_list: Vec<Item<'a>>,
    upload_time: String,
    payer: Payer<'a>,
}

#[derive(Serialize)]
struct OrderKey<'a> {
    order_number_type: u8,
    transaction_id: &'a str,
}

#[derive(Serialize)]
struct Item<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    tracking_no: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    express_company: &'a str,
    item_desc: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<Contact<'a>>,
}

#[derive(Serialize)]
struct Contact<'a> {
    receiver_contact: &'a str,
}

#[derive(Serialize)]
struct Payer<'a> {
    openid: &'a str,
}

impl Upload {
    /// The body of the request.
    ///
    /// Source: 小程序 · 发货信息录入 · 请求参数.
    pub fn body(&self) -> String {
        let logistics = self.shipments.first().map(|first| first.logistics);
        let body = UploadBody {
            order_key: OrderKey {
                order_number_type: 2,
                transaction_id: self.transaction_id.as_str(),
            },
            logistics_type: logistics.unwrap_or(Logistics::Virtual).number(),
            delivery_mode: self.delivery.mode(),
            is_all_delivered: match self.delivery {
                Delivery::Whole => None,
                Delivery::Part => Some(false),
                Delivery::AllDelivered => Some(true),
            },
            shipping_list: self.shipments.iter().map(|s| self.item(s)).collect(),
            upload_time: self.upload_time.rfc3339(),
            payer: Payer {
                openid: self.openid.as_str(),
            },
        };
        serde_json::to_string(&body).expect("texts and numbers become JSON")
    }

    fn item<'a>(&'a self, shipment: &'a Shipment) -> Item<'a> {
        let contact = self.contact.as_deref();
        let contact = contact.filter(|_| shipment.express_company.eq_ignore_ascii_case(SF));
        Item {
            tracking_no: &shipment.tracking_no,
            express_company: &shipment.express_company,
            item_desc: &shipment.item_desc,
            contact: contact.map(|receiver_contact| Contact { receiver_contact }),
        }
    }
}

/// What WeChat made of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uploaded {
    /// It has it, or had it before.
    Taken,
    /// It cannot take it yet: the same again, later.
    NotYet(Refused),
    /// It says that the order is beyond that: ask it where the order stands.
    Ask(Refused),
    /// It will never take this: the merchant must look.
    Never(Refused),
}

/// What follows from a code of this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follow {
    Done,
    Later,
    Ask,
    Stop,
}

pub(super) const BUG: &str = "发货信息的格式不对：这是程序缺陷，请报告";
pub(super) const BUSY: &str = "微信系统繁忙：稍后自动重试";

/// Source: 小程序 · 发货信息录入 · 错误码.
const UPLOAD_TABLE: &[(i64, Follow, &str)] = &[
    (
        10060001,
        Follow::Later,
        "微信还查不到这笔支付：刚付款时属正常，稍后自动重试",
    ),
    (10060002, Follow::Ask, "微信说此单已发货完成"),
    (
        10060003,
        Follow::Stop,
        "此单唯一一次重新发货的机会已用完：微信那边的发货信息不能再改",
    ),
    (
        10060004,
        Follow::Ask,
        "此单在微信的状态不允许发货（如已退款）",
    ),
    (10060005, Follow::Stop, BUG),
    (
        10060006,
        Follow::Stop,
        "只有快递可以分包裹发货：请改成统一发货",
    ),
    (10060007, Follow::Stop, BUG),
    (
        10060008,
        Follow::Stop,
        "商品描述 item_desc 为空：请填写后重新发货",
    ),
    (
        10060009,
        Follow::Stop,
        "商品描述 item_desc 超过 120 个字符：请缩短后重新发货",
    ),
    (10060012, Follow::Later, BUSY),
    (
        10060014,
        Follow::Stop,
        "参数有误：请按微信的说明更正后重新发货",
    ),
    (10060019, Follow::Later, BUSY),
    (
        10060020,
        Follow::Stop,
        "没有任何商品描述 item_desc：请填写后重新发货",
    ),
    (10060023, Follow::Done, "发货信息没有变化"),
    (10060024, Follow::Stop, "包裹超过 15 个：请合并后重新发货"),
    (
        10060025,
        Follow::Stop,
        "快递公司编码 express_company 不对：请对照快递公司列表更正后重新发货",
    ),
    (10060026, Follow::Stop, "快递单号过长：请更正后重新发货"),
    (
        10060031,
        Follow::Stop,
        "此单不属于这个 openid：请核对小程序与商户号的绑定",
    ),
    (268485194, Follow::Stop, BUG),
    (268485195, Follow::Stop, BUG),
    (268485196, Follow::Stop, BUG),
    (268485197, Follow::Stop, BUG),
    (268485216, Follow::Stop, BUG),
    (268485224, Follow::Stop, BUG),
    (
        268485226,
        Follow::Stop,
        "快递发货缺少快递单号：请更正后重新发货",
    ),
    (
        268485227,
        Follow::Stop,
        "快递发货缺少快递公司：请更正后重新发货",
    ),
    (268485228, Follow::Stop, BUG),
];

/// Reads the answer to an upload.
///
/// # Errors
/// [`WechatError`] for what has nothing to do with the order: tokens, quotas, addresses, silence.
pub fn read_uploaded(status: u16, body: &[u8]) -> Result<Uploaded, WechatError> {
    let refused = match mini_error::read::<serde::de::IgnoredAny>(&[], status, body) {
        Ok(_) => return Ok(Uploaded::Taken),
        Err(WechatError::Refused(refused)) => refused,
        Err(error) => return Err(error),
    };
    let row = UPLOAD_TABLE
        .iter()
        .find(|row| row.0.to_string() == refused.code);
    let Some(&(_, follow, advice)) = row else {
        return match refused.cause {
            // A code that no table knows: WeChat's words are all there is to show.
            Cause::BadRequest | Cause::OpenIdMismatch => Ok(Uploaded::Never(refused)),
            _ => Err(WechatError::Refused(refused)),
        };
    };
    let refused = Refused { advice, ..refused };
    Ok(match follow {
        Follow::Done => Uploaded::Taken,
        Follow::Later => Uploaded::NotYet(refused),
        Follow::Ask => Uploaded::Ask(refused),
        Follow::Stop => Uploaded::Never(refused),
    })
}

#[cfg(test)]
#[path = "shipping_tests.rs"]
mod tests;
