//! Telling WeChat how orders were shipped, in the background, until it knows or says no for good.
//!
//! Money of a mini program under shipping management stays frozen until WeChat knows of the
//! shipment. Source: 小程序 · 小程序发货信息管理服务.

use std::time::Duration;

use super::effects::Desk;
use super::fulfil::receive;
use super::trace::exchange_entries;
use super::{Shop, ShopError};
use crate::base::cipher::FieldKey;
use crate::base::{OpenId, OrderNo, OutTradeNo, Timestamp, TransactionId};
use crate::model::order::Receiver;
use crate::model::shipping::masked_contact;
use crate::model::{Entry, Order, OrderStatus, ReportStatus, Shipment, ShippingReport};
use crate::store::due::{self, Due, Work};
use crate::store::{Tx, View, attempts, orders, shipments, users};
use crate::wechat::Trace;
use crate::wechat::shipping::{Upload, Uploaded};
use crate::wechat::shipping_order::OrderState;

/// The pause before the first repeat; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(3600);
/// After so many tries, about ten days, nobody tries again.
const TRIES_MAX: u16 = 250;

/// What is known when a report is due.
struct Waiting {
    order: Order,
    shipments: Vec<Shipment>,
    report: ShippingReport,
    payment: Option<(TransactionId, OpenId)>,
    contact: Option<String>,
    received_at_wechat: bool,
}

/// How a try ended.
enum Verdict {
    /// WeChat has it.
    Reported,
    /// There is no service to report to.
    NotManaged,
    /// Later again.
    Later(String),
    /// Not any more.
    Failed(String),
}

impl Shop {
    /// Reports an order's shipments, or confirms that its buyer has received them.
    pub(super) async fn due_report(&self, due: Due) -> Result<(), ShopError> {
        let Work::Report(order_no) = &due.work else {
            return Ok(());
        };
        let (key, number, order_no) = (self.field_key(), order_no.clone(), order_no.clone());
        let read = self.store.read(move |view| waiting(view, &key, &number));
        match read.await? {
            Some(waiting) if waiting.report.status == ReportStatus::Queued => {
                self.report(due, &waiting).await
            }
            Some(waiting) if waiting.received_at_wechat => {
                self.confirm_receipt(due, &waiting).await
            }
            Some(_) | None => self.drop_work(due, order_no).await,
        }
    }

    async fn report(&self, due: Due, waiting: &Waiting) -> Result<(), ShopError> {
        let trace = Trace::new(&self.clock);
        let upload_time = waiting.report.next_upload_time(self.clock.now());
        let verdict = match self.verdict(waiting, upload_time, &trace).await {
            Verdict::Later(_) if due.step >= TRIES_MAX => {
                Verdict::Failed("多次重试仍未成功，请核对后重新发货".to_owned())
            }
            verdict => verdict,
        };
        let tried = Tried {
            revision: waiting.report.revision,
            upload_time,
            verdict,
            entries: exchange_entries("wechat.shipping", &trace),
        };
        let (key, now) = (self.field_key(), self.clock.now());
        let order_no = waiting.order.order_no.clone();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut desk = Desk { tx, key: &key, now };
            keep(&mut desk, &order_no, &due, &tried)
        });
        write.await
    }

    async fn verdict(&self, waiting: &Waiting, at: Timestamp, trace: &Trace<'_>) -> Verdict {
        if waiting.order.status == OrderStatus::Refunded {
            return Verdict::Failed("订单已全额退款，无需再向微信上报发货".to_owned());
        }
        let Some((transaction_id, openid)) = waiting.payment.clone() else {
            return Verdict::Failed("没有记为本单付款的微信支付单，无法上报".to_owned());
        };
        match self.is_trade_managed(trace).await {
            Ok(true) => {}
            Ok(false) => return Verdict::NotManaged,
            Err(error) => return Verdict::Later(error.to_string()),
        }
        let upload = Upload {
            transaction_id,
            openid,
            shipments: waiting.shipments.clone(),
            delivery: waiting.report.delivery,
            contact: waiting.contact.clone(),
            upload_time: at,
        };
        match self.wechat.upload_shipping(&upload, trace).await {
            Ok(Uploaded::Taken) => Verdict::Reported,
            Ok(Uploaded::NotYet(said)) => Verdict::Later(said.to_string()),
            Ok(Uploaded::Never(said)) => Verdict::Failed(said.to_string()),
            Ok(Uploaded::Ask(said)) => self.beyond(&upload, said.to_string(), trace).await,
            Err(error) => Verdict::Later(error.to_string()),
        }
    }

    /// WeChat says that the order is beyond being shipped: what it has decides.
    async fn beyond(&self, upload: &Upload, said: String, trace: &Trace<'_>) -> Verdict {
        let known = self.wechat.shipping_of(&upload.transaction_id, trace).await;
        match known {
            Ok(known) if known.has(&upload.shipments) => Verdict::Reported,
            Ok(known) => Verdict::Failed(match known.state {
                OrderState::Refunded => format!("此单在微信已退款，不能再发货：{said}"),
                OrderState::Received => format!("买家已在微信确认收货，发货信息不能再改：{said}"),
                OrderState::Shipped => format!("微信已有另一份发货信息：{said}"),
                OrderState::ToShip => said,
            }),
            Err(error) => Verdict::Later(error.to_string()),
        }
    }

    /// Asks WeChat whether the buyer has confirmed receipt, and believes only that.
    ///
    /// Source: 小程序 · 确认收货组件 (查询订单发货状态, 3, 4 或 6).
    async fn confirm_receipt(&self, due: Due, waiting: &Waiting) -> Result<(), ShopError> {
        let Some((transaction_id, _)) = &waiting.payment else {
            return self.drop_work(due, waiting.order.order_no.clone()).await;
        };
        let trace = Trace::new(&self.clock);
        let known = self.wechat.shipping_of(transaction_id, &trace).await;
        let entries = exchange_entries("wechat.shipping", &trace);
        let (key, now) = (self.field_key(), self.clock.now());
        let order_no = waiting.order.order_no.clone();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let mut desk = Desk { tx, key: &key, now };
            take_out(&mut desk, &order_no, &due)?;
            desk.note_all(&order_no, &entries)?;
            match &known {
                Ok(known) if known.state == OrderState::Received => {
                    receive(desk, &order_no, Receiver::Wechat)
                }
                Ok(_) => Ok(()),
                Err(_) => {
                    later(&mut desk, &due);
                    Ok(())
                }
            }
        });
        write.await
    }

    async fn drop_work(&self, due: Due, order_no: OrderNo) -> Result<(), ShopError> {
        let (key, now) = (self.field_key(), self.clock.now());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            take_out(&mut Desk { tx, key: &key, now }, &order_no, &due)
        });
        write.await
    }
}

