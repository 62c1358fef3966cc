//! Paying: an attempt on disk, then WeChat's prepay_id on disk, then the second signature.

use std::net::IpAddr;

use super::effects::Desk;
use super::{Shop, ShopError};
use crate::base::cipher::FieldKey;
use crate::base::{OrderNo, OutTradeNo, PrepayId, Timestamp, Uid};
use crate::model::attempt::{PayStep, pay_step};
use crate::model::{Attempt, AttemptState, Entry, Order, Refusal};
use crate::store::orders::{self, Owner};
use crate::store::{Read, StoreError, Tx, attempts};
use crate::wechat::{PayParams, PrepayRequest, Trace, Wanted, WechatError};

/// What is known when `pay` begins.
enum Next {
    /// A prepay_id that is still good.
    Sign(Attempt, PrepayId),
    /// A request to send, again or for the first time.
    Send(Attempt),
    /// A new attempt to write down.
    Open(Box<Order>, u16),
}

impl Shop {
    /// Opens a payment, or takes up the one that is open, and signs it for `wx.requestPayment`.
    ///
    /// The attempt is on disk before WeChat hears of it: a lost answer is asked for again under
    /// the same number and with the same parameters.
    ///
    /// # Errors
    /// [`Refusal`] when the order cannot be paid; [`ShopError::Wechat`]; store errors.
    pub async fn pay(
        &self,
        uid: Uid,
        order_no: OrderNo,
        from: IpAddr,
    ) -> Result<PayParams, ShopError> {
        let asked = Asked {
            uid,
            order_no,
            now: self.clock.now(),
            key: self.field_key(),
        };
        let next = self.store.read(move |view| next_step(view, &asked)).await?;
        let attempt = match next {
            Next::Sign(attempt, prepay_id) => return self.sign(&attempt, &prepay_id),
            Next::Send(attempt) => attempt,
            Next::Open(order, number) => {
                let fresh = self.new_attempt(&order, number, from)?;
                match self.write_down(uid, fresh).await? {
                    Next::Sign(attempt, prepay_id) => return self.sign(&attempt, &prepay_id),
                    Next::Send(attempt) => attempt,
                    Next::Open(..) => return Err(Refusal::PaymentBusy.into()),
                }
            }
        };
        let prepay_id = self.prepay(&attempt).await?;
        self.sign(&attempt, &prepay_id)
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

    /// Keeps `fresh`, unless another request was faster: then that one's attempt goes on.
    async fn write_down(&self, uid: Uid, fresh: Attempt) -> Result<Next, ShopError> {
        let order_no = fresh.out_trade_no.order_no().clone();
        let asked = Asked {
            uid,
            order_no,
            now: self.clock.now(),
            key: self.field_key(),
        };
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let number = fresh.out_trade_no.attempt();
            match next_step(tx, &asked)? {
                Next::Open(order, wanted) if wanted == number && order.total == fresh.amount => {
                    open(tx, &asked, &order, &fresh)?;
                    Ok(Next::Send(fresh.clone()))
                }
                next @ (Next::Open(..) | Next::Send(_) | Next::Sign(..)) => Ok(next),
            }
        });
        write.await
    }

    /// Asks WeChat for a prepay_id and keeps it before it is used.
    async fn prepay(&self, attempt: &Attempt) -> Result<PrepayId, ShopError> {
        let request = PrepayRequest {
            protocol: attempt.protocol,
            text: attempt.request.clone(),
            time_expire: attempt.time_expire,
        };
        let trace = Trace::new(&self.clock);
        match self.wechat.prepay(&request, &trace).await {
            Ok(prepay_id) => {
                self.keep_prepay(attempt.out_trade_no.clone(), prepay_id.clone())
                    .await?;
                Ok(prepay_id)
            }
            Err(error) => {
                self.note_prepay_failed(&attempt.out_trade_no, &error)
                    .await?;
                Err(error.into())
            }
        }
    }

    async fn keep_prepay(
        &self,
        out_trade_no: OutTradeNo,
        prepay_id: PrepayId,
    ) -> Result<(), ShopError> {
        let now = self.clock.now();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            if let Some(attempt) = attempts::attempt(tx, &out_trade_no)? {
                attempts::put(tx, &attempt.prepaid(prepay_id.clone(), now))?;
            }
            let text = format!("微信已受理 {out_trade_no}，等待买家付款");
            let entry = Entry::new(now, "payment.prepay", text);
            Ok::<_, ShopError>(orders::note(tx, out_trade_no.order_no(), entry)?)
        });
        write.await
    }

    async fn note_prepay_failed(
        &self,
        out_trade_no: &OutTradeNo,
        error: &WechatError,
    ) -> Result<(), ShopError> {
        let now = self.clock.now();
        let (order_no, text) = (
            out_trade_no.order_no().clone(),
            format!("下单失败：{error}"),
        );
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let entry = Entry::new(now, "payment.prepay_failed", text.as_str());
            Ok::<_, ShopError>(orders::note(tx, &order_no, entry)?)
        });
        write.await
    }

    fn sign(&self, attempt: &Attempt, prepay_id: &PrepayId) -> Result<PayParams, ShopError> {
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

fn next_step(read: &impl Read, asked: &Asked) -> Result<Next, ShopError> {
    let owner = Owner::Of(asked.uid);
    let order = orders::require_order(read, &asked.key, &asked.order_no, owner)?;
    let newest = attempts::newest(read, &order)?;
    let step = pay_step(&order, newest.as_ref(), asked.now)?;
    Ok(match (step, newest) {
        (PayStep::Reuse(prepay_id), Some(attempt)) => Next::Sign(attempt, prepay_id),
        (PayStep::Repeat, Some(attempt)) => Next::Send(attempt),
        (PayStep::Open(number), _) => Next::Open(Box::new(order), number),
        (PayStep::Reuse(_) | PayStep::Repeat, None) => Next::Open(Box::new(order), 1),
    })
}

/// Writes down an attempt and that its order has it.
fn open(tx: &mut Tx<'_>, asked: &Asked, order: &Order, fresh: &Attempt) -> Result<(), StoreError> {
    let after = Order {
        attempts: fresh.out_trade_no.attempt(),
        ..order.clone()
    };
    orders::update(tx, &asked.key, order, &after)?;
    attempts::put(tx, fresh)?;
    let text = format!("发起支付 {}，{} 元", fresh.out_trade_no, fresh.amount);
    Desk {
        tx,
        key: &asked.key,
        now: asked.now,
    }
    .note(&after, "payment.opened", text)
}
