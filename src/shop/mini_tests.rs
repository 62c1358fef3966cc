//! Phone numbers and codes to scan, against a scripted WeChat.

use serde_json::json;

use super::*;
use crate::model::Refusal;
use crate::shop::parcel_stand::Parcels;
use crate::store::users::{Login, of_phone, upsert};
use crate::wechat::Cause;

const PHONE: &str = "getuserphonenumber";

fn answer(number: &str, appid: &str) -> String {
    let watermark = json!({"timestamp": 1, "appid": appid});
    json!({"errcode": 0, "phone_info": {"phoneNumber": number, "watermark": watermark}}).to_string()
}

/// A shop with one user.
async fn shop() -> (Parcels, Uid) {
    let parcels = Parcels::pending_with(|_| {}).await;
    let shop = &parcels.stand.shop;
    let (key, now) = (shop.field_key(), parcels.stand.now());
    let login = Login {
        appid: shop.settings.appid.clone(),
        openid: "o1".parse().unwrap(),
        unionid: None,
    };
    let write = shop.store.write(move |tx: &mut Tx<'_>| {
        let (user, _) = upsert(tx, &key, &login, now)?;
        Ok::<_, ShopError>(user.uid)
    });
    let uid = write.await.unwrap();
    (parcels, uid)
}

async fn of(parcels: &Parcels, phone: &'static str) -> Vec<Uid> {
    let shop = &parcels.stand.shop;
    let key = shop.field_key();
    let read = shop
        .store
        .read(move |view| of_phone(view, &key, phone).map_err(ShopError::from));
    read.await.unwrap()
}

#[tokio::test]
async fn a_phone_is_kept_with_its_user_and_found_by_it() {
    let (parcels, uid) = shop().await;
    let ours = parcels.stand.shop.settings.appid.to_string();
    let code = Code::read("c1").unwrap();
    for number in ["13800138000", "13900139000"] {
        parcels.mini.says(PHONE, &[&answer(number, &ours)]);
        let told = parcels.stand.shop.take_phone(uid, &code).await;
        assert_eq!(told.unwrap(), number);
    }
    assert_eq!(
        parcels.stand.shop.user(uid).await.unwrap().phone,
        "13900139000"
    );
    assert_eq!(of(&parcels, "13900139000").await, [uid]);
    assert_eq!(of(&parcels, "13800138000").await, []);
    assert_eq!(parcels.mini.heard(PHONE)[0], json!({"code": "c1"}));
    assert_eq!(parcels.mini.heard("stable_token").len(), 1);
}

#[tokio::test]
async fn a_phone_that_is_not_ours_or_not_told_changes_nothing() {
    let (parcels, uid) = shop().await;
    let code = Code::read("c1").unwrap();
    let cause = async || match parcels.stand.shop.take_phone(uid, &code).await {
        Err(ShopError::Wechat(error)) => error.cause(),
        other => panic!("{other:?}"),
    };
    parcels
        .mini
        .says(PHONE, &[&answer("13800138000", "wxother")]);
    assert_eq!(cause().await, Some(Cause::CodeInvalid));
    parcels.mini.refuses(PHONE, &[40029]);
    assert_eq!(cause().await, Some(Cause::CodeInvalid));
    parcels.mini.refuses(PHONE, &[-1, -1]);
    assert_eq!(cause().await, Some(Cause::Busy));
    assert_eq!(parcels.mini.heard(PHONE).len(), 4, "busy is repeated once");
    parcels.mini.says(PHONE, &[""]);
    assert_eq!(cause().await, None);
    assert_eq!(
        parcels.mini.heard(PHONE).len(),
        5,
        "silence is not repeated"
    );
    assert_eq!(parcels.stand.shop.user(uid).await.unwrap().phone, "");
}

#[tokio::test]
async fn ten_who_come_at_once_fetch_one_token() {
    let (parcels, uid) = shop().await;
    let ours = parcels.stand.shop.settings.appid.to_string();
    let good = answer("13800138000", &ours);
    parcels.mini.says(PHONE, &[good.as_str(); 10]);
    let ask = |_| {
        let shop = parcels.stand.shop.clone();
        tokio::spawn(async move { shop.take_phone(uid, &Code::read("c")?).await })
    };
    for task in (0..10).map(ask).collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert_eq!(parcels.mini.heard("stable_token").len(), 1);
}

#[tokio::test]
async fn a_code_is_the_picture_as_it_came_and_a_wrong_page_is_the_callers_fault() {
    let (parcels, _) = shop().await;
    let shop = &parcels.stand.shop;
    let png = [0x89, b'P', b'N', b'G', 0xFF, 0].to_vec();
    parcels.mini.answers("getwxacodeunlimit", Some(png.clone()));
    let picture = shop.wxacode("goods=1", "pages/index").await.unwrap();
    assert_eq!((picture.content_type, picture.bytes), ("image/png", png));
    parcels.mini.refuses("getwxacodeunlimit", &[41030, 45009]);
    let field = async |scene: &str, page: &str| match shop.wxacode(scene, page).await {
        Err(ShopError::Refused(Refusal::FieldInvalid { field, .. })) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field("goods=1", "pages/none").await, "page");
    assert_eq!(field("", "pages/index").await, "scene");
    assert_eq!(field("a", "/pages/index").await, "page");
    let limited = shop.wxacode("a", "").await.unwrap_err();
    assert!(matches!(limited, ShopError::Wechat(_)), "{limited}");
}
