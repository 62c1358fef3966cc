//! A directory for one run: private, and gone when dropped.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::base::secret::random_text;

/// A directory of our own, removed with all that is in it when dropped.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes one in the first of `TMPDIR`, `/tmp` and the working directory that allows it: in an
    /// empty root there is no `/tmp`.
    ///
    /// # Errors
    /// What the system says about the last of them.
    pub fn new() -> io::Result<Self> {
        let (asked, here) = (std::env::temp_dir(), PathBuf::from("."));
        let places = [asked, PathBuf::from("/tmp"), here];
        let name = format!("zhanggui-{}", random_text(12));
        let made = places.iter().map(|place| make(&place.join(&name)));
        made.reduce(Result::or).expect("three places")
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

fn make(path: &Path) -> io::Result<TempDir> {
    DirBuilder::new().mode(0o700).create(path)?;
    let path = std::path::absolute(path)?;
    Ok(TempDir(path))
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_its_own_and_gone_when_dropped() {
        let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        assert_ne!(one.path(), other.path());
        let path = one.path().to_owned();
        std::fs::write(path.join("file"), "text").unwrap();
        drop(one);
        assert!(!path.exists() && other.path().exists());
    }
}
