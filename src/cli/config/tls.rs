//! What the keys of `[server.tls]` must be together, and the certificate they name.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::fault::{FaultKind, unreadable};
use super::sections::{Acme, HttpListen, Tls, TlsFiles};
use super::settle::Settled;
use crate::base::Secret;
use crate::web::{Client, Identity};

const TLS: &str = "server.tls";

/// Why two files give no certificate to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPair {
    /// The key that names the file at fault.
    pub key: &'static str,
    /// What is wrong, in Chinese.
    pub cause: String,
    /// What mends it, in Chinese.
    pub remedy: &'static str,
}

/// Adds the faults that only show when keys are seen together.
pub(super) fn check(settled: &mut Settled) {
    match plain(settled, "mode").as_deref() {
        Some("files") => files_check(settled),
        Some("acme") => acme_check(settled),
        _ => {}
    }
}

fn acme_check(settled: &mut Settled) {
    if settled
        .list(TLS, "acme_domains")
        .is_some_and(<[_]>::is_empty)
    {
        let remedy = "写要申请证书的域名，如 [\"shop.example.com\"]，或用 serve --domain";
        let words = ("mode 是 acme，必填", remedy);
        settled.add((TLS, "acme_domains"), FaultKind::Missing, words);
    }
    let roots = plain(settled, "acme_ca_file").unwrap_or_default();
    if !roots.is_empty() && Client::with_roots(&roots).is_err() {
        let words = (
            "里面没有可用的根证书",
            "填证书机构自己的根证书（PEM），或留空",
        );
        settled.add((TLS, "acme_ca_file"), FaultKind::File, words);
    }
}

fn files_check(settled: &mut Settled) {
    let mut is_whole = true;
    for key in ["cert_file", "key_file"] {
        if plain(settled, key).is_some_and(|path| path.is_empty()) {
            is_whole = false;
            let words = (
                "mode 是 files，必填",
                "填 PEM 文件的路径，或把 mode 改成 off",
            );
            settled.add((TLS, key), FaultKind::Missing, words);
        }
    }
    let Some(files) = files(settled).filter(|_| is_whole) else {
        return;
    };
    if let Err(bad) = read_pair(&files) {
        settled.add((TLS, bad.key), FaultKind::File, (&bad.cause, bad.remedy));
    }
}

/// The section, once nothing in it is at fault.
pub(super) fn section(settled: &Settled) -> Option<Tls> {
    Some(match &*plain(settled, "mode")? {
        "files" => Tls::Files(files(settled)?),
        "acme" => Tls::Acme(acme(settled)?),
        _ => Tls::Off,
    })
}

/// Let's Encrypt, whose certificates every phone trusts.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

fn acme(settled: &Settled) -> Option<Acme> {
    let domains = settled.list(TLS, "acme_domains")?;
    let directory = plain(settled, "acme_directory")?;
    Some(Acme {
        domains: domains.iter().map(|it| it.to_ascii_lowercase()).collect(),
        email: plain(settled, "acme_email")?,
        directory: match directory.is_empty() {
            true => LETS_ENCRYPT.to_owned(),
            false => directory,
        },
        roots: plain(settled, "acme_ca_file")?,
    })
}

/// `auto` is port 80 beside port 443: whoever listens elsewhere has something in front.
pub(super) fn http_listen(settled: &Settled) -> Option<HttpListen> {
    let listen: SocketAddr = settled.text("server", "listen")?.reveal().parse().ok()?;
    Some(match &*plain(settled, "http_listen")? {
        "" => HttpListen::Nowhere,
        "auto" if listen.port() == 443 => HttpListen::IfFree((listen.ip(), 80).into()),
        "auto" => HttpListen::Nowhere,
        asked => HttpListen::At(asked.parse().ok()?),
    })
}

fn files(settled: &Settled) -> Option<TlsFiles> {
    Some(TlsFiles {
        cert_file: PathBuf::from(plain(settled, "cert_file")?),
        key_file: PathBuf::from(plain(settled, "key_file")?),
    })
}

fn plain(settled: &Settled, name: &str) -> Option<String> {
    settled.text(TLS, name).map(|text| text.reveal().clone())
}

/// Reads the certificate and its key.
///
/// # Errors
/// [`BadPair`]: a file that cannot be read or holds something else, or two that are no pair.
pub fn read_pair(files: &TlsFiles) -> Result<Identity, BadPair> {
    let chain = read(&files.cert_file, "cert_file")?;
    let key = Secret::new(read(&files.key_file, "key_file")?);
    Identity::from_pem(&chain, &key).map_err(|bad| {
        let (key, path) = if bad.is_of_certificate() {
            ("cert_file", &files.cert_file)
        } else {
            ("key_file", &files.key_file)
        };
        BadPair {
            key,
            cause: format!("{}：{bad}", path.display()),
            remedy: "用同一次签发的 PEM：证书链 fullchain.pem 与它的私钥 privkey.pem（不带密码）",
        }
    })
}

fn read(path: &Path, key: &'static str) -> Result<String, BadPair> {
    std::fs::read_to_string(path).map_err(|error| BadPair {
        key,
        cause: format!("{}：{}", path.display(), unreadable(&error)),
        remedy: "检查路径，以及运行服务的用户能不能读它",
    })
}
