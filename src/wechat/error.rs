//! What can go wrong between us and WeChat, by what it means for the caller.
//!
//! Not the mapping to the contract's codes: that is `routes`'.

use std::fmt;

/// The code of a refusal that is our own.
const LOCAL: &str = "LOCAL";

/// Why a call to WeChat did not give what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WechatError {
    /// WeChat understood the call and said no.
    #[error("{0}")]
    Refused(Refused),
    /// The call may or may not have been carried out: timeout, 5xx, an answer that cannot be read
    /// or whose signature is bad. Repeat with the same number, or query; never conclude "no".
    #[error("微信的处理结果未知：{0}")]
    Unknown(String),
    /// The call certainly did not reach WeChat.
    #[error("未能连接微信：{0}")]
    NotSent(String),
}

impl WechatError {
    /// What the refusal means, when it is one.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Refused(refused) => Some(refused.cause),
            Self::Unknown(_) | Self::NotSent(_) => None,
        }
    }

    /// Whether the same call, unchanged, may have another outcome: nobody said no.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Unknown(_) | Self::NotSent(_) => true,
        }
    }

    /// A refusal of our own, before anything is sent: the call lacks what it needs.
    pub(crate) fn refused_here(cause: Cause, advice: &'static str) -> Self {
        Self::Refused(Refused {
            cause,
            code: LOCAL.to_owned(),
            advice,
            said: String::new(),
        })
    }
}

/// A refusal: what it means, and what WeChat said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What it means for the caller.
    pub cause: Cause,
    /// WeChat's own code, such as `40163` or `ORDERPAID`; `LOCAL` when nothing was sent.
    pub code: String,
    /// What the cause is and what to do, in Chinese.
    pub advice: &'static str,
    /// WeChat's own words, which often end in a trace id. For the operator, not for the buyer.
    pub said: String,
}

impl Refused {
    /// Whether it is our own, and nothing that WeChat said.
    pub fn is_local(&self) -> bool {
        self.code == LOCAL
    }

    /// Whether WeChat said, by its code, that it does not know the number asked about. A bare 404
    /// says nothing: it may come from a proxy.
    pub fn is_absence(&self) -> bool {
        let plain = self.code.replace('_', "");
        ["ORDERNOTEXIST", "RESOURCENOTEXISTS", "REFUNDNOTEXIST"].contains(&&*plain)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_local() {
            return f.write_str(self.advice);
        }
        write!(f, "{}（微信返回 {}", self.advice, self.code)?;
        if !self.said.is_empty() {
            write!(f, "：{}", self.said)?;
        }
        f.write_str("）")
    }
}

/// What a refusal means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The login code is wrong, expired or used: the client calls `wx.login` again.
    CodeInvalid,
    /// WeChat's risk control blocks this user: refuse, do not retry.
    UserBlocked,
    /// Too fast, or a quota is used up: slow down.
    RateLimited,
    /// WeChat is busy and certainly did nothing lasting: the same call again, later.
    Busy,
    /// Our appid, secret, mchid, keys or address list do not fit: the operator must mend it.
    Config,
    /// The product is not opened, or the merchant may not do this: the operator must ask WeChat.
    NoPermission,
    /// The order is paid already: query it and mark it paid.
    OrderPaid,
    /// The order number is closed for good: use a new one.
    OrderClosed,
    /// The number was used before with other parameters: query it; replay the stored request, or
    /// close it and use a new number.
    ParamsChanged,
    /// WeChat does not know this order.
    OrderNotFound,
    /// The openid belongs to another appid.
    OpenIdMismatch,
    /// The payer lacks the money; the same number may be tried again.
    NotEnough,
    /// The payer's account is not in order; nothing to do on our side.
    PayerAccount,
    /// A business or risk rule forbids it: show WeChat's words to the operator.
    RuleLimit,
    /// The merchant's balance is too low for this refund: top up, then the same refund again.
    MerchantBalance,
    /// The payment is older than WeChat refunds (one year): settle outside WeChat.
    RefundTooOld,
    /// The payment was refunded in too many parts (50) already.
    TooManyParts,
    /// More than what is left of the payment.
    RefundExceeds,
    /// The call does not exist in this protocol.
    NotPossible,
    /// The request itself is wrong: a fault in this program or in its configuration.
    BadRequest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_ends_a_call() {
        assert!(WechatError::Unknown(String::new()).is_open());
        assert!(WechatError::NotSent(String::new()).is_open());
        assert!(!WechatError::refused_here(Cause::OrderPaid, "").is_open());
    }

    #[test]
    fn a_refusal_prints_the_advice_the_code_and_wechats_words() {
        let mut refused = Refused {
            cause: Cause::OrderPaid,
            code: "ORDERPAID".to_owned(),
            advice: "已支付",
            said: "paid".to_owned(),
        };
        assert_eq!(refused.to_string(), "已支付（微信返回 ORDERPAID：paid）");
        refused.said.clear();
        assert_eq!(refused.to_string(), "已支付（微信返回 ORDERPAID）");
        refused.code = "LOCAL".to_owned();
        assert_eq!(refused.to_string(), "已支付");
    }
}
