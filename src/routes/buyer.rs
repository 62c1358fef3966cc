//! The buyer's own routes: token, user, address.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Buyer;
use super::views::UserView;
use crate::model::Address;
use crate::shop::users::Encrypted;
use crate::shop::{Shop, login};
use crate::web::{Anyone, Outcome, Req, StatusCode, empty, json, no_store};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogIn {
    code: String,
}

#[derive(Serialize)]
struct TokenView<'a> {
    token: &'a str,
    expires_in: u64,
    uid: u64,
    new_user: bool,
}

/// `POST /api/v1/token`: a `wx.login` code for a token of ours.
pub(super) async fn log_in(shop: Arc<Shop>, _: Anyone, req: Req) -> Outcome {
    let (at, at_ms) = (req.at, req.at_ms);
    shop.allow_login(req.client_addr)?;
    let LogIn { code } = req.json().await?;
    let code = login::Code::read(&code)?;
    let new = shop.log_in(&code, login::Arrival { at, at_ms }).await?;
    let view = TokenView {
        token: new.token.reveal(),
        expires_in: new.expires_in.as_secs(),
        uid: new.uid.get(),
        new_user: new.new_user,
    };
    Ok(no_store(json(StatusCode::OK, &view)))
}

#[derive(Serialize)]
struct SessionView {
    uid: u64,
    scope: &'static str,
    expires_in: u64,
}

/// `GET /api/v1/token`: whose token this is and how long it lives.
pub(super) async fn show_token(_: Arc<Shop>, buyer: Buyer, req: Req) -> Outcome {
    let expires_in = buyer.session.expires_at().since(req.at).as_secs();
    let view = SessionView {
        uid: buyer.uid().get(),
        scope: buyer.session.scope().as_str(),
        expires_in,
    };
    Ok(no_store(json(StatusCode::OK, &view)))
}

/// `DELETE /api/v1/token`: ends this token at once.
pub(super) async fn log_out(shop: Arc<Shop>, buyer: Buyer, _: Req) -> Outcome {
    shop.log_out(buyer.token, &buyer.session).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `GET /api/v1/user`
pub(super) async fn show_user(shop: Arc<Shop>, buyer: Buyer, _: Req) -> Outcome {
    let user = shop.user(buyer.uid()).await?;
    Ok(no_store(json(StatusCode::OK, &UserView::from(&user))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserChange {
    nickname: Option<String>,
    avatar_url: Option<String>,
}

/// `PATCH /api/v1/user`
pub(super) async fn change_user(shop: Arc<Shop>, buyer: Buyer, req: Req) -> Outcome {
    let UserChange {
        nickname,
        avatar_url,
    } = req.json().await?;
    let user = shop.rename_user(buyer.uid(), nickname, avatar_url).await?;
    Ok(no_store(json(StatusCode::OK, &UserView::from(&user))))
}

#[derive(Serialize)]
struct PhoneView<'a> {
    phone: &'a str,
}

/// `POST /api/v1/user/phone`: the code of a `getPhoneNumber` button for the phone number.
pub(super) async fn take_phone(shop: Arc<Shop>, buyer: Buyer, req: Req) -> Outcome {
    let LogIn { code } = req.json().await?;
    let code = login::Code::read(&code)?;
    let phone = shop.take_phone(buyer.uid(), &code).await?;
    Ok(no_store(json(StatusCode::OK, &PhoneView { phone: &phone })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    encrypted_data: String,
    iv: String,
    raw_data: Option<String>,
    signature: Option<String>,
}

/// `POST /api/v1/user/decrypt`: WeChat's open data, opened with this login's session key.
pub(super) async fn decrypt(shop: Arc<Shop>, buyer: Buyer, req: Req) -> Outcome {
    let Sealed {
        encrypted_data,
        iv,
        raw_data,
        signature,
    } = req.json().await?;
    let sealed = Encrypted {
        encrypted_data,
        iv,
        raw_data,
        signature,
    };
    let opened = shop.decrypt(&buyer.session, &sealed)?;
    Ok(no_store(json(StatusCode::OK, &opened)))
}

/// `GET /api/v1/user/address`: the address given last; empty fields before that.
pub(super) async fn show_address(shop: Arc<Shop>, buyer: Buyer, _: Req) -> Outcome {
    let user = shop.user(buyer.uid()).await?;
    Ok(no_store(json(
        StatusCode::OK,
        &user.address.unwrap_or_default(),
    )))
}

/// An address as it comes in: every field must stand there, no other may.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAddress {
    name: String,
    phone: String,
    province: String,
    city: String,
    district: String,
    detail: String,
}

impl From<NewAddress> for Address {
    fn from(new: NewAddress) -> Self {
        let NewAddress {
            name,
            phone,
            province,
            city,
            district,
            detail,
        } = new;
        Self {
            name,
            phone,
            province,
            city,
            district,
            detail,
        }
    }
}

/// `PUT /api/v1/user/address`
pub(super) async fn set_address(shop: Arc<Shop>, buyer: Buyer, req: Req) -> Outcome {
    let new: NewAddress = req.json().await?;
    let address = shop.set_address(buyer.uid(), new.into()).await?;
    Ok(no_store(json(StatusCode::OK, &address)))
}
