//! What the protocols are spoken with: ids, keys, hosts.
//!
//! Not the file they are read from: that is `cli`'s.

use crate::base::{AppId, MchId, Secret};
use crate::web::Client;

use super::error::{Cause, WechatError};
use super::prepay::{Payee, Protocol};
use super::v2::V2Keys;
use super::v3::V3Keys;

/// The mini program and its payments.
#[derive(Debug)]
pub struct WechatConfig {
    /// The mini program's AppID.
    pub appid: AppId,
    /// The AppSecret.
    pub secret: Secret<String>,
    /// Scheme and host of the mini program's server calls, `https://api.weixin.qq.com`.
    pub mini_base: String,
    /// WeChat Pay.
    pub pay: PayConfig,
}

/// WeChat Pay, as far as it is configured. Both protocols may have keys at once.
#[derive(Debug)]
pub struct PayConfig {
    /// The merchant number; `None` until there is one.
    pub mchid: Option<MchId>,
    /// Scheme and host of WeChat Pay's calls, `https://api.mch.weixin.qq.com`.
    pub base: String,
    /// The same of the second access point, asked when the first cannot be reached; `None`: none.
    pub base_2: Option<String>,
    /// The protocol of new attempts.
    pub version: Version,
    /// v2's keys.
    pub v2: Option<V2Keys>,
    /// A client that shows the merchant's certificate: v2 refunds go through it.
    pub v2_client: Option<Client>,
    /// v3's keys.
    pub v3: Option<V3Keys>,
}

/// The protocol of new attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// API v2.
    V2,
    /// API v3.
    V3,
}

impl WechatConfig {
    /// Who asks.
    ///
    /// # Errors
    /// [`Cause::Config`] while there is no merchant number.
    pub(crate) fn payee(&self) -> Result<Payee<'_>, WechatError> {
        let advice = "商户号没有配置：请填写 [wechat.pay] mchid";
        let mchid = self.pay.mchid.as_ref().ok_or_else(|| missing(advice))?;
        let appid = &self.appid;
        Ok(Payee { appid, mchid })
    }
}

#[cfg(test)]
impl WechatConfig {
    /// The same, with every call going through `client`: a simulation knows no client certificate.
    pub(crate) fn reached_by(mut self, client: &Client) -> Self {
        self.pay.v2_client = Some(client.clone());
        self
    }
}

impl PayConfig {
    /// The protocol of new attempts, with its sign type.
    ///
    /// # Errors
    /// [`Cause::Config`] while it has no keys.
    pub(crate) fn protocol(&self) -> Result<Protocol, WechatError> {
        match self.version {
            Version::V2 => self.v2().map(|keys| Protocol::v2(keys.sign_type)),
            Version::V3 => self.v3().map(|_| Protocol::V3),
        }
    }

    /// v2's keys.
    ///
    /// # Errors
    /// [`Cause::Config`] while there are none.
    pub(crate) fn v2(&self) -> Result<&V2Keys, WechatError> {
        let keys = self.v2.as_ref().filter(|keys| !keys.key.is_empty());
        keys.ok_or_else(|| missing("APIv2 密钥没有配置：请填写 [wechat.pay] v2_key"))
    }

    /// The client that shows the merchant's certificate to `base`. Without TLS, which is the
    /// simulator on this machine and nobody else, there is none to show: `plain` serves.
    ///
    /// # Errors
    /// [`Cause::Config`] while there is none.
    pub(crate) fn showing_certificate<'c>(
        &'c self,
        base: &str,
        plain: &'c Client,
    ) -> Result<&'c Client, WechatError> {
        if base.starts_with("http://") {
            return Ok(plain);
        }
        let advice =
            "v2 退款要用商户证书：请填写 [wechat.pay] v2_client_cert_file 和 v2_client_key_file";
        self.v2_client.as_ref().ok_or_else(|| missing(advice))
    }

    /// v3's keys.
    ///
    /// # Errors
    /// [`Cause::Config`] while there are none.
    pub(crate) fn v3(&self) -> Result<&V3Keys, WechatError> {
        let keys = self.v3.as_ref().filter(|keys| !keys.api_key.is_empty());
        keys.ok_or_else(|| {
            missing("APIv3 没有配置：请填写 [wechat.pay] 的 v3_key、商户证书与微信支付公钥")
        })
    }
}

fn missing(advice: &'static str) -> WechatError {
    WechatError::refused_here(Cause::Config, advice)
}
