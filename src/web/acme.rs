//! Certificates from an authority (ACME): got, kept, renewed, without anybody asked.
//!
//! What was got is shown after a restart without asking anybody. As long as there is none, the
//! server runs and its handshakes fail; what was tried and when to try again is kept too.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::acme_client::Wire;
use super::acme_kept::Shelf;
use super::acme_order::{Desk, NoCertificate};
use super::acme_plan::{Attempts, Setback, Way, renewal_at};
use super::client::{Client, ClientError};
use super::tls::Tls;
use super::tls_identity::Identity;
use crate::base::secret::random_u64;
use crate::base::{Clock, Secret, Timestamp};

/// How often the clock is looked at: it may be moved.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The longest that one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(600);

/// How long after a failure one who mended something may ask for another attempt.
const AFTER_MENDING: Duration = Duration::from_secs(60);

/// Whom to ask for which names.
#[derive(Clone, Debug)]
pub struct AcmeConfig {
    /// The URL of the authority's directory.
    pub directory: String,
    /// The roots (PEM) that the authority itself is trusted by; empty: the public ones.
    pub roots: String,
    /// Whom the authority may write to; empty: nobody.
    pub email: String,
    /// The names of the certificate, in small letters, the main one first.
    pub names: Vec<String>,
    /// Where things are kept.
    pub dir: PathBuf,
    /// Whether there is a plain listener to be looked at, too.
    pub has_plain: bool,
}

/// A certificate of an authority, and how it is kept fresh.
pub struct Acme {
    config: AcmeConfig,
    clock: Clock,
    wire: Wire,
    shelf: Shelf,
    tls: Tls,
    attempts: Attempts,
    /// When the certificate that is shown is to be renewed; `None` when there is none.
    renew_at: Option<Timestamp>,
}

/// Why certificates cannot even be asked for.
#[derive(Debug, thiserror::Error)]
pub enum BadAcme {
    /// The roots are no PEM certificates.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// The system has no randomness.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl Acme {
    /// Takes what is kept; asks nobody.
    ///
    /// # Errors
    /// [`BadAcme`].
    pub fn open(config: AcmeConfig, clock: Clock) -> Result<Self, BadAcme> {
        let client = match &*config.roots {
            "" => Client::new()?,
            roots => Client::with_roots(roots)?,
        };
        let shelf = Shelf::new(&config.dir, &config.directory, &config.names);
        let mut acme = Self {
            wire: Wire::new(client, clock.clone()),
            tls: Tls::waiting()?,
            attempts: shelf.attempts(),
            renew_at: None,
            config,
            clock,
            shelf,
        };
        if let Some(pem) = acme.shelf.certificate() {
            acme.show_kept(&pem);
        }
        if let Some(why) = &acme.attempts.last_error {
            acme.tls.failed(why, acme.attempts.next_try_at);
        }
        Ok(acme)
    }

