//! Who may call: a buyer proved by token, the merchant's backend proved by API key.

use std::sync::Arc;

use crate::base::{OpenId, Uid};
use crate::shop::{Shop, ShopError, login};
use crate::store::tokens::{Session, TokenHash};
use crate::web::{Caller, HttpError, Req};

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

/// The merchant, by an API key of theirs.
#[derive(Clone, Copy, Debug)]
pub struct Merchant {
    /// The key's number.
    pub key_id: u64,
}

impl Caller<Shop> for Merchant {
    async fn prove(shop: &Arc<Shop>, req: &mut Req) -> Result<Self, HttpError> {
        let key = req.bearer().ok_or(ShopError::Unauthenticated)?;
        let key_id = shop.prove_key(key).await?;
        Ok(Self { key_id })
    }
}
