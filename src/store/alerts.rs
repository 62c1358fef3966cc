//! What the operator was told of and lasts, and payments that no notify told of: kept, so that a
//! restart neither repeats an alert nor forgets that one ended.

use serde::{Deserialize, Serialize};

use super::codec::{self, Record, collect};
use super::{KeyRange, Read, StoreError, Tx, keys, keys_watch};
use crate::base::Timestamp;

/// An alert that lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Which: its kind, and after a colon what it is about where there are several.
    pub name: String,
    /// How bad it is: it is told again when this grows.
    pub grade: u8,
    /// Since when.
    pub since: Timestamp,
    /// When it was last told.
    pub told_at: Timestamp,
    /// What was told.
    pub said: String,
}

/// Payments found by asking, since the last notify that held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// How many.
    pub payments: u64,
    /// When the first was found.
    pub since: Timestamp,
}

#[derive(Serialize, Deserialize)]
pub(super) enum StandingRecord {
    V1(Standing),
}

impl Record for StandingRecord {
    const KIND: &'static str = "alert";
    const LONG: bool = true;
}

#[derive(Serialize, Deserialize)]
pub(super) enum SilenceRecord {
    V1(Silence),
}

impl Record for SilenceRecord {
    const KIND: &'static str = "silence of notifies";
    const LONG: bool = false;
}

/// All alerts that last.
///
/// # Errors
/// [`StoreError`].
pub fn standing(read: &impl Read) -> Result<Vec<Standing>, StoreError> {
    let kept = collect(read, &KeyRange::prefix(&[keys::ALERT]), usize::MAX)?;
    let standing = kept.into_iter().map(|(key, value)| {
        codec::decode(read, &key, &value).map(|StandingRecord::V1(standing)| standing)
    });
    standing.collect()
}

/// Keeps an alert, new or told again.
///
/// # Errors
/// [`StoreError`].
pub fn put(tx: &mut Tx<'_>, standing: &Standing) -> Result<(), StoreError> {
    let record = StandingRecord::V1(standing.clone());
    codec::put(tx, keys_watch::alert(&standing.name), &record)
}

/// Forgets an alert that ended.
///
/// # Errors
/// [`StoreError`].
pub fn end(tx: &mut Tx<'_>, name: &str) -> Result<(), StoreError> {
    codec::delete::<StandingRecord>(tx, keys_watch::alert(name))
}

/// The payments that no notify told of; `None` when the last one was told.
///
/// # Errors
/// [`StoreError`].
pub fn silence(read: &impl Read) -> Result<Option<Silence>, StoreError> {
    let record = codec::get::<SilenceRecord>(read, &keys_watch::silence())?;
    Ok(record.map(|SilenceRecord::V1(silence)| silence))
}

/// Notes a payment that was found by asking.
///
/// # Errors
/// [`StoreError`].
pub fn found_by_asking(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    let before = silence(tx)?.unwrap_or(Silence {
        payments: 0,
        since: now,
    });
    let after = Silence {
        payments: before.payments.saturating_add(1),
        ..before
    };
    codec::put(tx, keys_watch::silence(), &SilenceRecord::V1(after))
}

/// Notes that a notify held: nothing is written unless there was silence.
///
/// # Errors
/// [`StoreError`].
pub fn told_by_notify(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    if silence(tx)?.is_some() {
        codec::delete::<SilenceRecord>(tx, keys_watch::silence())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::samples::{at, write};

    #[tokio::test]
    async fn silence_grows_from_its_first_payment_until_a_notify_holds() {
        let store = Store::memory();
        let silent = || store.read(|view| silence(view));
        for (second, payments) in [(5, 1), (9, 2)] {
            write(&store, move |tx| Ok(found_by_asking(tx, at(second))?)).await;
            let since = at(5);
            assert_eq!(silent().await, Ok(Some(Silence { payments, since })));
        }
        write(&store, |tx| Ok(told_by_notify(tx)?)).await;
        assert_eq!(silent().await, Ok(None));
    }

    #[tokio::test]
    async fn an_alert_is_kept_under_its_name_until_it_ends() {
        let store = Store::memory();
        let alert = |name: &str, grade| Standing {
            name: name.to_owned(),
            grade,
            since: at(0),
            told_at: at(1),
            said: "磁盘快满了".to_owned(),
        };
        for one in [
            alert("disk_low", 1),
            alert("webhook_dead:3", 1),
            alert("disk_low", 2),
        ] {
            write(&store, move |tx| Ok(put(tx, &one)?)).await;
        }
        let all = || store.read(|view| standing(view));
        let both = vec![alert("disk_low", 2), alert("webhook_dead:3", 1)];
        assert_eq!(all().await, Ok(both));
        write(&store, |tx| Ok(end(tx, "disk_low")?)).await;
        assert_eq!(all().await, Ok(vec![alert("webhook_dead:3", 1)]));
    }
}
