//! Who may call: a buyer proved by token, the merchant proved by API key or console session.

use std::sync::Arc;

use super::cookies;
use crate::base::{OpenId, Uid};
use crate::shop::console::ConsoleToken;
use crate::shop::{Shop, ShopError, login};
use crate::store::console::ConsoleSession;
use crate::store::tokens::{Session, TokenHash};
use crate::web::{Caller, HttpError, Method, Req, header};

/// A buyer with a live token.
pub struct Buyer {
    /// Their session, as kept with the token.
    pub session: Arc<Session>,
    /// The hash under which the token is kept.
    pub token: TokenHash,
}

impl Buyer {
    /// Whose token it is.
    pub fn uid(&self) -> Uid {
        self.session.uid()
    }

    /// Their openid in our mini program.
    pub fn openid(&self) -> &OpenId {
        self.session.openid()
    }
}

impl Caller<Shop> for Buyer {
    async fn prove(shop: &Arc<Shop>, req: &mut Req) -> Result<Self, HttpError> {
        let token = req
            .bearer()
            .and_then(login::token_hash)
            .ok_or(ShopError::TokenInvalid)?;
        let session = shop.session(token, req.at).await?;
        Ok(Self { session, token })
    }
}

/// An admin in the console, by the session's cookie; a write must show its CSRF token too.
pub struct Console {
    /// The cookie's token.
    pub token: ConsoleToken,
    /// Whose session it is.
    pub session: ConsoleSession,
}

impl Caller<Shop> for Console {
    async fn prove(shop: &Arc<Shop>, req: &mut Req) -> Result<Self, HttpError> {
        let token = cookies::token(shop, req).ok_or(ShopError::Unauthenticated)?;
        let session = shop.console(&token, req.at).await?;
        if ![Method::GET, Method::HEAD].contains(req.method()) {
            token.prove_write(req.header("x-csrf-token"))?;
        }
        Ok(Self { token, session })
    }
}

/// The merchant: a program of theirs by its API key, or one of their people in the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merchant {
    /// The number of the key.
    Key(u64),
    /// The admin's name.
    Admin(String),
}

impl Merchant {
    /// Whose idempotency keys these are.
    pub fn claimant(&self) -> String {
        match self {
            Self::Key(id) => format!("key {id}"),
            Self::Admin(name) => format!("admin {name}"),
        }
    }

    /// How the timeline and the books name them.
    pub fn title(&self) -> String {
        match self {
            Self::Key(id) => format!("API 密钥 {id}"),
            Self::Admin(name) => format!("管理员 {name}"),
        }
    }
}

impl Caller<Shop> for Merchant {
    /// Who shows a key is judged by the key alone: a cookie beside it counts for nothing.
    async fn prove(shop: &Arc<Shop>, req: &mut Req) -> Result<Self, HttpError> {
        if req.headers().contains_key(header::AUTHORIZATION) {
            let key = req.bearer().ok_or(ShopError::Unauthenticated)?;
            return Ok(Self::Key(shop.prove_key(key).await?));
        }
        let console = Console::prove(shop, req).await?;
        Ok(Self::Admin(console.session.admin))
    }
}
