//! A refund result from WeChat: opened, matched with ours, confirmed when it has no signature,
//! applied once, on disk.

use std::time::Duration;

use super::effects::Desk;
use super::metrics::verdict;
use super::notify::Heard;
use super::refund_desk::{Known, Odd, Settled};
use super::trace::exchange_entries;
use super::{Shop, ShopError};
#[cfg(test)]
use crate::base::trial::{self, Planted};
use crate::base::{OutTradeNo, RefundNo, Timestamp};
#[cfg(test)]
use crate::model::RefundStatus;
use crate::model::refund::RefundMismatch;
use crate::model::{Attempt, AttemptState, Entry, Protocol};
use crate::store::{Tx, attempts, queries, refunds};
use crate::wechat::{RefundKey, RefundNotice, RefundState, SignatureHeaders, Trace};

/// How long a notify may wait for the query that confirms it: WeChat waits five seconds for us.
///
/// Source: 微信支付 APIv2, APIv3 · 退款结果通知.
const CONFIRM_WITHIN: Duration = Duration::from_secs(4);

impl Shop {
    /// Takes a refund result in either protocol; a payment result that came here is taken too.
    pub async fn take_refund_notify(
        &self,
        headers: &SignatureHeaders<'_>,
        body: &[u8],
        now: Timestamp,
    ) -> Heard {
        if !self.is_refund_notify(headers, body, now) {
            return self.take_pay_notify(headers, body, now).await;
        }
        let heard = self.hear_refund(headers, body, now).await;
        self.metrics.notified("refund", verdict(&heard));
        heard
    }

    /// Whether this opens as a refund result.
    fn is_refund_notify(
        &self,
        headers: &SignatureHeaders<'_>,
        body: &[u8],
        now: Timestamp,
    ) -> bool {
        self.wechat.open_refund_notify(headers, body, now).is_ok()
    }

    /// Takes a refund result, on whichever path it came.
    pub(super) async fn hear_refund(
        &self,
        headers: &SignatureHeaders<'_>,
        body: &[u8],
        now: Timestamp,
    ) -> Heard {
        let heard = match self.wechat.open_refund_notify(headers, body, now) {
            Err(refusal) => Ok(Heard::Refused(refusal)),
            Ok(notice) => self.match_refund(notice).await,
        };
        match heard {
            Ok(heard) => {
                super::notify::log_heard(&heard);
                heard
            }
            Err(error) => {
                tracing::error!(%error, "退款通知未能处理，等微信再次通知");
                Heard::Unavailable
            }
        }
    }

    async fn match_refund(&self, notice: RefundNotice) -> Result<Heard, ShopError> {
        let RefundNotice {
            protocol,
            mchid,
            state,
            ..
        } = notice;
        let Some((attempt, ours)) = self.ours(&state).await? else {
            self.keep_strange(state, "退款通知里的商户订单号不是本店的")
                .await?;
            return Ok(Heard::Unknown);
        };
        if mchid != attempt.mchid.as_str() {
            return self.differs(state, RefundMismatch::MchId).await;
        }
        // A number we know was asked for in a protocol; the merchant platform tells in its own.
        if ours == Ours::Refund && is_v3(protocol) != is_v3(attempt.protocol) {
            return self.differs(state, RefundMismatch::Protocol).await;
        }
        if attempt.state != AttemptState::Paid {
            // Its payment comes first: WeChat is asked at once, and tells us of the refund again.
            self.query_soon(attempt.out_trade_no.clone()).await?;
            return Ok(Heard::Unavailable);
        }
        let told = notify_entry(&state, self.clock.now());
        // One that we do not know has nothing here to be held against: WeChat is asked for it.
        if is_v3(protocol) && ours == Ours::Refund {
            return self.take_notified(state, vec![told]).await;
        }
        match self.confirm(&attempt, &state.refund_no).await {
            Confirmed::State(confirmed, mut entries) => {
                entries.insert(0, told);
                self.take_notified(*confirmed, entries).await
            }
            Confirmed::Absent => self.differs(state, RefundMismatch::Absent).await,
            Confirmed::NotNow => {
                self.refund_soon(&state).await?;
                Ok(Heard::Unavailable)
            }
        }
    }

    /// Asks WeChat, with keys of ours, what a notice without a signature claims.
    async fn confirm(&self, attempt: &Attempt, refund_no: &str) -> Confirmed {
        let key = RefundKey {
            protocol: attempt.protocol,
            refund_no,
        };
        let trace = Trace::new(&self.clock);
        let asked = self.wechat.query_refund(&key, &trace);
        match tokio::time::timeout(CONFIRM_WITHIN, asked).await {
            Ok(Ok(Some(state))) => {
                let entries = exchange_entries("wechat.refund_query", &trace);
                Confirmed::State(Box::new(state), entries)
            }
            Ok(Ok(None)) => Confirmed::Absent,
            Ok(Err(_)) | Err(_) => Confirmed::NotNow,
        }
    }

