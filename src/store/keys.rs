//! Every key of the store: a prefix byte per kind, numbers big-endian, so that keys sort as their
//! parts do. What is kept under them is in `records`.
//!
//! | byte | key | keeps |
//! |---|---|---|
//! | `c` | counter | the last number given out |
//! | `g` `k` | goods_id | goods; pieces in stock |
//! | `u` | uid, order_no | order |
//! | `o` | order_no | index: the order's uid |
//! | `s` | status, order_no | index: orders of a status, with their uid |
//! | `l` | order_no, 0, second, number | timeline entry |
//! | `a` | order_no, 0, attempt | payment attempt |
//! | `q` | order_no, 0, attempt | when WeChat is asked next about the attempt |
//! | `t` | transaction_id | index: the attempt it paid |
//! | `U` | uid | user |
//! | `w` | digest of appid and openid | index: the user's uid |
//! | `h` | keyed digest of phone, uid | index: users of a phone |
//! | `d` | kind of work, due second, subject | due work |
//! | `i` | day, digest of caller, route and key | idempotency key |
//! | `n` `N` | digest of a notify; number | unmatched notify: its number; itself |
//! | `r` | refund_no | refund |
//! | `R` | order_no, 0, refund_no | index: a refund of the order |
//! | `f` | order_no | the buyer's newest wish to be refunded |
//! | `z` | order_no, 0, number | a parcel of the order |
//! | `Z` | order_no, 0, `r` or `s` | its report to WeChat; when its money is settled |
//! | `b` | day | reconciliation of the day |
//! | `B` | day, class, out_trade_no, 0, refund_no | a difference that it found |
//! | `M` `K` | name; digest of key | admin; API key |
//! | `S` | digest of token | console session |
//! | `A` | name | alert that lasts |
//! | `y` | | payments that no notify told of |
//! | `W` | number | webhook endpoint |
//! | `H` | endpoint, number | webhook that waits to be told |
//! | `v` | serial | platform certificate of WeChat |
//! | `p` | any key above, number | a further piece of a long record |
//! | F0 | token's digest | token (cache) |
//! | F1 | second, uid | index: when to sweep a user's tokens (cache) |
//! | F2 | uid | the user's tokens (cache) |

use super::KeyRange;
use crate::base::hash;
use crate::base::{AppId, Day, GoodsId, OpenId, OrderNo, OutTradeNo, RefundNo};
use crate::base::{Timestamp, TransactionId, Uid};
use crate::model::OrderStatus;

pub(super) const COUNTER: u8 = b'c';
pub(super) const GOODS: u8 = b'g';
pub(super) const STOCK: u8 = b'k';
pub(super) const ORDER: u8 = b'u';
pub(super) const ORDER_OWNER: u8 = b'o';
pub(super) const STATUS_ORDER: u8 = b's';
pub(super) const ENTRY: u8 = b'l';
pub(super) const ATTEMPT: u8 = b'a';
pub(super) const NEXT_QUERY: u8 = b'q';
pub(super) const TRANSACTION: u8 = b't';
pub(super) const USER: u8 = b'U';
pub(super) const OPENID: u8 = b'w';
pub(super) const PHONE: u8 = b'h';
pub(super) const DUE: u8 = b'd';
pub(super) const IDEMPOTENCY: u8 = b'i';
pub(super) const UNMATCHED_SEEN: u8 = b'n';
pub(super) const UNMATCHED: u8 = b'N';
pub(super) const REFUND: u8 = b'r';
pub(super) const ORDER_REFUND: u8 = b'R';
pub(super) const REFUND_REQUEST: u8 = b'f';
pub(super) const SHIPMENT: u8 = b'z';
pub(super) const SHIPPING: u8 = b'Z';
pub(super) const RECONCILIATION: u8 = b'b';
pub(super) const DAY_ROW: u8 = b'B';
pub(super) const ADMIN: u8 = b'M';
pub(super) const API_KEY: u8 = b'K';
pub(super) const CONSOLE_SESSION: u8 = b'S';
pub(super) const CERTIFICATE: u8 = b'v';
pub(super) const ALERT: u8 = b'A';
pub(super) const WEBHOOK: u8 = b'W';
pub(super) const OUTBOX: u8 = b'H';
pub(super) const SILENCE: u8 = b'y';
pub(super) const PIECE: u8 = b'p';
pub(super) const TOKEN: u8 = 0xF0;
pub(super) const TOKEN_SWEEP: u8 = 0xF1;
pub(super) const USER_TOKENS: u8 = 0xF2;

