//! What adopting a difference, or giving its money back, does to the order it belongs to.
//!
//! WeChat is asked first, always: neither the bill nor a notify alone moves money.

use std::time::Duration;

use super::bill_refunds::TakenIn;
use super::effects::Desk;
use super::notify::{Applied, count_in};
use super::refund_owed::open_in;
use super::subscribe::tell_paid;
use super::truth::Found;
use super::turns::Turn;
use super::{Shop, ShopError};
use crate::base::{OutTradeNo, RefundNo};
use crate::model::attempt::Mismatch;
use crate::model::{Attempt, AttemptState, OrderStatus, Payment, RefundKind, Refusal};
use crate::store::orders::{self, Owner};
use crate::store::reconciliations::{DayRow, RowKind, Settling};
use crate::store::{Tx, attempts};

/// How long a remedy waits for its order's turn.
const TURN_WITHIN: Duration = Duration::from_secs(30);

const BUSY: &str = "这个订单正在处理，请稍后再试";
const UNPAID: &str = "微信说这笔支付没有付款，没有可以处理的钱";

impl Shop {
    /// Applies what WeChat says of the rows to the order they belong to. A payment of another
    /// amount pays the order for what it is: the merchant says so by adopting it.
    pub(super) async fn adopt(&self, open: &[DayRow]) -> Result<Settling, ShopError> {
        let foreign = "这笔交易不是本系统的订单：请在微信商户平台处理，或标记为已看过";
        let number = ours(open).ok_or_else(|| stays(foreign))?;
        if open.iter().any(|row| row.kind != RowKind::Refund) {
            self.adopt_payment(&number).await?;
        }
        for row in open.iter().filter(|row| row.kind == RowKind::Refund) {
            let taken = self.take_in_refund(&number, &row.refund_no).await?;
            adopted(taken, row)?;
        }
        Ok(Settling::Adopted)
    }

    async fn adopt_payment(&self, number: &OutTradeNo) -> Result<(), ShopError> {
        let (_turn, attempt) = self.attempt_in_turn(number).await?;
        match self.ask_payment(&attempt).await? {
            (Found::Paid, _) => Ok(()),
            (Found::Strange(Mismatch::Amount), Some(payment)) => {
                self.pays_for_less_or_more(number.clone(), payment).await
            }
            (Found::Strange(_), _) => Err(stays(
                "微信说已支付，但与支付单不符（appid、币种或交易号）：请退款，或标记为已看过",
            )),
            (Found::Closed, Some(_)) => Err(stays("微信说这笔钱已经退给买家，没有可以入账的钱")),
            (Found::Unpaid | Found::Closed | Found::Absent, _) => Err(stays(UNPAID)),
        }
    }

