//! Giving money back: asking WeChat for a refund, and about refunds.

use crate::base::Timestamp;
use crate::model::Attempt;
use crate::web::Method;

use super::call::Call;
use super::client::Wechat;
use super::error::{Cause, WechatError};
use super::notify::{self, Keys, NotifyRefusal};
use super::refund::{AbnormalRefund, RefundKey, RefundNotice, RefundOrder, RefundState};
use super::refund_error::of_refund;
use super::trace::Trace;
use super::v2::refund::{About, Page};
use super::v3::{self, SignatureHeaders};
use super::{SignType, v2};

impl Wechat {
    /// Asks for a refund, or asks for the same one again. What comes back is accepted, which is
    /// not refunded.
    ///
    /// # Errors
    /// [`WechatError`]. After [`WechatError::Unknown`] the same refund may be asked for again, or
    /// queried; a new number would be a second refund.
    ///
    /// Source: 微信支付 APIv2 · 申请退款; APIv3 · 退款申请.
    pub async fn refund(
        &self,
        order: &RefundOrder,
        trace: &Trace<'_>,
    ) -> Result<RefundState, WechatError> {
        let call = match order.protocol.sign_type() {
            Some(sign_type) => Call::V2 {
                path: v2::refund::REFUND,
                fields: v2::refund::fields(self.config.payee()?, order, sign_type),
                sign_type,
                read: v2::refund::read_accepted,
            },
            None => Call::V3 {
                method: Method::POST,
                path: v3::refund::REFUNDS.to_owned(),
                body: v3::refund::body(order),
                sealed_for: None,
                read: v3::refund::read_state,
            },
        };
        let state = self.call(&call, trace).await;
        let state = state.map_err(|error| of_refund(error, order.protocol))?;
        order.matched(state)
    }

    /// What WeChat says of a refund now; `None` when it does not know the number.
    ///
    /// # Errors
    /// [`WechatError`]; [`WechatError::Unknown`] when the answer is about another refund.
    ///
    /// Source: 微信支付 APIv2 · 查询退款; APIv3 · 查询单笔退款.
    pub async fn query_refund(
        &self,
        key: &RefundKey<'_>,
        trace: &Trace<'_>,
    ) -> Result<Option<RefundState>, WechatError> {
        let answer = match key.protocol.sign_type() {
            Some(sign_type) => {
                let page = self
                    .page(About::Refund(key.refund_no), sign_type, trace)
                    .await;
                page.map(|page| page.refunds)
            }
            None => {
                let call = Call::V3 {
                    method: Method::GET,
                    path: v3::refund::query_path(key.refund_no),
                    body: String::new(),
                    sealed_for: None,
                    read: v3::refund::read_state,
                };
                self.call(&call, trace).await.map(|state| vec![state])
            }
        };
        let Some(refunds) = known(answer)? else {
            return Ok(None);
        };
        let mut same = refunds.into_iter();
        let found = same.find(|state| state.refund_no == key.refund_no);
        let foreign = || WechatError::Unknown("退款查询结果说的是另一笔退款".to_owned());
        found.map(Some).ok_or_else(foreign)
    }

    /// All refunds of a v2 attempt, also those started at WeChat's merchant platform. v3 has no
    /// such call: nothing.
    ///
    /// # Errors
    /// [`WechatError`].
    ///
    /// Source: 微信支付 APIv2 · 查询退款 (`offset`).
    pub async fn refunds_of(
        &self,
        attempt: &Attempt,
        trace: &Trace<'_>,
    ) -> Result<Vec<RefundState>, WechatError> {
        let Some(sign_type) = attempt.protocol.sign_type() else {
            return Ok(Vec::new());
        };
        let (number, mut refunds) = (attempt.out_trade_no.to_string(), Vec::new());
        let mut offset = 0;
        while offset < v2::refund::PARTS_MAX {
            let about = About::Order {
                out_trade_no: &number,
                offset,
            };
            let Some(page) = known(self.page(about, sign_type, trace).await)? else {
                break;
            };
            let found = u32::try_from(page.refunds.len()).unwrap_or(v2::refund::PARTS_MAX);
            refunds.extend(page.refunds);
            offset = offset.saturating_add(found);
            if found == 0 || offset >= page.total {
                break;
            }
        }
        let foreign = |state: &RefundState| state.out_trade_no != number;
        if refunds.iter().any(foreign) {
            let why = "退款查询结果说的是另一个商户订单号".to_owned();
            return Err(WechatError::Unknown(why));
        }
        Ok(refunds)
    }

    async fn page(
        &self,
        about: About<'_>,
        sign_type: SignType,
        trace: &Trace<'_>,
    ) -> Result<Page, WechatError> {
        let call = Call::V2 {
            path: v2::refund::REFUND_QUERY,
            fields: v2::refund::query_fields(self.config.payee()?, about, sign_type),
            sign_type,
            read: v2::refund::read_page,
        };
        self.call(&call, trace).await
    }

    /// Takes an abnormal refund up again: to a card of the payer, or to the merchant's account.
    ///
    /// # Errors
    /// [`Cause::NotPossible`] for a v2 refund; [`WechatError`].
    ///
    /// Source: 微信支付 APIv3 · 发起异常退款.
    pub async fn take_up_abnormal(
        &self,
        wanted: &AbnormalRefund,
        trace: &Trace<'_>,
    ) -> Result<RefundState, WechatError> {
        if wanted.protocol.sign_type().is_some() {
            let advice = "v2 的异常退款只能在微信支付商户平台处理：交易中心 → 退款查询";
            return Err(WechatError::refused_here(Cause::NotPossible, advice));
        }
        let ring = self.config.pay.v3()?.wechat_keys.ring();
        let advice = "没有可用来加密的微信支付公钥或平台证书";
        let (serial, key) = ring
            .sealing_key(trace.clock().now())
            .ok_or_else(|| WechatError::refused_here(Cause::Config, advice))?;
        let call = Call::V3 {
            method: Method::POST,
            path: v3::refund::abnormal_path(&wanted.refund_id),
            body: v3::refund::abnormal_body(wanted, key)?,
            sealed_for: Some(serial.to_owned()),
            read: v3::refund::read_state,
        };
        let state = self.call(&call, trace).await;
        let state = state.map_err(|error| of_refund(error, wanted.protocol))?;
        if state.refund_no == wanted.refund_no && state.refund_id == wanted.refund_id {
            return Ok(state);
        }
        Err(WechatError::Unknown("退款应答说的是另一笔退款".to_owned()))
    }

    /// Opens a notification of a refund: v3 verified and decrypted; v2 decrypted only, so that the
    /// refund must be queried before money moves.
    ///
    /// # Errors
    /// [`NotifyRefusal`], by the first check that fails.
    pub fn open_refund_notify(
        &self,
        headers: &SignatureHeaders<'_>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<RefundNotice, NotifyRefusal> {
        let pay = &self.config.pay;
        let keys = Keys {
            v2: pay.v2.as_ref(),
            v3: pay.v3.as_ref(),
        };
        notify::open_refund(headers, body, keys, now)
    }
}

/// `None` when WeChat said that it does not know the refund.
fn known<T>(answer: Result<T, WechatError>) -> Result<Option<T>, WechatError> {
    match answer {
        Ok(known) => Ok(Some(known)),
        Err(WechatError::Refused(refused)) if refused.is_absence() => Ok(None),
        Err(error) => Err(error),
    }
}
