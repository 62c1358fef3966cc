//! The repository against the rules of the house.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tidy_imports::homeless;
use crate::tidy_rules::{File, RULES};

/// What the top level may hold.
const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".gitattributes",
    ".gitignore",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "README.zh-CN.md",
    "config.toml.example",
    "examples",
    "scripts",
    "src",
    "tests",
];

#[test]
fn every_file_keeps_every_rule() {
    let files = files();
    assert!(files.len() > 30, "only {} files were found", files.len());
    let mut faults = Vec::new();
    for rule in RULES {
        for fault in files.iter().flat_map(|file| (rule.judge)(file)) {
            faults.push(format!("{}  ({})", fault, rule.says));
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn every_rule_can_fail() {
    for rule in RULES {
        let (path, text) = rule.breaks;
        let file = File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        assert!(
            !(rule.judge)(&file).is_empty(),
            "nothing breaks: {}",
            rule.says
        );
    }
}

#[test]
fn no_rule_fails_on_clean_code() {
    let text = "//! A file.\nuse crate::base::{Fen, secret};\nfn a(b: Fen) -> Fen { b }\n";
    let file = File {
        path: "src/shop/x.rs".to_owned(),
        text: text.to_owned(),
    };
    for rule in RULES {
        assert_eq!((rule.judge)(&file), Vec::<String>::new(), "{}", rule.says);
    }
}

#[test]
fn every_outside_crate_has_a_home() {
    let text = fs::read_to_string(top().join("Cargo.toml")).unwrap();
    assert_eq!(homeless(&text), Vec::<String>::new());
    let stranger = "[dependencies]\nserde = \"1\"\nleft-pad = \"1\"\n[features]\nb = []\n";
    assert_eq!(homeless(stranger), ["left_pad"]);
}

#[test]
fn the_top_level_holds_only_what_it_should() {
    assert_eq!(strangers(&tracked()), Vec::<String>::new());
    let more = [PathBuf::from("src/lib.rs"), PathBuf::from("notes/a.md")];
    assert_eq!(strangers(&more), ["notes"]);
}

fn strangers(paths: &[PathBuf]) -> Vec<String> {
    let names = paths.iter().filter_map(|path| path.iter().next()?.to_str());
    let mut strange: Vec<String> = names
        .filter(|name| !TOP.contains(name))
        .map(str::to_owned)
        .collect();
    strange.dedup();
    strange
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text files the rules are about.
fn files() -> Vec<File> {
    let kinds = [
        "rs", "md", "toml", "example", "tsv", "sh", "py", "service", "yml",
    ];
    let judged = tracked().into_iter().filter(|path| {
        let kind = path
            .extension()
            .and_then(|kind| kind.to_str())
            .unwrap_or("");
        kinds.contains(&kind) || path.starts_with("scripts") || path.starts_with(".ci")
    });
    let read = |path: PathBuf| {
        let text = fs::read_to_string(top().join(&path)).ok()?;
        let path = path.to_str()?.to_owned();
        Some(File { path, text })
    };
    judged.filter_map(read).collect()
}

/// What git tracks or would track; without git, what lies in the known places.
fn tracked() -> Vec<PathBuf> {
    let mut git = Command::new("git");
    git.current_dir(top());
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let listed = git.output().ok().filter(|output| output.status.success());
    if let Some(output) = listed {
        let names = String::from_utf8(output.stdout).unwrap();
        return names.lines().map(PathBuf::from).collect();
    }
    let mut found = Vec::new();
    for name in TOP {
        walk(Path::new(name), &mut found);
    }
    found
}

fn walk(path: &Path, found: &mut Vec<PathBuf>) {
    let here = top().join(path);
    if here.is_file() {
        found.push(path.to_owned());
    }
    if path.ends_with("target") {
        return;
    }
    for entry in fs::read_dir(here).into_iter().flatten().flatten() {
        walk(&path.join(entry.file_name()), found);
    }
}