    /// Counts a payment whose amount is not the attempt's: the merchant takes it as the price.
    async fn pays_for_less_or_more(
        &self,
        number: OutTradeNo,
        payment: Payment,
    ) -> Result<(), ShopError> {
        let (key, now) = (self.field_key(), self.clock.now());
        let tells = self.settings.messages.paid.is_some();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut desk = Desk { tx, key: &key, now };
            let order = orders::require_order(desk.tx, &key, number.order_no(), Owner::Any)?;
            let attempt = attempts::attempt(desk.tx, &number)?.ok_or(Refusal::RowNotFound)?;
            let asked = attempt.amount;
            let attempt = Attempt {
                amount: payment.amount,
                ..attempt
            };
            if attempt.state == AttemptState::Paid || attempt.check(&payment).is_err() {
                return Err(stays("这笔支付单已记为由另一笔付款支付"));
            }
            let text = format!(
                "商家在对账中认可 {number} 的付款：应付 {asked} 元，实付 {} 元",
                payment.amount
            );
            desk.note(&order, "payment.adopted", text)?;
            count_in(&mut desk, order, &attempt, &payment)?;
            if tells {
                tell_paid(&mut desk, &payment, &Applied::Now)?;
            }
            Ok::<_, ShopError>(())
        });
        write.await
    }

    /// Gives the money of a payment back: all that is left of it, unless it pays for an order.
    ///
    /// # Errors
    /// [`Refusal::RefundManual`] for what is not ours to refund; [`Refusal::RowStays`];
    /// [`ShopError::Wechat`]; store errors.
    pub(super) async fn give_back(&self, open: &[DayRow]) -> Result<Settling, ShopError> {
        if open.iter().any(|row| row.kind == RowKind::Refund) {
            return Err(stays(
                "这里有退款的差异，钱已经或正在退出：请用 adopt 收下，或标记为已看过",
            ));
        }
        let number = ours(open).ok_or_else(|| {
            manual(
                "这笔交易不是本系统的订单：请在微信支付商户平台退款（交易中心 → 订单查询），\
                 退款后把这一行标记为已看过（seen）",
            )
        })?;
        let (_turn, attempt) = self.attempt_in_turn(&number).await?;
        let opened = match self.ask_payment(&attempt).await? {
            // It was not what the attempt asked for, and went back in another way.
            (Found::Closed, Some(_)) => None,
            (Found::Paid, _) => self.owe_back(number.clone(), None).await?,
            (Found::Strange(Mismatch::Amount | Mismatch::AppId), Some(payment)) => {
                self.owe_back(number.clone(), Some(payment)).await?
            }
            (Found::Strange(_), _) => {
                return Err(manual(
                    "微信说的付款与支付单不符，无法由本系统退款：请在微信支付商户平台退款，\
                     退款后把这一行标记为已看过（seen）",
                ));
            }
            (Found::Unpaid | Found::Closed | Found::Absent, _) => return Err(stays(UNPAID)),
        };
        if let Some(refund_no) = opened {
            // On disk and due: whatever this call comes to, the money goes back.
            self.send_refund(refund_no, 0).await?;
        }
        self.finish_closing(number.order_no().clone()).await?;
        Ok(Settling::Refunded)
    }

    /// Opens the refund of all that is left of an attempt's payment, or of `strange`, which is
    /// kept as what the attempt was paid with; `None` when all of it is back.
    async fn owe_back(
        &self,
        number: OutTradeNo,
        strange: Option<Payment>,
    ) -> Result<Option<RefundNo>, ShopError> {
        let (key, now) = (self.field_key(), self.clock.now());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut desk = Desk { tx, key: &key, now };
            let order = orders::require_order(desk.tx, &key, number.order_no(), Owner::Any)?;
            let mut attempt = attempts::attempt(desk.tx, &number)?.ok_or(Refusal::RowNotFound)?;
            if let Some(payment) = strange
                .as_ref()
                .filter(|_| attempt.transaction_id.is_none())
            {
                attempt = attempt.paid_otherwise(payment);
                attempts::put(desk.tx, &attempt)?;
            }
            let kind = match (order.paid_by == Some(number.attempt()), order.status) {
                (false, _) => RefundKind::Surplus,
                (true, OrderStatus::Closed) => RefundKind::Late,
                (
                    true,
                    OrderStatus::Pending
                    | OrderStatus::Paid
                    | OrderStatus::Shipped
                    | OrderStatus::Completed
                    | OrderStatus::Refunded,
                ) => return Err(stays("这笔钱已在订单里入账：请在该订单上退款")),
            };
            open_in(&mut desk, &order, &attempt, kind)
        });
        write.await
    }

    /// An attempt with its order's turn, held until it is dropped.
    async fn attempt_in_turn(&self, number: &OutTradeNo) -> Result<(Turn, Attempt), ShopError> {
        let turn = self.turns.wait(number.order_no(), TURN_WITHIN).await;
        let turn = turn.ok_or_else(|| stays(BUSY))?;
        let attempt = self.attempt_of(number).await?;
        Ok((turn, attempt.ok_or(Refusal::RowNotFound)?))
    }
}

/// Whether a refund that was asked about is now as the row has it.
fn adopted(taken: TakenIn, row: &DayRow) -> Result<(), ShopError> {
    match taken {
        TakenIn::Known(amount) if row.wechat.or(row.local) == Some(amount) => Ok(()),
        TakenIn::Known(_) => Err(stays(
            "已向微信查询：退款金额与这一行不符，请核对后标记为已看过",
        )),
        TakenIn::Absent => Err(stays("微信没有这个退款单号：请核对后标记为已看过")),
        TakenIn::Differs(_) => Err(stays(
            "微信说的退款与本系统的记录不符（金额、支付单或结果），请核对后标记为已看过",
        )),
        TakenIn::Unpaid => Err(stays(
            "微信说这笔退款所属的支付没有付款或不符，请先处理那笔支付",
        )),
        TakenIn::Busy => Err(stays(BUSY)),
    }
}

/// The attempt of ours that the rows are about.
fn ours(open: &[DayRow]) -> Option<OutTradeNo> {
    let row = open.iter().find(|row| row.ours.is_some())?;
    row.out_trade_no.parse().ok()
}

fn stays(why: &'static str) -> ShopError {
    Refusal::RowStays { why }.into()
}

fn manual(what: &'static str) -> ShopError {
    Refusal::RefundManual { what }.into()
}

#[cfg(test)]
#[path = "remedies_tests.rs"]
mod tests;
