//! Each rule of the audit, broken on purpose: the fault is found, at its key, by its name.

use std::collections::BTreeSet;

use super::watch_rules::WATCHED;
use super::whole::{PAID_BY, claim, closing, long, pending, refund, shipped, whole};
use super::{KINDS, audit};
use crate::base::{Fen, GoodsId, OutTradeNo, Uid};
use crate::model::reconcile::Class;
use crate::model::{OrderStatus, Refund};
use crate::store::codec::{self, Found, collect};
use crate::store::counters::{self, Counter};
use crate::store::due::{self, Work};
use crate::store::idempotency::day;
use crate::store::keywise::journaled;
use crate::store::reconciliations::{class_byte, key_of};
use crate::store::records::*;
use crate::store::samples::{self, at, write};
use crate::store::{Failure, Store, Tx, keys};

/// What an audit says, as `key：what`.
async fn said(store: &Store) -> Vec<String> {
    let read = store.read(|view| Ok::<_, crate::store::StoreError>(audit(view, &|_| ())));
    let faults = read.await.unwrap().faults.into_iter();
    faults
        .map(|fault| format!("{}：{}", fault.key, fault.what))
        .collect()
}

async fn everything(store: &Store) -> Vec<Found> {
    store
        .read(|view| collect(view, &journaled(), usize::MAX))
        .await
        .unwrap()
}

pub(super) type Done = Result<(), Failure>;
/// The key's first byte, a part of what is said, and how it is broken.
pub(super) type Rule = (char, &'static str, fn(&mut Tx<'_>) -> Done);

pub(super) fn gone(tx: &mut Tx<'_>, key: Vec<u8>) -> Done {
    assert!(
        crate::store::Read::get(tx, &key)?.is_some(),
        "{}",
        key.escape_ascii()
    );
    tx.delete(key);
    Ok(())
}

fn order(tx: &mut Tx<'_>, of: &crate::model::Order, change: fn(&mut OrderV1)) -> Done {
    let key = keys::order(of.uid, &of.order_no);
    let OrderRecord::V1(mut order) = codec::get(tx, &key)?.unwrap();
    change(&mut order);
    Ok(codec::put(tx, key, &OrderRecord::V1(order))?)
}

fn attempt(tx: &mut Tx<'_>, change: fn(&mut crate::model::Attempt)) -> Done {
    let key = keys::attempt(&number(1));
    let AttemptRecord::V1(mut attempt) = codec::get(tx, &key)?.unwrap();
    change(&mut attempt);
    Ok(codec::put(tx, key, &AttemptRecord::V1(attempt))?)
}

fn asked_refund(tx: &mut Tx<'_>, change: fn(&mut Refund)) -> Done {
    let key = keys::refund(&refund(2).refund_no);
    let RefundRecord::V1(mut refund) = codec::get(tx, &key)?.unwrap();
    change(&mut refund);
    Ok(codec::put(tx, key, &RefundRecord::V1(refund))?)
}

fn number(n: u16) -> OutTradeNo {
    OutTradeNo::new(shipped().order_no, n)
}

const ORDERS: &[Rule] = &[
    ('o', "索引指向的订单", |tx| {
        gone(tx, keys::order(pending().uid, &pending().order_no))
    }),
    ('s', "索引指向的订单", |tx| {
        gone(tx, keys::order_owner(&pending().order_no))
    }),
    ('u', "没有索引 s", |tx| {
        gone(
            tx,
            keys::status_order(OrderStatus::Pending, &pending().order_no),
        )
    }),
    ('u', "没有索引 d", |tx| {
        let order = pending();
        gone(
            tx,
            due::key(order.expires_at, &Work::Expire(order.order_no)),
        )
    }),
    ('d', "不再需要它", |tx| {
        due::schedule(tx, at(9), &Work::Expire(closing().order_no), 0);
        Ok(())
    }),
    ('u', "各行合计", |tx| {
        order(tx, &shipped(), |order| order.lines.truncate(1))
    }),
    ('u', "不等于应付金额", |tx| {
        order(tx, &pending(), |order| order.freight = Fen::new(1))
    }),
    ('u', "成功退款之和", |tx| {
        order(tx, &shipped(), |order| order.refunded = Fen::new(99))
    }),
    ('u', "大于应付金额", |tx| {
        order(tx, &pending(), |order| order.refunded = Fen::new(1 << 40))
    }),
    ('u', "没有一起记下", |tx| {
        order(tx, &shipped(), |order| order.paid_at = None)
    }),
    ('u', "已付款的订单没有付款", |tx| {
        order(tx, &pending(), |order| order.status = OrderStatus::Paid)
    }),
    ('u', "却记有付款", |tx| {
        order(tx, &shipped(), |order| order.status = OrderStatus::Pending)
    }),
    ('u', "已发货的订单没有", |tx| {
        order(tx, &shipped(), |order| order.shipped_at = None)
    }),
    ('u', "已完成的订单没有", |tx| {
        order(tx, &shipped(), |order| {
            order.status = OrderStatus::Completed;
        })
    }),
    ('u', "没有全退", |tx| {
        order(tx, &shipped(), |order| order.status = OrderStatus::Refunded)
    }),
    ('u', "没有关闭时间", |tx| {
        order(tx, &pending(), |order| order.status = OrderStatus::Closed)
    }),
    ('u', "还在等待关闭", |tx| {
        order(tx, &shipped(), |order| order.closing_since = Some(at(1)))
    }),
    ('u', "用户不存在", |tx| {
        gone(tx, keys::user(Uid::new(2)))
    }),
    ('l', "所属的订单不存在", |tx| {
        gone(tx, keys::order_owner(&shipped().order_no))
    }),
    ('z', "编号不连续", |tx| {
        gone(tx, keys::shipment(&shipped().order_no, 1))
    }),
    ('g', "没有库存记录", |tx| {
        gone(tx, keys::stock(GoodsId::new(1)))
    }),
    ('k', "没有对应的商品", |tx| {
        gone(tx, keys::goods(GoodsId::new(1)))
    }),
];

