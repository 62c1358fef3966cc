//! A shop with a paid order, for the tests of shipping, pushes and messages.

use serde_json::Value;

use super::fake_mini::FakeMini;
use super::fake_wechat::{APPID, Fake};
use super::orders::ToldOrder;
use super::stand::Stand;
use super::tests::{settings, shop_from};
use super::{Settings, ShopError};
use crate::base::{OutTradeNo, Secret};
use crate::model::{Address, Delivery, Order, OrderStatus, Parcel, ReportStatus, ShipWanted};
use crate::store::{Store, Tx, orders};
use crate::wechat::message::PushKeys;

pub(super) const TOKEN: &str = "mytoken";
pub(super) const AES_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
/// WeChat's number of the payment.
pub(super) const PAYMENT: &str = "4200000000000000000000000001";
pub(super) const UPLOAD: &str = "upload_shipping_info";
pub(super) const GET_ORDER: &str = "get_order";

/// The shop, its order, and the mini program's side of WeChat.
pub(super) struct Parcels {
    pub(super) stand: Stand,
    pub(super) mini: FakeMini,
}

impl Parcels {
    /// A shop whose one order is paid and has an address.
    pub(super) async fn paid() -> Self {
        Self::paid_with(|_| {}).await
    }

    /// The same under other settings.
    pub(super) async fn paid_with(change: impl FnOnce(&mut Settings)) -> Self {
        let parcels = Self::pending_with(change).await;
        parcels.pay().await;
        parcels
    }

    /// A shop whose one order waits to be paid.
    pub(super) async fn pending_with(change: impl FnOnce(&mut Settings)) -> Self {
        let (mini, pay) = (FakeMini::start(), Fake::start());
        let mut settings = settings(APPID.parse().unwrap(), "1900000109".parse().ok());
        let (token, key) = (Secret::from(TOKEN), Secret::from(AES_KEY));
        settings.push.keys = PushKeys::new(token.clone(), &key, settings.appid.clone()).ok();
        settings.push.token = token;
        change(&mut settings);
        let shop = shop_from(settings, &pay.base, &mini.base, Store::memory());
        let stand = Stand::of(shop, pay).await;
        Self { stand, mini }
    }

    /// The buyer pays, and WeChat tells of it.
    pub(super) async fn pay(&self) {
        self.stand.pay().await.unwrap();
        let number = self.stand.number(1);
        self.stand.wechat.pays(&number).unwrap();
        self.stand.notified(1, PAYMENT).await;
        self.edit(|order| Order {
            address: Some(Address {
                phone: "17712341234".to_owned(),
                ..Address::default()
            }),
            ..order
        })
        .await;
        assert_eq!(self.stand.status().await, OrderStatus::Paid);
    }

    /// Changes the order behind the shop's back.
    pub(super) async fn edit(&self, change: fn(Order) -> Order) {
        let shop = &self.stand.shop;
        let (key, number) = (shop.field_key(), self.stand.order_no.clone());
        let write = shop.store.write(move |tx: &mut Tx<'_>| {
            let before = orders::order(tx, &key, &number)?.unwrap();
            let after = change(before.clone());
            Ok::<_, ShopError>(orders::update(tx, &key, &before, &after)?)
        });
        write.await.unwrap();
    }

    /// Ships by courier under this number, without doing the work that follows.
    pub(super) async fn ship(
        &self,
        number: &str,
        delivery: Delivery,
    ) -> Result<ToldOrder, ShopError> {
        let parcel = Parcel {
            express_company: Some("SF".to_owned()),
            tracking_no: Some(number.to_owned()),
            item_desc: None,
        };
        let wanted = ShipWanted {
            logistics_type: 1,
            parcels: vec![parcel],
            delivery,
        };
        let (shop, order_no) = (&self.stand.shop, self.stand.order_no.clone());
        shop.ship(order_no, &wanted, self.stand.now()).await
    }

    /// Ships whole, and does the work that follows.
    pub(super) async fn shipped(&self, number: &str) {
        self.ship(number, Delivery::Whole).await.unwrap();
        self.stand.work().await;
    }

    /// The fate of the report: its status and what stands in its way.
    pub(super) async fn report(&self) -> (ReportStatus, String) {
        let report = self.stand.told().await.report.unwrap();
        (report.status, report.problem.unwrap_or_default())
    }

    /// The uploads that WeChat heard.
    pub(super) fn uploads(&self) -> Vec<Value> {
        self.mini.heard(UPLOAD)
    }

    /// The order's first number at WeChat.
    pub(super) fn out_trade_no(&self) -> String {
        OutTradeNo::new(self.stand.order_no.clone(), 1).to_string()
    }
}