    /// The attempt that a refund takes money from, and whether we know the refund itself.
    async fn ours(&self, state: &RefundState) -> Result<Option<(Attempt, Ours)>, ShopError> {
        let number = state.out_trade_no.parse::<OutTradeNo>().ok();
        let refund_no = state.refund_no.parse::<RefundNo>().ok();
        let read = self.store.read(move |view| {
            let refund = refund_no.map(|no| refunds::refund(view, &no)).transpose()?;
            let refund = refund.flatten();
            let ours = if refund.is_some() {
                Ours::Refund
            } else {
                Ours::Attempt
            };
            let number = refund.map(|refund| refund.out_trade_no).or(number);
            let attempt = number.map(|n| attempts::attempt(view, &n)).transpose()?;
            Ok::<_, ShopError>(attempt.flatten().map(|attempt| (attempt, ours)))
        });
        read.await
    }

    async fn take_notified(
        &self,
        state: RefundState,
        entries: Vec<Entry>,
    ) -> Result<Heard, ShopError> {
        let strange = state.clone();
        match self.take_state(state, entries).await? {
            Some(Ok(settled)) => {
                settled.alarmed();
                Ok(Heard::Applied)
            }
            Some(Err(why)) => self.differs(strange, why).await,
            None => Ok(Heard::Unknown),
        }
    }

    /// Takes in what WeChat said of a refund when it was asked for a list of them, or by a bill.
    ///
    /// # Errors
    /// Store errors.
    pub async fn take_refund_state(&self, state: RefundState) -> Result<Heard, ShopError> {
        self.take_notified(state, vec![]).await
    }

    /// The same, with the exchange that told of it; `None` when nothing of it is ours.
    ///
    /// # Errors
    /// Store errors.
    pub(super) async fn take_state(
        &self,
        state: RefundState,
        entries: Vec<Entry>,
    ) -> Result<Option<Result<Settled, RefundMismatch>>, ShopError> {
        #[cfg(test)]
        let state = match state.status {
            RefundStatus::Closed if trial::is(Planted::RefundMisheard) => RefundState {
                status: RefundStatus::Success,
                ..state
            },
            _ => state,
        };
        let (key, now) = (self.field_key(), self.clock.now());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut desk = Desk { tx, key: &key, now };
            Ok::<_, ShopError>(match desk.known(&state)? {
                Known::Refund(refund) => {
                    desk.note_all(&refund.order_no, &entries)?;
                    Some(desk.take_told(*refund, &state, 0)?)
                }
                Known::Attempt(attempt) => {
                    desk.note_all(attempt.out_trade_no.order_no(), &entries)?;
                    Some(desk.take_external(&attempt, &state)?)
                }
                Known::Nothing => None,
            })
        });
        write.await
    }

    /// A genuine word about a refund that is not as ours: listed and alarmed, not acknowledged.
    async fn differs(&self, state: RefundState, why: RefundMismatch) -> Result<Heard, ShopError> {
        self.keep_strange(state, &why.to_string()).await?;
        Ok(Heard::RefundDiffers(why))
    }

    async fn keep_strange(&self, state: RefundState, why: &str) -> Result<(), ShopError> {
        let (key, now) = (self.field_key(), self.clock.now());
        let reason = format!("退款 {}：{why}", state.refund_no);
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut desk = Desk { tx, key: &key, now };
            if let Some(odd) = Odd::of(&state) {
                odd.keep(&mut desk, &reason)?;
            }
            let attempt = match desk.known(&state)? {
                Known::Refund(refund) => Some(refund.order_no.clone()),
                Known::Attempt(attempt) => Some(attempt.out_trade_no.order_no().clone()),
                Known::Nothing => None,
            };
            if let Some(order_no) = attempt {
                let entry = Entry::new(now, "notify.mismatched", reason.as_str());
                desk.note_all(&order_no, &[entry])?;
            }
            Ok::<_, ShopError>(())
        });
        write.await
    }

    /// Has WeChat asked about a refund at once; one that we do not know comes by the next notify.
    async fn refund_soon(&self, state: &RefundState) -> Result<(), ShopError> {
        let Ok(refund_no) = state.refund_no.parse::<RefundNo>() else {
            return Ok(());
        };
        let now = self.clock.now();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let refund = refunds::refund(tx, &refund_no)?;
            if let Some(refund) = refund.filter(|refund| !refund.is_final()) {
                refunds::plan(tx, refund, now, 0)?;
            }
            Ok::<_, ShopError>(())
        });
        write.await
    }

    async fn query_soon(&self, number: OutTradeNo) -> Result<(), ShopError> {
        let now = self.clock.now();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            queries::plan(tx, &number, now, 0).map_err(ShopError::from)
        });
        write.await
    }
}

/// What of a refund is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    Refund,
    Attempt,
}

/// What a query says to a notice.
enum Confirmed {
    State(Box<RefundState>, Vec<Entry>),
    Absent,
    NotNow,
}

const fn is_v3(protocol: Protocol) -> bool {
    match protocol {
        Protocol::V3 => true,
        Protocol::V2Md5 | Protocol::V2HmacSha256 => false,
    }
}

fn notify_entry(state: &RefundState, now: Timestamp) -> Entry {
    let text = format!(
        "收到退款通知：{}，{} 元，{}",
        state.refund_no,
        state.amount,
        state.status.as_str()
    );
    Entry::new(now, "notify.refund", text)
}
