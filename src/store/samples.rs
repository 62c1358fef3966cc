//! What the tests of this floor keep: one field key, and one of each thing, always the same.

use super::console::ConsoleSession;
use super::reconciliations::{DayRow, DayStatus, Reconciliation, ReconciliationV1};
use super::reconciliations::{RowKind, Settled, Settling};
use super::staff::ApiKey;
use super::tokens::Scope;
use super::unmatched::Unmatched;
use super::users::Login;
use super::{Failure, Store, Tx};
use crate::base::cipher::FieldKey;
use crate::base::{Day, Fen, GoodsId, OpenId, OrderNo, OutTradeNo, RefundNo, Timestamp, Uid};
use crate::model::attempt::Counted;
use crate::model::order::NewOrder;
use crate::model::reconcile::Class;
use crate::model::refund::NewRefund;
use crate::model::refund_request::RequestStatus;
use crate::model::{Address, Attempt, AttemptState, Goods, Line, Order, Payment, Protocol, User};
use crate::model::{Delivery, Logistics, ReportStatus, Settlement, Shipment, ShippingReport};
use crate::model::{LastError, Refund, RefundKind, RefundRequest, Restock};

pub(super) const START: i64 = 1_767_196_800;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(START + seconds)
}

pub(super) fn field_key() -> FieldKey {
    FieldKey::new([7; 32])
}

pub(super) fn openid(uid: u64) -> OpenId {
    format!("oUpF8uMuAJO_M2pxb1Q9zNjWeS{uid}").parse().unwrap()
}

pub(super) fn login(uid: u64) -> Login {
    Login {
        appid: "wx0000000000000001".parse().unwrap(),
        openid: openid(uid),
        unionid: None,
    }
}

pub(super) fn address() -> Address {
    Address {
        name: "张三".to_owned(),
        phone: "13800000000".to_owned(),
        province: "广东省".to_owned(),
        city: "深圳市".to_owned(),
        district: "南山区".to_owned(),
        detail: "科技园路 1 号".to_owned(),
    }
}

pub(super) fn user(uid: u64) -> User {
    User {
        unionid: Some("o6_bmasdasdsad6_2sgVt7hMZOPfL".to_owned()),
        nickname: "顾客".to_owned(),
        phone: "13800000000".to_owned(),
        address: Some(address()),
        token_generation: 3,
        ..User::new(Uid::new(uid), login(uid).appid, openid(uid), at(0))
    }
}

pub(super) fn line(goods_id: u64, count: u32) -> Line {
    Line {
        goods_id: Some(GoodsId::new(goods_id)),
        title: "明前龙井".to_owned(),
        spec: "100 克".to_owned(),
        price: Fen::new(19_900),
        count,
    }
}

pub(super) fn goods(id: u64) -> Goods {
    let goods = Goods::new(GoodsId::new(id), "明前龙井", Fen::new(19_900), at(0));
    Goods {
        group_id: Some(5),
        spec: "100 克".to_owned(),
        ..goods.unwrap()
    }
}

/// The number of the order placed `seconds` after the start; `n` stands for chance.
pub(super) fn order_no(seconds: i64, n: u64) -> OrderNo {
    OrderNo::new((START + seconds) * 1000, n)
}

pub(super) fn order(uid: u64, seconds: i64, n: u64) -> Order {
    let new = NewOrder {
        order_no: order_no(seconds, n),
        uid: Uid::new(uid),
        appid: login(uid).appid,
        openid: openid(uid),
        lines: vec![line(1, 2), line(2, 1)],
        remark: "请尽快发货".to_owned(),
        address: Some(address()),
        now: at(seconds),
        pay_within: std::time::Duration::from_secs(1800),
    };
    Order::place(new).unwrap()
}

/// An order so long that it does not fit into one value.
pub(super) fn long_order(uid: u64, seconds: i64) -> Order {
    let title = "很长的商品名".repeat(8);
    let lines = (1..=50).map(|id| Line {
        title: title.clone(),
        ..line(id, 1)
    });
    Order {
        lines: lines.collect(),
        ..order(uid, seconds, 0)
    }
}

pub(super) fn attempt(order: &Order, n: u16) -> Attempt {
    Attempt {
        out_trade_no: OutTradeNo::new(order.order_no.clone(), n),
        protocol: Protocol::V3,
        appid: order.appid.clone(),
        mchid: "1900000001".parse().unwrap(),
        openid: order.openid.clone(),
        amount: order.total,
        time_expire: order.expires_at,
        request: r#"{"appid":"wx0000000000000001"}"#.to_owned(),
        prepay: Some(("wx20260101000000".parse().unwrap(), at(1))),
        state: AttemptState::Open,
        transaction_id: None,
        paid_at: None,
        counted: false,
        created_at: order.created_at,
    }
}

pub(super) fn paid(attempt: Attempt, transaction_id: &str) -> Attempt {
    let payment = Payment {
        protocol: attempt.protocol,
        appid: attempt.appid.to_string(),
        mchid: attempt.mchid.to_string(),
        out_trade_no: attempt.out_trade_no.to_string(),
        transaction_id: transaction_id.parse().unwrap(),
        amount: attempt.amount,
        currency: "CNY".to_owned(),
        paid_at: at(60),
    };
    attempt.paid(&payment, Counted::PaysTheOrder)
}

