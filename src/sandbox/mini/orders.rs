//! The payments of which the shipping service keeps record, and what it says of them.
//!
//! Source: 小程序 · 查询订单发货状态 (get_order); 查询订单列表 (get_order_list).

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::push::Event;
use super::shipping::{Money, Shipment, Shipped};
use super::upload::{BAD_PARAMETER, OrderKey, Parcel, filled};
use crate::base::Timestamp;
use crate::sandbox::credentials::Credentials;
use crate::sandbox::login::{Errcode, err};
use crate::sandbox::refunds::{Refunds, Status};
use crate::sandbox::shelf::Shelf;
use crate::sandbox::trades::{Trade, Trades};

pub(super) const NO_ORDER: Errcode = err(10_060_001, "支付单不存在");
const BAD_INDEX: Errcode = err(10_060_011, "last_index 有误");
const KEPT: usize = 100_000;
const PAGE: usize = 100;

/// The service as the console has it switched.
pub(super) struct Settings {
    /// `is_trade_managed`.
    pub(super) managed: bool,
    /// `is_trade_management_confirmation_completed`.
    pub(super) confirmed: bool,
    /// How long after a payment the service knows of it.
    pub(super) known_after: Duration,
    pub(super) jump_path: Option<String>,
}

/// The shipping service of the mini program.
pub(super) struct Shippings {
    pub(super) settings: Settings,
    by_transaction: Shelf<Shipment>,
    /// When receipts are taken for granted, and whose.
    waiting: BTreeSet<(Timestamp, String)>,
}

impl Shippings {
    pub(super) fn new() -> Self {
        Self {
            settings: Settings {
                managed: true,
                confirmed: true,
                known_after: Duration::ZERO,
                jump_path: None,
            },
            by_transaction: Shelf::new(KEPT),
            waiting: BTreeSet::new(),
        }
    }

    pub(super) fn of(&self, paid: &Paid) -> Shipment {
        let shipment = self.by_transaction.get(&paid.transaction_id);
        shipment.cloned().unwrap_or_default()
    }

    pub(super) fn keep(&mut self, paid: &Paid, shipment: Shipment) {
        let id = paid.transaction_id.clone();
        let granted_at = shipment.confirms_itself_at();
        self.waiting.extend(granted_at.map(|at| (at, id.clone())));
        self.by_transaction.put(id, shipment);
    }

    /// Takes out the payments whose receipt is taken for granted at `now`.
    pub(super) fn granted(&mut self, now: Timestamp) -> Vec<String> {
        let mut ids = vec![];
        while self.waiting.first().is_some_and(|(at, _)| *at <= now) {
            ids.extend(self.waiting.pop_first().map(|(_, id)| id));
        }
        let ripe = |id: &String| {
            let shipment = self.by_transaction.get(id);
            shipment
                .and_then(Shipment::confirms_itself_at)
                .is_some_and(|at| at <= now)
        };
        ids.into_iter().filter(ripe).collect()
    }
}

/// A payment as the service sees it.
#[derive(Clone, Debug)]
pub(super) struct Paid {
    pub(super) transaction_id: String,
    pub(super) out_trade_no: String,
    pub(super) openid: String,
    total_fen: u64,
    created_at: Timestamp,
    pub(super) paid_at: Timestamp,
    pub(super) money: Money,
}

impl Paid {
    fn read(trade: &Trade, refunds: &Refunds) -> Option<Self> {
        let payment = trade.payment.as_ref()?;
        Some(Self {
            transaction_id: payment.transaction_id.to_string(),
            out_trade_no: trade.order.out_trade_no.clone(),
            openid: trade.order.openid.to_string(),
            total_fen: trade.order.total.get(),
            created_at: trade.created_at,
            paid_at: payment.success_at,
            money: money(trade, refunds),
        })
    }
}

/// Given back once refunds that succeeded, or still may, make up the whole payment.
fn money(trade: &Trade, refunds: &Refunds) -> Money {
    let back = refunds.of(trade).filter(|refund| match refund.status {
        Status::Processing | Status::Success | Status::Abnormal => true,
        Status::Closed => false,
    });
    let back: u64 = back.map(|refund| refund.wanted.amount.get()).sum();
    match back >= trade.order.total.get() {
        true => Money::GivenBack,
        false => Money::Kept,
    }
}

impl Paid {
    /// The fields by which a push names this payment. Source: 小程序 · 发货信息管理服务, 事件推送.
    pub(super) fn named_in_a_push(&self, whose: &Credentials) -> Map<String, Value> {
        let named = [
            ("transaction_id", json!(self.transaction_id)),
            ("merchant_id", json!(whose.mchid)),
            ("sub_merchant_id", json!("")),
            ("merchant_trade_no", json!(self.out_trade_no)),
            ("pay_time", json!(self.paid_at.unix())),
        ];
        let named = named.map(|(name, value)| (name.to_owned(), value));
        named.into_iter().collect()
    }

    /// `trade_manage_order_settlement`: when shipping is complete, and when the money is released.
    pub(super) fn settlement_event(&self, shipment: &Shipment, whose: &Credentials) -> Event {
        let mut fields = self.named_in_a_push(whose);
        fields.extend(shipment.told_in_a_push());
        Event {
            name: "trade_manage_order_settlement".to_owned(),
            fields,
        }
    }
}

