//! The certificate of the public listener: shown from files, taken anew when they change.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::check::{Doubt, doubts};
use super::config::{self, BadPair, Config, HttpListen, Tls, TlsFiles};
use super::exit::Failure;
use crate::base::Clock;
use crate::web::{self, Acme, AcmeConfig, Identity, OurNames, PlainListener};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What shows that a file is another one: device, inode, length, and when it changed.
type Stamp = (u64, u64, u64, i64, i64);

/// A listener's certificate, and the files it is from.
pub(super) struct FromFiles {
    tls: web::Tls,
    files: TlsFiles,
    /// Of the files that were last read, good or bad.
    read: [Option<Stamp>; 2],
}

/// What the public listener shows, and how it stays fresh.
pub(super) enum Certificate {
    /// From the merchant's files.
    Files(FromFiles),
    /// From an authority.
    Acme(Box<Acme>),
}

/// The certificate that `config` asks for, with the listener beside it that an authority may look
/// at; what a browser would not like of it is said aloud.
///
/// # Errors
/// [`Failure::Wrong`] when it cannot be shown.
pub(super) fn certificate(
    config: &Config,
    clock: &Clock,
    plain: Option<&PlainListener>,
) -> Result<Option<Certificate>, Failure> {
    match &config.server.tls {
        Tls::Off => Ok(None),
        Tls::Files(files) => {
            let (certificate, identity) = FromFiles::load(files.clone())?;
            let host = config::host_of(&config.server.public_url).unwrap_or_default();
            for Doubt { cause, remedy } in doubts(&identity, host, clock.now()) {
                tracing::error!("[server.tls] cert_file {}。处理：{}。", cause.zh, remedy.zh);
            }
            Ok(Some(Certificate::Files(certificate)))
        }
        Tls::Acme(asked) => {
            let asked = AcmeConfig {
                directory: asked.directory.clone(),
                roots: asked.roots.clone(),
                email: asked.email.clone(),
                names: asked.domains.clone(),
                dir: config.store.data_dir.join("acme"),
                has_plain: plain.is_some(),
            };
            let acme = Acme::open(asked, clock.clone());
            let acme = acme.map_err(|why| Failure::failed("无法启用 TLS", why))?;
            Ok(Some(Certificate::Acme(Box::new(acme))))
        }
    }
}

impl Certificate {
    /// What the listener shows.
    pub(super) fn tls(&self) -> &web::Tls {
        match self {
            Self::Files(files) => &files.tls,
            Self::Acme(acme) => acme.tls(),
        }
    }

    /// Keeps it fresh, for ever; `asked` is a SIGHUP.
    pub(super) async fn keep(self, asked: Arc<Notify>) {
        match self {
            Self::Files(files) => files.keep(asked).await,
            Self::Acme(acme) => acme.keep(asked).await,
        }
    }
}

/// The public listener's certificate, and the plain listener beside it.
pub(super) struct Secured {
    certificate: Certificate,
    plain: Option<PlainListener>,
    names: OurNames,
}

impl Secured {
    /// What `config` asks for, if it asks for TLS.
    ///
    /// # Errors
    /// [`Failure`]: a certificate that cannot be shown, an address that cannot be had.
    pub(super) async fn of(config: &Config, clock: &Clock) -> Result<Option<Self>, Failure> {
        let plain = plain(config).await?;
        let Some(certificate) = certificate(config, clock, plain.as_ref())? else {
            return Ok(None);
        };
        Ok(Some(Self {
            plain,
            names: our_names(config, certificate.tls()),
            certificate,
        }))
    }

    /// What the public listener shows.
    pub(super) fn tls(&self) -> &web::Tls {
        self.certificate.tls()
    }

    /// Where plain HTTP sends people to HTTPS, if it does.
    pub(super) fn plain(&self) -> Option<SocketAddr> {
        self.plain.as_ref().map(PlainListener::local_addr)
    }

    /// Keeps the certificate fresh and answers on the plain listener, for ever; `asked` is a
    /// SIGHUP.
    pub(super) async fn keep(self, asked: Arc<Notify>) {
        let tls = self.tls().clone();
        let answering = async {
            if let Some(plain) = self.plain {
                plain.serve(tls, self.names).await;
            }
        };
        tokio::join!(answering, self.certificate.keep(asked));
    }
}

