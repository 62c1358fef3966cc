//! The trades of the simulated merchant: opening, re-entering, paying, closing, lapsing.
//!
//! Both protocols share these rules; what a refusal is called differs and is theirs to say.

use std::time::Duration;

use data_encoding::HEXLOWER;

use super::notify::Notice;
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
/// A v2 order younger than this is not closed. Source: 微信支付 APIv2 · 关闭订单.
const V2_CLOSES_AFTER: Duration = Duration::from_secs(5 * 60);
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
    pub(super) description: String,
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
    /// The order was closed, or its time is over.
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
    /// The order was closed, or its time is over.
    Closed,
}

/// Why an order is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotClosed {
    /// No such order.
    Unknown,
    /// The order is paid.
    Paid,
    /// The merchant closed it before.
    Already,
    /// It lapsed by itself after seven days.
    Lapsed,
    /// v2 only: younger than five minutes.
    TooYoung,
}

/// What a trade is at some moment. Source: 微信支付 APIv3 · 查询订单, trade_state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TradeState {
    NotPay,
    Success,
    /// Paid, then at least partly refunded.
    Refund,
    Closed,
}

impl TradeState {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NotPay => "NOTPAY",
            Self::Success => "SUCCESS",
            Self::Refund => "REFUND",
            Self::Closed => "CLOSED",
        }
    }

    /// `trade_state_desc`.
    pub(super) fn says(self) -> &'static str {
        match self {
            Self::NotPay => "订单未支付",
            Self::Success => "支付成功",
            Self::Refund => "订单发生过退款",
            Self::Closed => "订单已关闭",
        }
    }
}

/// The buyer's payment.
#[derive(Clone, Debug)]
pub(super) struct Payment {
    pub(super) transaction_id: TransactionId,
    pub(super) success_at: Timestamp,
    pub(super) notice: Notice,
}

/// One order at WeChat.
#[derive(Clone, Debug)]
pub(super) struct Trade {
    pub(super) order: Wanted,
    pub(super) created_at: Timestamp,
    pub(super) prepay_id: PrepayId,
    prepaid_at: Timestamp,
    /// When the merchant closed it.
    closed_at: Option<Timestamp>,
    pub(super) payment: Option<Payment>,
    /// The numbers of the refunds that were accepted, the oldest first.
    pub(super) refunds: Vec<String>,
}

impl Trade {
    fn new(order: Wanted, now: Timestamp) -> Self {
        Self {
            order,
            created_at: now,
            prepay_id: new_prepay_id(now),
            prepaid_at: now,
            closed_at: None,
            payment: None,
            refunds: vec![],
        }
    }

    /// What this trade is at `now`.
    ///
    /// `time_expire` ends only the time to pay: until it is closed the order stays NOTPAY.
    /// Source: 微信支付 APIv2 · 统一下单, time_expire.
    pub(super) fn state_at(&self, now: Timestamp) -> TradeState {
        match &self.payment {
            Some(_) if self.refunds.is_empty() => TradeState::Success,
            Some(_) => TradeState::Refund,
            None if self.closed_at.is_some() || now > self.lapses_at() => TradeState::Closed,
            None => TradeState::NotPay,
        }
    }

    fn lapses_at(&self) -> Timestamp {
        self.created_at.plus(ORDER_LIFE)
    }

    fn is_past_its_time(&self, now: Timestamp) -> bool {
        self.order.pays_until.is_some_and(|until| now > until)
    }

    fn prepay_lives(&self, now: Timestamp) -> bool {
        now.since(self.prepaid_at) < PREPAY_LIFE
    }
}

/// All trades, found by out_trade_no, by prepay_id and by transaction_id.
pub(super) struct Trades {
    by_number: Shelf<Trade>,
    number_by_prepay: Shelf<String>,
    number_by_transaction: Shelf<String>,
}

impl Trades {
    pub(super) fn new() -> Self {
        Self {
            by_number: Shelf::new(KEPT),
            number_by_prepay: Shelf::new(KEPT),
            number_by_transaction: Shelf::new(KEPT),
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
        let trade = self.prepaid(prepay_id)?;
        match trade.state_at(now) {
            TradeState::Success | TradeState::Refund => Err(NotPayable::Paid),
            TradeState::Closed => Err(NotPayable::Closed),
            TradeState::NotPay if trade.is_past_its_time(now) => Err(NotPayable::Closed),
            TradeState::NotPay if trade.prepay_id.as_str() != prepay_id => Err(NotPayable::Expired),
            TradeState::NotPay if !trade.prepay_lives(now) => Err(NotPayable::Expired),
            TradeState::NotPay => Ok(trade),
        }
    }

    fn prepaid(&self, prepay_id: &str) -> Result<&Trade, NotPayable> {
        let number = self.number_by_prepay.get(prepay_id);
        let trade = number.and_then(|number| self.by_number.get(number));
        trade.ok_or(NotPayable::Unknown)
    }

    /// The buyer pays.
    pub(super) fn pay(&mut self, prepay_id: &str, now: Timestamp) -> Result<Trade, NotPayable> {
        let number = self.payable(prepay_id, now)?.order.out_trade_no.clone();
        self.paid(&number, now)
    }

    /// The buyer pays although the order is closed or late: the cashier was open before.
    ///
    /// Source: 微信支付 APIv3 · 关闭订单 (a payment that wins the race).
    pub(super) fn pay_after_close(
        &mut self,
        prepay_id: &str,
        now: Timestamp,
    ) -> Result<Trade, NotPayable> {
        let trade = self.prepaid(prepay_id)?;
        if trade.payment.is_some() {
            return Err(NotPayable::Paid);
        }
        let number = trade.order.out_trade_no.clone();
        self.paid(&number, now)
    }

    fn paid(&mut self, number: &str, now: Timestamp) -> Result<Trade, NotPayable> {
        let trade = self.by_number.get_mut(number).ok_or(NotPayable::Unknown)?;
        let transaction_id = new_transaction_id(now);
        self.number_by_transaction
            .put(transaction_id.to_string(), number.to_owned());
        trade.payment = Some(Payment {
            transaction_id,
            success_at: now,
            notice: Notice::new(),
        });
        Ok(trade.clone())
    }

    /// The merchant closes an order.
    ///
    /// Source: 微信支付 APIv2 · 关闭订单; 微信支付 APIv3 · 关闭订单.
    pub(super) fn close(
        &mut self,
        (out_trade_no, protocol): (&str, Protocol),
        now: Timestamp,
    ) -> Result<(), NotClosed> {
        let trade = self
            .by_number
            .get_mut(out_trade_no)
            .ok_or(NotClosed::Unknown)?;
        match trade.state_at(now) {
            TradeState::Success | TradeState::Refund => return Err(NotClosed::Paid),
            TradeState::Closed if trade.closed_at.is_some() => return Err(NotClosed::Already),
            TradeState::Closed => return Err(NotClosed::Lapsed),
            TradeState::NotPay => {}
        }
        let v2 = matches!(protocol, Protocol::V2(_));
        if v2 && now.since(trade.created_at) < V2_CLOSES_AFTER {
            return Err(NotClosed::TooYoung);
        }
        trade.closed_at = Some(now);
        Ok(())
    }

    /// The paid trade with this number of WeChat's.
    pub(super) fn by_transaction(&self, transaction_id: &str) -> Option<&Trade> {
        self.get(self.number_by_transaction.get(transaction_id)?)
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
        TradeState::Success | TradeState::Refund => Err(NotOpened::Paid),
        TradeState::Closed => Err(NotOpened::Closed),
        TradeState::NotPay if trade.is_past_its_time(now) => Err(NotOpened::Closed),
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
