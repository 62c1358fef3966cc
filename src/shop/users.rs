//! What users tell about themselves, and WeChat's open data about them.

use super::{Shop, ShopError};
use crate::base::Uid;
use crate::model::{Address, User};
use crate::store::tokens::Session;
use crate::store::{Tx, users};
use crate::wechat::mini_open;

/// WeChat's open data as the client got it, still sealed. Source: 小程序 · 开放数据校验与解密.
pub struct Encrypted {
    /// `encryptedData`.
    pub encrypted_data: String,
    /// `iv`.
    pub iv: String,
    /// `rawData`, text as received.
    pub raw_data: Option<String>,
    /// `signature` of `rawData`.
    pub signature: Option<String>,
}

impl Shop {
    /// A user.
    ///
    /// # Errors
    /// [`ShopError::TokenInvalid`] when there is none any more; store errors.
    pub async fn user(&self, uid: Uid) -> Result<User, ShopError> {
        let key = self.field_key();
        let user = self
            .store
            .read(move |view| users::user(view, &key, uid).map_err(ShopError::from));
        user.await?.ok_or(ShopError::TokenInvalid)
    }

    /// Changes nickname and picture; `None` leaves one as it is.
    ///
    /// # Errors
    /// [`crate::model::Refusal::FieldInvalid`]; store errors.
    pub async fn rename_user(
        &self,
        uid: Uid,
        nickname: Option<String>,
        avatar_url: Option<String>,
    ) -> Result<User, ShopError> {
        let change = move |user: User| user.renamed(nickname.clone(), avatar_url.clone());
        self.change_user(uid, move |user| Ok(change(user)?)).await
    }

    /// Keeps a new address and gives it back.
    ///
    /// # Errors
    /// [`crate::model::Refusal::FieldInvalid`]; store errors.
    pub async fn set_address(&self, uid: Uid, address: Address) -> Result<Address, ShopError> {
        let address = address.checked()?;
        let kept = address.clone();
        let change = move |user| {
            Ok(User {
                address: Some(kept.clone()),
                ..user
            })
        };
        self.change_user(uid, change).await?;
        Ok(address)
    }

    async fn change_user<F>(&self, uid: Uid, mut change: F) -> Result<User, ShopError>
    where
        F: FnMut(User) -> Result<User, ShopError> + Send + 'static,
    {
        let key = self.field_key();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let before = users::user(tx, &key, uid)?.ok_or(ShopError::TokenInvalid)?;
            let after = change(before.clone())?;
            users::update(tx, &key, &before, &after)?;
            Ok(after)
        });
        write.await
    }

    /// Opens WeChat's open data with the session key of this login.
    ///
    /// # Errors
    /// [`ShopError::DecryptFailed`], whatever the reason: it is not told which.
    pub fn decrypt(
        &self,
        session: &Session,
        sealed: &Encrypted,
    ) -> Result<serde_json::Value, ShopError> {
        let failed = ShopError::DecryptFailed;
        let Ok(key) = session.session_key(&self.settings.field_key) else {
            return Err(failed);
        };
        if let Some((raw, signature)) = sealed.signed()?
            && !mini_open::raw_data_is_signed(raw, &key, signature)
        {
            return Err(failed);
        }
        let (text, iv) = (&sealed.encrypted_data, &sealed.iv);
        let opened = mini_open::open(&self.settings.appid, &key, iv, text);
        opened.map(|opened| opened.object).map_err(|_| failed)
    }
}

impl Encrypted {
    /// `rawData` and its signature: both or neither.
    fn signed(&self) -> Result<Option<(&str, &str)>, ShopError> {
        match (&self.raw_data, &self.signature) {
            (Some(raw), Some(signature)) => Ok(Some((raw, signature))),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(ShopError::DecryptFailed),
        }
    }
}
