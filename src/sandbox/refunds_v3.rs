//! The v3 refund, its query and the abnormal refund as WeChat judges and answers them.

use serde_json::{Value, json};

use super::Book;
use super::gate_v3::Answer;
use super::refunds::{NotEnded, NotRefunded, Refund, Source, Wanted, Whose};
use super::shape_v3::{ABNORMAL, REFUND};
use super::talk_v3::{Call, Refused, bad_param, read_body, refused};
use super::trades::Protocol;
use crate::base::{Fen, Timestamp};

/// Accepts a refund. Source: 微信支付 APIv3 · 申请退款.
pub(super) fn apply(book: &mut Book, call: &Call<'_>, now: Timestamp) -> Result<Answer, Refused> {
    let body = read_body(call.body, REFUND)?;
    let text = |pointer: &str| Some(body.pointer(pointer)?.as_str()?.to_owned());
    let fen = |pointer: &str| Fen::new(body.pointer(pointer).and_then(Value::as_u64).unwrap_or(0));
    let wanted = Wanted {
        protocol: Protocol::V3,
        source: Source::Api,
        transaction_id: text("/transaction_id"),
        out_trade_no: text("/out_trade_no"),
        out_refund_no: text("/out_refund_no").unwrap_or_default(),
        total: fen("/amount/total"),
        amount: fen("/amount/refund"),
        notify_url: text("/notify_url"),
    };
    if wanted.transaction_id.is_none() && wanted.out_trade_no.is_none() {
        let why = "与out_trade_no二选一必填";
        return Err(bad_param("/transaction_id", why, "body"));
    }
    let accepted = book.refunds.apply(&mut book.trades, wanted, now);
    accepted
        .map(|refund| Answer::Json(object(&refund)))
        .map_err(not_refunded)
}

/// Source: 微信支付 APIv3 · 申请退款, 错误码.
fn not_refunded(why: NotRefunded) -> Refused {
    let invalid = |message| refused(400, "INVALID_REQUEST", message, 268_435_461);
    match why {
        NotRefunded::Unpaid => {
            let message = "订单不存在或未支付";
            refused(404, "RESOURCE_NOT_EXISTS", message, 268_512_771)
        }
        NotRefunded::Differs => invalid("退款单号已被使用，且订单或金额与首次请求不一致"),
        NotRefunded::WrongTotal => invalid("订单金额与原订单不一致"),
        NotRefunded::TooOld => invalid("订单已超过一年的退款期限").business(),
        NotRefunded::TooMany => invalid("部分退款次数已达上限50次").business(),
        NotRefunded::TooSoon => {
            let message = "同一订单1分钟内只能退款一次";
            refused(429, "FREQUENCY_LIMITED", message, 268_447_840)
        }
        NotRefunded::Exceeds(Whose::Program) => invalid("退款金额大于可退金额"),
        NotRefunded::Exceeds(Whose::Platform) => invalid("退款金额大于可退金额").business(),
    }
}

/// A refund as it is. Source: 微信支付 APIv3 · 查询单笔退款.
pub(super) fn query(book: &mut Book, number: &str, now: Timestamp) -> Result<Answer, Refused> {
    book.settle(now);
    let refund = book.refunds.get(number).ok_or_else(not_exist)?;
    Ok(Answer::Json(object(refund)))
}

fn not_exist() -> Refused {
    refused(404, "RESOURCE_NOT_EXISTS", "退款单不存在", 268_512_771)
}

/// Source: 微信支付 APIv3 · 申请退款, 应答参数.
pub(super) fn object(refund: &Refund) -> Value {
    let (total, amount) = (refund.wanted.total, refund.wanted.amount);
    let mut object = json!({
        "refund_id": refund.refund_id,
        "out_refund_no": refund.wanted.out_refund_no,
        "transaction_id": refund.transaction_id,
        "out_trade_no": refund.out_trade_no,
        "channel": "ORIGINAL",
        "user_received_account": refund.received_by,
        "create_time": refund.created_at.rfc3339(),
        "status": refund.status,
        "funds_account": "UNSETTLED",
        "amount": {
            "total": total,
            "refund": amount,
            "from": [],
            "payer_total": total,
            "payer_refund": amount,
            "settlement_refund": amount,
            "settlement_total": total,
            "discount_refund": 0,
            "currency": "CNY",
            "refund_fee": 0,
        },
        "promotion_detail": [],
    });
    if let Some(at) = refund.success_at {
        object["success_time"] = json!(at.rfc3339());
    }
    object
}

/// Where an abnormal refund is to go instead.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Elsewhere {
    /// The user's card: its bank, the sealed number, the sealed name.
    Card {
        account: String,
        name: String,
    },
    Merchant,
}

/// Takes up an abnormal refund. `opens` tells whether a text was sealed for our key.
///
/// Source: 微信支付 APIv3 · 发起异常退款.
pub(super) fn take_up(
    book: &mut Book,
    refund_id: &str,
    call: &Call<'_>,
    (now, opens): (Timestamp, &dyn Fn(&str) -> bool),
) -> Result<Answer, Refused> {
    let body = read_body(call.body, ABNORMAL)?;
    let received_by = match elsewhere(&body)? {
        Elsewhere::Merchant => "商户结算银行账户",
        Elsewhere::Card { account, name } => {
            if call.wechatpay_serial.is_none() {
                let why = "有敏感信息加密字段时必填";
                return Err(bad_param("Wechatpay-Serial", why, "header"));
            }
            for (field, sealed) in [("/bank_account", &account), ("/real_name", &name)] {
                if !opens(sealed) {
                    return Err(bad_param(field, "敏感信息解密失败", "body"));
                }
            }
            "用户银行卡"
        }
    };
    book.settle(now);
    let refund = book.refunds.by_id(refund_id).ok_or_else(not_exist)?;
    let number = refund.wanted.out_refund_no.clone();
    if body["out_refund_no"] != *number {
        return Err(not_exist());
    }
    match book.refunds.take_up(&number, received_by, now) {
        Ok(refund) => Ok(Answer::Json(object(&refund))),
        Err(NotEnded::Unknown) => Err(not_exist()),
        Err(NotEnded::Final) => {
            let message = "退款单不是退款异常状态";
            Err(refused(400, "INVALID_REQUEST", message, 268_435_461).business())
        }
    }
}

fn elsewhere(body: &Value) -> Result<Elsewhere, Refused> {
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    if body["type"] == "MERCHANT_BANK_CARD" {
        return Ok(Elsewhere::Merchant);
    }
    let needed = |name: &str| {
        let why = "type为USER_BANK_CARD时必填";
        text(name).ok_or_else(|| bad_param(&format!("/{name}"), why, "body"))
    };
    needed("bank_type")?;
    Ok(Elsewhere::Card {
        account: needed("bank_account")?,
        name: needed("real_name")?,
    })
}
