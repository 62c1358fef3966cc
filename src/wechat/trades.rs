//! Asking WeChat about an attempt, and closing it there.

use crate::model::Attempt;
use crate::web::Method;

use super::call::Call;
use super::client::Wechat;
use super::error::{Cause, WechatError};
use super::trace::Trace;
use super::trade::{self, CloseAnswer, Told, Trade};
use super::{v2, v3};

impl Wechat {
    /// What WeChat says of `attempt` now.
    ///
    /// # Errors
    /// [`WechatError`]; never because the number is unknown, that is [`super::TradeState::Absent`].
    ///
    /// Source: 微信支付 APIv2 · 查询订单; APIv3 · 商户订单号查询订单.
    pub async fn query(&self, attempt: &Attempt, trace: &Trace<'_>) -> Result<Trade, WechatError> {
        self.check_ours(attempt)?;
        let call: Call<Told> = match attempt.protocol.sign_type() {
            Some(sign_type) => Call::V2 {
                path: v2::ORDER_QUERY,
                fields: v2::trade::fields(attempt, sign_type),
                sign_type,
                read: v2::trade::read_told,
            },
            None => Call::V3 {
                method: Method::GET,
                path: v3::trade::query_path(attempt),
                body: String::new(),
                sealed_for: None,
                read: v3::trade::read_told,
            },
        };
        match self.call(&call, trace).await {
            Ok(told) => told.trade(attempt, trace.clock().now()),
            Err(error) => trade::of_refused_query(error),
        }
    }

    /// Closes `attempt` at WeChat, so that it can never be paid.
    ///
    /// # Errors
    /// [`WechatError`] when it is not known whether it is closed, or the refusal is about our
    /// configuration.
    ///
    /// Source: 微信支付 APIv2 · 关闭订单; APIv3 · 关闭订单.
    pub async fn close(
        &self,
        attempt: &Attempt,
        trace: &Trace<'_>,
    ) -> Result<CloseAnswer, WechatError> {
        self.check_ours(attempt)?;
        let call: Call<()> = match attempt.protocol.sign_type() {
            Some(sign_type) => Call::V2 {
                path: v2::CLOSE_ORDER,
                fields: v2::trade::fields(attempt, sign_type),
                sign_type,
                read: v2::trade::read_closed,
            },
            None => Call::V3 {
                method: Method::POST,
                path: v3::trade::close_path(attempt),
                body: v3::trade::close_body(attempt),
                sealed_for: None,
                read: v3::trade::read_closed,
            },
        };
        match self.call(&call, trace).await {
            Ok(()) => Ok(CloseAnswer::Closed),
            Err(error) => trade::of_refused_close(error),
        }
    }

    /// An attempt of another merchant number or appid than ours cannot be asked about with our
    /// keys: WeChat would not know it, and that must not be taken for an answer.
    fn check_ours(&self, attempt: &Attempt) -> Result<(), WechatError> {
        let payee = self.config.payee()?;
        if *payee.mchid == attempt.mchid && *payee.appid == attempt.appid {
            return Ok(());
        }
        let advice = "这笔支付单属于另一个 appid 或商户号：请把配置换回它下单时的商户号再处理";
        Err(WechatError::refused_here(Cause::Config, advice))
    }
}
