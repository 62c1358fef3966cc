//! What became of each payment's goods: shipped, changed once, received, settled. Pure.
//!
//! Source: 小程序 · 小程序发货信息管理服务.

use std::time::Duration;

use serde_json::{Value, json};

use super::upload::{
    BAD_PARAMETER, Logistics, MOST_PARCELS, Mode, Moment, Parcel, TOO_MANY, Upload,
};
use crate::base::Timestamp;
use crate::sandbox::login::{Errcode, err};

const COMPLETE: Errcode = err(10_060_002, "支付单已完成发货，无法继续发货");
const CHANCE_USED: Errcode = err(10_060_003, "支付单已使用重新发货机会");
const BAD_STATE: Errcode = err(10_060_004, "支付单处于不可发货的状态");
const NOTHING_CHANGED: Errcode = err(10_060_023, "发货信息未更新");
const NOT_SHIPPED: Errcode = err(10_060_028, "该笔支付单尚未发货");
const BAD_RECEIVED_TIME: Errcode = err(10_060_029, "签收时间有误");
const REMINDED: Errcode = err(10_060_030, "该笔支付单的提醒次数已用尽");
const NOT_COURIER: Errcode = err(10_060_032, "只有快递发货的支付单可以提醒");
const STALE: Errcode = err(10_060_014, "upload_time 应晚于上一次");

/// Money that nobody released is released after so long. Source: 同上, 确认收货规则.
const COURIER_WAITS: Duration = Duration::from_secs(10 * 86_400);
const OTHERS_WAIT: Duration = Duration::from_secs(2 * 86_400);

/// How receipt came about: the number that `confirm_receive_method` carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirmed {
    ByBuyer,
    Automatically,
}

impl Confirmed {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::ByBuyer => 1,
            Self::Automatically => 2,
        }
    }
}

/// Whether the one change that is allowed was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Left,
    Used,
}

/// What the merchant uploaded.
#[derive(Clone, Debug)]
pub(super) struct Shipped {
    pub(super) logistics: Logistics,
    pub(super) mode: Mode,
    pub(super) parcels: Vec<(Parcel, Timestamp)>,
    last_upload: Moment,
    change: Change,
    finished_at: Option<Timestamp>,
}

/// The shipping of one payment.
#[derive(Clone, Debug, Default)]
pub(super) struct Shipment {
    pub(super) shipped: Option<Shipped>,
    pub(super) received: Option<(Confirmed, Timestamp)>,
    pub(super) settled_at: Option<Timestamp>,
    reminded: bool,
}

/// Where the payment's money stands beside this: only money that was not given back can ship.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Money {
    Kept,
    GivenBack,
}

impl Shipment {
    /// `order_state` of get_order.
    pub(super) fn state(&self, money: Money) -> u8 {
        let complete = self.shipped.as_ref().is_some_and(Shipped::is_complete);
        match (money, complete) {
            (Money::GivenBack, _) => 5,
            (Money::Kept, _) if self.settled_at.is_some() => 4,
            (Money::Kept, _) if self.received.is_some() => 3,
            (Money::Kept, true) => 2,
            (Money::Kept, false) => 1,
        }
    }

    /// Takes an upload in, or says why not.
    pub(super) fn upload(
        &mut self,
        upload: Upload,
        money: Money,
        now: Timestamp,
    ) -> Result<(), Errcode> {
        if money == Money::GivenBack {
            return Err(BAD_STATE);
        }
        if self.received.is_some() {
            return Err(COMPLETE);
        }
        let Some(old) = &self.shipped else {
            self.shipped = Some(Shipped::first(upload, now));
            return Ok(());
        };
        self.shipped = Some(old.clone().next(upload, now)?);
        Ok(())
    }

    /// The buyer confirms receipt, or time does.
    pub(super) fn receive(&mut self, how: Confirmed, now: Timestamp) -> Result<(), Errcode> {
        let complete = self.shipped.as_ref().is_some_and(Shipped::is_complete);
        match (complete, self.received) {
            (false, _) => Err(NOT_SHIPPED),
            (true, Some(_)) => Err(BAD_STATE),
            (true, None) => {
                self.received = Some((how, now));
                Ok(())
            }
        }
    }

    /// `notify_confirm_receive`: once an order, for parcels that have arrived.
    pub(super) fn remind(&mut self, received_at: i64, now: Timestamp) -> Result<(), Errcode> {
        let shipped = self
            .shipped
            .as_ref()
            .filter(|shipped| shipped.is_complete());
        let shipped = shipped.ok_or(NOT_SHIPPED)?;
        if shipped.logistics != Logistics::Courier {
            return Err(NOT_COURIER);
        }
        let after = shipped
            .finished_at
            .is_some_and(|at| received_at >= at.unix());
        if !after || received_at > now.unix() {
            return Err(BAD_RECEIVED_TIME);
        }
        if self.reminded {
            return Err(REMINDED);
        }
        self.reminded = true;
        Ok(())
    }

