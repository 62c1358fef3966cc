//! The terminal: the one place that writes to stdout and stderr (the log aside).
//!
//! A reader that went away (`zhanggui … | head`) is no reason to fail, so errors are not looked at.

use std::fmt::Display;
use std::io::Write as _;

/// Writes one line of result to stdout, at once.
pub fn say(line: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Writes `text` to stdout as it is, at once.
pub fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a question to stderr, the cursor staying behind it.
pub fn ask(question: impl Display) {
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "{question}").and_then(|()| out.flush());
}

/// Writes one line about what is wrong, or about what is being done, to stderr.
pub fn complain(line: impl Display) {
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "{line}");
}
