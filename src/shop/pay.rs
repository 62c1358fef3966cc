//! Paying: an attempt on disk, then WeChat's prepay_id on disk, then the second signature.

use std::net::IpAddr;
use std::time::Duration;

use super::asking::plan_first;
use super::closing::young_until;
use super::effects::Desk;
use super::trace::{clock_time, exchange_entries};
use super::truth::Closing;
use super::{Shop, ShopError};
use crate::base::cipher::FieldKey;
#[cfg(test)]
use crate::base::trial::{self, Planted};
use crate::base::{OrderNo, OutTradeNo, PrepayId, Timestamp, Uid};
#[cfg(test)]
use crate::model::Protocol;
use crate::model::attempt::{PayStep, Standing, pay_step};
use crate::model::{Attempt, AttemptState, Entry, Order, Refusal};
use crate::store::orders::{self, Owner};
use crate::store::{Read, StoreError, Tx, attempts, queries};
use crate::wechat::{Cause, PayParams, PrepayRequest, Trace, Wanted, WechatError};

/// How long a buyer who pays waits for the order's turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// When to come back to an order whose turn did not come.
const TURN_RETRY: Duration = Duration::from_secs(3);
/// When to come back to an attempt that WeChat does not close for now.
const CLOSE_RETRY: Duration = Duration::from_secs(30);
/// How many numbers one `pay` goes through: a restored older copy may have forgotten some.
const NUMBERS_MAX: usize = 6;
/// A due query later than this is brought forward when the buyer comes to pay again.
const ASKED_WITHIN: Duration = Duration::from_secs(30);

/// What is known when `pay` begins.
enum Next {
    /// A prepay_id that is still good.
    Sign(Attempt, PrepayId),
    /// A request to send, again or for the first time.
    Send(Attempt),
    /// A new attempt to write down.
    Open(Box<Order>, u16),
    /// An attempt to have closed before another may be opened.
    Replace(Attempt),
}

impl Shop {
    /// Opens a payment, or takes up the one that is open, and signs it for `wx.requestPayment`.
    ///
    /// The attempt is on disk before WeChat hears of it: a lost answer is asked for again under
    /// the same number and with the same parameters. A new number is taken only after the old one
    /// is known to be closed.
    ///
    /// # Errors
    /// [`Refusal`] when the order cannot be paid; [`ShopError::Wechat`]; store errors.
    pub async fn pay(
        &self,
        uid: Uid,
        order_no: OrderNo,
        from: IpAddr,
    ) -> Result<PayParams, ShopError> {
        if let Next::Sign(attempt, prepay_id) = self.next(uid, &order_no).await? {
            return self.hand_out(&attempt, &prepay_id).await;
        }
        let Some(_turn) = self.turns.wait(&order_no, TURN_WITHIN).await else {
            return Err(busy(TURN_RETRY));
        };
        for _ in 0..NUMBERS_MAX {
            let attempt = match self.next_written(uid, &order_no, from).await? {
                Next::Sign(attempt, prepay_id) => {
                    return self.hand_out(&attempt, &prepay_id).await;
                }
                Next::Replace(attempt) => {
                    self.replace(&attempt).await?;
                    continue;
                }
                // The order changed while its attempt was made: look again.
                Next::Open(..) => continue,
                Next::Send(attempt) => attempt,
            };
            match self.prepay(&attempt).await {
                Ok(prepay_id) => return self.hand_out(&attempt, &prepay_id).await,
                Err(ShopError::Wechat(error)) => self.after_refusal(&attempt, error).await?,
                Err(error) => return Err(error),
            }
        }
        Err(busy(CLOSE_RETRY))
    }

    async fn next(&self, uid: Uid, order_no: &OrderNo) -> Result<Next, ShopError> {
        let asked = self.asked(uid, order_no);
        let read = self
            .store
            .read(move |view| find_attempt(view, &asked))
            .await;
        Ok(self.judged(read?, self.clock.now())?)
    }

    /// What is to be done next; a new attempt is on disk when this answers.
    async fn next_written(
        &self,
        uid: Uid,
        order_no: &OrderNo,
        from: IpAddr,
    ) -> Result<Next, ShopError> {
        match self.next(uid, order_no).await? {
            Next::Open(order, number) => {
                let fresh = self.new_attempt(&order, number, from)?;
                self.write_down(uid, fresh).await
            }
            next @ (Next::Sign(..) | Next::Send(_) | Next::Replace(_)) => Ok(next),
        }
    }

