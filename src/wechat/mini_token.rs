//! The access token of the mini program's server calls: asked for in normal mode, held once,
//! renewed before it ends.
//!
//! It travels in URLs, which are never shown. Never `force_refresh`: that ends the token of
//! whoever else holds it, at once. Source: 小程序 · 获取稳定版接口调用凭据.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::base::{AppId, Clock, Secret, Timestamp};

use super::error::WechatError;
use super::mini_error;

/// Path of 获取稳定版接口调用凭据.
pub const STABLE_TOKEN: &str = "/cgi-bin/stable_token";

/// How long before its end a token is renewed.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// The body of a request for a token, in normal mode.
pub fn body(appid: &AppId, secret: &Secret<String>) -> Secret<String> {
    #[derive(Serialize)]
    struct Body<'a> {
        grant_type: &'static str,
        appid: &'a str,
        secret: &'a str,
        force_refresh: bool,
    }
    let body = Body {
        grant_type: "client_credential",
        appid: appid.as_str(),
        secret: secret.reveal(),
        force_refresh: false,
    };
    Secret::new(serde_json::to_string(&body).expect("texts become JSON"))
}

/// An access token and how long it serves.
#[derive(Clone, Debug)]
pub struct AccessToken {
    text: Secret<String>,
    renew_at: Timestamp,
    ends_at: Timestamp,
}

/// Reads the answer that came at `now`.
///
/// # Errors
/// [`WechatError`], by errcode.
pub fn read(status: u16, body: &[u8], now: Timestamp) -> Result<AccessToken, WechatError> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
        expires_in: u64,
    }
    let answer: Answer = mini_error::read(&[], status, body)?;
    if answer.access_token.is_empty() {
        let why = "应答里没有 access_token".to_owned();
        return Err(WechatError::Unknown(why));
    }
    let life = Duration::from_secs(answer.expires_in);
    // A short rest of a life is used by half, so that no call asks for a token of its own.
    let serves = life.saturating_sub(RENEW_BEFORE).max(life / 2);
    Ok(AccessToken {
        text: Secret::new(answer.access_token),
        renew_at: now.plus(serves),
        ends_at: now.plus(life),
    })
}

/// The one holder of the token in this process.
#[derive(Debug, Default)]
pub struct TokenHolder {
    held: Mutex<Held>,
    fetches: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<AccessToken>,
    /// Which fetch failed last, and why.
    failed: Option<(u64, WechatError)>,
}

impl TokenHolder {
    /// The token that serves now; asked for with `fetch` when there is none. Whoever comes while
    /// it is being asked for waits for that one answer.
    ///
    /// # Errors
    /// What `fetch` gave, for all who waited for it.
    pub async fn token<F, Fut>(
        &self,
        clock: &Clock,
        fetch: F,
    ) -> Result<Secret<String>, WechatError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<AccessToken, WechatError>>,
    {
        let came = self.fetches.load(Ordering::Relaxed);
        let mut held = self.held.lock().await;
        let now = clock.now();
        if let Some(token) = held.token.as_ref().filter(|token| now < token.renew_at) {
            return Ok(token.text.clone());
        }
        if let Some((number, error)) = &held.failed
            && *number > came
        {
            return Err(error.clone());
        }
        let number = self.fetches.fetch_add(1, Ordering::Relaxed) + 1;
        match fetch().await {
            Ok(token) => {
                let text = token.text.clone();
                *held = Held {
                    token: Some(token),
                    failed: None,
                };
                Ok(text)
            }
            Err(error) => {
                let old = held.token.as_ref().filter(|token| now < token.ends_at);
                let old = old.map(|token| token.text.clone());
                held.failed = Some((number, error.clone()));
                old.ok_or(error)
            }
        }
    }

