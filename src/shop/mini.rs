//! Small services of the mini program: a user's phone number, and codes to scan.

use super::login::Code;
use super::{Shop, ShopError};
use crate::base::Uid;
use crate::model::{Refusal, User};
use crate::store::{Tx, users};
use crate::wechat::mini_user::{CodeWanted, Picture};
use crate::wechat::{Trace, WechatError};

impl Shop {
    /// The phone number behind the code of a `getPhoneNumber` button, kept sealed with its user.
    ///
    /// # Errors
    /// [`ShopError::Wechat`] by WeChat's errcode; [`ShopError::TokenInvalid`] when the user is
    /// gone; store errors.
    pub async fn take_phone(&self, uid: Uid, code: &Code) -> Result<String, ShopError> {
        let trace = Trace::new(&self.clock);
        let phone = self.wechat.phone_number(code.as_str(), &trace).await?;
        let (key, kept) = (self.field_key(), phone.clone());
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let before = users::user(tx, &key, uid)?.ok_or(ShopError::TokenInvalid)?;
            let after = User {
                phone: kept.clone(),
                ..before.clone()
            };
            users::update(tx, &key, &before, &after)?;
            Ok::<_, ShopError>(())
        });
        write.await?;
        Ok(phone)
    }

    /// The picture of a mini-program code that opens `page` (empty: the home page) with `scene`.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] naming `scene` or `page`; [`ShopError::Wechat`].
    pub async fn wxacode(&self, scene: &str, page: &str) -> Result<Picture, ShopError> {
        let field = match CodeWanted::new(scene, None) {
            Some(_) => ("page", PAGE_RULE),
            None => ("scene", "1 到 32 个字母、数字或 !#$&'()*+,/:;=?@-._~"),
        };
        let invalid = |(field, rule)| Refusal::FieldInvalid { field, rule };
        let wanted = CodeWanted::new(scene, Some(page)).ok_or_else(|| invalid(field))?;
        let trace = Trace::new(&self.clock);
        match self.wechat.wxacode(&wanted, &trace).await {
            Err(WechatError::Refused(said)) if said.code == NO_SUCH_PAGE => {
                Err(invalid(("page", PAGE_RULE)).into())
            }
            answer => Ok(answer?),
        }
    }
}

const PAGE_RULE: &str = "已发布版本里的页面，如 pages/index/index，开头没有 /，不带查询串";
/// Source: 小程序 · 获取不限制的小程序码 · 错误码.
const NO_SUCH_PAGE: &str = "41030";

#[cfg(test)]
#[path = "mini_tests.rs"]
mod tests;
