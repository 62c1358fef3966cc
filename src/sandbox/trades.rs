//! The trades of the simulated merchant: opening, re-entering, paying, lapsing.
//!
//! Both protocols share these rules; what a refusal is called differs and is theirs to say.

use std::time::Duration;

use data_encoding::HEXLOWER;

use super::shelf::Shelf;
use super::sign_v2::SignType;
use crate::base::secret::{random, random_u64};
use crate::base::{Fen, OpenId, PrepayId, Timestamp, TransactionId};

/// A prepay_id lives two hours, whatever `time_expire` says. Source: 微信支付 APIv2 · 统一下单.
const PREPAY_LIFE: Duration = Duration::from_secs(2 * 3600);
/// An unpaid order lapses after seven days. Source: 微信支付 APIv3 · JSAPI/小程序下单.
const ORDER_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// A v2 `time_expire` nearer than this is refused. Source: 微信支付 APIv2 · 统一下单, time_expire.
const V2_SHORTEST: Duration = Duration::from_secs(5 * 60);
/// A v3 `time_expire` nearer than this is moved out to it. Source: 微信支付 APIv3 · JSAPI/小程序下单.
const V3_SHORTEST: Duration = Duration::from_secs(60);
/// How many trades are remembered.
const KEPT: usize = 100_000;

/// The protocol an order was placed with; its notify speaks the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    V2(SignType),
    V3,
}

/// An order as asked for, in rules common to both protocols.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) protocol: Protocol,
    pub(super) out_trade_no: String,
    pub(super) openid: OpenId,
    pub(super) total: Fen,
    pub(super) notify_url: String,
    pub(super) attach: Option<String>,
    pub(super) pays_until: Option<Timestamp>,
    /// A digest of every parameter that a repeat must not change.
    pub(super) fingerprint: [u8; 32],
}

/// Why an order is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotOpened {
    /// `time_expire` is too near.
    TooSoon,
    /// The number was used with other parameters.
    Differs,
    /// The number belongs to an order of the other protocol.
    Used,
    /// The order is paid.
    Paid,
    /// The order lapsed.
    Closed,
}

/// Why a prepay_id cannot be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotPayable {
    /// No such prepay_id was ever given out.
    Unknown,
    /// Older than two hours.
    Expired,
    /// The order is paid.
    Paid,
    /// The order lapsed.
    Closed,
}

/// What a trade is at some moment. Source: 微信支付 APIv3 · 查询订单, trade_state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TradeState {
    NotPay,
    Success,
    Closed,
}

impl TradeState {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NotPay => "NOTPAY",
            Self::Success => "SUCCESS",
            Self::Closed => "CLOSED",
        }
    }
}

/// The buyer's payment.
#[derive(Clone, Debug)]
pub(super) struct Payment {
    pub(super) transaction_id: TransactionId,
    pub(super) success_at: Timestamp,
    /// The notify's id; every delivery of it carries the same.
    pub(super) notify_id: String,
    /// How many deliveries were attempted.
    pub(super) deliveries: usize,
    /// The HTTP status of the last delivery that was answered.
    pub(super) last_status: Option<u16>,
    /// When the merchant first took the notify.
    pub(super) accepted_at: Option<Timestamp>,
    /// Whether a delay was played on it; it is played once.
    pub(super) delayed: bool,
}

/// One order at WeChat.
#[derive(Clone, Debug)]
pub(super) struct Trade {
    pub(super) order: Wanted,
    pub(super) created_at: Timestamp,
    pub(super) prepay_id: PrepayId,
    prepaid_at: Timestamp,
    pub(super) payment: Option<Payment>,
}

impl Trade {
    fn new(order: Wanted, now: Timestamp) -> Self {
        Self {
            order,
            created_at: now,
            prepay_id: new_prepay_id(now),
            prepaid_at: now,
            payment: None,
        }
    }

    /// What this trade is at `now`.
    pub(super) fn state_at(&self, now: Timestamp) -> TradeState {
        let lapses_at = self.created_at.plus(ORDER_LIFE);
        let pays_until = self
            .order
            .pays_until
            .map_or(lapses_at, |at| at.min(lapses_at));
        match &self.payment {
            Some(_) => TradeState::Success,
            None if now > pays_until => TradeState::Closed,
            None => TradeState::NotPay,
        }
    }

    fn prepay_lives(&self, now: Timestamp) -> bool {
        now.since(self.prepaid_at) < PREPAY_LIFE
    }
}

/// All trades, found by out_trade_no and by prepay_id.
pub(super) struct Trades {
    by_number: Shelf<Trade>,
    number_by_prepay: Shelf<String>,
}