const MONEY: &[Rule] = &[
    ('u', "付款的支付单不存在", |tx| {
        gone(tx, keys::attempt(&number(1)))
    }),
    ('u', "_3 不存在", |tx| {
        order(tx, &pending(), |order| order.attempts = 3)
    }),
    ('u', "与订单的付款不符", |tx| {
        attempt(tx, |attempt| attempt.paid_at = Some(at(61)))
    }),
    ('a', "是否入账", |tx| {
        attempt(tx, |attempt| attempt.counted = false)
    }),
    ('a', "与微信交易号、付款时间不符", |tx| {
        attempt(tx, |attempt| attempt.transaction_id = None)
    }),
    ('a', "退款合计大于", |tx| {
        attempt(tx, |attempt| attempt.amount = Fen::new(199))
    }),
    ('a', "按微信交易号找不到", |tx| {
        gone(tx, keys::transaction(&PAID_BY.parse().unwrap()))
    }),
    ('a', "订单不知道这张支付单", |tx| {
        crate::store::attempts::put(tx, &samples::attempt(&shipped(), 2)).map_err(Failure::from)
    }),
    ('a', "所属的订单不存在", |tx| {
        gone(tx, keys::order_owner(&shipped().order_no))
    }),
    ('t', "没有这笔微信交易", |tx| {
        gone(tx, keys::attempt(&number(1)))
    }),
    ('r', "按订单找不到", |tx| {
        gone(
            tx,
            keys::order_refund(&shipped().order_no, &refund(1).refund_no),
        )
    }),
    ('R', "索引指向的退款", |tx| {
        gone(tx, keys::refund(&refund(1).refund_no))
    }),
    ('f', "申请引出的退款不存在", |tx| {
        gone(tx, keys::refund(&refund(1).refund_no))
    }),
    ('f', "所属的订单不存在", |tx| {
        gone(tx, keys::order_owner(&shipped().order_no))
    }),
    ('r', "与付款不符", |tx| {
        asked_refund(tx, |refund| refund.total = Fen::new(1))
    }),
    ('r', "没有安排再看它", |tx| {
        asked_refund(tx, |refund| refund.next_at = None)
    }),
    ('r', "到期任务里却没有", |tx| {
        gone(tx, due::key(at(151), &Work::Refund(refund(2).refund_no)))
    }),
    ('d', "不再需要它", |tx| {
        due::schedule(tx, at(1), &Work::Refund(refund(2).refund_no), 0);
        Ok(())
    }),
];

