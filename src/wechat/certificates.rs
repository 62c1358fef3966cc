//! Downloading platform certificates: in the background, and when an unknown serial shows up.

use std::time::Duration;

use crate::base::time::Stopwatch;
use crate::base::{Timestamp, secret};
use crate::web::Method;

use super::call::{Call, Stamp};
use super::client::Wechat;
use super::error::WechatError;
use super::sending::{NONCE_LENGTH, TRY_WITHIN, log};
use super::trace::{self, Trace};
use super::v3::answer::Answer;
use super::v3::certificates::{self, CERTIFICATES, PlatformCertificate};
use super::v3::{SignatureHeaders, V3Keys};

/// How long whoever stumbles over an unknown serial waits for a download: WeChat gives a
/// notification five seconds in all. Source: 微信支付 APIv3 · 回调通知注意事项.
const LEARN_WITHIN: Duration = Duration::from_secs(3);

/// What a refresh did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// This merchant's signatures are verified without platform certificates.
    NotWanted,
    /// The list was empty: what was known stays.
    NothingNew,
    /// This many certificates came and are valid.
    Renewed(usize),
}

impl Wechat {
    /// Downloads the platform certificates and keeps all that are valid. WeChat wants this to be
    /// done at intervals below twelve hours.
    ///
    /// # Errors
    /// [`WechatError`]: what is known stays known.
    ///
    /// Source: 微信支付 APIv3 · 下载平台证书, 平台证书更换.
    pub async fn refresh_certificates(&self, trace: &Trace<'_>) -> Result<Refreshed, WechatError> {
        let Some(keys) = self.keys_with_certificates() else {
            return Ok(Refreshed::NotWanted);
        };
        let _turn = self.downloading.lock().await;
        keys.wechat_keys.asked(trace.clock().now());
        self.renew(keys, trace).await
    }

    async fn renew(&self, keys: &V3Keys, trace: &Trace<'_>) -> Result<Refreshed, WechatError> {
        let began = Stopwatch::start();
        let found = self.download(keys, trace).await;
        self.metrics.ended(CERTIFICATES, began, &found);
        let found = found.inspect_err(|error| {
            log(&self.config.pay.base, CERTIFICATES, error);
        })?;
        let count = found.len();
        keys.wechat_keys.adopt(found, trace.clock().now());
        Ok(match count {
            0 => Refreshed::NothingNew,
            count => Refreshed::Renewed(count),
        })
    }

    /// Makes sure, as far as a download can, that the key under `serial` is known. At most one
    /// download a minute, whatever strangers send; its failure is logged, and the message is then
    /// refused for its unknown serial.
    pub async fn learn_key(&self, serial: Option<&str>, trace: &Trace<'_>) {
        let (Some(keys), Some(serial)) = (self.keys_with_certificates(), serial) else {
            return;
        };
        let knows = || {
            let now = trace.clock().now();
            keys.wechat_keys.ring().knows(serial, now)
        };
        if knows() {
            return;
        }
        let learn = async {
            // A download that is under way may bring it.
            let _turn = self.downloading.lock().await;
            if !knows() && keys.wechat_keys.may_ask(trace.clock().now()) {
                // A failure is logged where it happens; the message is refused for its serial.
                let _ = self.renew(keys, trace).await;
                self.learned.notify_one();
            }
        };
        if tokio::time::timeout(LEARN_WITHIN, learn).await.is_err() {
            tracing::warn!("下载平台证书超时，稍后再试");
        }
    }

