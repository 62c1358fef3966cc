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
            Err(error) if is_ours(&error) => {
                tracing::error!(alarm = true, %error, "平台证书下载被拒绝，请检查配置");
                EVERY
            }
            Err(error) => {
                tracing::warn!(%error, "平台证书未能更新，稍后重试");
                RETRY
            }
        };
        let again = shop.clock.sleep(pause);
        tokio::pin!(again);
        loop {
            tokio::select! {
                () = &mut again => break,
                () = shop.wechat.learned_certificates() => {
                    if let Err(error) = shop.keep_certificates().await {
                        tracing::error!(%error, "学到的平台证书未能存下，下次下载再存");
                    }
                }
            }
        }
    }
}

/// Whether only the operator can mend it: asking again soon would change nothing.
fn is_ours(error: &ShopError) -> bool {
    match error {
        ShopError::Wechat(error) => error.cause().is_some(),
        _ => false,
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
            self.keep_certificates().await?;
        }
        Ok(refreshed)
    }

    /// Keeps the certificates that are known now.
    async fn keep_certificates(&self) -> Result<(), ShopError> {
        let known = self.wechat.platform_certificates();
        let known: Vec<_> = known.into_iter().map(|c| (c.serial, c.pem)).collect();
        let write = self.store.write(move |tx: &mut Tx<'_>| {
            certificates::keep(tx, &known).map_err(|error: StoreError| ShopError::from(error))
        });
        write.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Clock;
    use crate::shop::tests::settings_of;
    use crate::store::Store;
    use crate::store::tokens::Tokens;
    use crate::web::Client;
    use crate::wechat::peer::{Peer, config, http};
    use crate::wechat::{Trust, VerifyWith, Version, Wechat, peer_certificates};

    /// A shop in certificate mode over `store`, whose WeChat is at `base`.
    fn shop(store: &Store, base: &str) -> Arc<Shop> {
        let trust = Trust::new(VerifyWith::Certificate, None);
        let config = config(base, Version::V3, trust);
        let settings = settings_of(config.appid.clone());
        let tokens = Arc::new(Tokens::new(store.clone(), settings.field_key.clone()));
        let wechat = Wechat::new(Client::new().unwrap(), config);
        Shop::new(store.clone(), tokens, wechat, Clock::system(), settings)
    }

    #[tokio::test]
    async fn a_restart_knows_the_certificates_while_wechat_gives_none() {
        let store = Store::memory();
        let peer = Peer::answering(vec![peer_certificates::list(), http(503, "", "")]);
        let first = shop(&store, &peer.base);
        assert_eq!(
            first.renew_certificates().await.ok(),
            Some(Refreshed::Renewed(1))
        );
        let second = shop(&store, &peer.base);
        second.take_up_certificates().await.unwrap();
        assert!(second.renew_certificates().await.is_err());
        assert_eq!(second.wechat.platform_certificates().len(), 1);
        let kept = store.read(|view| certificates::all(view)).await.unwrap();
        assert_eq!(kept.len(), 1);
    }
}
