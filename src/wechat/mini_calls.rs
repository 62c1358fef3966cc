//! The mini program's server calls beyond the login: each with the one access token.
//!
//! What is said and what is believed is decided by the pure modules beside this one.

use crate::base::time::Stopwatch;
use crate::base::{Secret, TransactionId};
use crate::web::{Incoming, Method, Outgoing};

use super::client::Wechat;
use super::error::{Cause, WechatError};
use super::mini::percent_encoded;
use super::mini_error::{self, is_stale_token};
use super::mini_token::{self, AccessToken};
use super::mini_user::{self, CodeWanted, Picture};
use super::sending::log;
use super::shipping::{self, Upload, Uploaded};
use super::shipping_order::{self, Company, KnownOrder};
use super::subscribe::{self, Message, Sent};
use super::trace::{self, Trace};

/// The largest picture or list read.
const ANSWER_MAX_BYTES: usize = 2 * 1024 * 1024;

/// Reads an answer from its status and body.
type Reader<'r, T> = &'r (dyn Fn(u16, &[u8]) -> Result<T, WechatError> + Sync);

impl Wechat {
    /// The phone number behind the code of a `getPhoneNumber` button.
    ///
    /// Only "busy" is repeated, once: after a timeout the code may be used up.
    ///
    /// # Errors
    /// [`WechatError`], by errcode.
    ///
    /// Source: 小程序 · 获取手机号.
    pub async fn phone_number(&self, code: &str, trace: &Trace<'_>) -> Result<String, WechatError> {
        let body = mini_user::phone_body(code);
        let appid = &self.config.appid;
        let read = |status: u16, body: &[u8]| mini_user::read_phone(status, body, appid);
        let first = self.mini(mini_user::PHONE, &body, &read, trace).await;
        match first {
            Err(error) if error.cause() == Some(Cause::Busy) => {
                self.mini(mini_user::PHONE, &body, &read, trace).await
            }
            outcome => outcome,
        }
    }

    /// The picture of a mini-program code.
    ///
    /// # Errors
    /// [`WechatError`], by errcode.
    ///
    /// Source: 小程序 · 获取不限制的小程序码.
    pub async fn wxacode(
        &self,
        code: &CodeWanted,
        trace: &Trace<'_>,
    ) -> Result<Picture, WechatError> {
        let (body, read) = (code.body(), &mini_user::read_picture);
        self.mini(mini_user::WXACODE, &body, read, trace).await
    }

    /// Sends a subscribe message.
    ///
    /// # Errors
    /// [`WechatError`] for what has nothing to do with this message.
    ///
    /// Source: 小程序 · 发送订阅消息.
    pub async fn send_message(
        &self,
        what: &Message,
        trace: &Trace<'_>,
    ) -> Result<Sent, WechatError> {
        let (body, read) = (what.body(), &subscribe::read_sent);
        self.mini(subscribe::SEND, &body, read, trace).await
    }

    /// Tells WeChat how an order was shipped. The same call may be repeated.
    ///
    /// # Errors
    /// [`WechatError`] for what has nothing to do with the order.
    ///
    /// Source: 小程序 · 发货信息录入.
    pub async fn upload_shipping(
        &self,
        upload: &Upload,
        trace: &Trace<'_>,
    ) -> Result<Uploaded, WechatError> {
        let (body, read) = (upload.body(), &shipping::read_uploaded);
        self.mini(shipping::UPLOAD, &body, read, trace).await
    }

    /// Where a paid order stands at WeChat's shipping service.
    ///
    /// # Errors
    /// [`WechatError`], by errcode.
    ///
    /// Source: 小程序 · 查询订单发货状态.
    pub async fn shipping_of(
        &self,
        transaction_id: &TransactionId,
        trace: &Trace<'_>,
    ) -> Result<KnownOrder, WechatError> {
        let (body, read) = (
            shipping_order::order_body(transaction_id),
            &shipping_order::read_order,
        );
        self.mini(shipping_order::GET_ORDER, &body, read, trace)
            .await
    }

