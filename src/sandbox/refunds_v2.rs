//! The v2 refund and its query as WeChat judges and answers them.

use super::Book;
use super::calls_v2::named;
use super::gate_v2::Asked;
use super::refunds::{NotRefunded, Refund, Source, Status, Wanted, Whose};
use super::talk_v2::Need::{Optional, Required};
use super::talk_v2::{Refused, Rule, Shape, check_fields};
use super::trades::Protocol;
use crate::base::Fen;
use crate::base::xml::Fields;

/// Source: 微信支付 APIv2 · 申请退款, 请求参数.
const REFUND: [Rule; 12] = [
    ("nonce_str", Required, 32, Shape::Any),
    ("out_refund_no", Required, 64, Shape::RefundNo),
    ("total_fee", Required, 19, Shape::Fee),
    ("refund_fee", Required, 19, Shape::Fee),
    ("transaction_id", Optional, 32, Shape::Any),
    ("out_trade_no", Optional, 32, Shape::TradeNo),
    ("sign_type", Optional, 32, Shape::Any),
    ("refund_fee_type", Optional, 8, Shape::OneOf(&["CNY"])),
    ("refund_desc", Optional, 80, Shape::Any),
    ("refund_account", Optional, 30, Shape::OneOf(&ACCOUNTS)),
    ("notify_url", Optional, 256, Shape::Url),
    ("detail", Optional, 6000, Shape::Json),
];
const ACCOUNTS: [&str; 2] = [
    "REFUND_SOURCE_UNSETTLED_FUNDS",
    "REFUND_SOURCE_RECHARGE_FUNDS",
];

/// Source: 微信支付 APIv2 · 查询退款, 请求参数.
const QUERY: [Rule; 7] = [
    ("nonce_str", Required, 32, Shape::Any),
    ("refund_id", Optional, 32, Shape::Any),
    ("out_refund_no", Optional, 64, Shape::RefundNo),
    ("transaction_id", Optional, 32, Shape::Any),
    ("out_trade_no", Optional, 32, Shape::TradeNo),
    ("offset", Optional, 19, Shape::Whole),
    ("sign_type", Optional, 32, Shape::Any),
];
/// How many refunds one answer tells. Source: 微信支付 APIv2 · 查询退款, offset.
const PAGE: usize = 10;

/// Accepts a refund. Source: 微信支付 APIv2 · 申请退款.
pub(super) fn apply(book: &mut Book, asked: &Asked<'_>) -> Result<Fields, Refused> {
    let (fields, sign_type) = (asked.fields, asked.sign_type);
    check_fields(fields, &REFUND, sign_type)?;
    let given = |name| Some(fields.text(name).to_owned()).filter(|text| !text.is_empty());
    let fen = |name| Fen::from_digits(fields.text(name)).expect("fits its shape");
    let wanted = Wanted {
        protocol: Protocol::V2(sign_type),
        source: Source::Api,
        transaction_id: given("transaction_id"),
        out_trade_no: given("out_trade_no"),
        out_refund_no: fields.text("out_refund_no").to_owned(),
        total: fen("total_fee"),
        amount: fen("refund_fee"),
        notify_url: given("notify_url"),
    };
    if wanted.transaction_id.is_none() && wanted.out_trade_no.is_none() {
        let message = "缺少参数transaction_id或out_trade_no";
        return Err(Refused::new("LACK_PARAMS", message, sign_type));
    }
    let accepted = book.refunds.apply(&mut book.trades, wanted, asked.now);
    let refund = accepted.map_err(|why| not_refunded(why, asked))?;
    Ok(accepted_fields(&refund))
}

/// Source: 微信支付 APIv2 · 申请退款, 返回结果: accepted, not refunded.
fn accepted_fields(refund: &Refund) -> Fields {
    let (total, amount) = (refund.wanted.total.get(), refund.wanted.amount.get());
    Fields::new()
        .with("transaction_id", refund.transaction_id.as_str())
        .with("out_trade_no", &*refund.out_trade_no)
        .with("out_refund_no", &*refund.wanted.out_refund_no)
        .with("refund_id", &*refund.refund_id)
        .with("refund_fee", amount.to_string())
        .with("total_fee", total.to_string())
        .with("fee_type", "CNY")
        .with("cash_fee", total.to_string())
        .with("cash_refund_fee", amount.to_string())
        .with("coupon_refund_fee", "0")
        .with("coupon_refund_count", "0")
}