    /// Forgets `token`, which WeChat no longer takes; a newer one stays.
    pub async fn forget(&self, token: &Secret<String>) {
        let mut held = self.held.lock().await;
        let same = |held: &AccessToken| held.text.matches(token.reveal());
        if held.token.as_ref().is_some_and(same) {
            held.token = None;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;

    fn token(text: &str, expires_in: u64, clock: &Clock) -> Result<AccessToken, WechatError> {
        let body = format!(r#"{{"access_token":"{text}","expires_in":{expires_in}}}"#);
        read(200, body.as_bytes(), clock.now())
    }

    #[test]
    fn the_request_is_in_normal_mode_and_secret() {
        let appid = "wx8888888888888888".parse().unwrap();
        let body = body(&appid, &Secret::from("s"));
        let body: serde_json::Value = serde_json::from_str(body.reveal()).unwrap();
        let want = serde_json::json!({
            "grant_type": "client_credential", "appid": "wx8888888888888888",
            "secret": "s", "force_refresh": false,
        });
        assert_eq!(body, want);
    }

    #[test]
    fn an_answer_without_a_token_is_no_token() {
        let now = Timestamp::from_unix(0);
        for body in [
            "{}",
            r#"{"access_token":"","expires_in":7200}"#,
            r#"{"access_token":"a"}"#,
            r#"{"expires_in":1}"#,
        ] {
            let read = read(200, body.as_bytes(), now);
            assert!(matches!(read, Err(WechatError::Unknown(_))), "{body}");
        }
        let refused = read(200, br#"{"errcode":40164,"errmsg":"invalid ip"}"#, now);
        assert!(refused.unwrap_err().to_string().contains("白名单"));
        let good = read(200, br#"{"access_token":"sEcReT","expires_in":7200}"#, now).unwrap();
        assert!(!format!("{good:?}").contains("sEcReT"));
    }

    #[tokio::test]
    async fn a_token_serves_until_five_minutes_before_its_end() {
        let (clock, holder) = (Clock::system(), TokenHolder::default());
        let first = holder.token(&clock, || async { token("a", 7200, &clock) });
        assert_eq!(first.await.unwrap().reveal(), "a");
        clock.advance(6890);
        let still = holder.token(&clock, || async { panic!("asked again") });
        assert_eq!(still.await.unwrap().reveal(), "a");
        clock.advance(20);
        let next = holder.token(&clock, || async { token("b", 7200, &clock) });
        assert_eq!(next.await.unwrap().reveal(), "b");
    }

    #[tokio::test]
    async fn a_renewal_that_fails_leaves_the_old_token_to_its_end() {
        let (clock, holder) = (Clock::system(), TokenHolder::default());
        let lost = || Err(WechatError::Unknown("502".into()));
        let first = holder.token(&clock, || async { token("a", 7200, &clock) });
        first.await.unwrap();
        clock.advance(7000);
        let old = holder.token(&clock, || async { lost() }).await;
        assert_eq!(old.unwrap().reveal(), "a");
        clock.advance(300);
        let ended = holder.token(&clock, || async { lost() }).await;
        assert!(matches!(ended, Err(WechatError::Unknown(_))));
    }

    #[tokio::test]
    async fn all_who_come_at_once_share_one_fetch_whether_it_succeeds_or_fails() {
        for good in [true, false] {
            let (clock, holder) = (Clock::system(), Arc::new(TokenHolder::default()));
            let asked = Arc::new(AtomicU64::new(0));
            let one = |_| {
                let (clock, holder, asked) = (clock.clone(), holder.clone(), asked.clone());
                tokio::spawn(async move {
                    let fetch = || async {
                        asked.fetch_add(1, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                        match good {
                            true => token("a", 7200, &clock),
                            false => Err(WechatError::Unknown("502".into())),
                        }
                    };
                    holder.token(&clock, fetch).await.is_ok()
                })
            };
            for task in (0..20).map(one).collect::<Vec<_>>() {
                assert_eq!(task.await.unwrap(), good);
            }
            // The first, and those who came while it was under way share the next.
            let most = if good { 1 } else { 2 };
            assert!(asked.load(Ordering::Relaxed) <= most, "{asked:?}");
        }
    }

    #[tokio::test]
    async fn only_the_token_that_was_refused_is_forgotten() {
        let (clock, holder) = (Clock::system(), TokenHolder::default());
        let first = holder.token(&clock, || async { token("a", 7200, &clock) });
        let first = first.await.unwrap();
        holder.forget(&Secret::from("older")).await;
        let same = holder.token(&clock, || async { panic!("asked again") });
        assert_eq!(same.await.unwrap().reveal(), "a");
        holder.forget(&first).await;
        let next = holder.token(&clock, || async { token("b", 7200, &clock) });
        assert_eq!(next.await.unwrap().reveal(), "b");
    }
}