/// Ends an order_no inside a key: below every letter and digit, so that no number hides in another.
const END: &[u8] = &[0];

pub(super) fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(kind);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

/// Seconds as eight bytes that sort as time does; [`Timestamp`] is never negative.
fn seconds(at: Timestamp) -> [u8; 8] {
    u64::try_from(at.unix()).unwrap_or(0).to_be_bytes()
}

/// The byte of a status in keys; never changed, whatever the order of the enum.
pub(super) const fn status_byte(status: OrderStatus) -> u8 {
    match status {
        OrderStatus::Pending => b'p',
        OrderStatus::Paid => b'a',
        OrderStatus::Shipped => b's',
        OrderStatus::Completed => b'd',
        OrderStatus::Closed => b'c',
        OrderStatus::Refunded => b'r',
    }
}

pub(super) fn counter(name: u8) -> Vec<u8> {
    key(COUNTER, &[&[name]])
}

pub(super) fn goods(id: GoodsId) -> Vec<u8> {
    key(GOODS, &[&id.get().to_be_bytes()])
}

pub(super) fn stock(id: GoodsId) -> Vec<u8> {
    key(STOCK, &[&id.get().to_be_bytes()])
}

/// Starts the keys of all orders of a user.
pub(super) fn orders(uid: Uid) -> Vec<u8> {
    key(ORDER, &[&uid.get().to_be_bytes()])
}

pub(super) fn order(uid: Uid, order_no: &OrderNo) -> Vec<u8> {
    let uid = uid.get().to_be_bytes();
    key(ORDER, &[&uid, order_no.as_str().as_bytes()])
}

pub(super) fn order_owner(order_no: &OrderNo) -> Vec<u8> {
    key(ORDER_OWNER, &[order_no.as_str().as_bytes()])
}

pub(super) fn status_orders(status: OrderStatus) -> Vec<u8> {
    key(STATUS_ORDER, &[&[status_byte(status)]])
}

pub(super) fn status_order(status: OrderStatus, order_no: &OrderNo) -> Vec<u8> {
    let status = [status_byte(status)];
    key(STATUS_ORDER, &[&status, order_no.as_str().as_bytes()])
}

pub(super) fn entries(order_no: &OrderNo) -> Vec<u8> {
    key(ENTRY, &[order_no.as_str().as_bytes(), END])
}

pub(super) fn entry(order_no: &OrderNo, at: Timestamp, number: u32) -> Vec<u8> {
    let parts = [
        order_no.as_str().as_bytes(),
        END,
        &seconds(at),
        &number.to_be_bytes(),
    ];
    key(ENTRY, &parts)
}

pub(super) fn attempts(order_no: &OrderNo) -> Vec<u8> {
    key(ATTEMPT, &[order_no.as_str().as_bytes(), END])
}

pub(super) fn attempt(number: &OutTradeNo) -> Vec<u8> {
    let order_no = number.order_no().as_str().as_bytes();
    key(ATTEMPT, &[order_no, END, &number.attempt().to_be_bytes()])
}

/// When WeChat is asked next about the attempt of this number.
pub(super) fn next_query(number: &OutTradeNo) -> Vec<u8> {
    let order_no = number.order_no().as_str().as_bytes();
    key(
        NEXT_QUERY,
        &[order_no, END, &number.attempt().to_be_bytes()],
    )
}

pub(super) fn transaction(id: &TransactionId) -> Vec<u8> {
    key(TRANSACTION, &[id.as_str().as_bytes()])
}