    /// What the listener shows.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    fn show_kept(&mut self, pem: &Secret<String>) {
        match Identity::from_pem(pem.reveal(), pem) {
            Ok(identity) => {
                tracing::info!(ends_at = %identity.ends_at(), "使用已存的证书");
                self.show(&identity, pem);
            }
            Err(why) => tracing::error!(%why, "已存的证书不能用，重新申请"),
        }
    }

    fn show(&mut self, identity: &Identity, pem: &Secret<String>) {
        let (starts, ends) = (identity.starts_at(), identity.ends_at());
        self.renew_at = Some(renewal_at(starts, ends, pem.reveal().as_bytes()));
        self.tls.show(identity);
    }

    /// Gets certificates when they are due, for ever; `asked` is one who mended something.
    pub async fn keep(mut self, asked: Arc<Notify>) {
        loop {
            let now = self.clock.now();
            let due = self.due_at(now);
            if due <= now {
                self.attempt(now).await;
                continue;
            }
            let wait = due.since(now).min(LOOK_EVERY);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = asked.notified() => self.asked(now),
            }
        }
    }

    fn due_at(&self, now: Timestamp) -> Timestamp {
        let wanted = self.renew_at.unwrap_or(now);
        self.attempts
            .next_try_at
            .map_or(wanted, |at| at.max(wanted))
    }

    /// Shortens the wait after a failure; a limit that the authority set stays.
    fn asked(&mut self, now: Timestamp) {
        if self.attempts.is_limited {
            tracing::warn!("证书机构限制了申请次数，到时才会再试");
            return;
        }
        if let Some(at) = &mut self.attempts.next_try_at {
            *at = (*at).min(now.plus(AFTER_MENDING));
            tracing::info!(at = %at, "将提前再申请证书");
        }
    }

    async fn attempt(&mut self, now: Timestamp) {
        tracing::info!(names = self.config.names.join(" "), "向证书机构申请证书");
        // A program that ends in the middle has tried, too.
        let chance = random_u64();
        let mut begun = self.attempts.clone();
        begun.failed(
            now,
            (Setback::Unreachable, "上次申请没有做完".to_owned()),
            chance,
        );
        self.keep_attempts(&begun);
        let ended = self.order().await;
        match ended {
            Ok((way, life)) => self.attempts.succeeded(way, self.clock.now(), life),
            Err(no) => {
                let (setback, why) = match no {
                    NoCertificate::NotSeen(why) => (Setback::Refused, why),
                    NoCertificate::Stopped(setback, why) => (setback, why),
                };
                let now = self.clock.now();
                self.attempts.failed(now, (setback, why), chance);
                self.tell_failure();
            }
        }
        let attempts = self.attempts.clone();
        self.keep_attempts(&attempts);
    }

    fn tell_failure(&self) {
        let why = self.attempts.last_error.as_deref().unwrap_or_default();
        let next = self.attempts.next_try_at;
        self.tls.failed(why, next);
        let next = next.map(|at| at.to_string()).unwrap_or_default();
        tracing::error!(
            "没有拿到证书：{why}。处理：检查域名是否解析到本机、443 与 80 端口能否从公网访问；\
             {next} 再试，修好后可用 systemctl reload 或 SIGHUP 提前。"
        );
    }

    async fn order(&mut self) -> Result<(Way, Duration), NoCertificate> {
        let desk = Desk {
            wire: &self.wire,
            shelf: &self.shelf,
            keys: self.tls.keys(),
            directory: &self.config.directory,
            email: &self.config.email,
            names: &self.config.names,
        };
        self.wire.forget();
        let ways = self.ways();
        let ordered = tokio::time::timeout(ATTEMPT, desk.order(&ways)).await;
        self.tls.keys().end_challenges();
        let late = || NoCertificate::Stopped(Setback::Refused, "证书机构太久没有办完".to_owned());
        let (pem, way) = ordered.unwrap_or_else(|_| Err(late()))?;
        let bad = |why: &dyn std::fmt::Display| {
            NoCertificate::Stopped(Setback::Refused, format!("拿到的证书不能用：{why}"))
        };
        let identity = Identity::from_pem(pem.reveal(), &pem).map_err(|why| bad(&why))?;
        if let Some(name) = self.config.names.iter().find(|name| !identity.covers(name)) {
            return Err(bad(&format!("不含 {name}")));
        }
        if let Err(why) = self.shelf.keep_certificate(&pem) {
            tracing::error!(%why, "新证书没有存下，重启后要再申请");
        }
        self.show(&identity, &pem);
        tracing::info!(ends_at = %identity.ends_at(), ?way, "拿到新证书，已换上");
        Ok((way, identity.ends_at().since(identity.starts_at())))
    }

    /// The ways to prove that the names are ours: the one that worked last comes first.
    fn ways(&self) -> Vec<Way> {
        let mut ways = vec![Way::TlsAlpn01];
        if self.config.has_plain {
            ways.push(Way::Http01);
            if self.attempts.way == Some(Way::Http01) {
                ways.reverse();
            }
        }
        ways
    }

    fn keep_attempts(&self, attempts: &Attempts) {
        if let Err(why) = self.shelf.keep_attempts(attempts) {
            tracing::error!(%why, "申请证书的进度没有存下");
        }
    }
}
