//! One certificate from an authority: account, order, proof that the names are ours, chain.
//!
//! The protocol is the crate's; here is what is shown to the authority and what is made of its
//! answers. Source: RFC 8555, RFC 8737.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;

use super::acme_client::{Wire, is_unreachable};
use super::acme_kept::Shelf;
use super::acme_plan::{Setback, Way};
use super::tls_keys::Keys;
use crate::base::Secret;

/// How long the authority may take to look, and to sign.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .timeout(Duration::from_secs(90));

/// How a rate limit is called. Source: RFC 8555 · 6.7.
const RATE_LIMITED: &str = "urn:ietf:params:acme:error:rateLimited";
/// The account is not known (any more). Source: RFC 8555 · 6.7.
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// What is needed to order a certificate.
pub(super) struct Desk<'a> {
    pub(super) wire: &'a Wire,
    pub(super) shelf: &'a Shelf,
    pub(super) keys: &'a Keys,
    /// The URL of the authority's directory.
    pub(super) directory: &'a str,
    pub(super) email: &'a str,
    pub(super) names: &'a [String],
}

/// Why there is no certificate.
#[derive(Debug)]
pub(super) enum NoCertificate {
    /// The authority did not see what it asked to see: another way may do.
    NotSeen(String),
    /// Anything else, and what it means for the next attempt.
    Stopped(Setback, String),
}

impl Desk<'_> {
    /// A key and its chain, as PEM, the names proved by one of `ways`, tried in their order.
    pub(super) async fn order(&self, ways: &[Way]) -> Result<(Secret<String>, Way), NoCertificate> {
        let account = self.account().await?;
        let mut unseen = vec![];
        for way in ways {
            let ordered = self.order_by(&account, *way).await;
            self.keys.end_challenges();
            match ordered {
                Ok(pem) => return Ok((pem, *way)),
                Err(NoCertificate::NotSeen(why)) => unseen.push(format!("{way:?}：{why}")),
                Err(stopped) => return Err(stopped),
            }
        }
        Err(NoCertificate::NotSeen(unseen.join("；")))
    }

    /// The account that was kept, or a new one.
    async fn account(&self) -> Result<Account, NoCertificate> {
        let builder = || Account::builder_with_http(Box::new(self.wire.clone()));
        let kept = self.shelf.account();
        let kept = kept.and_then(|kept| serde_json::from_str(kept.reveal()).ok());
        if let Some(kept) = kept {
            let account = builder().from_credentials(kept).await;
            return account.map_err(|error| self.stopped(&error));
        }
        let email = format!("mailto:{}", self.email);
        let contact: &[&str] = match self.email {
            "" => &[],
            _ => &[&email],
        };
        let wanted = NewAccount {
            contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let made = builder().create(&wanted, self.directory.to_owned(), None);
        let (account, made) = made.await.map_err(|error| self.stopped(&error))?;
        self.keep(&made);
        Ok(account)
    }

    fn keep(&self, made: &AccountCredentials) {
        let text = serde_json::to_string(made).map(Secret::new);
        let kept = text.map_err(Into::into);
        if let Err(why) = kept.and_then(|text| self.shelf.keep_account(&text)) {
            tracing::error!(%why, "证书机构的账户没有存下，下次启动会再注册一个");
        }
    }

    async fn order_by(&self, account: &Account, way: Way) -> Result<Secret<String>, NoCertificate> {
        let names: Vec<_> = self.names.iter().cloned().map(Identifier::Dns).collect();
        let order = account.new_order(&NewOrder::new(&names)).await;
        let mut order = order.map_err(|error| self.no_order(&error))?;
        self.prove(&mut order, way).await?;
        let ready = order.poll_ready(&PATIENCE).await;
        match ready {
            Ok(OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid) => {}
            Ok(OrderStatus::Pending | OrderStatus::Invalid) | Err(Error::Api(_)) => {
                return Err(NoCertificate::NotSeen(unseen(&mut order).await));
            }
            Err(error) => return Err(self.stopped(&error)),
        }
        let key = KeyPair::generate().map_err(no_key)?;
        let csr = request(self.names, &key).map_err(no_key)?;
        let stopped = |error: Error| self.stopped(&error);
        order.finalize_csr(&csr).await.map_err(stopped)?;
        let chain = order.poll_certificate(&PATIENCE).await.map_err(stopped)?;
        Ok(Secret::new(key.serialize_pem() + &chain))
    }

    /// Shows for each name what the authority asks to see, and says that it may look.
    async fn prove(&self, order: &mut Order, way: Way) -> Result<(), NoCertificate> {
        let stopped = |error: Error| self.stopped(&error);
        let mut all = order.authorizations();
        while let Some(next) = all.next().await {
            let mut next = next.map_err(stopped)?;
            match next.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                status => {
                    let why = format!("authorization is {status:?}");
                    return Err(NoCertificate::NotSeen(why));
                }
            }
            let wanted = match way {
                Way::TlsAlpn01 => ChallengeType::TlsAlpn01,
                Way::Http01 => ChallengeType::Http01,
            };
            let name = next.identifier().to_string();
            let Some(mut challenge) = next.challenge(wanted) else {
                let why = format!("{name}: not offered by the authority");
                return Err(NoCertificate::NotSeen(why));
            };
            let said = challenge.key_authorization();
            match way {
                Way::TlsAlpn01 => {
                    let shown = proof(&name, said.digest().as_ref()).map_err(no_key)?;
                    self.keys.challenge(&name, shown);
                }
                Way::Http01 => self.keys.answer(&challenge.token, said.as_str()),
            }
            challenge.set_ready().await.map_err(stopped)?;
        }
        Ok(())
    }

    fn no_order(&self, error: &Error) -> NoCertificate {
        if problem(error) == Some(NO_ACCOUNT) {
            self.shelf.forget_account();
        }
        self.stopped(error)
    }

    fn stopped(&self, error: &Error) -> NoCertificate {
        let setback = match problem(error) {
            Some(RATE_LIMITED) => Setback::Limited(self.wire.told()),
            None if is_unreachable(error) => Setback::Unreachable,
            _ if self.wire.told().is_some() => Setback::Limited(self.wire.told()),
            _ => Setback::Refused,
        };
        NoCertificate::Stopped(setback, error.to_string())
    }
}

