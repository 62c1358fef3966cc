//! When the business says no. One enum; routes map it to status and code, with no `_` arm.

use crate::base::{Fen, GoodsId};

/// Why a wish was not granted. Nothing has changed when one of these is returned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such order, or another user's: which of the two is not told.
    #[error("没有这个订单")]
    OrderNotFound,
    /// Already paid for.
    #[error("订单已支付")]
    OrderPaid,
    /// Closed, expired, or on its way to being closed.
    #[error("订单已关闭或已超过支付时间")]
    OrderClosed,
    /// The order's status does not allow it.
    #[error("订单当前状态不允许此操作")]
    OrderState,
    /// No such goods.
    #[error("没有编号为 {0} 的商品")]
    GoodsNotFound(GoodsId),
    /// The goods are not on sale.
    #[error("商品 {0} 已下架")]
    GoodsOffSale(GoodsId),
    /// Fewer pieces are left than were asked for.
    #[error("商品 {goods_id} 库存不足，剩余 {stock}")]
    OutOfStock {
        /// The goods that ran short.
        goods_id: GoodsId,
        /// How many pieces are left.
        stock: u64,
    },
    /// A count, a price or a total breaks its rule (CONTRACT §7, Goods).
    #[error("{field} 不合规则：{rule}")]
    AmountInvalid {
        /// The JSON field that is wrong.
        field: &'static str,
        /// The rule, in Chinese.
        rule: &'static str,
    },
    /// A text or a number in the request breaks its rule.
    #[error("字段 {field} 不合规则：{rule}")]
    FieldInvalid {
        /// The JSON field that is wrong.
        field: &'static str,
        /// The rule, in Chinese.
        rule: &'static str,
    },
    /// The merchant blocked this user, or WeChat did.
    #[error("该用户已被限制登录")]
    UserBlocked,
    /// An old attempt cannot be replaced yet.
    #[error("上一次支付尚未了结，请稍后再试")]
    PaymentBusy {
        /// When to come back, seconds.
        retry_after_s: u64,
    },
    /// No such difference in the list of that day.
    #[error("这一天的对账里没有这笔支付的差异")]
    RowNotFound,
    /// A difference cannot be settled this way.
    #[error("{why}")]
    RowStays {
        /// Why, and what to do instead, in Chinese.
        why: &'static str,
    },
    /// The same idempotency key came with another body.
    #[error("同一个 Idempotency-Key 已用于不同的请求")]
    IdempotencyKeyReused,
    /// No such refund of this order.
    #[error("没有这笔退款")]
    RefundNotFound,
    /// More than is left of the payment.
    #[error("退款金额超过可退金额，还可退 {left} 元")]
    RefundExceeds {
        /// What may still be refunded.
        left: Fen,
    },
    /// The payment is more than a year old.
    #[error("付款已超过一年，微信支付不再受理退款，请线下与顾客结清")]
    RefundTooOld,
    /// WeChat takes no more parts of this payment.
    #[error("一笔付款最多分 50 次退款，次数已用完，余款请线下与顾客结清")]
    RefundTooManyParts,
    /// WeChat refused the refund for good, and it is closed.
    #[error("{said}")]
    RefundRefused {
        /// WeChat's code, or ours.
        code: String,
        /// The cause and what to do, in Chinese.
        said: String,
    },
    /// Nothing that this program can do moves the refund.
    #[error("{what}")]
    RefundManual {
        /// What a person has to do, in Chinese.
        what: &'static str,
    },
}