    /// The outcome of a try, after a refusal because the serial we named is no longer WeChat's:
    /// with a fresh list of certificates nothing was done yet, and the call is tried again. At
    /// most one list a minute.
    ///
    /// Source: 微信支付 APIv3 · 平台证书更换, 如何从平台证书切换成微信支付公钥 (`Wechatpay-Serial`).
    pub(super) async fn after_stale_serial<T>(
        &self,
        outcome: Result<T, WechatError>,
        trace: &Trace<'_>,
    ) -> Result<T, WechatError> {
        let Err(WechatError::Refused(refused)) = &outcome else {
            return outcome;
        };
        let Some(keys) = self.keys_with_certificates() else {
            return outcome;
        };
        let is_stale = refused.said.contains("Wechatpay-Serial");
        if !is_stale || !keys.wechat_keys.may_ask(trace.clock().now()) {
            return outcome;
        }
        let _turn = self.downloading.lock().await;
        if self.renew(keys, trace).await.is_err() {
            return outcome;
        }
        self.learned.notify_one();
        Err(WechatError::NotSent(
            "微信的证书已更换，换上新证书再试".to_owned(),
        ))
    }

    /// Waits until a certificate was learned on demand, which [`Self::learn_key`] does not keep.
    pub async fn learned_certificates(&self) {
        self.learned.notified().await;
    }

    /// The platform certificates known now, oldest first, to be kept over a restart.
    pub fn platform_certificates(&self) -> Vec<PlatformCertificate> {
        let keys = self.keys_with_certificates();
        keys.map_or_else(Vec::new, |keys| keys.wechat_keys.ring().platform().to_vec())
    }

    /// Whether answers are verified with platform certificates.
    pub fn wants_certificates(&self) -> bool {
        self.keys_with_certificates().is_some()
    }

    /// Takes up certificates kept before. They came sealed under our key when they were new.
    pub fn adopt_certificates(&self, kept: Vec<PlatformCertificate>, now: Timestamp) {
        if let Some(keys) = self.keys_with_certificates() {
            keys.wechat_keys.adopt(kept, now);
        }
    }

    fn keys_with_certificates(&self) -> Option<&V3Keys> {
        let keys = self.config.pay.v3().ok()?;
        keys.wechat_keys.wants_certificates().then_some(keys)
    }

    /// From the first host, or from the second when the first gives no outcome.
    async fn download(
        &self,
        keys: &V3Keys,
        trace: &Trace<'_>,
    ) -> Result<Vec<PlatformCertificate>, WechatError> {
        let first = self.download_from(&self.config.pay.base, keys, trace).await;
        match (&first, &self.config.pay.base_2) {
            (Err(error), Some(second)) if error.is_open() => {
                self.download_from(second, keys, trace).await
            }
            _ => first,
        }
    }

    async fn download_from(
        &self,
        base: &str,
        keys: &V3Keys,
        trace: &Trace<'_>,
    ) -> Result<Vec<PlatformCertificate>, WechatError> {
        let call: Call<()> = Call::V3 {
            method: Method::GET,
            path: CERTIFICATES.to_owned(),
            body: String::new(),
            sealed_for: None,
            read: |_| Ok(()),
        };
        let (clock, began_ms) = (trace.clock(), trace.clock().now_ms());
        let stamp = Stamp {
            now: clock.now(),
            nonce_str: secret::random_text(NONCE_LENGTH),
        };
        let mut request = call.outgoing(&self.config, base, stamp)?;
        // A certificate that WeChat took away since would have the list refused that has its heir.
        request
            .headers
            .retain(|(name, _)| *name != "wechatpay-serial");
        let answer = self.send(&self.client, request, TRY_WITHIN).await;
        let answer = answer.inspect_err(|error| {
            trace.note(began_ms, call.asked(), error.to_string());
        })?;
        self.metrics.answered(&answer, clock);
        let judged = Answer {
            status: answer.status,
            headers: SignatureHeaders::read(|name| answer.header(name)),
            request_id: answer.header("request-id"),
            body: &answer.body,
        };
        let (ring, now) = (keys.wechat_keys.ring(), clock.now());
        let found = certificates::believed(&judged, &keys.api_key, &ring, now);
        trace.note(began_ms, call.asked(), trace::answered(&answer, &found));
        found
    }
}
