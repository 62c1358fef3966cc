//! Alerts, webhook endpoints, and what waits to be told to them.

use super::Auditor;
use crate::store::alerts::{SilenceRecord, StandingRecord};
use crate::store::webhooks::{EndpointRecord, OutboxRecord};
use crate::store::{Read, StoreError, keys_watch};

impl<R: Read> Auditor<'_, R> {
    pub(super) fn alert(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let StandingRecord::V1(standing) = self.decoded(value)?;
        if keys_watch::alert(&standing.name) != self.key {
            self.fault("记的是另一条告警");
        }
        Ok(())
    }

    pub(super) fn silence(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let SilenceRecord::V1(_) = self.decoded(value)?;
        Ok(())
    }

    pub(super) fn webhook(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let EndpointRecord::V1(endpoint) = self.decoded(value)?;
        self.numbers.webhook = self.numbers.webhook.max(endpoint.id);
        if keys_watch::webhook(endpoint.id) != self.key {
            self.fault("记的是另一个 webhook 端点");
        }
        Ok(())
    }

    pub(super) fn outbox(&mut self, value: &[u8]) -> Result<(), StoreError> {
        let OutboxRecord::V1(_) = self.decoded(value)?;
        let id = self.key.get(1..9).and_then(|id| id.try_into().ok());
        let id = id.map_or(0, u64::from_be_bytes);
        if !self.has(&keys_watch::webhook(id))? {
            self.fault("待发的 webhook 所属的端点不存在");
        }
        Ok(())
    }
}
