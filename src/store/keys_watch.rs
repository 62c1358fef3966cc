//! The keys of what watches over the shop and tells of it: alerts, webhooks. Their place among all
//! others is in `keys`.

use super::keys::{ALERT, OUTBOX, SILENCE, WEBHOOK, key};

pub(super) fn webhook(id: u64) -> Vec<u8> {
    key(WEBHOOK, &[&id.to_be_bytes()])
}

/// Starts the keys of all that waits for an endpoint.
pub(super) fn outbox_of(id: u64) -> Vec<u8> {
    key(OUTBOX, &[&id.to_be_bytes()])
}

pub(super) fn outbox(id: u64, serial: u64) -> Vec<u8> {
    key(OUTBOX, &[&id.to_be_bytes(), &serial.to_be_bytes()])
}

pub(super) fn alert(name: &str) -> Vec<u8> {
    key(ALERT, &[name.as_bytes()])
}

/// Payments that no notify told of.
pub(super) fn silence() -> Vec<u8> {
    key(SILENCE, &[])
}
