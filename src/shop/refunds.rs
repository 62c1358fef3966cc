//! The merchant's refunds: opened, listed, tried again. On disk before WeChat hears of them.

use std::time::Duration;

use super::effects::Desk;
use super::refund_calls::named;
use super::trace::exchange_entries;
use super::{Shop, ShopError};
use crate::base::{Fen, OrderNo, RefundNo, secret};
use crate::model::refund::NewRefund;
use crate::model::refund_room::{check_reason, refundable};
use crate::model::{Protocol, Refund, RefundKind, RefundStatus, Refusal, Restock};
use crate::store::due::{self, Due, Work};
use crate::store::idempotency::{self, Answer, Begun, Claim};
use crate::store::orders::{self, Owner};
use crate::store::{Tx, attempts, refunds};
use crate::wechat::{AbnormalRefund, AbnormalTo, Trace, WechatError};

/// How long a request waits for others that talk to WeChat about the same order.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// When to come back when that was not enough, in seconds.
const TURN_RETRY_S: u64 = 5;

/// What the merchant wants back for the payer.
#[derive(Clone, Debug)]
pub struct RefundWanted {
    /// How much.
    pub amount: Fen,
    /// What the payer reads, 1 to 80 bytes.
    pub reason: String,
    /// Whether stock returns; `None`: when the goods have not left.
    pub restock: Option<Restock>,
    /// What this request was named, with what it said.
    pub claim: Option<Claim>,
}

/// A refund as it was opened.
enum Opened {
    /// Now: to be sent.
    Fresh(Box<Refund>),
    /// By an earlier request of the same name, which was answered with this.
    Before(Box<Refund>),
}

impl Shop {
    /// Refunds an order, whole or in part.
    ///
    /// # Errors
    /// [`Refusal`] by name: order, state, room, age, parts, reused key, and `RefundRefused` when
    /// WeChat says no for good; store errors.
    pub async fn refund(
        &self,
        order_no: OrderNo,
        wanted: RefundWanted,
    ) -> Result<Refund, ShopError> {
        check_reason(&wanted.reason)?;
        if wanted.amount == Fen::ZERO {
            let (field, rule) = ("amount_fen", "至少 1 分");
            return Err(Refusal::FieldInvalid { field, rule }.into());
        }
        let turn = self.turns.wait(&order_no, TURN_WITHIN).await;
        let retry_after_s = TURN_RETRY_S;
        let _turn = turn.ok_or(ShopError::RateLimited { retry_after_s })?;
        let claim = wanted.claim;
        let opened = match self.open_refund(order_no, wanted).await? {
            Opened::Before(refund) => return Ok(*refund),
            Opened::Fresh(refund) => refund,
        };
        // Another refund of the order may have been sent just now: then this one waits on disk.
        let refund = self.send_refund(opened.refund_no, 0).await?;
        if let Some(claim) = claim {
            self.keep_answer(claim, refund.clone()).await?;
        }
        refused(refund)
    }

