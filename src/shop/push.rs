//! Message push: verified, opened, and what it tells about an order kept before it is answered.
//!
//! Nothing here decides about money or receipt: that a buyer received an order is asked of WeChat
//! again, by due work. Source: 小程序 · 消息推送; 小程序发货信息管理服务.

use super::effects::Desk;
use super::{Shop, ShopError};
use crate::base::{OutTradeNo, Secret, Timestamp};
use crate::model::{Entry, Order, OrderStatus, Settlement};
use crate::store::due::{self, Work};
use crate::store::{StoreError, Tx, attempts, orders, shipments};
use crate::wechat::message::{BadPush, PushKeys, PushQuery, is_fresh, verify_plain};
use crate::wechat::push::{Event, OrderNamed, Push, Texts};

/// What message push is verified and opened with.
#[derive(Clone, Debug, Default)]
pub struct PushSettings {
    /// `[wechat] message_token`; empty: every push is refused.
    pub token: Secret<String>,
    /// The keys of the secure mode; `None`: every encrypted push is refused.
    pub keys: Option<PushKeys>,
}

/// The query values of a push, as they came.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `timestamp`.
    pub timestamp: String,
    /// `nonce`.
    pub nonce: String,
    /// `signature`, which does not cover the body.
    pub signature: String,
    /// `msg_signature`, which covers an encrypted body.
    pub msg_signature: String,
}

impl Asked {
    fn query<'a>(&'a self, signature: &'a str) -> PushQuery<'a> {
        PushQuery {
            timestamp: &self.timestamp,
            nonce: &self.nonce,
            signature,
        }
    }
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushHeard {
    /// Genuine; what it caused is on disk.
    Taken,
    /// Not genuine, stale, or for another program. Nothing changed.
    Refused(BadPush),
}

impl Shop {
    /// Whether the URL check comes from WeChat.
    ///
    /// # Errors
    /// [`BadPush`].
    pub fn check_push_url(&self, asked: &Asked) -> Result<(), BadPush> {
        verify_plain(&self.settings.push.token, asked.query(&asked.signature))
    }

    /// Takes a push in any mode and format.
    ///
    /// # Errors
    /// Store errors: WeChat must tell it again.
    pub async fn take_push(
        &self,
        asked: &Asked,
        body: &[u8],
        now: Timestamp,
    ) -> Result<PushHeard, ShopError> {
        let texts = match self.believed(asked, body, now) {
            Ok(texts) => texts,
            Err(why) => {
                self.metrics.notified("message", "refused");
                tracing::warn!(%why, "拒绝一条消息推送");
                return Ok(PushHeard::Refused(why));
            }
        };
        let push = Push::of(&texts);
        match &push.event {
            Event::Settlement(..) | Event::RemindShipping(_) => {
                let key = self.field_key();
                let write = self
                    .store
                    .write(move |tx: &mut Tx<'_>| note(&mut Desk { tx, key: &key, now }, &push));
                write.await?;
            }
            Event::RemindAccess => {
                tracing::warn!(said = %push.said, "微信提醒：请接入发货信息管理服务");
            }
            Event::MustJoin => {
                let said = &push.said;
                tracing::error!(alarm = true, %said, "微信要求：小程序须接入发货信息管理服务");
            }
            Event::Other => tracing::debug!(event = %push.name, "收到一条无需处理的消息推送"),
        }
        self.metrics.notified("message", "applied");
        Ok(PushHeard::Taken)
    }

    /// The texts of a push that is genuine, meant for us and not stale.
    fn believed(&self, asked: &Asked, body: &[u8], now: Timestamp) -> Result<Texts, BadPush> {
        let push = &self.settings.push;
        let outer = Texts::read(body);
        let sealed = outer.as_ref().and_then(|outer| outer.get("Encrypt"));
        let opened = match sealed {
            // Compatible mode sends the plain text beside the sealed one: only this is signed.
            Some(sealed) => {
                let keys = push.keys.as_ref().ok_or(BadPush::NotConfigured)?;
                keys.open(asked.query(&asked.msg_signature), sealed)?
            }
            None => {
                verify_plain(&push.token, asked.query(&asked.signature))?;
                body.to_vec()
            }
        };
        if !is_fresh(&asked.timestamp, now) {
            return Err(BadPush::Stale);
        }
        Texts::read(&opened).ok_or(BadPush::CannotOpen)
    }
}

/// The order that a push names, by WeChat's number or by ours.
fn order(desk: &Desk<'_, '_>, named: &OrderNamed) -> Result<Option<Order>, StoreError> {
    let paid = match &named.transaction_id {
        Some(id) => attempts::by_transaction(desk.tx, id)?,
        None => None,
    };
    let ours = || named.out_trade_no.as_ref()?.parse::<OutTradeNo>().ok();
    match paid.or_else(ours) {
        Some(number) => orders::order(desk.tx, desk.key, number.order_no()),
        None => Ok(None),
    }
}

/// Keeps what a push tells about its order, once, however often it is told.
fn note(desk: &mut Desk<'_, '_>, push: &Push) -> Result<(), ShopError> {
    let (named, news) = match &push.event {
        Event::Settlement(named, news) => (named, Some(news)),
        Event::RemindShipping(named) => (named, None),
        Event::RemindAccess | Event::MustJoin | Event::Other => return Ok(()),
    };
    let Some(order) = order(desk, named)? else {
        let out_trade_no = named.out_trade_no.as_deref().unwrap_or("");
        tracing::info!(event = %push.name, out_trade_no, "消息推送说的不是本店的订单");
        return Ok(());
    };
    let (kind, text) = match news {
        Some(news) => ("shipping.settlement", settlement_text(news)),
        None => (
            "shipping.reminded",
            "微信提醒：超过 48 小时未发货，请尽快发货".to_owned(),
        ),
    };
    let made = push.created_at.map(|at| format!("（微信 {at}）"));
    note_once(desk, &order, kind, text + &made.unwrap_or_default())?;
    match news {
        Some(news) => keep_settlement(desk, &order, news),
        None => Ok(()),
    }
}

fn note_once(
    desk: &mut Desk<'_, '_>,
    order: &Order,
    kind: &str,
    text: String,
) -> Result<(), ShopError> {
    let known = orders::timeline(desk.tx, order)?;
    let same = |entry: &Entry| entry.kind == kind && entry.text == text;
    if known.iter().any(same) {
        return Ok(());
    }
    Ok(desk.note(order, kind, text)?)
}

fn settlement_text(news: &Settlement) -> String {
    match (news.settled_at, news.estimated_at) {
        (Some(at), _) => format!("货款已于 {at} 结算"),
        (None, Some(at)) => format!("微信已收到发货，预计 {at} 结算货款"),
        (None, None) => "微信通知：订单将要结算或已经结算".to_owned(),
    }
}

/// Keeps the dates, and has WeChat asked whether the buyer really has received the order.
fn keep_settlement(
    desk: &mut Desk<'_, '_>,
    order: &Order,
    news: &Settlement,
) -> Result<(), ShopError> {
    let before = shipments::settlement(desk.tx, &order.order_no)?.unwrap_or_default();
    let after = before.with(news);
    if after != before {
        shipments::put_settlement(desk.tx, &order.order_no, &after)?;
    }
    let received = news.received_at.or(news.settled_at).is_some();
    if received && order.status == OrderStatus::Shipped {
        let work = Work::Report(order.order_no.clone());
        due::schedule(desk.tx, desk.now, &work, 0);
    }
    Ok(())
}

#[cfg(test)]
#[path = "push_tests.rs"]
mod tests;