    fn judged(&self, found: (Order, Option<Attempt>), now: Timestamp) -> Result<Next, Refusal> {
        let (order, newest) = found;
        let standing = newest
            .as_ref()
            .map(|newest| (newest, self.standing(newest)));
        let step = pay_step(&order, standing, now)?;
        Ok(match (step, newest) {
            (PayStep::Reuse(prepay_id), Some(attempt)) => Next::Sign(attempt, prepay_id),
            (PayStep::Repeat, Some(attempt)) => Next::Send(attempt),
            (PayStep::Replace, Some(attempt)) => Next::Replace(attempt),
            (PayStep::Open(number), _) => Next::Open(Box::new(order), number),
            (PayStep::Reuse(_) | PayStep::Repeat | PayStep::Replace, None) => {
                Next::Open(Box::new(order), 1)
            }
        })
    }

    /// Has an attempt closed, so that the next number may be opened.
    async fn replace(&self, attempt: &Attempt) -> Result<(), ShopError> {
        let closing = self.close_attempt(attempt).await?;
        self.replaced(attempt, closing).await
    }

    async fn replaced(&self, attempt: &Attempt, closing: Closing) -> Result<(), ShopError> {
        let why = match closing {
            Closing::Closed => return Ok(()),
            Closing::Paid => return Err(Refusal::OrderPaid.into()),
            Closing::Failed(error) => return Err(error.into()),
            Closing::NotYet(said) => said,
            Closing::Strange(why) => format!("微信说已支付但与支付单不符：{why}"),
        };
        let now = self.clock.now();
        let left = young_until(attempt, now).map(|old| old.since(now));
        let left = left.unwrap_or(CLOSE_RETRY).max(Duration::from_secs(1));
        let number = &attempt.out_trade_no;
        let again = clock_time(now.plus(left));
        let text = format!("未开新的支付单：{number} 还不能关闭，{again} 之后可再付款（{why}）");
        let entry = Entry::new(now, "payment.busy", text);
        self.keep_entries(number.order_no().clone(), vec![entry])
            .await?;
        Err(busy(left))
    }

    /// What WeChat's refusal of a number means: paid, or to be closed for the next number.
    ///
    /// Source: 微信支付 APIv2 · 统一下单 · 错误码 (ORDERPAID, ORDERCLOSED, 201 商户订单号重复,
    /// OUT_TRADE_NO_USED); APIv3 · JSAPI/小程序下单 · 错误码.
    async fn after_refusal(&self, attempt: &Attempt, error: WechatError) -> Result<(), ShopError> {
        match error.cause() {
            Some(Cause::OrderPaid) => {
                let closing = self.paid_there(attempt).await?;
                self.replaced(attempt, closing).await
            }
            Some(Cause::OrderClosed | Cause::ParamsChanged) => self.replace(attempt).await,
            Some(_) | None => Err(error.into()),
        }
    }

    fn new_attempt(&self, order: &Order, number: u16, from: IpAddr) -> Result<Attempt, ShopError> {
        let mchid = self
            .settings
            .mchid
            .clone()
            .ok_or(ShopError::PayNotConfigured)?;
        let now = self.clock.now();
        let out_trade_no = OutTradeNo::new(order.order_no.clone(), number);
        let request = self.wechat.compose(&Wanted {
            out_trade_no: out_trade_no.to_string(),
            description: self.settings.order_body.clone(),
            amount: order.total,
            openid: order.openid.clone(),
            notify_url: self.settings.notify_url.clone(),
            time_expire: order.expires_at,
            created_at: now,
            client_ip: from,
        })?;
        Ok(Attempt {
            out_trade_no,
            protocol: request.protocol,
            appid: order.appid.clone(),
            mchid,
            openid: order.openid.clone(),
            amount: order.total,
            time_expire: request.time_expire,
            request: request.text,
            prepay: None,
            state: AttemptState::Open,
            transaction_id: None,
            paid_at: None,
            counted: false,
            created_at: now,
        })
    }

