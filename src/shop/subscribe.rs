//! Subscribe messages: a template of the configuration filled from an order, and sent when due.
//!
//! A message never touches an order: what becomes of it is one line of the timeline.
//! Source: 小程序 · 订阅消息.

use std::str::FromStr;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use super::effects::Desk;
use super::notify::Applied;
use super::trace::exchange_entries;
use super::{Shop, ShopError};
use crate::base::{OrderNo, OutTradeNo, Timestamp, Uid};
use crate::model::{Entry, Order, OrderStatus, Payment, Shipment};
use crate::store::due::{self, Due, Occasion, Work};
use crate::store::{Tx, orders, shipments};
use crate::wechat::subscribe::{Message, Release, Sent, Slot};
use crate::wechat::{Trace, WechatError};

/// How often a message is tried again.
const REPEATS: u16 = 3;
/// The pause before the first repeat; it doubles.
const FIRST: Duration = Duration::from_secs(10);

/// The templates of `[wechat.messages]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// Sent when an order was paid.
    pub paid: Option<Template>,
    /// Sent when an order was shipped.
    pub shipped: Option<Template>,
    /// The version of the mini program that a message opens.
    pub release: Release,
}

/// One template and what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its id at WeChat.
    pub id: String,
    /// Where it leads; `{order_no}` becomes the order's number. Empty: nowhere.
    pub page: String,
    /// What stands in each slot.
    pub fields: Vec<Field>,
}

/// One slot and where its text comes from, written `thing1=title`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    slot: Slot,
    source: Source,
}

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    OrderNo,
    Title,
    Count,
    Total,
    Remark,
    CreatedAt,
    PaidAt,
    ShippedAt,
    Company,
    TrackingNo,
    ItemDesc,
    Text(String),
}

/// The words for the sources that take no text of their own.
const SOURCES: &[(&str, Source)] = &[
    ("order_no", Source::OrderNo),
    ("title", Source::Title),
    ("count", Source::Count),
    ("total", Source::Total),
    ("remark", Source::Remark),
    ("created_at", Source::CreatedAt),
    ("paid_at", Source::PaidAt),
    ("shipped_at", Source::ShippedAt),
    ("company", Source::Company),
    ("tracking_no", Source::TrackingNo),
    ("item_desc", Source::ItemDesc),
];

/// A text that is no [`Field`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("应写成「模板字段=来源」，如 thing1=title")]
pub struct BadField;

impl FromStr for Field {
    type Err = BadField;

    fn from_str(text: &str) -> Result<Self, BadField> {
        let (slot, source) = text.split_once('=').ok_or(BadField)?;
        let slot = slot.trim().parse().map_err(|_| BadField)?;
        let source = source.trim();
        let source = match source.strip_prefix("text:") {
            Some(fixed) if !fixed.trim().is_empty() => Source::Text(fixed.trim().to_owned()),
            Some(_) => return Err(BadField),
            None => {
                let known = SOURCES.iter().find(|(word, _)| *word == source);
                known.map(|(_, source)| source.clone()).ok_or(BadField)?
            }
        };
        Ok(Self { slot, source })
    }
}

/// What a message can tell about.
struct Told<'a> {
    order: &'a Order,
    first: Option<&'a Shipment>,
    company: String,
}

impl Source {
    fn text(&self, told: &Told<'_>) -> String {
        let order = told.order;
        let moment = |at: Option<Timestamp>| at.map(minute).unwrap_or_default();
        let parcel = |of: fn(&Shipment) -> &str| told.first.map(of).unwrap_or("").to_owned();
        match self {
            Self::OrderNo => order.order_no.to_string(),
            Self::Title => titles(order),
            Self::Count => {
                let pieces: u64 = order.lines.iter().map(|l| u64::from(l.count)).sum();
                pieces.to_string()
            }
            Self::Total => format!("¥{}", order.total),
            Self::Remark => order.remark.clone(),
            Self::CreatedAt => minute(order.created_at),
            Self::PaidAt => moment(order.paid_at),
            Self::ShippedAt => moment(order.shipped_at),
            Self::Company => told.company.clone(),
            Self::TrackingNo => parcel(|shipment| &shipment.tracking_no),
            Self::ItemDesc => parcel(|shipment| &shipment.item_desc),
            Self::Text(text) => text.clone(),
        }
    }
}

/// `2026-01-01 15:01`, Beijing time. Source: 小程序 · 发送订阅消息 (time, date).
fn minute(at: Timestamp) -> String {
    let text = at.rfc3339();
    format!("{} {}", &text[..10], &text[11..16])
}

fn titles(order: &Order) -> String {
    let first = order.lines.first().map_or("", |line| line.title.as_str());
    match order.lines.len() {
        0 | 1 => first.to_owned(),
        several => format!("{first}等 {several} 件商品"),
    }
}

impl Template {
    /// The message about `order`; `None` when a slot would stay empty, which WeChat refuses.
    fn filled(&self, told: &Told<'_>, release: Release) -> Option<Message> {
        let fill = |field: &Field| {
            let text = field.slot.fitted(&field.source.text(told))?;
            Some((field.slot.clone(), text))
        };
        Some(Message {
            openid: told.order.openid.clone(),
            template_id: self.id.clone(),
            page: self
                .page
                .replace("{order_no}", told.order.order_no.as_str()),
            release,
            values: self.fields.iter().map(fill).collect::<Option<_>>()?,
        })
    }
}

