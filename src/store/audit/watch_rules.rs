//! The rules about alerts and webhooks, each with a way to break it.
#![allow(clippy::unwrap_used)]

use super::rules_tests::{Rule, gone};
use crate::store::alerts::StandingRecord;
use crate::store::codec;
use crate::store::counters::{self, Counter};
use crate::store::keys_watch;
use crate::store::webhooks::EndpointRecord;

pub(super) const WATCHED: &[Rule] = &[
    ('c', "编号只发到", |tx| {
        gone(tx, counters::key(Counter::Webhook))
    }),
    ('H', "端点不存在", |tx| {
        gone(tx, keys_watch::webhook(1))
    }),
    ('d', "对象不存在", |tx| {
        gone(tx, keys_watch::webhook(1))
    }),
    ('W', "另一个 webhook 端点", |tx| {
        let key = keys_watch::webhook(1);
        let kept: EndpointRecord = codec::get(tx, &key)?.unwrap();
        Ok(codec::put(tx, keys_watch::webhook(2), &kept)?)
    }),
    ('A', "另一条告警", |tx| {
        let kept: StandingRecord = codec::get(tx, &keys_watch::alert("disk"))?.unwrap();
        Ok(codec::put(tx, keys_watch::alert("clock"), &kept)?)
    }),
];
