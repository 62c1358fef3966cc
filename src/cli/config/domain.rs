//! `serve --domain`: what it says of the configuration, where that says nothing else.
//!
//! A value that `init` has written is nobody's choice: it gives way. A choice that differs is a
//! fault at its line.

use super::Domains;
use super::fault::FaultKind;
use super::keys::{KEYS, Key};
use super::rules::{Value, host_of};
use super::settle::Settled;
use crate::base::Secret;

const SERVER: &str = "server";
const TLS: &str = "server.tls";

/// Where HTTPS is, on every address of the machine.
const HTTPS: &str = "0.0.0.0:443";

/// Lets `domains` decide what the file and the environment leave open.
pub(super) fn apply(settled: &mut Settled, domains: &Domains) {
    let Some(main) = domains.names.first() else {
        return;
    };
    mode(settled);
    names(settled, &domains.names);
    email(settled, domains.email.as_deref());
    if is_default(settled, SERVER, "listen") {
        settled.set((SERVER, "listen"), Value::Text(HTTPS.into()));
    }
    public_url(settled, main, &domains.names);
}

fn mode(settled: &mut Settled) {
    match plain(settled, TLS, "mode").as_deref() {
        Some("off") => settled.set((TLS, "mode"), Value::Text("acme".into())),
        Some("files") => conflict(
            settled,
            (TLS, "mode"),
            "是 files，而 serve --domain 要自动申请证书",
        ),
        _ => {}
    }
}

fn names(settled: &mut Settled, names: &[String]) {
    let Some(listed) = settled.list(TLS, "acme_domains") else {
        return;
    };
    if listed.is_empty() {
        settled.set((TLS, "acme_domains"), Value::List(names.to_vec()));
        return;
    }
    let mut listed: Vec<_> = listed.iter().map(|it| it.to_ascii_lowercase()).collect();
    let mut asked = names.to_vec();
    listed.sort_unstable();
    asked.sort_unstable();
    if listed != asked {
        conflict(settled, (TLS, "acme_domains"), "与 serve --domain 不同");
    }
}

fn email(settled: &mut Settled, asked: Option<&str>) {
    let Some(asked) = asked else {
        return;
    };
    match plain(settled, TLS, "acme_email").as_deref() {
        Some("") => {
            let Some(key) = key(TLS, "acme_email") else {
                return;
            };
            match key.rule.check(Value::Text(asked.into())) {
                Ok(good) => settled.set((TLS, "acme_email"), good),
                Err(_) => {
                    let remedy = key.rule.wanted();
                    let words = ("serve --email 不是邮箱地址", &*remedy);
                    settled.add((TLS, "acme_email"), FaultKind::Range, words);
                }
            }
        }
        Some(kept) if kept != asked => {
            conflict(settled, (TLS, "acme_email"), "与 serve --email 不同");
        }
        _ => {}
    }
}

fn public_url(settled: &mut Settled, main: &str, names: &[String]) {
    let Some(url) = plain(settled, SERVER, "public_url") else {
        return;
    };
    if url.is_empty() {
        let url = format!("https://{main}");
        settled.set((SERVER, "public_url"), Value::Text(Secret::new(url)));
        return;
    }
    let host = host_of(&url).unwrap_or_default().to_ascii_lowercase();
    if !url.starts_with("https://") || !names.contains(&host) {
        conflict(
            settled,
            (SERVER, "public_url"),
            "不是 serve --domain 的域名",
        );
    }
}

fn conflict(settled: &mut Settled, title: (&str, &str), cause: &str) {
    let words = (cause, "改成一样的，或清空这一项，或去掉 --domain");
    settled.add(title, FaultKind::Conflict, words);
}

fn is_default(settled: &Settled, section: &str, name: &str) -> bool {
    let default = key(section, name).map(|key| key.default.to_owned());
    default.is_some() && plain(settled, section, name) == default
}

fn key(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter()
        .find(|key| (key.section, key.name) == (section, name))
}

fn plain(settled: &Settled, section: &str, name: &str) -> Option<String> {
    let text = settled.text(section, name);
    text.map(|text| text.reveal().clone())
}