/// The payment that `key` names, if the service knows of it at `now`.
pub(super) fn find(
    (trades, refunds): (&Trades, &Refunds),
    (whose, settings): (&Credentials, &Settings),
    key: &OrderKey,
    now: Timestamp,
) -> Result<Paid, Errcode> {
    let trade = match key {
        OrderKey::Transaction(id) => trades.by_transaction(id),
        OrderKey::Merchant { mchid, .. } if mchid != whose.mchid.as_str() => None,
        OrderKey::Merchant { out_trade_no, .. } => trades.get(out_trade_no),
    };
    let paid = trade.and_then(|trade| Paid::read(trade, refunds));
    let known = |paid: &Paid| now >= paid.paid_at.plus(settings.known_after);
    paid.filter(known).ok_or(NO_ORDER)
}

/// All payments, the newest first.
pub(super) fn paid<'a>(
    trades: &'a Trades,
    refunds: &'a Refunds,
) -> impl Iterator<Item = Paid> + use<'a> {
    let read = |trade: &Trade| Paid::read(trade, refunds);
    trades.newest_first().filter_map(read)
}

/// The body of `get_order` and the first half of `notify_confirm_receive`'s.
#[derive(Deserialize)]
pub(super) struct OrderAsked {
    transaction_id: Option<String>,
    merchant_id: Option<String>,
    merchant_trade_no: Option<String>,
    pub(super) received_time: Option<i64>,
}

impl OrderAsked {
    /// By transaction_id, or by the merchant's pair.
    pub(super) fn key(&self) -> Result<OrderKey, Errcode> {
        if let Some(id) = filled(self.transaction_id.as_deref()) {
            return Ok(OrderKey::Transaction(id));
        }
        let mchid = filled(self.merchant_id.as_deref());
        let out_trade_no = filled(self.merchant_trade_no.as_deref());
        match (mchid, out_trade_no) {
            (Some(mchid), Some(out_trade_no)) => Ok(OrderKey::Merchant {
                mchid,
                out_trade_no,
            }),
            (_, _) => Err(BAD_PARAMETER),
        }
    }
}

/// `order` of get_order.
pub(super) fn view(paid: &Paid, shipment: &Shipment, whose: &Credentials) -> Value {
    json!({
        "transaction_id": paid.transaction_id,
        "merchant_id": whose.mchid,
        "sub_merchant_id": "",
        "merchant_trade_no": paid.out_trade_no,
        "description": "",
        "paid_amount": paid.total_fen,
        "openid": paid.openid,
        "trade_create_time": paid.created_at.unix(),
        "pay_time": paid.paid_at.unix(),
        "order_state": shipment.state(paid.money),
        "in_complaint": false,
        "shipping": shipment.shipped.as_ref().map_or(json!({}), shipped_view),
    })
}

fn shipped_view(shipped: &Shipped) -> Value {
    let described: Vec<&str> = shipped
        .parcels
        .iter()
        .map(|(parcel, _)| parcel.item_desc.as_str())
        .collect();
    let parcels = shipped.parcels.iter();
    json!({
        "delivery_mode": shipped.mode.number(),
        "logistics_type": shipped.logistics.number(),
        "finish_shipping": shipped.is_complete(),
        "finish_shipping_count": shipped.finished(),
        "goods_desc": described.join("；"),
        "shipping_list": parcels.map(parcel_view).collect::<Vec<_>>(),
    })
}

fn parcel_view((parcel, at): &(Parcel, Timestamp)) -> Value {
    let contact = parcel.contact.clone().unwrap_or_default();
    json!({
        "tracking_no": parcel.tracking_no,
        "express_company": parcel.express_company,
        "goods_desc": parcel.item_desc,
        "upload_time": at.unix(),
        "contact": {
            "consignor_contact": contact.consignor_contact.unwrap_or_default(),
            "receiver_contact": contact.receiver_contact.unwrap_or_default(),
        },
    })
}

/// The body of `get_order_list`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ListAsked {
    pay_time_range: Option<PayTimes>,
    order_state: Option<u8>,
    openid: Option<String>,
    last_index: Option<String>,
    page_size: Option<usize>,
}

#[derive(Deserialize)]
struct PayTimes {
    begin_time: Option<i64>,
    end_time: Option<i64>,
}

impl ListAsked {
    /// One page of what is asked for; `last_index` says where the next begins.
    pub(super) fn page(
        &self,
        all: impl Iterator<Item = (Paid, Shipment)>,
        whose: &Credentials,
    ) -> Result<Value, Errcode> {
        let index = filled(self.last_index.as_deref()).map_or(Ok(0), |text| text.parse::<usize>());
        let index = index.map_err(|_| BAD_INDEX)?;
        let size = self.page_size.unwrap_or(PAGE);
        if !(1..=PAGE).contains(&size) {
            return Err(BAD_PARAMETER);
        }
        let wanted = all.filter(|(paid, shipment)| self.wants(paid, shipment));
        let mut rest = wanted.skip(index);
        let rows = rest.by_ref().take(size);
        let rows: Vec<Value> = rows
            .map(|(paid, shipment)| view(&paid, &shipment, whose))
            .collect();
        let next = index.saturating_add(rows.len()).to_string();
        Ok(json!({"last_index": next, "has_more": rest.next().is_some(), "order_list": rows}))
    }

    fn wants(&self, paid: &Paid, shipment: &Shipment) -> bool {
        let at = paid.paid_at.unix();
        let in_time = self.pay_time_range.as_ref().is_none_or(|range| {
            range.begin_time.is_none_or(|begin| at >= begin)
                && range.end_time.is_none_or(|end| at <= end)
        });
        let state = self.order_state;
        let of_buyer = filled(self.openid.as_deref()).is_none_or(|openid| openid == paid.openid);
        in_time && of_buyer && state.is_none_or(|state| state == shipment.state(paid.money))
    }
}
