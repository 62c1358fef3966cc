//! The contract as tables in `tests/golden/contract`, checked both ways against the code.
//!
//! `now` rows and `added` rows (ours beside the contract's) must exist; `later` rows must not yet;
//! and nothing may exist that has no row.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use zhanggui::cli::config::KEYS;
use zhanggui::web::Router;

use crate::program::run;
use crate::source::code_only;

/// What one table names and the code has, compared.
#[derive(Debug, Default, PartialEq)]
struct Differences {
    missing: Vec<String>,
    too_early: Vec<String>,
    unnamed: Vec<String>,
}

fn compare(table: &str, code: &BTreeSet<String>) -> Differences {
    let rows = read(table);
    let named = |when: &[&str]| -> Vec<String> {
        let chosen = rows
            .iter()
            .filter(|(_, word)| when.contains(&word.as_str()));
        chosen.map(|(name, _)| name.clone()).collect()
    };
    let here = |name: &String| code.contains(name);
    Differences {
        missing: named(&["now", "added"])
            .into_iter()
            .filter(|name| !here(name))
            .collect(),
        too_early: named(&["later"]).into_iter().filter(here).collect(),
        unnamed: code
            .iter()
            .filter(|name| !rows.contains_key(*name))
            .cloned()
            .collect(),
    }
}

/// The rows of a table: its key columns, and when.
fn read(table: &str) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let when = columns[columns.len() - 1];
        assert!(
            ["now", "later", "added"].contains(&when),
            "no such time: {line}"
        );
        let is_route = ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&columns[0]);
        let name = if is_route {
            columns[..2].join(" ")
        } else {
            columns[0].to_owned()
        };
        assert!(
            rows.insert(name, when.to_owned()).is_none(),
            "twice: {line}"
        );
    }
    rows
}

fn golden(name: &str) -> String {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(top.join("tests/golden/contract").join(name)).unwrap()
}

#[track_caller]
fn agree(table: &str, code: &BTreeSet<String>) {
    assert!(!code.is_empty(), "nothing was found in the code");
    assert_eq!(
        compare(&golden(table), code),
        Differences::default(),
        "{table}"
    );
}

#[test]
fn the_routes_are_the_contracts() {
    let router = Router::new(zhanggui::routes::table());
    let code = router
        .rows()
        .map(|(method, pattern)| format!("{method} {pattern}"));
    agree("routes.tsv", &code.collect());
}

#[test]
fn the_simulators_routes_are_the_contracts() {
    let router = Router::new(zhanggui::sandbox::routes());
    let code = router
        .rows()
        .map(|(method, pattern)| format!("{method} {pattern}"));
    agree("sandbox.tsv", &code.collect());
}

#[test]
fn the_error_codes_are_the_contracts() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut code = BTreeSet::new();
    for floor in ["routes", "web"] {
        for entry in fs::read_dir(top.join(floor)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                code.extend(codes(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    agree("codes.tsv", &code);
}

#[test]
fn the_config_keys_are_the_contracts() {
    let code: BTreeSet<String> = KEYS
        .iter()
        .map(|key| format!("{}.{}", key.section, key.name))
        .collect();
    agree("config.tsv", &code);
}

#[test]
fn the_example_config_names_every_key_and_no_other() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(top.join("config.toml.example")).unwrap();
    let mut found = BTreeSet::new();
    keys_of(&text.parse().unwrap(), "", &mut found);
    agree("config.tsv", &found);
}

#[test]
fn the_commands_are_the_contracts() {
    let dir = tempfile::tempdir().unwrap();
    let help = run(dir.path(), &["--help"], &[]);
    assert_eq!(help.code, Some(0), "{help:?}");
    let indented = help.out.lines().filter_map(|line| line.strip_prefix("  "));
    let words = indented
        .filter_map(|line| line.split_once("  "))
        .map(|(word, _)| word);
    let is_name = |word: &&str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()) && *word != "help"
    };
    let code: BTreeSet<String> = words.filter(is_name).map(str::to_owned).collect();
    agree("commands.tsv", &code);
    for name in &code {
        let help = run(dir.path(), &[name, "--help"], &[]);
        assert_eq!(help.code, Some(0), "{name} --help: {help:?}");
    }
    let unknown = run(dir.path(), &["no-such-command"], &[]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
}

#[test]
fn a_difference_is_seen_in_each_direction() {
    let table = "# code\tstatus\twhen\nA_B\t400\tnow\nC_D\t400\tlater\nE_F\t1\tadded\n";
    let code = ["C_D", "G_H"].map(str::to_owned).into();
    let seen = compare(table, &code);
    assert_eq!(seen.missing, ["A_B", "E_F"]);
    assert_eq!(seen.too_early, ["C_D"]);
    assert_eq!(seen.unnamed, ["G_H"]);
}

/// WeChat's own words, and names that are no error code.
const NO_CODES: &[&str] = &[
    "SUCCESS", "FAIL", "POST", "PATCH", "DELETE", "REFUSED", "MISMATCH",
];

/// The string literals of `text` that look like an error code, outside tests and comments.
fn codes(text: &str) -> Vec<String> {
    let shipped = text.split("#[cfg(test)]").next().unwrap_or("");
    let lines = shipped
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let lines = lines.filter(|line| !line.contains("env!("));
    let literals = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
    let screams =
        |word: &&str| word.len() > 3 && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let found = literals
        .filter(screams)
        .filter(|word| !NO_CODES.contains(word));
    found.map(str::to_owned).collect()
}

#[test]
fn codes_are_found_in_strings_only() {
    let text = "// \"NO_CODE\"\nconst A: &str = \"A_CODE\"; let b = B_CODE;\n";
    assert_eq!(codes(text), ["A_CODE"]);
    assert!(!code_only(text).contains("A_CODE"));
}

fn keys_of(table: &toml::Table, section: &str, found: &mut BTreeSet<String>) {
    for (name, value) in table {
        let path = if section.is_empty() {
            name.clone()
        } else {
            format!("{section}.{name}")
        };
        match value {
            toml::Value::Table(inner) => keys_of(inner, &path, found),
            _ => drop(found.insert(path)),
        }
    }
}
