//! The truth about one attempt: WeChat is asked, and what it says is applied like a notify.
//!
//! Who calls anything here that talks to WeChat holds the order's turn ([`super::turns`]).

use std::time::Duration;

use super::asking::{LOOK_BACK, LOOKS};
use super::effects::Desk;
use super::notify::{self, Applied, Teller};
use super::subscribe::tell_paid;
use super::trace::exchange_entries;
use super::{Shop, ShopError};
use crate::base::OutTradeNo;
#[cfg(test)]
use crate::base::trial::{self, Planted};
use crate::model::attempt::{Mismatch, Standing};
use crate::model::{Attempt, AttemptState, Entry, Payment, Protocol};
use crate::store::{Tx, attempts, queries};
use crate::wechat::{Cause, CloseAnswer, Trace, Trade, TradeState, WechatError};

/// How long after an attempt's last second it counts as over when it can no longer be asked about.
const LAPSE: Duration = Duration::from_secs(2 * 3600);

/// What asking about an attempt came to; it is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Its money counts, now or before.
    Paid,
    /// It cannot be paid any more.
    Closed,
    /// It is not paid, and may be.
    Unpaid,
    /// WeChat does not know its number.
    Absent,
    /// It is paid, but not as it asked for: listed for the merchant.
    Strange(Mismatch),
}

/// What having an attempt closed came to; it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// It cannot be paid any more.
    Closed,
    /// It was paid, and its money counts.
    Paid,
    /// WeChat refuses to close it for now; its words.
    NotYet(String),
    /// WeChat could not be asked, or said no.
    Failed(WechatError),
    /// It is paid, but not as it asked for.
    Strange(Mismatch),
}

impl Shop {
    /// Asks WeChat about `attempt` and keeps what follows.
    ///
    /// # Errors
    /// [`ShopError::Wechat`] when WeChat gave no truth; store errors.
    ///
    /// Source: 微信支付 APIv2, APIv3 · 查询订单.
    pub(super) async fn ask(&self, attempt: &Attempt) -> Result<Found, ShopError> {
        self.ask_payment(attempt).await.map(|(found, _)| found)
    }

    /// As [`Shop::ask`], with the payment that WeChat told of, whether it counts or not.
    ///
    /// # Errors
    /// As [`Shop::ask`].
    pub(super) async fn ask_payment(
        &self,
        attempt: &Attempt,
    ) -> Result<(Found, Option<Payment>), ShopError> {
        let asked_as = self.reachable(attempt)?;
        let trace = Trace::new(&self.clock);
        let outcome = self.wechat.query(&asked_as, &trace).await;
        let entries = exchange_entries("wechat.query", &trace);
        match outcome {
            Ok(trade) => {
                let payment = trade.payment.clone().map(|payment| Payment {
                    protocol: attempt.protocol,
                    ..payment
                });
                let found = self.take_trade(attempt, trade, entries).await?;
                Ok((found, payment))
            }
            Err(error) => {
                let order_no = attempt.out_trade_no.order_no().clone();
                self.keep_entries(order_no, entries).await?;
                Err(error.into())
            }
        }
    }

    async fn take_trade(
        &self,
        attempt: &Attempt,
        trade: Trade,
        entries: Vec<Entry>,
    ) -> Result<Found, ShopError> {
        // Refunded means: it was paid first, and that is counted first.
        let was_paid = matches!(trade.state, TradeState::Paid | TradeState::Refunded);
        #[cfg(test)]
        let was_paid = was_paid && !trial::is(Planted::QueryUnheard);
        if let Some(payment) = trade.payment.filter(|_| was_paid) {
            // A query is verified in the protocol it was asked in; only a notify must match.
            let payment = Payment {
                protocol: attempt.protocol,
                ..payment
            };
            let money = if trade.state == TradeState::Refunded {
                Money::GoneBack
            } else {
                Money::There
            };
            return self.take_payment(attempt, payment, money, entries).await;
        }
        match trade.state {
            TradeState::Closed | TradeState::Revoked => {
                self.keep_closed(attempt, entries).await?;
                Ok(Found::Closed)
            }
            TradeState::Absent => self.still(attempt, entries, Found::Absent).await,
            TradeState::NotPaid
            | TradeState::Paying
            | TradeState::Failed
            | TradeState::Paid
            | TradeState::Refunded => self.still(attempt, entries, Found::Unpaid).await,
        }
    }

