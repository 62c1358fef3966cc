//! Telling webhooks: signed, at least once, in order per order, again and again for three days.
//!
//! What waits lies in the outbox of its endpoint. One endpoint is told one thing at a time; what is
//! about an order waits for what came before about it, and a thing that an endpoint will not take
//! holds up nothing else. An endpoint that fails is left alone for longer and longer.
//!
//! Source: Standard Webhooks · Specification (headers, signature, retries).

use std::time::Duration;

use data_encoding::BASE64;

use super::{Shop, ShopError};
use crate::base::{Secret, Timestamp, hash};
use crate::store::due::{self, Due, Work};
use crate::store::webhooks::{self, Endpoint, Entry, State};
use crate::store::{StoreError, Tx};
use crate::web::{Method, Outgoing};

/// The longest that one call may take.
const WITHIN: Duration = Duration::from_secs(10);
/// The largest answer read; it is not looked at.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
/// How long an endpoint may fail, and a thing may wait, before it is given up.
const PATIENCE: Duration = Duration::from_secs(3 * 86_400);
/// How much of what waits is looked at.
const LOOK: usize = 200;
/// How much one turn tells; then other work has its turn.
const TURN: usize = 20;
/// The pauses after failures in a row, in seconds; the last one stays.
const PAUSES_S: [u64; 8] = [5, 30, 120, 600, 1800, 3600, 7200, 14_400];
/// The status by which an endpoint says that it wants nothing any more.
const GONE: u16 = 410;

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// It was taken.
    Well,
    /// It was not, and may be later.
    Badly(String),
    /// The endpoint wants nothing any more.
    Gone,
}

impl Shop {
    /// Tells an endpoint what waits for it, as much as one turn allows.
    ///
    /// # Errors
    /// Store errors; what was told and not written down is told again.
    pub(super) async fn due_webhook(&self, due: Due) -> Result<(), ShopError> {
        let Work::Webhook(id) = due.work else {
            return Ok(());
        };
        for _ in 0..TURN {
            let now = self.clock.now();
            let Some((endpoint, serial, entry)) = self.next_to_tell(id, now).await? else {
                break;
            };
            let told = self.tell_webhook(&endpoint, serial, &entry).await;
            let went_well = told == Told::Well;
            self.note_delivery((endpoint, serial), entry, told).await?;
            if !went_well {
                break;
            }
        }
        let now = self.clock.now();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            due::unschedule(tx, due.at, &due.work);
            plan(tx, id, now).map_err(ShopError::from)
        });
        write.await
    }

    /// The first thing that may be told now.
    async fn next_to_tell(
        &self,
        id: u64,
        now: Timestamp,
    ) -> Result<Option<(Endpoint, u64, Entry)>, ShopError> {
        let read = self.store.read(move |view| {
            let Some(endpoint) = webhooks::endpoint(view, id)? else {
                return Ok::<_, ShopError>(None);
            };
            let paused = endpoint.state.pause_until.is_some_and(|until| now < until);
            if paused || endpoint.state.dead.is_some() {
                return Ok(None);
            }
            let waiting = webhooks::waiting(view, id, LOOK)?;
            let heads = heads(waiting).into_iter();
            let ready = heads.filter(|(_, entry)| entry.next_at <= now);
            // What was never refused comes first, so that what is refused starves nothing.
            let found = ready.min_by_key(|(serial, entry)| (entry.tries, *serial));
            Ok(found.map(|(serial, entry)| (endpoint, serial, entry)))
        });
        read.await
    }

    async fn tell_webhook(&self, endpoint: &Endpoint, serial: u64, entry: &Entry) -> Told {
        let Ok(secret) = endpoint.secret(&self.settings.field_key) else {
            return Told::Badly("密钥用现在的 field_key 解不开".to_owned());
        };
        let id = message_id(endpoint.id, serial, entry.at);
        let request = signed((&endpoint.url, &secret), &id, &entry.body, self.clock.now());
        let hooks = &self.settings.hooks;
        match hooks.send(request, WITHIN, ANSWER_MAX_BYTES).await {
            Ok(answer) if (200..300).contains(&answer.status) => Told::Well,
            Ok(answer) if answer.status == GONE => Told::Gone,
            Ok(answer) => Told::Badly(format!("HTTP {}", answer.status)),
            Err(error) => Told::Badly(error.to_string()),
        }
    }

    async fn note_delivery(
        &self,
        (endpoint, serial): (Endpoint, u64),
        entry: Entry,
        told: Told,
    ) -> Result<(), ShopError> {
        let (id, now, event) = (endpoint.id, self.clock.now(), entry.event.clone());
        self.metrics.webhook(told_word(&told));
        match &told {
            Told::Well => tracing::debug!(webhook = id, event, "webhook 已送达"),
            Told::Badly(why) => {
                tracing::warn!(webhook = id, event, why, "webhook 未送达，稍后再送");
            }
            Told::Gone => tracing::warn!(webhook = id, event, "webhook 端点答 410，不再发送"),
        }
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            // It may have been removed or changed while it was called.
            let Some(known) = webhooks::endpoint(tx, id)? else {
                return Ok::<_, ShopError>(());
            };
            match &told {
                Told::Well => {
                    webhooks::forget(tx, id, serial)?;
                    if known.state.failures > 0 {
                        webhooks::put(tx, &known.faring(State::default()))?;
                    }
                }
                Told::Badly(why) => {
                    let (tried, state) = (tried(&entry, now), failed(&known.state, why, now));
                    let old = now.since(entry.at) >= PATIENCE;
                    // Where nothing else is taken either, the endpoint is at fault: what it misses
                    // is kept for its replay.
                    if old && known.state.failures == 0 {
                        webhooks::forget(tx, id, serial)?;
                    } else {
                        webhooks::put_entry(tx, (id, serial), &tried)?;
                    }
                    webhooks::put(tx, &known.faring(state))?;
                }
                Told::Gone => {
                    let dead = Some("对方答 410，不再接收".to_owned());
                    let state = State {
                        dead,
                        ..known.state.clone()
                    };
                    webhooks::put(tx, &known.faring(state))?;
                }
            }
            Ok(())
        });
        write.await
    }
}

