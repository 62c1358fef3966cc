//! How a command ends: 0 good, 1 failed, 2 wrong usage or wrong configuration.

use std::fmt;
use std::process::ExitCode;

use super::config::Faults;
use super::term;

/// Why a command did not do what it was asked; said in Chinese on stderr.
#[derive(Debug)]
pub enum Failure {
    /// It was tried and failed: exit 1.
    Failed(String),
    /// The command line or the configuration is wrong: exit 2.
    Wrong(String),
}

impl Failure {
    /// A failure with what was being done before what went wrong.
    pub fn failed(doing: &str, why: impl fmt::Display) -> Self {
        Self::Failed(format!("{doing}：{why}"))
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Wrong(faults.to_string())
    }
}

/// The exit code, after saying what went wrong.
pub fn code(outcome: Result<(), Failure>) -> ExitCode {
    let (code, why) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Failed(why)) => (1, why),
        Err(Failure::Wrong(why)) => (2, why),
    };
    if !why.is_empty() {
        term::complain(why);
    }
    ExitCode::from(code)
}