/// Source: 微信支付 APIv2 · 申请退款, 错误码.
fn not_refunded(why: NotRefunded, asked: &Asked<'_>) -> Refused {
    let refuse = |code, message: &str| Refused::new(code, message, asked.sign_type);
    match why {
        NotRefunded::Unpaid => refuse("ORDERNOTEXIST", "订单不存在或未支付"),
        NotRefunded::Differs => {
            let message = "退款单号已被使用，且订单或金额与首次请求不一致";
            refuse("INVALID_REQUEST", message)
        }
        NotRefunded::WrongTotal => refuse("INVALID_REQUEST", "订单金额与原订单不一致"),
        NotRefunded::TooOld => refuse("TRADE_OVERDUE", "订单已超过一年的退款期限"),
        NotRefunded::TooMany => refuse("INVALID_REQUEST", "部分退款次数已达上限50次").business(),
        NotRefunded::TooSoon => refuse("FREQUENCY_LIMITED", "同一订单1分钟内只能退款一次"),
        NotRefunded::Exceeds(whose) => {
            let refused = refuse("INVALID_REQUEST", "退款金额大于可退金额");
            match whose {
                Whose::Program => refused,
                Whose::Platform => refused.business(),
            }
        }
    }
}

/// What refunds are now. Source: 微信支付 APIv2 · 查询退款.
pub(super) fn query(book: &mut Book, asked: &Asked<'_>) -> Result<Fields, Refused> {
    let (fields, sign_type) = (asked.fields, asked.sign_type);
    check_fields(fields, &QUERY, sign_type)?;
    book.settle(asked.now);
    let text = |name| fields.text(name);
    let unknown = || Refused::new("REFUNDNOTEXIST", "退款单不存在", sign_type);
    let one = match (text("refund_id"), text("out_refund_no")) {
        ("", "") => return query_order(book, asked),
        ("", number) => book.refunds.get(number),
        (id, _) => book.refunds.by_id(id),
    };
    let refund = one.ok_or_else(unknown)?;
    Ok(told(&[refund], 1))
}

/// All refunds of one order, ten at a time.
fn query_order(book: &Book, asked: &Asked<'_>) -> Result<Fields, Refused> {
    let refuse = |code, message: &str| Refused::new(code, message, asked.sign_type);
    let trade = named(&book.trades, asked).map_err(|refused| match refused.code {
        "ORDERNOTEXIST" => refuse("REFUNDNOTEXIST", "退款单不存在"),
        _ => refused,
    })?;
    let all: Vec<_> = book.refunds.of(trade).collect();
    if all.is_empty() {
        return Err(refuse("REFUNDNOTEXIST", "退款单不存在"));
    }
    let offset = match asked.fields.text("offset") {
        "" => 0,
        digits => digits.parse().unwrap_or(usize::MAX),
    };
    if offset >= all.len() {
        return Err(refuse("PARAM_ERROR", "offset超过退款笔数"));
    }
    let until = all.len().min(offset + PAGE);
    Ok(told(&all[offset..until], all.len()))
}

/// The answer that tells `refunds` (at least one, all of one order) out of `count`.
fn told(refunds: &[&Refund], count: usize) -> Fields {
    let first = refunds[0];
    let total = first.wanted.total.get().to_string();
    let start = Fields::new()
        .with("total_refund_count", count.to_string())
        .with("transaction_id", first.transaction_id.as_str())
        .with("out_trade_no", &*first.out_trade_no)
        .with("total_fee", &*total)
        .with("fee_type", "CNY")
        .with("cash_fee", &*total)
        .with("refund_count", refunds.len().to_string());
    let numbered = refunds.iter().enumerate();
    numbered.fold(start, |mut fields, (n, refund)| {
        for (name, value) in one_told(refund) {
            fields.set(&format!("{name}_{n}"), value);
        }
        fields
    })
}

fn one_told(refund: &Refund) -> Vec<(&'static str, String)> {
    let amount = refund.wanted.amount.get().to_string();
    let mut one = vec![
        ("out_refund_no", refund.wanted.out_refund_no.clone()),
        ("refund_id", refund.refund_id.clone()),
        ("refund_channel", "ORIGINAL".to_owned()),
        ("refund_fee", amount.clone()),
        ("coupon_refund_fee", "0".to_owned()),
        ("coupon_refund_count", "0".to_owned()),
        ("refund_status", status_name(refund.status).to_owned()),
        ("refund_account", ACCOUNTS[0].to_owned()),
        ("refund_recv_accout", refund.received_by.to_owned()),
    ];
    if let Some(at) = refund.success_at {
        one.push(("refund_success_time", spaced(&at.rfc3339())));
    }
    one
}

/// Source: 微信支付 APIv2 · 查询退款, refund_status_$n.
pub(super) fn status_name(status: Status) -> &'static str {
    match status {
        Status::Processing => "PROCESSING",
        Status::Success => "SUCCESS",
        Status::Abnormal => "CHANGE",
        Status::Closed => "REFUNDCLOSE",
    }
}

/// `yyyy-MM-dd HH:mm:ss` of an RFC 3339 time in Beijing's offset.
pub(super) fn spaced(rfc3339: &str) -> String {
    rfc3339[..19].replace('T', " ")
}
