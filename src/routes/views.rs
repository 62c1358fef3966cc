//! The JSON of the contract, written from records. These types are never kept.

use serde::{Serialize, Serializer};

use super::refund_views::{RefundRequestView, RefundView};
use super::shipping::{ReportView, SettlementView, ShipmentView};
use crate::base::{GoodsId, Timestamp, TransactionId};
use crate::model::{Address, Attempt, Entry, Goods, Line, Order, User};
use crate::shop::beside::Beside;
use crate::shop::orders::ToldOrder;
use crate::store::Page;

/// A moment, as the contract writes it.
pub(super) struct At(pub(super) Timestamp);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.rfc3339())
    }
}

pub(super) fn at(moment: Option<Timestamp>) -> Option<At> {
    moment.map(At)
}

#[derive(Serialize)]
pub(super) struct LineView<'a> {
    goods_id: Option<u64>,
    title: &'a str,
    spec: &'a str,
    price_fen: u64,
    count: u32,
}

impl<'a> From<&'a Line> for LineView<'a> {
    fn from(line: &'a Line) -> Self {
        Self {
            goods_id: line.goods_id.map(GoodsId::get),
            title: &line.title,
            spec: &line.spec,
            price_fen: line.price.get(),
            count: line.count,
        }
    }
}

/// `order` of CONTRACT §1.
#[derive(Serialize)]
pub(super) struct OrderView<'a> {
    order_no: &'a str,
    status: &'static str,
    goods_fen: u64,
    freight_fen: u64,
    discount_fen: u64,
    total_fen: u64,
    refunded_fen: u64,
    lines: Vec<LineView<'a>>,
    remark: &'a str,
    address: Option<&'a Address>,
    created_at: At,
    expires_at: At,
    paid_at: Option<At>,
    shipped_at: Option<At>,
    completed_at: Option<At>,
    closed_at: Option<At>,
    closing_since: Option<At>,
    transaction_id: Option<&'a str>,
    refund_request: Option<RefundRequestView<'a>>,
    refunds: Vec<RefundView<'a>>,
    shipments: Vec<ShipmentView<'a>>,
}

impl<'a> OrderView<'a> {
    /// `order` with what is kept beside it.
    pub(super) fn new(order: &'a Order, beside: &'a Beside) -> Self {
        Self {
            order_no: order.order_no.as_str(),
            status: order.status.as_str(),
            goods_fen: order.goods.get(),
            freight_fen: order.freight.get(),
            discount_fen: order.discount.get(),
            total_fen: order.total.get(),
            refunded_fen: order.refunded.get(),
            lines: order.lines.iter().map(LineView::from).collect(),
            remark: &order.remark,
            address: order.address.as_ref(),
            created_at: At(order.created_at),
            expires_at: At(order.expires_at),
            paid_at: at(order.paid_at),
            shipped_at: at(order.shipped_at),
            completed_at: at(order.completed_at),
            closed_at: at(order.closed_at),
            closing_since: at(order.closing_since),
            transaction_id: order.transaction_id.as_ref().map(TransactionId::as_str),
            refund_request: beside.request.as_ref().map(RefundRequestView::from),
            refunds: beside.refunds.iter().map(RefundView::from).collect(),
            shipments: beside.shipments.iter().map(ShipmentView::from).collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct OrdersView<'a> {
    orders: Vec<OrderView<'a>>,
    next_cursor: Option<&'a str>,
}

impl<'a> From<&'a Page<(Order, Beside)>> for OrdersView<'a> {
    fn from(page: &'a Page<(Order, Beside)>) -> Self {
        let view = |(order, beside): &'a (Order, Beside)| OrderView::new(order, beside);
        let orders = page.items.iter().map(view).collect();
        Self {
            orders,
            next_cursor: page.next_cursor.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct PaymentView {
    out_trade_no: String,
    transaction_id: Option<String>,
    amount_fen: u64,
    paid_at: Option<At>,
    counted: bool,
}

impl From<&Attempt> for PaymentView {
    fn from(attempt: &Attempt) -> Self {
        Self {
            out_trade_no: attempt.out_trade_no.to_string(),
            transaction_id: attempt.transaction_id.as_ref().map(ToString::to_string),
            amount_fen: attempt.amount.get(),
            paid_at: at(attempt.paid_at),
            counted: attempt.counted,
        }
    }
}

#[derive(Serialize)]
struct EntryView<'a> {
    at: At,
    kind: &'a str,
    text: &'a str,
}

impl<'a> From<&'a Entry> for EntryView<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            at: At(entry.at),
            kind: &entry.kind,
            text: &entry.text,
        }
    }
}

/// The merchant's view of an order.
#[derive(Serialize)]
pub(super) struct MerchantOrderView<'a> {
    #[serde(flatten)]
    order: OrderView<'a>,
    uid: u64,
    merchant_note: &'a str,
    payments: Vec<PaymentView>,
    events: Vec<EntryView<'a>>,
    shipping_report: Option<ReportView<'a>>,
    settlement: Option<SettlementView>,
}

impl<'a> MerchantOrderView<'a> {
    /// An order with all that is told about it.
    pub(super) fn new(told: &'a ToldOrder) -> Self {
        let (order, report) = (&told.order, told.report.as_ref());
        Self {
            order: OrderView::new(order, &told.beside),
            uid: order.uid.get(),
            merchant_note: &order.merchant_note,
            payments: told.attempts.iter().map(PaymentView::from).collect(),
            events: told.timeline.iter().map(EntryView::from).collect(),
            shipping_report: report.map(ReportView::from),
            settlement: SettlementView::of(order, report, told.settlement.as_ref()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct MerchantOrdersView<'a> {
    pub(super) orders: Vec<MerchantOrderView<'a>>,
    pub(super) next_cursor: Option<&'a str>,
}

/// `goods` of CONTRACT §1.
#[derive(Serialize)]
pub(super) struct GoodsView<'a> {
    id: u64,
    title: &'a str,
    price_fen: u64,
    stock: u64,
    image_url: &'a str,
    description: &'a str,
    on_sale: bool,
    group_id: Option<u64>,
    spec: &'a str,
}

impl<'a> GoodsView<'a> {
    /// `goods` with the pieces that are left.
    pub(super) fn new(goods: &'a Goods, stock: u64) -> Self {
        Self {
            id: goods.id.get(),
            title: &goods.title,
            price_fen: goods.price.get(),
            stock,
            image_url: &goods.image_url,
            description: &goods.description,
            on_sale: goods.on_sale,
            group_id: goods.group_id,
            spec: &goods.spec,
        }
    }
}

#[derive(Serialize)]
pub(super) struct GoodsListView<'a> {
    goods: Vec<GoodsView<'a>>,
    next_cursor: Option<&'a str>,
}

impl<'a> From<&'a Page<(Goods, u64)>> for GoodsListView<'a> {
    fn from(page: &'a Page<(Goods, u64)>) -> Self {
        let goods = page
            .items
            .iter()
            .map(|(goods, stock)| GoodsView::new(goods, *stock))
            .collect();
        Self {
            goods,
            next_cursor: page.next_cursor.as_deref(),
        }
    }
}

/// A user, for themselves.
#[derive(Serialize)]
pub(super) struct UserView<'a> {
    uid: u64,
    scope: &'static str,
    nickname: &'a str,
    avatar_url: &'a str,
    phone: &'a str,
    created_at: At,
}

impl<'a> From<&'a User> for UserView<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            uid: user.uid.get(),
            scope: "user",
            nickname: &user.nickname,
            avatar_url: &user.avatar_url,
            phone: &user.phone,
            created_at: At(user.created_at),
        }
    }
}
