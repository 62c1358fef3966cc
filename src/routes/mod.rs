//! Floor 4: the contract: routes as data, callers proved by type, the one error map.

mod backups;
mod buyer;
mod callbacks;
mod callers;
mod catalogue;
mod claims;
mod cookies;
mod error;
mod export;
mod merchant;
mod merchant_orders;
mod ops;
mod orders;
mod push;
mod reconciliations;
mod refund_views;
mod refunds;
mod session;
mod shipping;
mod views;
mod webhooks;

pub use callers::{Buyer, Console, Merchant};
pub use merchant_orders::order_json;
pub use reconciliations::ReconciliationView;

use crate::shop::Shop;
use crate::web::{Method, Route, route};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// Every route of the contract that this version serves.
pub fn table() -> Vec<Route<Shop>> {
    [
        buyers(),
        wechats(),
        merchants(),
        merchants_orders(),
        webhooks(),
        operators(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What the mini program calls.
fn buyers() -> Vec<Route<Shop>> {
    vec![
        route(POST, "/api/v1/token", buyer::log_in),
        route(GET, "/api/v1/token", buyer::show_token),
        route(DELETE, "/api/v1/token", buyer::log_out),
        route(GET, "/api/v1/user", buyer::show_user),
        route(PATCH, "/api/v1/user", buyer::change_user),
        route(POST, "/api/v1/user/phone", buyer::take_phone),
        route(POST, "/api/v1/user/decrypt", buyer::decrypt),
        route(GET, "/api/v1/user/address", buyer::show_address),
        route(PUT, "/api/v1/user/address", buyer::set_address),
        route(GET, "/api/v1/goods", catalogue::list),
        route(GET, "/api/v1/goods/{id}", catalogue::show),
        route(POST, "/api/v1/orders", orders::place),
        route(GET, "/api/v1/orders", orders::list),
        route(GET, "/api/v1/orders/{order_no}", orders::show),
        route(POST, "/api/v1/orders/{order_no}/pay", orders::pay),
        route(POST, "/api/v1/orders/{order_no}/sync", orders::sync),
        route(POST, "/api/v1/orders/{order_no}/cancel", orders::cancel),
        route(POST, "/api/v1/orders/{order_no}/receive", orders::receive),
        route(
            POST,
            "/api/v1/orders/{order_no}/refund-request",
            refunds::request,
        ),
    ]
}

/// What WeChat calls.
fn wechats() -> Vec<Route<Shop>> {
    vec![
        route(POST, "/wx/pay/notify", callbacks::pay_notify),
        route(POST, "/wx/refund/notify", callbacks::refund_notify),
        route(GET, "/wx/message", push::check),
        route(POST, "/wx/message", push::take),
    ]
    .into_iter()
    .map(Route::for_messengers)
    .collect()
}

/// What the console and the merchant's own backend call.
fn merchants() -> Vec<Route<Shop>> {
    vec![
        route(POST, "/admin/v1/session", session::log_in),
        route(GET, "/admin/v1/session", session::show),
        route(DELETE, "/admin/v1/session", session::log_out),
        route(GET, "/admin/v1/goods", merchant::list_goods),
        route(POST, "/admin/v1/goods", merchant::create_goods),
        route(GET, "/admin/v1/goods/{id}", merchant::show_goods),
        route(PATCH, "/admin/v1/goods/{id}", merchant::change_goods),
        route(DELETE, "/admin/v1/goods/{id}", merchant::delete_goods),
        route(GET, "/admin/v1/orders", merchant::list_orders),
        route(
            GET,
            "/admin/v1/express-companies",
            shipping::express_companies,
        ),
        route(GET, "/admin/v1/wxacode", shipping::wxacode),
        route(GET, "/admin/v1/export/orders.csv", export::orders),
        route(GET, "/admin/v1/backups", backups::list),
        route(POST, "/admin/v1/backups", backups::create),
        route(GET, "/admin/v1/reconciliations", reconciliations::list),
        route(POST, "/admin/v1/reconciliations", reconciliations::create),
        route(
            POST,
            "/admin/v1/reconciliations/{date}/rows/{out_trade_no}",
            reconciliations::settle,
        ),
    ]
}

/// The same, about one order.
fn merchants_orders() -> Vec<Route<Shop>> {
    vec![
        route(GET, "/admin/v1/orders/{order_no}", merchant_orders::show),
        route(
            PATCH,
            "/admin/v1/orders/{order_no}",
            merchant_orders::change,
        ),
        route(
            POST,
            "/admin/v1/orders/{order_no}/sync",
            merchant_orders::sync,
        ),
        route(
            POST,
            "/admin/v1/orders/{order_no}/close",
            merchant_orders::close,
        ),
        route(POST, "/admin/v1/orders/{order_no}/refunds", refunds::create),
        route(GET, "/admin/v1/orders/{order_no}/refunds", refunds::list),
        route(
            POST,
            "/admin/v1/orders/{order_no}/refunds/{refund_no}/retry",
            refunds::retry,
        ),
        route(
            POST,
            "/admin/v1/orders/{order_no}/refund-request/decline",
            refunds::decline,
        ),
        route(POST, "/admin/v1/orders/{order_no}/ship", shipping::ship),
    ]
}

/// Where the merchant's backend hears of things.
fn webhooks() -> Vec<Route<Shop>> {
    vec![
        route(GET, "/admin/v1/webhooks", webhooks::list),
        route(POST, "/admin/v1/webhooks", webhooks::create),
        route(DELETE, "/admin/v1/webhooks/{id}", webhooks::delete),
    ]
}

/// What watches over the process.
fn operators() -> Vec<Route<Shop>> {
    vec![
        route(GET, "/healthz", ops::healthz),
        route(GET, "/readyz", ops::readyz),
        route(GET, "/metrics", ops::metrics),
    ]
}

/// GET routes that ask WeChat.
const ASKING: [&str; 2] = ["/admin/v1/express-companies", "/admin/v1/wxacode"];

/// Of `table` what only looks at the store; everything else is refused, whoever asks.
pub fn only_reading(table: Vec<Route<Shop>>) -> Vec<Route<Shop>> {
    let reads = |row: &Route<Shop>| row.method() == GET && !ASKING.contains(&row.pattern());
    let row = |row: Route<Shop>| match reads(&row) {
        true => row,
        false => route(row.method().clone(), row.pattern(), ops::refuse),
    };
    table.into_iter().map(row).collect()
}

/// The routes of the merchant's own listener (`[admin] listen`): no buyer's route among them.
pub fn admin_table() -> Vec<Route<Shop>> {
    table()
        .into_iter()
        .filter(|row| is_admin(row.pattern()))
        .collect()
}

/// The routes of the public listener when the merchant's are served elsewhere.
pub fn public_table() -> Vec<Route<Shop>> {
    table()
        .into_iter()
        .filter(|row| !row.pattern().starts_with("/admin/"))
        .collect()
}

fn is_admin(pattern: &str) -> bool {
    ["/admin/", "/healthz", "/readyz", "/metrics"]
        .iter()
        .any(|prefix| pattern.starts_with(prefix))
}
