//! The certificate of the public listener: shown from files, taken anew when they change.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::check::{Words, words};
use super::config::{self, BadPair, Config, Tls, TlsFiles};
use super::exit::Failure;
use crate::base::Timestamp;
use crate::web::{self, Identity};

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

/// The certificate that `config` asks for; what a browser would not like of it is said aloud.
///
/// # Errors
/// [`Failure::Wrong`] when it cannot be shown.
pub(super) fn of(config: &Config, now: Timestamp) -> Result<Option<FromFiles>, Failure> {
    let Tls::Files(files) = &config.server.tls else {
        return Ok(None);
    };
    let (certificate, identity) = FromFiles::load(files.clone())?;
    let host = config::host_of(&config.server.public_url).unwrap_or_default();
    for Doubt { cause, remedy } in doubts(&identity, host, now) {
        tracing::error!("[server.tls] cert_file {}。处理：{}。", cause.zh, remedy.zh);
    }
    Ok(Some(certificate))
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

    /// What the listener shows.
    pub(super) fn tls(&self) -> &web::Tls {
        &self.tls
    }

    /// Takes the files anew when they have changed or `asked` says so, for ever.
    pub(super) async fn keep(mut self, asked: Arc<Notify>) {
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
            Err(bad) => tracing::error!("新证书不能用，仍用原来的证书：{}", shown(&bad)),
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

/// What a browser would not like of a certificate that can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// What is wrong.
    pub(super) cause: Words,
    /// What mends it.
    pub(super) remedy: Words,
}

/// What a browser at `host` (empty: nobody knows which) would not like of `identity` at `now`.
pub(super) fn doubts(identity: &Identity, host: &str, now: Timestamp) -> Vec<Doubt> {
    let (from, to) = (identity.starts_at(), identity.ends_at());
    let mut doubts = vec![];
    if to <= now {
        doubts.push(Doubt {
            cause: words(format!("的证书已在 {to} 到期"), format!("ended on {to}")),
            remedy: words("续期后换上新文件", "renew it and replace the files"),
        });
    }
    if now < from {
        doubts.push(Doubt {
            cause: words(
                format!("的证书从 {from} 才生效"),
                format!("does not begin before {from}"),
            ),
            remedy: words(
                "换上已生效的证书；若日期不对，校准本机时间（timedatectl）",
                "use one that is valid; if the date is wrong, set the clock (timedatectl)",
            ),
        });
    }
    if !host.is_empty() && !identity.covers(host) {
        let names = identity.names().join(" ");
        doubts.push(Doubt {
            cause: words(
                format!("的证书不含 public_url 的域名 {host}（证书里是 {names}）"),
                format!("is not for {host}, the host of public_url (it is for {names})"),
            ),
            remedy: words(
                "换上含这个域名的证书，或改正 [server] public_url",
                "use a certificate for that name, or mend [server] public_url",
            ),
        });
    }
    doubts
}