/// Asks again later, unless it was asked too often: the order then ends by its own time.
fn later(desk: &mut Desk<'_, '_>, due: &Due) {
    if due.step < TRIES_MAX {
        let at = desk.now.plus(pause(due.step));
        due::schedule(desk.tx, at, &due.work, due.step.saturating_add(1));
    }
}

/// Takes work out, unless the merchant changed the shipments meanwhile: in the same second that
/// stands under the same key.
fn take_out(desk: &mut Desk<'_, '_>, order_no: &OrderNo, due: &Due) -> Result<(), ShopError> {
    due::unschedule(desk.tx, due.at, &due.work);
    let report = shipments::report(desk.tx, order_no)?;
    if report.is_some_and(|report| report.status == ReportStatus::Queued) {
        due::schedule(desk.tx, desk.now, &due.work, 0);
    }
    Ok(())
}

/// 5 s, 10 s, 20 s … up to an hour.
fn pause(step: u16) -> Duration {
    let doubled = 1_u32.checked_shl(u32::from(step)).unwrap_or(u32::MAX);
    FIRST.saturating_mul(doubled).min(LONGEST)
}

fn waiting(
    view: &View<'_>,
    key: &FieldKey,
    order_no: &OrderNo,
) -> Result<Option<Waiting>, ShopError> {
    let Some(order) = orders::order(view, key, order_no)? else {
        return Ok(None);
    };
    let Some(report) = shipments::report(view, order_no)? else {
        return Ok(None);
    };
    let counted = match order.paid_by {
        Some(n) => attempts::attempt(view, &OutTradeNo::new(order_no.clone(), n))?,
        None => None,
    };
    let payment = counted.and_then(|attempt| Some((attempt.transaction_id?, attempt.openid)));
    let contact = match masked_contact(order.address.as_ref().map(|a| a.phone.as_str())) {
        Some(contact) => Some(contact),
        None => {
            let user = users::user(view, key, order.uid)?;
            masked_contact(user.as_ref().map(|user| user.phone.as_str()))
        }
    };
    let settlement = shipments::settlement(view, order_no)?.unwrap_or_default();
    let told = settlement.received_at.or(settlement.settled_at).is_some();
    Ok(Some(Waiting {
        shipments: shipments::of(view, &order)?,
        received_at_wechat: told && order.status == OrderStatus::Shipped,
        order,
        report,
        payment,
        contact,
    }))
}

/// What a try has to write down.
struct Tried {
    revision: u32,
    upload_time: Timestamp,
    verdict: Verdict,
    entries: Vec<Entry>,
}

fn keep(
    desk: &mut Desk<'_, '_>,
    order_no: &OrderNo,
    due: &Due,
    tried: &Tried,
) -> Result<(), ShopError> {
    due::unschedule(desk.tx, due.at, &due.work);
    let Some(report) = shipments::report(desk.tx, order_no)? else {
        return Ok(());
    };
    let report = ShippingReport {
        upload_time: Some(tried.upload_time),
        ..report
    };
    if report.revision != tried.revision {
        // The merchant changed it meanwhile: what was answered is about something older.
        due::schedule(desk.tx, desk.now, &due.work, 0);
        desk.note_all(order_no, &tried.entries)?;
        return Ok(shipments::put_report(desk.tx, order_no, &report)?);
    }
    let (status, problem, kind) = match &tried.verdict {
        Verdict::Reported => (ReportStatus::Reported, None, "shipping.reported"),
        Verdict::NotManaged => (ReportStatus::NotManaged, None, "shipping.not_managed"),
        Verdict::Failed(why) => (ReportStatus::Failed, Some(why.clone()), "shipping.failed"),
        Verdict::Later(why) => (ReportStatus::Queued, Some(why.clone()), "shipping.delayed"),
    };
    let text = match &tried.verdict {
        Verdict::Reported => "微信已收到发货信息".to_owned(),
        Verdict::NotManaged => "小程序未开通发货信息管理，无需上报".to_owned(),
        Verdict::Failed(why) => format!("发货信息上报失败：{why}"),
        Verdict::Later(why) => {
            let at = desk.now.plus(pause(due.step));
            due::schedule(desk.tx, at, &due.work, due.step.saturating_add(1));
            format!("发货信息暂未上报成功，{at} 再试：{why}")
        }
    };
    let news = report.status != status || report.problem != problem;
    if news {
        desk.note_all(order_no, &tried.entries)?;
        let entry = Entry::new(desk.now, kind, text);
        desk.note_all(order_no, &[entry])?;
    }
    let report = ShippingReport {
        status,
        problem,
        ..report
    };
    Ok(shipments::put_report(desk.tx, order_no, &report)?)
}

#[cfg(test)]
#[path = "reports_tests.rs"]
mod tests;