    /// Whether the mini program has shipping management switched on.
    ///
    /// # Errors
    /// [`WechatError`], by errcode.
    ///
    /// Source: 小程序 · 查询小程序是否已开通发货信息管理服务.
    pub async fn is_trade_managed(&self, trace: &Trace<'_>) -> Result<bool, WechatError> {
        let body = shipping_order::managed_body(&self.config.appid);
        let read = &shipping_order::read_managed;
        self.mini(shipping_order::IS_MANAGED, &body, read, trace)
            .await
    }

    /// The couriers that WeChat can trace.
    ///
    /// # Errors
    /// [`WechatError`], by errcode.
    ///
    /// Source: 小程序 · 获取运力 id 列表.
    pub async fn express_companies(&self, trace: &Trace<'_>) -> Result<Vec<Company>, WechatError> {
        let read = &shipping_order::read_companies;
        self.mini(shipping_order::COMPANIES, "{}", read, trace)
            .await
    }

    /// One call with the access token; with a fresh one once more when WeChat no longer takes it.
    async fn mini<T>(
        &self,
        path: &'static str,
        body: &str,
        read: Reader<'_, T>,
        trace: &Trace<'_>,
    ) -> Result<T, WechatError> {
        let began = Stopwatch::start();
        let outcome = self.mini_tries(path, body, read, trace).await;
        self.metrics.ended(path, began, &outcome);
        outcome.inspect_err(|error| log(&self.config.mini_base, path, error))
    }

    async fn mini_tries<T>(
        &self,
        path: &'static str,
        body: &str,
        read: Reader<'_, T>,
        trace: &Trace<'_>,
    ) -> Result<T, WechatError> {
        let token = self.access_token(trace).await?;
        let answer = self.mini_post(path, body, &token, trace).await?;
        if !says_stale(&answer) {
            return read(answer.status, &answer.body);
        }
        self.mini_token.forget(&token).await;
        let token = self.access_token(trace).await?;
        let answer = self.mini_post(path, body, &token, trace).await?;
        read(answer.status, &answer.body)
    }

    /// Whether WeChat gives this mini program an access token.
    ///
    /// # Errors
    /// [`WechatError`], by errcode.
    pub async fn check_access(&self, trace: &Trace<'_>) -> Result<(), WechatError> {
        self.access_token(trace).await.map(|_| ())
    }

    async fn access_token(&self, trace: &Trace<'_>) -> Result<Secret<String>, WechatError> {
        let fetch = || self.fetch_token(trace);
        self.mini_token.token(trace.clock(), fetch).await
    }

    /// Asks for the access token in normal mode, which gives the same one while it lives.
    async fn fetch_token(&self, trace: &Trace<'_>) -> Result<AccessToken, WechatError> {
        let config = &self.config;
        let body = mini_token::body(&config.appid, &config.secret);
        let base = config.mini_base.trim_end_matches('/');
        let request = Outgoing {
            method: Method::POST,
            url: format!("{base}{}", mini_token::STABLE_TOKEN),
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.reveal().clone().into_bytes(),
        };
        let began = Stopwatch::start();
        let answer = self
            .send_within(&self.client, request, ANSWER_MAX_BYTES)
            .await;
        let token = answer.and_then(|a| mini_token::read(a.status, &a.body, trace.clock().now()));
        self.metrics.ended(mini_token::STABLE_TOKEN, began, &token);
        token.inspect_err(|error| log(base, mini_token::STABLE_TOKEN, error))
    }

    async fn mini_post(
        &self,
        path: &'static str,
        body: &str,
        token: &Secret<String>,
        trace: &Trace<'_>,
    ) -> Result<Incoming, WechatError> {
        let base = self.config.mini_base.trim_end_matches('/');
        let token = percent_encoded(token.reveal());
        let request = Outgoing {
            method: Method::POST,
            url: format!("{base}{path}?access_token={token}"),
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.as_bytes().to_vec(),
        };
        let began_ms = trace.clock().now_ms();
        let sent = self.send_within(&self.client, request, ANSWER_MAX_BYTES);
        let sent = sent.await;
        let answered = match &sent {
            Ok(answer) => trace::answered_mini(answer),
            Err(error) => error.to_string(),
        };
        trace.note(began_ms, trace::asked_mini(path, body), answered);
        sent
    }
}

fn says_stale(answer: &Incoming) -> bool {
    let read = mini_error::read::<serde::de::IgnoredAny>(&[], answer.status, &answer.body);
    read.is_err_and(|error| is_stale_token(&error))
}
