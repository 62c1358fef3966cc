//! A shop with goods, a buyer and a scripted WeChat, for the tests of paying and closing.

use std::sync::Arc;
use std::time::Duration;

use super::checkout::{Basket, Placing};
use super::fake_wechat::{APPID, Fake, notify};
use super::goods::NewGoods;
use super::notify::Heard;
use super::tests::{shop_at, shop_with};
use super::{Shop, ShopError};
use crate::base::{Fen, GoodsId, OrderNo, Timestamp, Uid};
use crate::model::goods::GoodsChange;
use crate::model::{AttemptState, LineWanted, Order, OrderStatus, Refusal};
use crate::shop::jobs::More;
use crate::shop::orders::ToldOrder;
use crate::store::unmatched::{self, Unmatched};
use crate::store::{PageWanted, Store};
use crate::wechat::{PayParams, SignatureHeaders};

/// The pieces in stock when a test begins.
pub(super) const STOCK: u64 = 10;
/// What an order of one piece costs, in fen.
pub(super) const PRICE: &str = "394";

/// The shop, its WeChat, and the one order that a test is about.
#[derive(Clone)]
pub(super) struct Stand {
    pub(super) shop: Arc<Shop>,
    pub(super) wechat: Fake,
    pub(super) order_no: OrderNo,
}

impl Stand {
    /// A shop with one order that waits to be paid.
    pub(super) async fn open() -> Self {
        Self::over(Fake::start(), Store::memory()).await
    }

    pub(super) async fn over(wechat: Fake, store: Store) -> Self {
        let shop = shop_at(APPID.parse().unwrap(), &wechat.base, store);
        Self::of(shop, wechat).await
    }

    /// This shop with one order that waits to be paid.
    pub(super) async fn of(shop: Arc<Shop>, wechat: Fake) -> Self {
        let now = shop.clock().now();
        let tea = NewGoods {
            title: "茶".to_owned(),
            price: Fen::new(394),
            stock: STOCK,
            more: GoodsChange::default(),
        };
        let (goods, _) = shop.create_goods(tea, now).await.unwrap();
        let order_no = place(&shop, goods.id).await.order_no;
        Self {
            shop,
            wechat,
            order_no,
        }
    }

    /// The same store under a shop with another merchant number.
    pub(super) fn with_mchid(&self, mchid: &str) -> Self {
        let mchid = Some(mchid.parse().unwrap());
        let store = self.shop.store.clone();
        let shop = shop_with(APPID.parse().unwrap(), &self.wechat.base, store, mchid);
        Self {
            shop,
            ..self.clone()
        }
    }

    /// The number of the order's `n`th attempt.
    pub(super) fn number(&self, n: u16) -> String {
        crate::base::OutTradeNo::new(self.order_no.clone(), n).to_string()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shop.clock().now()
    }

    /// The buyer asks to pay.
    pub(super) async fn pay(&self) -> Result<PayParams, ShopError> {
        let from = "192.0.2.7".parse().unwrap();
        self.shop
            .pay(Uid::new(1), self.order_no.clone(), from)
            .await
    }

    /// The buyer asks to pay and is refused by name, or by WeChat's silence (`None`).
    pub(super) async fn pay_refused(&self) -> Option<Refusal> {
        match self.pay().await.unwrap_err() {
            ShopError::Refused(refusal) => Some(refusal),
            ShopError::Wechat(_) => None,
            other => panic!("{other}"),
        }
    }

    pub(super) async fn cancel(&self) -> Result<Order, ShopError> {
        self.shop
            .cancel(Uid::new(1), self.order_no.clone(), self.now())
            .await
    }

    pub(super) async fn sync(&self) -> Result<Order, ShopError> {
        self.shop.sync(Uid::new(1), self.order_no.clone()).await
    }

    /// WeChat tells of a payment.
    pub(super) async fn notified(&self, n: u16, transaction_id: &str) -> Heard {
        let number = self.number(n);
        let fee = self.wechat.held(&number).unwrap().fee;
        let body = notify(&number, transaction_id, &fee);
        let none = SignatureHeaders::read(|_| None);
        self.shop
            .take_pay_notify(&none, body.as_bytes(), self.now())
            .await
    }

    /// Time passes, and what becomes due is done, second by due second.
    pub(super) async fn pass(&self, seconds: i64) {
        for step in [1, seconds - 1] {
            self.shop.clock().advance(step);
            self.work().await;
        }
    }

    /// Does what is due now, and what becomes due by it.
    pub(super) async fn work(&self) {
        for _ in 0..4 {
            while self.shop.tick(self.now()).await.unwrap() == More::Now {}
        }
    }

    pub(super) async fn told(&self) -> ToldOrder {
        self.shop.told_order(self.order_no.clone()).await.unwrap()
    }

    pub(super) async fn status(&self) -> OrderStatus {
        self.told().await.order.status
    }

    pub(super) async fn attempts(&self) -> Vec<AttemptState> {
        let told = self.told().await;
        told.attempts.iter().map(|attempt| attempt.state).collect()
    }

    pub(super) async fn stock(&self) -> u64 {
        self.shop.goods(GoodsId::new(1)).await.unwrap().1
    }

    /// The lines of the timeline of this kind.
    pub(super) async fn lines(&self, kind: &str) -> Vec<String> {
        let entries = self.told().await.timeline.into_iter();
        let of_kind = entries.filter(|entry| entry.kind == kind);
        of_kind.map(|entry| entry.text).collect()
    }

    /// What is listed for the merchant because it matched nothing, or is owed back.
    pub(super) async fn unmatched(&self) -> Vec<Unmatched> {
        let wanted = PageWanted {
            cursor: None,
            limit: 100,
        };
        let read = self
            .shop
            .store
            .read(move |view| Ok::<_, ShopError>(unmatched::list(view, &wanted)?));
        read.await.unwrap().items
    }
}

/// Another order of the same shop.
pub(super) async fn another(stand: &Stand) -> Stand {
    Stand {
        order_no: place(&stand.shop, GoodsId::new(1)).await.order_no,
        ..stand.clone()
    }
}

async fn place(shop: &Shop, goods_id: GoodsId) -> Order {
    let placing = Placing {
        uid: Uid::new(1),
        openid: "o1".parse().unwrap(),
        basket: Basket {
            lines: vec![LineWanted { goods_id, count: 1 }],
            remark: String::new(),
            address: None,
        },
        claim: None,
        now: shop.clock().now(),
    };
    shop.place(placing).await.unwrap()
}

/// How long an order may be paid in these tests, in seconds.
pub(super) const PAY_WITHIN_S: i64 = 1800;

/// Waits for a condition, with a limit.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}
