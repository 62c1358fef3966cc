//! What is inside the binary is named with its licence, and nothing else is.

use std::collections::BTreeSet;
use std::process::Command;

use crate::program::run;

/// The crates in the binary for the target that is released, ours aside, as `name version`.
fn crates(edges: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--offline", "--prefix", "none"]);
    cargo.args(["--target", "x86_64-unknown-linux-gnu", "--edges", edges]);
    cargo.args(["--format", "{p}", "--manifest-path"]);
    cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    let told = cargo.output().unwrap();
    assert!(told.status.success(), "{told:?}");
    let text = String::from_utf8(told.stdout).unwrap();
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        let version = words.next()?.strip_prefix('v')?;
        (name != "zhanggui").then(|| format!("{name} {version}"))
    });
    named.collect()
}

#[test]
fn every_crate_in_the_binary_is_named_with_its_licence_and_no_other() {
    let place = tempfile::tempdir().unwrap();
    let told = run(place.path(), &["--licenses"], &[]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let named: BTreeSet<String> = told
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| {
            // Our own crate stands there too.
            let mut words = line.split(' ');
            let version = words.nth(1).is_some_and(|word| {
                word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.')
            });
            version && words.next().is_none() && !line.starts_with("zhanggui ")
        })
        .map(str::to_owned)
        .collect();
    let inside = crates("normal");
    assert!(inside.len() > 100, "{inside:?}");
    let unnamed: Vec<_> = inside.difference(&named).collect();
    assert!(
        unnamed.is_empty(),
        "run scripts/licenses/collect for {unnamed:?}"
    );
    let gone: Vec<_> = named.difference(&inside).collect();
    assert!(
        gone.is_empty(),
        "run scripts/licenses/collect: gone are {gone:?}"
    );
    for licence in ["Apache License", "MIT License", "ISC License"] {
        assert!(told.out.contains(licence), "{licence}");
    }
}
