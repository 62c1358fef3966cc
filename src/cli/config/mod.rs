//! `config.toml`: one struct a table, nothing optional that is required, every fault at once.
//!
//! [`KEYS`] is the table of all keys. [`load`] reads the file and the environment; [`parse`] is the
//! same without touching either. What it cannot know (does WeChat answer?) is asked by `check`.

mod build;
mod domain;
#[cfg(test)]
mod domain_tests;
mod fault;
#[cfg(test)]
mod fault_table;
mod guessable;
mod keys;
mod messages;
mod pay;
mod read;
mod rules;
mod sections;
mod settle;
#[cfg(test)]
mod tests;
mod tls;

use std::path::Path;

pub use fault::{Fault, FaultKind, Faults, Place};
pub use keys::{KEYS, Key, Need, Pem, Rule, Show, variable};
pub use rules::{host_of, is_domain, is_loopback_url};
pub use sections::{
    Access, Acme, Admin, Config, HttpListen, Limits, Log, Merchant, Order, Pay, Server, Store, Tls,
    TlsFiles, Token, Wechat,
};
pub use tls::{BadPair, read_pair};

/// Reads the file at `path` and `environment`.
///
/// # Errors
/// [`Faults`] with everything that is wrong, also when the file cannot be read.
pub fn load(
    path: &Path,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, Faults> {
    let file = path.display().to_string();
    parse(&read_text(path)?, environment).map_err(|list| Faults { file, list })
}

/// The text of the file at `path`.
///
/// # Errors
/// [`Faults`] with the one that it cannot be read.
pub fn read_text(path: &Path) -> Result<String, Faults> {
    std::fs::read_to_string(path).map_err(|error| Faults {
        file: path.display().to_string(),
        list: vec![Fault {
            place: Place::Line(1),
            key: "文件".to_owned(),
            kind: FaultKind::File,
            cause: fault::unreadable(&error),
            remedy: "用 zhanggui init 生成一份，或用 --config 指定它在哪里".to_owned(),
        }],
    })
}

/// Reads a configuration from `text` and `environment`.
///
/// # Errors
/// Everything that is wrong, by line, then by variable.
pub fn parse(
    text: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, Vec<Fault>> {
    let survey = survey(text, environment);
    survey.config.ok_or(survey.faults)
}

/// What the command line says beside the file: a shop of these names, with HTTPS by itself.
#[derive(Clone, Debug, Default)]
pub struct Domains {
    /// The names of the certificate; empty: the file alone decides.
    pub names: Vec<String>,
    /// Whom the authority may write to.
    pub email: Option<String>,
}

/// [`load`] for the shop of `domains`.
///
/// # Errors
/// [`Faults`], also where the file says something else than `domains`.
pub fn load_for(
    path: &Path,
    environment: impl Iterator<Item = (String, String)>,
    domains: &Domains,
) -> Result<Config, Faults> {
    let file = path.display().to_string();
    let mut settled = settle::settle(&read_text(path)?, environment);
    domain::apply(&mut settled, domains);
    let survey = surveyed(settled);
    let list = survey.faults;
    survey.config.ok_or(Faults { file, list })
}

/// What can be said of a configuration, good or not.
#[derive(Debug)]
pub struct Survey {
    /// The configuration, when there is no fault.
    pub config: Option<Config>,
    /// What is wrong, by line, then by variable.
    pub faults: Vec<Fault>,
    /// Whether a merchant number is given, good or not.
    pub has_mchid: bool,
}

/// Looks at `text` and `environment`.
pub fn survey(text: &str, environment: impl Iterator<Item = (String, String)>) -> Survey {
    surveyed(settle::settle(text, environment))
}

fn surveyed(mut settled: settle::Settled) -> Survey {
    pay::check(&mut settled);
    messages::check(&mut settled);
    guessable::check(&mut settled);
    tls::check(&mut settled);
    let mchid = settled.text("wechat.pay", "mchid");
    let has_mchid = mchid.is_none_or(|mchid| !mchid.is_empty());
    let config = build::config(&settled).filter(|_| settled.faults.is_empty());
    let mut faults = settled.faults;
    faults.sort_by(|a, b| a.place.cmp(&b.place));
    assert!(
        config.is_some() || !faults.is_empty(),
        "a value without a fault builds"
    );
    Survey {
        config,
        faults,
        has_mchid,
    }
}
