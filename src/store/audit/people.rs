//! Users, admins, API keys, and the counters that number them.

use super::Auditor;
use crate::base::Uid;
use crate::store::codec;
use crate::store::console::ConsoleSessionRecord;
use crate::store::counters::{self, Counter};
use crate::store::records::{ApiKeyRecord, UidRecord, UserRecord};
use crate::store::staff::AdminRecord;
use crate::store::{Read, StoreError, keys};

impl<R: Read> Auditor<'_, R> {
    pub(super) fn user(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let UserRecord::V1(user) = self.decoded(value)?;
        self.numbers.uid = self.numbers.uid.max(user.uid.get());
        if keys::user(user.uid) != self.key {
            self.fault("记的是另一个用户");
        }
        let openid = keys::openid(&user.appid, &user.openid);
        let named = codec::get::<UidRecord>(self.read, &openid)?;
        if named.map(|UidRecord::V1(uid)| uid) != Some(user.uid) {
            self.fault("按 openid 找不到这个用户");
        }
        if user.phone.is_some() != user.phone_digest.is_some() {
            self.fault("手机号与它的索引摘要没有一起记下");
        }
        if let Some(digest) = user.phone_digest
            && !self.has(&keys::phone(&digest, user.uid))?
        {
            self.fault("按手机号找不到这个用户");
        }
        Ok(())
    }

    pub(super) fn openid(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let UidRecord::V1(uid) = self.decoded(value)?;
        let user = codec::get::<UserRecord>(self.read, &keys::user(uid))?;
        let openid = user.map(|UserRecord::V1(user)| keys::openid(&user.appid, &user.openid));
        if openid.as_ref() != Some(&self.key) {
            self.fault("索引指向的用户不存在，或是另一个 openid");
        }
        Ok(())
    }

    pub(super) fn phone(&mut self, _: &[u8]) -> Result<(), StoreError> {
        let uid = Uid::new(keys::last_number(&self.key).unwrap_or(0));
        let user = codec::get::<UserRecord>(self.read, &keys::user(uid))?;
        let digest = user.and_then(|UserRecord::V1(user)| user.phone_digest);
        if digest.map(|digest| keys::phone(&digest, uid)).as_ref() != Some(&self.key) {
            self.fault("索引指向的用户不存在，或是另一个手机号");
        }
        Ok(())
    }

    pub(super) fn admin(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let name = match self.decoded(value)? {
            AdminRecord::V1(admin) => admin.name,
            AdminRecord::V2(admin) => admin.name,
        };
        if keys::admin(&name) != self.key {
            self.fault("记的是另一个管理员");
        }
        Ok(())
    }

    /// An admin is never removed, so a session without one was not written by us.
    pub(super) fn console_session(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let ConsoleSessionRecord::V1(session) = self.decoded(value)?;
        if !self.has(&keys::admin(&session.admin))? {
            self.fault("登录的管理员不存在");
        }
        Ok(())
    }

    pub(super) fn api_key(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let ApiKeyRecord::V1(key) = self.decoded(value)?;
        self.numbers.api_key = self.numbers.api_key.max(key.id);
        Ok(())
    }

    /// No number is in use that its counter has not given out.
    pub(super) fn counters(&mut self) -> Result<(), StoreError> {
        let table = [
            (Counter::Uid, self.numbers.uid),
            (Counter::Goods, self.numbers.goods),
            (Counter::ApiKey, self.numbers.api_key),
            (Counter::Webhook, self.numbers.webhook),
            (Counter::Unmatched, self.numbers.unmatched),
        ];
        for (counter, used) in table {
            self.key = counters::key(counter);
            let given = counters::number(self.read, &self.key)?.unwrap_or(0);
            if used > given {
                self.fault(format!("编号只发到 {given}，却已用到 {used}"));
            }
        }
        Ok(())
    }
}
