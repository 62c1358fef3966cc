//! What message push tells, once it is believed: the events of the shipping service. Pure.
//!
//! Not who sent it: that is [`super::message`]. Source: 小程序 · 小程序发货信息管理服务 · 消息推送.

use std::collections::HashMap;

use serde_json::Value;

use crate::base::xml::Fields;
use crate::base::{Timestamp, TransactionId};
use crate::model::Settlement;

/// The texts of one push, whichever format it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(HashMap<String, String>);

impl Texts {
    /// Reads XML or JSON, one level deep; what lies deeper in JSON is left out. `None` for what is
    /// neither.
    pub fn read(body: &[u8]) -> Option<Self> {
        let start = body.trim_ascii_start();
        if start.starts_with(b"<") || start.starts_with("\u{feff}".as_bytes()) {
            let fields = Fields::parse(body, "xml").ok()?;
            let texts = fields.iter().map(|(n, v)| (n.to_owned(), v.to_owned()));
            return Some(Self(texts.collect()));
        }
        let Value::Object(object) = serde_json::from_slice(body).ok()? else {
            return None;
        };
        let texts = object.into_iter().filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            Value::Number(number) => Some((name, number.to_string())),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        });
        Some(Self(texts.collect()))
    }

    /// The text of a field; `None` also when it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let text = self.0.get(name)?.trim();
        (!text.is_empty()).then_some(text)
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        let seconds: i64 = self.get(name)?.parse().ok()?;
        (seconds > 0).then(|| Timestamp::from_unix(seconds))
    }
}

/// Which order a push is about, as it names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderNamed {
    /// WeChat's number of the payment.
    pub transaction_id: Option<TransactionId>,
    /// Our number of the payment.
    pub out_trade_no: Option<String>,
}

/// What a push tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The money of an order will be, or has been, settled.
    Settlement(OrderNamed, Settlement),
    /// An order has waited over 48 hours to be shipped.
    RemindShipping(OrderNamed),
    /// The mini program should use the shipping service.
    RemindAccess,
    /// The mini program must join the shipping service.
    MustJoin,
    /// Something else, which is acknowledged and forgotten.
    Other,
}

/// One push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// What it tells.
    pub event: Event,
    /// WeChat's own name of it.
    pub name: String,
    /// When WeChat made it.
    pub created_at: Option<Timestamp>,
    /// WeChat's own words, when there are some.
    pub said: String,
}

impl Push {
    /// What `texts` tell.
    pub fn of(texts: &Texts) -> Self {
        let name = texts.get("Event").unwrap_or("").to_owned();
        let event = match name.as_str() {
            "trade_manage_order_settlement" => Event::Settlement(order(texts), settlement(texts)),
            "trade_manage_remind_shipping" => Event::RemindShipping(order(texts)),
            "trade_manage_remind_access_api" => Event::RemindAccess,
            "wxa_trade_controlled" => Event::MustJoin,
            _ => Event::Other,
        };
        Self {
            event,
            name,
            created_at: texts.time("CreateTime"),
            said: texts.get("msg").unwrap_or("").to_owned(),
        }
    }
}

fn order(texts: &Texts) -> OrderNamed {
    OrderNamed {
        transaction_id: texts.get("transaction_id").and_then(|id| id.parse().ok()),
        out_trade_no: texts.get("merchant_trade_no").map(str::to_owned),
    }
}

/// Which of the two uses it has shows in the fields that are there.
fn settlement(texts: &Texts) -> Settlement {
    let method = texts.get("confirm_receive_method");
    Settlement {
        estimated_at: texts.time("estimated_settlement_time"),
        settled_at: texts.time("settlement_time"),
        received_at: texts.time("confirm_receive_time"),
        receive_method: method.and_then(|number| number.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn push(body: &str) -> Push {
        Push::of(&Texts::read(body.as_bytes()).unwrap())
    }

    const AT: i64 = 1_767_225_600;

    #[test]
    fn both_formats_tell_the_same() {
        let xml = push(&format!(
            "<xml><Event><![CDATA[trade_manage_order_settlement]]></Event>\
             <CreateTime>{AT}</CreateTime><transaction_id>42000001</transaction_id>\
             <merchant_trade_no>20260101ABCD</merchant_trade_no>\
             <estimated_settlement_time>{AT}</estimated_settlement_time></xml>"
        ));
        let json = push(&format!(
            r#"{{"Event":"trade_manage_order_settlement","CreateTime":{AT},
            "transaction_id":"42000001","merchant_trade_no":"20260101ABCD",
            "estimated_settlement_time":{AT}}}"#
        ));
        assert_eq!(xml, json);
        let at = Some(Timestamp::from_unix(AT));
        let named = OrderNamed {
            transaction_id: "42000001".parse().ok(),
            out_trade_no: Some("20260101ABCD".to_owned()),
        };
        let news = Settlement {
            estimated_at: at,
            ..Settlement::default()
        };
        assert_eq!(json.event, Event::Settlement(named, news));
        assert_eq!(json.created_at, at);
    }

    #[test]
    fn the_two_uses_of_a_settlement_show_in_their_fields() {
        let settled = push(&format!(
            r#"{{"Event":"trade_manage_order_settlement","transaction_id":"1",
            "confirm_receive_method":1,"confirm_receive_time":{AT},
            "settlement_time":{AT}}}"#
        ));
        let at = Some(Timestamp::from_unix(AT));
        let Event::Settlement(_, news) = settled.event else {
            panic!("{settled:?}");
        };
        assert_eq!((news.settled_at, news.received_at), (at, at));
        assert_eq!((news.receive_method, news.estimated_at), (Some(1), None));
    }

    #[test]
    fn every_event_is_known_by_its_name_and_others_are_forgotten() {
        let of = |name: &str| push(&format!(r#"{{"Event":"{name}","msg":"请"}}"#));
        let nobody = OrderNamed::default;
        let table = [
            (
                "trade_manage_remind_shipping",
                Event::RemindShipping(nobody()),
            ),
            ("trade_manage_remind_access_api", Event::RemindAccess),
            ("wxa_trade_controlled", Event::MustJoin),
            ("subscribe_msg_popup_event", Event::Other),
            ("", Event::Other),
        ];
        for (name, event) in table {
            assert_eq!(
                (of(name).event, of(name).said.as_str()),
                (event, "请"),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_neither_format_is_not_read() {
        for body in ["", "x", "[]", "1", "<xml>", "<xml><a><b/></a></xml>", "{"] {
            assert_eq!(Texts::read(body.as_bytes()), None, "{body}");
        }
    }
}
