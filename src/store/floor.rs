//! Numbers that an older copy of the store must not give out again.
//!
//! A copy does not know what the original gave out after it was made: uids and goods ids would
//! come again for other people and other goods. So whenever what is opened may be older than what
//! was last served from it, its counters are raised to the milliseconds since 2024.
//!
//! Why that is enough: a counter starts at 1 or at such a floor, and grows by less than a thousand
//! a second on average, so at each moment it stands below the floor of that moment; whatever the
//! original gave out before the copy was opened lies below the copy's floor. Numbers stay below
//! 2^53, which JSON readers keep exactly, for 285,000 years.
//!
//! A directory may be older when it is a copy, and when its working set had to be built anew: an
//! older journal that was laid over the newer one looks like one that was killed. Not seen is a
//! whole disk set back to a moment when the store was closed.

use super::codec;
use super::counters::{self, Counter};
use super::records::NumberRecord;
use super::tx::Change;
use super::working_set::SledSet;

/// 2024-01-01T00:00:00Z in milliseconds since 1970.
const SINCE_MS: i64 = 1_704_067_200_000;

/// The counters whose numbers are known outside of the store.
const RAISED: [Counter; 2] = [Counter::Uid, Counter::Goods];

/// Raises the counters in `set` to the floor of `now_ms`, milliseconds since 1970.
///
/// The journal is not told: a start that does not trust the working set raises them again.
///
/// # Errors
/// What sled said, or which record is damaged.
pub(super) fn raise(set: &SledSet, now_ms: i64) -> Result<(), String> {
    let floor = u64::try_from(now_ms.saturating_sub(SINCE_MS)).unwrap_or(0);
    for counter in RAISED {
        let key = counters::key(counter);
        let last = counters::number(set, &key).map_err(|error| error.to_string())?;
        let raised = NumberRecord::V1(floor.max(last.unwrap_or(0)));
        let value = codec::value(&key, &raised);
        set.apply(std::iter::once((key, Change::Put(value))), None)?;
    }
    Ok(())
}
