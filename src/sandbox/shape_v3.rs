//! The shapes of v3 bodies: every documented field, its type and its longest text.
//!
//! What is not in this table is refused: WeChat calls it an illegal extra parameter.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::rules;
use crate::base::Timestamp;

/// A field that breaks its rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// A JSON pointer into the body.
    pub(super) pointer: String,
    pub(super) why: &'static str,
}

pub(super) enum Need {
    Required,
    Optional,
}
use Need::{Optional, Required};

pub(super) enum Kind {
    /// A text of at most so many bytes, not empty.
    Text(usize, fn(&str) -> bool),
    /// A whole number of at least so much.
    Whole(u64),
    Flag,
    Object(&'static [Field]),
    /// A list of objects whose JSON takes at most so many bytes.
    List(usize, &'static [Field]),
}
use Kind::{Flag, List, Object, Text, Whole};

/// A field's name, whether it must be there, and what it holds.
pub(super) struct Field(&'static str, Need, Kind);

/// Source: 微信支付 APIv3 · JSAPI/小程序下单, 请求参数 (2025-03-31).
///
/// Whether WeChat counts characters or bytes is not published: the stricter reading is taken.
pub(super) const PREPAY: &[Field] = &[
    Field("appid", Required, Text(32, any)),
    Field("mchid", Required, Text(32, any)),
    Field("description", Required, Text(127, any)),
    Field("out_trade_no", Required, Text(32, rules::is_out_trade_no)),
    Field("time_expire", Optional, Text(64, is_time)),
    Field("attach", Optional, Text(128, any)),
    Field("notify_url", Required, Text(255, rules::is_notify_url)),
    Field("goods_tag", Optional, Text(32, any)),
    Field("support_fapiao", Optional, Flag),
    Field("amount", Required, Object(AMOUNT)),
    Field("payer", Required, Object(PAYER)),
    Field("detail", Optional, Object(DETAIL)),
    Field("scene_info", Optional, Object(SCENE)),
    Field("settle_info", Optional, Object(SETTLE)),
];
const AMOUNT: &[Field] = &[
    Field("total", Required, Whole(1)),
    Field("currency", Optional, Text(16, is_cny)),
];
const PAYER: &[Field] = &[Field("openid", Required, Text(128, is_graphic))];
const DETAIL: &[Field] = &[
    Field("cost_price", Optional, Whole(0)),
    Field("invoice_id", Optional, Text(32, any)),
    Field("goods_detail", Optional, List(6000, GOODS)),
];
const GOODS: &[Field] = &[
    Field("merchant_goods_id", Required, Text(32, any)),
    Field("wechatpay_goods_id", Optional, Text(32, any)),
    Field("goods_name", Optional, Text(256, any)),
    Field("quantity", Required, Whole(1)),
    Field("unit_price", Required, Whole(0)),
];
const SCENE: &[Field] = &[
    Field("payer_client_ip", Required, Text(45, is_ip)),
    Field("device_id", Optional, Text(32, any)),
    Field("store_info", Optional, Object(STORE)),
];
const STORE: &[Field] = &[
    Field("id", Required, Text(32, any)),
    Field("name", Optional, Text(256, any)),
    Field("area_code", Optional, Text(32, any)),
    Field("address", Optional, Text(512, any)),
];
/// Source: 微信支付 APIv3 · 关闭订单, 请求参数.
pub(super) const CLOSE: &[Field] = &[Field("mchid", Required, Text(32, any))];
/// Source: 微信支付 APIv3 · 申请退款, 请求参数.
pub(super) const REFUND: &[Field] = &[
    Field("transaction_id", Optional, Text(32, is_graphic)),
    Field("out_trade_no", Optional, Text(32, rules::is_out_trade_no)),
    Field("out_refund_no", Required, Text(64, rules::is_out_refund_no)),
    Field("reason", Optional, Text(80, any)),
    Field("notify_url", Optional, Text(256, rules::is_notify_url)),
    Field("funds_account", Optional, Text(32, is_funds)),
    Field("amount", Required, Object(REFUND_AMOUNT)),
    Field("goods_detail", Optional, List(65_536, REFUND_GOODS)),
];
const REFUND_AMOUNT: &[Field] = &[
    Field("refund", Required, Whole(1)),
    Field("total", Required, Whole(1)),
    Field("currency", Required, Text(16, is_cny)),
    Field("from", Optional, List(65_536, REFUND_FROM)),
];
const REFUND_FROM: &[Field] = &[
    Field("account", Required, Text(32, is_account)),
    Field("amount", Required, Whole(1)),
];
const REFUND_GOODS: &[Field] = &[
    Field("merchant_goods_id", Required, Text(32, any)),
    Field("wechatpay_goods_id", Optional, Text(32, any)),
    Field("goods_name", Optional, Text(256, any)),
    Field("unit_price", Required, Whole(0)),
    Field("refund_amount", Required, Whole(1)),
    Field("refund_quantity", Required, Whole(1)),
];
/// Source: 微信支付 APIv3 · 发起异常退款, 请求参数.
pub(super) const ABNORMAL: &[Field] = &[
    Field("out_refund_no", Required, Text(64, rules::is_out_refund_no)),
    Field("type", Required, Text(32, is_card_kind)),
    Field("bank_type", Optional, Text(16, is_debit_bank)),
    Field("bank_account", Optional, Text(1024, any)),
    Field("real_name", Optional, Text(1024, any)),
];
const SETTLE: &[Field] = &[Field("profit_sharing", Optional, Flag)];

fn any(_: &str) -> bool {
    true
}

fn is_time(text: &str) -> bool {
    Timestamp::from_rfc3339(text).is_some()
}

fn is_cny(text: &str) -> bool {
    text == "CNY"
}

fn is_graphic(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_funds(text: &str) -> bool {
    matches!(text, "AVAILABLE" | "UNSETTLED")
}

fn is_account(text: &str) -> bool {
    matches!(text, "AVAILABLE" | "UNAVAILABLE")
}

fn is_card_kind(text: &str) -> bool {
    matches!(text, "USER_BANK_CARD" | "MERCHANT_BANK_CARD")
}

/// Source: 微信支付 APIv3 · 发起异常退款, bank_type.
fn is_debit_bank(text: &str) -> bool {
    const BANKS: [&str; 15] = [
        "ICBC", "CMB", "ABC", "CCB", "BOC", "COMM", "SPDB", "CITIC", "CEB", "CMBC", "CIB", "GDB",
        "PAB", "PSBC", "NBCB",
    ];
    let bank = text.strip_suffix("_DEBIT");
    bank.is_some_and(|bank| BANKS.contains(&bank))
}

fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// Checks a body, field by field, in the documents' order.
pub(super) fn check(body: &Map<String, Value>, fields: &[Field]) -> Result<(), Fault> {
    check_object(body, fields, "")
}

fn fault(pointer: String, why: &'static str) -> Fault {
    Fault { pointer, why }
}

fn check_object(object: &Map<String, Value>, fields: &[Field], at: &str) -> Result<(), Fault> {
    let known = |name: &String| fields.iter().any(|Field(field, ..)| field == name);
    if let Some(extra) = object.keys().find(|name| !known(name)) {
        return Err(fault(format!("{at}/{extra}"), "不支持的参数"));
    }
    for Field(name, need, kind) in fields {
        let pointer = format!("{at}/{name}");
        match (object.get(*name), need) {
            (Some(value), _) => check_value(value, kind, pointer)?,
            (None, Required) => return Err(fault(pointer, "缺少必填参数")),
            (None, Optional) => {}
        }
    }
    Ok(())
}

fn check_value(value: &Value, kind: &Kind, pointer: String) -> Result<(), Fault> {
    match (kind, value) {
        (Text(longest, right), Value::String(text)) => match text_fault(text, *longest, *right) {
            Some(why) => Err(fault(pointer, why)),
            None => Ok(()),
        },
        (Whole(least), Value::Number(number)) => match number.as_u64() {
            Some(whole) if whole >= *least => Ok(()),
            _ => Err(fault(pointer, "不是允许范围内的整数")),
        },
        (Flag, Value::Bool(_)) => Ok(()),
        (Object(fields), Value::Object(object)) => check_object(object, fields, &pointer),
        (List(longest, fields), Value::Array(items)) => {
            if value.to_string().len() > *longest {
                return Err(fault(pointer, "超过最大长度"));
            }
            check_items(items, fields, &pointer)
        }
        (Text(..) | Whole(_) | Flag | Object(_) | List(..), _) => {
            Err(fault(pointer, "参数类型错误"))
        }
    }
}

fn check_items(items: &[Value], fields: &[Field], at: &str) -> Result<(), Fault> {
    for (n, item) in items.iter().enumerate() {
        let pointer = format!("{at}/{n}");
        match item {
            Value::Object(object) => check_object(object, fields, &pointer)?,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => return Err(fault(pointer, "参数类型错误")),
        }
    }
    Ok(())
}

fn text_fault(text: &str, longest: usize, right: fn(&str) -> bool) -> Option<&'static str> {
    if text.is_empty() {
        return Some("不能为空");
    }
    if text.len() > longest {
        return Some("超过最大长度");
    }
    // Source: 微信支付 APIv3 · 接口规则: characters of one to three UTF-8 bytes only.
    if text.chars().any(|c| c.len_utf8() > 3) {
        return Some("含有不支持的字符");
    }
    (!right(text)).then_some("格式错误")
}
