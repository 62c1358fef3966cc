//! The rows of a bill against what is known here, and what is paid there but not here healed.

use std::time::Duration;

use super::reconcile::{Bill, Compared, Run, batches, next_batch};
use super::truth::Found;
use super::{Shop, ShopError};
use crate::base::{OrderNo, OutTradeNo};
use crate::model::AttemptState;
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
    local: Option<crate::base::Fen>,
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
                let healing = match &one.verdict {
                    Verdict::Unpaid(number) => Some(self.heal(number, &mut silent).await?),
                    Verdict::Matched | Verdict::ForeignRefund(_) | Verdict::Differs(..) => None,
                };
                if healing == Some(Healing::Unasked) {
                    compared.unasked = compared.unasked.saturating_add(1);
                }
                differences.push(difference(one, run, healing));
            }
            self.keep_rows(run, differences).await?;
        }
        Ok(compared)
    }

    /// Has WeChat asked about a payment that its bill has and we do not; its answer counts, not
    /// the bill.
    async fn heal(&self, number: &OutTradeNo, silent: &mut u64) -> Result<Healing, ShopError> {
        if *silent >= SILENT {
            return Ok(Healing::Unasked);
        }
        match self.ask_about(number).await {
            Ok(Some(Found::Paid)) => {
                *silent = 0;
                Ok(Healing::Healed)
            }
            Ok(Some(Found::Closed | Found::Unpaid | Found::Absent | Found::Strange(_))) => {
                *silent = 0;
                Ok(Healing::Denied)
            }
            Ok(None) => Ok(Healing::Unasked),
            Err(ShopError::Wechat(_)) => {
                *silent = silent.saturating_add(1);
                Ok(Healing::Unasked)
            }
            Err(error) => Err(error),
        }
    }

    /// What WeChat says of an attempt now, applied; `None` when its order is busy or unknown.
    pub(super) async fn ask_about(&self, number: &OutTradeNo) -> Result<Option<Found>, ShopError> {
        let Some(_turn) = self.turns.wait(number.order_no(), TURN_WITHIN).await else {
            return Ok(None);
        };
        let wanted = number.clone();
        let read = self
            .store
            .read(move |view| attempts::attempt(view, &wanted).map_err(ShopError::from));
        match read.await? {
            None => Ok(None),
            Some(attempt) => self.ask(&attempt).await.map(Some),
        }
    }
}

/// What asking about a payment that only the bill has came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Healing {
    Healed,
    Denied,
    Unasked,
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
        paid: match attempt.state {
            AttemptState::Paid => attempt.transaction_id.map(|id| id.to_string()),
            AttemptState::Open | AttemptState::Closed => None,
        },
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
        Verdict::ForeignRefund(_) => (
            Class::MissingLocal,
            "这笔退款不是本系统发起的，可能是在微信商户平台操作的",
        ),
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
