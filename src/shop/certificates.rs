//! Keeping WeChat's platform certificates fresh: on disk for the next start, from WeChat hourly.

use std::sync::Arc;
use std::time::Duration;

use super::{Shop, ShopError};
use crate::store::{StoreError, Tx, certificates};
use crate::wechat::{PlatformCertificate, Refreshed, Trace};

/// Between two downloads; WeChat wants less than twelve hours.
///
/// Source: 微信支付 APIv3 · 平台证书更换.
const EVERY: Duration = Duration::from_secs(3600);
/// After a download that failed.
const RETRY: Duration = Duration::from_secs(60);

/// Takes up what was kept, then downloads for as long as it is let; ends at once for a merchant
/// whose signatures are verified without certificates.
pub(super) async fn keep(shop: Arc<Shop>) {
    if let Err(error) = shop.take_up_certificates().await {
        tracing::error!(%error, "存下的平台证书未能读取");
    }
    loop {
        let pause = match shop.renew_certificates().await {
            Ok(Refreshed::NotWanted) => return,
            Ok(Refreshed::NothingNew | Refreshed::Renewed(_)) => EVERY,
            Err(error) => {
                tracing::warn!(%error, "平台证书未能更新，稍后重试");
                RETRY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

impl Shop {
    /// Believes the certificates kept before, as far as they are still valid.
    ///
    /// # Errors
    /// Store errors.
    pub async fn take_up_certificates(&self) -> Result<(), ShopError> {
        let read = self
            .store
            .read(|view| certificates::all(view).map_err(ShopError::from));
        let kept: Vec<_> = read
            .await?
            .iter()
            .filter_map(|pem| PlatformCertificate::from_pem(pem).ok())
            .collect();
        self.wechat.adopt_certificates(kept, self.clock.now());
        Ok(())
    }

    /// Downloads the certificates and keeps them.
    ///
    /// # Errors
    /// WeChat's and the store's; what was known stays known and kept.
    pub async fn renew_certificates(&self) -> Result<Refreshed, ShopError> {
        let trace = Trace::new(&self.clock);
        let refreshed = self.wechat.refresh_certificates(&trace).await?;
        if let Refreshed::Renewed(_) = refreshed {
            let known = self.wechat.platform_certificates();
            let known: Vec<_> = known.into_iter().map(|c| (c.serial, c.pem)).collect();
            let write = self.store.write(move |tx: &mut Tx<'_>| {
                certificates::keep(tx, &known).map_err(|error: StoreError| ShopError::from(error))
            });
            write.await?;
        }
        Ok(refreshed)
    }
}
