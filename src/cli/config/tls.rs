//! What the keys of `[server.tls]` must be together, and the certificate they name.

use std::path::{Path, PathBuf};

use super::fault::{FaultKind, unreadable};
use super::sections::{Tls, TlsFiles};
use super::settle::Settled;
use crate::base::Secret;
use crate::web::Identity;

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
    if plain(settled, "mode").as_deref() == Some("files") {
        files_check(settled);
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
        _ => Tls::Off,
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
