//! The rows of a bill against what is known here, and what is paid there but not here healed.

use std::time::Duration;

use super::bill_refunds::TakenIn;
use super::reconcile::{Bill, Compared, Run, batches, next_batch};
use super::truth::Found;
use super::{Shop, ShopError};
#[cfg(test)]
use crate::base::trial::{self, Planted};
use crate::base::{Fen, OrderNo, OutTradeNo};
use crate::model::reconcile::{
    BillRow, Class, LocalPayment, LocalRefund, Verdict, judge_payment, judge_refund,
};
use crate::store::reconciliations::{DayRow, RowKind, Settled, Settling};
use crate::store::{Read, StoreError, attempts, refunds};

/// How long a payment that is healed waits for its order's turn.
const TURN_WITHIN: Duration = Duration::from_secs(30);
/// After so many calls in a row that WeChat did not answer, it is not asked again in this run.
const SILENT: u64 = 3;

/// A row that is not the same here, and what is known of its payment.
struct Open {
    row: BillRow,
    verdict: Verdict,
    ours: Option<OrderNo>,
    local: Option<Fen>,
    /// Whether neither its payment nor its refund is of ours.
    is_foreign: bool,
}

impl Shop {
    /// Goes through all rows of a bill; what differs is kept.
    pub(super) async fn judge_bill(&self, run: Run, bill: &Bill) -> Result<Compared, ShopError> {
        let mut compared = Compared::default();
        let (mut rows, mut silent) = (batches(bill), 0);
        while let Some(batch) = next_batch(&mut rows).await? {
            let judged = self
                .store
                .read(move |view| Ok::<_, ShopError>(judged(view, batch)?));
            let (matched, open) = judged.await?;
            compared.matched = compared.matched.saturating_add(matched);
            let mut differences = Vec::with_capacity(open.len());
            for one in open {
                if one.is_foreign && !compared.lists_foreign() {
                    continue;
                }
                let healing = self.heal(&one, &mut silent).await?;
                if healing == Some(Healing::Unasked) {
                    compared.unasked = compared.unasked.saturating_add(1);
                }
                differences.push(difference(one, run, healing));
            }
            self.keep_rows(run, differences).await?;
        }
        Ok(compared)
    }

    /// Has WeChat asked about money that its bill has and we do not; its answer counts, not the
    /// bill. `None` when there is nothing to ask.
    async fn heal(&self, open: &Open, silent: &mut u64) -> Result<Option<Healing>, ShopError> {
        #[cfg(test)]
        if trial::is(Planted::BillUnheeded) {
            return Ok(None);
        }
        let asked = match (&open.verdict, &open.row) {
            (Verdict::Matched | Verdict::Differs(..), _)
            | (Verdict::ForeignRefund(_), BillRow::Payment(_)) => return Ok(None),
            _ if *silent >= SILENT => return Ok(Some(Healing::Unasked)),
            (Verdict::Unpaid(number), _) => self.ask_about(number).await.map(Healing::of_payment),
            (Verdict::ForeignRefund(number), BillRow::Refund(bill)) => {
                let taken = self.take_in_refund(number, &bill.refund_no).await;
                taken.map(|taken| Healing::of_refund(taken, bill.amount))
            }
        };
        match asked {
            Ok(healing) => {
                if healing != Healing::Unasked {
                    *silent = 0;
                }
                Ok(Some(healing))
            }
            Err(ShopError::Wechat(_)) => {
                *silent = silent.saturating_add(1);
                Ok(Some(Healing::Unasked))
            }
            Err(error) => Err(error),
        }
    }

    /// What WeChat says of an attempt now, applied; `None` when its order is busy or unknown.
    pub(super) async fn ask_about(&self, number: &OutTradeNo) -> Result<Option<Found>, ShopError> {
        let Some(_turn) = self.turns.wait(number.order_no(), TURN_WITHIN).await else {
            return Ok(None);
        };
        match self.attempt_of(number).await? {
            None => Ok(None),
            Some(attempt) => self.ask(&attempt).await.map(Some),
        }
    }
}

/// What asking about money that only the bill has came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Healing {
    Healed,
    Denied,
    Unasked,
}

impl Healing {
    fn of_payment(found: Option<Found>) -> Self {
        match found {
            Some(Found::Paid) => Self::Healed,
            Some(Found::Closed | Found::Unpaid | Found::Absent | Found::Strange(_)) => Self::Denied,
            None => Self::Unasked,
        }
    }