    /// Keeps `fresh`, unless the order has changed since: then what it wants now goes on.
    async fn write_down(&self, uid: Uid, fresh: Attempt) -> Result<Next, ShopError> {
        let asked = self.asked(uid, fresh.out_trade_no.order_no());
        let written = fresh.clone();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let found = find_attempt(tx, &asked)?;
            let newest = found.1.as_ref().map(|newest| (newest, Standing::Usable));
            let step = pay_step(&found.0, newest, asked.now)?;
            let number = fresh.out_trade_no.attempt();
            if step == PayStep::Open(number) && found.0.total == fresh.amount {
                open(tx, &asked, &found.0, &fresh)?;
                return Ok::<_, ShopError>(None);
            }
            Ok(Some(found))
        });
        match write.await? {
            None => Ok(Next::Send(written)),
            Some(found) => Ok(self.judged(found, self.clock.now())?),
        }
    }

    /// Asks WeChat for a prepay_id and keeps it before it is used.
    async fn prepay(&self, attempt: &Attempt) -> Result<PrepayId, ShopError> {
        let request = PrepayRequest {
            protocol: attempt.protocol,
            text: attempt.request.clone(),
            time_expire: attempt.time_expire,
        };
        let trace = Trace::new(&self.clock);
        let outcome = self.wechat.prepay(&request, &trace).await;
        let entries = exchange_entries("wechat.prepay", &trace);
        let number = attempt.out_trade_no.clone();
        match outcome {
            Ok(prepay_id) => {
                self.keep_prepay(number, prepay_id.clone(), entries).await?;
                Ok(prepay_id)
            }
            Err(error) => {
                let mut entries = entries;
                let text = format!("下单失败：{error}");
                entries.push(Entry::new(self.clock.now(), "payment.prepay_failed", text));
                self.keep_entries(number.order_no().clone(), entries)
                    .await?;
                Err(error.into())
            }
        }
    }

    /// Keeps the prepay_id, and refuses to hand it out when the order ended or is to end meanwhile.
    async fn keep_prepay(
        &self,
        number: OutTradeNo,
        prepay_id: PrepayId,
        entries: Vec<Entry>,
    ) -> Result<(), ShopError> {
        let (key, now) = (self.field_key(), self.clock.now());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut desk = Desk { tx, key: &key, now };
            desk.note_all(number.order_no(), &entries)?;
            let order = orders::require_order(desk.tx, &key, number.order_no(), Owner::Any)?;
            if let Some(attempt) = attempts::attempt(desk.tx, &number)? {
                attempts::put(desk.tx, &attempt.prepaid(prepay_id.clone(), now))?;
            }
            let text = format!("微信已受理 {number}，等待买家付款");
            desk.note(&order, "payment.prepay", text)?;
            Ok::<_, ShopError>(pay_step(&order, None, now).map(|_| ()))
        });
        Ok(write.await??)
    }

    /// Signs a prepay_id for the buyer, who may pay from now on: WeChat is asked about it soon.
    async fn hand_out(
        &self,
        attempt: &Attempt,
        prepay_id: &PrepayId,
    ) -> Result<PayParams, ShopError> {
        let (number, now) = (attempt.out_trade_no.clone(), self.clock.now());
        let soon = now.plus(ASKED_WITHIN);
        let planned = number.clone();
        let read = self
            .store
            .read(move |view| queries::next(view, &planned).map_err(ShopError::from));
        if read.await?.is_none_or(|at| at > soon) {
            let write = self
                .store
                .write(move |tx: &mut Tx<'_>| plan_first(tx, &number, now));
            write.await?;
        }
        self.sign(attempt, prepay_id)
    }

    fn asked(&self, uid: Uid, order_no: &OrderNo) -> Asked {
        Asked {
            uid,
            order_no: order_no.clone(),
            now: self.clock.now(),
            key: self.field_key(),
        }
    }

    fn sign(&self, attempt: &Attempt, prepay_id: &PrepayId) -> Result<PayParams, ShopError> {
        #[cfg(test)]
        if trial::is(Planted::ParamsMixed) {
            let protocol = match attempt.protocol {
                Protocol::V3 => Protocol::V2HmacSha256,
                Protocol::V2Md5 | Protocol::V2HmacSha256 => Protocol::V3,
            };
            let params = self
                .wechat
                .pay_params(protocol, prepay_id, self.clock.now());
            return Ok(params?);
        }
        Ok(self
            .wechat
            .pay_params(attempt.protocol, prepay_id, self.clock.now())?)
    }
}

/// Who asks to pay which order, and when.
struct Asked {
    uid: Uid,
    order_no: OrderNo,
    now: Timestamp,
    key: FieldKey,
}

/// The order and its newest attempt.
fn find_attempt(read: &impl Read, asked: &Asked) -> Result<(Order, Option<Attempt>), ShopError> {
    let owner = Owner::Of(asked.uid);
    let order = orders::require_order(read, &asked.key, &asked.order_no, owner)?;
    let newest = attempts::newest(read, &order)?;
    Ok((order, newest))
}

fn busy(left: Duration) -> ShopError {
    let retry_after_s = left.as_secs();
    Refusal::PaymentBusy { retry_after_s }.into()
}

/// Writes down an attempt and that its order has it.
fn open(tx: &mut Tx<'_>, asked: &Asked, order: &Order, fresh: &Attempt) -> Result<(), StoreError> {
    let after = Order {
        attempts: fresh.out_trade_no.attempt(),
        ..order.clone()
    };
    orders::update(tx, &asked.key, order, &after)?;
    attempts::put(tx, fresh)?;
    plan_first(tx, &fresh.out_trade_no, asked.now)?;
    let text = format!("发起支付 {}，{} 元", fresh.out_trade_no, fresh.amount);
    Desk {
        tx,
        key: &asked.key,
        now: asked.now,
    }
    .note(&after, "payment.opened", text)
}