/// Plans the next turn of an endpoint, if anything waits for it; what waits for none is removed.
fn plan(tx: &mut Tx<'_>, id: u64, now: Timestamp) -> Result<(), StoreError> {
    let waiting = webhooks::waiting(tx, id, LOOK)?;
    let Some(endpoint) = webhooks::endpoint(tx, id)? else {
        let more = waiting.len() == LOOK;
        for (serial, _) in waiting {
            webhooks::forget(tx, id, serial)?;
        }
        if more {
            due::schedule(tx, now.plus(Duration::from_secs(1)), &Work::Webhook(id), 0);
        }
        return Ok(());
    };
    let first = heads(waiting)
        .into_iter()
        .map(|(_, entry)| entry.next_at)
        .min();
    let (None, Some(first)) = (&endpoint.state.dead, first) else {
        return Ok(());
    };
    let at = first
        .max(endpoint.state.pause_until.unwrap_or(first))
        .max(now);
    due::schedule(tx, at, &Work::Webhook(id), 0);
    Ok(())
}

/// The first of each lane, in order.
fn heads(waiting: Vec<(u64, Entry)>) -> Vec<(u64, Entry)> {
    let mut heads: Vec<(u64, Entry)> = vec![];
    for (serial, entry) in waiting {
        if !heads.iter().any(|(_, head)| head.lane == entry.lane) {
            heads.push((serial, entry));
        }
    }
    heads
}

fn pause(failures: u32) -> Duration {
    let place = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let last = PAUSES_S.len() - 1;
    Duration::from_secs(PAUSES_S[place.min(last)])
}

fn tried(entry: &Entry, now: Timestamp) -> Entry {
    let tries = entry.tries.saturating_add(1);
    Entry {
        tries,
        next_at: now.plus(pause(tries)),
        ..entry.clone()
    }
}

fn failed(state: &State, why: &str, now: Timestamp) -> State {
    let failures = state.failures.saturating_add(1);
    let since = state.failing_since.unwrap_or(now);
    let dead = (now.since(since) >= PATIENCE).then(|| format!("三天没有送达（{why}）"));
    State {
        failures,
        failing_since: Some(since),
        pause_until: Some(now.plus(pause(failures))),
        dead: state.dead.clone().or(dead),
    }
}

fn told_word(told: &Told) -> &'static str {
    match told {
        Told::Well => "ok",
        Told::Badly(_) => "failed",
        Told::Gone => "gone",
    }
}

/// Names one message: the same at each try. The second keeps numbers apart that an older copy gives
/// out again.
fn message_id(endpoint: u64, serial: u64, at: Timestamp) -> String {
    format!("msg_{endpoint}_{serial}_{}", at.unix())
}

/// Source: Standard Webhooks · Webhook Headers, Signature scheme (v1).
fn signed(
    (url, secret): (&str, &Secret<Vec<u8>>),
    id: &str,
    body: &str,
    now: Timestamp,
) -> Outgoing {
    let at = now.unix();
    let text = format!("{id}.{at}.{body}");
    let tag = hash::hmac_sha256(secret.reveal(), text.as_bytes());
    Outgoing {
        method: Method::POST,
        url: url.to_owned(),
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", format!("v1,{}", BASE64.encode(&tag))),
        ],
        body: body.as_bytes().to_vec(),
    }
}

#[cfg(test)]
#[path = "deliver_tests.rs"]
mod tests;
