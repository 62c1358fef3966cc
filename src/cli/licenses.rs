//! The licences of everything inside the binary, which most of them ask to be passed on.
//!
//! They are collected by `scripts/licenses/collect`; a test compares them with the lock file.

use std::io::Read as _;

use flate2::read::GzDecoder;

use super::exit::Failure;
use super::term;

const TEXTS: &[u8] = include_bytes!("licenses.txt.gz");

/// `zhanggui --licenses`: prints them all.
///
/// # Errors
/// [`Failure::Failed`] when this binary is damaged.
pub(super) fn show() -> Result<(), Failure> {
    let mut text = String::new();
    let unpacked = GzDecoder::new(TEXTS).read_to_string(&mut text);
    unpacked.map_err(|why| Failure::failed("程序文件已损坏，请重新安装", why))?;
    term::say(text.trim_end());
    Ok(())
}
