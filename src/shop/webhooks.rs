//! Webhook endpoints as the merchant enters, lists and removes them. Telling is in `deliver`.

use data_encoding::BASE64;

use super::{Shop, ShopError};
use crate::base::{Secret, Timestamp, secret};
use crate::model::Refusal;
use crate::store::Tx;
use crate::store::due::{self, Work};
use crate::store::webhooks::{self, Endpoint, Entry, NewEndpoint, State};
use crate::web::BadTarget;

/// The most endpoints.
const MOST: usize = 20;
/// How much of what waits is tried again at once; the rest has its own time.
const AGAIN: usize = 1000;
/// The longest URL, bytes.
const URL_MAX: usize = 1000;
/// The most names of events.
const EVENTS_MAX: usize = 50;

/// What a name of an event may start with; a name is one of these, or a start that ends with `*`.
const EVENTS: [&str; 7] = [
    "order.created",
    "order.paid",
    "order.closed",
    "order.shipped",
    "order.completed",
    "refund.success",
    "alert.cleared",
];

/// An endpoint as it is shown once.
pub struct NewWebhook {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// `whsec_` and base64: what its messages are verified with.
    pub secret: Secret<String>,
}

impl Shop {
    /// Enters an endpoint.
    ///
    /// # Errors
    /// [`Refusal::FieldInvalid`] for an address that may not be called, a name that is none, or too
    /// many endpoints; store errors.
    pub async fn create_webhook(
        &self,
        url: String,
        events: Vec<String>,
        now: Timestamp,
    ) -> Result<NewWebhook, ShopError> {
        if url.len() > URL_MAX {
            return Err(invalid("url", "最多 1000 字节"));
        }
        self.settings.hooks.check(&url).map_err(bad_target)?;
        check_events(&events)?;
        let bytes: [u8; 32] = secret::random();
        let shown = Secret::new(format!("whsec_{}", BASE64.encode(&bytes)));
        let (key, secret) = (self.field_key(), Secret::new(bytes.to_vec()));
        let new = NewEndpoint {
            url,
            events,
            secret,
        };
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            if webhooks::endpoints(tx)?.len() >= MOST {
                return Err(invalid("url", "最多 20 个端点，请先删除不用的"));
            }
            Ok(webhooks::insert(tx, &key, &new, now)?)
        });
        Ok(NewWebhook {
            endpoint: write.await?,
            secret: shown,
        })
    }

    /// All endpoints, the newest first.
    ///
    /// # Errors
    /// Store errors.
    pub async fn webhooks(&self) -> Result<Vec<Endpoint>, ShopError> {
        let read = self
            .store
            .read(|view| webhooks::endpoints(view).map_err(ShopError::from));
        let mut all = read.await?;
        all.reverse();
        Ok(all)
    }

    /// Removes an endpoint; `false` when there is none.
    ///
    /// # Errors
    /// Store errors.
    pub async fn remove_webhook(&self, id: u64, now: Timestamp) -> Result<bool, ShopError> {
        let write = self
            .store
            .write(move |tx: &mut Tx<'_>| webhooks::remove(tx, id, now).map_err(ShopError::from));
        write.await
    }

    /// Calls an endpoint again that was given up or is left alone, from the first thing that it
    /// missed; `false` when there is none.
    ///
    /// # Errors
    /// Store errors.
    pub async fn replay_webhook(&self, id: u64, now: Timestamp) -> Result<bool, ShopError> {
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            let Some(endpoint) = webhooks::endpoint(tx, id)? else {
                return Ok::<_, ShopError>(false);
            };
            webhooks::put(tx, &endpoint.faring(State::default()))?;
            for (serial, entry) in webhooks::waiting(tx, id, AGAIN)? {
                let again = Entry {
                    tries: 0,
                    next_at: now,
                    ..entry
                };
                webhooks::put_entry(tx, (id, serial), &again)?;
            }
            due::schedule(tx, now, &Work::Webhook(id), 0);
            Ok(true)
        });
        write.await
    }
}

fn check_events(events: &[String]) -> Result<(), ShopError> {
    if events.is_empty() || events.len() > EVENTS_MAX {
        return Err(invalid("events", "1 到 50 个事件名"));
    }
    let rule = "事件名如 order.paid、refund.success、alert.disk_low，或以 * 结尾的前缀，如 order.*";
    match events.iter().all(|event| is_event(event)) {
        true => Ok(()),
        false => Err(invalid("events", rule)),
    }
}

fn is_event(event: &str) -> bool {
    let (start, whole) = match event.strip_suffix('*') {
        Some(start) => (start, false),
        None => (event, true),
    };
    let kind = start.strip_prefix("alert.").unwrap_or_default();
    let alert = kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && kind.len() <= 40;
    let named = |known: &str| {
        if whole {
            known == start
        } else {
            known.starts_with(start)
        }
    };
    EVENTS.iter().any(|known| named(known)) || (alert && !kind.is_empty())
}

fn invalid(field: &'static str, rule: &'static str) -> ShopError {
    Refusal::FieldInvalid { field, rule }.into()
}

fn bad_target(why: BadTarget) -> ShopError {
    invalid(
        "url",
        match why {
            BadTarget::NoUrl => "须是完整的网址，如 https://shop.example.com/hook",
            BadTarget::Extra => "网址里不能有用户名、密码或 #",
            BadTarget::NotHttps => "须以 https:// 开头；http:// 只许发往本机回环地址",
            BadTarget::Private => "不能是内网地址；确需时把网段写进 [webhooks] private_networks",
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_of_ours_or_the_start_of_one() {
        for good in ["*", "order.*", "order.paid", "refund.success", "alert.*"] {
            assert!(is_event(good), "{good}");
        }
        for good in ["alert.disk_low", "alert.cleared", "o*", "alert.disk*"] {
            assert!(is_event(good), "{good}");
        }
        for bad in [
            "",
            "order",
            "order.gone",
            "order.*.x",
            "x*",
            "alert.",
            "alert.X",
            "ORDER.*",
        ] {
            assert!(!is_event(bad), "{bad}");
        }
    }
}