/// Enters the message that an order was paid, in the transaction that counted the payment.
pub(super) fn tell_paid(
    desk: &mut Desk<'_, '_>,
    payment: &Payment,
    applied: &Applied,
) -> Result<(), ShopError> {
    let (Applied::Now, Ok(number)) = (applied, payment.out_trade_no.parse::<OutTradeNo>()) else {
        return Ok(());
    };
    let order_no = number.order_no();
    let Some(order) = orders::order(desk.tx, desk.key, order_no)? else {
        return Ok(());
    };
    if order.status == OrderStatus::Paid && order.paid_by == Some(number.attempt()) {
        let work = Work::Message(Occasion::Paid, order_no.clone());
        due::schedule(desk.tx, desk.now, &work, 0);
    }
    Ok(())
}

/// One gate for each share of the users: to one user, one message at a time.
///
/// Source: 小程序 · 发送订阅消息 · 错误码 43108.
#[derive(Debug)]
pub(super) struct Gates([Mutex<()>; 32]);

impl Default for Gates {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Gates {
    async fn pass(&self, uid: Uid) -> MutexGuard<'_, ()> {
        let at = uid.get() % 32;
        self.0[usize::try_from(at).unwrap_or(0)].lock().await
    }
}

/// How sending ended.
enum Ended {
    Sent,
    Dropped(String),
    Again(String),
}

impl Shop {
    /// Sends a message that is due, or drops it.
    pub(super) async fn due_message(&self, due: Due) -> Result<(), ShopError> {
        let Work::Message(occasion, order_no) = due.work.clone() else {
            return Ok(());
        };
        let (key, number) = (self.field_key(), order_no.clone());
        let read = self.store.read(move |view| {
            let Some(order) = orders::order(view, &key, &number)? else {
                return Ok(None);
            };
            let parcels = shipments::of(view, &order)?;
            Ok::<_, ShopError>(Some((order, parcels)))
        });
        let trace = Trace::new(&self.clock);
        let ended = match read.await? {
            Some((order, parcels)) => self.send(occasion, &order, parcels.first(), &trace).await,
            None => None,
        };
        let entries = exchange_entries("wechat.message", &trace);
        let (key, now) = (self.field_key(), self.clock.now());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            due::unschedule(tx, due.at, &due.work);
            let mut desk = Desk { tx, key: &key, now };
            let Some(ended) = &ended else {
                return Ok(());
            };
            desk.note_all(&order_no, &entries)?;
            keep(&mut desk, (occasion, &order_no), &due, ended)
        });
        write.await
    }

    /// `None` when there is nothing to tell, or nobody wants it told.
    async fn send(
        &self,
        occasion: Occasion,
        order: &Order,
        first: Option<&Shipment>,
        trace: &Trace<'_>,
    ) -> Option<Ended> {
        let messages = &self.settings.messages;
        let template = match occasion {
            Occasion::Paid => messages.paid.as_ref()?,
            Occasion::Shipped => messages.shipped.as_ref()?,
        };
        let company = first.map_or("", |shipment| shipment.express_company.as_str());
        let told = Told {
            order,
            first,
            company: self.courier_name(company),
        };
        let Some(message) = template.filled(&told, messages.release) else {
            return Some(Ended::Dropped("模板的某个字段没有内容可填".to_owned()));
        };
        let _one_at_a_time = self.gates.pass(order.uid).await;
        Some(match self.wechat.send_message(&message, trace).await {
            Ok(Sent::Taken) => Ended::Sent,
            Ok(Sent::NotWanted) => Ended::Dropped("买家没有订阅，或已用完订阅次数".to_owned()),
            Ok(Sent::Never(said)) => {
                tracing::warn!(order_no = %order.order_no, %said, "订阅消息发不出去");
                Ended::Dropped(said.to_string())
            }
            Ok(Sent::NotYet(said)) => Ended::Again(said.to_string()),
            // It may have been heard: a second message would be one too many.
            Err(WechatError::Unknown(why)) => Ended::Dropped(format!("结果未知，不再重发：{why}")),
            Err(error) => Ended::Again(error.to_string()),
        })
    }
}

fn keep(
    desk: &mut Desk<'_, '_>,
    about: (Occasion, &OrderNo),
    due: &Due,
    ended: &Ended,
) -> Result<(), ShopError> {
    let (occasion, order_no) = about;
    let what = match occasion {
        Occasion::Paid => "付款成功",
        Occasion::Shipped => "发货",
    };
    let (kind, text) = match ended {
        Ended::Sent => ("message.sent", format!("已发送{what}订阅消息")),
        Ended::Dropped(why) => ("message.dropped", format!("{what}订阅消息不发送：{why}")),
        Ended::Again(why) if due.step >= REPEATS => (
            "message.dropped",
            format!("{what}订阅消息多次未发出，放弃：{why}"),
        ),
        Ended::Again(why) => {
            let wait = FIRST.saturating_mul(1 << due.step.min(REPEATS));
            let at = desk.now.plus(wait);
            due::schedule(desk.tx, at, &due.work, due.step.saturating_add(1));
            (
                "message.delayed",
                format!("{what}订阅消息暂未发出，{at} 再试：{why}"),
            )
        }
    };
    let entry = Entry::new(desk.now, kind, text);
    Ok(desk.note_all(order_no, &[entry])?)
}

#[cfg(test)]
#[path = "subscribe_tests.rs"]
mod tests;
