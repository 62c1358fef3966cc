//! A user: one openid of one mini program, with what they told us about themselves.

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::goods::{check_link, check_text};
use crate::base::{AppId, OpenId, Timestamp, Uid};

/// Where parcels go. Each field at most 100 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The receiver.
    pub name: String,
    /// The receiver's phone.
    pub phone: String,
    /// 省
    pub province: String,
    /// 市
    pub city: String,
    /// 区县
    pub district: String,
    /// Street and door.
    pub detail: String,
}

impl Address {
    /// The same address, when every field keeps its rule.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] naming the field.
    pub fn checked(self) -> Result<Self, Refusal> {
        let rule = "最多 100 个字符";
        check_text("name", &self.name, 100, rule)?;
        check_text("phone", &self.phone, 100, rule)?;
        check_text("province", &self.province, 100, rule)?;
        check_text("city", &self.city, 100, rule)?;
        check_text("district", &self.district, 100, rule)?;
        check_text("detail", &self.detail, 100, rule)?;
        Ok(self)
    }
}

/// A user as kept. The phone is kept sealed; this type holds it opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Our number, never reissued.
    pub uid: Uid,
    /// The mini program that the openid belongs to.
    pub appid: AppId,
    /// WeChat's id of the user in that mini program.
    pub openid: OpenId,
    /// Set when the mini program is bound to an Open Platform account.
    pub unionid: Option<String>,
    /// At most 32 characters; empty until told.
    pub nickname: String,
    /// At most 512 characters; empty until told.
    pub avatar_url: String,
    /// Empty until told.
    pub phone: String,
    /// The address given last.
    pub address: Option<Address>,
    /// Whether the merchant blocked this user.
    pub blocked: bool,
    /// Raised to end every token given before; a token lives only in its own generation.
    pub token_generation: u64,
    /// When they first logged in.
    pub created_at: Timestamp,
}

impl User {
    /// A user seen for the first time.
    pub fn new(uid: Uid, appid: AppId, openid: OpenId, now: Timestamp) -> Self {
        Self {
            uid,
            appid,
            openid,
            unionid: None,
            nickname: String::new(),
            avatar_url: String::new(),
            phone: String::new(),
            address: None,
            blocked: false,
            token_generation: 0,
            created_at: now,
        }
    }

    /// The user with every token that was given before ended.
    #[must_use]
    pub fn tokens_ended(self) -> Self {
        let token_generation = self.token_generation.saturating_add(1);
        Self {
            token_generation,
            ..self
        }
    }

    /// The user under another name or picture; `None` leaves it as it is.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] naming the field.
    pub fn renamed(
        self,
        nickname: Option<String>,
        avatar_url: Option<String>,
    ) -> Result<Self, Refusal> {
        let nickname = nickname.unwrap_or(self.nickname);
        let avatar_url = avatar_url.unwrap_or(self.avatar_url);
        check_text("nickname", &nickname, 32, "最多 32 个字符")?;
        check_link("avatar_url", &avatar_url)?;
        Ok(Self {
            nickname,
            avatar_url,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_the_field_that_is_too_long() {
        let long = "长".repeat(101);
        let table = [
            (
                Address {
                    name: long.clone(),
                    ..Address::default()
                },
                "name",
            ),
            (
                Address {
                    phone: long.clone(),
                    ..Address::default()
                },
                "phone",
            ),
            (
                Address {
                    province: long.clone(),
                    ..Address::default()
                },
                "province",
            ),
            (
                Address {
                    city: long.clone(),
                    ..Address::default()
                },
                "city",
            ),
            (
                Address {
                    district: long.clone(),
                    ..Address::default()
                },
                "district",
            ),
            (
                Address {
                    detail: long,
                    ..Address::default()
                },
                "detail",
            ),
        ];
        for (address, want) in table {
            let refused = address.checked();
            let rule = "最多 100 个字符";
            assert_eq!(refused, Err(Refusal::FieldInvalid { field: want, rule }));
        }
        assert!(Address::default().checked().is_ok());
    }

    #[test]
    fn a_nickname_is_counted_in_characters() {
        let (uid, at) = (Uid::new(1), Timestamp::from_unix(0));
        let user = User::new(uid, "wx1".parse().unwrap(), "o1".parse().unwrap(), at);
        assert!(user.clone().renamed(Some("名".repeat(32)), None).is_ok());
        assert!(user.clone().renamed(Some("名".repeat(33)), None).is_err());
        assert!(user.renamed(None, Some("x".repeat(513))).is_err());
    }
}
