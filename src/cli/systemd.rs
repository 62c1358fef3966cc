//! What systemd is told: ready, still alive, more time please, stopping. Without systemd, nothing.
//!
//! Source: sd_notify(3), systemd.service(5) · Type=notify, WatchdogSec=.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::shop::Shop;

/// How much time a step of the start asks for; the next step asks again.
const STEP: Duration = Duration::from_secs(60);

/// The listeners are open.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The start goes on, and takes longer than systemd would wait.
pub(super) fn starting() {
    let usec = u32::try_from(STEP.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::ExtendTimeoutUsec(usec)]);
}

/// No more requests are taken.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells that this process lives, twice in the time systemd allows, as long as the store can
/// write. A runtime that stands still tells nothing, and is started anew.
pub(super) async fn stay_alive(shop: Arc<Shop>) {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        if shop.health().is_ok() {
            tell(&[NotifyState::Watchdog]);
        }
        tokio::time::sleep(within / 2).await;
    }
}

/// A message that does not arrive changes nothing here: systemd decides what follows.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(why) = sd_notify::notify(state) {
        tracing::debug!(%why, "systemd 没有收到状态");
    }
}