pub(super) fn user(uid: Uid) -> Vec<u8> {
    key(USER, &[&uid.get().to_be_bytes()])
}

pub(super) fn openid(appid: &AppId, openid: &OpenId) -> Vec<u8> {
    let name = [appid.as_str().as_bytes(), END, openid.as_str().as_bytes()].concat();
    key(OPENID, &[&hash::sha256(&name)])
}

pub(super) fn phones(digest: &[u8; 16]) -> Vec<u8> {
    key(PHONE, &[digest])
}

pub(super) fn phone(digest: &[u8; 16], uid: Uid) -> Vec<u8> {
    key(PHONE, &[digest, &uid.get().to_be_bytes()])
}

pub(super) fn due(kind: u8, at: Timestamp, subject: &str) -> Vec<u8> {
    key(DUE, &[&[kind], &seconds(at), subject.as_bytes()])
}

/// Starts the keys of all work of `kind`.
pub(super) fn due_work(kind: u8) -> Vec<u8> {
    key(DUE, &[&[kind]])
}

/// All work of `kind` that is due at `now` or before.
pub(super) fn due_until(kind: u8, now: Timestamp) -> KeyRange {
    let behind = u64::from_be_bytes(seconds(now)).saturating_add(1);
    KeyRange {
        to: key(DUE, &[&[kind], &behind.to_be_bytes()]),
        ..KeyRange::prefix(&due_work(kind))
    }
}

/// The second at which the work under this key is due, and its subject.
pub(super) fn due_parts(key: &[u8]) -> Option<(Timestamp, &str)> {
    let (at, subject) = key.get(2..)?.split_first_chunk::<8>()?;
    let at = i64::try_from(u64::from_be_bytes(*at)).ok()?;
    let subject = std::str::from_utf8(subject).ok()?;
    Some((Timestamp::from_unix(at), subject))
}

pub(super) fn idempotency(day: u32, digest: &[u8; 32]) -> Vec<u8> {
    key(IDEMPOTENCY, &[&day.to_be_bytes(), digest])
}

/// All idempotency keys of the days before `day`.
pub(super) fn idempotency_before(day: u32) -> KeyRange {
    KeyRange {
        to: key(IDEMPOTENCY, &[&day.to_be_bytes()]),
        ..KeyRange::prefix(&[IDEMPOTENCY])
    }
}

pub(super) fn unmatched_seen(digest: &[u8; 32]) -> Vec<u8> {
    key(UNMATCHED_SEEN, &[digest])
}

pub(super) fn unmatched(number: u64) -> Vec<u8> {
    key(UNMATCHED, &[&number.to_be_bytes()])
}

pub(super) fn refund(refund_no: &RefundNo) -> Vec<u8> {
    key(REFUND, &[refund_no.as_str().as_bytes()])
}

/// Starts the index of all refunds of an order.
pub(super) fn order_refunds(order_no: &OrderNo) -> Vec<u8> {
    key(ORDER_REFUND, &[order_no.as_str().as_bytes(), END])
}

pub(super) fn order_refund(order_no: &OrderNo, refund_no: &RefundNo) -> Vec<u8> {
    let parts = [
        order_no.as_str().as_bytes(),
        END,
        refund_no.as_str().as_bytes(),
    ];
    key(ORDER_REFUND, &parts)
}

pub(super) fn refund_request(order_no: &OrderNo) -> Vec<u8> {
    key(REFUND_REQUEST, &[order_no.as_str().as_bytes()])
}

/// Starts the keys of all parcels of an order.
pub(super) fn shipments(order_no: &OrderNo) -> Vec<u8> {
    key(SHIPMENT, &[order_no.as_str().as_bytes(), END])
}

pub(super) fn shipment(order_no: &OrderNo, number: u16) -> Vec<u8> {
    let parts = [order_no.as_str().as_bytes(), END, &number.to_be_bytes()];
    key(SHIPMENT, &parts)
}

pub(super) fn shipping_report(order_no: &OrderNo) -> Vec<u8> {
    key(SHIPPING, &[order_no.as_str().as_bytes(), END, b"r"])
}

