//! Talking to WeChat: login, opening a payment, opening a notification.
//!
//! Queries and closes are in `trades`, refunds in `refunds`, sending in `sending`. What is said
//! and what is believed is decided by the pure modules beside this one.

use crate::base::time::Stopwatch;
use crate::base::xml::Fields;
use crate::base::{Fen, PrepayId, Secret, Timestamp, secret};
use crate::web::{Client, Method, Outgoing};

use super::call::Call;
use super::config::WechatConfig;
use super::error::{Cause, WechatError};
use super::metrics::CallMetrics;
use super::mini::{self, Session};
use super::mini_token::TokenHolder;
use super::notify::{self, Keys, NotifyRefusal, Opened, UnverifiedNotice};
use super::paid::PaidNotice;
use super::prepay::{self, PayParams, PrepayRequest, Protocol, SecondSigning, Wanted};
use super::sending::{FIRST_PAUSE, NONCE_LENGTH, TRY_WITHIN, log};
use super::trace::Trace;
use super::v2;
use super::v3::{self, SignatureHeaders};

/// WeChat, as this merchant reaches it.
#[derive(Debug)]
pub struct Wechat {
    pub(super) client: Client,
    pub(super) config: WechatConfig,
    login_url: Secret<String>,
    pub(super) mini_token: TokenHolder,
    /// Held while platform certificates are downloaded: who needs one waits for that answer.
    pub(super) downloading: tokio::sync::Mutex<()>,
    /// Told when a certificate was learned on demand.
    pub(super) learned: tokio::sync::Notify,
    pub(super) metrics: CallMetrics,
}

impl Wechat {
    /// WeChat, reached through `client`.
    pub fn new(client: Client, config: WechatConfig) -> Self {
        let login_url = mini::login_url(&config.mini_base, &config.appid, &config.secret);
        Self {
            client,
            config,
            login_url,
            mini_token: TokenHolder::default(),
            downloading: tokio::sync::Mutex::default(),
            learned: tokio::sync::Notify::default(),
            metrics: CallMetrics::default(),
        }
    }

    /// What is counted of its calls.
    pub fn metrics(&self) -> &CallMetrics {
        &self.metrics
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &WechatConfig {
        &self.config
    }

    /// Exchanges a `wx.login` code for the user's session.
    ///
    /// Only "busy" is repeated, once: after a timeout the code may be used up.
    ///
    /// # Errors
    /// [`WechatError`], by errcode.
    ///
    /// Source: 小程序 · 小程序登录 · 错误码.
    pub async fn login(&self, code: &str) -> Result<Session, WechatError> {
        mini::check_code(code)?;
        let began = Stopwatch::start();
        let first = self.try_login(code).await;
        let outcome = match first {
            Err(error) if error.cause() == Some(Cause::Busy) => {
                tokio::time::sleep(FIRST_PAUSE).await;
                self.try_login(code).await
            }
            outcome => outcome,
        };
        self.metrics.ended(mini::CODE2SESSION, began, &outcome);
        outcome.inspect_err(|error| log(&self.config.mini_base, mini::CODE2SESSION, error))
    }

    async fn try_login(&self, code: &str) -> Result<Session, WechatError> {
        let request = Outgoing {
            method: Method::GET,
            url: [
                self.login_url.reveal(),
                mini::percent_encoded(code).as_str(),
            ]
            .concat(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let answer = self.send(&self.client, request, TRY_WITHIN).await?;
        mini::read_session(answer.status, &answer.body)
    }

    /// Writes down how a payment is opened, to be stored before it is sent.
    ///
    /// # Errors
    /// [`WechatError::Refused`] when the configuration, the amount or the description lacks
    /// what every payment needs.
    pub fn compose(&self, wanted: &Wanted) -> Result<PrepayRequest, WechatError> {
        let payee = self.config.payee()?;
        let protocol = self.config.pay.protocol()?;
        let bad = |advice| Err(WechatError::refused_here(Cause::BadRequest, advice));
        if wanted.amount == Fen::ZERO {
            return bad("支付金额至少 1 分");
        }
        if prepay::description(&wanted.description).is_empty() {
            return bad("商品描述为空，或只有微信不接受的字符");
        }
        let text = match protocol.sign_type() {
            Some(sign_type) => v2::order::fields(payee, wanted, sign_type).to_xml(),
            None => v3::prepay::body(payee, wanted),
        };
        let time_expire = wanted.time_expire(protocol);
        Ok(PrepayRequest {
            protocol,
            text,
            time_expire,
        })
    }

    /// Opens a payment, or renews its `prepay_id`: the same content under a fresh time, nonce and
    /// signature, as often as asked.
    ///
    /// # Errors
    /// [`WechatError`]. After [`WechatError::Unknown`] the same request may be sent again.
    ///
    /// Source: 微信支付 APIv2 · 统一下单; APIv3 · JSAPI/小程序下单 (下单重入).
    pub async fn prepay(
        &self,
        request: &PrepayRequest,
        trace: &Trace<'_>,
    ) -> Result<PrepayId, WechatError> {
        self.call(&prepay_call(request)?, trace).await
    }

    /// The object for `wx.requestPayment`, in the protocol its payment was opened with.
    ///
    /// # Errors
    /// [`WechatError::Refused`] when that protocol's keys are gone from the configuration.
    pub fn pay_params(
        &self,
        protocol: Protocol,
        prepay_id: &PrepayId,
        now: Timestamp,
    ) -> Result<PayParams, WechatError> {
        let signing = SecondSigning {
            appid: self.config.appid.as_str(),
            now,
            nonce_str: secret::random_text(NONCE_LENGTH),
            prepay_id,
        };
        match protocol.sign_type() {
            Some(sign_type) => {
                let key = &self.config.pay.v2()?.key;
                Ok(v2::order::pay_params(signing, key, sign_type))
            }
            None => Ok(v3::prepay::pay_params(
                signing,
                &self.config.pay.v3()?.merchant_key,
            )),
        }
    }

    /// Opens a notification: v3 whole, v2 up to its number.
    ///
    /// # Errors
    /// [`NotifyRefusal`], by the first check that fails.
    pub fn open_notify(
        &self,
        headers: &SignatureHeaders<'_>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Opened, NotifyRefusal> {
        let pay = &self.config.pay;
        let keys = Keys {
            v2: pay.v2.as_ref(),
            v3: pay.v3.as_ref(),
        };
        notify::open(headers, body, keys, now)
    }

    /// Verifies a v2 notification with the protocol of its attempt; `None` when there is none.
    ///
    /// # Errors
    /// [`NotifyRefusal`], by the first check that fails.
    pub fn verify_notify(
        &self,
        notice: UnverifiedNotice,
        attempt: Option<Protocol>,
    ) -> Result<PaidNotice, NotifyRefusal> {
        notice.verify(attempt, self.config.pay.v2.as_ref())
    }
}

fn prepay_call(request: &PrepayRequest) -> Result<Call<PrepayId>, WechatError> {
    let Some(sign_type) = request.protocol.sign_type() else {
        return Ok(Call::V3 {
            method: Method::POST,
            path: v3::PREPAY.to_owned(),
            body: request.text.clone(),
            sealed_for: None,
            read: v3::prepay::read_prepay_id,
        });
    };
    let advice = "存下的下单参数无法读取：这是程序缺陷，请报告";
    let fields = Fields::parse(request.text.as_bytes(), "xml")
        .map_err(|_| WechatError::refused_here(Cause::BadRequest, advice))?;
    Ok(Call::V2 {
        path: v2::UNIFIED_ORDER,
        fields,
        sign_type,
        read: v2::order::read_prepay_id,
    })
}
