//! What is kept of an authority between runs: account, certificate, attempts. Files of mode 0600
//! in directories of mode 0700, each replaced as a whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

use super::acme_plan::Attempts;
use crate::base::Secret;
use crate::base::hash::sha256;

/// A certificate and its key as they are kept: the key first, then the chain, in one file, so that
/// one is never without the other.
const CERTIFICATE: &str = "certificate.pem";
const ATTEMPTS: &str = "attempts.json";
const ACCOUNT: &str = "account.json";

/// The directory of one authority and, in it, the one of a list of names.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    authority: PathBuf,
    names: PathBuf,
}

impl Shelf {
    /// The places below `dir` for `names` at the authority of `directory` (its URL).
    pub(super) fn new(dir: &Path, directory: &str, names: &[String]) -> Self {
        let authority = directory
            .split_once("://")
            .map_or(directory, |(_, rest)| rest);
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        let authority = authority.replace(|c: char| !plain(c), "_");
        let mut sorted = names.to_vec();
        sorted.sort_unstable();
        let digest = HEXLOWER.encode(&sha256(sorted.join(" ").as_bytes())[..4]);
        let first = names.first().map_or("", String::as_str);
        let authority = dir.join(authority);
        Self {
            names: authority.join(format!("{first}-{digest}")),
            authority,
        }
    }

    /// The account, as it was kept.
    pub(super) fn account(&self) -> Option<Secret<String>> {
        let text = fs::read_to_string(self.authority.join(ACCOUNT)).ok()?;
        Some(Secret::new(text))
    }

    pub(super) fn keep_account(&self, account: &Secret<String>) -> io::Result<()> {
        write(&self.authority, ACCOUNT, account.reveal())
    }

    /// Forgets an account that the authority does not know.
    pub(super) fn forget_account(&self) {
        // What stays is refused once more, and forgotten then.
        let _ = fs::remove_file(self.authority.join(ACCOUNT));
    }

    /// The key and chain, as they were kept.
    pub(super) fn certificate(&self) -> Option<Secret<String>> {
        let text = fs::read_to_string(self.names.join(CERTIFICATE)).ok()?;
        Some(Secret::new(text))
    }

    pub(super) fn keep_certificate(&self, pem: &Secret<String>) -> io::Result<()> {
        write(&self.names, CERTIFICATE, pem.reveal())
    }

    /// What was tried; one that cannot be read counts as nothing.
    pub(super) fn attempts(&self) -> Attempts {
        let text = fs::read(self.names.join(ATTEMPTS)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub(super) fn keep_attempts(&self, attempts: &Attempts) -> io::Result<()> {
        let text = serde_json::to_string(attempts).map_err(io::Error::other)?;
        write(&self.names, ATTEMPTS, &text)
    }
}

/// Puts `text` in the place of what `dir/name` held, on the disk when this returns.
fn write(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let new = dir.join(format!("{name}.new"));
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const DIRECTORY: &str = "https://acme.example.com:14000/dir/../x";

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_kept_comes_back_and_nobody_else_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("acme");
        let shelf = Shelf::new(&top, DIRECTORY, &names(&["shop.example.com"]));
        assert!(shelf.account().is_none() && shelf.certificate().is_none());
        assert_eq!(shelf.attempts(), Attempts::default());
        let attempts = Attempts {
            failures: 3,
            ..Attempts::default()
        };
        for _ in 0..2 {
            shelf.keep_account(&Secret::from("account")).unwrap();
            shelf
                .keep_certificate(&Secret::from("certificate"))
                .unwrap();
            shelf.keep_attempts(&attempts).unwrap();
        }
        assert_eq!(shelf.account().unwrap().reveal(), "account");
        assert_eq!(shelf.certificate().unwrap().reveal(), "certificate");
        assert_eq!(shelf.attempts(), attempts);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&top), 0o700);
        assert_eq!(mode(&shelf.names), 0o700);
        assert_eq!(mode(&shelf.names.join(CERTIFICATE)), 0o600);
        assert_eq!(mode(&shelf.authority.join(ACCOUNT)), 0o600);
        assert_eq!(shelf.authority, top.join("acme.example.com_14000_dir_.._x"));
    }

    #[test]
    fn another_list_of_names_is_another_certificate_whatever_its_order() {
        let at = |all: &[&str]| Shelf::new(Path::new("acme"), DIRECTORY, &names(all)).names;
        let both = at(&["a.example.com", "b.example.com"]);
        assert_ne!(both, at(&["a.example.com"]));
        assert_eq!(both, at(&["a.example.com", "b.example.com"]));
    }
}
