//! The mini program's server interfaces as WeChat judges them.
//!
//! Each call proves its access token, then reads its JSON strictly, then is judged; every error is
//! HTTP 200 with an errcode. Payments are `trades`' business; here is what follows them.

mod access;
mod calls;
mod control;
mod errcodes;
mod express;
mod message_calls;
mod orders;
mod phone;
mod push;
mod push_send;
mod shipping;
mod shipping_calls;
mod subscribe;
mod upload;
mod value_rules;
mod wxacode;

#[cfg(test)]
mod access_table;
#[cfg(test)]
mod alive_test;
#[cfg(test)]
mod message_alive_test;
#[cfg(test)]
mod push_alive_test;
#[cfg(test)]
mod shipping_alive_test;
#[cfg(test)]
mod upload_table;

use super::Sandbox;
use crate::web::{Method, Route, route};

use access::AccessTokens;
use errcodes::Planned;
use orders::Shippings;
use phone::Phones;
use push_send::Pushes;
use subscribe::Subscriptions;

/// What changes on the mini program's side, in the simulator's book.
pub(super) struct Mini {
    tokens: AccessTokens,
    phones: Phones,
    shippings: Shippings,
    pushes: Pushes,
    subscriptions: Subscriptions,
    /// Errcodes that the next calls of a path are to answer.
    planned: Planned,
}

impl Mini {
    pub(super) fn new() -> Self {
        Self {
            tokens: AccessTokens::default(),
            phones: Phones::new(),
            shippings: Shippings::new(),
            pushes: Pushes::default(),
            subscriptions: Subscriptions::default(),
            planned: Planned::default(),
        }
    }
}

/// WeChat's paths of the mini program, and the control routes that belong to them.
pub(super) fn routes() -> Vec<Route<Sandbox>> {
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let mut table = vec![
        route(get, "/cgi-bin/token", calls::token),
        route(post.clone(), "/cgi-bin/stable_token", calls::stable_token),
        route(
            post.clone(),
            "/wxa/business/getuserphonenumber",
            calls::phone_number,
        ),
        route(post, "/sandbox/phone-codes", control::new_phone_code),
        route(put, "/sandbox/errcodes", control::plan_errcode),
    ];
    table.extend(shipping_routes());
    table.extend(message_routes());
    table
}

fn shipping_routes() -> Vec<Route<Sandbox>> {
    use shipping_calls::{companies, get_order, get_order_list, is_confirmed, is_managed};
    use shipping_calls::{receive, remind, set_jump_path, switch, switches, upload};
    let post = Method::POST;
    let is_completed = "/wxa/sec/order/is_trade_management_confirmation_completed";
    let delivery_list = "/cgi-bin/express/delivery/open_msg/get_delivery_list";
    let confirm = "/wxa/sec/order/notify_confirm_receive";
    let jump_path = "/wxa/sec/order/set_msg_jump_path";
    vec![
        route(post.clone(), "/wxa/sec/order/upload_shipping_info", upload),
        route(post.clone(), "/wxa/sec/order/get_order", get_order),
        route(
            post.clone(),
            "/wxa/sec/order/get_order_list",
            get_order_list,
        ),
        route(post.clone(), "/wxa/sec/order/is_trade_managed", is_managed),
        route(post.clone(), is_completed, is_confirmed),
        route(post.clone(), confirm, remind),
        route(post.clone(), jump_path, set_jump_path),
        route(post.clone(), delivery_list, companies),
        route(post, "/sandbox/receipts", receive),
        route(Method::GET, "/sandbox/shipping", switches),
        route(Method::PUT, "/sandbox/shipping", switch),
    ]
}

fn message_routes() -> Vec<Route<Sandbox>> {
    use message_calls::{accept, code, inbox, new_template, send};
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    vec![
        route(post.clone(), "/cgi-bin/message/subscribe/send", send),
        route(post.clone(), "/wxa/getwxacodeunlimit", code),
        route(post.clone(), "/sandbox/templates", new_template),
        route(post.clone(), "/sandbox/subscriptions", accept),
        route(get.clone(), "/sandbox/inbox", inbox),
        route(put, "/sandbox/message-push", push_send::set_target),
        route(post, "/sandbox/messages", push_send::send),
        route(get, "/sandbox/messages", push_send::sent),
    ]
}
