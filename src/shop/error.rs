//! What can go wrong in a use case: the business said no, the store failed, or WeChat did.

use super::console::SecondFactor;
use crate::model::Refusal;
use crate::store::{Failure, StoreError};
use crate::wechat::WechatError;

/// Why a use case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// The business said no; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store gave no answer; [`StoreError::Unknown`] may have happened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// WeChat refused, or its answer is not known.
    #[error(transparent)]
    Wechat(#[from] WechatError),
    /// No buyer's token, or one that is unknown, expired or revoked.
    #[error("登录凭证无效或已过期，请重新登录")]
    TokenInvalid,
    /// No console session and no API key, or one that is unknown, expired or revoked.
    #[error("未登录或登录已过期，或缺少有效的 API 密钥")]
    Unauthenticated,
    /// A login to the console whose name or password is wrong; it does not say which.
    #[error("用户名或密码不对")]
    LoginFailed,
    /// A login to the console with the right password that lacks the right code.
    #[error("密码正确，还需要身份验证器 App 里当前的 6 位动态码（每个只能用一次）")]
    SecondFactor(SecondFactor),
    /// A write made with the console's cookie, without the session's CSRF token.
    #[error("缺少或不对的 CSRF 令牌，请刷新控制台页面后重试")]
    CsrfInvalid,
    /// Too many requests from this address or with this token.
    #[error("请求过于频繁，请稍后再试")]
    RateLimited {
        /// When to come back, seconds.
        retry_after_s: u64,
    },
    /// What the mini program sent does not open with the user's session key, or is not for us.
    #[error("数据解密失败，请重新 wx.login 后再取一次加密数据")]
    DecryptFailed,
    /// A backup is being made.
    #[error("正在备份，请等它做完再来（GET /admin/v1/backups 可以看到进度）")]
    BackupRunning,
    /// There is no place for backups.
    #[error(
        "没有配置备份目录：请在 config.toml 填 [backup] dir 后重启，或用命令 zhanggui backup 目录"
    )]
    BackupNotConfigured,
    /// Payments are not configured.
    #[error("尚未配置微信支付商户号，请运行 zhanggui check 查看缺少的配置")]
    PayNotConfigured,
}

impl From<Failure> for ShopError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::Refused(refusal),
            Failure::Store(error) => Self::Store(error),
        }
    }
}
