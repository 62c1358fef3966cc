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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{AppId, Secret, Timestamp};
    use crate::shop::tests::shop_of;
    use crate::store::tokens::{NewSession, Scope, TokenHash};
    use serde_json::{Value, json};
    use std::sync::Arc;

    const VECTORS: &str = include_str!("../../tests/golden/wechat/vectors-v2.json");

    fn vector(id: &str) -> Value {
        let all: Value = serde_json::from_str(VECTORS).unwrap();
        let found = all["vectors"]
            .as_array()
            .unwrap()
            .iter()
            .find(|v| v["id"] == id);
        found.cloned().unwrap()
    }

    /// The official sample, opened in a shop of `appid` by a login that has its session key.
    async fn opened(appid: &str, change: impl FnOnce(&mut Encrypted)) -> Result<Value, ShopError> {
        let sample = vector("session-001-official");
        let text = |name: &str| sample[name].as_str().unwrap().to_owned();
        let appid: AppId = appid.parse().unwrap();
        let shop = shop_of(appid.clone());
        let at = Timestamp::from_unix(0);
        let hash = TokenHash::of("token");
        let session = NewSession {
            user: User::new(Uid::new(1), appid, "o1".parse().unwrap(), at),
            session_key: Secret::new(text("session_key")),
            scope: Scope::User,
            issued_at: at,
            expires_at: at.plus(std::time::Duration::from_secs(7200)),
        };
        shop.tokens.issue(hash, session).await.unwrap();
        let session: Arc<Session> = shop.tokens.lookup(hash, at).await.unwrap().unwrap();
        let mut sealed = Encrypted {
            encrypted_data: text("encryptedData"),
            iv: text("iv"),
            raw_data: None,
            signature: None,
        };
        change(&mut sealed);
        shop.decrypt(&session, &sealed)
    }

    const OURS: &str = "wx4f4bc4dec97d474b";

    #[tokio::test]
    async fn open_data_opens_with_the_key_of_its_login_and_our_watermark_only() {
        let object = opened(OURS, |_| {}).await.unwrap();
        assert_eq!(object["watermark"]["appid"], json!(OURS));
        let failed = |result| matches!(result, Err(ShopError::DecryptFailed));
        assert!(failed(opened("wx0000000000000001", |_| {}).await));
        assert!(failed(
            opened(OURS, |s| s.iv.replace_range(0..1, "s")).await
        ));
        assert!(failed(opened(OURS, |s| s.encrypted_data.clear()).await));
    }

    #[tokio::test]
    async fn raw_data_must_carry_its_signature_and_the_right_one() {
        let key = vector("session-001-official")["session_key"]
            .as_str()
            .unwrap()
            .to_owned();
        let raw = "{\"nickName\":\"Band\"}";
        let right = crate::base::hash::sha1_hex(format!("{raw}{key}").as_bytes());
        let with = |raw: Option<&str>, signature: Option<&str>| {
            let (raw, signature) = (raw.map(str::to_owned), signature.map(str::to_owned));
            opened(OURS, move |sealed| {
                sealed.raw_data = raw;
                sealed.signature = signature;
            })
        };
        assert!(with(Some(raw), Some(&right)).await.is_ok());
        let wrong = right.replace(&right[..1], "x");
        for (raw, signature) in [
            (Some(raw), Some(wrong.as_str())),
            (Some(raw), None),
            (None, Some(&right)),
        ] {
            assert!(matches!(
                with(raw, signature).await,
                Err(ShopError::DecryptFailed)
            ));
        }
    }
}