    async fn still(
        &self,
        attempt: &Attempt,
        entries: Vec<Entry>,
        found: Found,
    ) -> Result<Found, ShopError> {
        let order_no = attempt.out_trade_no.order_no().clone();
        self.keep_entries(order_no, entries).await?;
        Ok(found)
    }

    async fn take_payment(
        &self,
        attempt: &Attempt,
        payment: Payment,
        money: Money,
        entries: Vec<Entry>,
    ) -> Result<Found, ShopError> {
        let (key, now) = (self.field_key(), self.clock.now());
        let tells = self.settings.messages.paid.is_some();
        let number = attempt.out_trade_no.clone();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut desk = Desk { tx, key: &key, now };
            desk.note_all(number.order_no(), &entries)?;
            let applied = notify::apply(&mut desk, &payment, Teller::Query)?;
            if tells {
                tell_paid(&mut desk, &payment, &applied)?;
            }
            if let (Applied::Mismatched(_), Money::GoneBack) = (&applied, money) {
                close_in(&mut desk, &number)?;
            }
            Ok::<_, ShopError>(applied)
        });
        match (write.await?, money) {
            (Applied::Now, Money::GoneBack) => {
                self.learn_gone_back(attempt).await?;
                Ok(Found::Paid)
            }
            (Applied::Now | Applied::Before, _) => Ok(Found::Paid),
            // What was wrong with it went back to the payer: nothing can come in on it any more.
            (Applied::Mismatched(_), Money::GoneBack) => Ok(Found::Closed),
            (Applied::Mismatched(why), Money::There) => {
                let out_trade_no = &attempt.out_trade_no;
                tracing::error!(alarm = true, %out_trade_no, %why, "查单结果与支付单不符，已列入待对账");
                Ok(Found::Strange(why))
            }
            (Applied::Unknown, _) => Ok(Found::Absent),
        }
    }

    /// Keeps that WeChat confirmed: this attempt cannot be paid any more.
    pub(super) async fn keep_closed(
        &self,
        attempt: &Attempt,
        entries: Vec<Entry>,
    ) -> Result<(), ShopError> {
        let (key, now) = (self.field_key(), self.clock.now());
        let number = attempt.out_trade_no.clone();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut desk = Desk { tx, key: &key, now };
            desk.note_all(number.order_no(), &entries)?;
            close_in(&mut desk, &number)
        });
        write.await
    }

    /// Has `attempt` closed at WeChat: asks first, closes then, believes only what is confirmed.
    ///
    /// # Errors
    /// Store errors.
    pub(super) async fn close_attempt(&self, attempt: &Attempt) -> Result<Closing, ShopError> {
        match self.ask(attempt).await {
            Ok(Found::Paid) => Ok(Closing::Paid),
            Ok(Found::Closed) => Ok(Closing::Closed),
            Ok(Found::Strange(why)) => Ok(Closing::Strange(why)),
            // Not known there, it is closed all the same: the request may still be on its way, and
            // its prepay_id, which we never had, was never given to the buyer.
            Ok(Found::Unpaid | Found::Absent) => self.close_there(attempt).await,
            Err(ShopError::Wechat(error)) => self.lapsed(attempt, error).await,
            Err(error) => Err(error),
        }
    }

    /// Closes `attempt` at WeChat without asking first.
    ///
    /// # Errors
    /// Store errors.
    ///
    /// Source: 微信支付 APIv2, APIv3 · 关闭订单.
    pub(super) async fn close_there(&self, attempt: &Attempt) -> Result<Closing, ShopError> {
        let trace = Trace::new(&self.clock);
        let outcome = match self.reachable(attempt) {
            Ok(asked_as) => self.wechat.close(&asked_as, &trace).await,
            Err(error) => Err(error),
        };
        let entries = exchange_entries("wechat.close", &trace);
        if let Ok(CloseAnswer::Closed | CloseAnswer::Absent) = outcome {
            self.keep_closed(attempt, entries).await?;
            return Ok(Closing::Closed);
        }
        let order_no = attempt.out_trade_no.order_no().clone();
        self.keep_entries(order_no, entries).await?;
        match outcome {
            Ok(CloseAnswer::Closed | CloseAnswer::Absent) => Ok(Closing::Closed),
            Ok(CloseAnswer::NotYet { said }) => Ok(Closing::NotYet(said)),
            Ok(CloseAnswer::Paid) => self.paid_there(attempt).await,
            Err(error) => Ok(Closing::Failed(error)),
        }
    }

    /// WeChat says that `attempt` is paid: the money itself is what a query tells.
    pub(super) async fn paid_there(&self, attempt: &Attempt) -> Result<Closing, ShopError> {
        match self.ask(attempt).await {
            Ok(Found::Paid) => Ok(Closing::Paid),
            Ok(Found::Closed) => Ok(Closing::Closed),
            Ok(Found::Strange(why)) => Ok(Closing::Strange(why)),
            Ok(Found::Unpaid | Found::Absent) => {
                let why = "微信说已支付，查单却还没有这笔付款";
                Ok(Closing::NotYet(why.to_owned()))
            }
            Err(ShopError::Wechat(error)) => Ok(Closing::Failed(error)),
            Err(error) => Err(error),
        }
    }

    /// An attempt that the configuration can no longer reach ends with its own time.
    async fn lapsed(&self, attempt: &Attempt, error: WechatError) -> Result<Closing, ShopError> {
        let now = self.clock.now();
        if self.reachable(attempt).is_ok() || now < attempt.time_expire.plus(LAPSE) {
            return Ok(Closing::Failed(error));
        }
        let text = format!(
            "支付单 {} 所用的商户号或密钥已不在配置中，无法向微信确认；支付期限早已过去，按已关闭处理",
            attempt.out_trade_no
        );
        tracing::error!(alarm = true, "{text}");
        let entry = Entry::new(now, "payment.lapsed", text);
        self.keep_closed(attempt, vec![entry]).await?;
        Ok(Closing::Closed)
    }

    /// The attempt as it can be asked about: v2 and v3 share one set of orders, so what was opened
    /// with keys that are gone is reached with those that are there.
    pub(super) fn reachable(&self, attempt: &Attempt) -> Result<Attempt, WechatError> {
        if self.settings.mchid.as_ref() != Some(&attempt.mchid) {
            let advice = "这笔支付属于另一个商户号，现在的配置无法查询或关闭它";
            return Err(WechatError::refused_here(Cause::Config, advice));
        }
        let pay = &self.wechat.config().pay;
        let protocol = match (attempt.protocol, &pay.v2, &pay.v3) {
            (Protocol::V3, Some(v2), None) => Protocol::v2(v2.sign_type),
            (Protocol::V2Md5 | Protocol::V2HmacSha256, None, Some(_)) => Protocol::V3,
            (same, _, _) => same,
        };
        Ok(Attempt {
            protocol,
            ..attempt.clone()
        })
    }

    /// Whether the request that `attempt` stored can still be sent.
    pub(super) fn standing(&self, attempt: &Attempt) -> Standing {
        let pay = &self.wechat.config().pay;
        let keys = match attempt.protocol {
            Protocol::V2Md5 | Protocol::V2HmacSha256 => pay.v2.is_some(),
            Protocol::V3 => pay.v3.is_some(),
        };
        let payee = self.settings.mchid.as_ref() == Some(&attempt.mchid)
            && self.settings.appid == attempt.appid;
        if keys && payee {
            Standing::Usable
        } else {
            Standing::Obsolete
        }
    }
}

/// What became of money that an attempt got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Money {
    There,
    GoneBack,
}

/// Marks an attempt closed and plans the look back: money that won the race must not be missed.
pub(super) fn close_in(desk: &mut Desk<'_, '_>, number: &OutTradeNo) -> Result<(), ShopError> {
    let Some(attempt) = attempts::attempt(desk.tx, number)? else {
        return Ok(());
    };
    if attempt.state != AttemptState::Open {
        return Ok(());
    }
    attempts::put(desk.tx, &attempt.closed())?;
    Ok(queries::plan(
        desk.tx,
        number,
        desk.now.plus(LOOKS[0]),
        LOOK_BACK,
    )?)
}