impl Trades {
    pub(super) fn new() -> Self {
        Self {
            by_number: Shelf::new(KEPT),
            number_by_prepay: Shelf::new(KEPT),
        }
    }

    /// Opens an order, or gives a repeated one its prepay_id again.
    ///
    /// Source: 微信支付 APIv2 · 统一下单, 重入; 微信支付 APIv3 · JSAPI/小程序下单, 下单重入.
    pub(super) fn open(&mut self, order: Wanted, now: Timestamp) -> Result<PrepayId, NotOpened> {
        let trade = match self.by_number.get(&order.out_trade_no) {
            None => Trade::new(first_time(order, now)?, now),
            Some(trade) => {
                require_same(trade, &order, now)?;
                if trade.prepay_lives(now) {
                    return Ok(trade.prepay_id.clone());
                }
                Trade {
                    prepay_id: new_prepay_id(now),
                    prepaid_at: now,
                    ..trade.clone()
                }
            }
        };
        let (number, prepay_id) = (trade.order.out_trade_no.clone(), trade.prepay_id.clone());
        self.number_by_prepay
            .put(prepay_id.to_string(), number.clone());
        self.by_number.put(number, trade);
        Ok(prepay_id)
    }

    /// The trade that a buyer holding `prepay_id` could pay at `now`.
    pub(super) fn payable(&self, prepay_id: &str, now: Timestamp) -> Result<&Trade, NotPayable> {
        let number = self.number_by_prepay.get(prepay_id);
        let trade = number
            .and_then(|number| self.by_number.get(number))
            .ok_or(NotPayable::Unknown)?;
        match trade.state_at(now) {
            TradeState::Success => Err(NotPayable::Paid),
            TradeState::Closed => Err(NotPayable::Closed),
            TradeState::NotPay if trade.prepay_id.as_str() != prepay_id => Err(NotPayable::Expired),
            TradeState::NotPay if !trade.prepay_lives(now) => Err(NotPayable::Expired),
            TradeState::NotPay => Ok(trade),
        }
    }

    /// The buyer pays.
    pub(super) fn pay(&mut self, prepay_id: &str, now: Timestamp) -> Result<Trade, NotPayable> {
        let number = self.payable(prepay_id, now)?.order.out_trade_no.clone();
        let trade = self.by_number.get_mut(&number).ok_or(NotPayable::Unknown)?;
        trade.payment = Some(Payment {
            transaction_id: new_transaction_id(now),
            success_at: now,
            notify_id: format!("EV-{}", HEXLOWER.encode(&random::<16>())),
            deliveries: 0,
            last_status: None,
            accepted_at: None,
            delayed: false,
        });
        Ok(trade.clone())
    }

    pub(super) fn get(&self, out_trade_no: &str) -> Option<&Trade> {
        self.by_number.get(out_trade_no)
    }

    pub(super) fn get_mut(&mut self, out_trade_no: &str) -> Option<&mut Trade> {
        self.by_number.get_mut(out_trade_no)
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Trade> {
        self.by_number.newest_first()
    }
}

fn first_time(order: Wanted, now: Timestamp) -> Result<Wanted, NotOpened> {
    let Some(pays_until) = order.pays_until else {
        return Ok(order);
    };
    match order.protocol {
        Protocol::V2(_) if pays_until < now.plus(V2_SHORTEST) => Err(NotOpened::TooSoon),
        Protocol::V2(_) => Ok(order),
        Protocol::V3 => Ok(Wanted {
            pays_until: Some(pays_until.max(now.plus(V3_SHORTEST))),
            ..order
        }),
    }
}

fn require_same(trade: &Trade, order: &Wanted, now: Timestamp) -> Result<(), NotOpened> {
    let spoken = |protocol| matches!(protocol, Protocol::V3);
    if spoken(trade.order.protocol) != spoken(order.protocol) {
        return Err(NotOpened::Used);
    }
    match trade.state_at(now) {
        TradeState::Success => Err(NotOpened::Paid),
        TradeState::Closed => Err(NotOpened::Closed),
        TradeState::NotPay if trade.order.fingerprint != order.fingerprint => {
            Err(NotOpened::Differs)
        }
        TradeState::NotPay => Ok(()),
    }
}

fn new_prepay_id(now: Timestamp) -> PrepayId {
    let text = format!("wx{}{}", now.compact(), HEXLOWER.encode(&random::<10>()));
    text.parse().expect("36 letters and digits")
}

fn new_transaction_id(now: Timestamp) -> TransactionId {
    let day = &now.compact()[..8];
    let serial = random_u64() % 10_000_000_000;
    let text = format!("4200002345{day}{serial:010}");
    text.parse().expect("28 digits")
}