    /// The times that the settlement event tells: an estimate at shipping, the truth afterwards.
    pub(super) fn told_in_a_push(&self) -> Vec<(String, Value)> {
        let shipped_at = self
            .shipped
            .as_ref()
            .and_then(|shipped| shipped.finished_at);
        let mut told = vec![("shipped_time", json!(shipped_at.map(Timestamp::unix)))];
        match (self.received, self.settled_at) {
            (Some((how, at)), Some(settled_at)) => told.extend([
                ("confirm_receive_method", json!(how.number())),
                ("confirm_receive_time", json!(at.unix())),
                ("settlement_time", json!(settled_at.unix())),
            ]),
            (_, _) => {
                let estimate = self.confirms_itself_at().map(Timestamp::unix);
                told.push(("estimated_settlement_time", json!(estimate)));
            }
        }
        let named = told
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        named.collect()
    }

    /// When receipt is taken for granted, if nobody confirms it.
    pub(super) fn confirms_itself_at(&self) -> Option<Timestamp> {
        let shipped = self.shipped.as_ref().filter(|_| self.received.is_none())?;
        let wait = match shipped.logistics {
            Logistics::Courier => COURIER_WAITS,
            Logistics::SameCity | Logistics::Virtual | Logistics::PickUp => OTHERS_WAIT,
        };
        Some(shipped.finished_at?.plus(wait))
    }
}

impl Shipped {
    fn first(upload: Upload, now: Timestamp) -> Self {
        let complete = upload.mode.completes();
        Self {
            logistics: upload.logistics,
            mode: upload.mode,
            parcels: upload
                .parcels
                .into_iter()
                .map(|parcel| (parcel, now))
                .collect(),
            last_upload: upload.at,
            change: Change::Left,
            finished_at: complete.then_some(now),
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.finished_at.is_some()
    }

    /// `finish_shipping_count`: how often shipping was completed.
    pub(super) fn finished(&self) -> u8 {
        match (self.is_complete(), self.change) {
            (false, _) => 0,
            (true, Change::Left) => 1,
            (true, Change::Used) => 2,
        }
    }

    /// After one more upload: the next parcels, or the one change that is allowed.
    fn next(self, upload: Upload, now: Timestamp) -> Result<Self, Errcode> {
        if self.says_the_same(&upload) {
            return Err(NOTHING_CHANGED);
        }
        if upload.at <= self.last_upload {
            return Err(STALE);
        }
        let changes_way =
            self.logistics != upload.logistics || self.mode.number() != upload.mode.number();
        match (self.is_complete() || changes_way, self.change) {
            (true, Change::Used) => Err(CHANCE_USED),
            (true, Change::Left) => Ok(Self {
                change: Change::Used,
                ..Self::first(upload, now)
            }),
            (false, Change::Left | Change::Used) => self.with_more(upload, now),
        }
    }

    fn says_the_same(&self, upload: &Upload) -> bool {
        let old = self.parcels.iter().map(|(parcel, _)| parcel);
        let known = |parcel: &Parcel| self.parcels.iter().any(|(old, _)| old == parcel);
        let same_parcels = match self.is_complete() {
            true => old.eq(upload.parcels.iter()),
            false => upload.parcels.iter().all(known),
        };
        self.logistics == upload.logistics && self.mode == upload.mode && same_parcels
    }

    /// Split shipping goes on: a tracking number that is there already is only corrected.
    fn with_more(mut self, upload: Upload, now: Timestamp) -> Result<Self, Errcode> {
        for parcel in upload.parcels {
            let same = |(old, _): &&mut (Parcel, Timestamp)| old.tracking_no == parcel.tracking_no;
            match self.parcels.iter_mut().find(same) {
                Some(old) => *old = (parcel, now),
                None => self.parcels.push((parcel, now)),
            }
        }
        if self.parcels.len() > MOST_PARCELS {
            return Err(TOO_MANY);
        }
        if upload.mode.completes() {
            self.finished_at = Some(now);
        }
        Ok(Self {
            mode: upload.mode,
            last_upload: upload.at,
            ..self
        })
    }
}

/// `received_time` that is missing is a bad parameter. Source: 小程序 · 确认收货提醒.
pub(super) fn require_time(received_time: Option<i64>) -> Result<i64, Errcode> {
    received_time.ok_or(BAD_PARAMETER)
}