const REST: &[Rule] = &[
    ('U', "按 openid 找不到", |tx| {
        let login = samples::login(1);
        gone(tx, keys::openid(&login.appid, &login.openid))
    }),
    ('w', "索引指向的用户", |tx| {
        gone(tx, keys::user(Uid::new(1)))
    }),
    ('h', "索引指向的用户", |tx| {
        gone(tx, keys::user(Uid::new(1)))
    }),
    ('U', "按手机号找不到", |tx| {
        let digest = samples::field_key().index(b"13800000001");
        gone(tx, keys::phone(&digest, Uid::new(1)))
    }),
    ('U', "没有一起记下", |tx| {
        let UserRecord::V1(mut user) = codec::get(tx, &keys::user(Uid::new(1)))?.unwrap();
        user.phone = None;
        Ok(codec::put(
            tx,
            keys::user(Uid::new(1)),
            &UserRecord::V1(user),
        )?)
    }),
    ('q', "到期任务里却没有", |tx| {
        let number = OutTradeNo::new(pending().order_no, 1);
        gone(tx, due::key(at(40), &Work::Query(number)))
    }),
    ('d', "不再需要它", |tx| {
        gone(
            tx,
            keys::next_query(&OutTradeNo::new(pending().order_no, 1)),
        )
    }),
    ('q', "支付单不存在", |tx| {
        gone(tx, keys::attempt(&OutTradeNo::new(pending().order_no, 1)))
    }),
    ('d', "不再需要它", |tx| {
        gone(tx, keys::shipping_report(&shipped().order_no))
    }),
    ('d', "看不懂", |tx| {
        tx.put(due::key(at(30), &Work::Close(closing().order_no)), vec![1]);
        Ok(())
    }),
    ('d', "看不懂", |tx| {
        tx.put(b"d?12345678subject".to_vec(), vec![]);
        Ok(())
    }),
    ('i', "记住的回答", |tx| {
        gone(tx, keys::order_owner(&pending().order_no))
    }),
    ('i', "记住的回答", |tx| {
        gone(tx, keys::refund(&refund(2).refund_no))
    }),
    ('i', "别的日子", |tx| {
        let digest = keys::idempotency(day(pending().created_at), &claim("order").digest());
        let kept: IdempotencyRecord = codec::get(tx, &digest)?.unwrap();
        tx.delete(digest);
        let elsewhere = keys::idempotency(7, &claim("order").digest());
        Ok(codec::put(tx, elsewhere, &kept)?)
    }),
    ('N', "认不出它", |tx| {
        gone(tx, crate::store::unmatched::seen_key(&samples::unmatched()))
    }),
    ('n', "索引指向的通知", |tx| {
        gone(tx, keys::unmatched(1))
    }),
    ('b', "条数", |tx| {
        let row = samples::day_row(Class::AmountDiffers, "20260101000000000000000002");
        gone(tx, key_of(samples::day(), &row))
    }),
    ('B', "没有对账记录", |tx| {
        gone(tx, keys::reconciliation(samples::day()))
    }),
    ('B', "另一条差异", |tx| {
        let record = DayRowRecord::V1(samples::day_row(Class::AmountDiffers, "1"));
        let class = class_byte(Class::AmountDiffers);
        Ok(codec::put(
            tx,
            keys::day_row(samples::day(), class, "2", ""),
            &record,
        )?)
    }),
    ('c', "编号只发到", |tx| {
        gone(tx, counters::key(Counter::Uid))
    }),
    ('c', "编号只发到", |tx| {
        gone(tx, counters::key(Counter::Goods))
    }),
    ('c', "编号只发到", |tx| {
        gone(tx, counters::key(Counter::ApiKey))
    }),
    ('c', "编号只发到", |tx| {
        gone(tx, counters::key(Counter::Unmatched))
    }),
    ('p', "不是任何长记录", |tx| {
        gone(tx, keys::order(long().uid, &long().order_no))
    }),
    ('u', "损坏", |tx| {
        gone(
            tx,
            keys::piece(&keys::order(long().uid, &long().order_no), 0),
        )
    }),
    ('!', "没有这一类记录", |tx| {
        tx.put(b"!".to_vec(), vec![]);
        Ok(())
    }),
];

#[tokio::test]
async fn a_store_with_every_kind_of_record_has_no_fault() {
    let store = whole().await;
    assert_eq!(said(&store).await, Vec::<String>::new());
    let there: BTreeSet<u8> = everything(&store)
        .await
        .iter()
        .map(|(key, _)| key[0])
        .collect();
    let kinds: BTreeSet<u8> = KINDS.iter().map(|(byte, _)| *byte).collect();
    assert_eq!(
        there, kinds,
        "a kind without a record here is a kind that no test breaks"
    );
}

#[tokio::test]
async fn each_rule_that_is_broken_is_named_with_its_key() {
    for (at, (first, what, break_it)) in [ORDERS, MONEY, REST, WATCHED]
        .concat()
        .into_iter()
        .enumerate()
    {
        let store = whole().await;
        write(&store, break_it).await;
        let said = said(&store).await;
        let found = said
            .iter()
            .any(|one| one.starts_with(first) && one.contains(what));
        assert!(found, "rule {at}, {first} {what}: {said:?}");
    }
}

#[tokio::test]
async fn a_flipped_byte_in_any_value_is_named_with_its_key() {
    let store = whole().await;
    for (key, value) in everything(&store).await {
        // Values of indexes that hold nothing, and steps of due work, have no check of their own.
        if value.is_empty() || key[0] == keys::DUE {
            continue;
        }
        let mut bad = value.clone();
        bad[value.len() / 2] ^= 1;
        put(&store, &key, bad).await;
        let said = said(&store).await;
        let whole_of_piece = |one: &String| key[0] == keys::PIECE && one.starts_with('u');
        let name = format!("{}：", key.escape_ascii());
        let found = said
            .iter()
            .any(|one| one.starts_with(&name) || whole_of_piece(one));
        assert!(found, "{name} {said:?}");
        put(&store, &key, value).await;
    }
}

async fn put(store: &Store, key: &[u8], value: Vec<u8>) {
    let key = key.to_vec();
    write(store, move |tx| {
        tx.put(key.clone(), value.clone());
        Ok(())
    })
    .await;
}
