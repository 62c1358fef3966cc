//! The rules about imports: floors, and the one home of each outside crate.

use crate::source::{code_only, line_of, words};
use crate::tidy_rules::{File, fault};

const FLOORS: &[(&str, u8)] = &[
    ("base", 0),
    ("web", 1),
    ("model", 1),
    ("store", 2),
    ("wechat", 2),
    ("shop", 3),
    ("routes", 4),
    ("sandbox", 4),
    ("cli", 5),
    ("sim", 6),
];

/// Outside crates and where they may be named; an empty list means anywhere in `src`.
const HOMES: &[(&str, &[&str])] = &[
    ("argon2", &["shop", "routes"]),
    ("aws_lc_rs", &["base"]),
    ("bincode", &["store"]),
    ("bytes", &["web"]),
    ("clap", &["cli"]),
    ("crc32c", &["store"]),
    ("csv", &["shop"]),
    ("data_encoding", &[]),
    ("flate2", &["cli", "sandbox", "wechat"]),
    ("futures_util", &[]),
    ("hickory_resolver", &["web"]),
    ("http_body_util", &["web"]),
    ("hyper", &["web"]),
    ("hyper_util", &["web"]),
    ("indicatif", &["cli"]),
    ("instant_acme", &["web"]),
    ("ipnet", &["web"]),
    ("jiff", &["base"]),
    ("md5", &["base"]),
    ("prometheus_client", &["base"]),
    ("quick_xml", &["base"]),
    ("quick_cache", &["store"]),
    ("rand", &["base"]),
    ("rcgen", &["web"]),
    ("reqwest", &["web"]),
    ("rustix", &["cli", "store"]),
    ("rustls", &["web"]),
    ("rustls_pki_types", &["web", "base"]),
    ("sd_notify", &["cli"]),
    ("serde", &[]),
    ("serde_json", &[]),
    ("serde_path_to_error", &["web"]),
    ("sled", &["store"]),
    ("subtle", &["base"]),
    ("thiserror", &[]),
    ("tokio", &[]),
    ("tokio_rustls", &["web"]),
    ("tokio_util", &["web"]),
    ("toml", &["cli"]),
    ("tracing", &[]),
    ("tracing_subscriber", &["cli"]),
    ("webpki_roots", &["web"]),
    ("x509_cert", &["base"]),
    ("zeroize", &["base"]),
];

fn floor(module: &str) -> Option<u8> {
    let row = FLOORS.iter().find(|(name, _)| *name == module);
    row.map(|(_, floor)| *floor)
}

/// The module a file of `src` belongs to.
pub(crate) fn module(file: &File) -> Option<&str> {
    let name = file.path.strip_prefix("src/")?.split(['/', '.']).next()?;
    floor(name).map(|_| name)
}

/// The first segments after `crate::` and after chains of `super::`, groups opened.
fn roots(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (start, word) in words(code) {
        let after = &code[start + word.len()..];
        if word != "crate" && !(word == "super" && after.starts_with("::super")) {
            continue;
        }
        let path = after.trim_start_matches("::super").strip_prefix("::");
        let Some(path) = path else { continue };
        let offset = code.len() - path.len();
        match path.strip_prefix('{') {
            None => found.extend(words(path).next().map(|(at, word)| (offset + at, word))),
            Some(group) => found.extend(
                heads(group)
                    .into_iter()
                    .map(|(at, word)| (offset + 1 + at, word)),
            ),
        }
    }
    found
}

/// The first word of every entry of a `{…}` group whose opening brace is already taken.
fn heads(group: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut depth, mut fresh) = (0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && !c.is_whitespace() => {
                fresh = false;
                found.extend(words(&group[at..]).next().map(|(_, word)| (at, word)));
            }
            _ => {}
        }
    }
    found
}

fn imports(file: &File, wrong: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let Some(own) = module(file) else {
        return vec![];
    };
    let code = code_only(&file.text);
    let faults = roots(&code)
        .into_iter()
        .filter(|(_, other)| wrong(own, other));
    let say = |(at, other): (usize, &str)| {
        fault(file, line_of(&code, at), &format!("{own} imports {other}"))
    };
    faults.map(say).collect()
}

pub(crate) fn floors(file: &File) -> Vec<String> {
    imports(file, |own, other| {
        other != own && floor(other).is_some_and(|other| Some(other) >= floor(own))
    })
}

pub(crate) fn mirror(file: &File) -> Vec<String> {
    imports(file, |own, other| own == "sandbox" && other == "wechat")
}

pub(crate) fn homes(file: &File) -> Vec<String> {
    if !file.path.starts_with("src/") {
        return vec![];
    }
    let code = code_only(&file.text);
    let at_home =
        |homes: &[&str]| homes.is_empty() || module(file).is_some_and(|own| homes.contains(&own));
    let mut faults = Vec::new();
    for (start, word) in words(&code) {
        let named = code[start + word.len()..].starts_with("::")
            && !code[..start].ends_with("::")
            && !code[..start].ends_with('.');
        let row = HOMES.iter().find(|(name, _)| *name == word);
        if let Some((_, homes)) = row.filter(|(_, homes)| named && !at_home(homes)) {
            let what = format!("{word} lives in {}", homes.join(", "));
            faults.push(fault(file, line_of(&code, start), &what));
        }
    }
    faults
}

/// Names in `[dependencies]` of Cargo.toml that have no home.
pub(crate) fn homeless(cargo_toml: &str) -> Vec<String> {
    let section = cargo_toml.split("[dependencies]").nth(1).unwrap_or("");
    let lines = section
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split_once(['=', '.']));
    let names = names.map(|(name, _)| name.trim().replace('-', "_"));
    let names = names.map(|name| {
        if name == "md_5" {
            "md5".to_owned()
        } else {
            name
        }
    });
    names
        .filter(|name| !HOMES.iter().any(|(known, _)| known == name))
        .collect()
}