    async fn open_refund(
        &self,
        order_no: OrderNo,
        wanted: RefundWanted,
    ) -> Result<Opened, ShopError> {
        let key = self.field_key();
        let refund_no = RefundNo::new(self.clock.now_ms(), secret::random_u64());
        // The time of the decision: the request may have waited for the order's turn.
        let now = self.clock.now();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            if let Some(claim) = &wanted.claim {
                match idempotency::begin(tx, &key, claim, now)? {
                    Begun::Again(Answer::Refund(refund)) => return Ok(Opened::Before(refund)),
                    Begun::Again(Answer::Order(_)) | Begun::Reused => {
                        return Err(Refusal::IdempotencyKeyReused.into());
                    }
                    Begun::Fresh => {}
                }
            }
            let order = orders::require_order(tx, &key, &order_no, Owner::Any)?;
            let number = refundable(&order)?;
            let number = crate::base::OutTradeNo::new(order_no.clone(), number);
            let attempt = attempts::attempt(tx, &number)?.ok_or(Refusal::OrderState)?;
            let new = NewRefund {
                refund_no: refund_no.clone(),
                kind: RefundKind::Merchant,
                amount: wanted.amount,
                reason: wanted.reason.clone(),
                restock: wanted.restock.unwrap_or_else(|| Restock::usual(&order)),
                now,
            };
            let refund = Desk { tx, key: &key, now }.open_refund(&order, &attempt, new)?;
            if let Some(claim) = &wanted.claim {
                idempotency::keep_refund(tx, claim, &refund)?;
            }
            Ok::<_, ShopError>(Opened::Fresh(Box::new(refund)))
        });
        write.await
    }

    /// Keeps what a named request is answered with; a refusal is not remembered.
    async fn keep_answer(&self, claim: Claim, refund: Refund) -> Result<(), ShopError> {
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            if refund.status == RefundStatus::Closed {
                idempotency::release(tx, &claim, refund.created_at)?;
            } else {
                idempotency::keep_refund(tx, &claim, &refund)?;
            }
            Ok::<_, ShopError>(())
        });
        write.await
    }

    /// All refunds of an order, oldest first.
    ///
    /// # Errors
    /// [`Refusal::OrderNotFound`]; store errors.
    pub async fn refunds(&self, order_no: OrderNo) -> Result<Vec<Refund>, ShopError> {
        let key = self.field_key();
        let read = self.store.read(move |view| {
            orders::require_order(view, &key, &order_no, Owner::Any)?;
            Ok(refunds::of_order(view, &order_no)?)
        });
        read.await
    }

    /// Asks WeChat where a refund stands, and repeats what it refused or deferred.
    ///
    /// # Errors
    /// [`Refusal`]: `RefundManual` for what this cannot move, `RefundRefused`, `RefundExceeds`;
    /// [`ShopError::Wechat`]; store errors.
    pub async fn retry_refund(
        &self,
        order_no: OrderNo,
        refund_no: RefundNo,
    ) -> Result<Refund, ShopError> {
        let turn = self.turns.wait(&order_no, TURN_WITHIN).await;
        let retry_after_s = TURN_RETRY_S;
        let _turn = turn.ok_or(ShopError::RateLimited { retry_after_s })?;
        let refund = self.take_up_refund(order_no, refund_no).await?;
        if refund.status == RefundStatus::Success {
            return Ok(refund);
        }
        let asks = refund.refund_id.is_some() || refund.kind == RefundKind::External;
        let after = if asks {
            self.ask_refund(&refund, 0).await?
        } else {
            self.send_refund(refund.refund_no, 0).await?
        };
        match after.status {
            RefundStatus::Abnormal if after.refund_id.is_some() => Err(by_hand(&after).into()),
            RefundStatus::Abnormal
            | RefundStatus::Processing
            | RefundStatus::Success
            | RefundStatus::Closed => refused(after),
        }
    }

    /// A refund that is not final, or is made so again if there is still room for it.
    async fn take_up_refund(
        &self,
        order_no: OrderNo,
        refund_no: RefundNo,
    ) -> Result<Refund, ShopError> {
        let (key, now) = (self.field_key(), self.clock.now());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let order = orders::require_order(tx, &key, &order_no, Owner::Any)?;
            let before = refunds::require_refund(tx, &order_no, &refund_no)?;
            let held = before.holds();
            let attempt = attempts::attempt(tx, &before.out_trade_no)?;
            let attempt = attempt.ok_or(Refusal::OrderState)?;
            let mut desk = Desk { tx, key: &key, now };
            let owed = before.kind == RefundKind::Surplus;
            match before.taken_up() {
                Ok(refund) if held => Ok(refund),
                Ok(refund) => desk.reopen(&order, &attempt, refund),
                // What was paid too much has no other way back than a new number of our own.
                Err(_) if owed => desk.owe_again(&order, &attempt),
                Err(refusal) => Err(refusal.into()),
            }
        });
        write.await
    }

    /// Tells WeChat where the money of an abnormal refund shall go.
    ///
    /// # Errors
    /// [`Refusal`]: `RefundManual` when it is not abnormal or its protocol cannot,
    /// `RefundRefused` when WeChat says no; [`ShopError::Wechat`]; store errors.
    ///
    /// Source: 微信支付 APIv3 · 发起异常退款.
    pub async fn redirect_refund(
        &self,
        order_no: OrderNo,
        refund_no: RefundNo,
        to: AbnormalTo,
    ) -> Result<Refund, ShopError> {
        let turn = self.turns.wait(&order_no, TURN_WITHIN).await;
        let retry_after_s = TURN_RETRY_S;
        let _turn = turn.ok_or(ShopError::RateLimited { retry_after_s })?;
        let read = self.store.read(move |view| {
            let found = refunds::require_refund(view, &order_no, &refund_no);
            found.map_err(ShopError::from)
        });
        let refund = read.await?;
        // Whether it may be told twice is not known: ask first.
        let refund = if refund.is_final() {
            refund
        } else {
            self.ask_refund(&refund, 0).await?
        };
        let (RefundStatus::Abnormal, Some(refund_id)) = (refund.status, &refund.refund_id) else {
            let what = "只有异常的退款才能另选去向；请先查看这笔退款的当前状态";
            return Err(Refusal::RefundManual { what }.into());
        };
        if refund.protocol != Protocol::V3 {
            return Err(by_hand(&refund).into());
        }
        let wanted = AbnormalRefund {
            protocol: refund.protocol,
            refund_no: refund.refund_no.to_string(),
            refund_id: refund_id.clone(),
            to,
        };
        let trace = Trace::new(&self.clock);
        let taken = self.wechat.take_up_abnormal(&wanted, &trace).await;
        let entries = exchange_entries("wechat.refund", &trace);
        match taken {
            Ok(state) => self.keep_told(refund.refund_no, state, entries, 0).await,
            Err(WechatError::Refused(said)) => {
                self.keep_entries(refund.order_no, entries).await?;
                let (code, said) = (said.code.clone(), said.to_string());
                Err(Refusal::RefundRefused { code, said }.into())
            }
            Err(open) => {
                let error = named("UNKNOWN", &open, self.clock.now());
                self.keep_deferred(refund.refund_no, error, entries, 0)
                    .await
            }
        }
    }

    /// A refund that is due: sent, or asked about; its next look is planned by what comes of it.
    pub(super) async fn due_refund(&self, due: Due) -> Result<(), ShopError> {
        let Work::Refund(refund_no) = due.work.clone() else {
            return Ok(());
        };
        let (at, work) = (due.at, due.work);
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let refund = refunds::refund(tx, &refund_no)?;
            let refund = refund.filter(|refund| refund.next_at == Some(at));
            if refund.is_none() {
                due::unschedule(tx, at, &work);
            }
            Ok::<_, ShopError>(refund)
        });
        let Some(refund) = write.await? else {
            return Ok(());
        };
        let Some(_turn) = self.turns.now(&refund.order_no) else {
            return self.leave().await;
        };
        self.step_refund(refund, due.step).await.map(|_| ())
    }
}

/// `refund`, unless WeChat refused it.
fn refused(refund: Refund) -> Result<Refund, ShopError> {
    let refused = match (refund.status, refund.refund_id.is_some()) {
        (RefundStatus::Closed | RefundStatus::Abnormal, false) => refund.last_error.clone(),
        (RefundStatus::Closed | RefundStatus::Abnormal, true)
        | (RefundStatus::Processing | RefundStatus::Success, _) => None,
    };
    match refused {
        None => Ok(refund),
        Some(error) => {
            let (code, said) = (error.code, error.message);
            Err(Refusal::RefundRefused { code, said }.into())
        }
    }
}

/// What the merchant has to do about an abnormal refund.
fn by_hand(refund: &Refund) -> Refusal {
    let what = match refund.protocol {
        Protocol::V3 => {
            "退款异常：请带上 to 再试（user_bank_card 退到顾客的银行卡，\
             merchant_bank_card 退回商家账户后线下退还）"
        }
        Protocol::V2Md5 | Protocol::V2HmacSha256 => {
            "退款异常：v2 只能在微信支付商户平台处理（交易中心 → 退款查询）；处理后这里会自动更新"
        }
    };
    Refusal::RefundManual { what }
}
