//! What changes rarely at WeChat's shipping service: the couriers, and whether it is switched on.
//!
//! Held in memory for a day. A list that could not be had is not asked for again for a minute.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Shop, ShopError};
use crate::base::Timestamp;
use crate::wechat::shipping_order::Company;
use crate::wechat::{Trace, WechatError};

/// How long an answer serves. Source: 小程序 · 获取运力 id 列表 (cache daily).
const SERVES: Duration = Duration::from_secs(86_400);
/// How long nobody asks again after a failure.
const QUIET: Duration = Duration::from_secs(60);
/// How long shipping waits for the list of couriers.
const LIST_WITHIN: Duration = Duration::from_secs(5);

/// The couriers as they were told.
pub(super) type Companies = Arc<Vec<Company>>;

/// The answers that serve now.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    companies: Mutex<Option<(Timestamp, Result<Companies, WechatError>)>>,
    managed: Mutex<Option<(Timestamp, bool)>>,
}

impl Remembered {
    fn companies(&self, now: Timestamp) -> Option<Result<Companies, WechatError>> {
        let held = self.companies.lock();
        let held = held.unwrap_or_else(PoisonError::into_inner).clone();
        let (at, answer) = held?;
        let serves = if answer.is_ok() { SERVES } else { QUIET };
        is_fresh(at, now, serves).then_some(answer)
    }

    fn keep_companies(&self, now: Timestamp, answer: Result<Companies, WechatError>) {
        let held = self.companies.lock();
        *held.unwrap_or_else(PoisonError::into_inner) = Some((now, answer));
    }

    fn managed(&self, now: Timestamp) -> Option<bool> {
        let held = self.managed.lock();
        let (at, managed) = (*held.unwrap_or_else(PoisonError::into_inner))?;
        is_fresh(at, now, SERVES).then_some(managed)
    }

    fn keep_managed(&self, now: Timestamp, managed: bool) {
        let held = self.managed.lock();
        *held.unwrap_or_else(PoisonError::into_inner) = Some((now, managed));
    }
}

/// A clock that was set back makes an answer old.
fn is_fresh(at: Timestamp, now: Timestamp, serves: Duration) -> bool {
    now >= at && now.since(at) < serves
}

impl Shop {
    /// The couriers that WeChat can trace.
    ///
    /// # Errors
    /// [`ShopError::Wechat`] while WeChat does not tell.
    pub async fn express_companies(&self) -> Result<Companies, ShopError> {
        let now = self.clock.now();
        if let Some(answer) = self.remembered.companies(now) {
            return Ok(answer?);
        }
        let trace = Trace::new(&self.clock);
        let asked = self.wechat.express_companies(&trace);
        let answer = tokio::time::timeout(LIST_WITHIN, asked).await;
        let late = WechatError::Unknown("微信没有在期限内给出快递公司列表".to_owned());
        let answer = answer.unwrap_or(Err(late)).map(Arc::new);
        self.remembered.keep_companies(now, answer.clone());
        Ok(answer?)
    }

    /// Whether the mini program must report its shipments, as WeChat said within the last day.
    pub(super) async fn is_trade_managed(&self, trace: &Trace<'_>) -> Result<bool, WechatError> {
        let now = self.clock.now();
        if let Some(managed) = self.remembered.managed(now) {
            return Ok(managed);
        }
        let managed = self.wechat.is_trade_managed(trace).await?;
        self.remembered.keep_managed(now, managed);
        Ok(managed)
    }

    /// The courier's name for buyers, when the list is at hand; else its id.
    pub(super) fn courier_name(&self, id: &str) -> String {
        let known = self.remembered.companies(self.clock.now());
        let known = known.and_then(Result::ok);
        let named = known
            .as_ref()
            .and_then(|all| all.iter().find(|c| c.id == id));
        named.map_or(id, |company| &company.name).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_serves_a_day_and_a_failure_a_minute() {
        let (held, at) = (Remembered::default(), Timestamp::from_unix);
        let list: Companies = Arc::new(vec![]);
        held.keep_companies(at(100), Ok(Arc::clone(&list)));
        assert_eq!(held.companies(at(86_499)), Some(Ok(list)));
        assert_eq!(held.companies(at(86_500)), None);
        assert_eq!(held.companies(at(99)), None);
        let lost = WechatError::NotSent(String::new());
        held.keep_companies(at(100), Err(lost.clone()));
        assert_eq!(held.companies(at(159)), Some(Err(lost)));
        assert_eq!(held.companies(at(160)), None);
        held.keep_managed(at(100), false);
        assert_eq!(held.managed(at(86_499)), Some(false));
        assert_eq!(held.managed(at(86_500)), None);
    }
}