async fn plain(config: &Config) -> Result<Option<PlainListener>, Failure> {
    let (listen, is_asked) = match (&config.server.tls, config.server.http_listen) {
        (Tls::Off, _) | (_, HttpListen::Nowhere) => return Ok(None),
        (_, HttpListen::IfFree(listen)) => (listen, false),
        (_, HttpListen::At(listen)) => (listen, true),
    };
    match PlainListener::bind(listen).await {
        Ok(bound) => Ok(Some(bound)),
        Err(why) if is_asked => {
            let what = format!("无法监听 [server.tls] http_listen {listen}");
            Err(Failure::failed(&what, why))
        }
        Err(why) => {
            tracing::warn!(%why, "无法监听 {listen}，不跳转到 https；只用 TLS-ALPN-01 申请证书");
            Ok(None)
        }
    }
}

/// Our names, each with where HTTPS is reached at it.
fn our_names(config: &Config, tls: &web::Tls) -> OurNames {
    let url = config.server.public_url.strip_prefix("https://");
    let at = url.map(|rest| rest.split('/').next().unwrap_or(rest));
    let host = config::host_of(&config.server.public_url);
    let listed = match &config.server.tls {
        Tls::Acme(acme) => acme.domains.clone(),
        Tls::Files(_) | Tls::Off => tls.standing().names,
    };
    let listed = listed.into_iter().filter(|name| config::is_domain(name));
    let port = config.server.listen.port();
    let mut names: OurNames = listed
        .map(|name| {
            let name = name.to_ascii_lowercase();
            let at = match port {
                443 | 0 => name.clone(),
                port => format!("{name}:{port}"),
            };
            (name, at)
        })
        .collect();
    if let (Some(host), Some(at)) = (host, at) {
        names.insert(host.to_ascii_lowercase(), at.to_owned());
    }
    names
}

impl FromFiles {
    /// Reads `files`.
    ///
    /// # Errors
    /// [`Failure::Wrong`] when they are no pair.
    fn load(files: TlsFiles) -> Result<(Self, Identity), Failure> {
        let read = stamps(&files);
        let identity = config::read_pair(&files).map_err(|bad| Failure::Wrong(shown(&bad)))?;
        let tls = web::Tls::showing(&identity);
        let tls = tls.map_err(|why| Failure::failed("无法启用 TLS", why))?;
        Ok((Self { tls, files, read }, identity))
    }

    /// Takes the files anew when they have changed or `asked` says so, for ever.
    async fn keep(mut self, asked: Arc<Notify>) {
        let mut seen = self.read;
        loop {
            tokio::select! {
                () = asked.notified() => self.take(),
                () = tokio::time::sleep(LOOK_EVERY) => {
                    let now = stamps(&self.files);
                    // Two files do not change at once: they are read when both have settled.
                    if now == seen && now != self.read {
                        self.take();
                    }
                    seen = now;
                }
            }
        }
    }

    /// Shows what the files hold now; what cannot be shown changes nothing.
    fn take(&mut self) {
        self.read = stamps(&self.files);
        match config::read_pair(&self.files) {
            Ok(identity) => {
                self.tls.show(&identity);
                tracing::info!(
                    names = identity.names().join(" "),
                    ends_at = %identity.ends_at(),
                    "已换上新证书"
                );
            }
            Err(bad) => {
                let why = shown(&bad);
                self.tls.failed(&why, None);
                tracing::error!("新证书不能用，仍用原来的证书：{why}");
            }
        }
    }
}

fn shown(bad: &BadPair) -> String {
    let BadPair { key, cause, remedy } = bad;
    format!("[server.tls] {key}：{cause}。处理：{remedy}。")
}

fn stamps(files: &TlsFiles) -> [Option<Stamp>; 2] {
    [stamp(&files.cert_file), stamp(&files.key_file)]
}

/// Of what a link leads to, so that a swapped link is a change.
fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    let changed = (found.mtime(), found.mtime_nsec());
    Some((found.dev(), found.ino(), found.size(), changed.0, changed.1))
}