pub(super) fn unmatched() -> Unmatched {
    Unmatched {
        out_trade_no: "20260101000000".to_owned(),
        transaction_id: "4200000000202601010000000001".parse().unwrap(),
        amount: Fen::new(1),
        reason: "没有这个支付单".to_owned(),
        first_at: at(5),
        last_at: at(5),
        times: 1,
    }
}

/// A refund of the first attempt of `order`; `n` stands for chance.
pub(super) fn refund(order: &Order, n: u64) -> Refund {
    let new = NewRefund {
        refund_no: RefundNo::new(START * 1000, n),
        kind: RefundKind::Merchant,
        amount: Fen::new(100),
        reason: "不想要了".to_owned(),
        restock: Restock::Yes,
        now: at(90),
    };
    let attempt = paid(attempt(order, 1), "4200000000202601010000000001");
    let opened = Refund::open(new, &attempt).unwrap();
    let last_error = Some(LastError {
        code: "NOT_ENOUGH".to_owned(),
        message: "商户余额不足".to_owned(),
        at: at(91),
    });
    let refund_id = Some("50000000000000000000000000001".to_owned());
    Refund {
        last_error,
        refund_id,
        next_at: Some(at(151)),
        ..opened.sent("https://shop.example.com/wx/refund/notify", at(91))
    }
}

pub(super) fn request(reason: &str) -> RefundRequest {
    RefundRequest {
        reason: reason.to_owned(),
        at: at(80),
        status: RequestStatus::Declined,
        answer: Some("已拆封".to_owned()),
        refund_no: Some(RefundNo::new(START * 1000, 1)),
    }
}

pub(super) fn parcel(tracking_no: &str) -> Shipment {
    Shipment {
        logistics: Logistics::Courier,
        express_company: "SF".to_owned(),
        tracking_no: tracking_no.to_owned(),
        item_desc: "明前龙井*2".to_owned(),
        shipped_at: at(70),
    }
}

pub(super) fn report() -> ShippingReport {
    ShippingReport {
        status: ReportStatus::Queued,
        problem: Some("微信还查不到这笔支付".to_owned()),
        delivery: Delivery::Part,
        revision: 2,
        corrections: 1,
        upload_time: Some(at(71)),
    }
}

pub(super) fn settlement() -> Settlement {
    Settlement {
        estimated_at: Some(at(80)),
        settled_at: Some(at(82)),
        received_at: Some(at(81)),
        receive_method: Some(2),
    }
}

pub(super) fn day() -> Day {
    Day::of(at(0))
}

pub(super) fn reconciliation() -> Reconciliation {
    Reconciliation {
        status: DayStatus::Failed,
        reason: "微信还没有生成账单".to_owned(),
        run: 2,
        bill_rows: 300,
        matched: 298,
        rows: [2, 0, 1],
        settled: 1,
        unlisted: 700,
        ..Reconciliation::new(day(), at(86_400))
    }
}

/// The same as it was kept before rows could be unlisted.
pub(super) fn reconciliation_v1() -> ReconciliationV1 {
    let known = reconciliation();
    ReconciliationV1 {
        day: known.day,
        status: known.status,
        reason: known.reason,
        at: known.at,
        run: known.run,
        bill_rows: known.bill_rows,
        matched: known.matched,
        rows: known.rows,
        settled: known.settled,
    }
}

/// A difference about this payment, found by the first run.
pub(super) fn day_row(class: Class, out_trade_no: &str) -> DayRow {
    DayRow {
        class,
        kind: RowKind::Payment,
        out_trade_no: out_trade_no.to_owned(),
        transaction_id: "4200000000202601010000000001".to_owned(),
        refund_no: String::new(),
        ours: Some(order_no(0, 1)),
        local: Some(Fen::new(100)),
        wechat: Some(Fen::new(200)),
        at: Some(at(60)),
        reason: "金额不同".to_owned(),
        settled: None,
        run: 1,
    }
}

pub(super) fn seen() -> Settled {
    Settled {
        how: Settling::Seen,
        by: "API 密钥 1".to_owned(),
        at: at(90_000),
    }
}

pub(super) fn api_key() -> ApiKey {
    ApiKey {
        id: 1,
        name: "后台".to_owned(),
        created_at: at(0),
        revoked_at: Some(at(9)),
    }
}

pub(super) fn console_session(generation: u64) -> ConsoleSession {
    ConsoleSession {
        admin: "掌柜".to_owned(),
        generation,
        created_at: at(0),
        expires_at: at(43_200),
    }
}

pub(super) const SCOPE: Scope = Scope::User;

/// Runs a transaction that a test is sure of.
pub(super) async fn write<T: Send + 'static>(
    store: &Store,
    f: impl FnMut(&mut Tx<'_>) -> Result<T, Failure> + Send + 'static,
) -> T {
    store.write(f).await.unwrap()
}
