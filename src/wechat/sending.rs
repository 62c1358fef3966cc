//! Sending a call until it has an outcome: deadlines, repeats, the second host, what is written
//! down of each try, and the one log line of a call that failed.

use std::time::Duration;

use crate::base::secret;
use crate::base::time::Stopwatch;
use crate::web::{Client, ClientError, Incoming, Outgoing};

use super::call::{Call, Stamp};
use super::client::Wechat;
use super::error::{Cause, WechatError};
use super::trace::{self, Trace};

/// The longest that one try of a call may take (CONTRACT §7).
pub(super) const TRY_WITHIN: Duration = Duration::from_secs(10);
/// The longest that one call may take with its repeats (CONTRACT §7).
const CALL_WITHIN: Duration = Duration::from_secs(25);
/// How often a payment call is tried.
const TRIES: u32 = 3;
/// The pause before the first repeat; it doubles.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The largest answer read.
const ANSWER_MAX_BYTES: usize = 256 * 1024;
/// Characters of a nonce. Source: 微信支付 APIv2, APIv3 · 接口规则 (≤ 32).
pub(super) const NONCE_LENGTH: usize = 32;

/// Which of the two access points a try goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    First,
    Second,
}

/// How a try ended: its outcome, and whether another host may do better.
struct Tried<T> {
    outcome: Result<T, WechatError>,
    unreachable: bool,
}

impl Wechat {
    /// Sends a call until it has an outcome, its tries are used up or its time is over.
    pub(super) async fn call<T>(
        &self,
        call: &Call<T>,
        trace: &Trace<'_>,
    ) -> Result<T, WechatError> {
        let began = Stopwatch::start();
        let ended = tokio::time::timeout(CALL_WITHIN, self.tries(call, trace)).await;
        let late = |_| {
            let why = "微信没有在期限内给出结果".to_owned();
            trace.note(trace.clock().now_ms(), call.asked(), why.clone());
            Err(WechatError::Unknown(why))
        };
        let ended = ended.unwrap_or_else(late);
        self.metrics.ended(call.path(), began, &ended);
        ended.inspect_err(|error| log(&self.config.pay.base, call.path(), error))
    }

    async fn tries<T>(&self, call: &Call<T>, trace: &Trace<'_>) -> Result<T, WechatError> {
        let (mut pause, mut host) = (FIRST_PAUSE, Host::First);
        for _ in 1..TRIES {
            let tried = self.try_call(call, host, trace).await;
            match tried.outcome {
                Err(error) if error.is_open() => {}
                outcome => return outcome,
            }
            if tried.unreachable {
                host = self.other(host);
            }
            // Uneven pauses, so that callers who failed together do not come back together.
            let jitter = Duration::from_millis(secret::random_u64() % 100);
            tokio::time::sleep(pause.saturating_add(jitter)).await;
            pause = pause.saturating_mul(2);
        }
        self.try_call(call, host, trace).await.outcome
    }

    /// The host to turn to when `host` cannot be reached.
    ///
    /// Source: 微信支付 APIv3 · 接口规则 (跨城冗灾).
    fn other(&self, host: Host) -> Host {
        match (host, &self.config.pay.base_2) {
            (Host::First, Some(_)) => Host::Second,
            (Host::First, None) | (Host::Second, _) => Host::First,
        }
    }

    /// One try: signed afresh, sent, judged, written down.
    async fn try_call<T>(&self, call: &Call<T>, host: Host, trace: &Trace<'_>) -> Tried<T> {
        let second = self.config.pay.base_2.as_deref();
        let (base, note) = match (host, second) {
            (Host::Second, Some(base)) => (base, "（备用域名）"),
            (Host::First, _) | (Host::Second, None) => (self.config.pay.base.as_str(), ""),
        };
        let (clock, began_ms) = (trace.clock(), trace.clock().now_ms());
        let stamp = Stamp {
            now: clock.now(),
            nonce_str: secret::random_text(NONCE_LENGTH),
        };
        let sent = match self.request(call, base, stamp) {
            Ok((client, request)) => self.send(client, request, TRY_WITHIN).await,
            Err(outcome) => {
                return Tried {
                    outcome: Err(outcome),
                    unreachable: false,
                };
            }
        };
        let asked = format!("{}{note}", call.asked());
        match sent {
            Ok(answer) => {
                self.metrics.answered(&answer, clock);
                if call.is_verified_by_serial() && matches!(answer.status, 200 | 204) {
                    self.learn_key(answer.header("wechatpay-serial"), trace)
                        .await;
                }
                let outcome = call.read(&self.config, &answer, clock.now());
                trace.note(began_ms, asked, trace::answered(&answer, &outcome));
                let outcome = self.after_stale_serial(outcome, trace).await;
                let unreachable = matches!(answer.status, 502 | 503);
                Tried {
                    outcome,
                    unreachable,
                }
            }
            Err(error) => {
                trace.note(began_ms, asked, error.to_string());
                Tried {
                    outcome: Err(error),
                    unreachable: true,
                }
            }
        }
    }

    fn request<T>(
        &self,
        call: &Call<T>,
        base: &str,
        stamp: Stamp,
    ) -> Result<(&Client, Outgoing), WechatError> {
        let client = if call.needs_certificate() {
            self.config.pay.showing_certificate(base, &self.client)?
        } else {
            &self.client
        };
        Ok((client, call.outgoing(&self.config, base, stamp)?))
    }

    pub(super) async fn send(
        &self,
        client: &Client,
        request: Outgoing,
        within: Duration,
    ) -> Result<Incoming, WechatError> {
        let sent = client.send(request, within, ANSWER_MAX_BYTES).await;
        sent.map_err(not_answered)
    }

    /// Sends one request and reads an answer of at most `limit_bytes`.
    pub(super) async fn send_within(
        &self,
        client: &Client,
        request: Outgoing,
        limit_bytes: usize,
    ) -> Result<Incoming, WechatError> {
        let sent = client.send(request, TRY_WITHIN, limit_bytes).await;
        sent.map_err(not_answered)
    }
}

/// What a call that got no answer comes to.
pub(super) fn not_answered(error: ClientError) -> WechatError {
    match error {
        ClientError::NotSent(why) => WechatError::NotSent(why),
        ClientError::Timeout | ClientError::Broken(_) | ClientError::TooLarge => {
            WechatError::Unknown(error.to_string())
        }
    }
}

/// The one log line of a call that failed. A stale code is the client's everyday affair, and what
/// became of an order is an answer like another.
pub(super) fn log(base: &str, path: &str, error: &WechatError) {
    let url = format_args!("{base}{path}");
    match error.cause() {
        Some(Cause::CodeInvalid) => tracing::debug!(%url, %error, "微信调用被拒绝"),
        Some(Cause::OrderPaid | Cause::OrderClosed | Cause::OrderNotFound) => {
            tracing::info!(%url, %error, "微信给出了订单的结论");
        }
        _ => tracing::warn!(%url, %error, "微信调用失败"),
    }
}