fn problem(error: &Error) -> Option<&str> {
    match error {
        Error::Api(problem) => problem.r#type.as_deref(),
        _ => None,
    }
}

fn no_key(error: impl std::fmt::Display) -> NoCertificate {
    NoCertificate::Stopped(Setback::Refused, error.to_string())
}

/// What the authority says that it saw instead.
async fn unseen(order: &mut Order) -> String {
    let mut seen = vec![];
    let mut all = order.authorizations();
    while let Some(Ok(mut next)) = all.next().await {
        if next.refresh().await.is_err() {
            continue;
        }
        let name = next.identifier().to_string();
        let errors = next.challenges.iter().filter_map(|it| it.error.as_ref());
        seen.extend(errors.map(|error| format!("{name}: {error}")));
    }
    match seen.is_empty() {
        true => "the authority refused the order".to_owned(),
        false => seen.join("; "),
    }
}

/// The request for a certificate of `key` for `names`.
fn request(names: &[String], key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(key)?.der().to_vec())
}

/// The self-made certificate that proves to an authority that `name` is ours.
///
/// Source: RFC 8737 · 3.
fn proof(name: &str, digest: &[u8]) -> Result<Arc<CertifiedKey>, Box<dyn std::error::Error>> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let own = params.self_signed(&key)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    // The extension that proves it is critical: only an authority reads such a certificate.
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)?;
    let shown = CertifiedKey::new(vec![own.der().clone()], key);
    Ok(Arc::new(shown))
}