    fn of_refund(taken: TakenIn, billed: Fen) -> Self {
        match taken {
            TakenIn::Known(amount) if amount == billed => Self::Healed,
            TakenIn::Known(_) | TakenIn::Absent | TakenIn::Differs(_) | TakenIn::Unpaid => {
                Self::Denied
            }
            TakenIn::Busy => Self::Unasked,
        }
    }
}

/// How many rows are the same here, and the others.
fn judged(read: &impl Read, batch: Vec<BillRow>) -> Result<(u64, Vec<Open>), StoreError> {
    let (mut matched, mut open) = (0, vec![]);
    for row in batch {
        let payment = local_payment(read, row.out_trade_no())?;
        let (verdict, local) = match &row {
            BillRow::Payment(bill) => {
                let local = payment.as_ref().map(|payment| payment.amount);
                (judge_payment(bill, payment.as_ref()), local)
            }
            BillRow::Refund(bill) => {
                let refund = local_refund(read, &bill.refund_no)?;
                let local = refund.as_ref().map(|refund| refund.amount);
                (judge_refund(bill, refund.as_ref(), payment.as_ref()), local)
            }
        };
        if verdict == Verdict::Matched {
            matched += 1;
            continue;
        }
        let ours = payment.map(|payment| payment.out_trade_no.order_no().clone());
        open.push(Open {
            is_foreign: ours.is_none() && local.is_none(),
            row,
            verdict,
            ours,
            local,
        });
    }
    Ok((matched, open))
}

fn local_payment(read: &impl Read, number: &str) -> Result<Option<LocalPayment>, StoreError> {
    let Ok(number) = number.parse::<OutTradeNo>() else {
        return Ok(None);
    };
    let attempt = attempts::attempt(read, &number)?;
    Ok(attempt.map(|attempt| LocalPayment {
        out_trade_no: attempt.out_trade_no,
        amount: attempt.amount,
        paid: attempt.transaction_id.map(|id| id.to_string()),
    }))
}

fn local_refund(read: &impl Read, number: &str) -> Result<Option<LocalRefund>, StoreError> {
    let Ok(number) = number.parse() else {
        return Ok(None);
    };
    let refund = refunds::refund(read, &number)?;
    Ok(refund.map(|refund| LocalRefund {
        out_trade_no: refund.out_trade_no.to_string(),
        amount: refund.amount,
    }))
}

fn difference(open: Open, run: Run, healing: Option<Healing>) -> DayRow {
    let (class, reason) = match open.verdict {
        Verdict::Differs(class, why) => (class, why),
        Verdict::ForeignRefund(_) => {
            let why = match healing {
                Some(Healing::Healed) => "不是本店发起的退款：已向微信查询并收下",
                Some(Healing::Denied) => "不是本店发起的退款：微信查询的结果没有它，或与账单不符",
                Some(Healing::Unasked) | None => "不是本店发起的退款：未能向微信查询",
            };
            (Class::MissingLocal, why)
        }
        Verdict::Matched | Verdict::Unpaid(_) => {
            let why = match healing {
                Some(Healing::Healed) => "账单已付、本地未付：已向微信查询并入账",
                Some(Healing::Denied) => {
                    "账单已付、本地未付：微信查询的结果不是已支付，或与支付单不符"
                }
                Some(Healing::Unasked) | None => "账单已付、本地未付：未能向微信查询",
            };
            (Class::MissingLocal, why)
        }
    };
    let healed = healing == Some(Healing::Healed);
    let settled = healed.then(|| Settled {
        how: Settling::Healed,
        by: String::new(),
        at: run.at,
    });
    let (kind, refund_no, transaction_id, wechat, at) = match &open.row {
        BillRow::Payment(bill) => {
            let id = bill.transaction_id.clone();
            (RowKind::Payment, String::new(), id, bill.amount, bill.at)
        }
        BillRow::Refund(bill) => {
            let (number, id) = (bill.refund_no.clone(), bill.transaction_id.clone());
            (RowKind::Refund, number, id, bill.amount, bill.at)
        }
    };
    DayRow {
        class,
        kind,
        out_trade_no: open.row.out_trade_no().to_owned(),
        transaction_id,
        refund_no,
        ours: open.ours,
        local: open.local,
        wechat: Some(wechat),
        at,
        reason: reason.to_owned(),
        settled,
        run: run.number,
    }
}