pub(super) fn settlement(order_no: &OrderNo) -> Vec<u8> {
    key(SHIPPING, &[order_no.as_str().as_bytes(), END, b"s"])
}

pub(super) fn reconciliation(day: Day) -> Vec<u8> {
    key(RECONCILIATION, &[&day.number().to_be_bytes()])
}

/// Starts the keys of all differences of a day.
pub(super) fn day_rows(day: Day) -> Vec<u8> {
    key(DAY_ROW, &[&day.number().to_be_bytes()])
}

/// Starts the keys of all differences of a day and class.
pub(super) fn day_rows_of(day: Day, class: u8) -> Vec<u8> {
    key(DAY_ROW, &[&day.number().to_be_bytes(), &[class]])
}

/// Starts the keys of all differences of a day and class about one payment.
pub(super) fn day_rows_about(day: Day, class: u8, out_trade_no: &str) -> Vec<u8> {
    let number = short(out_trade_no);
    let parts: [&[u8]; 4] = [
        &day.number().to_be_bytes(),
        &[class],
        number.as_bytes(),
        END,
    ];
    key(DAY_ROW, &parts)
}

pub(super) fn day_row(day: Day, class: u8, out_trade_no: &str, refund_no: &str) -> Vec<u8> {
    let mut row = day_rows_about(day, class, out_trade_no);
    row.extend_from_slice(short(refund_no).as_bytes());
    row
}

/// A number that others gave out, as it stands in a key: visible ASCII, at most 64 of it.
///
/// Source: 微信支付 APIv2, APIv3 · 商户订单号, 商户退款单号 (at most 32 and 64 of ASCII).
pub(super) fn short(number: &str) -> String {
    let visible = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    number.chars().take(64).map(visible).collect()
}

pub(super) fn admin(name: &str) -> Vec<u8> {
    key(ADMIN, &[name.as_bytes()])
}

pub(super) fn api_key(digest: &[u8; 32]) -> Vec<u8> {
    key(API_KEY, &[digest])
}

pub(super) fn console_session(digest: &[u8; 32]) -> Vec<u8> {
    key(CONSOLE_SESSION, &[digest])
}

pub(super) fn certificate(serial: &str) -> Vec<u8> {
    key(CERTIFICATE, &[serial.as_bytes()])
}

/// A further piece of the long record under `whole`.
pub(super) fn piece(whole: &[u8], number: u8) -> Vec<u8> {
    key(PIECE, &[whole, &[number]])
}

pub(super) fn token(digest: &[u8; 16]) -> Vec<u8> {
    key(TOKEN, &[digest])
}

pub(super) fn token_sweep(at: Timestamp, uid: Uid) -> Vec<u8> {
    key(TOKEN_SWEEP, &[&seconds(at), &uid.get().to_be_bytes()])
}

/// The sweeps that are due at `now`.
pub(super) fn token_sweeps_until(now: Timestamp) -> KeyRange {
    let behind = u64::from_be_bytes(seconds(now)).saturating_add(1);
    KeyRange {
        to: key(TOKEN_SWEEP, &[&behind.to_be_bytes()]),
        ..KeyRange::prefix(&[TOKEN_SWEEP])
    }
}

/// The second of a sweep, and whose tokens it is for.
pub(super) fn token_sweep_parts(key: &[u8]) -> Option<(Timestamp, Uid)> {
    let (at, uid) = key.get(1..)?.split_first_chunk::<8>()?;
    let at = i64::try_from(u64::from_be_bytes(*at)).ok()?;
    let uid = u64::from_be_bytes(uid.try_into().ok()?);
    Some((Timestamp::from_unix(at), Uid::new(uid)))
}

pub(super) fn user_tokens(uid: Uid) -> Vec<u8> {
    key(USER_TOKENS, &[&uid.get().to_be_bytes()])
}

/// The number in an eight-byte part that ends the key.
pub(super) fn last_number(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|last| u64::from_be_bytes(*last))
}
