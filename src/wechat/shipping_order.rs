//! What WeChat's shipping service knows: where an order stands, whether it is switched on, which
//! couriers it can trace. Pure.
//!
//! Source: 小程序 · 小程序发货信息管理服务.

use serde::{Deserialize, Serialize};

use crate::base::{AppId, TransactionId};
use crate::model::Shipment;

use super::error::{Cause, WechatError};
use super::mini_error::{self, Row};
use super::shipping::{BUG, BUSY};

/// Path of 查询订单发货状态.
pub const GET_ORDER: &str = "/wxa/sec/order/get_order";
/// Path of 查询小程序是否已开通发货信息管理服务.
pub const IS_MANAGED: &str = "/wxa/sec/order/is_trade_managed";
/// Path of 获取运力 id 列表.
pub const COMPANIES: &str = "/cgi-bin/express/delivery/open_msg/get_delivery_list";

/// The body that asks where an order stands.
pub fn order_body(transaction_id: &TransactionId) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        transaction_id: &'a str,
    }
    let transaction_id = transaction_id.as_str();
    serde_json::to_string(&Body { transaction_id }).expect("texts become JSON")
}

/// Where an order stands at WeChat. Source: 小程序 · 查询订单发货状态 (`order_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderState {
    /// 1 待发货
    ToShip,
    /// 2 已发货
    Shipped,
    /// 3 确认收货, 4 交易完成, 6 资金待结算: the buyer has it.
    Received,
    /// 5 已退款
    Refunded,
}

/// What WeChat knows about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownOrder {
    /// Where it stands.
    pub state: OrderState,
    logistics_type: Option<u64>,
    finished: bool,
    tracking_nos: Vec<String>,
}

impl KnownOrder {
    /// Whether WeChat has these shipments: the same way, all delivered, the same parcels.
    pub fn has(&self, shipments: &[Shipment]) -> bool {
        let logistics = shipments.first().map(|first| first.logistics);
        let number = logistics.map(|way| u64::from(way.number()));
        let mut ours: Vec<&str> = shipments.iter().map(|s| s.tracking_no.as_str()).collect();
        let mut theirs: Vec<&str> = self.tracking_nos.iter().map(String::as_str).collect();
        ours.retain(|number| !number.is_empty());
        theirs.retain(|number| !number.is_empty());
        ours.sort_unstable();
        theirs.sort_unstable();
        self.finished && self.logistics_type == number && ours == theirs
    }
}

#[derive(Deserialize)]
struct OrderAnswer {
    order: OrderTold,
}

#[derive(Deserialize)]
struct OrderTold {
    order_state: u64,
    #[serde(default)]
    shipping: ShippingTold,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ShippingTold {
    logistics_type: Option<u64>,
    finish_shipping: bool,
    shipping_list: Vec<ItemTold>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ItemTold {
    tracking_no: String,
}

/// Source: 小程序 · 查询订单发货状态 · 错误码.
const ORDER_TABLE: &[Row] = &[
    (10060001, Cause::OrderNotFound, "微信查不到这笔支付"),
    (10060012, Cause::Busy, BUSY),
    (10060014, Cause::BadRequest, BUG),
];

/// Reads where an order stands.
///
/// # Errors
/// [`WechatError`], by errcode.
pub fn read_order(status: u16, body: &[u8]) -> Result<KnownOrder, WechatError> {
    let OrderAnswer { order } = mini_error::read(ORDER_TABLE, status, body)?;
    let state = match order.order_state {
        1 => OrderState::ToShip,
        2 => OrderState::Shipped,
        3 | 4 | 6 => OrderState::Received,
        5 => OrderState::Refunded,
        other => {
            let why = format!("未知的订单发货状态 {other}");
            return Err(WechatError::Unknown(why));
        }
    };
    let shipping = order.shipping;
    let items = shipping.shipping_list.into_iter();
    Ok(KnownOrder {
        state,
        logistics_type: shipping.logistics_type,
        finished: shipping.finish_shipping,
        tracking_nos: items.map(|item| item.tracking_no).collect(),
    })
}

/// The body that asks whether the service is switched on.
pub fn managed_body(appid: &AppId) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        appid: &'a str,
    }
    let appid = appid.as_str();
    serde_json::to_string(&Body { appid }).expect("texts become JSON")
}

/// Reads whether the service is switched on.
///
/// # Errors
/// [`WechatError`], by errcode.
pub fn read_managed(status: u16, body: &[u8]) -> Result<bool, WechatError> {
    #[derive(Deserialize)]
    struct Answer {
        is_trade_managed: bool,
    }
    let answer: Answer = mini_error::read(&[], status, body)?;
    Ok(answer.is_trade_managed)
}

/// A courier that WeChat can trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Company {
    /// What `ship` takes, such as `SF`.
    #[serde(rename(deserialize = "delivery_id"))]
    pub id: String,
    /// Its name.
    #[serde(rename(deserialize = "delivery_name"))]
    pub name: String,
}

/// Reads the list of couriers.
///
/// # Errors
/// [`WechatError`], by errcode.
pub fn read_companies(status: u16, body: &[u8]) -> Result<Vec<Company>, WechatError> {
    #[derive(Deserialize)]
    struct Answer {
        delivery_list: Vec<Company>,
    }
    let answer: Answer = mini_error::read(&[], status, body)?;
    Ok(answer.delivery_list)
}
